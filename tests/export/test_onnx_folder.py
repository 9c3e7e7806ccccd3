"""The ONNX form: onnxruntime and tokenizers alone give the pack's own vectors."""

import json
import shutil

import numpy as np
import pytest

import small_world
from export_packs import GERMAN, HINDI, affine_map, chain, pack_of, vectors
from polyglance import errors, export
from polyglance.export import ngram_rows
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.towers import load_tower
from polyglance.vectors import unit

onnxruntime = pytest.importorskip("onnxruntime", reason="extra `onnx` is not installed")
pytest.importorskip("onnxscript", reason="extra `onnx` is not installed")


def exported(pack, out, **order):
    return export.export(export.Order(pack=pack, **order), "onnx", out=out)


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def text_vectors(folder, texts):
    """As the model card says it, with no code of ours."""
    from tokenizers import Tokenizer

    facts = json.loads((folder / "export.json").read_text())["text"]
    tokenizer = Tokenizer.from_file(str(folder / "text" / "tokenizer.json"))
    if not facts["fixed_length"]:
        tokenizer.enable_padding(pad_id=facts["pad_id"])
    rows = tokenizer.encode_batch(texts)
    batch = {"input_ids": [r.ids for r in rows], "attention_mask": [r.attention_mask for r in rows]}
    named = {name: np.array(batch[name]) for name in facts["inputs"]}
    return session(folder / "text" / "model.onnx").run(None, named)[0]


def agrees(found, wanted):
    print(f"largest difference {np.abs(found - wanted).max():.1e}")
    assert np.abs(found - wanted).max() < 1e-5


@pytest.mark.slow
def test_text_side_of_a_sentence_tower_with_a_head_that_bends(bert_reference, tmp_path):
    import onnx

    pack = pack_of(bert_reference, head=chain(48, normed=True))
    words = ["red circle", "big blue square", "small", "black ring small big " * 9]
    written = exported(pack, tmp_path / "out")
    assert written.differences["text"] < 1e-5
    agrees(text_vectors(tmp_path / "out", words), vectors(pack, words))
    agrees(text_vectors(tmp_path / "out", words[:1]), vectors(pack, words[:1]))
    model = onnx.load(tmp_path / "out" / "text" / "model.onnx")
    assert [opset.version for opset in model.opset_import if not opset.domain] == [18]
    assert json.loads((tmp_path / "out" / "export.json").read_text())["opset"] == 18
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert all(axis.dim_param and not axis.dim_value for axis in shape)


@pytest.mark.slow
def test_an_adapter_of_one_language_is_in_the_graph(letters_reference, tune, texts, tmp_path):
    tower = tune(letters_reference, texts, method="adapters", languages=[GERMAN, HINDI])
    pack = pack_of("tuned:./tower", tower=tower)
    wanted = vectors(pack, texts, language=HINDI)
    assert np.abs(wanted - vectors(pack, texts, language=GERMAN)).max() > 1e-4
    exported(pack, tmp_path / "out", language=HINDI)
    agrees(text_vectors(tmp_path / "out", texts), wanted)


@pytest.mark.slow
def test_nllb_takes_the_code_in_front_of_the_text(make_checkpoint, texts, tmp_path):
    pack = pack_of(f"hf:{make_checkpoint('nllb')}")
    exported(pack, tmp_path / "out")
    for language in (GERMAN, "fra_Latn"):
        found = text_vectors(tmp_path / "out", [language + text for text in texts])
        agrees(found, vectors(pack, texts, language=language))
    assert "deu_Latnein Hund" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_a_prefix_stands_behind_the_code_as_it_does_in_the_tower(make_checkpoint, texts, tmp_path):
    pack = pack_of(f"hf:{make_checkpoint('nllb')}?prefix=x y ")
    exported(pack, tmp_path / "out")
    found = text_vectors(tmp_path / "out", [GERMAN + text for text in texts])
    agrees(found, vectors(pack, texts, language=GERMAN))
    plain = pack_of(f"hf:{make_checkpoint('nllb')}")
    assert np.abs(found - vectors(plain, texts, language=GERMAN)).max() > 1e-3


