"""Comparison of recipes for given languages and data, measured side by side.

Each entry has the same teacher, tower, data, languages and seeds, and is measured as it would be
used: English goes to the teacher. What a run has trained is kept; the same call goes on from it.

Legend: M content items, S seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.compare.entries import (
    TEACHER,
    TRANSLATE,
    Comparison,
    Measured,
    advice_of,
    entry_of,
    with_front,
)
from polyglance.compare.scoring import CHOSEN_ON, stacked, with_dev_split
from polyglance.compare.timing import Times, times_of
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation import retrieval, run
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import Recipe, build_config, get_recipe
from polyglance.recipes.data.training_data import TrainingData
from polyglance.recipes.run import train as train_recipe
from polyglance.records import Languages
from polyglance.results.schema import Result
from polyglance.storage import digests
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower
from polyglance.vectors import Vectors

Translator = Callable[[Sequence[str], str], list[str]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonSetup:
    """What all entries of a comparison share.

    Attributes:
        teacher: The dual encoder that learns languages.
        data: The task.
        contents: Float32 (M, D), unit, in the order of `data.item_ids`.
        training_data: What there is to learn from.
        tower: The multilingual text tower, if there is one.
        settings: By recipe, fields of its config as text.
        seeds: S of them.
        out: Folder that keeps packs and results.
        images: Folder of the task's images, for packs with another content tower.
        cache: Keeps what towers gave.
        translator: Texts of a language to English.
        leakage: What `tasks.leakage.screen` found in the training_data, for packs and comparison.
    """

    teacher: DualEncoder
    data: RetrievalData
    contents: Vectors
    training_data: TrainingData
    tower: Side | None
    seeds: Sequence[int]
    out: Path
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    images: Path | None = None
    cache: VectorCache | None = None
    translator: Translator | None = None
    leakage: Mapping[str, Any] = field(default_factory=dict)


def compare(setup: ComparisonSetup, ways: Sequence[str]) -> tuple[Comparison, list[Result]]:
    """Train and measure every entry of a comparison.

    Args:
        setup: What all entries share.
        ways: Names of recipes; the teacher alone always stands first, and translating behind it
            where there is a translator.

    Returns:
        The comparison, and each entry's results by language of the first seed.

    Raises:
        UnknownNameError: For a recipe that does not exist.
        ConfigError: Without a seed.
    """
    require_known(ways, settings=setup.settings, seeds=setup.seeds)
    setup = dataclasses.replace(setup, data=with_dev_split(setup.data))
    names = [TEACHER, *([TRANSLATE] if setup.translator else []), *ways]
    measured: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    with progress.bar("comparing", total=len(names)) as advance:
        for name in names:
            try:
                measured[name] = _measure(setup, name)
            except (errors.TrainingError, errors.UnavailableError, errors.ConfigError) as error:
                skipped[name] = error.message
            advance(1)
    entries = with_front(
        [entry_of(name, found, measured[TEACHER]) for name, found in measured.items()]
    )
    comparison = Comparison(
        task=setup.data.task,
        main_split=next(iter(setup.data.splits)),
        num_dev=int(setup.data.splits[CHOSEN_ON].sum()),
        leakage=setup.leakage,
        languages=tuple(setup.data.captions),
        num_contents=len(setup.data.item_ids),
        seeds=tuple(setup.seeds),
        entries=tuple(entries),
        skipped=skipped,
        advice="",
        model=setup.teacher.reference,
        tower=None if setup.tower is None else setup.tower.reference,
    )
    told = dataclasses.replace(comparison, advice=advice_of(comparison, measured))
    return told, [row for found in measured.values() for row in found.results]


def require_known(
    ways: Sequence[str], *, settings: Mapping[str, Mapping[str, str]], seeds: Sequence[int]
) -> None:
    """Refuse what cannot be compared, before anything is loaded or written.

    Args:
        ways: Names of recipes.
        settings: By recipe, fields of its config as text.
        seeds: At least one.

    Raises:
        UnknownNameError: For a recipe or a field that does not exist.
        ConfigError: For a value that a field cannot have, or without a seed.
    """
    if not seeds:
        raise errors.ConfigError("no seed", hint="give at least one, as --seeds 3")
    for way in ways:
        get_recipe(way)
    for name, fields in settings.items():
        build_config(get_recipe(name), fields)


def _measure(setup: ComparisonSetup, name: str) -> Measured:
    if name == TEACHER:
        return _measured(setup, [setup.teacher], name=name, data="nothing")
    if name == TRANSLATE:
        assert setup.translator is not None
        speaker = _Translating(setup.teacher, setup.translator)
        return _measured(setup, [speaker], name=name, data="a translator")
    packs, sizes = [], []
    for seed in setup.seeds:
        folder = _trained(setup, name, seed)
        packs.append(LanguagePack.load(folder))
        sizes.append(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    models = [setup.teacher.with_pack(pack, reencode=True) for pack in packs]
    found = _measured(setup, models, name=name, data=get_recipe(name).data)
    return dataclasses.replace(found, packs=packs, size_bytes=max(sizes))


def _trained(setup: ComparisonSetup, name: str, seed: int) -> Path:
    """The folder of a way's pack, trained unless it is there from an earlier run."""
    recipe = get_recipe(name)
    given = {**setup.settings.get(name, {}), "seed": str(seed)}
    config = build_config(recipe, given)
    parts = [name, repr(config), setup.teacher.space_id, setup.teacher.text.space_id]
    parts.append(setup.tower.tower.fingerprint if setup.tower else "")
    parts.append(setup.training_data.fingerprint())
    digest = digests.of_parts(["\n".join(parts)], num_bytes=8)
    folder = setup.out / "packs" / f"{name}-{seed}-{digest}"
    if not (folder / PACK_FILE).is_file():
        pack = train_recipe(
            recipe,
            setup.training_data,
            teacher=setup.teacher,
            config=config,
            tower=tower_for(recipe, setup.tower),
            cache=setup.cache,
            about={"leakage": setup.leakage} if setup.leakage else None,
        )
        pack.save(folder)
    return folder


