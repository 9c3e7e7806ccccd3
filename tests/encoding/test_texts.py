import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import lance
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from polyglance import errors, progress
from polyglance.encoding import media, reading, runs
from polyglance.encoding.texts import VectorCache, embed_texts, text_vectors
from polyglance.records import MediaFile
from polyglance.sources.walking import find_media
from polyglance.storage.store import Store
from polyglance.towers import Tower

DIM = 8


def vector_of(data):
    """A vector that any process finds for the same bytes."""
    digest = hashlib.blake2b(data, digest_size=8).digest()
    seed = int.from_bytes(digest, "little")
    return np.random.default_rng(seed).standard_normal(DIM, dtype=np.float32)


class TextTower(Tower):
    """Deterministic; counts what it was asked; `bad` texts get NaN."""

    modality = "text"
    dim = DIM
    space_id = "space"
    uses_language = False

    def __init__(self, fingerprint="tower", bad=()):
        self.fingerprint = fingerprint
        self.asked = []
        self.bad = set(bad)

    def encode(self, items, *, languages=None, output="embedding"):
        self.asked += items
        if self.uses_language:
            assert languages is not None
            items = [f"{language}:{item}" for language, item in zip(languages, items, strict=True)]
        found = [vector_of(f"{output}:{item}".encode()) for item in items]
        for row, item in enumerate(items):
            if item in self.bad:
                found[row] = np.full(DIM, np.nan, np.float32)
        width = DIM if output == "embedding" else DIM // 2
        return np.array(found, dtype=np.float32).reshape(-1, DIM)[:, :width].copy()


class LanguageTower(TextTower):
    uses_language = True


class ImageTower(Tower):
    """Sees the mean colour; one that is all black gets a zero vector."""

    modality = "image"
    dim = DIM
    space_id = "space"
    fingerprint = "image-tower"
    uses_language = False

    def __init__(self):
        self.calls = []
        self.threads = set()

    def preprocess(self, image):
        self.threads.add(threading.current_thread().name)
        if image.width == 1:
            raise ValueError("one pixel wide")
        return np.asarray(image, dtype=np.float32).mean((0, 1))

    def encode(self, items, *, languages=None, output="embedding"):
        self.calls.append(len(items))
        rows = [color @ np.linspace(1, 2, 3 * DIM).reshape(3, DIM) for color in items]
        return np.array(rows, dtype=np.float32).reshape(-1, DIM)

    def expected(self, color):
        return self.encode([np.array(color, dtype=np.float32)])[0]


def text_store(path, tower):
    return Store.open_or_create(path, runs.facts_of(tower))


def paint(path, color):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), color).save(path, "PNG")


@pytest.fixture
def gallery(tmp_path):
    for row in range(10):
        paint(tmp_path / "photos" / f"{row}.png", (row + 1, 2 * row, 100))
    return tmp_path / "photos"


def run_images(gallery, path, tower, **options):
    store = media.open_media_store(path, tower)
    return store, media.embed_media(find_media(gallery, "image"), tower, store=store, **options)


# Texts


def test_every_distinct_text_is_encoded_once(tmp_path):
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    report = embed_texts(["a", "b", "a", "c"], tower, store=store, block_rows=2)
    assert (report.new, report.known, report.quarantined) == (3, 0, ())
    report = embed_texts(["c", "d", "a"], tower, store=store)
    assert (report.new, report.known) == (1, 2)
    assert tower.asked == ["a", "b", "c", "d"]
    assert len(store) == 4


def test_text_vectors_come_in_the_order_asked(tmp_path):
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    texts = ["a", "b", "a", "é", "e\u0301", "a\n"]
    found = text_vectors(texts, tower, store=store)
    np.testing.assert_array_equal(found, TextTower().encode(texts))
    assert len(set(tower.asked)) == len(tower.asked) == 5
    np.testing.assert_array_equal(text_vectors(texts, tower, store=store), found)
    assert len(tower.asked) == 5
    plain = text_vectors(texts, tower)
    np.testing.assert_array_equal(plain, found)
    assert text_vectors([], tower, store=store).shape == (0, DIM)


