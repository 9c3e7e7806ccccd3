"""The map from source lines to the tests that run them, made by one covered run of the suite.

A line that a test runs while a shared fixture is set up belongs to every test that uses the
fixture, not only to the first: the run therefore notes shared fixtures apart. Lines that run on
import, or once and then from a cache, are noted where they ran first; `Covered.touching` gives
the tests of a whole file for those.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.planting import areas

MARKS = "not slow and not network and not gpu"
# The suite is run in this many processes at once.
NUM_PARTS = 2
FIXTURE = "fixture:"
# Exit codes of pytest: all passed, some failed, none were chosen.
PYTEST_RAN = (0, 1, 5)


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Which tests run which lines.

    Attributes:
        seconds: Processor time that each passing test took, by its identifier.
        lines: The tests of each line that any test runs, by file and line number.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def running(self, file: Path, *, lines: Iterable[int]) -> list[str]:
        """The tests that run one of these lines, quick ones first."""
        known = self.lines.get(file.as_posix(), {})
        return self._quick_first({test for line in lines for test in known.get(line, ())})

    def touching(self, file: Path) -> list[str]:
        """The tests that run anything of a file, quick ones first."""
        known = self.lines.get(file.as_posix(), {})
        return self._quick_first({test for tests in known.values() for test in tests})

    def of(self, files: Iterable[str]) -> Covered:
        """What the tests of some files run."""
        chosen = set(files)
        seconds = {t: s for t, s in self.seconds.items() if t.partition("::")[0] in chosen}
        lines = {
            file: {
                line: [test for test in tests if test in seconds] for line, tests in known.items()
            }
            for file, known in self.lines.items()
        }
        return Covered(seconds=seconds, lines=lines)

    def _quick_first(self, tests: set[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.seconds[test], test))


def covered(*, work: Path = areas.WORK, root: Path = areas.ROOT) -> Covered:
    """The map of a working tree as it is now: what was seen before is kept.

    Another source makes all of it anew; a changed file of tests is run alone.
    """
    path = work / "covered.json.gz"
    source, files = areas.source_fingerprint(root), areas.fingerprints_of_tests(root)
    kept = json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}
    same = kept["files"] if kept.get("source") == source else {}
    stale = sorted(file for file, digest in files.items() if same.get(file) != digest)
    known = _unpacked(kept) if same else Covered(seconds={}, lines={})
    if stale or set(same) - set(files):
        known = _merged(known.of([file for file in files if file not in stale]), _measured(stale))
        work.mkdir(parents=True, exist_ok=True)
        packed = {"source": source, "files": files, **_packed(known)}
        path.write_bytes(gzip.compress(json.dumps(packed).encode()))
    return known


def _packed(found: Covered) -> dict[str, Any]:
    """The form on disk, in which each set of tests stands once."""
    place_of = {test: index for index, test in enumerate(found.seconds)}
    sets: dict[tuple[int, ...], int] = {}
    lines = {
        file: {
            line: sets.setdefault(tuple(sorted(map(place_of.__getitem__, tests))), len(sets))
            for line, tests in known.items()
        }
        for file, known in found.lines.items()
    }
    return {"seconds": found.seconds, "sets": list(sets), "lines": lines}


def _unpacked(packed: dict[str, Any]) -> Covered:
    names = list(packed["seconds"])
    sets = [[names[index] for index in each] for each in packed["sets"]]
    lines = {
        file: {int(line): sets[index] for line, index in known.items()}
        for file, known in packed["lines"].items()
    }
    return Covered(seconds=packed["seconds"], lines=lines)


def _merged(first: Covered, second: Covered) -> Covered:
    lines: dict[str, dict[int, list[str]]] = {}
    for each in (first, second):
        for file, known in each.lines.items():
            for line, tests in known.items():
                lines.setdefault(file, {}).setdefault(line, []).extend(tests)
    return Covered(seconds={**first.seconds, **second.seconds}, lines=lines)


def _measured(files: list[str]) -> Covered:
    """Run files of tests in a copy of the tree, in parts, and join what they ran."""
    with tempfile.TemporaryDirectory(prefix="polyglance-covered-") as folder:
        tree = areas.copy_tree(Path(folder) / "tree")
        outs = [Path(folder) / f"part-{part}.json" for part in range(NUM_PARTS)]
        running = []
        for part, out in enumerate(outs):
            if names := files[part::NUM_PARTS]:
                command = [sys.executable, "-m", "benchmarks.planting.covering", str(out), *names]
                running.append(
                    subprocess.Popen(
                        command, cwd=tree, env=areas.environment(tree), stdout=subprocess.DEVNULL
                    )
                )
        codes = [each.wait() for each in running]
        if any(code not in PYTEST_RAN for code in codes):
            raise RuntimeError(f"the covered run of the tests ended with codes {codes}")
        seen = [json.loads(out.read_text()) for out in outs if out.exists()]
    return functools.reduce(_merged, map(_resolved, seen), Covered(seconds={}, lines={}))


def _resolved(seen: dict[str, Any]) -> Covered:
    """What one part saw, fixtures resolved to their users; failed tests have no part in it."""
    users: dict[str, list[str]] = seen["users"]
    lines = {
        file: {
            int(line): sorted(
                test
                for test in {
                    test
                    for context in contexts
                    for test in (users.get(context, ()) if _is_fixture(context) else (context,))
                }
                if test in seen["seconds"]
            )
            for line, contexts in known.items()
        }
        for file, known in seen["lines"].items()
    }
    return Covered(seconds=seen["seconds"], lines=lines)


def _is_fixture(context: str) -> bool:
    return context.startswith(FIXTURE)


class Noting:
    """A pytest plugin: tells the tracer which test or shared fixture is at work."""

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer
        self.test = ""
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.users: dict[str, list[str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Name the test while it runs, and remember which shared fixtures it uses."""
        self.test = item.nodeid
        info = getattr(item, "_fixtureinfo", None)
        for name, definitions in (info.name2fixturedefs if info else {}).items():
            self.users.setdefault(_fixture(name, definitions[-1]), []).append(item.nodeid)
        self.tracer.switch_context(self.test)
        start = _processor_seconds()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = round(_processor_seconds() - start, 3)
            self.tracer.switch_context("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Name a shared fixture while it is set up; one of a single test is part of the test."""
        if fixturedef.scope == "function":
            return (yield)
        self.tracer.switch_context(_fixture(fixturedef.argname, fixturedef))
        try:
            return (yield)
        finally:
            self.tracer.switch_context(self.test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what does not pass: it can show no bug."""
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)


def _processor_seconds() -> float:
    """Of this process and of those that it started: what else the machine does, plays no part."""
    return sum(os.times()[:4])


def _fixture(name: str, definition: Any) -> str:
    """The context of a shared fixture: two files may use one name."""
    return f"{FIXTURE}{definition.baseid}:{name}"


def trace(out: Path, *, tests: list[str]) -> int:
    """Run test files under the tracer and write what they ran; returns the code of pytest."""
    import coverage

    files = [path for each in areas.area_files(Path.cwd()).values() for path in each]
    with tempfile.TemporaryDirectory() as folder:
        tracer = coverage.Coverage(
            data_file=f"{folder}/data",
            config_file=False,
            include=[str(Path.cwd() / each) for each in files],
        )
        noting = Noting(tracer)
        tracer.start()
        code = pytest.main([*tests, "-m", MARKS, "-p", "no:cacheprovider"], plugins=[noting])
        tracer.stop()
        data = tracer.get_data()
        lines = {
            each.as_posix(): {
                line: sorted(set(contexts) - {""})
                for line, contexts in data.contexts_by_lineno(str(Path.cwd() / each)).items()
            }
            for each in files
        }
    passing = {test: spent for test, spent in noting.seconds.items() if test not in noting.failed}
    for test in sorted(noting.failed):
        print(f"does not pass here, and is left out: {test}", file=sys.stderr)
    out.write_text(json.dumps({"seconds": passing, "users": noting.users, "lines": lines}))
    return int(code)


if __name__ == "__main__":
    sys.exit(trace(Path(sys.argv[1]), tests=sys.argv[2:]))