def tower_for(recipe: Recipe, tower: Side | None) -> Side | None:
    """The tower as a recipe takes it: fresh where it is trained on, none where it cannot be."""
    if tower is None or recipe.tower == "needed":
        return tower
    if recipe.tower == "own" or not tower.tower.trainable:
        return None
    return Side(load_tower(tower.reference, modality="text"), tower.reference)


@dataclass(frozen=True, eq=False)
class _Translating:
    """The teacher behind a translator: what people have before they have a pack."""

    teacher: DualEncoder
    translator: Translator

    @property
    def space_id(self) -> str:
        return self.teacher.space_id

    def encode_texts(
        self, texts: Sequence[str], *, languages: Languages, cache: VectorCache | None = None
    ) -> Vectors:
        """Texts of one language to unit vectors, by way of English."""
        assert languages is not None
        said = list(texts)
        if languages[0] != ENGLISH:
            said = self.translator(said, languages[0])
        return self.teacher.encode_texts(said, languages=[ENGLISH] * len(said), cache=cache)


def _measured(
    setup: ComparisonSetup, models: Sequence[DualEncoder | _Translating], *, name: str, data: str
) -> Measured:
    """Score every language with the model of every seed."""
    parts: dict[tuple[str, str], list[retrieval.Part]] = {}
    results: list[Result] = []
    for number, model in enumerate(models):
        contents = _contents(setup, model)
        for language in setup.data.captions:
            scored = retrieval.score_language(
                model,
                setup.data,
                language=language,
                contents=contents(language),
                cache=setup.cache,
            )
            for part in scored:
                if part.direction == "text_to_content":
                    parts.setdefault((part.split, language), []).append(part)
            if number == 0:
                told = [part for part in scored if part.split != CHOSEN_ON]
                results += _results(setup, model, told, language=language, name=name)
    splits = list(dict.fromkeys(split for split, _ in parts))
    return Measured(
        data=data,
        hits={split: stacked(parts, split) for split in splits},
        results=results,
        packs=(),
        times=_times(setup, models[0]),
    )


def _contents(
    setup: ComparisonSetup, model: DualEncoder | _Translating
) -> Callable[[str], Vectors]:
    if isinstance(model, _Translating):
        return lambda language: setup.contents
    return run.contents_by_language(model, setup.data, setup.contents, images=setup.images)


def _results(
    setup: ComparisonSetup,
    model: DualEncoder | _Translating,
    parts: Sequence[retrieval.Part],
    *,
    language: str,
    name: str,
) -> list[Result]:
    whose = model.teacher if isinstance(model, _Translating) else model
    identity = run.model_id(whose) + ("+translator" if whose is not model else "")
    return retrieval.results_of(setup.data, language, parts=parts, name=name, model_id=identity)


def _times(setup: ComparisonSetup, model: DualEncoder | _Translating) -> Times:
    """How long one query and one item take."""
    speaker, translate = model, None
    if isinstance(model, _Translating):
        speaker, translate = model.teacher, model.translator
    return times_of(
        setup.data,
        encode=lambda texts, language: speaker.encode_texts(
            texts, languages=[language] * len(texts)
        ),
        translate=translate,
        content=model.teacher if isinstance(model, _Translating) else model,
        images=setup.images,
    )
