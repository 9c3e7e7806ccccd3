"""The cache, and folders by path or hub id."""

from pathlib import Path

import pytest

from polyglance import errors
from polyglance.storage import atomic, locations


def test_the_cache_folder_can_be_chosen(monkeypatch):
    monkeypatch.setenv("POLYGLANCE_CACHE", "/somewhere")
    assert locations.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("POLYGLANCE_CACHE")
    assert locations.cache_folder() == Path.home() / ".cache" / "polyglance"


def test_no_home_folder_asks_for_the_variable(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("POLYGLANCE_CACHE")
    monkeypatch.setattr(atomic.Path, "home", nobody)
    with pytest.raises(errors.UnavailableError, match="no home folder") as caught:
        locations.cache_folder()
    assert "POLYGLANCE_CACHE" in caught.value.hint


def test_local_folder_prefers_what_is_there(tmp_path, monkeypatch):
    (tmp_path / "own" / "pack").mkdir(parents=True)
    (tmp_path / "own" / "pack" / "pack.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = locations.local_folder("own/pack", kind="pack", marker="pack.json")
    assert found == Path("own/pack")
    with pytest.raises(errors.UnavailableError, match=r"no model\.json in it"):
        locations.local_folder("own/pack", kind="model", marker="model.json")
    with pytest.raises(errors.UnavailableError, match="there is no pack at /nowhere"):
        locations.local_folder("/nowhere", kind="pack", marker="pack.json")


def test_local_folder_asks_the_hub_for_an_id(tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "pack.json").write_text("{}")
    asked = []

    def given(name):
        asked.append(name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", given)
    assert locations.local_folder("someone/a-pack", kind="pack", marker="pack.json") == tmp_path
    assert asked == ["someone/a-pack"]

    def refused(name):
        raise ConnectionError("offline\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(errors.UnavailableError, match=r"ConnectionError: offline\)"):
        locations.local_folder("someone/a-pack", kind="pack", marker="pack.json")
