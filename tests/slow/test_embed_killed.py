"""Embedding is killed at random moments and run again; and meets a disk that really is full."""

import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance import errors
from polyglance.encoding import media, reading, runs
from polyglance.encoding.texts import embed_texts, text_key, text_vectors
from polyglance.sources.walking import find_media
from polyglance.storage.store import Store

pytestmark = pytest.mark.slow

NUM_TEXTS, NUM_IMAGES, NUM_KILLS = 1500, 150, 10

# The towers live in a file of their own, so that the process that is killed can import them.
TOWERS = """
import hashlib, time
import numpy as np

from polyglance.towers import Tower

def vector_of(data):
    seed = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    return np.random.default_rng(seed).standard_normal(16, dtype=np.float32)

class Slow(Tower):
    dim, space_id, fingerprint, uses_language = 16, "space", "tower", False
    def __init__(self, modality, seconds):
        self.modality, self.seconds = modality, seconds
    def preprocess(self, image):
        return np.asarray(image)
    def encode(self, items, *, languages=None, output="embedding"):
        time.sleep(self.seconds)
        data = [x.encode() if isinstance(x, str) else x.tobytes() for x in items]
        return np.array([vector_of(one) for one in data])
"""

PROGRAM = """
import signal, sys
from pathlib import Path
import lance  # before "begun": the kills shall meet the work
from polyglance.encoding import media, reading, runs
from polyglance.encoding.texts import embed_texts
from polyglance.sources.walking import find_media
from polyglance.storage.store import Store
from towers import Slow

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
folder, modality = Path(sys.argv[1]), sys.argv[2]
reading.ENCODE_ROWS, media.APPEND_ROWS = 4, 8
runs.MAX_FRAGMENTS = 8
tower = Slow(modality, float(sys.argv[3]))
print("begun", flush=True)
if modality == "text":
    store = Store.open_or_create(folder / "texts", runs.facts_of(tower))
    texts = (folder / "texts.txt").read_text().split("\\n")
    embed_texts(texts, tower, store=store, block_rows=50)
else:
    store = media.open_media_store(folder / "images", tower)
    media.embed_media(find_media(folder / "photos", "image"), tower, store=store)
print("done", flush=True)
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with texts, photos and the program; its towers can be imported here, too."""
    (tmp_path / "towers.py").write_text(TOWERS)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "texts.txt").write_text("\n".join(f"text {row}" for row in range(NUM_TEXTS)))
    (tmp_path / "photos").mkdir()
    for row in range(NUM_IMAGES):
        Image.new("RGB", (2, 2), (row, 0, 0)).save(tmp_path / "photos" / f"{row}.png")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("towers", None)


