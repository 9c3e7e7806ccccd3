"""The sentence-transformers form: stock modules alone give the pack's own vectors."""

import json
from pathlib import Path

import numpy as np
import pytest

from export_packs import GERMAN, HINDI, chain, pack_of, vectors
from polyglance import errors, export

pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")


def stock(folder, texts):
    """What the library makes of a folder, with no code of ours."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    kinds = {type(module).__module__.split(".")[0] for module in model}
    assert kinds == {"sentence_transformers"}
    return model.encode(texts, batch_size=2, show_progress_bar=False)


def exported(pack, out, **order):
    return export.export(export.Order(pack=pack, **order), "sentence-transformers", out=out)


def agrees(pack, texts, out, *, language=None):
    found = exported(pack, out, language=language)
    wanted = vectors(pack, texts, language=language or "eng_Latn")
    apart = np.abs(stock(out, texts) - wanted).max()
    cosine = (stock(out, texts) * wanted).sum(axis=1).min()
    print(f"largest difference {apart:.1e}, least cosine {cosine:.7f}")
    assert apart < 1e-5
    assert found.differences["text"] < 1e-5
    assert not [*out.rglob("*.bin"), *out.rglob("*.pt"), *out.rglob("*.py")]


HEADS = {
    "linear on unit vectors": {},
    "linear on raw vectors": {"head_input": "raw"},
    "two layers": {"head": chain(48, normed=False)},
    "two layers with a norm": {"head": chain(48, normed=True)},
    "no head": {"head": None},
}


@pytest.mark.parametrize("name", HEADS)
def test_every_head_is_stock_modules(name, bert_reference, tmp_path):
    pack = pack_of(bert_reference, **HEADS[name])
    words = ["red circle", "big blue square", "small", "red", "black ring small big " * 9]
    agrees(pack, words, tmp_path / "out")


@pytest.mark.parametrize("output", ["embedding", "pre_projection"])
def test_the_base_keeps_its_own_modules(output, letters_reference, texts, tmp_path):
    agrees(pack_of(letters_reference, output=output), texts, tmp_path / "out")
    kinds = [m["type"].rpartition(".")[2] for m in _modules(tmp_path / "out")]
    own = ["Dense", "Normalize"] if output == "embedding" else []
    assert kinds == ["Transformer", "Pooling", *own, "Normalize", "Dense", "Normalize"]


def _modules(folder):
    return json.loads((folder / "modules.json").read_text())


@pytest.mark.parametrize(
    "form",
    [
        "bert?pooling=cls",
        "xlm_roberta?pooling=mean",
        "bert?pooling=max&prefix=q a ",
        "clip_of_bytes",
        "t5",
    ],
)
def test_checkpoints_of_transformers(form, make_checkpoint, texts, tmp_path):
    name, _, options = form.partition("?")
    options = "pooling=mean" if name == "t5" else options
    reference = f"hf:{make_checkpoint(name)}?{options}"
    agrees(pack_of(reference.rstrip("?")), texts, tmp_path / "out")


@pytest.mark.parametrize("options", ["prompt=q", "prompt=", "prefix=q a "])
def test_the_prompt_of_the_tower_goes_along(options, letters_reference, texts, tmp_path):
    folder = Path(letters_reference.partition(":")[2])
    said = {"prompts": {"q": "x y "}, "truncate_dim": 6}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    pack = pack_of(f"{letters_reference}?{options}")
    agrees(pack, texts, tmp_path / "out")
    # It is inside the tokenizer: nobody who encodes with the folder has to know of it.
    assert not (tmp_path / "out" / "config_sentence_transformers.json").exists()


@pytest.mark.parametrize("kind", ["sentence", "bert", "clip"])
def test_trained_weights_are_written_out(
    kind, letters_reference, make_checkpoint, tune, texts, tmp_path
):
    references = {
        "sentence": letters_reference,
        "bert": f"hf:{make_checkpoint('bert')}?pooling=mean",
        "clip": f"hf:{make_checkpoint('clip_of_bytes')}",
    }
    tower = tune(references[kind], texts)
    pack = pack_of("tuned:./tower", tower=tower)
    untrained = vectors(pack_of(references[kind], head=pack.side.head), texts)
    assert np.abs(vectors(pack, texts) - untrained).max() > 1e-2
    agrees(pack, texts, tmp_path / "out")


@pytest.mark.parametrize("method", ["lora", "shared-lora"])
def test_low_rank_changes_are_merged_for_one_language(
    method, letters_reference, tune, texts, tmp_path
):
    pytest.importorskip("peft", reason="extra `lora` is not installed")
    tower = tune(letters_reference, texts, method=method, languages=[GERMAN, HINDI])
    pack = pack_of("tuned:./tower", tower=tower)
    before = tower.base.encode(texts)
    assert np.abs(tower.encode(texts, languages=[HINDI] * len(texts)) - before).max() > 1e-3
    agrees(pack, texts, tmp_path / "out", language=HINDI)
    # The base itself is as it was.
    np.testing.assert_array_equal(tower.base.encode(texts), before)


def test_parts_by_language_want_a_language(letters_reference, tune, texts, tmp_path):
    tower = tune(letters_reference, texts, method="adapters", languages=[GERMAN, HINDI])
    pack = pack_of("tuned:./tower", tower=tower)
    with pytest.raises(errors.ExportError, match="adapters of 2 languages") as refused:
        exported(pack, tmp_path / "out")
    assert "--language deu_Latn" in refused.value.hint
    with pytest.raises(errors.LanguageError, match="no adapters for fra_Latn"):
        exported(pack, tmp_path / "out", language="fra_Latn")
    with pytest.raises(errors.ExportError, match="do not merge") as refused:
        exported(pack, tmp_path / "out", language=GERMAN)
    assert "--to onnx" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_a_language_that_selects_nothing_is_refused(bert_reference, tmp_path):
    with pytest.raises(errors.ExportError, match="by the same weights"):
        exported(pack_of(bert_reference), tmp_path / "out", language=GERMAN)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nllb", "language of every text"),
        ("siglip", "padded to full length"),
        ("bert?pooling=pooler", "pools by its own layer"),
        ("fake:multilingual", "no transformer"),
        ("tiny:pictograms-ranking", "no transformer"),
    ],
)
def test_what_stock_modules_cannot_be_is_refused(reference, said, make_checkpoint, tmp_path):
    if ":" not in reference:
        name, _, options = reference.partition("?")
        reference = f"hf:{make_checkpoint(name)}?{options}".rstrip("?")
    with pytest.raises(errors.ExportError, match=said) as refused:
        exported(pack_of(reference), tmp_path / "out")
    assert "onnx" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_what_comes_out_different_is_not_written(make_checkpoint, tmp_path):
    """A vocabulary whose unknown token is the end of a text pools elsewhere than stock modules."""
    with pytest.raises(errors.ExportError, match="from the pack's own"):
        exported(pack_of(f"hf:{make_checkpoint('clip')}"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
