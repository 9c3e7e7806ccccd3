"""Which arms are still to be run, and what do their scores say of the claims?

Scores are kept arm by arm, so a stopped run goes on where it was; an arm whose settings changed is
run anew.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.claims import photos, published, scores, verdicts, worlds
from benchmarks.claims.arms import Arm, all_arms
from benchmarks.claims.scores import Measured, Score
from benchmarks.claims.table import CLAIMS, DATA, Claim
from benchmarks.claims.verdicts import Effect
from benchmarks.claims.worlds import World
from benchmarks.harness import say

from polyglance import errors
from polyglance.storage import atomic

NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Results:
    """Where scores are kept and what belongs to them.

    Attributes:
        folder: Holds a folder a world, and in it a file an arm and seed.
        seeds: Of the trainings.
        quick: Whether arms are cut short.
    """

    folder: Path
    seeds: tuple[int, ...]
    quick: bool = False

    def found(self, arm: Arm, data: str) -> list[Measured]:
        """What an arm scored, a row a seed that was run."""
        seeds = self.seeds if arm.seeded else (0,)
        kept = [
            scores.load(
                self.folder / "scores", arm=arm.name, data=data, seed=seed, settings=arm.settings
            )
            for seed in seeds
        ]
        return [each for each in kept if each is not None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A claim on one data set.

    Attributes:
        claim: Which.
        data: A row of `table.DATA`.
        effect: None where nothing was measured.
        verdict: A verdict, or that it was not run.
        means: Mean of each arm, in per cent.
        level: What the best arm reaches, or the first in other languages, in per cent.
        num_seeds: That the effect rests on.
        num_languages: Averaged in it.
        num_contents: Drawn for its interval.
    """

    claim: Claim
    data: str
    effect: Effect | None
    verdict: str
    means: tuple[float, ...] = ()
    level: float = 0.0
    num_seeds: int = 0
    num_languages: int = 0
    num_contents: int = 0


@functools.cache
def world_of(name: str, folder: Path, *, quick: bool) -> World:
    """A world, made once a process."""
    make = {"pictograms": worlds.pictograms, "flickr8k": photos.photos}[name]
    made = make(folder / name, quick=quick)
    facts = {"groups": {group: list(members) for group, members in made.groups.items()}}
    facts["counts"] = [len(made.english), len(made.image_text.item_ids), len(made.contents)]
    atomic.write_text(folder / f"{name}.json", json.dumps(facts) + "\n")
    return made


