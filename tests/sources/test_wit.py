"""WIT's tables."""

import gzip
import json

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import wit


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


HEADER = ["language", "page_url", "image_url", "page_title", "caption_reference_description"]


def wit_file(folder, rows, *, number=0, header=HEADER):
    lines = ["\t".join(header)]
    lines += ["\t".join((language, "p", url, "t", text)) for language, url, text in rows]
    return write(folder / f"wit_v1.test.all-{number:05}-of-00002.tsv.gz", "\n".join(lines) + "\n")


class TestWit:
    URL = "https://example.org/wikipedia/commons/2/2f/"

    def test_rows_of_all_files_by_language(self, tmp_path):
        first = [
            ("et", self.URL + "A%2C_b.jpg", "Viimsi"),
            ("et", self.URL + "C.jpg", ""),
            ("zh", self.URL + "C.jpg", '"他说 ""好"""'),
            ("xx-none", self.URL + "C.jpg", "?"),
            ("et", "https://example.org/wikipedia/et/9/99/C.jpg", "another file of that name"),
        ]
        wit_file(tmp_path, first)
        wit_file(
            tmp_path, [("et", "http://example.org/wikipedia/commons/2/2f/C.jpg", "C")], number=1
        )
        found = wit.read_wit(tmp_path)
        assert found.captions == {
            "est_Latn": [
                Caption("A,_b.jpg", "Viimsi", "est_Latn"),
                Caption("C.jpg", "C", "est_Latn"),
            ],
            "zho_Hans": [Caption("C.jpg", '他说 "好"', "zho_Hans")],
        }
        assert found.num_dropped == {
            "rows_without_caption": 1,
            "languages_unknown": 1,
            "images_of_one_name": 1,
        }
        assert set(wit.read_wit(tmp_path, languages=["zho_Hans"]).captions) == {"zho_Hans"}

    def test_what_does_not_fit_is_named(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no files wit_v1.test"):
            wit.read_wit(tmp_path)
        path = wit_file(tmp_path, [("et", self.URL + "A.jpg", "a")] * 200)
        with pytest.raises(
            errors.LanguageError, match=r"no captions in deu_Latn; it has: est_Latn"
        ):
            wit.read_wit(tmp_path, languages=["deu_Latn"])
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(errors.InputError, match="cannot be read"):
            wit.read_wit(tmp_path)
        wit_file(tmp_path, [], header=["language", "caption"])
        with pytest.raises(errors.InputError, match="no column image_url or caption_ref"):
            wit.read_wit(tmp_path)
