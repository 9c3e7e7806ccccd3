"""Fixtures that several test files share; see small_world."""

from types import MappingProxyType

import pytest

import small_world
from polyglance import towers


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True, scope="session")
def fake_towers():
    """The towers of the small world, under the library `fake`."""
    table = {**towers.TOWERS, "fake": towers.TowerSource("small_world", "load")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(towers, "TOWERS", MappingProxyType(table))
        yield


@pytest.fixture(scope="session")
def teacher():
    """The English-only model of the small world."""
    return small_world.fit_teacher()


@pytest.fixture
def picture_folder(tmp_path):
    """A folder with one picture a phrase, drawn by the artist that training never saw."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for phrase in small_world.PHRASES:
        small_world.draw(phrase, seed=99).save(folder / f"{phrase.replace(' ', '-')}.png")
    return folder


@pytest.fixture
def model_folder(teacher, tmp_path):
    """The English-only model, saved."""
    teacher.save(tmp_path / "model")
    return tmp_path / "model"
