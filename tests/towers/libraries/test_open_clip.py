"""References and settings of open_clip towers; the library itself where it is installed."""

import builtins
import importlib.util
import json
import shutil
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


class HFTokenizer:
    """What open_clip's class of that name does: cleans, pads to full length, and no language."""

    def __init__(self, folder, *, context_length):
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.context_length = context_length

    def __call__(self, texts):
        return self.tokenizer(
            [" ".join(text.split()) for text in texts],
            return_tensors="pt",
            max_length=self.context_length,
            padding="max_length",
            truncation=True,
        ).input_ids


@pytest.fixture
def nllb(make_checkpoint, monkeypatch):
    """A tower with NLLB's own tokenizer of three languages; and a function that makes another."""

    def make(kind="nllb"):
        torch.manual_seed(2)
        stand_in = types.SimpleNamespace(
            create_model=lambda *_, **__: StandInModel(torch.nn.Parameter(torch.ones(6, 5))),
            get_tokenizer=lambda _: HFTokenizer(make_checkpoint(kind), context_length=9),
        )
        monkeypatch.setitem(sys.modules, "open_clip", stand_in)
        return load_tower("openclip:nllb-clip-base?pretrained=v1&device=cpu", modality="text")

    return make


def test_the_language_of_every_text_reaches_the_token_ids(nllb, make_checkpoint):
    from transformers import AutoTokenizer

    tower = nllb()
    assert tower.uses_language
    texts = ["a dog", "a dog", "x", "a dog"]
    languages = ["deu_Latn", "fra_Latn", "deu_Latn", "eng_Latn"]
    rows = tower.token_rows(texts, languages)
    ids = AutoTokenizer.from_pretrained(make_checkpoint("nllb")).get_vocab()
    # Mixed in one list, each text has its own language in front, and the rest is the same.
    assert [row[0] for row in rows] == [ids[language] for language in languages]
    assert rows[0][1:] == rows[1][1:] == rows[3][1:]
    assert {len(row) for row in rows} == {9}
    vectors = tower.encode(texts, languages=languages)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    for row, language in enumerate(languages):
        alone = tower.encode([texts[row]], languages=[language])
        np.testing.assert_allclose(vectors[row], alone[0], atol=1e-6)


def test_a_language_that_nobody_gave_is_refused(nllb):
    tower = nllb()
    for ask in (tower.encode, tower.tokenize, tower.count_repeats):
        with pytest.raises(errors.LanguageError, match="nothing falls back to English"):
            ask(["a dog"])
    with pytest.raises(errors.TowerLacksLanguageError, match=r"deu_Latin; it has 3(.|\n)*deu_Latn"):
        tower.encode(["a dog"], languages=["deu_Latin"])


def test_an_nllb_tower_declares_its_languages(nllb):
    assert set(nllb().languages) == {"deu_Latn", "eng_Latn", "fra_Latn"}


def test_nllb_with_the_language_last_is_refused(nllb):
    with pytest.raises(errors.ConfigError, match="legacy_behaviour"):
        nllb("nllb_legacy")


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


@pytest.fixture(scope="module")
def nllb_reference(open_clip, make_checkpoint, tmp_path_factory):
    """A small NLLB-CLIP as open_clip keeps it: a folder with its configuration and a tokenizer."""
    from safetensors.torch import save_file

    checkpoint, folder = make_checkpoint("nllb"), tmp_path_factory.mktemp("nllb-clip")
    text = {
        "context_length": 12,
        "hf_model_name": str(checkpoint),
        "hf_tokenizer_name": str(checkpoint),
        "hf_proj_type": "linear",
        "hf_pooler_type": "cls_pooler",
    }
    vision = {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8}
    config = {"embed_dim": 10, "vision_cfg": vision, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(checkpoint / name, folder / name)
    (folder / "nllb-tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "nllb-tiny.json")
    torch.manual_seed(6)
    model = open_clip.create_model("nllb-tiny", pretrained_hf=False)
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return f"openclip:local-dir:{folder}?device=cpu"


def test_nllb_clip_equals_the_library_told_each_language(open_clip, nllb_reference, texts):
    location = nllb_reference.partition(":")[2].partition("?")[0]
    model = open_clip.create_model(location).eval()
    tokenizer = open_clip.get_tokenizer(location)
    languages = [("deu_Latn", "eng_Latn", "fra_Latn")[row % 3] for row in range(len(texts))]
    wanted = []
    for text, language in zip(texts, languages, strict=True):
        # Their own set_language is undone by the next call: see test_language_tokens.py.
        tokenizer.tokenizer.src_lang = language
        with torch.no_grad():
            wanted.append(model.encode_text(tokenizer([text]))[0].numpy())
    tower = load_tower(nllb_reference, modality="text")
    found = tower.encode(texts, languages=languages)
    np.testing.assert_allclose(found, np.stack(wanted), atol=1e-5)
    german = tower.encode(texts, languages=["deu_Latn"] * len(texts))
    assert np.abs(german - found).max() > 1e-3