@settings(max_examples=25, deadline=None)
@given(rounds=st.lists(st.lists(st.sampled_from("abcdefgh\0é "), max_size=12), max_size=4))
def test_a_cache_never_changes_a_vector(tmp_path_factory, rounds):
    tower = TextTower()
    cache = VectorCache(tmp_path_factory.mktemp("any"))
    for texts in rounds:
        found = text_vectors(texts, tower, cache=cache)
        np.testing.assert_array_equal(found, TextTower().encode(texts))
    assert max(Counter(tower.asked).values(), default=1) == 1


def test_the_language_counts_only_where_the_tower_uses_it(tmp_path):
    tower = LanguageTower()
    store = text_store(tmp_path / "s", tower)
    texts, languages = ["chat", "chat", "chat"], ["fra_Latn", "eng_Latn", "fra_Latn"]
    found = text_vectors(texts, tower, store=store, languages=languages)
    assert len(store) == 2
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()
    with pytest.raises(errors.LanguageError, match="no languages were given"):
        text_vectors(texts, tower, store=store)
    with pytest.raises(errors.LanguageError, match="no languages were given"):
        text_vectors(texts, tower)
    with pytest.raises(errors.InputError, match="2 languages for 3 texts"):
        embed_texts(texts, tower, store=store, languages=languages[:2])
    other = TextTower()
    plain = text_store(tmp_path / "t", other)
    embed_texts(texts, other, store=plain, languages=languages)
    assert len(plain) == 1


def test_text_that_is_none_is_named(tmp_path):
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    for bad in ("\ud800", None, 3):
        with pytest.raises(errors.InputError, match="text 1 is"):
            embed_texts(["a", bad], tower, store=store)


def test_a_text_without_a_vector_is_set_aside_and_the_rest_goes_on(tmp_path):
    tower = TextTower(bad=["b", "d"])
    store = text_store(tmp_path / "s", tower)
    report = embed_texts(list("abcde"), tower, store=store, block_rows=2)
    assert report.new == 3
    assert [one.reason for one in report.quarantined] == [
        "NaN for the text 'b'",
        "NaN for the text 'd'",
    ]
    assert runs.read_quarantine(store) == list(report.quarantined)
    with pytest.raises(errors.VectorError, match="gave 1 texts no usable vector, first: NaN for"):
        text_vectors(["a", "b"], tower, store=store)
    assert [one.reason[-3:] for one in runs.read_quarantine(store)] == ["'d'", "'b'"]
    tower.bad.clear()
    assert embed_texts(list("abcde"), tower, store=store).new == 2
    assert runs.read_quarantine(store) == []
    assert len(store) == 5


def test_a_tower_that_gives_another_width_is_an_error(tmp_path):
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    tower.encode = lambda items, **_: np.ones((len(items), DIM + 1), np.float32)
    with pytest.raises(errors.VectorError, match=r"float32 \(1, 8\) is allowed"):
        embed_texts(["a"], tower, store=store)


def test_a_store_of_another_tower_is_refused(tmp_path):
    store = text_store(tmp_path / "s", TextTower())
    other = TextTower(fingerprint="other")
    with pytest.raises(errors.StoreError, match="fingerprint 'other' was given"):
        embed_texts(["a"], other, store=store)
    with pytest.raises(errors.StoreError):
        text_vectors(["a"], other, store=store)


