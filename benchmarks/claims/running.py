"""Which arms are still to be run, and what do their scores say of the claims?

Scores are kept arm by arm, so a stopped run goes on where it was; an arm whose settings changed is
run anew.
"""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.claims import captions, measured, photos, published, scores, verdicts, worlds
from benchmarks.claims.arms import Arm, all_arms
from benchmarks.claims.claim import DATA, Claim
from benchmarks.claims.scores import Measured, Score
from benchmarks.claims.table import CLAIMS
from benchmarks.claims.verdicts import Effect
from benchmarks.claims.worlds import World
from benchmarks.harness import machine_facts, say

from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.model import shipped
from polyglance.storage import atomic, digests

NOT_RUN = "not run"
# Data on which the English-only model finds less than this share in English, in per cent, is no
# test of what text sides do: whatever they do, the picture is not found.
NO_TEST, LEAST_ENGLISH = "no test", 20.0
SHIPPED_TEACHERS = {"photos": photos.MODEL, "captions": photos.MODEL}
MAKERS = {
    "pictograms": worlds.pictograms,
    "photos": photos.photos,
    "captions": captions.captions,
}


@dataclass(frozen=True, kw_only=True)
class Results:
    """Where scores are kept and what belongs to them.

    Attributes:
        folder: Holds a folder a world, and in it a file an arm and seed.
        seeds: Of the trainings, as many as a verdict needs; where more were run, they count.
        quick: Whether arms are cut short.
    """

    folder: Path
    seeds: tuple[int, ...]
    quick: bool = False

    def found(self, arm: Arm, data: str) -> list[Measured]:
        """What an arm scored, a row a seed, up to the first that was not run."""
        kept: list[Measured] = []
        for seed in itertools.count() if arm.seeded else (0,):
            one = scores.load(
                self.folder / "scores",
                arm=arm.name,
                data=data,
                seed=seed,
                settings=settings_of(arm, data),
            )
            if one is None:
                break
            kept.append(one)
        return kept


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
        day: Of the run; empty where it is of this one.
        machine: Which ran it, with its versions.
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
    day: str = ""
    machine: str = ""


@functools.cache
def world_of(name: str, folder: Path, *, quick: bool) -> World:
    """A world, made once a process."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    made = MAKERS[name](folder / name, quick=quick)
    facts = {"groups": {group: list(members) for group, members in made.groups.items()}}
    facts["counts"] = [len(made.english), len(made.image_text.item_ids), len(made.contents)]
    atomic.write_text(folder / f"{name}.json", json.dumps(facts) + "\n")
    return made


def settings_of(arm: Arm, data: str) -> dict[str, object]:
    """What a run depends on: the arm's settings, and the weights of a teacher that ships."""
    if data in SHIPPED_TEACHERS:
        return {**arm.settings, "teacher": weights_of(SHIPPED_TEACHERS[data])}
    return dict(arm.settings)


@functools.cache
def weights_of(model: str) -> str:
    """A digest of a shipped model's files: made anew, it is another teacher."""
    folder = shipped.folder_of(model)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix != ".md"]
    return digests.of_parts([part for path in files for part in (path.name, path.read_bytes())])


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
            settings=settings_of(arm, name),
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
                    folder, arm=arm.name, data=name, seed=told, settings=settings_of(arm, name)
                )
                if kept is None:
                    yield arm, name, told


def _asks(claim: Claim, world: str) -> bool:
    return any(DATA[label].world == world for label in claim.data)


def rows(
    results: Results,
    claims: Sequence[Claim] = CLAIMS,
    *,
    known: measured.Measured = measured.Measured(),  # noqa: B008 - frozen
) -> list[Row]:
    """What the kept scores say, a row a claim and data set.

    Args:
        results: Where scores are kept.
        claims: Which ones.
        known: What was measured before: stands where this machine has no scores, and says when
            those that it has were measured.
    """
    by_authors = published.measured() if published.is_there() else {}
    found = []
    for claim in claims:
        if claim.impossible:
            found.append(Row(claim=claim, data="none", effect=None, verdict="cannot tell"))
        for label in () if claim.impossible else claim.data:
            row = _row(results, claim, label, by_authors=by_authors)
            kept = known.rows.get((claim.id, label))
            fresh = row.effect and measured.rounded(row.effect)
            if kept is not None and kept.arms == claim.arms and fresh in (None, kept.effect):
                row = _again(claim, label, kept)
            if _is_no_test(row, known.levels.get(label)):
                row = replace(row, verdict=NO_TEST)
            found.append(row)
    return found


