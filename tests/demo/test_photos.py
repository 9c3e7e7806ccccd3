"""The demo on photos, captioned or not, through the functions of every user's work."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import captioned_photos
from polyglance import demo, errors
from polyglance.demo import output, photos
from polyglance.heads.affine import AffineMap
from polyglance.model.dual_encoder import DualEncoder
from polyglance.results import schema

TOWER = "fake:multilingual"


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch):
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda *_: "window.vegaEmbed = null")


@pytest.fixture
def folder(tmp_path):
    return captioned_photos.write(tmp_path / "set")


def run_on(folder, out, model_folder, **changes):
    return photos.run(folder, out, model=str(model_folder), tower=TOWER, **changes)


def test_captioned_photos_are_measured_in_every_language(folder, model_folder, tmp_path, run):
    out = tmp_path / "out"
    summary = run_on(folder, out, model_folder)
    assert summary["photos"] == 24
    assert next(iter(summary["hit_rate_at_10"])) == "eng_Latn"
    assert set(summary["hit_rate_at_10"]) == set(captioned_photos.CODES.values())
    for language, by in summary["hit_rate_at_10"].items():
        value, low, high = by["pack"]
        assert low < value < high or value == high == 1
        if language != "eng_Latn":
            assert value > by["model"][0] + 0.2
    assert (
        summary["hit_rate_at_10"]["eng_Latn"]["pack"]
        == (summary["hit_rate_at_10"]["eng_Latn"]["model"])
    )
    said = json.loads((out / "summary.json").read_text())
    assert said["seconds"]["total"] > 0
    assert len(said["answers"]) == 10
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 50
    assert 'dir="rtl"' in page
    assert "Text to image" in page or "text to image" in page
    assert (out / "results.csv").is_file()
    assert {path.name for path in folder.iterdir()} == {
        *("images.tsv", "all-photos"),
        *(f"captions.{code}.tsv" for code in captioned_photos.CODES),
    }


def test_figures_are_those_of_the_commands(folder, model_folder, tmp_path, run):
    """`polyglance eval` on the same files reads the demo's results, and measures nothing again."""
    out = tmp_path / "out"
    run_on(folder, out, model_folder)
    ours = schema.read_results(out / "results.jsonl")
    argv = ("eval", str(model_folder), "--task", "flickr8k", "--data", folder)
    argv += ("--images", folder / "all-photos", "--captions", "first")
    code, _, err = run(*argv, "--out", tmp_path / "theirs.jsonl")
    assert code == 0, err
    theirs = schema.read_results(tmp_path / "theirs.jsonl")
    alone = [row for row in ours if not row.pack]
    assert {row.score_id for row in alone} == {row.score_id for row in theirs}
    values = {(row.language, row.direction): row.values for row in theirs}
    for row in alone:
        assert row.values == values[row.language, row.direction]


def test_a_second_run_measures_and_trains_nothing_again(
    folder, model_folder, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    first = run_on(folder, out, model_folder)
    before = (out / "results.jsonl").read_bytes()
    monkeypatch.setattr(photos.photo_pack.run, "train", None)
    second = run_on(folder, out, model_folder)
    assert (out / "results.jsonl").read_bytes() == before
    assert second["hit_rate_at_10"] == first["hit_rate_at_10"]
    assert second["answers"] == first["answers"]


def test_plain_photos_are_searched_and_show_the_packs_card(
    picture_folder, model_folder, pack_folder, tmp_path, capsys
):
    out = tmp_path / "out"
    summary = run_on(picture_folder, out, model_folder, pack=str(pack_folder))
    assert summary["photos"] == 72
    assert summary["hit_rate_at_10"] == {}
    page = (out / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 50
    assert "not on your photos" in page
    assert not (out / "results.jsonl").exists()
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines()[:20])) <= 80
    assert "Ten queries in ten scripts" in said
    assert {path.suffix for path in picture_folder.iterdir()} == {".png"}


def test_nothing_is_written_among_the_photos(picture_folder, model_folder):
    before = sorted(picture_folder.iterdir())
    with pytest.raises(errors.OutputError, match="inside of the photos' folder"):
        run_on(picture_folder, picture_folder / "demo-photos", model_folder)
    assert sorted(picture_folder.iterdir()) == before


def test_a_folder_that_is_none_leaves_nothing_behind(tmp_path, model_folder):
    with pytest.raises(errors.InputError, match="is not a folder"):
        run_on(tmp_path / "nowhere", tmp_path / "out", model_folder)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_photo_says_so(tmp_path, model_folder, pack_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.InputError, match="there is no image in"):
        run_on(tmp_path / "empty", tmp_path / "out", model_folder, pack=str(pack_folder))


def test_what_would_fail_in_the_end_is_found_before_photos_are_read(
    picture_folder, folder, model_folder, pack_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(photos.indexing, "build", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(errors.UnavailableError, match="there is no language pack at"):
        run_on(picture_folder, tmp_path / "a", model_folder, pack=str(tmp_path / "nowhere"))
    with pytest.raises(errors.UnavailableError, match="no language pack comes with"):
        run_on(picture_folder, tmp_path / "b", model_folder)
    other = DualEncoder.load(str(model_folder))
    turned = replace(
        other.content, head=AffineMap(np.eye(24, 192, dtype=np.float32), np.zeros(24, np.float32))
    )
    replace(other, content=turned).save(tmp_path / "other")
    with pytest.raises(errors.SpaceMismatchError):
        run_on(picture_folder, tmp_path / "c", tmp_path / "other", pack=str(pack_folder))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "new cache"))
    with pytest.raises(errors.MissingExtraError, match="charts"):
        run_on(folder, tmp_path / "d", model_folder)
    assert not (tmp_path / "d").exists()


def test_a_demo_on_something_else_is_left_alone(
    picture_folder, folder, model_folder, pack_folder, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    run_on(picture_folder, out, model_folder, pack=str(pack_folder))
    page = (out / "report.html").read_bytes()
    with pytest.raises(errors.OutputError, match="holds the demo on photos of"):
        run_on(folder, out, model_folder)
    monkeypatch.setattr(demo.pictograms, "load_world", lambda: pytest.fail("work began"))
    with pytest.raises(errors.OutputError, match="not on pictograms"):
        demo.run(out)
    assert (out / "report.html").read_bytes() == page


def test_the_marker_of_the_pictograms_is_what_it_was(tmp_path):
    output.begin(tmp_path / "out", world=output.PICTOGRAMS)
    said = json.loads((tmp_path / "out" / output.DEMO_FILE).read_text())
    assert set(said) == {"schema_version", "kind", "checksum"}
    output.begin(tmp_path / "out", world=output.PICTOGRAMS)
    with pytest.raises(errors.OutputError, match="holds the demo on pictograms"):
        output.begin(tmp_path / "out", world="photos of /x")
