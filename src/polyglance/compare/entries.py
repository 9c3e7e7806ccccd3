"""Entries of a comparison, the front of the best, and the advice drawn from them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyglance.compare.scoring import (
    CHOSEN_ON,
    Hits,
    Score,
    difference,
    groups_of,
    score_of,
)
from polyglance.compare.timing import NOT_TIMED, Times
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import bootstrap
from polyglance.model.pack import LanguagePack
from polyglance.recipes import DATA
from polyglance.results.schema import Result
from polyglance.storage import atomic

TEACHER, TRANSLATE = "teacher", "translate"
# What costs least to have stands first: how the front weighs data.
DATA_ORDER = (
    "nothing",
    "a translator",
    DATA["english"],
    DATA["banks"],
    DATA["parallel"],
    DATA["image_text"],
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One way, measured.

    Attributes:
        name: `teacher`, `translate`, or the recipe.
        data: What it learns from, in plain words.
        scores: By split and group of languages, `others` being all but English.
        gain: Over the teacher, by split, in `others`, on the same draws.
        dev_scores: By group of languages, on the items that choose.
        dev_gain: Over the teacher there, in `others`; None where there are no others.
        by_language: By split and language, the mean.
        seed_spread: Least and most of `others` over the seeds, by split.
        num_trainable_parameters: Of its training.
        training_seconds: Mean over the seeds.
        size_bytes: Of the pack on disk; a tower it refers to is not in it.
        query_milliseconds: Median time from one query to its vector, translation included.
        translation_milliseconds: Of its translation alone; None where nothing is translated.
        text_milliseconds: Of the encoding of one text alone.
        item_milliseconds: Of the encoding of one item; None where none can be encoded here.
        content: What it does to the content side.
        on_front: Whether no other entry is as good in score, seconds, data and query time.
    """

    name: str
    data: str
    scores: Mapping[str, Mapping[str, Score]]
    gain: Mapping[str, Score]
    dev_scores: Mapping[str, Score]
    dev_gain: Score | None
    by_language: Mapping[str, Mapping[str, float]]
    seed_spread: Mapping[str, tuple[float, float]]
    num_trainable_parameters: int = 0
    training_seconds: float = 0.0
    size_bytes: int = 0
    query_milliseconds: float = 0.0
    translation_milliseconds: float | None = None
    text_milliseconds: float = 0.0
    item_milliseconds: float | None = None
    content: str = "unchanged"
    on_front: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison: all entries, measured.

    Attributes:
        task: Which task.
        main_split: The split whose figures are told.
        num_dev: Items of it that chose the advice and the front, and are in no figure.
        languages: Which ones were measured.
        num_contents: M.
        seeds: Which ones.
        entries: As asked.
        skipped: Ways that could not be taken, and why.
        advice: What to take, in one sentence.
        model: Reference of the teacher.
        tower: Reference of the multilingual tower, if there is one.
        leakage: What was learnt from and is tested as well, and what was done about it.
    """

    task: str
    main_split: str
    num_dev: int
    languages: tuple[str, ...]
    num_contents: int
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    skipped: Mapping[str, str]
    advice: str
    model: str
    tower: str | None
    leakage: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Raw findings of one way: hits by split, results of the first seed, packs of all."""

    data: str
    hits: Mapping[str, Hits]
    results: Sequence[Result]
    packs: Sequence[LanguagePack]
    size_bytes: int = 0
    times: Times = NOT_TIMED


