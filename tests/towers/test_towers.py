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
