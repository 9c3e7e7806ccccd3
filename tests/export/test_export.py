"""`export`: the table of forms, what is refused, and that a folder comes whole or not at all."""

import dataclasses
import importlib
import importlib.util

import numpy as np
import pytest

from export_packs import GERMAN, HINDI, pack_of
from polyglance import errors, export
from polyglance.export import request, text_parts, tokens
from polyglance.heads.language_means import LanguageMeans
from polyglance.model.pack import LanguagePack
from polyglance.model.side import SpaceTower
from polyglance.towers import load_tower


@pytest.mark.parametrize("name", sorted(export.FORMS))
def test_every_form_resolves(name):
    assert callable(importlib.import_module(export.FORMS[name].module).write)


def test_an_unknown_form_names_the_nearest(bert_reference, tmp_path):
    with pytest.raises(errors.UnknownNameError, match="onnx") as refused:
        export.export(export.Order(pack=pack_of(bert_reference)), "onxx", out=tmp_path / "out")
    assert "did you mean onnx?" in refused.value.hint


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_there_is_not_written_over(kind, bert_reference, tmp_path):
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(errors.OutputError, match="an export"):
        export.export(export.Order(pack=pack_of(bert_reference)), "hub-folder", out=out)
    assert (out / "mine.txt" if kind == "folder" else out).read_text() == "mine"


@pytest.mark.parametrize("form", ["onnx", "immich", "sentence-transformers"])
def test_a_missing_extra_is_named(form, bert_reference, tmp_path, monkeypatch):
    row = export.FORMS[form]
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == row.packages[-1] else real(name)
    )
    with pytest.raises(errors.MissingExtraError) as refused:
        export.export(export.Order(pack=pack_of(bert_reference)), form, out=tmp_path / "out")
    assert f"polyglance[{row.extra}]" in refused.value.hint


def test_a_failure_leaves_nothing(bert_reference, tmp_path, monkeypatch):
    wanted = request.Order.vectors_of
    monkeypatch.setattr(
        request.Order, "vectors_of", lambda *given, **named: -wanted(*given, **named)
    )
    pytest.importorskip("sentence_transformers", reason="extra `sentence` is not installed")
    (tmp_path / "out").mkdir()
    with pytest.raises(errors.ExportError, match="nothing was written"):
        export.export(
            export.Order(pack=pack_of(bert_reference)),
            "sentence-transformers",
            out=tmp_path / "out",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "found", [np.eye(2) + 2e-4, np.eye(3), np.full((2, 2), np.nan), np.eye(2)[:1]]
)
def test_vectors_that_differ_are_refused(found):
    with pytest.raises(errors.ExportError, match="text side"):
        request.difference(found, np.eye(2, dtype=np.float32), what="text side")


def test_tokens_that_differ_are_refused(letters_reference, tmp_path):
    parts = text_parts.text_parts(export.Order(pack=pack_of(letters_reference)))
    parts.tower.token_rows = lambda texts, languages: [[7, 8] for _ in texts]
    with pytest.raises(errors.ExportError, match="the tower's own tokenizer"):
        tokens.write_tokenizer(parts, tmp_path, max_length=16, padded=False)


def test_parts_know_how_a_tower_reads(make_checkpoint, bert_reference):
    def read(reference):
        tower = load_tower(reference, modality="text")
        return text_parts.text_parts(export.Order(pack=pack_of(reference, tower=tower)))

    clip, siglip, bert = (
        read(f"hf:{make_checkpoint('clip')}"),
        read(f"hf:{make_checkpoint('siglip')}"),
        read(bert_reference),
    )
    assert (clip.max_length, clip.fixed_length, clip.ends_with_pad) == (20, False, True)
    assert (siglip.max_length, siglip.fixed_length) == (20, True)
    assert (bert.max_length, bert.fixed_length, bert.ends_with_pad) == (16, False, False)


def test_the_command_says_how_near_it_is(run, pack_folder, model_folder, tmp_path):
    out = tmp_path / "out"
    code, said, err = run("export", pack_folder, "--to", "hub-folder", "--out", out)
    assert (code, err) == (0, "")
    assert "text side: largest difference from the pack's vectors 0.0e+00" in said
    assert (out / "README.md").is_file()
    code, _, err = run("export", pack_folder, "--to", "hub-folder", "--out", out)
    assert code == 2
    assert "is no place for an export: it holds README.md" in err
    code, _, err = run("export", pack_folder, "--to", "onnx", "--out", tmp_path / "other")
    assert code == 2
    assert "is no transformer" in err


