"""Folders are taken as they are; a hub name comes from the cache, or an error names the command."""

import pytest

from polyglance import errors
from polyglance.towers.runtime import checkpoints


def test_a_folder_is_itself(tmp_path):
    assert checkpoints.find_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "~/no-such-folder-here", "a/b/c"])
def test_a_path_that_is_not_there_is_not_looked_up(path):
    with pytest.raises(errors.UnavailableError, match="there is no folder"):
        checkpoints.find_folder(path)


def test_no_network_and_empty_cache_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(errors.UnavailableError) as caught:
        checkpoints.find_folder("someone/model", revision="v2")
    assert "someone/model" in caught.value.message
    assert caught.value.hint.endswith("hf download someone/model --revision v2")


def test_the_cache_is_used_first(tmp_path, monkeypatch):
    root = tmp_path / "models--someone--model"
    snapshot = root / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("a" * 40)
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert checkpoints.find_folder("someone/model") == snapshot


def test_what_is_no_name_is_refused():
    with pytest.raises(errors.UnavailableError, match="not a name!"):
        checkpoints.find_folder("not a name!")


def test_json_that_is_absent_or_broken(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"has no config\.json"):
        checkpoints.read_json(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(errors.ConfigError, match="is no JSON"):
        checkpoints.read_json(tmp_path / "config.json")
