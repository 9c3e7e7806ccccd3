"""Tars are listed by member; pictures are spans of them."""

import gzip
import io
import json
import tarfile

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.sources import webdataset
from polyglance.sources.patterns import Patterns
from polyglance.sources.skipped import Why


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
    shards = webdataset.read_shards(tmp_path, "image")
    assert [shard.problem for shard in shards] == [None, None]
    samples = {sample.item.id: sample for sample in webdataset.all_samples(shards)}
    assert list(samples) == [
        "a/00000/0001.png",
        "a/00000/0002.JPG",
        "a/00000/sub/0001.png",
        "a/00000/../0004.png",
        "a/00000/0005.png",
        "b/0001.png",
    ]
    first = samples["a/00000/0001.png"]
    assert webdataset.read_span(first.item.path, first.item.span) == png("red")
    assert webdataset.describe(first) == {"caption": "a red square", "url": "there"}
    assert webdataset.describe(samples["a/00000/0002.JPG"])["caption"] == "from json"
    assert webdataset.describe(samples["a/00000/0005.png"]) == {}
    assert webdataset.describe(samples["b/0001.png"]) == {}


def test_a_shard_that_is_cut_gives_what_is_whole(tmp_path):
    path = make_tar(tmp_path / "s.tar", {f"{i}.png": png((i, 0, 0)) for i in range(9)})
    whole = path.read_bytes()
    path.write_bytes(whole[: 512 * 7])  # a member is a header and a block
    shard = webdataset.read_shards(path, "image")[0]
    assert 3 <= len(shard.samples) <= 4
    assert "cut" in shard.problem
    path.write_bytes(b"x" * 2000)
    assert webdataset.read_shards(path, "image")[0].samples == ()


