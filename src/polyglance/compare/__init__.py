"""Comparison of recipes for given languages and data, measured side by side.

Each entry has the same teacher, tower, data, languages and seeds, and is measured as it would be
used: English goes to the teacher. What a run has trained is kept; the same call goes on from it.

Legend: M content items, S seeds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics as plain_statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.compare.entries import (
    TEACHER,
    TRANSLATE,
    Climbed,
    Comparison,
    advice_of,
    rung_of,
    with_front,
)
from polyglance.compare.scoring import CHOSEN_ON, stacked, with_dev_split
from polyglance.encoding.embed import VectorCache
from polyglance.evaluation import retrieval, run
from polyglance.heads.affine import Vectors
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import PACK_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import Recipe, build_config, get_recipe
from polyglance.recipes.data.training_data import TrainingData
from polyglance.recipes.run import train as train_recipe
from polyglance.results.schema import Result
from polyglance.tasks.retrieval import RetrievalData
from polyglance.towers import load_tower

LATENCY_QUERIES = 20
Translator = Callable[[Sequence[str], str], list[str]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ladder:
    """What all rungs share.

    Attributes:
        teacher: The dual encoder that learns languages.
        data: The task.
        contents: Float32 (M, D), unit, in the order of `data.content_ids`.
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


def compare(ladder: Ladder, ways: Sequence[str]) -> tuple[Comparison, list[Result]]:
    """Train and measure every rung of the ladder.

    Args:
        ladder: What all rungs share.
        ways: Names of recipes; the teacher alone always stands first, and translating behind it
            where there is a translator.

    Returns:
        The comparison, and each rung's results by language of the first seed.

    Raises:
        UnknownNameError: For a recipe that does not exist.
        ConfigError: Without a seed.
    """
    require_known(ways, settings=ladder.settings, seeds=ladder.seeds)
    ladder = dataclasses.replace(ladder, data=with_dev_split(ladder.data))
    names = [TEACHER, *([TRANSLATE] if ladder.translator else []), *ways]
    climbed: dict[str, Climbed] = {}
    skipped: dict[str, str] = {}
    with progress.bar("comparing", total=len(names)) as advance:
        for name in names:
            try:
                climbed[name] = _climb(ladder, name)
            except (errors.TrainingError, errors.UnavailableError, errors.ConfigError) as error:
                skipped[name] = error.message
            advance(1)
    rungs = with_front([rung_of(name, found, climbed[TEACHER]) for name, found in climbed.items()])
    comparison = Comparison(
        task=ladder.data.task,
        main_split=next(iter(ladder.data.splits)),
        num_dev=int(ladder.data.splits[CHOSEN_ON].sum()),
        leakage=ladder.leakage,
        languages=tuple(ladder.data.captions),
        num_contents=len(ladder.data.content_ids),
        seeds=tuple(ladder.seeds),
        rungs=tuple(rungs),
        skipped=skipped,
        advice="",
        model=ladder.teacher.reference,
        tower=None if ladder.tower is None else ladder.tower.reference,
    )
    told = dataclasses.replace(comparison, advice=advice_of(comparison, climbed))
    return told, [row for found in climbed.values() for row in found.results]


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


