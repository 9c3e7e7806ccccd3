"""References and settings of open_clip towers; the library itself where it is installed."""

import builtins
import importlib.util
import sys
import types

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.towers import load_tower
from polyglance.towers.libraries import open_clip as openclip


def test_weights_must_be_named():
    with pytest.raises(errors.ConfigError, match="names no weights"):
        load_tower("openclip:ViT-B-32", modality="text")


def test_what_cannot_be_is_refused():
    with pytest.raises(errors.UnknownNameError, match="option of openclip"):
        load_tower("openclip:ViT-B-32?precision=fp16", modality="text")
    with pytest.raises(errors.ConfigError, match="audio"):
        load_tower("openclip:ViT-B-32?pretrained=x", modality="audio")


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        (ModuleNotFoundError("open_clip"), errors.MissingExtraError),
        (RuntimeError("operator torchvision::nms does not exist"), errors.UnavailableError),
    ],
)
def test_a_library_that_does_not_import_is_named(raised, wanted, monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **settings):
        if name == "open_clip":
            raise raised
        return real(name, *rest, **settings)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(wanted, match=r"polyglance\[openclip\]|same build as torch"):
        load_tower("openclip:ViT-B-32?pretrained=x", modality="text")


def test_settings_become_a_recipe():
    base = {"size": (6, 6), "mean": (0.5, 0.5, 0.5), "std": (1, 1, 1), "interpolation": "bilinear"}
    recipe = openclip.pixel_recipe({**base, "resize_mode": "shortest"})
    assert (recipe.fit, recipe.crop, recipe.resample) == ("shortest", (6, 6), 2)
    assert openclip.pixel_recipe({**base, "resize_mode": "squash", "size": 7}).crop is None
    for change in ({"resize_mode": "longest"}, {"size": (6, 8)}):
        with pytest.raises(errors.ConfigError, match="resize_mode"):
            openclip.pixel_recipe({**base, **change})
    with pytest.raises(errors.UnknownNameError, match="interpolation"):
        openclip.pixel_recipe({**base, "interpolation": "random"})


class StandInVisual(torch.nn.Module):
    """The little of open_clip's image side that the tower touches."""

    def __init__(self):
        super().__init__()
        self.preprocess_cfg = {"size": 4, "resize_mode": "squash", "interpolation": "bicubic"}
        self.proj = torch.nn.Parameter(torch.randn(48, 5))

    def forward(self, pixels):
        flat = pixels.flatten(1)
        return flat if self.proj is None else flat @ self.proj


class StandInModel(torch.nn.Module):
    """The little of open_clip's model that the tower touches; one side projects with a layer."""

    def __init__(self, projection):
        super().__init__()
        self.visual = StandInVisual()
        self.words = torch.nn.Embedding(200, 6)
        self.text_projection = projection

    def encode_text(self, ids):
        pooled = self.words(ids).mean(1)
        if self.text_projection is None:
            return pooled
        if isinstance(self.text_projection, torch.nn.Linear):
            return self.text_projection(pooled)
        return pooled @ self.text_projection


