"""Every entry of the table of towers names a module and a function that exist."""

import importlib
import inspect

import pytest

from polyglance import errors
from polyglance.towers import TOWERS, TowerSource, parse_reference

# Our own module, not the library: each imports its library when it loads a tower.
BUILT_IN = {
    name: source for name, source in TOWERS.items() if source.module.startswith("polyglance.")
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_entry_resolves(name):
    source: TowerSource = BUILT_IN[name]
    function = getattr(importlib.import_module(source.module), source.function)
    assert list(inspect.signature(function).parameters) == ["reference", "modality"]


def test_an_option_that_is_there_twice_is_refused():
    assert parse_reference("sentence:x?prompt=a").options == {"prompt": "a"}
    both = parse_reference("sentence:x?prefix=cats %26 dogs, 100%25: &device=cpu")
    assert both.options == {"prefix": "cats & dogs, 100%: ", "device": "cpu"}
    assert parse_reference(str(both)) == both
    with pytest.raises(errors.ConfigError, match="option prompt twice"):
        parse_reference("sentence:x?prompt=a&prompt=b")


def test_a_folder_that_is_no_model_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pack").mkdir()
    with pytest.raises(errors.ConfigError, match="'pack' is a folder without model.json") as caught:
        parse_reference("pack")
    assert "a language pack is named beside its model" in caught.value.hint
    with pytest.raises(errors.ConfigError, match="'' is no tower reference"):
        parse_reference("")
