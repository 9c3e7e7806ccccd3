"""Captions in COCO's kinds of JSON, behind numbered names, xFlickrCO's lines, WIT's tables."""

import gzip
import json

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import coco_json, numbered_captions, wit, xflickrco


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


COCO = {
    "info": {},
    "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}],
    "annotations": [
        {"image_id": 3, "id": 1, "caption": "un gatto\u2028nero"},
        {"image_id": 7, "id": 2, "caption": " un cane "},
        {"image_id": 3, "id": 3, "caption": "un gatto"},
    ],
}


class TestCoco:
    @pytest.mark.parametrize("name", ["c.json", "c.json.gz"])
    def test_captions_go_to_the_images_of_their_ids(self, tmp_path, name):
        found = coco_json.read_coco(write(tmp_path / name, COCO), language="it")
        assert found == [
            Caption("a.jpg", "un gatto\u2028nero", "ita_Latn"),
            Caption("b.jpg", "un cane", "ita_Latn"),
            Caption("a.jpg", "un gatto", "ita_Latn"),
        ]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (
                {"annotations": [{"image_id": 4, "caption": "x"}]},
                "annotation 1: image_id 4 is not",
            ),
            ({"annotations": [{"image_id": 3}]}, "annotation 1: caption is None; expected str"),
            (
                {"annotations": [{"image_id": 3, "caption": " "}]},
                "annotation 1: the caption: ' ' was found",
            ),
            ({"images": [{"id": "3", "file_name": "a"}]}, "image 1: id is '3'; expected int"),
            ({"annotations": None}, "expected an object with the list 'annotations'"),
        ],
    )
    def test_what_does_not_fit_is_named(self, tmp_path, change, said):
        path = write(tmp_path / "c.json", COCO | change)
        with pytest.raises(errors.InputError, match=said):
            coco_json.read_coco(path, language="it")

    def test_an_entry_that_does_not_fit_costs_no_other(self, tmp_path):
        more = [{"image_id": 4, "caption": "x"}, {"image_id": 3, "caption": "\ud83d"}, None]
        images = [*COCO["images"], {"id": "5", "file_name": "c.jpg"}]
        changed = COCO | {"images": images, "annotations": [*more, *COCO["annotations"]]}
        path = tmp_path / "c.json"
        path.write_text(json.dumps(changed), encoding="utf-8")
        told = []
        found = coco_json.read_coco(path, language="it", set_aside=told.append)
        assert len(found) == 3
        assert [one.id.partition(", ")[2] for one in told] == [
            "image 3",
            "annotation 1",
            "annotation 2",
            "annotation 3",
        ]

    def test_a_sentence_that_does_not_fit_costs_no_other_of_its_photo(self, tmp_path):
        rows = [
            {"file_path": "a.jpg", "caption_ko": ["가", " ", "나"]},
            {"file_path": "b.jpg"},
        ]
        told = []
        path = write(tmp_path / "k.json", rows)
        assert [row.text for row in coco_json.read_korean(path, set_aside=told.append)] == [
            "가",
            "나",
        ]
        assert [one.id for one in told] == ["k.json, entry 2", "k.json, entry 1, caption 2"]
        images = [{"filename": "y.jpg", "split": "test", "sentences": ["?", {"raw": "y"}, {}]}]
        path = write(tmp_path / "d.json", {"images": [*images, {"filename": "z.jpg"}]})
        told.clear()
        found = coco_json.read_karpathy(path, split="test", set_aside=told.append)
        assert [row.text for row in found] == ["?", "y"]
        assert len(told) == 2
        with pytest.raises(errors.InputError, match=r"d\.json, image 2: split is None"):
            coco_json.read_karpathy(path, split="test")

    def test_no_json_and_no_file(self, tmp_path):
        with pytest.raises(errors.InputError, match="is not JSON"):
            coco_json.read_coco(write(tmp_path / "c.json", "{"), language="it")
        with pytest.raises(errors.UnavailableError, match="there is no file"):
            coco_json.read_coco(tmp_path / "none.json", language="it")

    def test_korean(self, tmp_path):
        rows = [
            {"file_path": "val2014/a.jpg", "id": 1, "captions": ["a"], "caption_ko": ["가", "나"]}
        ]
        assert coco_json.read_korean(write(tmp_path / "k.json", rows)) == [
            Caption("a.jpg", "가", "kor_Hang"),
            Caption("a.jpg", "나", "kor_Hang"),
        ]
        with pytest.raises(errors.InputError, match="expected a list"):
            coco_json.read_korean(write(tmp_path / "k.json", {"file_path": "a"}))
        with pytest.raises(errors.InputError, match="entry 1: caption_ko is None"):
            coco_json.read_korean(write(tmp_path / "k.json", [{"file_path": "a"}]))

    def test_karpathy(self, tmp_path):
        images = [
            {"filename": f"{name}.jpg", "split": split, "sentences": [{"raw": f"a {name}"}]}
            for name, split in (("x", "train"), ("y", "test"), ("z", "test"))
        ]
        path = write(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
        found = coco_json.read_karpathy(path, split="test")
        assert [(row.content_id, row.text) for row in found] == [("y.jpg", "a y"), ("z.jpg", "a z")]
        with pytest.raises(errors.UnknownNameError, match="there are: test, train"):
            coco_json.read_karpathy(path, split="val")


class TestNumbered:
    def test_tabs_spaces_and_names_wanted(self, tmp_path):
        path = write(tmp_path / "c.txt", "a#0\t一只 猫\r\nb#zhm#1 狗\n\nc\t鸟\n")
        found = numbered_captions.read_numbered(path, language="zho_Hans", names={"a", "b"})
        assert [(row.content_id, row.text) for row in found] == [
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
        assert [row.content_id for row in found] == ["a.jpg", "d.jpg"]
        assert [one.id for one in told] == ["c.txt, line 2", "c.txt, image b"]


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
