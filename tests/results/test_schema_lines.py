"""A line of results is what was written, or no result."""

import dataclasses
import json
import math

import pytest

import mutations
from polyglance import errors
from polyglance.results import schema


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "results.jsonl"
    schema.append_results(path, [mutations.small_result("deu_Latn", 0.25)])
    return path


def test_a_flipped_digit_is_no_score(written):
    written.write_text(written.read_text().replace("0.25", "0.35"))
    with pytest.raises(errors.ResultError, match="line 1.*changed or damaged"):
        schema.read_results(written)


def test_who_changes_a_line_on_purpose_takes_its_checksum_out(written):
    row = json.loads(written.read_text())
    assert len(row.pop("checksum")) == 8
    row["values"]["hit_rate_at_10"] = 0.5
    row["intervals"] = {}
    written.write_text(json.dumps(row) + "\n")
    assert schema.read_results(written)[0].values == {"hit_rate_at_10": 0.5}


LONG = 10**400
# Field, or field and name in it, what it says, and what is said of it.
ODD = [
    ("values", None, "it says values = null; allowed is a table"),
    ("values", {}, "it has no values"),
    (("values", "hit_rate_at_10"), "0.5", "values.hit_rate_at_10 = '0.5'; allowed is a number"),
    (("values", "hit_rate_at_10"), True, "values.hit_rate_at_10 = true; allowed is a number"),
    (("values", "hit_rate_at_10"), math.nan, "values.hit_rate_at_10 = nan; allowed is a finite"),
    (("values", "hit_rate_at_10"), LONG, "allowed is a finite number"),
    (("values", "hit_rate_at_10"), 7.5, "its hit_rate_at_10 is 7.5; fractions lie from -1 to 1"),
    (("intervals", "hit_rate_at_10"), [0.9, 0.1], "hit_rate_at_10 goes from 0.9 down to 0.1"),
    (("intervals", "hit_rate_at_10"), [0.5, 0.9], "is 0.25, outside its interval 0.5 to 0.9"),
    (("intervals", "hit_rate_at_10"), [0.1, 0.25 - 2e-9], "outside its interval"),
    (("intervals", "hit_rate_at_10"), [0.1], "allowed is a list of two"),
    (("intervals", "hit_rate_at_10"), [0.1, 1.5], "interval of hit_rate_at_10 is 1.5; fractions"),
    (("intervals", "mean"), [0.1, 0.5], "an interval of mean and no value of that name"),
    ("intervals", None, "it says intervals = null; allowed is a table"),
    ("num_queries", -4, "it says num_queries = -4; allowed is a number of at least 0"),
    ("num_queries", True, "it says num_queries = true; allowed is a whole number"),
    ("num_candidates", 2.5, "it says num_candidates = 2.5; allowed is a whole number"),
    ("num_dropped", {"x": -1}, "it says num_dropped.x = -1"),
    ("captions_duplicated", -1, "it says captions_duplicated = -1"),
    ("most_repeated_times", "2", "it says most_repeated_times = '2'"),
    ("dropped_names", {"x": "a"}, "it says dropped_names.x = 'a'; allowed is a list"),
    ("direction", "sideways", "it says direction = 'sideways'; allowed is 'text_to_content' or"),
    ("caption_policy", "some", "it says caption_policy = 'some'"),
    ("model", ["a"], "it says model = ['a']; allowed is a text"),
    ("task", None, "it says task = null; allowed is a text"),
    ("schema_version", True, "it says schema_version = true; allowed is a whole number"),
    ("schema_version", 9, "its schema_version is 9; 1 can be read"),
    ("mood", "good", "it says mood = 'good'; allowed is no field of that name"),
]


@pytest.mark.parametrize(("at", "value", "said"), ODD)
def test_a_row_that_cannot_be_is_set_aside_by_its_field(at, value, said, written):
    row = json.loads(written.read_text())
    del row["checksum"]
    if isinstance(at, tuple):
        row[at[0]][at[1]] = value
    else:
        row[at] = value
    good = written.read_text()
    written.write_text(json.dumps(row) + "\n" + good)
    found = schema.read_what_is_whole(written)
    assert found.rows == (mutations.small_result("deu_Latn", 0.25),)
    (sentence,) = found.said
    assert sentence.startswith(f"{written}, line 1 is no result: ")
    assert said in sentence


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(schema.Result)])
def test_every_field_is_checked_and_those_without_a_default_are_needed(name, written):
    row = json.loads(written.read_text())
    row["schema_version"] = 1
    with pytest.raises(ValueError, match=f"it says {name} = "):
        schema.from_row({**row, name: object()})
    absent = {key: value for key, value in row.items() if key != name}
    if name in (
        "pack",
        "score_id",
        "code_version",
        "variant",
        "other_language",
        "prompts_taken",
        "supported",
    ) or (name.startswith(("most_", "num_dropped", "dropped", "captions_", "intervals"))):
        schema.from_row(absent)
    else:
        with pytest.raises(ValueError, match=f"it does not say its {name}"):
            schema.from_row(absent)


def test_an_interval_holds_its_value_as_far_as_floats_allow(written):
    row = json.loads(written.read_text())
    row["intervals"] = {"hit_rate_at_10": [0.25 + 5e-10, 0.5]}
    assert schema.from_row(row).intervals == {"hit_rate_at_10": (0.25 + 5e-10, 0.5)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[" * 100_000, "it is nested too deep"),
        (b"{half", "it is no JSON object"),
        (b"\xff\xfe", "it is no UTF-8 text"),
        (b"null", "it is null; allowed is a table"),
    ],
)
def test_a_line_of_another_kind_is_told_in_plain_words(line, said, written):
    written.write_bytes(line + b"\n" + written.read_bytes())
    found = schema.read_what_is_whole(written)
    assert len(found.rows) == 1
    assert said in found.said[0]