def test_scores_are_those_of_the_very_pack(
    run, pack_folder, model_folder, picture_folder, tmp_path
):
    import small_world
    from polyglance.evaluation import run as measure
    from polyglance.model.dual_encoder import DualEncoder
    from polyglance.model.pack import LanguagePack
    from polyglance.results.schema import Result, append_results

    own = measure.model_id(DualEncoder.load(model_folder).with_pack(LanguagePack.load(pack_folder)))
    facts = {"task": "t", "split": "test", "direction": "text_to_content", "metric": "hit_rate"}
    facts |= {"caption_policy": "first", "num_queries": 3, "num_candidates": 3, "data_id": "d"}
    rows = [
        Result(language=name, model="m", model_id=which, values={"hit_rate_at_10": value}, **facts)
        for name, which, value in (
            (small_world.LANGUAGES[0], own, 0.421),
            (small_world.LANGUAGES[1], "another", 0.987),
        )
    ]
    append_results(tmp_path / "r.jsonl", rows)
    argv = ("export", pack_folder, "--to", "hub-folder", "--results", tmp_path / "r.jsonl")
    code, _, err = run(*argv, "--out", tmp_path / "a")
    assert code == 2
    assert "--results without --model" in err
    code, _, err = run(*argv, "--model", model_folder, "--out", tmp_path / "b")
    assert (code, err) == (0, "")
    text = (tmp_path / "b" / "README.md").read_text()
    assert "42.1" in text
    assert "98.7" not in text
    append_results(tmp_path / "other.jsonl", rows[1:])
    argv = (*argv[:-1], tmp_path / "other.jsonl", "--model", model_folder)
    code, _, err = run(*argv, "--out", tmp_path / "c")
    assert code == 2
    assert "none of the 1 results" in err


def test_a_graph_leaves_as_the_weights_that_it_was_made_of(bert_reference, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "cache"))
    plain = bert_reference.partition("?")[0]
    pack = pack_of(f"{plain}?runtime=onnx")
    found = export.export(export.Order(pack=pack), "onnx", out=tmp_path / "graph")
    assert found.differences["text"] < 1e-5
    assert found.notes == (export.FROM_TORCH,)
    kept = export.export(export.Order(pack=pack), "hub-folder", out=tmp_path / "hub")
    assert export.FROM_TORCH not in kept.notes


def with_means(reference):
    pack = pack_of(reference, language_means=(GERMAN, HINDI))
    offsets = np.random.default_rng(5).standard_normal((2, pack.side.tower.dim))
    means = LanguageMeans((GERMAN, HINDI), offsets.astype(np.float32))
    return dataclasses.replace(pack, side=dataclasses.replace(pack.side, means=means))


@pytest.mark.parametrize("form", ["onnx", "immich", "sentence-transformers"])
def test_a_form_that_reads_all_texts_alike_wants_to_know_which_mean(form, bert_reference, tmp_path):
    for package in export.FORMS[form].packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    with pytest.raises(errors.ExportError, match="means of 2 languages") as refused:
        export.export(export.Order(pack=with_means(bert_reference)), form, out=tmp_path / "out")
    assert "--language deu_Latn" in refused.value.hint


@pytest.mark.parametrize("language", [GERMAN, "eng_Latn"])
def test_the_mean_of_one_language_is_in_the_exported_head(language, bert_reference, tmp_path):
    sentences = pytest.importorskip(
        "sentence_transformers", reason="extra `sentence` is not installed"
    )
    pack, texts = with_means(bert_reference), ["red circle", "small"]
    order = export.Order(pack=pack, language=language)
    found = export.export(order, "sentence-transformers", out=tmp_path / "out")
    wanted = SpaceTower(pack.side).encode(texts, languages=[language] * 2)
    other = SpaceTower(pack.side).encode(texts, languages=[HINDI] * 2)
    made = sentences.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(texts)
    np.testing.assert_allclose(made, wanted, atol=1e-5)
    assert np.abs(made - other).max() > 1e-2
    assert f"read as {language}" in found.notes[0]
    assert found.notes[0] in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_the_hub_form_keeps_all_means(bert_reference, tmp_path):
    pack = with_means(bert_reference)
    export.export(export.Order(pack=pack), "hub-folder", out=tmp_path / "out")
    again = LanguagePack.load(tmp_path / "out")
    assert again.side.means.languages == (GERMAN, HINDI)
    np.testing.assert_array_equal(again.side.means.offsets, pack.side.means.offsets)
