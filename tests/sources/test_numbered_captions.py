"""Captions behind numbered names."""

import gzip
import json

import pytest

from polyglance import errors
from polyglance.sources import numbered_captions


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


class TestNumbered:
    def test_tabs_spaces_and_names_wanted(self, tmp_path):
        path = write(tmp_path / "c.txt", "a#0\t一只 猫\r\nb#zhm#1 狗\n\nc\t鸟\n")
        found = numbered_captions.read_numbered(path, language="zho_Hans", names={"a", "b"})
        assert [(row.item_id, row.text) for row in found] == [
            ("a.jpg", "一只 猫"),
            ("b.jpg", "狗"),
        ]
        assert len(numbered_captions.read_numbered(path, language="zho_Hans")) == 3
        assert numbered_captions.read_names(write(tmp_path / "n.txt", "a\nb.jpg\n")) == ["a", "b"]

    def test_what_does_not_fit_is_named(self, tmp_path):
        path = write(tmp_path / "c.txt", "a#0\t猫\nb#0\t \n")
        with pytest.raises(errors.InputError, match=r"c\.txt, line 2: .* has no caption"):
            numbered_captions.read_numbered(path, language="zho_Hans")
        path = write(tmp_path / "c.txt", "a#0\t猫\n")
        with pytest.raises(errors.InputError, match=r"c\.txt, image b: it has no caption"):
            numbered_captions.read_numbered(path, language="zho_Hans", names={"a", "c", "b"})

    def test_a_line_that_does_not_fit_costs_no_other(self, tmp_path):
        path = write(tmp_path / "c.txt", "a#0\t猫\nb#0\t \nd#0\t狗\n")
        told = []
        names = {"a", "b", "d"}
        found = numbered_captions.read_numbered(
            path, language="zho_Hans", names=names, set_aside=told.append
        )
        assert [row.item_id for row in found] == ["a.jpg", "d.jpg"]
        assert [one.id for one in told] == ["c.txt, line 2", "c.txt, image b"]
