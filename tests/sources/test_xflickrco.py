"""xFlickrCO's lines."""

import gzip
import json

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import xflickrco


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


class TestXflickrco:
    @pytest.fixture
    def folder(self, tmp_path):
        line = '{"sentences": ["%s"], "id": 1, "img_path": "1.jpg"}\n'
        write(tmp_path / "zh" / "test.jsonl", line % "狗")
        write(tmp_path / "id" / "test.jsonl", line % "anjing" + line % " ")
        write(tmp_path / "de" / "train_1.jsonl", line % "Hund")
        return tmp_path

    def test_a_folder_a_language(self, folder):
        assert list(xflickrco.find_files(folder).paths) == ["ind_Latn", "zho_Hans"]
        assert xflickrco.read_xflickrco(folder, "zho_Hans") == [Caption("1.jpg", "狗", "zho_Hans")]

    def test_what_does_not_fit_is_named(self, folder, tmp_path):
        with pytest.raises(errors.InputError, match="line 2: ' ' was found"):
            xflickrco.read_xflickrco(folder, "ind_Latn")
        told = []
        rows = xflickrco.read_xflickrco(folder, "ind_Latn", set_aside=told.append)
        assert rows == [Caption("1.jpg", "anjing", "ind_Latn")]
        assert [item.id for item in told] == ["id/test.jsonl, line 2"]
        write(tmp_path / "zh" / "test.jsonl", '{"sentences": []}\n')
        with pytest.raises(errors.InputError, match="line 1: .*expected"):
            xflickrco.read_xflickrco(folder, "zho_Hans")
        with pytest.raises(errors.LanguageError, match="no captions in deu_Latn"):
            xflickrco.read_xflickrco(folder, "deu_Latn")
        with pytest.raises(errors.UnavailableError, match="no files LANG/test.jsonl"):
            xflickrco.find_files(folder / "zh")
