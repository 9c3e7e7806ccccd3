"""Small copies of the publishers' folders become tasks: splits, policies, metrics, counts."""

import gzip
import json

import numpy as np
import pytest

from polyglance import errors, tasks
from polyglance.tasks import retrieval_rows
from shared_data import SHARED, needs_shared


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def load(name, folder, languages=None):
    data = tasks.get_task(name).load(folder, languages)
    row = tasks.get_task(name)
    assert (data.task, data.policy, data.metric) == (name, row.policy, row.metric)
    assert all(len(members) == len(data.item_ids) for members in data.splits.values())
    return data


def karpathy(folder, name="dataset_coco.json"):
    images = [
        {"filename": f"{image}.jpg", "split": split, "sentences": [{"raw": f"{image} {i}"}]}
        for i, (image, split) in enumerate([("a", "test"), ("b", "train"), ("c", "test")])
    ]
    return write(folder / name, {"images": images})


class TestFlickr30k200:
    @pytest.mark.parametrize("names", ["filenames.txt", "dataset_flickr30k.json"])
    def test_a_line_an_image(self, tmp_path, names):
        if names.endswith("json"):
            karpathy(tmp_path, names)
        else:
            write(tmp_path / names, "a.jpg\nc.jpg\n")
        write(tmp_path / "eng_captions.txt", "a dog\na cat\n")
        write(tmp_path / "deu_Latn.txt", "ein Hund\neine Katze\n")
        data = load("flickr30k-200", tmp_path)
        assert data.item_ids == ("a.jpg", "c.jpg")
        assert [c.text for c in data.captions["eng_Latn"]] == ["a dog", "a cat"]
        assert set(data.captions) == {"eng_Latn", "deu_Latn"}

    def test_without_the_names(self, tmp_path):
        write(tmp_path / "deu_Latn.txt", "ein Hund\n")
        with pytest.raises(errors.UnavailableError, match=r"dataset_flickr30k\.json"):
            load("flickr30k-200", tmp_path)


class TestMulti30k:
    def test_the_test_of_2016_in_the_folders_of_the_release(self, tmp_path):
        write(tmp_path / "image_splits" / "test_2016_flickr.txt", "1.jpg\n2.jpg\n")
        write(tmp_path / "image_splits" / "val.txt", "3.jpg\n")
        for code, word in (("en", "dog"), ("cs", "pes")):
            write(tmp_path / "raw" / f"test_2016_flickr.{code}.gz", f"{word} 1\n{word} 2\n")
        data = load("multi30k", tmp_path)
        assert data.item_ids == ("1.jpg", "2.jpg")
        assert set(data.captions) == {"eng_Latn", "ces_Latn"}
        assert list(data.splits) == ["test"]

    def test_the_release_as_it_is_cloned(self, tmp_path):
        place = tmp_path / "data" / "task1"
        write(place / "image_splits" / "test_2016_flickr.txt", "1.jpg\n")
        write(place / "raw" / "test_2016_flickr.de.gz", "Hund\n")
        for folder in (tmp_path, tmp_path / "data", place):
            assert load("multi30k", folder).item_ids == ("1.jpg",)

    def test_the_validation_set_where_that_is_all_there_is(self, tmp_path):
        write(tmp_path / "val.images.txt", "3.jpg\n")
        write(tmp_path / "val.de.gz", "Hund\n")
        assert list(load("multi30k", tmp_path).splits) == ["val"]

    def test_no_list_of_photos(self, tmp_path):
        with pytest.raises(errors.UnavailableError, match="no list of test photos"):
            load("multi30k", tmp_path)


