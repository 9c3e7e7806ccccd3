"""Lines of text files, whatever ends them."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.sources import captions


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\r\n\r\nb\r\n", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_only_a_line_feed_ends_a_line(tmp_path, data, lines):
    assert captions.read_lines(write(tmp_path / "a.txt", data)) == lines
    assert captions.read_lines(write(tmp_path / "a.gz", gzip.compress(data))) == lines


CAPTION = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff"))


@given(
    lines=st.lists(CAPTION.filter(bool)), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans()
)
def test_lines_come_back_whatever_ends_them(tmp_path_factory, lines, end, last):
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes((end.join(lines) + (end if last and lines else "")).encode())
    assert captions.read_lines(path) == lines


def test_invalid_utf8_names_the_line(tmp_path):
    path = write(tmp_path / "a.txt", b"one\ntwo\ncaf\xe9\n")
    with pytest.raises(errors.InputError, match=r"a\.txt, line 3: not UTF-8 \(byte 0xe9 at pos"):
        captions.read_lines(path)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no file"):
        captions.read_lines(tmp_path / "a.txt")
    whole = gzip.compress(b"some captions\n" * 50)
    for data in (whole[:-9], b"no gzip"):
        with pytest.raises(errors.InputError, match="cannot be read"):
            captions.read_lines(write(tmp_path / "a.gz", data))
