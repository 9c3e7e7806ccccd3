"""A line of results is what was written, or no result."""

import json

import pytest

import mutations
from polyglance import errors, results


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "results.jsonl"
    results.append_results(path, [mutations.small_result("deu_Latn", 0.25)])
    return path


def test_a_flipped_digit_is_no_score(written):
    written.write_text(written.read_text().replace("0.25", "0.35"))
    with pytest.raises(errors.ResultError, match="line 1.*changed or damaged"):
        results.read_results(written)


def test_who_changes_a_line_on_purpose_takes_its_checksum_out(written):
    row = json.loads(written.read_text())
    assert len(row.pop("checksum")) == 8
    row["values"]["hit_rate_at_10"] = 0.5
    written.write_text(json.dumps(row) + "\n")
    assert results.read_results(written)[0].values == {"hit_rate_at_10": 0.5}
