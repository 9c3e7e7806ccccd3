"""Indexing is killed at random moments; two run at once; a folder is full of damaged files."""

import io
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from polyglance import errors
from polyglance.encoding import runs
from polyglance.search import indexing, thumbnails
from polyglance.search.searcher import Searcher
from polyglance.sources.walking import find_media
from polyglance.storage.store import Store
from polyglance.vectors import unit

pytestmark = pytest.mark.slow

NUM_IMAGES, NUM_KILLS, NUM_MALFORMED = 200, 20, 200
MODEL = "tiny:pictograms-image"

PROGRAM = """
import sys, time
from pathlib import Path
import lance, torch  # before "begun": the kills shall meet the work
from polyglance.encoding import media, reading
from polyglance.search import indexing
from polyglance.model.side import SpaceTower

encode = SpaceTower.encode
SpaceTower.encode = lambda *args, **options: time.sleep(0.05) or encode(*args, **options)
reading.ENCODE_ROWS, media.APPEND_ROWS = 4, 8
print("begun", flush=True)
report = indexing.build(Path(sys.argv[1]), model="tiny:pictograms-image", out=Path(sys.argv[2]))
print("done", flush=True)
"""


@pytest.fixture
def world(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for row in range(NUM_IMAGES):
        picture = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
        picture.save(tmp_path / "photos" / f"{row}.jpg")
    return tmp_path


def begin(world, *, count=1):
    """Start so many indexers and wait until their imports are done."""
    arguments = [sys.executable, "program.py", "photos", "index"]
    started = [
        subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=world
        )
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout.readline() == "begun\n", process.communicate()[1]
    return started


def finish(process):
    out, error = process.communicate(timeout=120)
    assert (out, process.returncode) == ("done\n", 0), error


def test_killed_twenty_times_every_row_is_there_once(world):
    (process,), start = begin(world), time.perf_counter()
    finish(process)
    whole = time.perf_counter() - start
    expected = Store.open(world / "index")
    vector_of = dict(zip(expected.ids(), expected.vectors(), strict=True))
    shutil.rmtree(world / "index")

    chance, sizes = random.Random(7), []
    photos, index = world / "photos", world / "index"
    for kill in range(NUM_KILLS):
        (process,) = begin(world)
        time.sleep(chance.uniform(0, whole))
        process.kill()
        out, _ = process.communicate()
        if (index / "store.json").exists():
            store = Store.open(index)
            assert len(set(store.ids())) == len(store) == len(store.vectors())
            sizes.append(len(store))
        # A moved file, so that kills meet renames and deletions, too.
        (photos / f"{kill}.jpg").rename(photos / f"moved-{kill}.jpg")
        if out == "done\n" or kill % 7 == 6:
            shutil.rmtree(index, ignore_errors=True)
    finish(begin(world)[0])

    assert len(set(sizes)) > 2, f"the kills fell outside the work: {sizes}"
    store = Store.open(index)
    assert sorted(store.ids()) == [image.id for image in find_media(photos, "image")]
    assert len(store) == NUM_IMAGES
    for identity, vector in zip(store.ids(), store.vectors(), strict=True):
        # The same picture in a batch of another size: the last bits may differ.
        wanted = vector_of[identity.removeprefix("moved-")]
        np.testing.assert_allclose(vector, wanted, atol=1e-5)
    named = {p.parent.name + p.stem for p in (index / thumbnails.FOLDER).glob("*/*.jpg")}
    assert named == set(store.keys())


def test_two_indexers_at_once(world):
    both = begin(world, count=2)
    ends = [process.communicate(timeout=120) for process in both]
    refused = [error for (_, error), process in zip(ends, both, strict=True) if process.returncode]
    assert len(refused) == 1
    # Which process is said once its holder has written its name, a moment after it has the lock.
    assert "is being written by" in refused[0]
    assert "one writer at a time" in refused[0]
    store = Store.open(world / "index")
    assert len(set(store.ids())) == len(store) == NUM_IMAGES


def test_searched_while_it_is_indexed(world):
    """Rows appear while others ask; every answer is one of some moment, and in the end of all."""
    (process,) = begin(world)
    index = world / "index"
    while not (index / "store.json").exists() or not len(Store.open(index)):
        time.sleep(0.02)
    searcher, sizes = Searcher(index), []
    queries = unit(np.random.default_rng(0).standard_normal((3, 384), dtype=np.float32))
    there = {image.id for image in find_media(world / "photos", "image")}
    while process.poll() is None:
        searcher.refresh()
        for hits in searcher.rank(queries, top=NUM_IMAGES, alike=None):
            found, scores = [hit.id for hit in hits], [hit.score for hit in hits]
            assert len(set(found)) == len(found) == len(searcher.index.ids)
            assert set(found) <= there
            assert scores == sorted(scores, reverse=True)
        sizes.append(len(searcher.index.ids))
        assert searcher.index.vector_of(found[0]) @ queries[-1] == pytest.approx(scores[0])
    finish(process)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5, f"the searches fell outside the work: {sizes}"
    searcher.refresh()
    assert {hit.id for hit in searcher.rank(queries, top=2 * NUM_IMAGES)[0]} == there


def test_a_disk_that_is_full(world, small_disk):
    photos, index = world / "photos", small_disk / "index"
    kept, rest = world / "rest", sorted(photos.iterdir())[40:]
    kept.mkdir()
    for path in rest:
        path.rename(kept / path.name)
    assert indexing.build(photos, model=MODEL, out=index).new == 40
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "fill").write_bytes(b"x" * 4_000_000)
    for path in rest:
        (kept / path.name).rename(path)
    with pytest.raises(errors.DiskFullError, match="no room left"):
        indexing.build(photos, model=MODEL, out=index)
    assert len(Store.open(index)) == 40
    assert len(Searcher(index).rank(np.eye(384, dtype=np.float32)[:1], top=50)[0]) == 40
    (small_disk / "fill").unlink()
    report = indexing.build(photos, model=MODEL, out=index)
    assert (report.new, report.known, report.quarantined) == (NUM_IMAGES - 40, 40, ())
    assert len(list((index / thumbnails.FOLDER).glob("*/*"))) == NUM_IMAGES