def begin(world, modality, *, seconds=0.02):
    """Start the program, which takes so long a batch, and wait until its imports are done."""
    arguments = [sys.executable, str(world / "program.py"), str(world), modality, str(seconds)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n", process.communicate()[1]
    return process


@pytest.mark.parametrize("modality", ["text", "image"])
def test_killed_ten_times_every_row_is_there_once(world, modality):
    from towers import Slow, vector_of

    # The moments come from a fixed seed, spread over what a whole run takes here.
    process, start = begin(world, modality), time.perf_counter()
    assert process.communicate(timeout=120)[0] == "done\n"
    whole = time.perf_counter() - start
    name = {"text": "texts", "image": "images"}[modality]
    shutil.rmtree(world / name)

    moments, kills, sizes = random.Random(7), 0, []
    while kills < NUM_KILLS:
        process = begin(world, modality)
        # On a quiet machine the first third of a run is spent on opening the store.
        time.sleep(moments.uniform(0, whole))
        process.kill()
        out, _ = process.communicate()
        if out == "done\n":  # all is embedded: begin anew, since there are kills to come
            shutil.rmtree(world / name)
        kills += 1
        if (world / name / "store.json").exists():
            store = Store.open(world / name)  # a table that opens, after every kill
            assert len(set(store.ids())) == len(store) == len(store.vectors())
            sizes.append(len(store))
    process = begin(world, modality)
    out, error = process.communicate(timeout=120)
    assert (out, process.returncode) == ("done\n", 0), error

    store = Store.open(world / name)
    assert len(set(sizes)) > 2, f"the kills fell outside the work: {sizes}"
    if modality == "text":
        texts = [f"text {row}" for row in range(NUM_TEXTS)]
        assert sorted(store.ids()) == sorted(text_key(t, language=None) for t in texts)
        expected = np.array([vector_of(text.encode()) for text in texts])
        tower = Slow("text", 0)
        found = text_vectors(texts, tower, store=store)
    else:
        names = [f"{row}.png" for row in range(NUM_IMAGES)]
        assert sorted(store.ids()) == sorted(names)
        expected = np.array(
            [vector_of(np.asarray(Image.open(world / "photos" / n)).tobytes()) for n in names]
        )
        found = store.vectors(names)
        content = [(world / "photos" / n).read_bytes() for n in store.ids()]
        keys = [hashlib.blake2b(data, digest_size=16).hexdigest() for data in content]
        assert store.keys() == keys
    np.testing.assert_array_equal(found, expected)


def test_two_embedders_at_once(world):
    """One of two processes does the work; the other is told who does."""
    # The first must still be at work when the second has started, on a busy machine as well.
    both = [begin(world, "text", seconds=0.4) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    store = Store.open(world / "texts")
    assert len(set(store.ids())) == len(store) == NUM_TEXTS
    refused = [error for (_, error), process in zip(ends, both, strict=True) if process.returncode]
    assert len(refused) == 1
    # Which process is said once its holder has written its name, a moment after it has the lock.
    assert "is being written by" in refused[0]


def test_ctrl_c_leaves_a_table_that_opens(world):
    import signal

    process = begin(world, "text")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in error
    store = Store.open(world / "texts")
    assert 0 < len(store) < NUM_TEXTS
    assert len(set(store.ids())) == len(store)
    assert begin(world, "text").communicate(timeout=120)[0] == "done\n"
    store.refresh()
    assert len(store) == NUM_TEXTS


def test_a_disk_that_is_full(world, small_disk):
    from towers import Slow

    tower = Slow("text", 0)
    store = Store.open_or_create(small_disk / "s", runs.facts_of(tower))
    texts = [f"text {row}" for row in range(40_000)]
    with pytest.raises(errors.DiskFullError, match="no room left on the disk"):
        embed_texts(texts, tower, store=store)
    kept = Store.open(small_disk / "s")
    assert 0 < len(kept) == len(store) < 40_000
    np.testing.assert_array_equal(
        kept.vectors([text_key("text 0", language=None)])[0],
        tower.encode(["text 0"])[0],
    )
    (small_disk / "fill").touch()
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "fill").write_bytes(b"x" * 4_000_000)
    with pytest.raises(errors.DiskFullError):
        embed_texts(["one more"], tower, store=store)
    with pytest.raises(errors.DiskFullError):
        media.open_media_store(small_disk / "t", tower)
    (small_disk / "fill").unlink()
    assert embed_texts(["one more"], tower, store=store).new == 1


def test_images_on_a_disk_that_is_full(world, small_disk, monkeypatch):
    from towers import Slow

    monkeypatch.setattr(media, "APPEND_ROWS", 8)
    monkeypatch.setattr(reading, "ENCODE_ROWS", 8)
    tower = Slow("image", 0)
    store = media.open_media_store(small_disk / "s", tower)
    images = find_media(world / "photos", "image")
    assert media.embed_media(images[:40], tower, store=store).new == 40
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "fill").write_bytes(b"x" * 4_000_000)
    with pytest.raises(errors.DiskFullError):
        media.embed_media(images, tower, store=store)
    assert len(Store.open(small_disk / "s")) == 40
    Path(small_disk / "fill").unlink()
    report = media.embed_media(images, tower, store=store)
    assert (report.new, report.known) == (NUM_IMAGES - 40, 40)
