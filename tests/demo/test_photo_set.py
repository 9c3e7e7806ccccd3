"""A captioned set is read by its files: test photos searched, train captions learnt from."""

import pytest

import captioned_photos
import small_world
from polyglance import errors
from polyglance.demo import photo_set
from polyglance.languages.registry import ENGLISH


@pytest.fixture
def folder(tmp_path):
    return captioned_photos.write(tmp_path / "set")


def of_split(split):
    listed = enumerate(small_world.PHRASES)
    return [phrase for number, phrase in listed if captioned_photos.split_of(number) == split]


def test_a_folder_is_captioned_by_its_files(folder, tmp_path, picture_folder):
    assert photo_set.is_captioned(folder)
    assert not photo_set.is_captioned(picture_folder)
    (folder / "images.tsv").rename(tmp_path / "images.tsv")
    assert not photo_set.is_captioned(folder)


def test_the_test_photos_are_searched_and_no_other(folder):
    found = photo_set.load(folder)
    assert sorted(found.test.item_ids) == sorted(map(captioned_photos.name_of, of_split("test")))
    assert found.test.policy == "first"
    left_out = {captioned_photos.name_of(phrase) for phrase in of_split("train") + of_split("dev")}
    assert set(found.exclude) == left_out
    name = found.test.item_ids[0]
    assert (
        captioned_photos.name_of(found.english_captions[name]) == name
    )  # the first one, not "the ..."


def test_the_folder_with_most_test_photos_is_taken(folder):
    few = folder / "a few"
    few.mkdir()
    name = captioned_photos.name_of(of_split("test")[0])
    (few / name).write_bytes((folder / "all-photos" / name).read_bytes())
    assert photo_set.load(folder).photos == folder / "all-photos"


def test_photos_may_lie_beside_the_captions(tmp_path):
    folder = captioned_photos.write(tmp_path / "set", inside=".")
    assert photo_set.load(folder).photos == folder


def test_captions_without_their_photos_are_refused(folder):
    for photo in (folder / "all-photos").iterdir():
        photo.unlink()
    with pytest.raises(errors.InputError, match="none of those photos") as caught:
        photo_set.load(folder)
    assert str(folder / "photos") in caught.value.hint


def test_nothing_that_a_pack_learns_from_is_paired(folder):
    data, pairs = photo_set.training_data(folder)
    train = set(of_split("train"))
    english = {text.removeprefix("the ") for text in data.english}
    others = {
        " ".join(small_world.MEANING[word] for word in text.split()) for _, text in data.unpaired
    }
    assert english | others == train
    assert not english & others
    assert {language for language, _ in data.unpaired} == {"deu_Latn", "hin_Deva", "arb_Arab"}
    assert len(data.english) == 2 * len(english)
    dev = set(of_split("dev"))
    assert {pair.text_a for pair in pairs} == dev
    assert len(pairs) == 3 * len(dev)
    assert all(pair.language_a == ENGLISH for pair in pairs)


def test_texts_a_language_are_limited(folder, monkeypatch):
    monkeypatch.setattr(photo_set, "TEXTS_A_LANGUAGE", 5)
    data, _ = photo_set.training_data(folder)
    assert len(data.unpaired) == 3 * 5


def test_a_set_without_a_dev_split_measures_on_what_is_held_out(folder):
    text = (folder / "images.tsv").read_text().replace("\tdev", "\ttrain")
    (folder / "images.tsv").write_text(text)
    data, pairs = photo_set.training_data(folder)
    assert pairs == []
    assert data.english
