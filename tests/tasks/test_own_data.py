"""A data set of one's own is measured by `polyglance eval`, whichever form it was saved in."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest

import saved_datasets
import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.tasks import load_task, own_data


def picture(phrase):
    held = io.BytesIO()
    small_world.draw(phrase, seed=99).save(held, "PNG")
    return held.getvalue()


IMAGES = [picture(phrase) for phrase in small_world.PHRASES]
GERMAN = [small_world.translate(phrase, "deu_Latn") for phrase in small_world.PHRASES]


@pytest.fixture
def evaluate(run, model_folder, pack_folder):
    def rows_of(task, place, *more):
        code, out, err = run("eval", model_folder, "--task", task, "--data", place, "--json", *more)
        assert code == 0, err
        return json.loads(out), err

    return rows_of


@pytest.mark.parametrize("write", saved_datasets.FORMS.values(), ids=saved_datasets.FORMS)
def test_captions_are_measured_as_those_of_the_same_files_are(
    tmp_path, write, evaluate, pack_folder, picture_folder, run, model_folder
):
    """The same images and captions as an XTD folder give the same scores."""
    place = write(
        tmp_path / "own", image=IMAGES, caption_en=list(small_world.PHRASES), caption_de=GERMAN
    )
    mine, _ = evaluate("own-captions", place, "--pack", pack_folder)
    xtd = tmp_path / "xtd10"
    xtd.mkdir()
    names = [f"{number:04}.png" for number in range(len(IMAGES))]
    (xtd / "test_image_names.txt").write_text("\n".join(names))
    (tmp_path / "files").mkdir()
    for name, data in zip(names, IMAGES, strict=True):
        (tmp_path / "files" / name).write_bytes(data)
    for code, texts in (("en", small_world.PHRASES), ("de", GERMAN)):
        (xtd / f"test_1kcaptions_{code}.txt").write_text("\n".join(texts), encoding="utf-8")
    theirs, _ = evaluate("xtd10", xtd, "--images", tmp_path / "files", "--pack", pack_folder)

    def scores(rows):
        return {(row["language"], row["direction"]): row["values"] for row in rows}

    assert scores(mine) == scores(theirs)
    assert {row["language"] for row in mine} == {ENGLISH, "deu_Latn"}


def test_a_row_says_its_language_and_may_have_several_captions(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path,
        image=[IMAGES[0], IMAGES[0], IMAGES[1]],
        id=["a", "a", "b"],
        captions=[["ein Kreis", "rund"], ["a circle"], ["ein Quadrat"]],
        language=["de", "eng", "deu_Latn"],
    )
    data = load_task("own-captions", place)
    said = {name: [(c.item_id, c.text) for c in each] for name, each in data.captions.items()}
    assert said == {
        "deu_Latn": [("a", "ein Kreis"), ("a", "rund"), ("b", "ein Quadrat")],
        ENGLISH: [("a", "a circle")],
    }
    assert data.item_ids == ("a", "b")
    assert data.policy == "all"


def test_bad_rows_are_set_aside_and_counted(tmp_path, evaluate):
    texts = list(small_world.PHRASES)
    place = saved_datasets.save_to_disk(
        tmp_path / "own",
        image=[None, *IMAGES[1:4], b"no image", *IMAGES[5:]],
        caption=[*texts[:2], None, " ", *texts[4:]],
        lang=["en", "klingonisch", *["en"] * (len(texts) - 2)],
    )
    rows, err = evaluate("own-captions", place)
    assert rows[0]["num_candidates"] == len(texts) - 5
    assert rows[0]["num_dropped"]["items_damaged"] == 1
    for said in (
        "row 1: image: no bytes",
        "captions in 'klingonisch': 1: ",
        "row 3: caption: None",
        "row 4: caption: ' '",
    ):
        assert said in err


def test_a_damaged_image_is_named_as_its_row(tmp_path, run, model_folder):
    texts = list(small_world.PHRASES)
    place = saved_datasets.to_parquet(
        tmp_path / "own", image=[*IMAGES[:4], b"no image", *IMAGES[5:]], caption_en=texts
    )
    asked = ("eval", model_folder, "--task", "own-captions", "--data", place)
    code, out, err = run(*asked)
    assert code == 0, err
    assert "5: 5 " in out + err
    assert "unpacked" not in out + err


@pytest.mark.parametrize(
    ("columns", "said", "hint"),
    [
        (
            {"mine": ["x"]},
            "a column of captions is expected",
            "rename_column('mine', 'caption_en')",
        ),
        ({"caption": ["x"]}, "caption does not say its language", "as in caption_en"),
        ({"caption_en": [""]}, "used (own, row 1: caption_en: '' was found", "mend the rows"),
        ({"caption_xyzzy": ["x"]}, "a column of captions is expected", "rename"),
        ({"caption_xx": ["x"]}, "(own, column caption_xx: unknown language", "rename"),
    ],
)
def test_missing_columns_are_named_with_what_there_is(tmp_path, columns, said, hint):
    place = saved_datasets.save_to_disk(tmp_path / "own", image=IMAGES[:1], **columns)
    with pytest.raises(errors.InputError) as caught:
        load_task("own-captions", place)
    assert said in caught.value.message
    assert f"its columns are image, {next(iter(columns))}" in caught.value.message
    assert hint in caught.value.hint


def test_columns_of_ids_and_addresses_are_no_languages(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path, image=IMAGES[:1], id=["7"], url=["x"], text_fr=["x"], sha256=["y"]
    )
    dataset, aside = own_data.arrow_datasets.find_dataset(place), []
    assert own_data.text_columns(dataset, set_aside=aside.append) == {"text_fr": "fra_Latn"}
    assert aside == []


def test_a_column_of_a_language_that_is_not_understood_is_told(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path / "own", image=IMAGES[:1], caption_en=["x"], caption_zh=["y"], caption_xx=["z"]
    )
    data = load_task("own-captions", place)
    assert list(data.captions) == [ENGLISH]
    zh, xx = data.set_aside
    assert (zh.id, xx.id) == ("own, column caption_zh", "own, column caption_xx")
    assert "it may be zho_Hans" in zh.reason


def test_rows_in_a_language_that_is_not_understood_are_counted_once(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path / "own", image=IMAGES[:4], text=list("abcd"), language=["en", "zh", "zh", "zh"]
    )
    (told,) = load_task("own-captions", place).set_aside
    assert told.id == "own, captions in 'zh': 3"


def test_a_language_that_is_not_there_is_refused(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path, image=IMAGES[:1], caption_de=["x"])
    with pytest.raises(
        errors.LanguageError, match="own-captions has nothing in fra_Latn; it has d"
    ):
        own_data.load_captions(place, ["fra_Latn"])


SHAPES = [phrase.split()[-1] for phrase in small_world.PHRASES]
NAMES = sorted(set(SHAPES))


@pytest.mark.parametrize("numbered", [False, True])
def test_classes_are_measured(tmp_path, numbered, evaluate):
    labels = [NAMES.index(shape) for shape in SHAPES] if numbered else SHAPES
    names = {"class_names": NAMES} if numbered else {}
    place = saved_datasets.save_to_disk(tmp_path / "own", image=IMAGES, label=labels, **names)
    (place / "labels.de.txt").write_text(
        "\n".join(small_world.translate(name, "deu_Latn") for name in NAMES), encoding="utf-8"
    )
    data = load_task("own-classes", place)
    assert data.names == tuple(NAMES)
    np.testing.assert_array_equal(data.classes, [NAMES.index(shape) for shape in SHAPES])
    rows, _ = evaluate("own-classes", place)
    by_language = {row["language"]: row["values"]["accuracy"] for row in rows}
    assert set(by_language) == {ENGLISH, "deu_Latn"}
    assert by_language[ENGLISH] > 2 / len(NAMES)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"mine": [1]}, "a column of classes is expected: label, labels, class"),
        ({"label": [3]}, "label holds no class that can be used"),
        ({"label": [3], "class_names": ["a", "b"]}, "row 1: label: 3 was found; expected a number"),
        ({"label": [0], "class_names": 3}, "names of the classes of label are 3; expected a list"),
        ({"label": [0], "class_names": ["a", None]}, "are ['a', None]; expected a list of texts"),
    ],
)
def test_classes_that_cannot_be_told_are_named(tmp_path, columns, said):
    place = saved_datasets.save_to_disk(tmp_path, image=IMAGES[:1], **columns)
    with pytest.raises(errors.InputError) as caught:
        load_task("own-classes", place)
    assert said in caught.value.message
    assert "its columns are image, " in caught.value.message


@pytest.mark.parametrize("column", ["caption_en", "label"])
def test_results_on_a_training_split_say_so(tmp_path, column, evaluate):
    """Where there is no other split it is measured, and is not called the test split."""
    own = saved_datasets.save_to_disk(
        tmp_path / "own" / "train", image=IMAGES, **{column: list(small_world.PHRASES)}
    ).parent
    (own / "dataset_dict.json").write_text('{"splits": ["train"]}')
    task = "own-captions" if column == "caption_en" else "own-classes"
    rows, _ = evaluate(task, own)
    assert {row["split"] for row in rows} == {"train"}


def test_a_bad_file_beside_costs_no_other_language(tmp_path):
    place = saved_datasets.save_to_disk(tmp_path, image=IMAGES[:2], label=["a", "b"])
    for name, text in {
        "labels.de.txt": "nur eines",
        "labels.en.txt": "one\ntwo\nthree",
        "labels.es.txt": "\nuno",
        "labels.fr.txt": "un\ndeux",
        "labels.it.txt": "\udcff\ndue",
        "templates.de.txt": "kein Platz",
        "templates.fr.txt": "une {}",
    }.items():
        (place / name).write_text(text, "utf-8", "surrogateescape")
    data = load_task("own-classes", place)
    assert {language: row.labels for language, row in data.labels.items()} == {
        ENGLISH: ("a", "b"),
        "fra_Latn": ("un", "deux"),
    }
    assert list(data.prompts) == ["fra_Latn"]
    aside = {item.id.partition(", ")[2]: item.reason for item in data.set_aside}
    assert sorted(aside) == [
        *("labels.de.txt", "labels.en.txt", "labels.es.txt", "labels.it.txt", "templates.de.txt")
    ]
    assert "names 1 classes; there are 2" in aside["labels.de.txt"]


def test_a_second_column_of_a_language_is_set_aside(tmp_path):
    place = saved_datasets.save_to_disk(
        tmp_path / "own", image=IMAGES[:2], caption_de=["x", "y"], caption_deu_Latn=["v", "w"]
    )
    data = load_task("own-captions", place)
    assert [caption.text for caption in data.captions["deu_Latn"]] == ["x", "y"]
    [item] = data.set_aside
    assert item.id.endswith("column caption_deu_Latn")
    assert item.reason.startswith("it is deu_Latn, as caption_de is, which is read")


def test_a_folder_of_images_beside_is_said_to_change_nothing(tmp_path, evaluate, picture_folder):
    place = saved_datasets.save_to_disk(
        tmp_path / "own", image=IMAGES, caption_en=list(small_world.PHRASES)
    )
    _, err = evaluate("own-captions", place, "--images", picture_folder)
    assert "own-captions has items of its own: --images changes nothing there" in err


def test_paths_that_lead_nowhere_are_not_sent_to_another_folder(tmp_path, run, model_folder):
    rows = pa.table({"image": ["gone.png"], "caption_en": ["x"]})
    saved_datasets.write_stream(tmp_path / "rows.arrow", rows)
    code, _, err = run("eval", model_folder, "--task", "own-captions", "--data", tmp_path)
    assert code == 2
    assert "mend the paths in the data set" in err
