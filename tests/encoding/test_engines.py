"""Several batches at once: the same vectors, the cores shared out and given back, errors told."""

import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from polyglance import errors
from polyglance.encoding import media, reading
from polyglance.encoding.engines import MAX_ENCODERS, BatchEncoder
from polyglance.records import MediaFile
from polyglance.towers import Tower

DIM = 4


class Slow(Tower):
    """Gives each item's number back, the first batch last; counts who is at work at once."""

    modality, dim, uses_language = "image", DIM, False
    fingerprint = space_id = "slow"
    encodes_in_threads = True

    def __init__(self):
        self.lock, self.now, self.most, self.torch_threads = threading.Lock(), 0, 0, set()

    def preprocess(self, image):
        return np.asarray(image, np.float32).reshape(-1)[:DIM]

    def encode(self, items, *, languages=None, output="embedding"):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.torch_threads.add(torch.get_num_threads())
            delay = 0.1 if self.now == 1 else 0.0
        time.sleep(0.02 + delay)
        with self.lock:
            self.now -= 1
        return np.stack([np.asarray(item, np.float32) for item in items])


def rows(value):
    return [np.full(DIM, value)]


def test_batches_run_together_and_cores_are_given_back():
    tower, before = Slow(), torch.get_num_threads()
    encoder = BatchEncoder(tower, output="embedding", dim=DIM, num_threads=2)
    found = [encoder.submit(rows(value)) for value in range(6)]
    assert [one.result()[0, 0] for one in found] == list(range(6))
    encoder.close()
    assert tower.most == encoder.num_ahead == 2
    assert tower.torch_threads == {max(1, before // 2)}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("threads", "allowed"), [(1, True), (4, False)])
def test_one_after_the_other_where_that_is_all_there_is(threads, allowed):
    tower = Slow()
    tower.encodes_in_threads = allowed
    encoder = BatchEncoder(tower, output="embedding", dim=DIM, num_threads=threads)
    assert encoder.submit(rows(1)).done()
    assert encoder.num_ahead == 0
    assert tower.torch_threads == {torch.get_num_threads()}
    encoder.close()


def test_never_more_than_memory_is_meant_for():
    encoder = BatchEncoder(Slow(), output="embedding", dim=DIM, num_threads=64)
    encoder.submit(rows(1)).result()
    encoder.close()
    assert encoder.num_ahead == MAX_ENCODERS


@pytest.fixture
def images(tmp_path):
    """Five batches and a bit, every tenth a copy of the one before."""
    colour = 0
    for number in range(5 * reading.ENCODE_ROWS + 7):
        colour += number % 10 != 9
        picture = Image.new("RGB", (8, 8), (colour // 200, colour % 200, 77))
        picture.save(tmp_path / f"{number:03}.png")
    return [MediaFile(path.name, path, modality="image") for path in sorted(tmp_path.glob("*.png"))]


def test_every_row_has_its_own_vector(images, tmp_path):
    tower = Slow()
    store = media.open_media_store(tmp_path / "store", tower)
    report = media.embed_media(images, tower, store=store, num_threads=3)
    assert report.new == len(images)
    assert 1 < tower.most <= 3
    expected = [tower.preprocess(Image.open(image.path)) for image in images]
    np.testing.assert_array_equal(store.vectors([image.id for image in images]), expected)


def test_what_was_encoded_before_an_error_is_kept(images, tmp_path):
    class Failing(Slow):
        def encode(self, items, *, languages=None, output="embedding"):
            if any(item[1] == 150 for item in items):
                time.sleep(0.3)  # the others are done by then
                raise RuntimeError("no more memory")
            return super().encode(items)

    tower, before = Failing(), torch.get_num_threads()
    store = media.open_media_store(tmp_path / "store", tower)
    with pytest.raises(RuntimeError, match="no more memory"):
        media.embed_media(images, tower, store=store, num_threads=2)
    assert torch.get_num_threads() == before
    kept = len(store)
    assert 0 < kept < len(images)
    again = media.embed_media(images, Slow(), store=store, num_threads=2)
    assert (again.new, again.known, len(store)) == (len(images) - kept, kept, len(images))


def test_a_bad_vector_sets_its_picture_and_its_copies_aside(images, tmp_path):
    class Odd(Slow):
        def encode(self, items, *, languages=None, output="embedding"):
            vectors = super().encode(items)
            vectors[vectors[:, 1] == 9] = np.nan
            return vectors

    tower = Odd()
    store = media.open_media_store(tmp_path / "store", tower)
    report = media.embed_media(images, tower, store=store, num_threads=2)
    colours = [tower.preprocess(Image.open(image.path))[1] for image in images]
    bad = [image.id for image, colour in zip(images, colours, strict=True) if colour == 9]
    assert len(bad) > 1
    assert sorted(one.id for one in report.quarantined) == sorted(bad)
    assert len(store) == len(images) - len(bad)


def test_batches_that_run_when_something_fails_are_waited_for_and_kept(images, tmp_path):
    class Failing(Slow):
        def encode(self, items, *, languages=None, output="embedding"):
            if items[0][1] < 10:  # the first batch: at once
                raise RuntimeError("no more memory")
            time.sleep(0.3)
            return super().encode(items)

    store = media.open_media_store(tmp_path / "store", Failing())
    with pytest.raises(RuntimeError, match="no more memory"):
        media.embed_media(images, Failing(), store=store, num_threads=3)
    assert len(store) >= reading.ENCODE_ROWS


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_of_another_form_cost_their_batch_alone(images, tmp_path, threads):
    class Doubles(Slow):
        def encode(self, items, *, languages=None, output="embedding"):
            found = super().encode(items)
            return found.astype(np.float64) if any(item[1] == 150 for item in items) else found

    store = media.open_media_store(tmp_path / "store", Doubles())
    with pytest.raises(errors.VectorError, match="float64"):
        media.embed_media(images, Doubles(), store=store, num_threads=threads)
    assert len(store) >= 2 * reading.ENCODE_ROWS


def test_runs_side_by_side_give_back_what_the_first_took():
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        one, two = (BatchEncoder(Slow(), output="embedding", dim=DIM, num_threads=2) for _ in "ab")
        for encoder in (one, two):
            encoder.submit(rows(1)).result()
        one.close()
        assert torch.get_num_threads() == 4
        two.close()
        assert torch.get_num_threads() == 8
    finally:
        torch.set_num_threads(before)
