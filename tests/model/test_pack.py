"""Packs in half precision, and packs by the name under which they ship."""

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.heads.language_means import LanguageMeans
from polyglance.model import shipped
from polyglance.model.pack import HEAD_FILE, LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.storage import tensor_files


@pytest.fixture(scope="module")
def pack(teacher):
    tower = Side(small_world.load_reference("fake:accented"), "fake:accented")
    unpaired = [
        (language, small_world.translate(phrase, language))
        for language in small_world.LANGUAGES
        for phrase in small_world.PHRASES
    ]
    return ridge.train(
        small_world.PHRASES,
        teacher=teacher,
        tower=tower,
        config=ridge.RidgeConfig(),
        unpaired=unpaired,
    )


def test_a_rounded_pack_is_half_as_large_and_reads_as_it_was(pack, tmp_path):
    small = pack.rounded()
    pack.save(tmp_path / "whole")
    small.save(tmp_path / "half")
    whole, half = (tensor_files.read(tmp_path / name / HEAD_FILE) for name in ("whole", "half"))
    for name in ("weight", "bias", "language_means"):
        assert whole[name].dtype == np.float32
        assert half[name].dtype == np.float16
    assert half["probes"].dtype == np.float32  # not rounded: by them the space is known
    found = LanguagePack.load(tmp_path / "half")
    assert isinstance(found.side.means, LanguageMeans)
    assert found.side.means.offsets.dtype == found.probes.dtype == np.float32
    np.testing.assert_array_equal(found.side.means.offsets, small.side.means.offsets)
    np.testing.assert_array_equal(found.side.head.weight, small.side.head.weight)
    np.testing.assert_allclose(small.side.head.weight, pack.side.head.weight, rtol=1e-3, atol=1e-6)
    assert found.side.space_id == small.side.space_id != pack.side.space_id


def test_a_pack_by_its_name(shipped_world, tmp_path, monkeypatch):
    assert LanguagePack.load("small-ridge").manifest.recipe == "ridge"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small-ridge").mkdir()  # no pack: the one that ships is meant
    assert LanguagePack.load("small-ridge").manifest.recipe == "ridge"
    assert shipped.pack_location("elsewhere") == "elsewhere"


def test_a_pack_of_the_users_of_that_name_wins(shipped_world, pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack.save(tmp_path / "small-ridge")
    assert LanguagePack.load("small-ridge").manifest.tower == "fake:accented"


def test_a_pack_of_the_table_that_is_not_there_is_refused(shipped_world, monkeypatch):
    monkeypatch.setitem(shipped.PACKS, "small-m2m", shipped.ShippedPack(model="small", what="x"))
    with pytest.raises(errors.UnavailableError, match="no language pack"):
        LanguagePack.load("small-m2m")
    assert shipped.default_packs("small") == ("small-ridge",)
