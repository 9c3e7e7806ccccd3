"""What did an arm of an experiment score, content by content? Kept as JSON, drawn for intervals.

Legend: G contents of a split, L languages, S seeds, B draws.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.claims.verdicts import Doubles

from polyglance.metrics import bootstrap
from polyglance.storage import atomic

NUM_DRAWS = 1000
DECIMALS = 4
# By direction, split and language: one figure a content of the split, None where it has no text.
Hits = Mapping[str, Mapping[str, Mapping[str, Sequence[float | None]]]]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one training gave.

    Attributes:
        hits: From 0 to 1.
        num_steps: Optimiser steps that were made, as its pack says; None where none were.
    """

    hits: Hits
    num_steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The scores of one arm on one data set with one seed.

    Attributes:
        arm: Name of the arm.
        data: Name of the data.
        seed: Of the training; 0 where nothing is drawn.
        settings: What the arm was run with; another set is another run.
        seconds: It took.
        hits: From 0 to 1.
        num_steps: Optimiser steps that were made; None where none were.
    """

    arm: str
    data: str
    seed: int
    settings: Mapping[str, Any]
    seconds: float
    hits: Hits
    num_steps: int | None = None


def path_of(folder: Path, *, arm: str, data: str, seed: int) -> Path:
    """Where an arm's scores are kept."""
    return folder / data / f"{arm}-{seed}.json"


def save(found: Measured, folder: Path) -> None:
    """Write the scores, whole or not at all."""
    path = path_of(folder, arm=found.arm, data=found.data, seed=found.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps(asdict(found), ensure_ascii=False) + "\n")


def load(folder: Path, *, arm: str, data: str, seed: int, settings: Mapping[str, Any]) -> Any:
    """The scores of an earlier run with the same settings, or None."""
    path = path_of(folder, arm=arm, data=data, seed=seed)
    if not path.is_file():
        return None
    found = Measured(**json.loads(path.read_text(encoding="utf-8")))
    return found if found.settings == json.loads(json.dumps(settings)) else None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One arm's score over some languages.

    Attributes:
        by_seed: (S,) means, fractions.
        drawn: (B,) means under draws of the contents, seeds averaged.
        num_languages: L.
        num_contents: G.
    """

    by_seed: Doubles
    drawn: Doubles
    num_languages: int
    num_contents: int


def score_of(
    runs: Sequence[Measured], *, split: str, languages: Sequence[str], directions: Sequence[str]
) -> Score:
    """Average an arm over directions, languages and seeds, and draw its contents.

    Contents are drawn the same for every arm of a split, so that scores are compared pair by pair.

    Args:
        runs: One a seed.
        split: Of the data.
        languages: Those of them that the arm was measured in count.
        directions: `text_to_content`, `content_to_text`, or both.
    """
    by_seed, drawn, known = [], [], list[str]()
    for run in runs:
        tables = [run.hits[direction][split] for direction in directions]
        known = [name for name in languages if name in tables[0]]
        rows = [table[name] for table in tables for name in known]
        values = np.array(rows, np.float64).T  # (G, directions x L), NaN where absent
        present = ~np.isnan(values)
        means = bootstrap.bootstrap_means(
            np.where(present, values, 0.0),
            clusters=np.arange(len(values)),
            present=present,
            num_draws=NUM_DRAWS,
            seed=0,
        )
        by_seed.append(means.means.mean())
        drawn.append(np.nanmean(means.draws, axis=1))
    return Score(
        by_seed=np.array(by_seed),
        drawn=np.mean(drawn, axis=0),
        num_languages=len(known),
        num_contents=len(values),
    )
