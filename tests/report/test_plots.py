from __future__ import annotations

import json
import sys

import pytest

from polyglance import errors
from polyglance.report import plots


@pytest.mark.parametrize("spec", [plots.bars(), plots.scatter(across="seen", up="held out")])
def test_specifications_name_no_host_and_hold_no_rows(spec):
    text = json.dumps(spec)
    assert "http" not in text
    assert '"name": "rows"' in text
    assert spec["width"] == "container"
    assert {"datasets", "config", "$schema"}.isdisjoint(spec)


def test_axes_of_the_scatter_are_named():
    text = json.dumps(plots.scatter(across="seen", up="<b>held out"))
    assert '"title": "seen"' in text
    assert '"title": "<b>held out"' in text


def test_the_order_of_bars_is_that_of_the_rows():
    for layer in plots.bars()["layer"]:
        assert layer["encoding"]["y"]["sort"] is None


@pytest.fixture
def bundles(monkeypatch, tmp_path):
    made = []

    def bundle(snippet, version):
        made.append(version)
        return "window.vegaEmbed = null"

    monkeypatch.setattr("vl_convert.javascript_bundle", bundle)
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    return made


def test_the_script_is_put_together_once(bundles):
    assert plots.script() == plots.script() == "window.vegaEmbed = null"
    assert len(bundles) == 1
    assert bundles[0].count(".") == 1


def test_the_script_needs_no_cache(bundles, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert plots.script() == plots.script() == "window.vegaEmbed = null"
    assert len(bundles) == 2


def test_without_the_extra_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(errors.MissingExtraError, match=r"polyglance\[report\]"):
        plots.script()