class TestMulti30kTask2:
    """Five captions in en and de, one in fr and cs."""

    def release(self, folder, *, own_list=False, english=("a dog", "a cat")):
        ones = {"en": english, "de": ("Hund", "Katze"), "cs": ("pes", "kočka")}
        write(folder / "task1" / "image_splits" / "test_2016_flickr.txt", "1.jpg\n2.jpg\n")
        for code, lines in ones.items():
            name = f"test_2016_flickr.{code}.gz"
            write(folder / "task1" / "raw" / name, "\n".join(lines) + "\n")
        for number in range(1, 6):
            for code, (first, second) in (("en", ("a dog", "a cat")), ("de", ("Hund", "Katze"))):
                text = f"{first} {number}\n{second} {number}\n".replace(" 1", "")
                write(folder / "task2" / "raw" / f"test_2016.{number}.{code}.gz", text)
        if own_list:
            images = folder / "task2" / "image_splits" / "test_2016_images.txt"
            write(images, "2.jpg\n1.jpg\n")
        return folder

    def test_all_captions(self, tmp_path):
        data = load("multi30k-task2", self.release(tmp_path))
        counts = {language: len(rows) for language, rows in data.captions.items()}
        assert counts == {"eng_Latn": 10, "deu_Latn": 10, "ces_Latn": 2}
        assert set(data.item_ids) == {"1.jpg", "2.jpg"}
        of_one = [c.text for c in data.captions["deu_Latn"] if c.item_id == "1.jpg"]
        assert of_one == ["Hund", "Hund 2", "Hund 3", "Hund 4", "Hund 5"]

    def test_the_release_as_it_is_cloned(self, tmp_path):
        self.release(tmp_path / "data")
        assert len(load("multi30k-task2", tmp_path).captions["deu_Latn"]) == 10

    def test_its_own_list_names_its_photos(self, tmp_path):
        data = load("multi30k-task2", self.release(tmp_path, own_list=True))
        texts = {c.item_id: c.text for c in reversed(data.captions["eng_Latn"])}
        assert texts["2.jpg"] == "a dog"
        assert [c.item_id for c in data.captions["ces_Latn"]] == ["1.jpg", "2.jpg"]

    def test_photos_in_another_order_are_refused(self, tmp_path):
        folder = self.release(tmp_path, english=("a cat", "a bird"))
        with pytest.raises(errors.InputError, match="0 stand among the five of the same line"):
            load("multi30k-task2", folder)

    def test_a_language_that_neither_has(self, tmp_path):
        with pytest.raises(errors.LanguageError, match="no captions in fra_Latn"):
            load("multi30k-task2", self.release(tmp_path), ["fra_Latn"])


def xm3600(folder):
    lines = [
        {"image/key": "a", "de": {"caption": ["Hund", "ein Hund"]}, "en": {"caption": ["dog"]}},
        {"image/key": "b", "de": {"caption": ["Hund", "Katze"]}, "en": {"caption": []}},
    ]
    return write(folder / "captions.jsonl", "\n".join(map(json.dumps, lines)))


def test_xm3600_in_three_protocols(tmp_path):
    from polyglance.metrics.relevance import apply_caption_policy

    xm3600(tmp_path)
    data = load("xm3600", tmp_path)
    assert data.item_ids == ("a.jpg", "b.jpg")
    assert [item.id for item in data.set_aside] == ["captions.jsonl, line 2 (b.jpg), en"]

    def asked(policy):
        found = apply_caption_policy(
            data.asked_with(policy).captions["deu_Latn"],
            policy=data.asked_with(policy).policy,
            item_ids=data.item_ids,
        )
        return list(zip(found.texts, found.relevance.to_lists(), strict=True))

    assert asked("first") == [("Hund", [0]), ("Hund", [1])]
    assert asked("all") == [("Hund", [0]), ("ein Hund", [0]), ("Hund", [1]), ("Katze", [1])]
    assert asked("unique") == [("Hund", [0, 1]), ("ein Hund", [0]), ("Katze", [1])]
    with pytest.raises(errors.UnknownNameError, match="unknown caption policy 'some'"):
        data.asked_with("some")


@pytest.mark.parametrize("name", ["xm3600-uclip", "mscoco-translated", "flickr30k-translated"])
def test_uclips_form_has_its_own_names(tmp_path, name):
    rows = [{"filename": "a.jpg", "captions_en": "dog", "captions_translated": "pes"}]
    write(tmp_path / "captions_cs.json", rows)
    assert [c.text for c in load(name, tmp_path).captions["ces_Latn"]] == ["pes"]


def test_a_file_without_a_caption_costs_its_language_alone_and_is_told(tmp_path):
    write(tmp_path / "captions_de.json", [])
    rows = [{"filename": "a.jpg", "captions_en": "dog", "captions_translated": "pes"}]
    write(tmp_path / "captions_cs.json", rows)
    found = load("xm3600-uclip", tmp_path)
    assert set(found.captions) == {"ces_Latn"}
    assert [(one.id, one.reason) for one in found.set_aside] == [
        ("deu_Latn", "no caption to measure")
    ]


