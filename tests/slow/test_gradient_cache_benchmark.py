"""The benchmark of gradient caching sets equal things side by side."""

import pytest

pytestmark = pytest.mark.slow


def test_the_benchmark_compares_equal_things(monkeypatch):
    from benchmarks import gradient_cache as benchmark

    for name, value in {
        "VOCABULARY": 50,
        "NUM_LAYERS": 2,
        "CHUNK_ROWS": 5,
        "BLOCK_ROWS": 4,
    }.items():
        monkeypatch.setattr(benchmark, name, value)
    assert benchmark.gradient_difference(num_rows=12) < 1e-4
    inputs = benchmark.make_inputs(num_rows=12)
    assert benchmark.ours(inputs) > 0
    assert all(each.grad is not None for each in inputs.towers.parameters())