def test_a_cache_has_a_store_for_each_tower_and_output(tmp_path):
    cache = VectorCache(tmp_path / "cache")
    one, two, three = TextTower(), TextTower(fingerprint="two"), LanguageTower("three")
    for tower in (one, two, three, one):
        text_vectors(["a"], tower, cache=cache, languages=["eng_Latn"])
    front = text_vectors(["a"], one, cache=cache, output="pre_projection")
    assert front.shape == (1, DIM // 2)
    spoken = text_vectors(
        ["a"], three, cache=cache, output="pre_projection", languages=["deu_Latn"]
    )
    assert spoken.shape == (1, DIM // 2)
    assert len(list((tmp_path / "cache").iterdir())) == 5
    again = VectorCache(tmp_path / "cache")
    fresh = TextTower()
    text_vectors(["a"], fresh, cache=again)
    text_vectors(["a"], fresh, cache=again, output="pre_projection")
    assert fresh.asked == []


def test_what_does_not_go_together(tmp_path):
    tower = TextTower()
    store, cache = text_store(tmp_path / "s", tower), VectorCache(tmp_path / "c")
    with pytest.raises(errors.ConfigError, match="a store and a cache"):
        text_vectors(["a"], tower, store=store, cache=cache)
    with pytest.raises(errors.ConfigError, match="a store of embedding"):
        text_vectors(["a"], tower, store=store, output="pre_projection")
    with pytest.raises(errors.ConfigError, match="width of pre_projection"):
        runs.facts_of(tower, output="pre_projection")


def test_blocks_that_were_appended_survive_an_interrupt(tmp_path):
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    encode = tower.encode

    def interrupted(items, **options):
        if "5" in items:
            raise KeyboardInterrupt
        return encode(items, **options)

    tower.encode = interrupted
    texts = [str(row) for row in range(10)]
    with pytest.raises(KeyboardInterrupt):
        embed_texts(texts, tower, store=store, block_rows=2)
    assert len(Store.open(tmp_path / "s")) == 4
    tower.encode = encode
    report = embed_texts(texts, tower, store=store, block_rows=2)
    assert (report.new, report.known) == (6, 4)
    assert Counter(tower.asked).most_common(1)[0][1] == 1


def test_two_embedders_at_once(tmp_path):
    """The second is refused, by name; a look-up waits, and finds what the first has made."""
    slow = TextTower()
    started, go_on = threading.Event(), threading.Event()
    encode = slow.encode

    def waiting(items, **options):
        started.set()
        go_on.wait(10)
        return encode(items, **options)

    slow.encode = waiting
    texts = ["a", "b", "c"]
    text_store(tmp_path / "s", slow)
    first = threading.Thread(
        target=lambda: embed_texts(texts, slow, store=Store.open(tmp_path / "s"))
    )
    first.start()
    started.wait()
    second, store = TextTower(), Store.open(tmp_path / "s")
    with pytest.raises(errors.StoreError, match=f"being written by process {os.getpid()} on"):
        embed_texts(texts, second, store=store)
    threading.Timer(0.2, go_on.set).start()
    found = text_vectors([*texts, "d"], second, store=store)
    first.join()
    np.testing.assert_array_equal(found, TextTower().encode([*texts, "d"]))
    assert second.asked == ["d"]
    assert len(Store.open(tmp_path / "s")) == 4


def test_many_small_runs_are_compacted(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "MAX_FRAGMENTS", 3)
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    for row in range(6):
        embed_texts([str(row)], tower, store=store)
    assert store.num_fragments <= 3
    assert len(store) == 6


def test_a_bar_is_shown_where_there_is_enough_to_do(tmp_path, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, label, *, total):
            shown.append([label, total, 0])

        def __enter__(self):
            def advance(count):
                shown[-1][2] += count

            return advance

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(progress, "bar", Bar)
    tower = TextTower()
    store = text_store(tmp_path / "s", tower)
    embed_texts(["a"], tower, store=store)
    assert shown == []
    texts = [str(row) for row in range(300)]
    embed_texts(texts, tower, store=store, block_rows=64)
    assert shown == [["texts", 300, 300]]


# Images


def test_images_become_rows(gallery, tmp_path):
    tower = ImageTower()
    store, report = run_images(gallery, tmp_path / "s", tower)
    assert (report.new, report.known, report.quarantined) == (10, 0, ())
    assert store.ids() == [image.id for image in find_media(gallery, "image")]
    for row in range(10):
        found = store.vectors([f"{row}.png"])[0]
        np.testing.assert_allclose(found, tower.expected((row + 1, 2 * row, 100)), rtol=1e-6)
    columns = store.columns(["id", "path", "size", "mtime_ns"])
    for identity, path, size, mtime_ns in zip(*columns.values(), strict=True):
        assert Path(path) == gallery / identity
        assert (size, mtime_ns) == (Path(path).stat().st_size, Path(path).stat().st_mtime_ns)
    assert all(name.startswith("read-items") for name in tower.threads)
    assert not (tmp_path / "s" / "quarantine.jsonl").exists()


def test_unchanged_files_are_not_even_read(gallery, tmp_path, monkeypatch):
    run_images(gallery, tmp_path / "s", ImageTower())
    tower, images = ImageTower(), find_media(gallery, "image")
    store = media.open_media_store(tmp_path / "s", tower)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"{self} was read"))
    report = media.embed_media(images, tower, store=store)
    assert (report.new, report.known) == (0, 10)
    assert tower.calls == []


