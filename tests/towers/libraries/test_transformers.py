"""Both sides of dual encoders and text encoders alone, against the library's own forward pass."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from polyglance import errors
from polyglance.towers import Tower, load_tower
from polyglance.towers.libraries import transformers as huggingface

DUALS = {
    "clip": "CLIPModel",
    "chinese_clip": "ChineseCLIPModel",
    "altclip": "AltCLIPModel",
    "metaclip_2": "MetaClip2Model",
    "align": "AlignModel",
    "siglip": "SiglipModel",
    "siglip2": "Siglip2Model",
}


def by_hand(name, folder):
    """The library's model and tokenizer, loaded without our code."""
    import transformers

    model = getattr(transformers, name).from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def text_features(family, folder, texts):
    model, tokenizer = by_hand(DUALS[family], folder)
    vectors = []
    for text in texts:
        fixed = family.startswith("siglip")
        batch = tokenizer(
            [text],
            return_tensors="pt",
            padding="max_length" if fixed else False,
            truncation=True,
            # Two of AltCLIP's positions stand for padding.
            max_length=18 if family == "altclip" else 20,
        )
        names = ["input_ids"] if fixed else ["input_ids", "attention_mask"]
        with torch.no_grad():
            out = model.get_text_features(**{name: batch[name] for name in names})
        vectors.append(out.pooler_output[0].numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("family", DUALS)
class TestDualEncoders:
    def test_text_side_equals_the_library(self, family, make_checkpoint, texts):
        folder = make_checkpoint(family)
        tower = load_tower(f"hf:{folder}", modality="text")
        got = tower.encode(texts)
        np.testing.assert_allclose(got, text_features(family, folder, texts), atol=1e-5, rtol=1e-4)
        assert got.dtype == np.float32
        assert got.shape == (len(texts), tower.dim)
        assert isinstance(tower, Tower)

    def test_image_side_equals_the_library(self, family, make_checkpoint, pictures):
        from transformers import AutoImageProcessor

        folder = make_checkpoint(family)
        tower = load_tower(f"hf:{folder}", modality="image")
        assert isinstance(tower, Tower)
        rgb = [picture.convert("RGB") for picture in pictures]
        inputs = AutoImageProcessor.from_pretrained(folder, backend="pil")(rgb, return_tensors="pt")
        with torch.no_grad():
            wanted = by_hand(DUALS[family], folder)[0].get_image_features(**inputs).pooler_output
        got = tower.encode(pictures)
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-5, rtol=1e-4)
        arrays = [tower.preprocess(picture) for picture in pictures]
        np.testing.assert_array_equal(tower.encode(arrays), got)
        one_by_one = np.concatenate([tower.encode([picture]) for picture in pictures])
        np.testing.assert_allclose(one_by_one, got, atol=1e-5)

    def test_preprocessing_equals_the_library(self, family, make_checkpoint, pictures):
        from transformers import AutoImageProcessor

        folder = make_checkpoint(family)
        tower = load_tower(f"hf:{folder}", modality="image")
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        for picture in pictures:
            wanted = processor([picture.convert("RGB")], return_tensors="np")["pixel_values"][0]
            batch = tower.collate([tower.preprocess(picture)])
            np.testing.assert_allclose(batch["pixel_values"][0].numpy(), wanted, atol=1e-6)

    def test_projection_of_features_is_the_embedding(
        self, family, make_checkpoint, texts, pictures
    ):
        for modality, items in (("text", texts), ("image", pictures)):
            tower = load_tower(f"hf:{make_checkpoint(family)}", modality=modality)
            features = tower.encode(items, output="pre_projection")
            assert features.shape == (len(items), tower.pre_projection_dim)
            projection = tower.module.projection
            if projection is None:
                projected = features
            else:
                projected = projection(torch.from_numpy(features)).detach().numpy()
            np.testing.assert_allclose(projected, tower.encode(items), atol=1e-5)

    def test_both_sides_share_a_space_under_two_names(self, family, make_checkpoint):
        text, image = (
            load_tower(f"hf:{make_checkpoint(family)}", modality=side) for side in ("text", "image")
        )
        assert text.space_id == image.space_id
        assert text.dim == image.dim
        assert len({text.fingerprint, image.fingerprint, text.space_id}) == 3

    def test_nothing_gives_no_rows(self, family, make_checkpoint):
        for side in ("text", "image"):
            tower = load_tower(f"hf:{make_checkpoint(family)}", modality=side)
            assert tower.encode([]).shape == (0, tower.dim)
            assert tower.encode([], output="pre_projection").shape == (0, tower.pre_projection_dim)


