"""The benchmark runner: its table, its line of JSON, its exit code, its clocks and scales."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
MEBIBYTE = 2**20
MAIN_KEYS = ["benchmark", "ratio", "target", "figures", "machine"]


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.harness")


@pytest.fixture
def retrieval(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.retrieval_metrics")


def install(monkeypatch, harness, outcome, *, target=10.0, direction="at least"):
    """A table with one benchmark that returns what it is given."""

    class Module:
        @staticmethod
        def run():
            return outcome

    monkeypatch.setitem(sys.modules, "benchmarks.made_up", Module)
    row = harness.Benchmark(
        module="benchmarks.made_up", description="made up", target=target, direction=direction
    )
    monkeypatch.setattr(harness, "BENCHMARKS", {"made-up": row})


def make_array():
    return np.ones(8 * MEBIBYTE // 8)


def take_64_mebibytes(array):
    return float(np.concatenate([array] * 8).sum())


def take_nothing(array):
    return float(array.sum())


def fail(array):
    raise ValueError("no")


def test_every_benchmark_has_its_file(harness):
    # Built one by one: what is there must offer `run`; the table names no file twice.
    modules = [each.module for each in harness.BENCHMARKS.values()]
    assert len(set(modules)) == len(modules)
    for name, each in harness.BENCHMARKS.items():
        assert each.module == "benchmarks." + name.replace("-", "_")
        found = importlib.util.find_spec(each.module)
        assert found is not None, each.module
        assert re.search(r"^def run\(.*Outcome:$", Path(found.origin).read_text(), re.MULTILINE)


def test_the_list_has_one_line_a_benchmark(harness, capsys):
    assert harness.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(harness.BENCHMARKS)
    assert all(len(line) < 120 for line in lines)


def test_the_command_lists_from_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "retrieval-metrics" in done.stdout


def test_an_unknown_name_is_refused(harness, capsys):
    assert harness.main(["retrieval"]) == 2
    assert harness.main(["retrieval-metrics", "now"]) == 2
    assert "there are: ridge-vs-loop" in capsys.readouterr().err


def test_a_met_target_ends_with_one_line_of_json(harness, monkeypatch, capsys):
    memory = harness.Criterion(name="memory", value=0.123456, target=0.2, direction="at most")
    outcome = harness.Outcome(ratio=12.34567, figures={"rows": 5}, others=(memory,))
    install(monkeypatch, harness, outcome)
    assert harness.main(["made-up"]) == 0
    out = capsys.readouterr()
    found = json.loads(out.out.splitlines()[-1])
    assert list(found) == MAIN_KEYS
    assert (found["benchmark"], found["ratio"], found["target"]) == ("made-up", 12.35, 10.0)
    assert found["figures"] == {
        "rows": 5,
        "memory": {"value": 0.1235, "target": 0.2, "direction": "at most", "met": True},
    }
    assert {"cores", "memory_gib", "processor", "python", "numpy", "torch"} <= set(found["machine"])
    assert out.err == ""


@pytest.mark.parametrize(
    ("ratio", "memory", "sentences"),
    [
        (9.9, 0.1, ["target missed: the ratio is 9.9, the target is at least 10"]),
        (11.0, 0.3, ["target missed: memory is 0.3, the target is at most 0.2"]),
        (
            float("nan"),
            0.3,
            [
                "target missed: the ratio is nan, the target is at least 10",
                "target missed: memory is 0.3, the target is at most 0.2",
            ],
        ),
    ],
)
def test_a_missed_target_is_said_and_exits_1(
    harness, monkeypatch, capsys, ratio, memory, sentences
):
    other = harness.Criterion(name="memory", value=memory, target=0.2, direction="at most")
    install(monkeypatch, harness, harness.Outcome(ratio=ratio, figures={}, others=(other,)))
    assert harness.main(["made-up"]) == 1
    out = capsys.readouterr()
    assert out.err.splitlines() == sentences
    json.loads(out.out.splitlines()[-1], parse_constant=pytest.fail)


def test_a_ratio_may_have_to_be_small(harness, monkeypatch):
    install(
        monkeypatch,
        harness,
        harness.Outcome(ratio=0.5, figures={}),
        target=0.6,
        direction="at most",
    )
    assert harness.main(["made-up"]) == 0


def test_sides_are_timed_in_turn_and_the_best_is_kept(harness, capsys):
    calls = []
    naps = iter([0.05, 0.005, 0.05])

    def ours():
        calls.append("ours")
        time.sleep(next(naps))

    best = harness.best_of_alternating(
        {"ours": ours, "alternative": lambda: calls.append("alternative")}, turns=3
    )
    assert calls == ["ours", "alternative"] * 3
    assert 0.005 <= best["ours"] < 0.05
    assert len(capsys.readouterr().out.splitlines()) == 6
    with pytest.raises(ValueError, match="turns"):
        harness.best_of_alternating({}, turns=0)


def test_memory_is_the_peak_above_the_inputs(harness):
    large = harness.peak_memory_above_inputs(setup=make_array, work=take_64_mebibytes)
    assert 60 * MEBIBYTE < large < 80 * MEBIBYTE
    assert harness.peak_memory_above_inputs(setup=make_array, work=take_nothing) < 8 * MEBIBYTE


def test_memory_is_sampled_where_the_kernel_keeps_no_mark(harness, monkeypatch):
    monkeypatch.setattr(harness, "_reset_high_water_mark", lambda: False)
    with harness._PeakResident() as peak:
        held = np.ones(64 * MEBIBYTE // 8)
        time.sleep(0.1)
    del held
    assert 50 * MEBIBYTE < peak.bytes_above < 100 * MEBIBYTE


def test_a_failing_measurement_says_which(harness):
    with pytest.raises(RuntimeError, match="measured fail ended with code 1"):
        harness.peak_memory_above_inputs(setup=make_array, work=fail)


def test_retrieval_metrics_and_their_alternative_find_the_same(retrieval):
    inputs = retrieval.make_inputs(num_texts=300, num_images=60, width=32)
    found, expected = retrieval.ours(inputs), retrieval.alternative(inputs)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=0.02)
    assert 0 < found["text_to_image@1"] < 1


def test_retrieval_metrics_runs_to_an_outcome(retrieval, harness, monkeypatch):
    small = retrieval.make_inputs(num_texts=200, num_images=40, width=16)
    peaks = iter([10, 100])
    monkeypatch.setattr(retrieval, "make_inputs", lambda **_: small)
    monkeypatch.setattr(retrieval, "peak_memory_above_inputs", lambda **_: next(peaks))
    outcome = retrieval.run()
    assert outcome.ratio > 0
    assert [each.met for each in outcome.others] == [True, True]
    line, _ = harness.report(
        "retrieval-metrics", outcome, benchmark=harness.BENCHMARKS["retrieval-metrics"]
    )
    assert json.loads(line)["figures"]["memory_ratio"]["value"] == 0.1


def test_xtd200_scoring_runs_to_an_outcome(harness, monkeypatch):
    scoring = importlib.import_module("benchmarks.xtd200_scoring")
    small = scoring.make_inputs(num_languages=3, num_rows=60, width=16)
    peaks = iter([10 * MEBIBYTE, 11 * MEBIBYTE])
    monkeypatch.setattr(scoring, "make_inputs", lambda **_: small)
    monkeypatch.setattr(scoring, "peak_memory_above_inputs", lambda **_: next(peaks))
    outcome = scoring.run(turns=1, part=2)
    met = {each.name: each.met for each in outcome.others}
    # The ends of intervals of 60 queries differ by more than those of 1,000.
    assert met.pop("largest_difference_of_interval_ends") in (True, False)
    assert all(met.values())
    assert outcome.figures["languages"] == 3
    assert outcome.figures["captions_duplicated_in_all"] > 0
    line, _ = harness.report(
        "xtd200-scoring", outcome, benchmark=harness.BENCHMARKS["xtd200-scoring"]
    )
    assert json.loads(line)["figures"]["peak_mib_more_for_181_languages_more"]["value"] == 1