def test_a_touched_or_moved_file_is_read_but_not_encoded(gallery, tmp_path):
    run_images(gallery, tmp_path / "s", ImageTower())
    os.utime(gallery / "3.png", ns=(1, 1))
    moved = gallery.rename(tmp_path / "moved")
    tower = ImageTower()
    store, report = run_images(moved, tmp_path / "s", tower)
    assert (report.new, report.known, tower.calls) == (0, 10, [])
    columns = store.columns(["id", "path", "mtime_ns"])
    row = columns["id"].index("3.png")
    assert (columns["path"][row], columns["mtime_ns"][row]) == (str(moved / "3.png"), 1)
    assert len(set(columns["id"])) == len(columns["id"]) == 10


def test_a_changed_file_gets_a_new_row_in_the_place_of_the_old(gallery, tmp_path):
    run_images(gallery, tmp_path / "s", ImageTower())
    paint(gallery / "3.png", (9, 9, 9))
    tower = ImageTower()
    store, report = run_images(gallery, tmp_path / "s", tower)
    assert (report.new, report.known, tower.calls) == (1, 9, [1])
    assert len(store) == len(set(store.ids())) == 10
    np.testing.assert_allclose(store.vectors(["3.png"])[0], tower.expected((9, 9, 9)), rtol=1e-6)


def test_the_same_content_under_another_id_is_not_encoded(gallery, tmp_path):
    (gallery / "copy.png").write_bytes((gallery / "0.png").read_bytes())
    tower = ImageTower()
    store, report = run_images(gallery, tmp_path / "s", tower)
    assert (report.new, tower.calls) == (11, [10])
    (gallery / "late copy.png").write_bytes((gallery / "1.png").read_bytes())
    store, report = run_images(gallery, tmp_path / "s", tower)
    assert (report.new, report.known, tower.calls) == (1, 11, [10])
    for copy, original in (("copy.png", "0.png"), ("late copy.png", "1.png")):
        np.testing.assert_array_equal(*store.vectors([copy, original]))


def test_content_that_changes_places(gallery, tmp_path, monkeypatch):
    """Two files are swapped, a third takes a replaced one's old content: no vector is lost."""
    monkeypatch.setattr(reading, "ENCODE_ROWS", 1)
    monkeypatch.setattr(media, "APPEND_ROWS", 1)
    run_images(gallery, tmp_path / "s", ImageTower())
    zero, one, two = ((gallery / f"{row}.png").read_bytes() for row in range(3))
    (gallery / "0.png").write_bytes(one)
    (gallery / "1.png").write_bytes(zero)
    paint(gallery / "2.png", (7, 7, 7))
    (gallery / "new.png").write_bytes(two)
    tower = ImageTower()
    store, report = run_images(gallery, tmp_path / "s", tower)
    assert (report.new, report.known) == (4, 7)
    expected = {"0.png": (2, 2, 100), "1.png": (1, 0, 100), "2.png": (7, 7, 7)}
    for identity, color in {**expected, "new.png": (3, 4, 100)}.items():
        np.testing.assert_allclose(store.vectors([identity])[0], tower.expected(color), rtol=1e-6)
    assert len(store) == len(set(store.ids())) == 11


def test_a_vector_that_went_while_its_copy_was_read_is_made_again(gallery, tmp_path):
    tower = ImageTower()
    store, _ = run_images(gallery, tmp_path / "s", tower)
    with store.writing():
        run = media.MediaRun(store, tower)
        copy = MediaFile("copy.png", gallery / "0.png", modality="image")
        read = reading.read_item(copy, preprocess=None, known_keys=run.known_keys)
        assert read.item is None
        run.known_keys.clear()  # as if the row with that content had just been replaced
        run.take(read)
        run.finish()
    np.testing.assert_array_equal(*store.vectors(["copy.png", "0.png"]))