def test_uclips_form_is_not_taken_for_the_publishers(tmp_path):
    write(tmp_path / "captions_cs.json", [])
    with pytest.raises(errors.UnavailableError, match="one caption a photo") as caught:
        load("xm3600", tmp_path)
    assert "xm3600-uclip" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "file"), [("mscoco", "dataset_coco.json"), ("flickr30k", "dataset_flickr30k.json")]
)
def test_english_captions_of_karpathys_test_photos(tmp_path, name, file):
    karpathy(tmp_path, file)
    data = load(name, tmp_path)
    assert data.item_ids == ("a.jpg", "c.jpg")
    assert list(data.captions) == ["eng_Latn"]
    with pytest.raises(errors.LanguageError, match="nothing in deu_Latn"):
        load(name, tmp_path, ["deu_Latn"])


@pytest.mark.parametrize(("name", "code"), [("xflickrco", "zh"), ("xtd10", "jp")])
def test_babel_imagenets_json_of_a_data_set(tmp_path, name, code):
    images = ["1.jpg", "2.jpg"]
    found = {"images": images, "captions": {code: [["a"], ["b"]], "de": [["Hund"], [" "]]}}
    file = {"xflickrco": "xflickrco.json", "xtd10": "xtd.json"}[name]
    write(tmp_path / file, found)
    data = load(name, tmp_path)
    assert len(data.captions) == 2
    assert [c.item_id for c in data.captions["deu_Latn"]] == ["1.jpg"]
    assert [item.id for item in data.set_aside] == [f"{file}, image 2, de, caption 1"]
    write(tmp_path / file, {**found, "captions": {"de": [["Hund"]]}})
    with pytest.raises(errors.InputError, match="no caption to measure"):
        load(name, tmp_path)


@needs_shared
def test_xtd_in_both_forms_is_the_same():
    lines = load("xtd10", SHARED / "xtd10")
    listed = load("xtd10", SHARED / "babel_imagenet")
    assert set(listed.captions) == set(lines.captions)
    for language, rows in lines.captions.items():
        stripped = [(caption.item_id, caption.text.strip()) for caption in rows]
        assert [(c.item_id, c.text) for c in listed.captions[language]] == stripped


def test_xflickrco(tmp_path):
    line = '{"sentences": ["%s"], "id": 1, "img_path": "1.jpg"}\n'
    write(tmp_path / "zh" / "test.jsonl", line % "狗")
    write(tmp_path / "de" / "test.jsonl", line % "Hund")
    assert set(load("xflickrco", tmp_path).captions) == {"zho_Hans", "deu_Latn"}


def test_coco_cn_takes_the_test_photos_and_all_their_sentences(tmp_path):
    write(tmp_path / "coco-cn_test.txt", "a\nc\n")
    rows = "a#0\t猫\na#1\t黑猫\nb#0\t鸟\nc#0\t狗\n"
    write(tmp_path / "imageid.human-written-caption.txt", rows)
    data = load("coco-cn", tmp_path)
    assert data.item_ids == ("a.jpg", "c.jpg")
    assert [c.text for c in data.captions["zho_Hans"]] == ["猫", "黑猫", "狗"]
    with pytest.raises(errors.LanguageError, match="nothing in deu_Latn"):
        load("coco-cn", tmp_path, ["deu_Latn"])


@pytest.mark.parametrize("listed", [True, False])
def test_coco_cn_in_cocos_form(tmp_path, listed):
    write(tmp_path / "captions.json", coco([("a", "猫"), ("a", "黑猫"), ("b", "鸟")]))
    if listed:
        write(tmp_path / "coco-cn_test.txt", "a\n")
    data = load("coco-cn", tmp_path)
    assert data.item_ids == (("a.jpg",) if listed else ("a.jpg", "b.jpg"))


def test_flickr30k_cn(tmp_path):
    write(tmp_path / "test.txt", "1#zhm#0\t猫\n1#zhm#1\t黑猫\n2#zhm#0\t狗\n")
    assert load("flickr30k-cn", tmp_path).item_ids == ("1.jpg", "2.jpg")


