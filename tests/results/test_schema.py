"""A file of results: no whole line is ever lost, whatever an editor, a kill or a full disk does."""

import errno
import json
import multiprocessing
import os
from dataclasses import replace

import pytest

from polyglance import errors
from polyglance.results import schema

ROWS = [
    schema.Result(
        task="flickr8k",
        split="test",
        language=language,
        direction=direction,
        metric="hit_rate",
        caption_policy="all",
        values={"hit_rate_at_10": 0.5},
        intervals={"hit_rate_at_10": (0.25, 0.75)},
        num_queries=10,
        num_candidates=10,
        model="hf:a/b",
        model_id="m",
        data_id="d",
        score_id="s",
    )
    for language in ("deu_Latn", "fra_Latn", "hin_Deva")
    for direction in ("text_to_content", "content_to_text")
]


@pytest.fixture
def path(tmp_path):
    schema.append_results(tmp_path / "r.jsonl", ROWS)
    return tmp_path / "r.jsonl"


def unended(data):
    return data.rstrip(b"\n")


def with_bom(data):
    return b"\xef\xbb\xbf" + data


def with_returns(data):
    return data.replace(b"\n", b"\r\n")


def with_empty_lines(data):
    return b"\n" + data.replace(b"\n", b"\n\n  \n")


@pytest.mark.parametrize("edit", [unended, with_bom, with_returns, with_empty_lines])
def test_what_editors_do_loses_no_row(path, edit):
    path.write_bytes(edit(path.read_bytes()))
    assert schema.read_what_is_whole(path) == schema.Whole(rows=tuple(ROWS))
    more = [replace(row, task="other") for row in ROWS]
    schema.append_results(path, more)
    assert schema.read_results(path) == [*ROWS, *more]


def test_half_a_line_at_the_end_costs_itself_and_is_said(path):
    with path.open("ab") as file:
        file.write(b'{"schema_version": 1, "task": "fl\xc3')
    whole = schema.read_what_is_whole(path)
    assert whole.rows == tuple(ROWS)
    assert len(whole.said) == 1
    assert "in the middle of a line" in whole.said[0]
    assert whole.doubtful == {(ROWS[-1].model_id, ROWS[-1].task, ROWS[-1].language)}
    more = [replace(row, task="other") for row in ROWS]
    schema.append_results(path, more)
    assert schema.read_what_is_whole(path) == schema.Whole(rows=(*ROWS, *more))


@pytest.mark.parametrize(
    "line", [b"{half", b"[1]", b"\xff\xfe", b'{"schema_version": 99}', b"null"]
)
def test_a_damaged_line_in_the_middle_stays_and_is_said(path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[2:]]))
    whole = schema.read_what_is_whole(path)
    assert whole.rows == tuple(ROWS)
    assert len(whole.said) == 1
    assert f"{path}, line 3 is no result" in whole.said[0]
    assert {language for _, _, language in whole.doubtful} == {
        ROWS[1].language,
        ROWS[2].language,
    }
    before = path.read_bytes()
    schema.append_results(path, [replace(ROWS[0], task="other")])
    assert path.read_bytes().startswith(before)


def test_half_a_line_alone_makes_room_as_well(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"schema_ver')
    assert "in the middle of a line" in schema.read_what_is_whole(path).said[0]
    schema.append_results(path, ROWS)
    assert schema.read_results(path) == ROWS


def test_rows_that_are_there_are_not_written_twice(path):
    schema.append_results(path, ROWS)
    schema.append_results(path, [replace(ROWS[0], score_id="of other pictures")])
    assert len(schema.read_results(path)) == len(ROWS) + 1


def append_slowly(path, start):
    start.wait()
    for row in ROWS:
        schema.append_results(path, [row])


def test_two_runs_with_one_file_write_each_row_once(tmp_path):
    path = tmp_path / "shared.jsonl"
    context = multiprocessing.get_context("fork")
    start = context.Event()
    runs = [context.Process(target=append_slowly, args=(path, start)) for _ in range(3)]
    for run in runs:
        run.start()
    start.set()
    for run in runs:
        run.join()
    assert schema.read_results(path) == list(ROWS)


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    before = path.read_bytes()
    write = os.write

    def half(descriptor, data):
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(errors.DiskFullError, match="cannot be added"):
        schema.append_results(path, [replace(row, task="other") for row in ROWS])
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_no_full_disk(tmp_path):
    with pytest.raises(errors.UnavailableError, match="cannot be added"):
        schema.append_results(tmp_path, ROWS)


def test_a_name_of_broken_bytes_can_be_told(tmp_path):
    row = replace(ROWS[0], dropped_names={"items_damaged": ("bad\udcff.jpg: cut",)})
    schema.append_results(tmp_path / "r.jsonl", [row])
    (read,) = schema.read_results(tmp_path / "r.jsonl")
    assert read.dropped_names == {"items_damaged": ("bad?.jpg: cut",)}


def test_the_form_is_that_of_before(path):
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert row["schema_version"] == 1
    assert schema.from_row(row) == ROWS[0]
    del row["score_id"]  # of files that were written before there was one
    assert schema.from_row(row) == replace(ROWS[0], score_id="")


def test_a_perfect_score_may_be_a_little_above_one():
    schema.check_values({"recall@10": 1 + 1e-6})
    with pytest.raises(ValueError, match="fractions lie from -1 to 1"):
        schema.check_values({"recall@10": 1 + 2e-6})


def test_folders_on_the_way_to_a_file_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "results.jsonl"
    schema.append_results(path, [])
    assert path.is_file()
