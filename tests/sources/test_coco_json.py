"""Captions in COCO's kinds of JSON."""

import gzip
import json

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import coco_json


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
        assert [(row.item_id, row.text) for row in found] == [("y.jpg", "a y"), ("z.jpg", "a z")]
        with pytest.raises(errors.UnknownNameError, match="there are: test, train"):
            coco_json.read_karpathy(path, split="val")
