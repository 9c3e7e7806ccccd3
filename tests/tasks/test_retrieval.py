"""The publishers' files become tasks: right languages, right splits, right counts."""

import pytest

from polyglance import errors, tasks
from shared_data import SHARED, needs_shared


def flickr8k(folder):
    folder.mkdir()
    rows = ["image\tsplit", "a.jpg\ttrain", "b.jpg\ttest", "c.jpg\ttest"]
    (folder / "images.tsv").write_text("\n".join(rows) + "\n")
    for code, word in (("en", "dog"), ("zh", "狗")):
        lines = [f"{name}.jpg\t{word} {name} {i}" for name in "abc" for i in range(2)]
        (folder / f"captions.{code}.tsv").write_text("image\tcaption\n" + "\n".join(lines) + "\n")
    return folder


def test_flickr8k_takes_the_test_split_in_all_languages(tmp_path):
    data = tasks.get_task("flickr8k").load(flickr8k(tmp_path / "f"), None)
    assert data.item_ids == ("b.jpg", "c.jpg")
    assert set(data.captions) == {"eng_Latn", "zho_Hans"}
    assert len(data.captions["zho_Hans"]) == 4


def test_only_the_languages_asked_for_are_read(tmp_path):
    data = tasks.get_task("flickr8k").load(flickr8k(tmp_path / "f"), ["eng_Latn"])
    assert set(data.captions) == {"eng_Latn"}


def test_a_language_that_is_not_there(tmp_path):
    with pytest.raises(errors.LanguageError, match="deu_Latn"):
        tasks.get_task("flickr8k").load(flickr8k(tmp_path / "f"), ["deu_Latn"])


@pytest.mark.parametrize("name", ["flickr8k", "xtd10", "xtd200", "xm3600"])
def test_without_a_folder_the_hint_says_how_to_give_one(name):
    with pytest.raises(errors.UnavailableError, match="not part of polyglance") as caught:
        tasks.get_task(name).load(None, None)
    assert "--data" in caught.value.hint


def test_unknown_task():
    with pytest.raises(errors.UnknownNameError, match="unknown task 'xtd'"):
        tasks.get_task("xtd")


def test_data_id_changes_with_texts_and_contents(tmp_path):
    data = tasks.get_task("flickr8k").load(flickr8k(tmp_path / "f"), None)
    fewer = data.only(["b.jpg"], reason="items_missing")
    ids = {data.data_id("eng_Latn"), data.data_id("zho_Hans"), fewer.data_id("eng_Latn")}
    assert len(ids) == 3


@needs_shared
@pytest.mark.parametrize(
    ("name", "num_languages", "num_contents"),
    [("flickr8k", 6, 1000), ("xtd10", 11, 1000), ("xtd200", 201, 1000), ("xm3600-uclip", 36, 3600)],
)
def test_real_files(name, num_languages, num_contents):
    data = tasks.load_task(name, SHARED)
    assert len(data.captions) == num_languages == tasks.get_task(name).num_languages
    assert len(data.item_ids) == num_contents
    assert data.task == name