POOLED = {
    "mean": lambda states, pooler: states.mean(1),
    "cls": lambda states, pooler: states[:, 0],
    "position0": lambda states, pooler: states[:, 0],
    "last": lambda states, pooler: states[:, -1],
    "max": lambda states, pooler: states.amax(1),
    "pooler": lambda states, pooler: pooler,
}


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("kind", ["bert", "xlm_roberta"])
def test_text_encoder_with_each_pooling_equals_the_library(kind, pooling, make_checkpoint, texts):
    folder = make_checkpoint(kind)
    tower = load_tower(f"hf:{folder}?pooling={pooling}", modality="text")
    model, tokenizer = by_hand("AutoModel", folder)
    wanted = []
    for text in texts:
        # Two of XLM-R's positions stand for padding.
        longest = 18 if kind == "xlm_roberta" else 20
        with torch.no_grad():
            ids = tokenizer([text], return_tensors="pt", truncation=True, max_length=longest)
            out = model(ids["input_ids"])
        wanted.append(POOLED[pooling](out.last_hidden_state, out.pooler_output)[0].numpy())
    np.testing.assert_allclose(tower.encode(texts), np.stack(wanted), atol=1e-5, rtol=1e-4)
    assert tower.space_id == tower.fingerprint


def test_the_encoder_of_an_encoder_decoder_stands_alone(make_checkpoint, texts):
    folder = make_checkpoint("t5")
    tower = load_tower(f"hf:{folder}?pooling=mean", modality="text")
    model, tokenizer = by_hand("T5EncoderModel", folder)
    with torch.no_grad():
        out = model(tokenizer(["a dog"], return_tensors="pt")["input_ids"])
    wanted = out.last_hidden_state.mean(1).numpy()
    np.testing.assert_allclose(tower.encode(["a dog"]), wanted, atol=1e-5, rtol=1e-4)
    assert tower.dim == 16


def test_a_pooling_must_be_named_and_known(make_checkpoint):
    folder = make_checkpoint("bert")
    for reference in (f"hf:{folder}", f"hf:{folder}?pooling=average"):
        with pytest.raises(errors.ConfigError, match="mean, cls, position0, last, max, pooler"):
            load_tower(reference, modality="text")


@pytest.mark.parametrize(
    ("family", "tokenizer_class", "form"),
    [
        ("siglip", "GemmaTokenizerFast", "lower"),
        ("siglip", "SiglipTokenizer", "plain"),
        ("siglip2", "GemmaTokenizer", "lower"),
        ("clip", "CLIPTokenizer", "uncurled"),
        ("chinese_clip", "BertTokenizer", "uncurled-lower"),
        ("xlm_roberta", "GemmaTokenizer", "plain"),
    ],
)
def test_texts_are_brought_into_the_form_of_the_training(family, tokenizer_class, form, tmp_path):
    (tmp_path / "tokenizer_config.json").write_text(f'{{"tokenizer_class": "{tokenizer_class}"}}')
    assert huggingface.form_of(tmp_path, config={"model_type": family}) == form


def test_siglip_2_of_one_resolution_is_lower_cased(make_checkpoint, tmp_path):
    shutil.copytree(make_checkpoint("siglip"), tmp_path / "copy")
    file = tmp_path / "copy" / "tokenizer_config.json"
    facts = json.loads(file.read_text())
    tokenizer = json.loads((tmp_path / "copy" / "tokenizer.json").read_text())
    tokenizer["normalizer"] = None  # as Gemma's, it keeps the case
    (tmp_path / "copy" / "tokenizer.json").write_text(json.dumps(tokenizer))
    file.write_text(json.dumps({**facts, "do_lower_case": False, "tokenizer_class": "GemmaX"}))
    found = huggingface.form_of(tmp_path / "copy", config={"model_type": "siglip"})
    assert found == "lower"
    seen = []

    def tokenize(texts, **settings):
        seen.extend(texts)
        return {"input_ids": [[0] for _ in texts]}

    huggingface.plain_token_rows(tokenize, max_length=5, form=found)(["A\u00ad Dog"], None)
    assert seen == ["a dog"]


