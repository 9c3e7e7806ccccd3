"""A walk finds pictures and tars, and says of all else why it is left out."""

import os
import socket
import sys

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.sources import formats, walking
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import REASONS, Skipped, Why, summary
from polyglance.sources.walking import survey_folder


def put(root, *names, content=b"x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def ids(found):
    return [image.id for image in found.items]


def skipped(found):
    return {one.id: one.why for one in found.skipped}


def test_every_file_is_an_image_a_tar_or_has_a_reason(tmp_path):
    put(tmp_path, "a.png", "b/c.JPG", "raw.CR2", "v.mp4", "notes.txt", "x.tar.gz", ".hidden.png")
    put(tmp_path, "@eaDir/a.png/THUMB.jpg", "#recycle/gone.png", "Thumbs/t.jpg", ".git/o.png")
    put(tmp_path, "lost+found/x.png", "sub/$RECYCLE.BIN/x.png", "s.tar", "noname")
    found = survey_folder(tmp_path, "image")
    assert ids(found) == ["a.png", "b/c.JPG"]
    assert [tar.id for tar in found.tars] == ["s.tar"]
    assert skipped(found) == {
        "raw.CR2": Why.FORMAT,
        "v.mp4": Why.VIDEO,
        "notes.txt": Why.OTHER,
        "noname": Why.OTHER,
        "x.tar.gz": Why.ARCHIVE,
        ".hidden.png": Why.HIDDEN,
        ".git/": Why.HIDDEN,
        "@eaDir/": Why.SYSTEM,
        "#recycle/": Why.SYSTEM,
        "Thumbs/": Why.SYSTEM,
        "lost+found/": Why.SYSTEM,
        "sub/$RECYCLE.BIN/": Why.SYSTEM,
    }


def test_links_pipes_and_sockets_have_their_reasons(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    put(root, "own.png", ".annex/in.png")
    put(outside, "out.png", "out.tar")
    links = {
        "out.png": outside / "out.png",
        "out.tar": outside / "out.tar",
        "in.png": root / ".annex/in.png",
        "folder": outside,
        "loop": root,
        "self.png": root / "self.png",
        "first.png": root / "second.png",
        "second.png": root / "first.png",
        "gone.png": root / "absent.png",
        "zero.png": "/dev/zero",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.jpg")
    os.mkfifo(root / "pipe.tar")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket.png"))
        found = survey_folder(root, "image")
    assert ids(found) == ["in.png", "own.png"]
    by_why = {}
    for name, why in skipped(found).items():
        by_why.setdefault(why, set()).add(name)
    assert by_why == {
        Why.LINK_OUT: {"out.png", "out.tar"},
        Why.LINKED_FOLDER: {"folder", "loop"},
        Why.LINK_BROKEN: {"self.png", "first.png", "second.png", "gone.png"},
        Why.SPECIAL: {"pipe.jpg", "pipe.tar", "socket.png", "zero.png"},
        Why.HIDDEN: {".annex/"},
    }


def test_a_linked_root_and_a_folder_called_as_a_picture(tmp_path):
    put(tmp_path, "real/dir.jpg/inside.png", "real/dir.tar/inside.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = survey_folder(tmp_path / "link", "image")
    assert ids(found) == ["dir.jpg/inside.png", "dir.tar/inside.png"]
    assert found.skipped == ()


def nest(root, *, name, depth):
    """Folders inside each other; a path may be longer than the system takes."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("deep.png", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.close(file)
    os.close(here)


def test_folders_deeper_than_recursion_and_than_paths(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    nest(tmp_path / "short", name="d", depth=sys.getrecursionlimit() + 200)
    nest(tmp_path / "long", name="d" * 100, depth=60)
    found = survey_folder(tmp_path, "image")
    assert [name.rpartition("/")[2] for name in ids(found)] == ["a.png", "deep.png"]
    assert [one.reason for one in found.unlisted] == [
        "the folder cannot be listed: File name too long"
    ]
    assert found.unlisted[0].id.startswith("long/ddd")
    os.system(f"rm -rf {tmp_path}/long {tmp_path}/short")  # pytest's own way would recurse


def test_a_disk_that_fails_in_the_middle_of_a_list(tmp_path, monkeypatch):
    put(tmp_path, "a.png", "bad/b.png", "good/c.png")
    scandir = os.scandir

    class Failing:
        def __init__(self, folder):
            self.entries = scandir(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            yield next(self.entries)
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", lambda f: Failing(f) if f.endswith("bad") else scandir(f))
    found = survey_folder(tmp_path, "image")
    assert ids(found) == ["a.png", "good/c.png"]
    assert [(one.id, one.reason[-18:]) for one in found.unlisted] == [("bad", "Input/output error")]


def test_two_files_under_one_id(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.png"), "wb") as file:
        file.write(b"x")
    put(tmp_path, "caf\\xe9.png")
    put(tmp_path, "e\u0301.png", "\u00e9.png", "A.png", "a.png")  # twins for the eye alone
    found = survey_folder(tmp_path, "image")
    assert sorted(ids(found)) == sorted(
        ["A.png", "a.png", "caf\\xe9.png", "e\u0301.png", "\u00e9.png"]
    )
    assert [image.path.name for image in found.items if "caf" in image.id] == ["caf\\xe9.png"]
    assert [(one.id, one.why) for one in found.skipped] == [("caf\\xe9.png", Why.CLASH)]


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".jxl", ".jp2", ".psd", ".tga", ""])
def test_what_is_inside_decides_the_format(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(formats, "readable_suffixes", lambda modality: formats.SUFFIXES)
    put(tmp_path, f"picture{suffix}", content=png("red"))
    put(tmp_path, "raw.dng", content=b"II*\0" + b"\0" * 99)
    put(tmp_path, "phone.heic", content=b"\0\0\0\x18ftypheic" + b"\0" * 99)
    found = survey_folder(tmp_path, "image")
    assert ids(found) == [f"picture{suffix}"]
    assert skipped(found) == {"raw.dng": Why.FORMAT, "phone.heic": Why.HEIC}


OURS = {"store": "store.json", "language-pack": "pack.json", "dual-encoder": "model.json"}


@pytest.mark.parametrize("kind", OURS)
def test_our_folders_are_known_by_their_manifests(tmp_path, kind):
    put(tmp_path, "a.png", "ours/thumbnails/ab/x.jpg", "theirs/b.png")
    (tmp_path / "ours" / OURS[kind]).write_text(f'{{"kind": "{kind}"}}')
    (tmp_path / "theirs" / OURS[kind]).write_text('{"kind": "shop"}')
    found = survey_folder(tmp_path, "image")
    assert ids(found) == ["a.png", "theirs/b.png"]
    assert skipped(found)["ours/"] is Why.OURS


def test_the_names_of_manifests_are_those_that_are_written():
    from polyglance.model import dual_encoder, pack
    from polyglance.storage import identity

    assert walking.OUR_MANIFESTS == {
        identity.MANIFEST_NAME: identity.KIND,
        pack.PACK_FILE: "language-pack",
        dual_encoder.MODEL_FILE: "dual-encoder",
    }
    assert walking.OUR_TABLE == identity.TABLE_NAME


def test_an_index_in_the_very_folder_of_the_pictures(tmp_path):
    own = f"thumbnails/ab/{'0' * 30}.jpg"
    put(tmp_path, "a.png", own, "thumbnails/2020/original.jpg", "thumbnails/ab/mine.jpg")
    (tmp_path / "store.json").write_text('{"kind": "store"}')
    found = survey_folder(tmp_path, "image")
    assert ids(found) == ["a.png", "thumbnails/2020/original.jpg", "thumbnails/ab/mine.jpg"]
    assert skipped(found) == {"store.json": Why.OURS, own: Why.OURS}


def test_an_index_with_a_damaged_manifest_is_known_by_its_table(tmp_path):
    put(tmp_path, "a.png", "index/thumbnails/ab/x.jpg", "index/vectors.lance/data/x.lance")
    (tmp_path / "index" / "store.json").write_text("{" * 5000)
    assert ids(survey_folder(tmp_path, "image")) == ["a.png"]


def test_patterns_leave_out_names_and_paths(tmp_path):
    put(
        tmp_path,
        "a.png",
        "raw/b.png",
        "sub/raw/c.png",
        "2019/d.gif",
        "2020/d.gif",
        "caf\u00e9/e.png",
    )
    found = survey_folder(tmp_path, "image", exclude=["raw/", "2019/*", "cafe\u0301"])
    assert ids(found) == ["2020/d.gif", "a.png"]
    assert set(skipped(found).values()) == {Why.EXCLUDED}
    assert ids(survey_folder(tmp_path, "image", exclude=["*.png"])) == ["2019/d.gif", "2020/d.gif"]
    assert not Patterns([]).match("a.png")
    assert Patterns(["./2019/d.gif"]).match("2019/d.gif")


def test_the_error_says_what_is_there_instead(tmp_path):
    put(tmp_path, "00000.tar.gz", "a.mp4")
    with pytest.raises(errors.InputError, match=r"no image in .*1 video \(.mp4 1\)") as caught:
        walking.find_media(tmp_path, "image")
    assert "gunzip" in caught.value.hint
    with pytest.raises(errors.InputError, match="is not a folder"):
        survey_folder(tmp_path / ("x" * 5000), "image")


def test_every_reason_reads():
    assert set(REASONS) == set(Why)
    lines = summary(Skipped(f"{i}.x{i}", why) for why in Why for i in range(9))
    assert len(lines) == len(Why)
    assert all(line.startswith("9 ") for line in lines)


def test_tars_are_listed(tmp_path):
    make_tar(tmp_path / "s" / "0.TAR", {"a.png": png("red")})
    assert [tar.id for tar in survey_folder(tmp_path, "image").tars] == ["s/0.TAR"]
