"""The tests notice planted bugs: a sample of small slips in the source, each tried by itself.

A bug is planted in a copy of the working tree (recipes, evaluation, search and packs), and the
tests that run its line are run until one fails. Bugs that change no answer are listed in
`equivalent_mutants.tsv` with the reason, and take no part.

By default 40 are planted, by a fixed seed. `POLYGLANCE_PLANTED=200` plants the first 200 of the
same order and goes on where it was stopped, as long as neither source nor tests changed; each
verdict is a line of `build/planted-bugs/verdicts-*.jsonl`.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.harness import Outcome, say
from benchmarks.planting import areas, covering, places
from benchmarks.planting.places import Place

NUM_PLANTED = 40
SEED = 74
NUM_WORKERS = 2
# Tests are run on a bug until they took so much processor time.
MOST_TEST_SECONDS = 40.0
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.tsv")
COUNT_VARIABLE = "POLYGLANCE_PLANTED"

Uses = Callable[[str], Mapping[Path, Sequence[int]]]


def run() -> Outcome:
    """Plant the sample and say what share of it some test noticed."""
    start = time.perf_counter()
    say("  running all tests once to see which lines each runs (some minutes, then kept)")
    covered = covering.covered()
    covered_seconds = time.perf_counter() - start
    count = int(os.environ.get(COUNT_VARIABLE) or NUM_PLANTED)
    known = equivalent()
    every = places.places_of(areas.ROOT)
    drawn = places.sample(every, count, seed=SEED)
    gone = sorted(set(known) - {each.name for each in every})
    equal = [each for each in drawn if each.name in known]
    tried = [each for each in drawn if each.name not in known]
    verdicts = try_all(tried, covered=covered)
    survivors = [each for each in tried if verdicts[each.name]["verdict"] != "caught"]
    for each in survivors:
        say(f"  survived: {each.file}: {each.name}")
    caught = Counter(each.area for each in tried) - Counter(each.area for each in survivors)
    return Outcome(
        ratio=sum(caught.values()) / max(1, len(tried)),
        figures={
            "places": len(every),
            "drawn": len(drawn),
            "equivalent": len(equal),
            "listed_as_equivalent_and_gone": gone,
            "planted": len(tried),
            "caught": sum(caught.values()),
            "caught_of_planted_by_area": {
                area: [caught[area], sum(each.area == area for each in tried)]
                for area in areas.AREAS
            },
            "survived": [f"{each.file}: {each.name}" for each in survivors],
            "tests": len(covered.seconds),
            "seconds_to_see_what_tests_run": round(covered_seconds, 1),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )


def equivalent() -> dict[str, str]:
    """Reasons why a bug cannot be noticed, by the name of its place."""
    with EQUIVALENT.open(newline="", encoding="utf-8") as file:
        return {row["place"]: row["reason"] for row in csv.DictReader(file, delimiter="\t")}


def try_all(
    tried: Sequence[Place], *, covered: covering.Covered, work: Path = areas.WORK
) -> dict[str, dict[str, Any]]:
    """The verdict on each place, by its name; what was tried on the same code is read again."""
    path = work / f"verdicts-{areas.source_fingerprint()}.jsonl"
    uses = functools.partial(places.uses_of, tree=areas.ROOT)
    jobs = {each: tests_for(each, covered=covered, every_use=uses) for each in tried}
    files = areas.fingerprints_of_tests()
    found = {
        each.name: known
        for each, known in _read(path, tried).items()
        if _holds(known, jobs[each], files=files)
    }
    waiting = [each for each in tried if each.name not in found]
    say(f"  {len(tried)} bugs, {len(waiting)} to plant; {path}")
    lock = threading.Lock()

    def work_through(number: int) -> None:
        with _Worker() as worker:
            for place in waiting[number::NUM_WORKERS]:
                verdict = worker.judge(place, tests=jobs[place], seconds=covered.seconds)
                verdict["tests_were"] = _basis(verdict, jobs[place], files=files)
                with lock:
                    found[place.name] = verdict
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"place": place.name, **verdict}) + "\n")
                    how = f"{verdict['verdict']} {verdict['seconds']} s"
                    say(f"  {len(found)}: {how}, {place.file.stem}: {place.name}")

    if waiting:
        with ThreadPoolExecutor(NUM_WORKERS) as pool:
            list(pool.map(work_through, range(NUM_WORKERS)))
    return found


def _read(path: Path, tried: Sequence[Place]) -> dict[Place, dict[str, Any]]:
    """The last verdict on each place that a file holds one of."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {line["place"]: line for line in map(json.loads, lines)}
    return {each: known[each.name] for each in tried if each.name in known}