def test_marks_that_nobody_sees_do_not_reach_the_tokenizer(make_checkpoint):
    for family in ("clip", "siglip", "bert?pooling=mean", "xlm_roberta?pooling=mean"):
        name, _, options = family.partition("?")
        tower = load_tower(
            f"hf:{make_checkpoint(name)}" + (f"?{options}" if options else ""), modality="text"
        )
        plain, marked = tower.encode(["a dog", "\ufeffa\u00a0 d\u00ado\u200dg\u200f\n"])
        np.testing.assert_array_equal(plain, marked)


def test_pooling_makes_another_tower(make_checkpoint):
    folder = make_checkpoint("bert")
    names = {
        load_tower(f"hf:{folder}?{options}", modality="text").fingerprint
        for options in (
            "pooling=mean",
            "pooling=cls",
            "pooling=mean&max_length=8",
            "pooling=mean&prefix=query: ",
            "pooling=mean&dtype=bfloat16",
        )
    }
    assert len(names) == 5


def test_options_change_what_they_say(make_checkpoint):
    folder = make_checkpoint("bert")
    plain = load_tower(f"hf:{folder}?pooling=mean", modality="text")
    prefixed = load_tower(f"hf:{folder}?pooling=mean&prefix=query: ", modality="text")
    np.testing.assert_allclose(prefixed.encode(["dog"]), plain.encode(["query: dog"]), atol=1e-6)
    short = load_tower(f"hf:{folder}?pooling=mean&max_length=5", modality="text")
    np.testing.assert_allclose(short.encode(["abcxyz"]), plain.encode(["abc"]), atol=1e-6)
    half = load_tower(f"hf:{folder}?pooling=mean&dtype=bfloat16", modality="text")
    assert half.encode(["dog"]).dtype == np.float32
    np.testing.assert_allclose(half.encode(["dog"]), plain.encode(["dog"]), atol=0.1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("pooling=mean&max_length=2", errors.ConfigError),
        ("pooling=mean&max_length=500", errors.ConfigError),
        ("pooling=mean&max_length=long", errors.ConfigError),
        ("pooling=mean&dtype=int4", errors.UnknownNameError),
        ("trust_remote_code=1", errors.UnknownNameError),
    ],
)
def test_options_out_of_range_are_refused(options, error, make_checkpoint):
    with pytest.raises(error):
        load_tower(f"hf:{make_checkpoint('bert')}?{options}", modality="text")


def test_a_side_that_is_not_there_is_refused(make_checkpoint):
    with pytest.raises(errors.ConfigError, match="has no image side"):
        load_tower(f"hf:{make_checkpoint('bert')}?", modality="image")
    with pytest.raises(errors.ConfigError, match="as audio tower; hf towers read image and text"):
        load_tower("hf:clip", modality="audio")
    with pytest.raises(errors.ConfigError, match="brings its own"):
        load_tower(f"hf:{make_checkpoint('clip')}?pooling=mean", modality="text")


def test_cls_needs_a_classification_token_in_front(make_checkpoint):
    with pytest.raises(errors.ConfigError, match="no classification token first"):
        load_tower(f"hf:{make_checkpoint('bert_without_cls')}?pooling=cls", modality="text")


def test_mixed_lengths_equal_one_by_one(make_checkpoint, texts):
    tower = load_tower(f"hf:{make_checkpoint('xlm_roberta')}?pooling=mean", modality="text")
    alone = np.concatenate([tower.encode([text]) for text in texts])
    np.testing.assert_allclose(tower.encode(texts), alone, atol=1e-5)
    # Rows are found again whatever stands before them.
    np.testing.assert_allclose(tower.encode(texts[::-1]), alone[::-1], atol=1e-5)