def facts_of(name: str, folder: Path) -> dict[str, object]:
    """Groups of languages and counts of a world that was made before; empty where it was not."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def run(results: Results, claims: Sequence[Claim], *, data: Sequence[str]) -> None:
    """Run what is missing for some claims.

    Args:
        results: Where scores are kept.
        claims: Which ones.
        data: Worlds to run in.
    """
    todo = list(_missing(results, claims, data=data))
    for number, (arm, name, seed) in enumerate(todo):
        world = world_of(name, results.folder, quick=results.quick)
        started = time.perf_counter()
        try:
            ran = arm.run(world, seed)
        except errors.UnavailableError as error:
            say(f"{name}: {arm.name} cannot be run: {error.message}")
            continue
        said = arm.settings.get("num_steps")
        if said is not None and ran.num_steps != world.steps(said):
            raise AssertionError(f"{arm.name} says {world.steps(said)} steps, ran {ran.num_steps}")
        found = Measured(
            arm=arm.name,
            data=name,
            seed=seed,
            settings=dict(arm.settings),
            seconds=round(time.perf_counter() - started, 1),
            hits=ran.hits,
            num_steps=ran.num_steps,
        )
        scores.save(found, results.folder / "scores")
        say(f"{number + 1} of {len(todo)}  {name}: {arm.name}, seed {seed}, {found.seconds:.0f} s")


def _missing(
    results: Results, claims: Sequence[Claim], *, data: Sequence[str]
) -> Iterator[tuple[Arm, str, int]]:
    """Paper by paper, and there seed by seed, so that a stopped run has whole comparisons."""
    folder = results.folder / "scores"
    papers = dict.fromkeys(claim.paper for claim in claims)
    for name, paper, seed in itertools.product(data, papers, results.seeds):
        own = [claim for claim in claims if claim.paper == paper and _asks(claim, name)]
        for arm_name in dict.fromkeys(arm for claim in own for arm in claim.arms):
            arm = all_arms().get(arm_name)
            if arm is None or name not in arm.data:
                continue
            told = seed if arm.seeded else 0
            if seed == results.seeds[0] or arm.seeded:
                kept = scores.load(
                    folder, arm=arm.name, data=name, seed=told, settings=arm.settings
                )
                if kept is None:
                    yield arm, name, told


def _asks(claim: Claim, world: str) -> bool:
    return any(DATA[label].world == world for label in claim.data)


def rows(results: Results, claims: Sequence[Claim] = CLAIMS) -> list[Row]:
    """What the kept scores say, a row a claim and data set."""
    by_authors = published.measured() if published.is_there() else {}
    found = []
    for claim in claims:
        if claim.impossible:
            found.append(Row(claim=claim, data="none", effect=None, verdict="cannot tell"))
        for label in () if claim.impossible else claim.data:
            found.append(_row(results, claim, label, by_authors=by_authors))
    return found


def _row(results: Results, claim: Claim, label: str, *, by_authors: dict[str, Measured]) -> Row:
    where = DATA[label]
    groups = [claim.group_of(place) for place in range(len(claim.arms))]
    arms, named = list(claim.arms), list(groups)
    if claim.level_group:
        arms, named = [*arms, arms[0]], [*named, claim.level_group]
    of_arms: list[Score] = []
    for name, group in zip(arms, named, strict=True):
        kept, languages = _kept(results, name, where.world, group=group, by_authors=by_authors)
        if not kept:
            return Row(claim=claim, data=label, effect=None, verdict=NOT_RUN)
        of_arms.append(
            scores.score_of(
                kept, split=where.split, languages=languages, directions=claim.directions
            )
        )
    compared = of_arms[: len(groups)]
    effect = verdicts.effect_of(
        [each.by_seed for each in compared],
        [each.drawn for each in compared],
        combination=claim.combination,
    )
    means = [float(100 * each.by_seed.mean()) for each in of_arms]
    level = means[-1] if claim.level_group else max(means)
    return Row(
        claim=claim,
        data=label,
        effect=effect,
        verdict=verdicts.verdict(effect, claim.direction, margin=claim.margin, level=level),
        means=tuple(means[: len(groups)]),
        level=level,
        num_seeds=max(len(each.by_seed) for each in compared),
        num_languages=compared[0].num_languages,
        num_contents=compared[0].num_contents,
    )


def _kept(
    results: Results, name: str, world: str, *, group: str, by_authors: dict[str, Measured]
) -> tuple[list[Measured], list[str]]:
    """An arm's scores with every seed, or none; and the languages of a group."""
    if world == published.NAME:
        return ([by_authors[name]] if name in by_authors else []), ["every"]
    arm = all_arms()[name]
    kept = results.found(arm, world)
    whole = len(kept) == (len(results.seeds) if arm.seeded else 1)
    return (kept if whole else []), _languages(facts_of(world, results.folder), group)


def _languages(facts: dict[str, object], group: str) -> list[str]:
    groups = facts.get("groups", {})
    assert isinstance(groups, dict)
    if group == "adapted":
        return [*groups.get("model has", []), *groups.get("model lacks", [])]
    return list(groups.get(group, []))


def as_json(row: Row) -> dict[str, object]:
    """A row for other programs."""
    return {
        "id": row.claim.id,
        "paper": row.claim.paper,
        "claim": row.claim.says,
        "data": row.data,
        "arms": dict(zip(row.claim.arms, row.means, strict=False)),
        "effect": None if row.effect is None else asdict(row.effect),
        "verdict": row.verdict,
    }
