"""What was measured of each claim, kept beside the claims: the page is written from it.

    measured.jsonl      a line a row of the page, a line an arm, a line a level

Scores by picture lie in the cache of the machine that ran them, and go with it. What they came to
is kept here, so that a run elsewhere replaces the rows that it measured and no other. Verdicts are
not kept: they follow from the figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.claims.verdicts import Effect

from polyglance.storage import atomic

DECIMALS = 3
FILE = Path(__file__).with_name("measured.jsonl")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A claim on one data set, as it was measured.

    Attributes:
        arms: What was compared; other arms are another row.
        means: Of each arm, in per cent.
        effect: With its interval.
        level: In per cent; see `running.Row`.
        num_seeds: That the effect rests on.
        num_languages: Averaged in it.
        num_contents: Drawn for its interval.
        day: Of the run.
        machine: Which ran it, with which versions.
    """

    arms: tuple[str, ...]
    means: tuple[float, ...]
    effect: Effect
    level: float
    num_seeds: int
    num_languages: int
    num_contents: int
    day: str
    machine: str


@dataclass(frozen=True, kw_only=True)
class ArmFacts:
    """How an arm ran: its steps where it made any, and seconds a seed."""

    steps: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that is kept.

    Attributes:
        rows: By id of the claim and name of the data.
        arms: By name of the arm and of the world.
        levels: By name of the data, what the English-only model finds there in English, per cent.
    """

    rows: Mapping[tuple[str, str], Row] = field(default_factory=dict)
    arms: Mapping[tuple[str, str], ArmFacts] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)


def rounded(effect: Effect) -> Effect:
    """As it is kept: three decimals are a thousandth of a point."""
    return Effect(
        value=round(effect.value, DECIMALS),
        low=round(effect.low, DECIMALS),
        high=round(effect.high, DECIMALS),
        by_seed=tuple(round(each, DECIMALS) for each in effect.by_seed),
    )


def load(path: Path = FILE) -> Measured:
    """What a file holds; nothing where there is none."""
    rows, arms, levels = {}, {}, {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        found: dict[str, Any] = json.loads(line)
        kind, one, other = found.pop("kind"), found.pop("of"), found.pop("data")
        if kind == "row":
            effect = Effect(**{**found.pop("effect"), "by_seed": tuple(found.pop("by_seed"))})
            lists = {name: tuple(found.pop(name)) for name in ("arms", "means")}
            rows[one, other] = Row(effect=effect, **lists, **found)
        elif kind == "arm":
            arms[one, other] = ArmFacts(steps=tuple(found["steps"]), seconds=found["seconds"])
        else:
            levels[other] = float(found["english"])
    return Measured(rows=rows, arms=arms, levels=levels)


def save(measured: Measured, path: Path = FILE) -> None:
    """Write them, in the order of their names."""
    lines = []
    for data, english in sorted(measured.levels.items()):
        lines.append({"kind": "level", "of": "teacher", "data": data, "english": round(english, 2)})
    for (claim, data), row in sorted(measured.rows.items()):
        told = asdict(replace(row, effect=rounded(row.effect)))
        by_seed = told["effect"].pop("by_seed")
        told |= {
            "means": [round(each, DECIMALS) for each in row.means],
            "by_seed": by_seed,
            "level": round(row.level, DECIMALS),
        }
        lines.append({"kind": "row", "of": claim, "data": data, **told})
    for (arm, world), facts in sorted(measured.arms.items()):
        lines.append({"kind": "arm", "of": arm, "data": world, **asdict(facts)})
    atomic.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
