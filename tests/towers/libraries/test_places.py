"""Where a reference's files lie, without a library that would load them."""

import pytest

from polyglance import errors
from polyglance.towers import parse_reference
from polyglance.towers.libraries import places
from polyglance.towers.libraries.packaged import conversion


@pytest.fixture
def converted(monkeypatch, tmp_path):
    """Every packaged tower lies in one folder here; nothing is installed or converted."""
    asked = []
    monkeypatch.setattr(conversion, "folder_of", lambda name: asked.append(name) or tmp_path)
    return tmp_path, asked


@pytest.mark.parametrize("library", ["hf", "sentence"])
def test_a_path_is_its_own_folder(library, tmp_path):
    assert places.folder_of(parse_reference(f"{library}:{tmp_path}")) == tmp_path


@pytest.mark.parametrize("library", ["hf", "sentence"])
def test_a_path_that_is_not_there(library, tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no folder"):
        places.folder_of(parse_reference(f"{library}:{tmp_path}/none"))


@pytest.mark.parametrize("name", ["multilingual-e5-small", "Multilingual-E5-Small"])
@pytest.mark.parametrize("library", ["packaged", "sentence"])
def test_a_packaged_checkpoint_is_the_converted_folder(library, name, converted):
    folder, asked = converted
    assert places.folder_of(parse_reference(f"{library}:{name}")) == folder
    assert asked == [name]


@pytest.mark.parametrize("name", ["use-multilingual-v3", "efficientnet-lite0"])
def test_what_is_no_checkpoint_has_no_folder_and_is_not_converted(name, converted):
    assert places.folder_of(parse_reference(f"packaged:{name}")) is None
    assert converted[1] == []


def test_a_folder_of_the_users_wins_over_a_packaged_name(converted, monkeypatch, tmp_path):
    (tmp_path / "here" / "all-minilm-l6-v2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    found = places.folder_of(parse_reference("sentence:all-minilm-l6-v2"))
    assert found.resolve() == tmp_path / "here" / "all-minilm-l6-v2"
    assert converted[1] == []


def test_an_unknown_packaged_tower_is_named():
    with pytest.raises(errors.UnknownNameError, match="multilingual-e5-smal"):
        places.folder_of(parse_reference("packaged:multilingual-e5-smal"))


@pytest.mark.parametrize("reference", ["openclip:ViT-B-32", "precomputed:/a"])
def test_other_libraries_keep_no_checkpoint_folder(reference):
    assert places.folder_of(parse_reference(reference)) is None
