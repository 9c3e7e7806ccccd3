"""The benchmark of the report: what it makes, and what it says where there is no browser."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "x" * 900_000)
    return importlib.import_module("benchmarks.report_size")


def test_three_models_in_201_languages_both_ways_with_intervals(benchmark):
    rows = benchmark.make_results()
    assert len(rows) == len({(r.model, r.language, r.direction) for r in rows}) == 3 * 201 * 2
    assert all(set(row.intervals) == set(row.values) and len(row.values) == 3 for row in rows)
    assert rows == benchmark.make_results()


def test_without_a_browser_it_says_so_and_weighs_alone(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "find_browser", lambda: None)
    outcome = benchmark.run()
    assert 0.9 < outcome.ratio == pytest.approx(outcome.figures["megabytes"], abs=1e-3)
    assert (outcome.figures["seconds"], outcome.others) == (None, ())
    assert "no browser here" in capsys.readouterr().out


def test_a_load_that_takes_too_long_misses_its_target(benchmark, monkeypatch):
    slow = {"seconds": 1.5, "first": "ace_Latn", "listening": 0.2, "slowest_load": 2.0}
    monkeypatch.setattr(benchmark, "find_browser", lambda: "a browser")
    monkeypatch.setattr(benchmark, "_measure", lambda page, browser: {"desk": slow})
    (criterion,) = benchmark.run().others
    assert (criterion.name, criterion.met) == ("seconds_until_usable_desk", False)
