"""A pattern that leaves nothing out is named, with what was perhaps meant."""

import pytest

from picture_files import make_tar, png
from polyglance import errors
from polyglance.search import indexing
from polyglance.search.scan import gather
from polyglance.sources.patterns import Idle, Patterns


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "p"
    for name in ("Trips/2019/a.JPG", "Trips/b.png", "sub/c.png", "caf\u00e9/d.png", "x[1].png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png("red"))
    (folder / "notes.txt").write_text("no picture")
    make_tar(folder / "shard.tar", {"Inside.png": png("blue")})
    return folder


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("trips", "Trips"),
        ("TRIPS/", "Trips"),
        ("p/Trips", "Trips"),
        ("./p/Trips/", "Trips"),
        ("/home/me/p/Trips/2019", "Trips/2019"),
        ("p/trips/2019", "Trips/2019"),
        ("../p/sub/c.png", "sub/c.png"),
        ("p/trips/2019/*.gif", None),
        ("p/trips/2019/*.JPG", "Trips/2019/*.JPG"),
        ("*.PNG", "*.png"),
        ("*.jpg", "*.JPG"),
        ("trips/*", "Trips/*"),
        ("CAFE\u0301", "caf\u00e9"),
        ("X[[]1].PNG", "x[[]1].png"),
        ("SHARD/inside.png", "shard/Inside.png"),
        ("/abs", None),
        ("[", None),
        ("p/*", None),  # everything was not meant
        ("p/*.png", None),
    ],
)
def test_it_is_named_with_what_was_meant(photos, pattern, meant):
    found = gather(photos, "image", exclude=[pattern])
    assert found.idle == (Idle(pattern, meant),)
    if meant is not None and "*" not in meant:
        assert gather(photos, "image", exclude=[meant]).idle == ()


@pytest.mark.parametrize(
    "exclude",
    [
        ["Trips"],
        ["Trips/"],
        ["./sub/*"],
        ["*.png", "c.png"],  # another one has left it out already
        ["Trips", "Trips/2019", "b.png", "a.JPG"],  # in a folder that is not entered
        ["shard/Inside.png"],
        ["notes.txt"],
        [],
    ],
)
def test_what_leaves_something_out_is_not(photos, exclude):
    assert gather(photos, "image", exclude=exclude).idle == ()


@pytest.mark.parametrize("pattern", ["", "/", "./", ".", "//"])
def test_an_empty_one_is_refused(photos, pattern, tmp_path):
    for refuse in (
        lambda: Patterns(["raw", pattern]),
        lambda: indexing.build(photos, model="fake:pixels", out=tmp_path / "i", exclude=[pattern]),
    ):
        with pytest.raises(errors.ConfigError, match="is empty"):
            refuse()
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize("verb", ["index", "embed"])
def test_the_commands_say_it(run, photos, tmp_path, verb):
    given = ("index", photos, "-m") if verb == "index" else ("embed", "images", photos, "-t")
    argv = (*given, "fake:pixels", "-o", tmp_path / "i", "--exclude", "trips", "--exclude", "sub")
    code, _, err = run(*argv, "--exclude", "/abs")
    assert code == 0
    assert "--exclude 'trips' leaves nothing out; did you mean 'Trips'?\n" in err
    assert "--exclude '/abs' leaves nothing out\n" in err
    assert "'sub'" not in err


def test_of_a_table_of_downloads(photos):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"path": ["sub/c.png", "Trips/b.png"]}), photos / "t.parquet")
    found = gather(photos / "t.parquet", "image", exclude=["SUB/*", "b.png"])
    assert found.idle == (Idle("SUB/*", "sub/*"),)
