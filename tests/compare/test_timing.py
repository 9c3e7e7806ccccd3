"""Translation, text and item are timed apart, and nothing is said of what cannot be timed."""

import time

import numpy as np
import pytest

import compare_world
import small_world
from polyglance.compare import timing
from polyglance.model.pack import LanguagePack


def slow(seconds, answer):
    def work(*_):
        time.sleep(seconds)
        return answer

    return work


def test_the_parts_of_a_query_are_timed_apart(teacher, picture_folder):
    vector = np.ones((1, teacher.content.dim), np.float32)
    found = timing.times_of(
        compare_world.retrieval_data(),
        encode=slow(0.004, vector),
        translate=slow(0.02, ["big red circle"]),
        content=teacher,
        images=picture_folder,
    )
    assert 20 <= found.translation < 60
    assert 4 <= found.text < 18
    assert found.query == pytest.approx(found.translation + found.text, rel=0.3)
    assert 0 < found.item < 100


def test_what_is_not_there_is_not_timed(teacher):
    asked = []

    def encode(texts, language):
        asked.append((tuple(texts), language))
        return np.ones((len(texts), 3), np.float32)

    found = timing.times_of(
        compare_world.retrieval_data(), encode=encode, translate=None, content=teacher, images=None
    )
    assert (found.translation, found.item) == (None, None)
    assert found.query == found.text > 0
    # One text at a time, of a language other than English, and one more than is counted.
    assert len(asked) == timing.NUM_TIMED + 1
    assert {(len(texts), language) for texts, language in asked} == {(1, "deu_Latn")}


def test_what_is_translated_is_read_as_english(teacher):
    asked = []

    def encode(texts, language):
        asked.append((texts[0], language))
        return np.ones((1, 3), np.float32)

    timing.times_of(
        compare_world.retrieval_data(),
        encode=encode,
        translate=compare_world.translate,
        content=teacher,
        images=None,
    )
    assert asked[0] == (small_world.PHRASES[0], "eng_Latn")


def test_an_item_goes_through_the_heads_of_its_pack(teacher, pack_folder, picture_folder):
    encoder = teacher.with_pack(LanguagePack.load(pack_folder))
    tower = teacher.content.tower
    before = tower.num_encoded
    found = timing.times_of(
        compare_world.retrieval_data(),
        encode=slow(0, np.ones((1, 3), np.float32)),
        translate=None,
        content=encoder,
        images=picture_folder,
    )
    assert found.item > 0
    assert tower.num_encoded == before + timing.NUM_TIMED + 1
