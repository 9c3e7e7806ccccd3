"""The benchmarks' parallel lines of Multi30K."""

import gzip

import pytest
from benchmarks import multi30k_lines

from polyglance import errors
from polyglance.records import Pair
from polyglance.sources import captions
from shared_data import SHARED, needs_shared


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def multi30k(tmp_path):
    write(tmp_path / "val.images.txt", "11.jpg\n22.jpg\n")
    write(tmp_path / "val.en.gz", gzip.compress(b"a dog\na cat\n"))
    write(tmp_path / "val.de.gz", gzip.compress(b"ein Hund\neine Katze\n"))
    write(tmp_path / "val.fr.gz", gzip.compress(b"un chien\n"))
    return tmp_path


def test_multi30k_is_parallel(multi30k):
    found = multi30k_lines.read_multi30k(multi30k, "val", languages=["de", "eng_Latn"])
    assert found.images == ("11.jpg", "22.jpg")
    assert list(found.lines) == ["deu_Latn", "eng_Latn"]
    assert found.pairs("deu_Latn", "eng_Latn")[1] == Pair(
        "eine Katze", "deu_Latn", "a cat", "eng_Latn"
    )
    with pytest.raises(errors.InputError, match="after 1 captions; expected 2"):
        multi30k_lines.read_multi30k(multi30k, "val", languages=["fr"])
    with pytest.raises(errors.UnavailableError, match=r"train\.images\.txt"):
        multi30k_lines.read_multi30k(multi30k, "train", languages=["en"])


def test_lines_about_photos_of_flickr8k_can_be_left_out(multi30k):
    found = multi30k_lines.read_multi30k(multi30k, "val", languages=["de", "en"])
    left = found.leaving_out({"11_abc.jpg", "2_x.jpg"})
    assert left.images == ("22.jpg",)
    assert left.lines == {"deu_Latn": ("eine Katze",), "eng_Latn": ("a cat",)}


@needs_shared
def test_the_publishers_multi30k_and_flickr8k_files():
    lines = multi30k_lines.read_multi30k(SHARED / "multi30k", "val", languages=["en", "cs"])
    assert len(lines.images) == len(lines.lines["ces_Latn"]) == 1014
    test = captions.read_flickr8k(SHARED / "flickr8k", "en", split="test")
    assert len({caption.item_id for caption in test}) == 1000
    assert len(test) == 5000
    kept = lines.leaving_out({caption.item_id for caption in test})
    assert 0 < len(kept.images) <= 1014
    for code in ("ar", "fr", "zh"):
        assert captions.read_flickr8k(SHARED / "flickr8k", code, split="dev")
