"""What is learnt from and tested as well is found in every kind of data, counted, and left out."""

from dataclasses import replace

import numpy as np
import pytest

import compare_world
import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data import image_text
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Caption, MediaFile, Pair
from polyglance.tasks import leakage
from polyglance.tasks.text import BitextData

TESTED = small_world.PHRASES[:6]


@pytest.fixture
def data():
    whole = compare_world.retrieval_data()
    kept = tuple(f"{phrase.replace(' ', '-')}.png" for phrase in TESTED)
    captions = {
        name: [Caption(c.item_id, c.text.title() + ".", c.language) for c in listed[:6]]
        for name, listed in whole.captions.items()
        if name in (ENGLISH, "hin_Deva")
    }
    return replace(
        whole, item_ids=kept, captions=captions, splits={"test": np.ones(len(kept), bool)}
    )


@pytest.fixture(scope="module")
def training_data(teacher):
    return compare_world.training_data(teacher)


def test_normal_forms_are_found_in_every_part(data, training_data):
    found = leakage.screen(
        training_data, [leakage.of_task(data, modality="image")], policy="leave-out"
    )
    # Hindi words have no case, but the full stop is another spelling still.
    assert found.facts["checked_against"]["shapes"] == {
        "texts": 0,
        "texts_in_other_spelling": 12,
        "images": None,  # there were none to compare
    }
    left = found.training_data
    assert len(left.english) == 66
    tested = {(p, small_world.translate(p, "hin_Deva")) for p in TESTED}
    assert not {(p.text_a, p.text_b) for p in left.parallel} & tested
    assert not set(TESTED) & {pair.text_a for pair in left.parallel}
    texts = {(c.language, c.text) for c in left.image_text.captions}
    assert (ENGLISH, TESTED[0]) not in texts
    assert ("deu_Latn", small_world.translate(TESTED[0], "deu_Latn")) in texts  # not tested
    hindi = [
        t
        for t, name in zip(left.banks.texts, left.banks.languages, strict=True)
        if name == "hin_Deva"
    ]
    assert len(hindi) == 66


def test_texts_of_the_banks_are_counted_where_nothing_else_is_learnt_from(data, training_data):
    alone = replace(
        training_data, english=(), parallel=(), translations=(), related=(), image_text=None
    )
    found = leakage.screen(alone, [leakage.of_task(data, modality="image")], policy="leave-out")
    assert found.facts["checked_against"]["shapes"]["texts_in_other_spelling"] == 6


def test_bitexts_are_screened_on_both_sides(data, training_data):
    said = [(p, small_world.translate(p, "hin_Deva")) for p in (TESTED[0], "no such thing")]
    bitexts = [
        Pair(small_world.translate(p, "deu_Latn"), "deu_Latn", h, "hin_Deva") for p, h in said
    ]
    bitexts.append(Pair(said[0][1], "hin_Deva", "etwas", "deu_Latn"))
    alone = replace(training_data, english=(), parallel=(), related=(), image_text=None, banks=None)
    test = leakage.of_task(data, modality="image")
    found = leakage.screen(replace(alone, translations=bitexts), [test], policy="leave-out")
    assert found.facts["checked_against"]["shapes"]["texts_in_other_spelling"] == 1
    assert found.training_data.translations == bitexts[1:2]


def test_images_by_their_bytes_whatever_they_are_called(data, training_data, tmp_path):
    for number, name in enumerate(data.item_ids):
        (tmp_path / name).write_bytes(b"picture %d" % number)
    tested = leakage.of_task(
        replace(data, captions={ENGLISH: []}), items=tmp_path, modality="image"
    )
    own = tmp_path / "training"
    own.mkdir()
    files = [MediaFile("other-name.png", own / "x.png", modality="image")]
    files[0].path.write_bytes(b"picture 3")
    key = leakage.content_key(files[0].path.read_bytes())
    keys = {training_data.image_text.item_ids[5]: key}
    ids = list(training_data.image_text.item_ids)
    found = leakage.screen(
        training_data, [tested], policy="leave-out", item_keys=keys, bank_ids=ids
    )
    assert found.facts["checked_against"]["shapes"]["images"] == 1
    assert ids[5] not in found.training_data.image_text.item_ids
    assert len(found.training_data.banks.images) == 71


def test_precomputed_vectors_by_id(data, training_data):
    tested = leakage.of_task(replace(data, captions={ENGLISH: []}), modality="image", by_id=True)
    ids = list(training_data.image_text.item_ids)
    found = leakage.screen(
        training_data, [tested], policy="leave-out", item_keys={i: i for i in ids}, bank_ids=ids
    )
    assert len(found.training_data.image_text.item_ids) == 66


def test_refused_allowed_and_unknown(data, training_data):
    tested = leakage.of_task(data, modality="image")
    with pytest.raises(errors.TrainingError, match="shapes: 0 texts as they stand, 12 in another"):
        leakage.screen(training_data, [tested], policy="refuse")
    allowed = leakage.screen(training_data, [tested], policy="allow")
    assert allowed.training_data is training_data
    assert allowed.facts["policy"] == "allow"
    with pytest.raises(errors.UnknownNameError, match="leave-out"):
        leakage.screen(training_data, [tested], policy="leaveout")
    clean = leakage.screen(TrainingData(english=["a dog"]), [tested], policy="refuse")
    assert clean.training_data.english == ["a dog"]


def test_texts_of_translation_tasks():
    pairs = {"deu_Latn": [Pair("ein Hund", "deu_Latn", "a dog", ENGLISH)]}
    task = BitextData(task="tatoeba", pairs=pairs, num_empty={})
    found = leakage.of_task(task, modality="image")
    assert found.texts == {("deu_Latn", "ein Hund"), (ENGLISH, "a dog")}


def test_an_item_that_nobody_speaks_of_any_more_leaves():
    captions = [Caption("a", "one", ENGLISH), Caption("b", "two", ENGLISH)]
    joined = image_text.join(captions, item_ids=["a", "b"], contents=np.eye(2, dtype=np.float32))
    left = leakage._with_captions(joined, captions[1:])
    assert tuple(left.item_ids) == ("b",)
    assert [caption.text for caption in left.captions] == ["two"]
    assert leakage._with_captions(joined, []) is None
