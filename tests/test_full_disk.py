"""Results on a disk that fills up in the middle of a row: all of them, or the file as it was."""

import contextlib
import resource
from dataclasses import replace

import pytest

from polyglance import errors
from polyglance.results import schema

ROW = schema.Result(
    task="shapes",
    split="test",
    language="deu_Latn",
    direction="text_to_content",
    metric="hit_rate",
    caption_policy="first",
    values={"hit_rate_at_10": 0.5},
    num_queries=10,
    num_candidates=10,
    model="m",
    model_id="i",
    data_id="d",
)


@contextlib.contextmanager
def room_for(num_bytes):
    """No file of this process may become longer: the system writes what fits, then refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("known", [0, 1, 3])
def test_rows_that_do_not_fit_leave_the_file_as_it_was(tmp_path, known):
    path = tmp_path / "results.jsonl"
    rows = [replace(ROW, language=f"l{number:02}") for number in range(40)]
    schema.append_results(path, rows[:known])
    before = path.read_bytes()
    with (
        room_for(len(before) + 1000),
        pytest.raises(errors.UnavailableError, match="cannot be added"),
    ):
        schema.append_results(path, rows[known:])
    assert path.read_bytes() == before
    schema.append_results(path, rows[known:])
    assert schema.read_results(path) == rows