@pytest.mark.parametrize("kind", ["matrix", "layer"])
def test_parts_become_towers(kind, monkeypatch, pictures):
    torch.manual_seed(2)
    layer = torch.nn.Linear(6, 5)
    projection = layer if kind == "layer" else torch.nn.Parameter(torch.randn(6, 5))
    models = [StandInModel(projection) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    given = iter(models)
    stand_in = types.SimpleNamespace(
        create_model=lambda *_, **__: next(given),
        get_tokenizer=lambda _: (
            lambda rows: torch.tensor([[ord(x) for x in text[:3].ljust(3)] for text in rows])
        ),
    )
    monkeypatch.setitem(sys.modules, "open_clip", stand_in)
    reference = "openclip:hf-hub:some/model?device=cpu"
    image, text = (load_tower(reference, modality=side) for side in ("image", "text"))
    assert image.space_id == text.space_id
    assert image.fingerprint != text.fingerprint
    assert (image.dim, image.pre_projection_dim) == (5, 48)
    assert (text.dim, text.pre_projection_dim) == (5, 6 if kind == "matrix" else 5)
    assert image.encode(pictures).shape == (len(pictures), 5)
    assert text.encode([]).shape == (0, 5)
    vectors = text.encode(["abc", "b", "abc"])
    np.testing.assert_array_equal(vectors[0], vectors[2])


@pytest.mark.parametrize("raised", [RuntimeError("no such model"), FileNotFoundError("no file")])
def test_a_model_that_cannot_be_had_is_named(raised, monkeypatch):
    def create(*_, **__):
        raise raised

    monkeypatch.setitem(sys.modules, "open_clip", types.SimpleNamespace(create_model=create))
    with pytest.raises(errors.UnavailableError, match="open_clip cannot give X with weights"):
        load_tower("openclip:X?pretrained=weights", modality="text")


@pytest.fixture(scope="module")
def open_clip():
    """The library; torchvision's two missing operators are declared where it does not load."""
    if importlib.util.find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed (extra `openclip`)")
    try:
        import open_clip
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.startswith(("torchvision", "open_clip"))]:
            del sys.modules[name]
        import open_clip
    return open_clip


@pytest.fixture(scope="module")
def reference(open_clip, tmp_path_factory):
    """A small model of open_clip in the library's own configuration form, saved as safetensors."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("openclip")
    (folder / "tiny-test.json").write_text(
        '{"embed_dim": 10, "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, '
        '"patch_size": 8}, "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, '
        '"heads": 2, "layers": 1}}'
    )
    open_clip.add_model_config(folder / "tiny-test.json")
    torch.manual_seed(5)
    model = open_clip.create_model("tiny-test")
    save_file(model.state_dict(), folder / "tiny.safetensors")
    return f"openclip:tiny-test?pretrained={folder}/tiny.safetensors&device=cpu"


def reload(open_clip, reference):
    file = reference.partition("pretrained=")[2].partition("&")[0]
    return open_clip.create_model_and_transforms("tiny-test", pretrained=file)


def test_both_sides_equal_the_library(open_clip, reference, texts, pictures):
    model, _, transform = reload(open_clip, reference)
    text, image = (load_tower(reference, modality=side) for side in ("text", "image"))
    rgb = [picture.convert("RGB") for picture in pictures]
    with torch.no_grad():
        wanted_text = model.eval().encode_text(open_clip.get_tokenizer("tiny-test")(texts)).numpy()
        wanted_image = model.encode_image(torch.stack([transform(p) for p in rgb])).numpy()
    np.testing.assert_allclose(text.encode(texts), wanted_text, atol=1e-5)
    np.testing.assert_allclose(image.preprocess(rgb[0]), transform(rgb[0]).numpy(), atol=1e-5)
    np.testing.assert_allclose(image.encode(pictures), wanted_image, atol=1e-5)
    assert text.encode([]).shape == (0, 10)


def test_sides_share_a_space_and_project(reference, texts, pictures):
    text, image = (load_tower(reference, modality=side) for side in ("text", "image"))
    assert text.space_id == image.space_id
    assert text.fingerprint != image.fingerprint
    for tower, items in ((text, texts), (image, pictures)):
        features = torch.from_numpy(tower.encode(items, output="pre_projection"))
        projected = tower.module.projection(features).detach().numpy()
        np.testing.assert_allclose(projected, tower.encode(items), atol=1e-5)


def test_weights_that_are_not_there(reference):
    del reference
    with pytest.raises(errors.UnavailableError, match="open_clip cannot give"):
        load_tower("openclip:tiny-test?pretrained=/no/file.safetensors", modality="text")
    with pytest.raises(errors.UnavailableError, match="open_clip cannot give"):
        load_tower("openclip:no-such-model?pretrained=/no/file.safetensors", modality="text")
