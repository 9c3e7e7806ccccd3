"""Tars are listed by member; pictures are spans of them."""

import json
import tarfile

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.sources import webdataset


def test_samples_with_their_captions(tmp_path):
    facts = {"caption": "from json", "url": "there", "width": 3}
    make_tar(
        tmp_path / "a" / "00000.tar",
        {
            "0001.png": png("red"),
            "0001.txt": b" a red square\n",
            "0001.json": json.dumps(facts).encode(),
            "0002.JPG": b"whatever",
            "0002.json": json.dumps(facts).encode(),
            "0003.txt": b"no picture",
            "sub/0001.png": png("blue"),
            "../0004.png": png("green"),
            "0005.png": png("white"),
            "0005.json": b"{",
        },
    )
    make_tar(tmp_path / "b.tar", {"0001.png": png("black")})
    shards = webdataset.read_shards(tmp_path)
    assert [shard.problem for shard in shards] == [None, None]
    samples = {sample.image.id: sample for sample in webdataset.all_samples(shards)}
    assert list(samples) == [
        "a/00000/0001.png",
        "a/00000/0002.JPG",
        "a/00000/sub/0001.png",
        "a/00000/../0004.png",
        "a/00000/0005.png",
        "b/0001.png",
    ]
    first = samples["a/00000/0001.png"]
    assert webdataset.read_span(first.image.path, first.image.span) == png("red")
    assert webdataset.describe(first) == {"caption": "a red square", "url": "there"}
    assert webdataset.describe(samples["a/00000/0002.JPG"])["caption"] == "from json"
    assert webdataset.describe(samples["a/00000/0005.png"]) == {}
    assert webdataset.describe(samples["b/0001.png"]) == {}


def test_a_shard_that_is_cut_gives_what_is_whole(tmp_path):
    path = make_tar(tmp_path / "s.tar", {f"{i}.png": png((i, 0, 0)) for i in range(9)})
    whole = path.read_bytes()
    path.write_bytes(whole[: 512 * 7])  # a member is a header and a block
    shard = webdataset.read_shards(path)[0]
    assert 3 <= len(shard.samples) <= 4
    assert "cut" in shard.problem
    path.write_bytes(b"x" * 2000)
    assert webdataset.read_shards(path)[0].samples == ()


def test_links_in_a_tar_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "l.tar", "w") as tar:
        info = tarfile.TarInfo("0.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    assert webdataset.read_shards(tmp_path / "l.tar")[0].samples == ()


def test_no_tar(tmp_path):
    with pytest.raises(errors.InputError, match="no tar in"):
        webdataset.find_shards(tmp_path)


def test_a_span_behind_the_end(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    with pytest.raises(OSError, match="ends 2 bytes early"):
        webdataset.read_span(tmp_path / "f", (1, 4))