def _is_no_test(row: Row, english: float | None) -> bool:
    """Whether a row tells nothing of its claim, whatever is true.

    Args:
        row: As it was measured.
        english: What the English-only model finds on its data in English, in per cent.
    """
    if row.effect is None:
        return False
    if english is not None and english < LEAST_ENGLISH:
        return True
    # An interval wider than the margin lies inside it nowhere: the claim could not have held.
    could_not_hold = row.effect.high - row.effect.low > 2 * row.claim.margin
    return row.verdict == "cannot tell" and row.claim.direction == "within" and could_not_hold


def _again(claim: Claim, label: str, kept: measured.Row) -> Row:
    """A row of an earlier run; its verdict is judged anew."""
    return Row(
        claim=claim,
        data=label,
        effect=kept.effect,
        verdict=verdicts.verdict(
            kept.effect, claim.direction, margin=claim.margin, level=kept.level
        ),
        means=kept.means,
        level=kept.level,
        num_seeds=kept.num_seeds,
        num_languages=kept.num_languages,
        num_contents=kept.num_contents,
        day=kept.day,
        machine=kept.machine,
    )


def _row(results: Results, claim: Claim, label: str, *, by_authors: dict[str, Measured]) -> Row:
    where = DATA[label]
    groups = [claim.group_of(place) for place in range(len(claim.arms))]
    arms, named = list(claim.arms), list(groups)
    if claim.level_group:
        arms, named = [*arms, arms[0]], [*named, claim.level_group]
    kept = [_kept(results, name, where.world, by_authors=by_authors) for name in arms]
    if not all(kept):
        return Row(claim=claim, data=label, effect=None, verdict=NOT_RUN)
    # Arms are compared over the seeds that all of them ran.
    num_seeds = min((len(each) for each in kept if len(each) > 1), default=1)
    facts = facts_of(where.world, results.folder)
    of_arms: list[Score] = [
        scores.score_of(
            each[:num_seeds],
            split=where.split,
            languages=["every"] if where.world == published.NAME else _languages(facts, group),
            directions=claim.directions,
        )
        for each, group in zip(kept, named, strict=True)
    ]
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


def brought_up_to_date(results: Results, known: measured.Measured) -> measured.Measured:
    """What was measured before, with what this machine's scores say in its place.

    Args:
        results: Where scores are kept.
        known: What was measured before.
    """
    day, machine = datetime.date.today().isoformat(), machine_told()
    fresh = {
        (row.claim.id, row.data): measured.Row(
            arms=row.claim.arms,
            means=row.means,
            effect=measured.rounded(row.effect),
            level=row.level,
            num_seeds=row.num_seeds,
            num_languages=row.num_languages,
            num_contents=row.num_contents,
            day=day,
            machine=machine,
        )
        for row in rows(results, CLAIMS)
        if row.effect is not None
    }
    for name, row in fresh.items():
        before = known.rows.get(name)
        same = before is not None and (row.arms, row.effect) == (before.arms, before.effect)
        if before is not None and same:
            fresh[name] = before
    arms = {
        (arm.name, world): measured.ArmFacts(
            steps=tuple(dict.fromkeys(each.num_steps for each in kept if each.num_steps)),
            seconds=round(sum(each.seconds for each in kept) / len(kept)),
        )
        for arm in all_arms().values()
        for world in arm.data
        if (kept := results.found(arm, world))
    }
    levels = {
        label: level
        for label, where in DATA.items()
        if (level := _english_level(results, where.world, where.split)) is not None
    }
    return measured.Measured(
        rows={**known.rows, **fresh},
        arms={**known.arms, **arms},
        levels={**known.levels, **levels},
    )


def _english_level(results: Results, world: str, split: str) -> float | None:
    """What the English-only model finds in English, in per cent; None where it was not asked."""
    arm = all_arms()["teacher"]
    found = results.found(arm, world) if world in arm.data else []
    table = found[0].hits["text_to_content"][split] if found else {}
    hits = [hit for hit in table.get(ENGLISH, ()) if hit is not None]
    return 100 * sum(hits) / len(hits) if hits else None


def machine_told() -> str:
    """This machine and its versions, in a line."""
    facts = machine_facts()
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("polyglance", "torch", "numpy")
    )
    return (
        f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gib']} GiB, "
        f"Python {facts['python']}, {versions}"
    )


def _kept(
    results: Results, name: str, world: str, *, by_authors: dict[str, Measured]
) -> list[Measured]:
    """An arm's scores, a row a seed; none where seeds are missing."""
    if world == published.NAME:
        return [by_authors[name]] if name in by_authors else []
    arm = all_arms()[name]
    kept = results.found(arm, world)
    return kept if len(kept) >= (len(results.seeds) if arm.seeded else 1) else []


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
