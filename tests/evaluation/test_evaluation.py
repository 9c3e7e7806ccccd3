"""Measured once a language, resumed, and right against a count by hand."""

import json

import numpy as np
import pytest

import small_world
from polyglance import errors, evaluation
from polyglance.encoding.texts import VectorCache
from polyglance.results import schema
from polyglance.tasks.retrieval import RetrievalData

IDS = tuple(f"{p.replace(' ', '-')}.png" for p in small_world.PHRASES)


def task(languages=("eng_Latn", "deu_Latn")):
    seen = np.arange(len(IDS)) % 5 != 0
    return RetrievalData(
        task="shapes",
        item_ids=IDS,
        captions={language: small_world.captions(language) for language in languages},
        policy="first",
        splits={"seen": seen, "held_out": ~seen},
    )


@pytest.fixture(scope="module")
def contents(teacher):
    return teacher.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])


def measure(teacher, contents, data=None, **options):
    return evaluation.evaluate(
        teacher, data or task(), contents=contents, name="teacher", model_id="t", **options
    )


def test_values_are_those_counted_by_hand(teacher, contents):
    rows = measure(teacher, contents)
    texts = teacher.encode_texts(list(small_world.PHRASES), languages=None)
    scores = texts @ contents.T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    for split, members in task().splits.items():
        row = next(
            r
            for r in rows
            if (r.language, r.split, r.direction) == ("eng_Latn", split, "text_to_content")
        )
        assert row.values["hit_rate_at_10"] == pytest.approx((ranks[members] < 10).mean())
        low, high = row.intervals["hit_rate_at_10"]
        assert low <= row.values["hit_rate_at_10"] <= high
        assert (row.num_queries, row.num_candidates) == (members.sum(), len(IDS))


def test_resumes_by_language_and_encodes_nothing_twice(teacher, contents, tmp_path):
    out = tmp_path / "results.jsonl"
    first = measure(teacher, contents, task(("eng_Latn",)), out=out)
    tower = teacher.text.tower
    before = tower.num_encoded
    again = measure(teacher, contents, task(("eng_Latn",)), out=out)
    assert tower.num_encoded == before
    assert again == first
    assert len(schema.read_results(out)) == len(first)
    measure(teacher, contents, task(), out=out)
    assert tower.num_encoded == before + len(IDS)


def test_an_interrupted_language_is_measured_again(teacher, contents, tmp_path):
    out = tmp_path / "results.jsonl"
    whole = measure(teacher, contents, out=out)
    text = out.read_text()
    out.write_text("".join(text.splitlines(keepends=True)[:-1]) + '{"task": "sha')
    again = measure(teacher, contents, out=out)
    assert again == whole


def test_cache_is_read_by_the_next_model_with_the_same_tower(teacher, contents, tmp_path):
    cache = VectorCache(tmp_path / "texts")
    measure(teacher, contents, cache=cache)
    before = teacher.text.tower.num_encoded
    measure(teacher, contents, cache=cache)
    assert teacher.text.tower.num_encoded == before


def test_a_language_the_task_lacks(teacher, contents):
    with pytest.raises(errors.LanguageError, match="nothing in fra_Latn"):
        measure(teacher, contents, languages=["fra_Latn"])


def test_without_somebody_to_tell_a_language_the_tower_lacks_stops_the_run(teacher, contents):
    class Lacking:
        def encode_texts(self, texts, *, languages, cache=None):
            if "eng_Latn" in languages:
                raise errors.TowerLacksLanguageError("no English", hint="another tower")
            return teacher.encode_texts(texts, languages=languages)

    with pytest.raises(errors.TowerLacksLanguageError, match="no English"):
        measure(Lacking(), contents)
    told = []
    rows = measure(Lacking(), contents, set_aside=told.append)
    assert {row.language for row in rows} == {"deu_Latn"}
    assert [item.id for item in told] == ["eng_Latn"]


def test_vectors_of_another_width(teacher):
    with pytest.raises(errors.VectorError, match="width 24.*width 3"):
        measure(teacher, np.eye(len(IDS), 3, dtype=np.float32) + 1)


def test_missing_images_drop_their_captions_and_are_counted(teacher, contents):
    data = task().only(IDS[3:], reason="items_missing")
    rows = measure(teacher, contents[3:], data)
    assert rows[0].num_dropped["items_missing"] == 3
    assert rows[0].num_dropped["captions_without_content"] == 3
    assert rows[0].num_candidates == len(IDS) - 3


def test_no_image_at_all():
    with pytest.raises(errors.UnavailableError, match="not one of the 72 items"):
        task().only([], reason="items_missing")


def test_a_constant_model_is_exactly_at_chance(contents):
    class Constant:
        space_id = "x"

        def encode_texts(self, texts, *, languages, cache=None):
            return np.tile(contents[:1], (len(texts), 1))

    same = np.tile(contents[:1], (len(contents), 1))
    rows = evaluation.evaluate(Constant(), task(), contents=same, name="c", model_id="c")
    for row in rows:
        assert row.values["hit_rate_at_10"] == pytest.approx(10 / 72)


class TestResults:
    def test_a_damaged_line_is_named(self, tmp_path):
        (tmp_path / "r.jsonl").write_text('{"schema_version": 1}\n')
        with pytest.raises(errors.ResultError, match="line 1"):
            schema.read_results(tmp_path / "r.jsonl")

    def test_another_schema(self, teacher, contents, tmp_path):
        out = tmp_path / "r.jsonl"
        measure(teacher, contents, out=out)
        row = json.loads(out.read_text().splitlines()[0]) | {"schema_version": 99}
        row.pop("checksum")
        out.write_text(json.dumps(row) + "\n")
        with pytest.raises(errors.ResultError, match="schema_version"):
            schema.read_results(out)

    def test_absent(self, tmp_path):
        with pytest.raises(errors.UnavailableError):
            schema.read_results(tmp_path / "none.jsonl")

    def test_what_may_be_compared(self, teacher, contents):
        rows = measure(teacher, contents)
        seen, held_out = rows[0], rows[2]
        assert seen.kind == rows[4].kind
        assert seen.kind != held_out.kind
