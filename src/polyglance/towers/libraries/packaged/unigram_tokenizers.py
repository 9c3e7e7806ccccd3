"""Tokenizers of SentencePiece's unigram models as `tokenizer.json`, and their normalisation.

A `charsmap` is SentencePiece's compiled normalisation: the length of a trie, the trie as a double
array, and the replacements, each ended by a zero byte. Here one is made of single code points.

Source: Kudo and Richardson 2018; the form of the double array is that of darts-clone
(`dawgdic` units: offset, label, a bit for "a value follows").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polyglance.errors import StoreError
from polyglance.storage import atomic

_UNITS_A_NODE = 256
_HAS_VALUE, _IS_VALUE = 1 << 8, 1 << 31
_MOST_UNITS = 1 << 21
# Fields of SentencePiece's ModelProto.
_PIECE, _NORMALISER = 1, 3


def write(
    path: Path,
    *,
    pieces: Sequence[tuple[str, float]],
    specials: Mapping[str, int],
    charsmap: bytes,
    strips: bool = False,
) -> None:
    """Write the tokenizer of a unigram model: normalise, collapse spaces, mark words, find pieces.

    Args:
        path: Of the `tokenizer.json`.
        pieces: Pieces and their log probabilities, by id.
        specials: Ids of `bos`, `eos` and `unk`, which stand around each text and for what has no
            piece, and of `pad` where there is one.
        charsmap: SentencePiece's compiled normalisation.
        strips: Whether spaces before and behind a text go.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=specials["unk"], byte_fallback=False))
    steps: list[Any] = [normalizers.Precompiled(charsmap)]
    if strips:
        steps.append(normalizers.Strip())
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    begin, end = (pieces[specials[name]][0] for name in ("bos", "eos"))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, specials["bos"]), (end, specials["eos"])],
    )
    tokenizer.add_special_tokens(
        [AddedToken(pieces[number][0], special=True) for number in sorted(specials.values())]
    )
    atomic.write_text(path, tokenizer.to_str(pretty=False))


def of_sentencepiece(path: Path) -> tuple[list[tuple[str, float]], bytes]:
    """The pieces with their scores, and the normalisation, of a model file of SentencePiece.

    Raises:
        ValueError, IndexError: It is no such file.
    """
    pieces, charsmap = [], b""
    for number, value in _fields(path.read_bytes()):
        if number == _PIECE:
            said = dict(_fields(value))
            score = struct.unpack("<f", said[2])[0] if 2 in said else 0.0
            pieces.append((said[1].decode(), score))
        elif number == _NORMALISER:
            charsmap = dict(_fields(value)).get(2, b"")
    if not pieces or not charsmap:
        raise ValueError(f"{path.name} has no pieces or no normalisation")
    return pieces, charsmap


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields of a protocol buffer; of plain numbers the bytes."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        kind = tag & 7
        if kind == 0:
            end = _number(message, at)[1]
        elif kind == 2:
            length, at = _number(message, at)
            end = at + length
        elif kind in (1, 5):
            end = at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"a field of kind {kind}")
        if end > len(message):
            raise ValueError("it is cut")
        yield tag >> 3, message[at:end]
        at = end


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def charsmap_of(code_points: Mapping[int, str]) -> bytes:
    """The compiled form of a normalisation of single code points.

    Args:
        code_points: What each becomes; the others stay.

    Raises:
        StoreError: There are more than the form can hold.
    """
    replacements, where = bytearray(), {}
    for new in sorted(set(code_points.values())):
        where[new] = len(replacements)
        replacements += new.encode() + b"\0"
    keys = {chr(old).encode(): where[new] for old, new in code_points.items()}
    units = _double_array(keys)
    if len(units) > _MOST_UNITS:
        raise StoreError(
            f"a normalisation of {len(keys):,} code points is too large",
            hint="reinstall the package that it was read from",
        )
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + bytes(replacements)


def _double_array(keys: Mapping[bytes, int]) -> list[int]:
    """The units of a trie in which no key begins another one.

    A unit stands where its parent points, plus its byte. Nodes with children point to a block of
    their own; the value of a key takes any unit that is left.
    """
    inner = sorted({key[:length] for key in keys for length in range(len(key))})
    base = {prefix: _UNITS_A_NODE * (i + 1) for i, prefix in enumerate(inner)}
    place = {b"": 0}
    for node in (*inner[1:], *keys):
        place[node] = base[node[:-1]] + node[-1]
    units = [0] * (_UNITS_A_NODE * (len(inner) + 1) + len(keys))
    for node in inner:
        units[place[node]] = _unit(place[node] ^ base[node], label=node[-1] if node else 0)
    free = _free(len(units), taken=set(place.values()))
    for key, value in keys.items():
        slot = next(free)
        units[place[key]] = _unit(place[key] ^ slot, label=key[-1]) | _HAS_VALUE
        units[slot] = _IS_VALUE | value
    return units


def _free(count: int, *, taken: set[int]) -> Iterator[int]:
    """Units that nothing stands in and no node with children points to."""
    return (i for i in range(count) if i % _UNITS_A_NODE and i not in taken)


def _unit(offset: int, *, label: int) -> int:
    return offset << 10 | label
