"""Fingerprints follow tensors and facts; only safetensors are opened."""

import json

import pytest
import torch
from safetensors.torch import save_file

from polyglance import errors
from polyglance.storage import made_once
from polyglance.towers.runtime import weights

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(2.5), "n": torch.tensor([1, 2])}


def test_fingerprint_is_32_hexadecimal_characters_and_ignores_order():
    name = weights.fingerprint(TENSORS, facts={"x": 1})
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert weights.fingerprint(dict(sorted(TENSORS.items())), facts={"x": 1}) == name


@pytest.mark.parametrize(
    "change",
    [
        {"b": TENSORS["b"] + 1e-6},
        {"b": TENSORS["b"].reshape(3, 2)},
        {"c": TENSORS["b"]},
        {"n": torch.tensor([2, 1])},
    ],
)
def test_any_change_gives_another_name(change):
    assert weights.fingerprint({**TENSORS, **change}, facts={}) != weights.fingerprint(
        TENSORS, facts={}
    )


def test_layout_in_memory_does_not_matter():
    turned = {**TENSORS, "b": TENSORS["b"].T.contiguous().T}
    assert weights.fingerprint(turned, facts={}) == weights.fingerprint(TENSORS, facts={})


def test_stored_tensors_come_by_name_from_one_file_or_several(tmp_path):
    one, several = tmp_path / "one", tmp_path / "several"
    one.mkdir()
    several.mkdir()
    save_file(TENSORS, one / "model.safetensors")
    save_file({"a": TENSORS["a"], "n": TENSORS["n"]}, several / "x-2.safetensors")
    save_file({"b": TENSORS["b"]}, several / "x-1.safetensors")
    index = {"weight_map": {"a": "x-2.safetensors", "n": "x-2.safetensors", "b": "x-1.safetensors"}}
    (several / "model.safetensors.index.json").write_text(json.dumps(index))
    for folder in (one, several):
        assert [name for name, _ in weights.stored_tensors(folder)] == ["a", "b", "n"]
        found = weights.fingerprint(weights.stored_tensors(folder), facts={})
        assert found == weights.fingerprint(TENSORS, facts={})
    assert [n for n, _ in weights.stored_tensors(one, prefixes=("a", "n"))] == ["a", "n"]


def test_absent_weights_are_refused_and_pickles_not_opened(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"lacks model\.safetensors"):
        weights.weight_files(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(errors.UnavailableError, match=r"pytorch_model\.bin, which can run code"):
        weights.weight_files(tmp_path)


def test_file_digest_follows_name_and_content(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("1")
    second.write_text("1")
    names = {weights.file_digest([first]), weights.file_digest([second])}
    first.write_text("2")
    assert len(names | {weights.file_digest([first])}) == 3


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A checkpoint that the cache made, and how often its tensors were hashed."""
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "cache" / "packaged" / "toy"

    def fill(folder):
        save_file(TENSORS, folder / "model.safetensors")
        return {}

    made_once.folder(made_once.Made(place=place, kind="t", schema_version=1, what="toy"), fill)
    hashed, plain = [], weights.fingerprint
    monkeypatch.setattr(
        weights, "fingerprint", lambda *args, **facts: hashed.append(1) or plain(*args, **facts)
    )
    return place, hashed


def test_a_fingerprint_of_the_cache_is_found_once(made):
    place, hashed = made
    wanted = weights.fingerprint(TENSORS, facts={"prompt": "a"})
    found = {weights.fingerprint_of_folder(place, facts={"prompt": "a"}) for _ in range(3)}
    assert found == {wanted}
    assert len(hashed) == 2
    assert weights.fingerprint_of_folder(place, facts={"prompt": "b"}) != wanted


def test_other_weights_in_the_same_place_have_another_fingerprint(made):
    place, _ = made
    before = weights.fingerprint_of_folder(place, facts={})
    save_file({**TENSORS, "a": torch.tensor(9.5)}, place / "model.safetensors")
    assert weights.fingerprint_of_folder(place, facts={}) != before


def test_a_note_that_is_cut_is_written_again(made):
    place, hashed = made
    wanted = weights.fingerprint_of_folder(place, facts={})
    (note,) = (place.parent / "fingerprints").iterdir()
    note.write_text("{")
    assert weights.fingerprint_of_folder(place, facts={}) == wanted
    assert weights.fingerprint_of_folder(place, facts={}) == wanted
    assert len(hashed) == 2


def test_nothing_is_noted_beside_a_folder_outside_of_the_cache(made, tmp_path, monkeypatch):
    place, hashed = made
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "other"))
    for _ in range(2):
        weights.fingerprint_of_folder(place, facts={})
    assert len(hashed) == 2
    assert not (place.parent / "fingerprints").exists()