def test_links_in_a_tar_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "l.tar", "w") as tar:
        info = tarfile.TarInfo("0.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    assert webdataset.read_shards(tmp_path / "l.tar", "image")[0].samples == ()


def test_no_tar(tmp_path):
    with pytest.raises(errors.InputError, match="no tar in"):
        webdataset.find_shards(tmp_path, "image")


def test_a_span_behind_the_end(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    with pytest.raises(OSError, match="ends 2 bytes early"):
        webdataset.read_span(tmp_path / "f", (1, 4))


def shard_of(tmp_path, members):
    return webdataset.read_shard(make_tar(tmp_path / "s.tar", members), "image", name="s")


def names(shard):
    return [sample.item.id for sample in shard.samples]


def skipped(shard):
    return {one.id: one.why for one in shard.skipped}


def test_dotted_names_and_second_pictures(tmp_path):
    members = {
        "photo.2020.01.png": png("red"),
        "photo.2020.01.txt": b"dotted",
        "0001.png": png("red"),
        "0001.left.png": png("blue"),
        "0001.jpg": png("green"),
        "0001.txt": b"plain",
        "0001.left.txt": b"left",
    }
    shard = shard_of(tmp_path, members)
    captions = {s.item.id: webdataset.describe(s).get("caption") for s in shard.samples}
    assert captions == {
        "s/photo.2020.01.png": "dotted",
        "s/0001.png": "plain",
        "s/0001.left.png": "left",
        "s/0001.jpg": "plain",
    }
    assert shard.skipped == ()


def test_what_a_tar_holds_besides_is_told(tmp_path):
    members = {
        "a.png": png("red"),
        "a.cls": b"3",
        "b.txt": b"alone",
        "c.mp4": b"x",
        "d.cr2": b"II*\0",
        "e.tar": b"x",
        "f.zip": b"x",
        "._a.png": b"x",
        "__MACOSX/a.png": b"x",
        "@eaDir/a.png": b"x",
        "phone.heic": png("blue"),
        "out.png": png("red"),
        "/abs.png": png("red"),
    }
    path = make_tar(tmp_path / "s.tar", members)
    shard = webdataset.read_shard(path, "image", name="s", exclude=Patterns(["out.*"]))
    assert names(shard) == ["s/a.png", "s/phone.heic", "s//abs.png"]
    assert skipped(shard) == {
        "s/b.txt": Why.OTHER,
        "s/c.mp4": Why.VIDEO,
        "s/d.cr2": Why.FORMAT,
        "s/e.tar": Why.ARCHIVE,
        "s/f.zip": Why.ARCHIVE,
        "s/._a.png": Why.HIDDEN,
        "s/__MACOSX/a.png": Why.SYSTEM,
        "s/@eaDir/a.png": Why.SYSTEM,
        "s/out.png": Why.EXCLUDED,
    }


def test_members_that_are_no_files_and_members_twice(tmp_path):
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in (("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.png"
            tar.addfile(info)
        for colour in ("red", "blue"):
            info = tarfile.TarInfo("a" * 150 + ".png")
            info.size = len(png(colour))
            tar.addfile(info, io.BytesIO(png(colour)))
    shard = webdataset.read_shard(tmp_path / "s.tar", "image", name="s")
    (sample,) = shard.samples
    assert webdataset.read_span(sample.item.path, sample.item.span) == png("blue")
    assert set(skipped(shard).values()) == {Why.SPECIAL, Why.CLASH}


def test_damage_in_the_middle_and_joined_tars_are_told(tmp_path):
    path = make_tar(tmp_path / "s.tar", {f"{i}.png": png((i, 0, 0)) for i in range(9)})
    whole = bytearray(path.read_bytes())
    whole[1024 * 4 : 1024 * 4 + 512] = b"x" * 512
    path.write_bytes(whole)
    shard = webdataset.read_shard(path, "image", name="s")
    assert len(shard.samples) == 4
    assert "damaged at byte 4,096" in shard.problem
    good = make_tar(tmp_path / "g.tar", {"0.png": png("red")}).read_bytes()
    path.write_bytes(good + good)
    assert "tars were joined" in webdataset.read_shard(path, "image", name="s").problem
    path.write_bytes(gzip.compress(good))
    assert "gunzip" in webdataset.read_shard(path, "image", name="s").problem
    path.write_bytes(b"")
    assert "cut" in webdataset.read_shard(path, "image", name="s").problem


def test_a_member_of_negative_size_ends_the_reading(tmp_path):
    path = make_tar(tmp_path / "s.tar", {"0.png": png("red")})
    data = bytearray(path.read_bytes())
    data[124:136] = b"\xff" * 11 + b"\x00"  # base 256, -256
    info = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % info
    path.write_bytes(data)
    assert "-256 bytes" in webdataset.read_shard(path, "image", name="s").problem


DAMAGED_FIELDS = {
    "half an emoji": ("json", b'{"caption": "fox \\ud83e", "url": "x\\udc80"}', "fox \ufffd"),
    "deep": ("json", b'{"a":' * 3000 + b"1" + b"}" * 3000, None),
    "no json": ("json", b"{", None),
    "NUL": ("txt", b"a\0b", "a\ufffdb"),
    "Latin-1": ("txt", "caf\u00e9".encode("latin-1"), "caf\ufffd"),
    "too long": ("txt", b"a" * (webdataset.MOST_FIELD_BYTES + 1), None),
}


@pytest.mark.parametrize("field", DAMAGED_FIELDS.values(), ids=DAMAGED_FIELDS)
def test_a_damaged_side_file_costs_the_picture_nothing_and_is_told(tmp_path, field):
    suffix, content, expected = field
    (sample,) = shard_of(tmp_path, {"0.png": png("red"), f"0.{suffix}": content}).samples
    said = []
    found = webdataset.describe(sample, remark=said.append)
    assert found.get("caption") == expected
    assert said
    "".join(found.values()).encode()


def test_captions_with_marks_of_their_encoding(tmp_path):
    for text in ("caf\u00e9".encode("utf-16"), b"\xef\xbb\xbfcaf\xc3\xa9\r\n"):
        (sample,) = shard_of(tmp_path, {"0.png": png("red"), "0.txt": text}).samples
        assert webdataset.describe(sample, remark=pytest.fail) == {"caption": "caf\u00e9"}


def test_a_tar_cut_in_a_caption(tmp_path):
    path = make_tar(tmp_path / "s.tar", {"0.png": png("red"), "0.txt": b"z" * 3000})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"zzz") + 700])
    shard = webdataset.read_shard(path, "image", name="s")
    said = []
    assert webdataset.describe(shard.samples[0], remark=said.append) == {}
    assert "cut" in shard.problem
    assert "ends 2,300 bytes early" in said[0]