def malformed(chance, form):
    """A file that no decoder accepts, made of a valid one: cut, or with bytes exchanged."""
    from polyglance import errors
    from polyglance.sources.images import decode_image

    while True:
        pixels = np.random.default_rng(chance.getrandbits(32)).integers(0, 256, (24, 24, 3))
        written = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(written, form)
        data = bytearray(written.getvalue())
        if chance.random() < 0.4:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.randrange(1, 30)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            decode_image(bytes(data), name="x")
        except errors.InputError:
            return bytes(data)


@pytest.mark.filterwarnings("ignore")
def test_two_hundred_malformed_files_among_good_ones(world):
    chance, names = random.Random(3), set()
    for number in range(NUM_MALFORMED):
        form = chance.choice(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
        names.add(f"bad-{number}.{form.lower()}")
        (world / "photos" / f"bad-{number}.{form.lower()}").write_bytes(malformed(chance, form))
    report = indexing.build(world / "photos", model=MODEL, out=world / "index")
    assert report.new == NUM_IMAGES
    assert {one.id for one in report.quarantined} == names
    assert all(one.reason for one in report.quarantined)
    assert {one.id for one in runs.read_quarantine(Store.open(world / "index"))} == names


def test_ten_thousand_unchanged_files_are_known(tmp_path):
    """How long that takes is measured by the benchmark `index-images`."""
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (16, 16), "red").save(photos / "0.png")
    content = (photos / "0.png").read_bytes()
    for row in range(1, 10_000):
        (photos / f"{row}.png").write_bytes(content)
    command = [sys.executable, "-m", "polyglance", "index", str(photos), "-m", MODEL]
    command += ["-o", str(tmp_path / "index")]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "0 new, 10,000 known already" in done.stdout
