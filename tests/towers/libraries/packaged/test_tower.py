"""Towers by their packaged names: which side they read, and a search with one end to end."""

import json
import sys

import pytest

import small_world
from polyglance import errors
from polyglance.towers import TOWERS, items_of, load_tower


def test_a_side_that_it_does_not_read_is_refused_with_those_that_do():
    with pytest.raises(errors.ConfigError, match="it reads text") as refused:
        load_tower("packaged:multilingual-e5-small", modality="image")
    assert "efficientnet-lite0" in refused.value.hint
    with pytest.raises(errors.ConfigError, match="packaged towers read"):
        load_tower("packaged:multilingual-e5-small", modality="audio")
    with pytest.raises(errors.UnknownNameError, match="unknown packaged tower 'e5'"):
        load_tower("packaged:e5", modality="text")
    assert items_of("packaged:efficientnet-lite0") == "image"
    assert TOWERS["packaged"].sides == ("image", "text")


def test_a_pack_by_its_name_is_trained_and_searched(
    run, made_up_e5, model_folder, picture_folder, english, tmp_path
):
    pack, index = tmp_path / "pack", tmp_path / "index"
    argv = ("train", "ridge", "-m", model_folder, "--tower", "packaged:made-up", "--text", english)
    code, out, err = run(*argv, "--out", pack)
    assert code == 0, err
    assert "packaged:made-up is converted once" in err
    manifest = json.loads((pack / "pack.json").read_text())
    assert manifest["tower"] == "packaged:made-up"
    assert {"deu_Latn", "zho_Hans"} <= set(manifest["languages"])
    assert run("index", picture_folder, "-m", model_folder, "--out", index)[0] == 0
    phrase = small_world.PHRASES[0]
    code, out, err = run("search", phrase, "--language", "de", "-i", index, "-p", pack, "--json")
    assert code == 0, err
    assert json.loads(out)["assumed"][0]["speaker"] == "pack"


def test_no_package_is_imported(made_up_e5):
    load_tower("packaged:made-up", modality="text")
    assert "made_up" not in sys.modules