@pytest.mark.slow
def test_texts_are_filled_up_on_the_towers_side(make_checkpoint, texts, tmp_path):
    folder = tmp_path / "left"
    shutil.copytree(make_checkpoint("siglip"), folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "padding_side": "left"}))
    pack = pack_of(f"hf:{folder}")
    wanted = vectors(pack, texts)
    assert np.abs(wanted - vectors(pack_of(f"hf:{make_checkpoint('siglip')}"), texts)).max() > 1e-3
    exported(pack, tmp_path / "out")
    agrees(text_vectors(tmp_path / "out", texts), wanted)


@pytest.mark.slow
def test_a_tower_of_full_length_has_no_mask(make_checkpoint, texts, tmp_path):
    pack = pack_of(f"hf:{make_checkpoint('siglip')}")
    exported(pack, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "export.json").read_text())["text"]["fixed_length"]
    agrees(text_vectors(tmp_path / "out", texts), vectors(pack, texts))


@pytest.mark.slow
def test_both_sides_of_a_dual_encoder_with_a_content_head(
    make_checkpoint, texts, pictures, tmp_path
):
    reference = f"hf:{make_checkpoint('clip')}"
    model = DualEncoder.load(reference)
    pack = pack_of(
        reference,
        teacher=reference,
        space_id=model.space_id,
        content="head",
        content_head=affine_map(10, seed=8),
    )
    written = exported(pack, tmp_path / "out", model=model)
    assert set(written.differences) == {"text", "image"}
    agrees(text_vectors(tmp_path / "out", texts), vectors(pack, texts))
    pixels = np.stack([model.content.tower.preprocess(picture) for picture in pictures])
    graph = session(tmp_path / "out" / "image" / "model.onnx")
    wanted = pack.project(model.encode_items(pictures))
    agrees(graph.run(None, {"pixel_values": pixels})[0], wanted)
    agrees(graph.run(None, {"pixel_values": pixels[:1]})[0], wanted[:1])
    assert json.loads((tmp_path / "out" / "export.json").read_text())["image"]["pixels"]["crop"]


def test_the_small_towers_take_rows_of_their_table(tmp_path):
    image = load_tower("tiny:pictograms-image", modality="image")
    content = Side(image, "tiny:pictograms-image")
    pack = pack_of("tiny:pictograms-distilled", head=None, space_id=content.space_id)
    model = DualEncoder(content, pack.side, "in memory")
    exported(pack, tmp_path / "out", model=model)
    words = ["chien", "un chien rouge", "スイカ", "a long walk along the river " * 30]
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    graph = session(tmp_path / "out" / "text" / "model.onnx")
    rows = ngram_rows.rows(words, num_buckets=facts["text"]["num_buckets"])
    agrees(graph.run(None, rows)[0], vectors(pack, words))
    drawn = [small_world.draw(phrase) for phrase in small_world.PHRASES[:3]]
    pixels = np.stack([image.preprocess(picture) for picture in drawn])
    found = session(tmp_path / "out" / "image" / "model.onnx").run(None, {"pixel_values": pixels})
    agrees(found[0], unit(image.encode(drawn)))
    # The table stays in 8 bits.
    tables = sum(tensor.nbytes for tensor in pack.side.tower.tensors.values())
    assert (tmp_path / "out" / "text" / "model.onnx").stat().st_size < 1.1 * tables + 50_000


@pytest.mark.parametrize(
    ("reference", "said"), [("fake:pixels", "cannot be traced"), ("siglip2", "every image")]
)
def test_image_towers_that_no_graph_can_be(
    reference, said, make_checkpoint, bert_reference, tmp_path
):
    if ":" not in reference:
        reference = f"hf:{make_checkpoint(reference)}"
    content = Side(load_tower(reference, modality="image"), reference)
    pack = pack_of("tiny:pictograms-distilled", head=None, space_id=content.space_id)
    model = DualEncoder(content, pack.side, "in memory")
    with pytest.raises(errors.ExportError, match=said) as refused:
        exported(pack, tmp_path / "out", model=model)
    assert "without --model" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_space_is_refused(make_checkpoint, bert_reference, tmp_path):
    model = DualEncoder.load(f"hf:{make_checkpoint('clip')}")
    with pytest.raises(errors.SpaceMismatchError):
        exported(pack_of("tiny:pictograms-distilled"), tmp_path / "out", model=model)