def _basis(verdict: Mapping[str, Any], tests: Sequence[str], *, files: Mapping[str, str]) -> str:
    """What a verdict rests on: the test that noticed, or all that did not, as they are written."""
    asked = [verdict["by"]] if verdict["by"] else tests
    digest = hashlib.sha256()
    for test in asked:
        digest.update(f"{test}\0{files.get(test.partition('::')[0], '')}\0".encode())
    return digest.hexdigest()[:16]


def _holds(verdict: Mapping[str, Any], tests: Sequence[str], *, files: Mapping[str, str]) -> bool:
    return bool(verdict.get("tests_were") == _basis(verdict, tests, files=files))


def tests_for(place: Place, *, covered: covering.Covered, every_use: Uses) -> list[str]:
    """The tests that could notice a bug: those that run its lines, or use the name it binds."""
    if place.lines and not place.cached:
        return covered.running(place.file, lines=place.lines)
    uses = every_use(place.bound) if place.bound else {}
    found = tests_naming(place.bound, covered=covered) if place.bound else []
    found += [test for file, lines in uses.items() for test in covered.running(file, lines=lines)]
    return list(dict.fromkeys(found)) or covered.touching(place.file)


def tests_naming(name: str, *, covered: covering.Covered) -> list[str]:
    """The tests of files in which a name stands, or in a table beside them that they read."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    files = {test.partition("::")[0] for test in covered.seconds}
    places_of = {file: areas.ROOT / file for file in files if (areas.ROOT / file).is_file()}
    naming = {file for file, at in places_of.items() if word.search(_with_tables(at))}
    return [test for test in covered.seconds if test.partition("::")[0] in naming]


def _with_tables(path: Path) -> str:
    """The text of a file of tests and of the JSON beside it that it names."""
    text = path.read_text("utf-8")
    tables = [path.with_name(name) for name in re.findall(r"[\w.-]+\.json\b", text)]
    return "\n".join([text, *(each.read_text("utf-8") for each in tables if each.is_file())])


class _Worker:
    """A process of `planting.worker` with its own copy of the tree."""

    def __enter__(self) -> _Worker:
        self._folder = tempfile.TemporaryDirectory(
            prefix="polyglance-bugs-", ignore_cleanup_errors=True
        )
        self.tree = areas.copy_tree(Path(self._folder.name) / "tree")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.planting.worker"],
            cwd=self.tree,
            env=areas.environment(self.tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def judge(
        self, place: Place, *, tests: Sequence[str], seconds: Mapping[str, float]
    ) -> dict[str, Any]:
        """Whether one of some tests notices a bug."""
        if not tests:
            return {"verdict": "survived", "by": "", "how": "no test runs it", "seconds": 0.0}
        job = {
            "file": place.file.as_posix(),
            "source": places.planted(place, tree=self.tree),
            "tests": in_order(tests, place=place, seconds=seconds),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that tries bugs ended at: {place.name}")
        return dict(json.loads(answer))


def in_order(
    tests: Sequence[str], *, place: Place, seconds: Mapping[str, float]
) -> dict[str, float]:
    """Seconds by test, in the order to run: a file's own tests first, then files of quick ones.

    The tests of a file stay together, so that its fixtures are set up once. Of what everything
    uses, as the length of vectors, all tests would be run where none notices: the first ones have
    to.
    """
    of_file: dict[str, list[str]] = {}
    for test in tests:
        of_file.setdefault(test.partition("::")[0], []).append(test)

    def rank(file: str) -> tuple[bool, float]:
        own = place.file.stem in Path(file).stem
        return (not own, sum(seconds[test] for test in of_file[file]) / len(of_file[file]))

    chosen: dict[str, float] = {}
    for test in (test for file in sorted(of_file, key=rank) for test in of_file[file]):
        if sum(chosen.values()) > MOST_TEST_SECONDS:
            break
        chosen[test] = seconds[test]
    return chosen