def _climb(ladder: Ladder, name: str) -> Climbed:
    if name == TEACHER:
        return _measured(ladder, [ladder.teacher], name=name, data="nothing")
    if name == TRANSLATE:
        assert ladder.translator is not None
        speaker = _Translating(ladder.teacher, ladder.translator)
        return _measured(ladder, [speaker], name=name, data="a translator")
    packs, sizes = [], []
    for seed in ladder.seeds:
        folder = _trained(ladder, name, seed)
        packs.append(LanguagePack.load(folder))
        sizes.append(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    models = [ladder.teacher.with_pack(pack, reencode=True) for pack in packs]
    found = _measured(ladder, models, name=name, data=get_recipe(name).data)
    return dataclasses.replace(found, packs=packs, size_bytes=max(sizes))


def _trained(ladder: Ladder, name: str, seed: int) -> Path:
    """The folder of a way's pack, trained unless it is there from an earlier run."""
    recipe = get_recipe(name)
    given = {**ladder.settings.get(name, {}), "seed": str(seed)}
    config = build_config(recipe, given)
    parts = [name, repr(config), ladder.teacher.space_id, ladder.teacher.text.space_id]
    parts.append(ladder.tower.tower.fingerprint if ladder.tower else "")
    parts.append(ladder.training_data.fingerprint())
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
    folder = ladder.out / "packs" / f"{name}-{seed}-{digest}"
    if not (folder / PACK_FILE).is_file():
        pack = train_recipe(
            recipe,
            ladder.training_data,
            teacher=ladder.teacher,
            config=config,
            tower=tower_for(recipe, ladder.tower),
            cache=ladder.cache,
            about={"leakage": ladder.leakage} if ladder.leakage else None,
        )
        pack.save(folder)
    return folder


def tower_for(recipe: Recipe, tower: Side | None) -> Side | None:
    """The tower as a recipe takes it: fresh where it is trained on, none where it cannot be."""
    if tower is None or recipe.tower == "needed":
        return tower
    if recipe.tower == "own" or not hasattr(tower.tower, "token_rows"):
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
        self,
        texts: Sequence[str],
        *,
        languages: Sequence[str] | None,
        cache: VectorCache | None = None,
    ) -> Vectors:
        """Texts of one language to unit vectors, by way of English."""
        assert languages is not None
        said = list(texts)
        if languages[0] != ENGLISH:
            said = self.translator(said, languages[0])
        return self.teacher.encode_texts(said, languages=[ENGLISH] * len(said), cache=cache)


def _measured(
    ladder: Ladder, models: Sequence[DualEncoder | _Translating], *, name: str, data: str
) -> Climbed:
    """Score every language with the model of every seed."""
    parts: dict[tuple[str, str], list[retrieval.Part]] = {}
    results: list[Result] = []
    for number, model in enumerate(models):
        contents = _contents(ladder, model)
        for language in ladder.data.captions:
            scored = retrieval.score_language(
                model,
                ladder.data,
                language=language,
                contents=contents(language),
                cache=ladder.cache,
            )
            for part in scored:
                if part.direction == "text_to_content":
                    parts.setdefault((part.split, language), []).append(part)
            if number == 0:
                told = [part for part in scored if part.split != CHOSEN_ON]
                results += _results(ladder, model, told, language=language, name=name)
    splits = list(dict.fromkeys(split for split, _ in parts))
    return Climbed(
        data=data,
        hits={split: stacked(parts, split) for split in splits},
        results=results,
        packs=(),
        query_milliseconds=_latency(ladder, models[0]),
    )


def _contents(ladder: Ladder, model: DualEncoder | _Translating) -> Callable[[str], Vectors]:
    if isinstance(model, _Translating):
        return lambda language: ladder.contents
    return run.contents_by_language(model, ladder.data, ladder.contents, images=ladder.images)


def _results(
    ladder: Ladder,
    model: DualEncoder | _Translating,
    parts: Sequence[retrieval.Part],
    *,
    language: str,
    name: str,
) -> list[Result]:
    whose = model.teacher if isinstance(model, _Translating) else model
    identity = run.model_id(whose) + ("+translator" if whose is not model else "")
    return retrieval.results_of(ladder.data, language, parts=parts, name=name, model_id=identity)


def _latency(ladder: Ladder, model: DualEncoder | _Translating) -> float:
    """Median milliseconds from one query to its vector, in a language other than English."""
    others = [name for name in ladder.data.captions if name != ENGLISH] or [ENGLISH]
    asked = [caption.text for caption in ladder.data.captions[others[0]]][: LATENCY_QUERIES + 1]
    seconds = []
    for text in asked:
        started = time.perf_counter()
        model.encode_texts([text], languages=[others[0]])
        seconds.append(time.perf_counter() - started)
    return 1000 * plain_statistics.median(seconds[1:] or seconds)