def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(gallery, tmp_path):
    (gallery / "empty.jpg").write_bytes(b"")
    (gallery / "text.gif").write_bytes(b"hello")
    (gallery / "cut.png").write_bytes((gallery / "1.png").read_bytes()[:50])
    paint(gallery / "gone.png", (1, 1, 1))
    Image.new("RGB", (1, 9)).save(gallery / "thin.png")
    paint(gallery / "black.png", (0, 0, 0))
    (gallery / "black too.png").write_bytes((gallery / "black.png").read_bytes())
    with open(os.path.join(os.fsencode(gallery), b"caf\xe9.png"), "wb") as file:
        file.write((gallery / "1.png").read_bytes())
    tower, images = ImageTower(), find_media(gallery, "image")
    (gallery / "gone.png").unlink()
    store = media.open_media_store(tmp_path / "s", tower)
    report = media.embed_media(images, tower, store=store)
    reasons = {one.id: one.reason for one in report.quarantined}
    assert report.new == 10
    assert reasons.pop("cut.png").startswith("cut.png cannot be read as an image: ")
    assert reasons.pop("text.gif").startswith("text.gif cannot be read as an image: not an image")
    assert reasons == {
        "empty.jpg": "empty.jpg cannot be read as an image: zero bytes",
        "gone.png": "No such file or directory",
        "thin.png": "preprocessing failed: one pixel wide",
        "black.png": "the tower gave a vector of length 0",
        "black too.png": "the tower gave a vector of length 0",
        "caf\\xe9.png": "its name is not valid UTF-8",
    }
    lines = (tmp_path / "s" / "quarantine.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in lines} == {one.id for one in report.quarantined}
    assert runs.read_quarantine(store) == list(report.quarantined)


def test_what_is_mended_leaves_the_quarantine(gallery, tmp_path):
    (gallery / "empty.png").write_bytes(b"")
    run_images(gallery, tmp_path / "s", ImageTower())
    paint(gallery / "empty.png", (1, 2, 3))
    store, report = run_images(gallery, tmp_path / "s", ImageTower())
    assert (report.new, report.known, report.quarantined) == (1, 10, ())
    assert runs.read_quarantine(store) == []


def test_a_row_stays_where_its_file_cannot_be_read_any_more(gallery, tmp_path):
    run_images(gallery, tmp_path / "s", ImageTower())
    (gallery / "0.png").write_bytes(b"")
    images = find_media(gallery, "image")
    (gallery / "1.png").unlink()
    tower = ImageTower()
    store = media.open_media_store(tmp_path / "s", tower)
    report = media.embed_media(images, tower, store=store)
    assert [one.id for one in report.quarantined] == ["0.png", "1.png"]
    assert (report.new, report.known, len(store)) == (0, 8, 10)


def test_a_tower_without_preprocessing_gets_the_images(gallery, tmp_path):
    class Plain(Tower):
        modality, dim, space_id, fingerprint = "image", DIM, "space", "plain"
        uses_language = False

        def encode(self, items, *, languages=None, output="embedding"):
            assert all(item.mode == "RGB" for item in items)
            return ImageTower().encode([ImageTower().preprocess(item) for item in items])

    _, report = run_images(gallery, tmp_path / "s", Plain())
    assert report.new == 10


def test_ids_twice_and_stores_without_columns_are_refused(gallery, tmp_path):
    tower = ImageTower()
    image = find_media(gallery, "image")[0]
    store = media.open_media_store(tmp_path / "s", tower)
    with pytest.raises(errors.InputError, match=r"the image id '0\.png' was given 2 times"):
        media.embed_media([image, image], tower, store=store)
    bare = Store.create(tmp_path / "t", runs.facts_of(tower))
    with pytest.raises(errors.StoreError, match="lacks the columns mtime_ns, path, size"):
        media.embed_media([image], tower, store=bare)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_what_was_encoded_survives_an_interrupt(gallery, tmp_path, monkeypatch, failure):
    monkeypatch.setattr(reading, "ENCODE_ROWS", 2)
    tower = ImageTower()
    encode = tower.encode

    def interrupted(items, **options):
        if len(tower.calls) == 3:
            raise failure
        return encode(items, **options)

    tower.encode = interrupted
    with pytest.raises(failure):
        run_images(gallery, tmp_path / "s", tower)
    assert len(Store.open(tmp_path / "s")) == 6
    assert not [t for t in threading.enumerate() if t.name.startswith("read-items")]
    _, report = run_images(gallery, tmp_path / "s", ImageTower())
    assert (report.new, report.known) == (4, 6)


def test_an_interrupt_in_an_append_leaves_a_table_that_opens(gallery, tmp_path, monkeypatch):
    tower = ImageTower()
    store = media.open_media_store(tmp_path / "s", tower)
    write = lance.write_dataset

    def interrupted(*args, **kwargs):
        write(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(lance, "write_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        media.embed_media(find_media(gallery, "image"), tower, store=store)
    monkeypatch.undo()
    assert sorted(Store.open(tmp_path / "s").ids()) == [f"{row}.png" for row in range(10)]
    assert media.embed_media(find_media(gallery, "image"), tower, store=store).known == 10


def test_a_full_disk_keeps_what_was_committed(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ENCODE_ROWS", 2)
    monkeypatch.setattr(media, "APPEND_ROWS", 2)
    tower = ImageTower()
    store = media.open_media_store(tmp_path / "s", tower)
    write, writes = lance.write_dataset, []

    def full(*args, **kwargs):
        writes.append(1)
        if len(writes) > 2:
            raise OSError("LanceError(IO): No space left on device (os error 28)")
        return write(*args, **kwargs)

    monkeypatch.setattr(lance, "write_dataset", full)
    with pytest.raises(errors.DiskFullError):
        media.embed_media(find_media(gallery, "image"), tower, store=store)
    monkeypatch.undo()
    assert len(store) == 4
    assert media.embed_media(find_media(gallery, "image"), tower, store=store).new == 6


def test_a_slow_tower_is_appended_by_time(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "ENCODE_ROWS", 2)
    monkeypatch.setattr(media, "APPEND_SECONDS", 0.0)
    store, report = run_images(gallery, tmp_path / "s", ImageTower())
    assert report.new == 10
    assert store.num_fragments == 5


def test_many_copies_of_one_image_are_as_quick_as_many_images(gallery, tmp_path, monkeypatch):
    """The copies wait for one vector; that must not be looked at again for each of them."""
    monkeypatch.setattr(media, "APPEND_ROWS", 16)
    content = (gallery / "0.png").read_bytes()
    for row in range(10, 110):
        (gallery / f"{row}.png").write_bytes(content)
    store, report = run_images(gallery, tmp_path / "s", ImageTower())
    assert report.new == 110
    assert store.num_fragments == 7


@pytest.mark.slow  # writes 10,000 files
def test_ten_thousand_unchanged_files_take_no_torch(tmp_path):
    gallery = tmp_path / "photos"
    gallery.mkdir()
    paint(gallery / "0.png", (1, 2, 3))
    content = (gallery / "0.png").read_bytes()
    for row in range(1, 10_000):
        (gallery / f"{row}.png").write_bytes(content)
    _, report = run_images(gallery, tmp_path / "s", ImageTower())
    assert report.new == 10_000
    program = (
        "import sys\n"
        "from pathlib import Path; from polyglance.encoding import media\n"
        "from polyglance.sources.walking import find_media\n"
        "from polyglance.towers import Tower\n"
        "class Unasked(Tower):\n"
        "    modality, dim, space_id, fingerprint = 'image', 8, 'space', 'image-tower'\n"
        "    def encode(self, items, **options): raise AssertionError\n"
        "tower = Unasked()\n"
        "store = media.open_media_store(Path(sys.argv[2]), tower)\n"
        "report = media.embed_media(find_media(Path(sys.argv[1]), 'image'), tower, store=store)\n"
        "assert report.known == 10_000, report\n"
        "assert not {'torch', 'transformers', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(gallery), str(tmp_path / "s")], check=True)
