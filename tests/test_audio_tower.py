"""An audio tower is one file and one row: all verbs work over sounds as over images."""

import json
from types import MappingProxyType

import numpy as np
import pytest
import soundfile

from polyglance import errors, towers
from polyglance.search import indexing
from polyglance.search.index import Index
from polyglance.sources import formats
from polyglance.storage.store import Store

HERTZ = {"low": (120, 250), "middle": (700, 1200), "high": (2500, 5000)}


@pytest.fixture(autouse=True)
def tones(monkeypatch):
    """The row of the invented tower; nothing else knows of it."""
    row = towers.TowerSource("tone_tower", "load", sides=("audio", "text"))
    monkeypatch.setattr(towers, "TOWERS", MappingProxyType({**towers.TOWERS, "tones": row}))


@pytest.fixture
def sounds(tmp_path):
    """Six tones, one of them in a folder, beside what is no sound."""
    folder = tmp_path / "sounds"
    (folder / "far").mkdir(parents=True)
    for name, pair in HERTZ.items():
        for number, hertz in enumerate(pair):
            wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)
            place = folder / ("far" if (name, number) == ("low", 1) else ".")
            soundfile.write(place / f"{name}-{number}.wav", wave, 16000)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "song.m4a").write_bytes(b"----ftypM4A ")
    (folder / "cut.flac").write_bytes(b"fLaC")
    return folder


def test_embed_index_search_and_eval_over_sounds(run, sounds, tmp_path):
    code, out, err = run("embed", "audio", sounds, "--tower", "tones:x", "--out", tmp_path / "s")
    assert code == 0
    assert out.startswith("6 new, 0 known already")
    assert "1 could not be read and were set aside:\n  cut.flac: " in err
    assert "1 file in a sound format that is not read (.m4a 1)" in out
    assert "1 other file (.jpg 1)" in out

    index = tmp_path / "index"
    code, out, _ = run("index", sounds, "--model", "tones:x", "--out", index)
    assert (code, out.splitlines()[0]) == (0, f"6 new, 0 known already, in {index}")
    facts = Store.open(index).facts
    assert (facts.modality, facts.space_id) == ("audio", "tones")
    assert not (index / "thumbnails").exists()
    code, out, _ = run("index", sounds, "--model", "tones:x", "--out", index)
    assert (code, out.splitlines()[0]) == (0, f"0 new, 6 known already, in {index}")

    code, out, _ = run("search", "a high tone", "--index", index, "--top", 2, "--json")
    assert code == 0
    assert {hit["id"] for hit in json.loads(out)["hits"]} == {"high-0.wav", "high-1.wav"}

    asked = ("search", "--audio", sounds / "low-0.wav", "--index", index, "--top", 1, "--json")
    code, out, _ = run(*asked)
    assert (code, json.loads(out)["hits"][0]["id"]) == (0, "far/low-1.wav")  # level with low-0
    code, _, err = run(*asked[:2], sounds / "cover.jpg", *asked[3:])
    assert code == 2
    assert "cover.jpg cannot be read as a sound: " in err

    data = tmp_path / "data"
    data.mkdir()
    names = [f"{name}-{number}.wav" for name in HERTZ for number in (0, 1)]
    lines = "".join(f"{name}\ttest\n" for name in names)
    (data / "images.tsv").write_text("image\tsplit\n" + lines)
    said = "".join(f"{name}\ta {name.partition('-')[0]} tone\n" for name in names)
    (data / "captions.en.tsv").write_text("image\tcaption\n" + said)
    argv = ("--task", "flickr8k", "--data", data, "--images", sounds)
    code, out, err = run("eval", "tones:x", *argv, "--out", tmp_path / "r.jsonl")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    (asked,) = (row for row in rows if row["direction"] == "text_to_content")
    # Two sounds are right for each text, and none of them can be told from the other.
    assert asked["values"]["hit_rate_at_1"] == 0.5
    assert asked["values"]["hit_rate_at_5"] == 1.0

    page = tmp_path / "report.html"
    code, _, err = run("report", tmp_path / "r.jsonl", "-o", page, "--modality", "audio")
    assert (code, err) == (0, "")
    assert "text to audio" in page.read_text()
    code, _, err = run("report", tmp_path / "r.jsonl", "-o", page, "--modality", "smell", "--force")
    assert (code, "unknown modality 'smell'" in err) == (2, True)


def test_tars_of_sounds_and_an_index_of_two_modalities(run, sounds, tmp_path):
    import tarfile

    with tarfile.open(sounds / "more.tar", "w") as tar:
        tar.add(sounds / "high-0.wav", "000.wav")
        (tmp_path / "000.txt").write_text("a siren")
        tar.add(tmp_path / "000.txt", "000.txt")
    index = tmp_path / "index"
    report = indexing.build(sounds, model="tones:x", out=index)
    assert (report.new, report.kind, report.num_in_tars) == (7, "sounds", 1)
    store = Store.open(index)
    captions = dict(zip(*store.columns(["id", "caption"]).values(), strict=True))
    assert captions["more/000.wav"] == "a siren"
    assert Index(index).store.facts.modality == "audio"

    images = tmp_path / "images"
    images.mkdir()
    (images / "song.m4a").write_bytes(b"x")
    with pytest.raises(errors.InputError, match="there is no sound in .*; left out: 1 file in a s"):
        indexing.build(images, model="tones:x", out=tmp_path / "other")


def test_vectors_of_sounds_take_their_modality_from_the_model(sounds, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    np.save(given / "vectors.npy", np.eye(3, dtype=np.float32))
    (given / "ids.txt").write_text("a\nb\nc\n")
    indexing.build(given, model="tones:x", out=tmp_path / "index", space="model")
    assert Store.open(tmp_path / "index").facts.modality == "audio"


def test_every_suffix_belongs_to_one_modality_and_is_read_or_named():
    image, sound = formats.readable_suffixes("image"), formats.readable_suffixes("audio")
    assert not image & sound
    for modality, there in (("image", image), ("audio", sound)):
        unread = frozenset().union(*formats.FORMATS[modality].unread.values())
        assert all(formats.why_by_suffix(suffix, modality) is None for suffix in there)
        assert all(formats.why_by_suffix(suffix, modality) for suffix in unread - there)


def test_what_is_no_tower_is_refused(monkeypatch):
    monkeypatch.setattr("tone_tower.load", lambda reference, *, modality: object())
    with pytest.raises(errors.ConfigError, match="gave object for tones:x, which is no tower"):
        towers.load_tower("tones:x", modality="audio")
