"""Forms are read in one pass; what is none is refused in words."""

import time

import pytest

from polyglance import errors
from polyglance.serve import form_data

KIND = "multipart/form-data; boundary=b"


def part(name, content, more=b""):
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more
    return head + b"\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n"


def test_fields_and_files():
    file = b"\r\n--b-not\xff\x00"
    body = part(b"q", "ü".encode()) + part(b"image", file, b'; filename="a;b.png"') + b"--b--\r\n"
    assert form_data.read(body, KIND) == ({"q": "ü"}, {"image": file})
    assert form_data.read(body, 'Multipart/Form-Data; charset=x; boundary="b"')[0] == {"q": "ü"}
    assert form_data.read(b"preamble\r\n" + body, KIND)[0] == {"q": "ü"}


def test_fields_as_in_an_address():
    kind = "application/x-www-form-urlencoded"
    assert form_data.read(b"q=a+b%2Bc&top=3", kind) == ({"q": "a b+c", "top": "3"}, {})
    for body in (b"a&" * 100, b"\xff=a", b"q=%ff", b"q=a&q=b", b"a" * 100_000):
        with pytest.raises(errors.InputError):
            form_data.read(body, kind)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", KIND),
        (b"anything", KIND),
        (part(b"q", b"a"), KIND),
        (part(b"q", b"a") * 1000 + b"--b--", KIND),
        (b"--b\r\n\r\na\r\n--b--", KIND),
        (b"--b\r\nContent-Disposition: form-data; name=q\r\n\r\na\r\n--b--", KIND),
        (part(b"\xff", b"a") + b"--b--", KIND),
        (part(b"q", b"\xff") + b"--b--", KIND),
        (part(b"q", b"a") * 2 + b"--b--", KIND),
        (part(b"q", b"a" * 100_000) + b"--b--", KIND),
        (b"{}", "application/json"),
        (b"a", ""),
        (b"a", "multipart/form-data"),
        (b"a", "multipart/form-data; boundary=" + "x" * 30_000),
        (b"a", "multipart/form-data; boundary=é"),
    ],
)
def test_what_is_no_form(body, kind):
    with pytest.raises(errors.InputError):
        form_data.read(body, kind)


def test_every_body_is_read_in_the_time_of_its_bytes():
    started = time.perf_counter()
    for body in (b"\r\n" * 2**22, b"\r\n--" * 2**21, b"\r\n--b" * 2**20, b"\r\n--b\r\n" * 2**20):
        with pytest.raises(errors.InputError):
            form_data.read(body, KIND)
    assert time.perf_counter() - started < 5
