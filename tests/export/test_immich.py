"""Immich's form, read as its machine-learning service reads it, step by step."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from export_packs import GERMAN, affine_map, pack_of, vectors
from polyglance import errors, export
from polyglance.export import immich
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.manifest import PackManifest
from polyglance.model.side import Side
from polyglance.towers import load_tower
from polyglance.vectors import unit

onnxruntime = pytest.importorskip("onnxruntime", reason="extra `onnx` is not installed")
pytest.importorskip("onnxscript", reason="extra `onnx` is not installed")


def text_vector(folder, text):
    """One query as the service encodes it."""
    from tokenizers import Tokenizer

    length = json.loads((folder / "config.json").read_text())["text_cfg"]["context_length"]
    pad = json.loads((folder / "textual" / "tokenizer_config.json").read_text())["pad_token"]
    tokenizer = Tokenizer.from_file(str(folder / "textual" / "tokenizer.json"))
    tokenizer.enable_padding(length=length, pad_token=pad, pad_id=tokenizer.token_to_id(pad))
    tokenizer.enable_truncation(max_length=length)
    ids = np.array([tokenizer.encode(" ".join(text.split())).ids], dtype=np.int32)
    assert ids.shape == (1, length)
    return run(folder / "textual" / "model.onnx", {"text": ids})


def image_vector(folder, picture):
    """One picture as the service encodes it."""
    facts = json.loads((folder / "visual" / "preprocess_cfg.json").read_text())
    pixels = immich.prepare(picture.convert("RGB"), preprocess=facts)
    return run(folder / "visual" / "model.onnx", {"image": pixels})


def run(path, feed):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (only,) = session.get_inputs()
    assert all(isinstance(axis, int) for axis in only.shape)
    assert session.get_outputs()[0].name == "embedding"
    return session.run(None, feed)[0][0]


def widened(found, wanted):
    """Equal, and zeros behind."""
    width = wanted.shape[-1]
    assert np.abs(found[..., :width] - wanted).max() < 1e-5
    assert not found[..., width:].any()


@pytest.mark.slow
def test_both_sides_of_clip_as_the_service_reads_them(make_checkpoint, texts, pictures, tmp_path):
    reference = f"hf:{make_checkpoint('clip_of_bytes')}"
    model = DualEncoder.load(reference)
    pack = pack_of(reference, head=affine_map(10, 10), space_id=model.space_id, teacher=reference)
    order = export.Order(pack=pack, model=model)
    written = export.export(order, "immich", out=tmp_path / "out")
    found = np.stack([text_vector(tmp_path / "out", text) for text in texts])
    assert found.shape == (len(texts), 512)
    widened(found, vectors(pack, texts))
    seen = np.stack([image_vector(tmp_path / "out", picture) for picture in pictures])
    # Grey pictures are made RGB before they are resized on both sides.
    widened(seen, model.encode_items(pictures))
    assert max(written.differences.values()) < 1e-5
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert files == {
        "README.md",
        "config.json",
        "textual/model.onnx",
        "textual/tokenizer.json",
        "textual/tokenizer_config.json",
        "visual/model.onnx",
        "visual/preprocess_cfg.json",
    }
    assert "has to be indexed again" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_a_bert_gets_its_mask_from_the_ids(bert_reference, tmp_path):
    content = Side(load_tower("tiny:pictograms-image", modality="image"), "tiny:pictograms-image")
    pack = pack_of(bert_reference, head=affine_map(48, 384), space_id=content.space_id)
    model = DualEncoder(content, pack.side, "in memory")
    written = export.export(export.Order(pack=pack, model=model), "immich", out=tmp_path / "out")
    words = ["red circle", "big", "black ring small big " * 9]
    widened(np.stack([text_vector(tmp_path / "out", w) for w in words]), vectors(pack, words))
    picture = Image.linear_gradient("L").resize((90, 40)).convert("RGB")
    widened(image_vector(tmp_path / "out", picture), unit(content.tower.encode([picture]))[0])
    assert any("zeros up to 512" in note for note in written.notes)
    assert any("without a crop" in note for note in written.notes)


@pytest.mark.slow
def test_nllb_stands_under_a_name_that_gets_the_code(make_checkpoint, texts, tmp_path):
    content = Side(load_tower("tiny:pictograms-image", modality="image"), "tiny:pictograms-image")
    reference = f"hf:{make_checkpoint('nllb')}"
    pack = pack_of(reference, head=affine_map(16, 384), space_id=content.space_id)
    model = DualEncoder(content, pack.side, "in memory")
    export.export(export.Order(pack=pack, model=model), "immich", out=tmp_path / "out")
    found = np.stack([text_vector(tmp_path / "out", GERMAN + text) for text in texts])
    widened(found, vectors(pack, texts, language=GERMAN))
    assert "clip/nllb-clip-base-siglip__v1/" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("teacher", "content", "name"),
    [
        ("hf:openai/clip-vit-base-patch32", "unchanged", "ViT-B-32__openai"),
        ("hf:openai/clip-vit-base-patch32?dtype=float16", "unchanged", "ViT-B-32__openai"),
        ("hf:openai/clip-vit-base-patch32", "head", None),
        ("hf:owner/other", "unchanged", None),
    ],
)
def test_an_index_stays_where_the_teacher_is_theirs(teacher, content, name):
    manifest = PackManifest(
        recipe="ridge",
        space_id="s",
        teacher=teacher,
        tower="t",
        tower_fingerprint="f",
        content=content,
    )
    assert immich.shipped_name(manifest) == name


def test_a_space_wider_than_theirs_is_refused():
    assert immich.width_of(1152, is_nllb=False) == 1152
    with pytest.raises(errors.ExportError, match="up to 1536"):
        immich.width_of(2048, is_nllb=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"fit": "patches"},
        {"width": 20},
        {"resample": 1},
        {"scale": 1.0},
        {"fit": "shortest", "crop": None},
        {"fit": "shortest", "crop": (8, 8)},
        {"crop": (8, 8)},
    ],
)
def test_pictures_prepared_otherwise_are_refused(changed):
    pixels = {"fit": "exact", "height": 16, "width": 16, "resample": 3, "scale": 1 / 255}
    assert immich.preprocess_cfg(pixels)["interpolation"] == "bicubic"
    with pytest.raises(errors.ExportError, match="Immich resizes"):
        immich.preprocess_cfg({**pixels, **changed})


def test_the_image_side_needs_a_model(bert_reference, tmp_path):
    order = export.Order(pack=pack_of(bert_reference))
    with pytest.raises(errors.ExportError, match="no model was given") as refused:
        export.export(order, "immich", out=tmp_path / "out")
    assert "--model hf:owner/teacher" in refused.value.hint


def test_texts_filled_up_in_front_are_refused(make_checkpoint, tmp_path):
    folder = tmp_path / "left"
    shutil.copytree(make_checkpoint("siglip"), folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "padding_side": "left"}))
    model = DualEncoder.load(f"hf:{folder}")
    pack = pack_of(f"hf:{folder}", space_id=model.space_id)
    with pytest.raises(errors.ExportError, match="filled up in front") as refused:
        export.export(export.Order(pack=pack, model=model), "immich", out=tmp_path / "out")
    assert "--to onnx" in refused.value.hint
