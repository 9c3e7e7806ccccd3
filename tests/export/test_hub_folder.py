"""The hub form: the pack comes back from another place, with its card, and nothing stays behind."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import small_world
from export_packs import GERMAN, HINDI, affine_map, pack_of, vectors
from polyglance import errors, export
from polyglance.export import card, hub_folder
from polyglance.export import request as order
from polyglance.model.pack import LanguagePack
from polyglance.results.schema import Result


def exported(pack, out, **order):
    return export.export(export.Order(pack=pack, **order), "hub-folder", out=out)


def result(language, **changed):
    facts = {
        "task": "xtd10",
        "split": "test",
        "language": language,
        "direction": "text_to_content",
        "metric": "hit_rate",
        "caption_policy": "first",
        "values": {"hit_rate_at_10": 0.6789},
        "intervals": {"hit_rate_at_10": (0.64, 0.71)},
        "num_queries": 10,
        "num_candidates": 10,
        "model": "m",
        "model_id": "i",
        "data_id": "d",
    }
    return Result(**{**facts, **changed})


def test_a_tower_named_by_a_path_goes_along(letters_reference, texts, tmp_path):
    folder = Path(letters_reference.partition(":")[2])
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "code.py").write_text("print()")
    pack = pack_of(f"{letters_reference}?device=cpu")
    wanted = vectors(pack, texts)
    assert exported(pack, tmp_path / "out").differences == {"text": 0.0}
    shutil.rmtree(folder)
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    again = LanguagePack.load(tmp_path / "elsewhere")
    assert again.manifest.tower == "sentence:./tower"
    np.testing.assert_array_equal(vectors(again, texts), wanted)
    suffixes = {path.suffix for path in (tmp_path / "elsewhere").rglob("*.*")}
    assert suffixes <= {".json", ".safetensors", ".txt", ".md"}


def test_the_prompt_is_kept(letters_reference, texts, tmp_path):
    folder = Path(letters_reference.partition(":")[2])
    said = {"prompts": {"query": "x y ", "passage": "z "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    packs = {name: pack_of(f"{letters_reference}?prompt={name}") for name in said["prompts"]}
    assert len({pack.manifest.tower_fingerprint for pack in packs.values()}) == 2
    exported(packs["passage"], tmp_path / "out")
    again = LanguagePack.load(tmp_path / "out")
    assert again.manifest.tower == "sentence:./tower?prompt=passage"
    np.testing.assert_array_equal(vectors(again, texts), vectors(packs["passage"], texts))
    assert np.abs(vectors(again, texts) - vectors(packs["query"], texts)).max() > 1e-3


@pytest.mark.parametrize("method", ["weights", "adapters"])
def test_so_does_the_base_of_a_tuned_tower(method, letters_reference, tune, texts, tmp_path):
    languages = [GERMAN, HINDI] if method == "adapters" else ()
    tower = tune(letters_reference, texts, method=method, languages=languages)
    pack = pack_of("tuned:./tower", tower=tower)
    wanted = vectors(pack, texts, language=HINDI)
    exported(pack, tmp_path / "out")
    shutil.rmtree(letters_reference.partition(":")[2])
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    again = LanguagePack.load(tmp_path / "elsewhere")
    np.testing.assert_array_equal(vectors(again, texts, language=HINDI), wanted)
    facts = json.loads((tmp_path / "elsewhere" / "tower" / "tower.json").read_text())
    assert facts["base"] == "sentence:./base"


def test_adapters_on_a_tuned_tower_bring_both(letters_reference, tune, texts, tmp_path):
    first = tune(letters_reference, texts)
    first.save(tmp_path / "first")
    tower = tune(f"tuned:{tmp_path / 'first'}", texts, method="adapters", languages=[GERMAN])
    pack = pack_of("tuned:./tower", tower=tower)
    wanted = vectors(pack, texts, language=GERMAN)
    exported(pack, tmp_path / "out")
    shutil.rmtree(letters_reference.partition(":")[2])
    shutil.rmtree(tmp_path / "first")
    again = LanguagePack.load(tmp_path / "out")
    np.testing.assert_array_equal(vectors(again, texts, language=GERMAN), wanted)


def test_names_of_a_hub_stay_names(tmp_path):
    pack = pack_of("tiny:pictograms-distilled")
    exported(pack, tmp_path / "out")
    assert LanguagePack.load(tmp_path / "out").manifest.tower == "tiny:pictograms-distilled"
    assert not (tmp_path / "out" / "tower").exists()


def test_a_base_that_leads_out_of_the_folder_is_refused(letters_reference, tune, texts, tmp_path):
    exported(pack_of("tuned:./tower", tower=tune(letters_reference, texts)), tmp_path / "out")
    manifest = tmp_path / "out" / "tower" / "tower.json"
    small_world.edit(manifest, base="sentence:./../../elsewhere")
    small_world.edit(tmp_path / "out" / "pack.json", sealed={})
    with pytest.raises(errors.StoreError, match="lies outside"):
        LanguagePack.load(tmp_path / "out")


def test_the_card_is_what_hubs_read(tmp_path):
    from huggingface_hub import ModelCard

    pack = pack_of(
        "tiny:pictograms-distilled", teacher="hf:openai/clip-vit-base-patch32?dtype=float16"
    )
    rows = (result(GERMAN), result("fra_Latn", direction="content_to_text", intervals={}))
    exported(pack, tmp_path / "out", results=rows, license="apache-2.0")
    data = ModelCard.load(tmp_path / "out" / card.FILE).data
    assert data.license == "apache-2.0"
    assert data.language == ["de", "fr", "hi"]
    assert data.base_model == ["openai/clip-vit-base-patch32"]
    assert {"multilingual", "language-pack", "ridge"} <= set(data.tags)
    assert data.library_name == "polyglance"
    found = {
        (r.dataset_type, r.dataset_config, r.task_type): r.metric_value for r in data.eval_results
    }
    assert found == {
        ("dev", GERMAN, "text-to-image-retrieval"): 50.0,
        ("dev", HINDI, "text-to-image-retrieval"): 25.0,
        ("xtd10", GERMAN, "text-to-image-retrieval"): 67.89,
        ("xtd10", "fra_Latn", "image-to-text-retrieval"): 67.89,
    }
    text = (tmp_path / "out" / card.FILE).read_text()
    assert (
        "| xtd10 (test) | `deu_Latn` | text_to_content | hit_rate_at_10 | 67.9 | 64.0 to 71.0 |"
        in text
    )
    assert f"| German | `{GERMAN}` | 50.0 | 12.5 | pack |" in text


def test_a_card_without_licence_or_scores_says_so(bert_reference, tmp_path):
    from huggingface_hub import ModelCard

    exported(pack_of(bert_reference, languages={}), tmp_path / "out")
    data = ModelCard.load(tmp_path / "out" / card.FILE).data
    assert (data.license, data.license_name) == ("other", "that-of-its-parts")
    assert data.eval_results is None
    # A path of this disk is no model that others could look up.
    assert data.base_model == ["owner/teacher"]


def test_one_language_of_a_whole_pack_is_refused(bert_reference, tmp_path):
    with pytest.raises(errors.ExportError, match="kept whole"):
        exported(pack_of(bert_reference, head=affine_map(48)), tmp_path / "out", language=GERMAN)


@pytest.mark.parametrize("license", ["nonsense!!", "my own license", "-mit", "MIT OR GPL", "mit\n"])
def test_a_license_is_an_spdx_id_and_looked_at_first(run, tmp_path, license):
    argv = ("export", "nowhere", "--to", "hub-folder", "--out", tmp_path / "o")
    code, _, err = run(*argv, "--license", license)
    assert code == 2
    assert "is no SPDX id" in err
    assert "apache-2.0" in err


@pytest.mark.parametrize("license", ["apache-2.0", "GPL-2.0+", "other", "0BSD"])
def test_licenses_that_pass(license):
    order.require_license(license)


def test_what_the_card_shows_can_be_called():
    """Up to the pack itself, which no hub has."""
    code = hub_folder.USAGE.partition("```python")[2].partition("```")[0]
    with pytest.raises(errors.UnavailableError, match="OWNER/NAME"):
        exec(code, {})