def coco(captions):
    names = list(dict.fromkeys(name for name, _ in captions))
    return {
        "images": [{"id": i, "file_name": f"{name}.jpg"} for i, name in enumerate(names)],
        "annotations": [
            {"image_id": names.index(name), "caption": text} for name, text in captions
        ],
    }


def test_mscoco_it_is_a_validation_set(tmp_path):
    rows = coco([("a", "un cane"), ("a", "cane"), ("b", "gatto")])
    write(tmp_path / "captions_ita_devset_unvalidated.json.gz", rows)
    data = load("mscoco-it", tmp_path, ["ita_Latn"])
    assert list(data.splits) == ["val"]
    assert len(data.captions["ita_Latn"]) == 3


def test_japanese_and_korean_on_karpathys_test_photos(tmp_path):
    karpathy(tmp_path)
    write(tmp_path / "stair_captions_v1.2_val.json", coco([("a", "犬"), ("a", "猫"), ("b", "鳥")]))
    korean = [{"file_path": f"val2014/{n}.jpg", "caption_ko": [n, n + n]} for n in "abc"]
    write(tmp_path / "MSCOCO_train_val_Korean.json", korean)
    stair = load("stair", tmp_path)
    assert [c.text for c in stair.captions["jpn_Jpan"]] == ["犬", "猫"]
    assert stair.num_dropped == {"photos_without_caption": 1}
    write(tmp_path / "captions_val2014_uk.json", coco([("a", "пес"), ("b", "кіт")]))
    assert [c.text for c in load("ukrainian-coco", tmp_path).captions["ukr_Cyrl"]] == ["пес"]
    korean_coco = load("korean-coco", tmp_path)
    assert korean_coco.item_ids == ("a.jpg", "c.jpg")
    assert korean_coco.num_dropped == {}


def test_captions_of_other_photos_than_karpathys(tmp_path):
    karpathy(tmp_path)
    write(tmp_path / "stair_captions_v1.2_val.json", coco([("x", "犬")]))
    with pytest.raises(errors.InputError, match="none of 1 captions is of one of the 2 test"):
        load("stair", tmp_path)


def test_in_wit_each_language_searches_its_own_pictures(tmp_path):
    lines = ["language\timage_url\tcaption_reference_description"]
    for code, name in (("et", "A"), ("et", "B"), ("de", "B"), ("de", "C")):
        lines.append(f"{code}\thttps://example.org/x/{name}.jpg\t{code} {name}")
    write(tmp_path / "wit_v1.test.all-00000-of-00001.tsv.gz", "\n".join(lines) + "\n")
    data = load("wit", tmp_path)
    assert data.item_ids == ("A.jpg", "B.jpg", "C.jpg")
    assert data.candidate_rows("est_Latn").tolist() == [0, 1]
    assert data.candidate_rows("deu_Latn").tolist() == [1, 2]
    # A language's fingerprint does not hang on which others are asked.
    assert load("wit", tmp_path, ["deu_Latn"]).data_id("deu_Latn") == data.data_id("deu_Latn")


@pytest.mark.parametrize("name", sorted(retrieval_rows.RETRIEVAL))
def test_a_row_says_what_a_user_must_know(name):
    row = tasks.get_task(name)
    assert row.kind == "retrieval"
    assert len(row.summary) < 76
    assert row.images
    assert row.licence
    assert row.citation
    assert row.files or name == "pictograms"
    for file in row.downloads:
        assert len(file.sha256) == 64
        assert file.url.startswith("https://")


@needs_shared
@pytest.mark.parametrize("name", ["xtd10", "xtd200"])
def test_the_pinned_hashes_are_those_of_the_publishers_files(name):
    from polyglance.tasks import fetching

    pinned = [f for f in fetching.pinned_files(name) if (SHARED / name / f.path).is_file()]
    assert len(pinned) == tasks.get_task(name).num_languages + 1
    assert fetching.fetch_files(pinned, folder=SHARED / name) == 0


@needs_shared
def test_multi30k_val_of_the_release():
    data = load("multi30k", SHARED / "multi30k")
    assert (len(data.captions), len(data.item_ids)) == (4, 1014)
    assert np.all(data.splits["val"])


def test_multi30k_without_its_list_of_photos(tmp_path):
    with pytest.raises(errors.UnavailableError, match=r"no list of test photos .*test_2016_flickr"):
        load("multi30k", tmp_path)
