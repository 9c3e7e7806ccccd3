"""Normalisations that are compiled here and model files that are read say what they said before."""

import random
import struct

import pytest
from tokenizers import Tokenizer, normalizers

from polyglance.towers.libraries.packaged import unigram_tokenizers


def test_each_code_point_becomes_what_was_asked_for_and_the_others_stay():
    generator = random.Random(0)
    every = [*range(1, 0x3000), *range(0xF900, 0xFFFE), *range(0x1D400, 0x1D800)]
    changed = {
        old: "".join(chr(generator.randint(0x61, 0x7A)) for _ in range(generator.randint(0, 3)))
        for old in generator.sample(every, 4000)
    }
    normaliser = normalizers.Precompiled(unigram_tokenizers.charsmap_of(changed))
    for code_point in every:
        wanted = changed.get(code_point, chr(code_point))
        assert normaliser.normalize_str(chr(code_point)) == wanted, hex(code_point)


def test_texts_are_normalised_marked_and_cut_into_the_likeliest_pieces(tmp_path):
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)]
    pieces += [("▁", -3.0), ("▁ab", -4.0), ("a", -3.0), ("b", -3.0), ("▁a", -4.5)]
    specials = {"unk": 0, "bos": 1, "eos": 2}
    charsmap = unigram_tokenizers.charsmap_of({0xA0: " ", 0xAA: "a"})
    found = {}
    for strips in (False, True):
        place = tmp_path / f"{strips}.json"
        unigram_tokenizers.write(
            place, pieces=pieces, specials=specials, charsmap=charsmap, strips=strips
        )
        found[strips] = Tokenizer.from_file(str(place))
    cases = {
        "ab": [4],
        "ªb": [4],
        "b  ab": [3, 6, 4],
        "ab\xa0 ba": [4, 3, 6, 5],
        "azzb": [7, 0, 6],  # what has no piece is one unknown, however long
        "": [],
    }
    for text, wanted in cases.items():
        for tokenizer in found.values():
            assert tokenizer.encode(text).ids == [1, *wanted, 2], text
    assert found[False].encode("ab ").ids == [1, 4, 3, 2]
    assert found[True].encode(" ab ").ids == [1, 4, 2]


def field(number, kind, content):
    """A field of a protocol buffer; a text or message with its length in front."""
    head = bytes([number << 3 | kind])
    if kind == 2:
        length = len(content)
        head += bytes([length & 0x7F | 0x80, length >> 7]) if length > 127 else bytes([length])
    return head + content


def test_a_model_file_of_sentencepiece_gives_pieces_and_normalisation(tmp_path):
    charsmap = bytes(range(200))
    model = field(1, 2, field(1, 2, b"<unk>") + field(3, 0, b"\x02"))
    model += field(1, 2, field(1, 2, "▁犬".encode()) + field(2, 5, struct.pack("<f", -1.5)))
    model += field(2, 2, field(4, 0, b"\x80\x01") + field(9, 1, bytes(8)))
    model += field(3, 2, field(1, 2, b"nmt") + field(2, 2, charsmap))
    file = tmp_path / "sp.model"
    file.write_bytes(model)
    found = unigram_tokenizers.of_sentencepiece(file)
    assert found == ([("<unk>", 0.0), ("▁犬", -1.5)], charsmap)
    file.write_bytes(model[:-10])
    with pytest.raises(ValueError, match="cut"):
        unigram_tokenizers.of_sentencepiece(file)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="no pieces"):
        unigram_tokenizers.of_sentencepiece(file)
