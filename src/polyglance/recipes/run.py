"""Training by any recipe of the table: data held out, the recipe run, the pack measured.

The command line and `compare` go through here. A recipe's own `train` fits all that it is given and
measures nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.model.dual_encoder import DualEncoder, load_side
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import DATA, Recipe, build_config, get_recipe, scoring
from polyglance.recipes.data import held_out, listed_texts
from polyglance.recipes.data.parallel_text import LEAST_TEXTS_A_LANGUAGE
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Pair
from polyglance.towers import declared_languages
from polyglance.training import distributed

if TYPE_CHECKING:
    from polyglance.training import RunFolder


# Which options of `polyglance train` bring what.
HOW_TO_GIVE = {
    "english": "give --text FILE, one English text a line",
    "parallel": "give --parallel TABLE with the columns english, language and text",
    "image_text": "give --captions TABLE with the columns image, language and text, and --images",
    "banks": "give --bank TABLE with the columns language and text, and --images",
    "files": "give --images with a folder of images, or an index of one, beside --captions",
}


@dataclass(frozen=True, kw_only=True)
class Dev:
    """How a pack is measured.

    Attributes:
        share: Of each language's rows that are held out; 0 holds nothing out.
        parallel: Translations that only measure.
        languages: Ids that the user says it knows; listed without a score where nothing measures.
    """

    share: float = held_out.SHARE
    parallel: Sequence[Pair] = ()
    languages: Sequence[str] = ()

    def known(self) -> list[str]:
        """Languages that the user named, or gave translations in, enough to measure or not."""
        return [*self.languages, *dict.fromkeys(pair.language_b for pair in self.parallel)]


def train(
    recipe: Recipe | str,
    training_data: TrainingData | Mapping[str, Any],
    *,
    teacher: DualEncoder | str,
    config: Any = None,
    tower: Side | str | None = None,
    cache: VectorCache | None = None,
    run: RunFolder | None = None,
    dev: Dev | None = None,
    missing_texts: listed_texts.MissingTexts = "refuse",
    about: Mapping[str, Any] | None = None,
) -> LanguagePack:
    """Train a pack by any recipe, and measure it on what was held out.

    Args:
        recipe: A row of the table, or its name.
        training_data: What there is to learn from; also as a mapping, such as
            `{"english": texts}`.
        teacher: The dual encoder that learns languages, or its reference.
        config: Of the recipe's config class; None for what it does by itself.
        tower: The multilingual text tower that a map goes behind, or that is trained on, or its
            reference; None where the recipe makes a small one.
        cache: Keeps what towers gave.
        run: Where checkpoints and logs go.
        dev: How it is measured; None for a tenth of the data.
        missing_texts: What happens to English texts that a teacher of precomputed vectors has no
            vector of: `refuse` all, or `leave-out` those.
        about: Further facts of the data, for the manifest.

    Raises:
        UnknownNameError: No recipe of that name, or another word for missing texts.
        ConfigError: Where the recipe needs a tower and there is none.
        TrainingError: Where what it learns from is absent, or has no vector.
    """
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    config = build_config(recipe, {}) if config is None else config
    if isinstance(training_data, Mapping):
        training_data = TrainingData(**training_data)
    if isinstance(teacher, str):
        teacher = DualEncoder.load(teacher)
    if isinstance(tower, str):
        tower = load_side(tower, "text")
    if recipe.tower == "needed" and tower is None:
        raise errors.ConfigError(
            f"{recipe.name} needs a multilingual text tower",
            hint="name one: --tower sentence:paraphrase-multilingual-mpnet-base-v2, or, without a "
            "model hub, --tower packaged:multilingual-e5-small",
        )
    dev = dev or Dev()
    required = recipe.required(config)
    for field in required:
        _there(training_data, field, recipe=recipe.name)
    listed = listed_texts.of_teacher(
        training_data,
        teacher.text,
        asks=recipe.asks,
        dev_parallel=dev.parallel,
        policy=missing_texts,
    )
    held = held_out.split(listed.training_data, share=dev.share, dev_parallel=listed.dev_parallel)
    for field in required:
        _there(held.fit, field, recipe=recipe.name)
    needed = [getattr(held.fit, field) for field in recipe.needs]
    beside: dict[str, Any] = {field: getattr(held.fit, field) for field in recipe.may_take}
    if tower is not None:
        beside["tower"] = tower
    if recipe.resumes and run is not None:
        # A run is resumed with the same config and the same data only.
        beside["run"] = run.about(config=asdict(config), data=held.fit.fingerprint())
    pack: LanguagePack = recipe.load().train(
        *needed, teacher=teacher, config=config, cache=cache, **beside
    )
    facts = {**pack.manifest.data, **listed.facts, **(about or {}), "held_out": held.facts}
    pack = replace(pack, manifest=replace(pack.manifest, data=facts))
    if distributed.rank():
        return pack  # the first process measures, and saves
    return scoring.with_scores(
        pack,
        held.sets,
        teacher=teacher,
        unmeasured=[*dev.known(), *_languages_of(recipe, held.fit, tower)],
        cache=cache,
    )


def _languages_of(recipe: Recipe, fit: TrainingData, tower: Side | None) -> list[str]:
    """What a pack may know, measured or not: what it learnt from, and what its tower declares."""
    count: Counter[str] = Counter()
    taken = {*recipe.needs, *recipe.may_take}
    if "parallel" in taken:
        count.update(pair.language_b for pair in fit.parallel)
    if "translations" in taken:
        count.update(name for p in fit.translations for name in (p.language_a, p.language_b))
    if "image_text" in taken and fit.image_text is not None:
        count.update(fit.image_text.caption_languages)
    if "unpaired" in taken:
        count.update(language for language, _ in fit.unpaired)
    if "banks" in taken and fit.banks is not None:
        count.update(fit.banks.languages)
    learnt = [name for name, n in count.items() if n >= LEAST_TEXTS_A_LANGUAGE]
    if recipe.tower == "needed" and tower is not None:
        learnt += declared_languages.languages_of(tower.tower, tower.reference)
    return learnt


def _there(training_data: TrainingData, field: str, *, recipe: str) -> None:
    part = getattr(training_data, field)
    if part is None or (isinstance(part, Sequence | Mapping) and not len(part)):
        raise errors.TrainingError(
            f"{recipe} learns from {DATA[field]}, and there is none", hint=HOW_TO_GIVE[field]
        )
