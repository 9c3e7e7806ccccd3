"""The user's own indexes: one a folder and model, never inside the photos, and the last of them."""

import shlex
import shutil
from dataclasses import replace

import pytest

import small_world
from polyglance import errors
from polyglance.search import own_indexes
from polyglance.storage.identity import MANIFEST_NAME


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "My photos"
    folder.mkdir()
    return folder


def made(index):
    index.mkdir(parents=True)
    (index / MANIFEST_NAME).write_text("{}")
    own_indexes.note_last(index)
    return index


def test_a_folder_has_one_index_by_a_model_however_it_is_written(photos, monkeypatch, tmp_path):
    found = own_indexes.place_of(photos, model="photos")
    assert found.parent == own_indexes.folder()
    assert found.name.startswith("My-photos-")
    (tmp_path / "link").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    for way in (tmp_path / "link", photos / ".." / photos.name, photos.relative_to(tmp_path)):
        assert own_indexes.place_of(way, model="photos") == found
    (tmp_path / "other" / "My photos").mkdir(parents=True)
    others = [
        own_indexes.place_of(photos, model="photos-open"),
        own_indexes.place_of(tmp_path / "other" / "My photos", model="photos"),
    ]
    assert len({found, *others}) == 3


def test_a_model_that_was_made_anew_has_another_index(photos, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    found = []
    for text in ('{"space_id": "a"}', '{"space_id": "a", "x": 1}', '{"space_id": "b"}', "{", "[]"):
        (model / "model.json").write_text(text)
        found.append(own_indexes.place_of(photos, model=str(model)))
    assert found[0] == found[1] != found[2] != found[3] == found[4]


def test_the_index_is_never_inside_of_what_is_indexed(photos, monkeypatch):
    monkeypatch.setenv("POLYGLANCE_DATA", str(photos / "data"))
    with pytest.raises(errors.OutputError, match="which is inside of .*My photos"):
        own_indexes.place_of(photos, model="photos")


def test_the_last_one_is_asked(photos):
    with pytest.raises(errors.UnavailableError, match="none was made yet"):
        own_indexes.last()
    first = made(own_indexes.place_of(photos, model="photos"))
    second = made(own_indexes.place_of(photos, model="photos-open"))
    assert own_indexes.last() == second
    own_indexes.note_last(first)
    assert own_indexes.last() == first


def test_where_the_last_one_is_gone_the_others_are_named(photos):
    first = made(own_indexes.place_of(photos, model="photos"))
    second = made(own_indexes.place_of(photos, model="photos-open"))
    shutil.rmtree(second)
    with pytest.raises(errors.UnavailableError, match="the last one that was made is gone") as said:
        own_indexes.last()
    assert first.name in said.value.message
    assert f"--index {shlex.quote(str(first))}" in said.value.hint


@pytest.mark.parametrize("noted", ["../elsewhere\n", "gone\n", "", "/etc\n", "."])
def test_a_note_that_leads_nowhere_is_no_index(noted, tmp_path):
    (tmp_path / "data" / "elsewhere").mkdir(parents=True)
    (tmp_path / "data" / "elsewhere" / MANIFEST_NAME).write_text("{}")
    own_indexes.folder().mkdir()
    (own_indexes.folder() / MANIFEST_NAME).write_text("{}")
    (own_indexes.folder() / own_indexes.LAST).write_text(noted)
    with pytest.raises(errors.UnavailableError, match="none was made yet"):
        own_indexes.last()


def test_other_weights_of_a_model_that_ships_get_another_index(photos, shipped_world):
    before = own_indexes.place_of(photos, model="small")
    assert own_indexes.place_of(photos, model="small") == before
    other = small_world.fit_teacher()
    head = other.content.head
    content = replace(other.content, head=replace(head, bias=head.bias + 1))
    replace(other, content=content).save(shipped_world / "small")
    after = own_indexes.place_of(photos, model="small")
    assert after != before
    assert after.parent == before.parent