def test_forward_has_gradient_and_gives_what_encode_gives(make_checkpoint, texts):
    tower = load_tower(f"hf:{make_checkpoint('clip')}", modality="text")
    batch = tower.tokenize(texts)
    assert set(batch) == {"input_ids", "attention_mask"}
    out = tower.forward(batch)
    np.testing.assert_allclose(out.detach().numpy(), tower.encode(texts), atol=1e-5)
    out.square().sum().backward()
    assert float(tower.module.projection.weight.grad.abs().sum()) > 0
    image = load_tower(f"hf:{make_checkpoint('clip')}", modality="image")
    batch = image.collate([np.zeros((3, 16, 16), dtype=np.float32)])
    assert image.forward(batch).requires_grad


def test_encode_leaves_training_mode(make_checkpoint):
    tower = load_tower(f"hf:{make_checkpoint('bert')}?pooling=mean", modality="text")
    before = tower.encode(["dog"])
    tower.module.train()
    np.testing.assert_array_equal(tower.encode(["dog"]), before)


def test_a_pickled_checkpoint_is_refused(make_checkpoint, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(make_checkpoint("bert"), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(errors.UnavailableError, match=r"pytorch_model\.bin.*only safetensors"):
        load_tower(f"hf:{folder}?pooling=mean", modality="text")


def test_a_checkpoint_that_lacks_a_tensor_is_refused(make_checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "partial"
    shutil.copytree(make_checkpoint("bert"), folder)
    stored = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in stored.items() if not k.startswith("pooler.")},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    load_tower(f"hf:{folder}?pooling=mean", modality="text")
    with pytest.raises(errors.ConfigError, match=r"lacks 2 tensors.*pooler.*would be random"):
        load_tower(f"hf:{folder}?pooling=pooler", modality="text")


def test_code_of_a_checkpoint_is_not_run(make_checkpoint, tmp_path):
    folder = tmp_path / "code"
    shutil.copytree(make_checkpoint("bert"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('ran')")
    with pytest.raises(errors.ConfigError, match="cannot build"):
        load_tower(f"hf:{folder}?pooling=mean", modality="text")


def test_a_checkpoint_without_its_tokenizer_says_so(make_checkpoint, tmp_path):
    folder = tmp_path / "mute"
    shutil.copytree(make_checkpoint("t5"), folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(errors.UnavailableError, match="tokenizer"):
        load_tower(f"hf:{folder}?pooling=mean", modality="text")


def test_a_broken_tokenizer_says_so(make_checkpoint, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(make_checkpoint("bert"), folder)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(errors.UnavailableError, match="cannot be read"):
        load_tower(f"hf:{folder}?pooling=mean", modality="text")


def test_arrays_of_another_shape_are_refused(make_checkpoint):
    tower = load_tower(f"hf:{make_checkpoint('clip')}", modality="image")
    for shapes in ([(3, 16, 16), (3, 8, 8)], [(16, 16)]):
        with pytest.raises(errors.InputError, match="those of one `preprocess`"):
            tower.encode([np.zeros(shape, dtype=np.float32) for shape in shapes])


def test_nothing_is_tokenised_to_nothing(make_checkpoint):
    tower = load_tower(f"hf:{make_checkpoint('bert')}?pooling=mean", modality="text")
    assert tower.tokenize([])["input_ids"].shape == (0, 0)


def test_processor_config_is_read_where_it_holds_the_pixels(make_checkpoint, tmp_path, pictures):
    folder = tmp_path / "combined"
    shutil.copytree(make_checkpoint("clip"), folder)
    pixels = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": pixels}))
    tower = load_tower(f"hf:{folder}", modality="image")
    plain = load_tower(f"hf:{make_checkpoint('clip')}", modality="image")
    np.testing.assert_array_equal(tower.encode(pictures), plain.encode(pictures))
    assert tower.space_id == plain.space_id


def test_torchvision_is_not_imported(make_checkpoint):
    code = (
        "import sys\n"
        "from PIL import Image\n"
        "from polyglance.towers import load_tower\n"
        f"reference = 'hf:{make_checkpoint('clip')}'\n"
        "load_tower(reference, modality='image').encode([Image.new('RGB', (20, 30))])\n"
        "load_tower(reference, modality='text').encode(['a'])\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