def entry_of(name: str, measured: Measured, teacher: Measured) -> Entry:
    """A way's findings in figures, beside the teacher's on the same draws."""
    scores: dict[str, dict[str, Score]] = {}
    gain: dict[str, Score] = {}
    by_language: dict[str, dict[str, float]] = {}
    spread: dict[str, tuple[float, float]] = {}
    for split, hits in measured.hits.items():
        drawn = hits.drawn()
        scores[split] = _by_group(hits, drawn)
        by_language[split] = dict(zip(hits.languages, drawn.means.tolist(), strict=True))
        others = hits.columns([one for one in hits.languages if one != ENGLISH])
        if len(others):
            by_seed = hits.by_seed[:, others].mean(axis=1)
            spread[split] = (float(by_seed.min()), float(by_seed.max()))
            gain[split] = difference(hits, teacher.hits[split])
    manifests = [pack.manifest for pack in measured.packs]
    for by_split in (by_language, spread):
        by_split.pop(CHOSEN_ON, None)
    return Entry(
        name=name,
        data=measured.data,
        scores=scores,
        dev_scores=scores.pop(CHOSEN_ON, {}),
        dev_gain=gain.pop(CHOSEN_ON, None),
        gain=gain,
        by_language=by_language,
        seed_spread=spread,
        num_trainable_parameters=manifests[0].num_trainable_parameters if manifests else 0,
        training_seconds=float(np.mean([m.training_seconds for m in manifests] or [0.0])),
        size_bytes=measured.size_bytes,
        query_milliseconds=measured.times.query,
        translation_milliseconds=measured.times.translation,
        text_milliseconds=measured.times.text,
        item_milliseconds=measured.times.item,
        content=manifests[0].content if manifests else "unchanged",
    )


def _by_group(hits: Hits, drawn: bootstrap.BootstrapMeans) -> dict[str, Score]:
    return {
        group: score_of(drawn, hits.columns(members))
        for group, members in groups_of(hits.languages).items()
    }


def data_cost(data: str) -> int:
    """The cost of the most costly part of some data: its place in `DATA_ORDER`.

    >>> data_cost("English text and unpaired images and texts") > data_cost("English text")
    True
    """
    return max(place for place, part in enumerate(DATA_ORDER) if part in data)


def with_front(entries: Sequence[Entry]) -> list[Entry]:
    """Mark the entries that no other one dominates in score, seconds, data and query time.

    Scores are those of the items that choose. A way that is worse than the teacher alone is never
    marked, however quick its queries are.
    """

    def costs(entry: Entry) -> tuple[float, ...]:
        score = entry.dev_scores.get("others") or next(iter(entry.dev_scores.values()))
        # Query times are told apart from a millisecond on; below, they are the machine's noise.
        return (
            -score.mean,
            entry.training_seconds,
            data_cost(entry.data),
            round(entry.query_milliseconds),
        )

    found = []
    for entry in entries:
        own = costs(entry)
        dominated = any(
            all(a <= b for a, b in zip(costs(other), own, strict=True)) and costs(other) != own
            for other in entries
        )
        gains = entry.name == TEACHER or entry.dev_gain is None or entry.dev_gain.mean > 0
        found.append(dataclasses.replace(entry, on_front=gains and not dominated))
    return found


def advice_of(comparison: Comparison, measured: Mapping[str, Measured]) -> str:
    """What to take: the cheapest of those that the best one does not clearly beat.

    Chosen on the items set apart; what is said of it is measured on the others.
    """
    split = comparison.main_split
    trained = [entry for entry in comparison.entries if entry.dev_gain and entry.name != TEACHER]
    if not trained:
        return "Nothing but the teacher could be measured; see what was skipped and why."
    best = max(trained, key=lambda entry: entry.dev_scores["others"].mean)
    level = [
        entry
        for entry in trained
        if difference(measured[best.name].hits[CHOSEN_ON], measured[entry.name].hits[CHOSEN_ON]).low
        <= 0
    ]
    take = min(
        level,
        key=lambda entry: (data_cost(entry.data), entry.training_seconds),
    )
    if take.dev_gain is None or take.dev_gain.low <= 0:
        return (
            f"Keep the teacher as it is: not even {best.name} is clearly better in the other "
            f"{len(comparison.languages) - 1} languages."
        )
    score, gain = take.scores[split]["others"], take.gain[split]
    beside = "" if take is best else f", as good as {best.name} within the error"
    return (
        f"Take {take.name}: R@10 {100 * score.mean:.1f} % over the languages but English "
        f"({100 * gain.mean:+.1f} points over the teacher){beside}, from {take.data}, trained in "
        f"{take.training_seconds:.0f} s, {take.query_milliseconds:.1f} ms a query."
    )


def write(comparison: Comparison, path: Path) -> None:
    """Write the comparison as JSON."""
    atomic.write_text(path, json.dumps(comparison.as_json(), ensure_ascii=False, indent=1) + "\n")
