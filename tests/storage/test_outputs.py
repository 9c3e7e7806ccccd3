"""What an output may replace, and what it never does."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from polyglance import errors
from polyglance.storage import atomic, manifests, outputs

KINDS = {name: kind for name, kind in vars(outputs).items() if isinstance(kind, outputs.Kind)}
FOLDERS = sorted(name for name, kind in KINDS.items() if kind.is_folder)
FILES = sorted(set(KINDS) - set(FOLDERS))


def tree(folder):
    """Every path below with its content, links as such."""
    return {
        path.relative_to(folder): os.readlink(path)
        if path.is_symlink()
        else (path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


@pytest.fixture
def precious(tmp_path):
    folder = tmp_path / "precious"
    (folder / "2023").mkdir(parents=True)
    (folder / "2023" / "wedding.jpg").write_bytes(b"photo")
    (folder / "thesis.txt").write_text("years of work\n")
    return folder


def refused(path, name, *, match, force=True, beside=()):
    before = tree(path.parent)
    with pytest.raises(errors.OutputError, match=match):
        outputs.require(path, KINDS[name], force=force, beside=beside)
    assert tree(path.parent) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_no_folder_takes_the_place_of_anything_else(name, precious, tmp_path):
    refused(precious, name, match="it holds 2023, thesis.txt; nothing was written")
    refused(precious / "thesis.txt", name, match="is a file")
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for link in ("link", "dangling"):
        refused(tmp_path / link, name, match="is a link to")
    refused(precious / "thesis.txt" / "pack", name, match="Not a directory")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", name, match="is a device")


@pytest.mark.parametrize("name", FILES)
def test_no_file_takes_the_place_of_anything_else(name, precious, tmp_path):
    refused(precious / "thesis.txt", name, match="it is another file, of 14 bytes")
    refused(precious, name, match="is a folder; .* is a file")
    (tmp_path / "link.html").symlink_to(precious / "thesis.txt")
    refused(tmp_path / "link.html", name, match="is a link to")
    refused(Path("/dev/null"), name, match="is a device") if Path("/dev/null").exists() else None


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_not_there_or_empty_may_be_written_and_is_left_as_it_is(name, tmp_path):
    outputs.require(tmp_path / "new" / "deep", KINDS[name])
    empty = tmp_path / "empty"
    empty.mkdir() if KINDS[name].is_folder else empty.touch()
    outputs.require(empty, KINDS[name])
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("name", FOLDERS)
def test_the_places_that_hold_everything_are_never_written(name, tmp_path, monkeypatch):
    for place, said in (("work", "the folder that this runs in"), ("home", "the home folder")):
        (tmp_path / place).mkdir()
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path / "work")
        refused(tmp_path / place, name, match=said)
    refused(Path(), name, match="the folder that this runs in")
    with pytest.raises(errors.OutputError, match="the root of a disk"):
        outputs.require(Path("/"), KINDS[name], force=True)
    with pytest.raises(errors.OutputError, match="no shell has replaced"):
        outputs.require(Path("~/pack"), KINDS[name])
    with pytest.raises(errors.OutputError, match="not valid UTF-8"):
        outputs.require(tmp_path / "o\udcff", KINDS[name])


@pytest.mark.parametrize("name", FOLDERS)
def test_apart_from_what_is_read_and_what_else_is_written(name, precious, tmp_path):
    new = tmp_path / "new"
    refused(new, name, match="is given as .* as well", beside=[new])
    refused(new, name, match="holds .*run, which is given as well", beside=[new / "run"])
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "pack.json").write_text("{}")
    refused(pack / "export", name, match="is inside of .*pack", beside=[pack])
    (tmp_path / "alias").symlink_to(pack)
    refused(pack / "export", name, match="is inside of", beside=[tmp_path / "alias"])
    outputs.require(precious / "index", KINDS[name], beside=[precious])


def test_a_file_under_another_spelling_of_what_is_read(tmp_path):
    table = tmp_path / "captions.tsv"
    table.touch()
    os.link(table, tmp_path / "same.tsv")
    refused(tmp_path / "same.tsv", "PAGE", match="is given as", beside=[table])
    refused(tmp_path / "x" / ".." / "captions.tsv", "PAGE", match="is given as", beside=[table])


PACK_TEXT = json.dumps(
    {"kind": "language-pack", "sealed": {"head.safetensors": "", "tower/tower.json": ""}}
)
TOWER_TEXT = json.dumps({"sealed": {"weights.safetensors": ""}})
MADE = {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
OWN = {
    "PACK": {
        "pack.json": PACK_TEXT,
        "README.md": "x",
        "head.safetensors": "x",
        "tower/tower.json": TOWER_TEXT,
        "tower/weights.safetensors": "x",
    },
    "ANALYSIS": {"analysis.json": "{}", "analysis.html": outputs.GENERATOR},
    "TABLES": {
        "benchmark_a.json": "{}",
        "model/a/b.json": "{}",
        "polyglance.manifest": json.dumps(
            manifests.manifest(
                {
                    "form": "mteb",
                    "files": dict.fromkeys(["benchmark_a.json", "model/a/b.json"], MADE),
                },
                kind="files-made",
                schema_version=1,
            )
        ),
    },
    "INDEX": {"store.json": "{}", "vectors.lance/data": "x", "thumbnails/ab/c.jpg": "x"},
    "RUN": {"run.json": "{}", "log.jsonl": "x"},
    "COMPARISON": {"compare.json": '{"rungs": []}', "packs/a/pack.json": "{}"},
    "DEMO": {"demo.json": "{}", "model/model.json": "{}"},
    "RESULTS": '{"schema_version": 1, "task": "xtd10"}\n',
    "CONVERTED": '\ufeff{"schema_version": 1, "task": "xtd10"}\n',
    "PAGE": f"<!doctype html>{outputs.GENERATOR}",
    "MARKDOWN": f"# Title\n\n{outputs.MARKDOWN_MARK}\n",
    "CSV": "task,split,language,english_name,script\n",
    "CLIP_BENCHMARK_CSV": "dataset,model,pretrained,task,language,model_fullname,split,metric,"
    "variant,caption_policy,model_id,data_id,code_version,acc1\n",
}
BEGUN = {
    "INDEX": {"store.lock": "", "vectors.lance/data": "x"},
    "RUN": {"stage/run.json": "{}", ".lock": ""},
    "COMPARISON": {"packs/m2m-0-ab/pack.json": "{}", "packs/.a.making-01234567/x": ""},
}


def fill(place, content):
    if isinstance(content, str):
        place.write_text(content, encoding="utf-8")
        return
    for name, text in content.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"EXPORT"}))
def test_one_of_the_kind_goes_on_or_is_replaced_when_asked(name, tmp_path):
    fill(tmp_path / "own", OWN[name])
    kind = KINDS[name]
    outputs.require(tmp_path / "own", kind, force=True)
    if kind.goes_on:
        outputs.require(tmp_path / "own", kind)
    else:
        refused(tmp_path / "own", name, match="already", force=False)


@pytest.mark.parametrize("name", sorted(BEGUN))
def test_what_was_stopped_half_way_goes_on(name, tmp_path):
    fill(tmp_path / "own", BEGUN[name])
    outputs.require(tmp_path / "own", KINDS[name])


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("PACK", "notes.txt"),
        ("PACK", "tower/me.jpg"),
        ("ANALYSIS", "b.html"),
        ("TABLES", "a.txt"),
        ("TABLES", "mine.json"),
        ("TABLES", "model/a/c.json"),
        ("TABLES", "benchmark_a.json"),
        ("TABLES", "polyglance.manifest"),
    ],
)
def test_what_was_put_beside_is_not_replaced_with_it(name, more, tmp_path):
    fill(tmp_path / "own", {**OWN[name], more: "mine"})
    refused(tmp_path / "own", name, match="is no place for")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("INDEX", {"vectors.lance/data": "theirs"}),
        ("RUN", {"2023/wedding.jpg": "x"}),
        ("COMPARISON", {"results.jsonl": "mine"}),
        ("COMPARISON", {"packs/2023/photo.jpg": "x"}),
        ("DEMO", {"model/model.json": "{}", "pack/pack.json": "{}"}),
        ("PACK", {"pack.json": '{"kind": "backpack"}'}),
        ("PACK", {"pack.json": "[" * 9000}),
        ("TABLES", {"theirs.json": '{"task_name": "", "pretrained": ""}'}),
        ("CLIP_BENCHMARK_CSV", "acc1,dataset,model,pretrained,task,language,model_fullname\n"),
    ],
)
def test_what_only_looks_like_the_kind(name, content, tmp_path):
    fill(tmp_path / "other", content)
    refused(tmp_path / "other", name, match="is no place for")


def test_a_link_to_what_goes_on(tmp_path):
    fill(tmp_path / "own", OWN["INDEX"])
    (tmp_path / "link").symlink_to(tmp_path / "own")
    outputs.require(tmp_path / "link", outputs.INDEX)


def test_the_place_is_tried(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs.os, "fsync", full)
    with pytest.raises(errors.DiskFullError, match="a report cannot be written"):
        outputs.require(tmp_path / "r.html", outputs.PAGE)
    assert list(tmp_path.iterdir()) == []

    def denied(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.undo()
    monkeypatch.setattr(atomic.Path, "open", denied)
    with pytest.raises(errors.OutputError, match="Permission denied") as caught:
        outputs.require(tmp_path / "r.html", outputs.PAGE)
    assert "name another place" in caught.value.hint


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/pack"])
def test_names_that_no_disk_takes(name, tmp_path):
    with pytest.raises(errors.OutputError, match="too long"):
        outputs.require(tmp_path / name, outputs.PACK)


def test_a_cache_that_cannot_be_one(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "cache"):
        monkeypatch.setenv("POLYGLANCE_CACHE", str(place))
        with pytest.raises(errors.OutputError, match="the cache") as caught:
            outputs.require_cache()
        assert "POLYGLANCE_CACHE" in caught.value.hint
    monkeypatch.setenv("POLYGLANCE_CACHE", str(tmp_path / "new"))
    outputs.require_cache()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_verb_sweeps_beside_its_output_first(tmp_path):
    left, other = tmp_path / ".x.making-00000001", tmp_path / ".y.making-00000001"
    for path in (left, other):
        path.write_bytes(b"1")
        os.utime(path, (1e9, 1e9))
    outputs.require(tmp_path / "x", outputs.PACK)
    assert list(tmp_path.iterdir()) == [other]
