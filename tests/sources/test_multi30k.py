"""Captions of Multi30K."""

import gzip

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import multi30k


def test_the_captions_of_a_language_with_their_photos(tmp_path):
    (tmp_path / "val.images.txt").write_text("11.jpg\n22.jpg\n")
    (tmp_path / "val.de.gz").write_bytes(gzip.compress(b"ein Hund\neine Katze\n"))
    (tmp_path / "val.fr.gz").write_bytes(gzip.compress(b"un chien\n"))
    assert multi30k.read_multi30k_captions(tmp_path, "val", "de") == [
        Caption("11.jpg", "ein Hund", "deu_Latn"),
        Caption("22.jpg", "eine Katze", "deu_Latn"),
    ]
    with pytest.raises(errors.InputError, match="after 1 captions; expected 2"):
        multi30k.read_multi30k_captions(tmp_path, "val", "fr")
    with pytest.raises(errors.LanguageError, match="no captions in 'cs'"):
        multi30k.read_multi30k_captions(tmp_path, "val", "cs")
    with pytest.raises(errors.UnavailableError, match=r"no files train"):
        multi30k.read_multi30k_captions(tmp_path, "train", "de")
