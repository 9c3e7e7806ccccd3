"""The publishers' files become classification tasks: right names, right prompts, right pictures."""

import json

import numpy as np
import pytest

from polyglance import errors, tasks
from polyglance.records import LabelSet, PromptSet
from polyglance.tasks.classification import CLASS_NAMES, ClassificationData
from shared_data import SHARED, needs_shared

NAMES = ("dog", "cat", "sea lion")


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def babel(tmp_path):
    """Babel-ImageNet's files with the folder of human names beside them."""
    labels = {"EN": [[0, 1, 2], ["a", "b", "c"]], "DE": [[0, 2], ["Hund", "Seelöwe"]]}
    write(tmp_path / "babel" / "babel_imagenet-298.json", labels | {"FR": [[1], ["chat"]]})
    write(tmp_path / "babel" / "nllb_dist13b_prompts.json", {"DE": ["ein {}", "ein {}"]})
    names = tmp_path / "imagenet_names"
    write(names / "en_classnames.json", {"imagenet1k": list(NAMES)})
    templates = {"imagenet1k": ["a {c}."], "cifar10": ["a {c}.", "the {c}."]}
    write(names / "en_zeroshot_classification_templates.json", templates)
    return tmp_path / "babel"


def data(**changes):
    given = {
        "task": "pets",
        "names": NAMES,
        "labels": {
            "eng_Latn": LabelSet("eng_Latn", (0, 1, 2), NAMES),
            "deu_Latn": LabelSet("deu_Latn", (0, 2), ("Hund", "Seelöwe")),
        },
        "prompts": {"deu_Latn": PromptSet("deu_Latn", ("ein {}", "ein {}"))},
        "english": PromptSet("eng_Latn", ("a {}.",)),
        "item_ids": ("x", "y", "z"),
        "classes": np.array([0, 1, 2]),
    }
    return ClassificationData(**(given | changes))


def test_english_of_babel_imagenet_has_the_names_that_people_use(babel):
    found = tasks.get_task("babel-imagenet").load(babel, None)
    assert found.labels["eng_Latn"].labels == found.names == NAMES
    assert set(found.languages) == {"eng_Latn", "deu_Latn", "fra_Latn"}
    assert found.prompts["eng_Latn"].templates == ("a {}.",)


def test_languages_that_are_asked_for(babel):
    found = tasks.get_task("babel-imagenet").load(babel, ["deu_Latn"])
    assert found.languages == ("deu_Latn",)
    with pytest.raises(errors.LanguageError, match="no labels in hin_Deva"):
        tasks.get_task("babel-imagenet").load(babel, ["hin_Deva"])


def test_what_is_tried_in_each_way_of_asking():
    tried = {
        (variant, language): data().asked_as(variant).choices(language)
        for variant in ("labels", "english", "best")
        for language in ("eng_Latn", "deu_Latn")
    }
    assert tried["labels", "deu_Latn"] == {"labels": ("{}",)}
    assert tried["english", "deu_Latn"] == {"english": ("a {}.",)}
    assert tried["best", "deu_Latn"] == {"translated": ("ein {}", "ein {}")}
    assert tried["best", "eng_Latn"] == {"labels": ("{}",), "english": ("a {}.",)}
    assert data().asked_as("translated").languages == ("deu_Latn",)


def test_ways_of_asking_that_are_not_there():
    with pytest.raises(errors.UnknownNameError, match="unknown kind of prompts 'label'"):
        data().asked_as("label")
    with pytest.raises(errors.UnavailableError, match="no English templates"):
        data(english=None).asked_as("english")
    with pytest.raises(errors.UnavailableError, match="templates of"):
        data(prompts={}).asked_as("translated")


def test_data_id_knows_texts_prompts_and_pictures():
    seen = {
        each.data_id("deu_Latn")
        for each in (
            data(),
            data().asked_as("labels"),
            data(classes=np.array([0, 1, 1])),
            data(prompts={"deu_Latn": PromptSet("deu_Latn", ("das {}",))}),
            data().only(["x"], reason="items_missing"),
        )
    }
    assert len(seen) == 5
    assert data().data_id("eng_Latn") not in seen


def test_missing_pictures_are_dropped_and_counted():
    fewer = data().only(["y"], reason="items_missing")
    assert (fewer.item_ids, fewer.classes.tolist()) == (("y",), [1])
    assert fewer.num_dropped == {"items_missing": 2}
    assert fewer.num_languages_without_images == 1  # German names no cat
    with pytest.raises(errors.UnavailableError, match="not one of the 3 items"):
        data().only([], reason="items_missing")


def test_pictures_come_from_a_folder(tmp_path):
    bare = data(item_ids=(), classes=np.empty(0, np.int64))
    with pytest.raises(errors.UnavailableError, match="does not bring its images") as caught:
        bare.with_items(None, "image")
    assert "--images" in caught.value.hint
    np.save(tmp_path / "labels.npy", np.array([2, 0]))
    (tmp_path / "ids.txt").write_text("x\ny\n")
    found = bare.with_items(tmp_path, "image")
    assert (found.item_ids, found.classes.tolist()) == (("x", "y"), [2, 0])
    assert found.with_items(None, "image") is found
    (empty,) = found.without_images["classes_without_images"]
    assert (empty.id, empty.reason) == (f"class {bare.names[1]}", "no image")
    fewer = found.only(["y"], reason="items_missing")
    assert len(fewer.without_images["classes_without_images"]) == 2


def test_cifar_10_in_english_and_in_whole_prompts(babel):
    folder = babel.parent / "uclip"
    write(folder / "translations_cifar10.json", {"czech": [f"Fotka {i}" for i in range(10)]})
    found = tasks.get_task("cifar10").load(folder, None)
    assert set(found.languages) == {"eng_Latn", "ces_Latn"}
    assert found.asked_as("best").choices("ces_Latn") == {"translated": ("{}",)}
    assert found.asked_as("best").choices("eng_Latn") == {"translated": ("a {}.", "the {}.")}
    assert found.names[1] == "automobile"
    with pytest.raises(errors.UnavailableError, match="no English templates"):
        found.asked_as("english")  # around a whole prompt they would be nonsense


def test_without_templates_english_is_left_out(tmp_path):
    write(tmp_path / "translations_cifar10.json", {"czech": [f"Fotka {i}" for i in range(10)]})
    assert tasks.get_task("cifar10").load(tmp_path, None).languages == ("ces_Latn",)


def test_names_and_templates_of_ones_own(babel):
    folder = babel.parent / "food"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "labels.txt").write_text("Apple pie\nBibimbap\n")
    (folder / "labels.de.txt").write_text("Apfelkuchen\nBibimbap\n")
    (folder / "templates.en.txt").write_text("{}, a food\n")
    found = tasks.get_task("food101").load(folder, None)
    assert found.languages == ("eng_Latn", "deu_Latn")
    assert found.english.templates == ("{}, a food",)
    (folder / "labels.fr.txt").write_text("tarte\n")
    found = tasks.get_task("food101").load(folder, None)
    assert found.languages == ("eng_Latn", "deu_Latn")
    assert [item.id for item in found.set_aside] == ["food, labels.fr.txt"]
    assert "names 1 classes; there are 2" in found.set_aside[0].reason


def test_a_data_set_that_names_nothing(tmp_path):
    with pytest.raises(errors.UnavailableError, match="does not name the classes") as caught:
        tasks.get_task("sun397").load(tmp_path, None)
    assert "ClassName.txt" in caught.value.hint


@pytest.mark.parametrize("name", ["babel-imagenet", "imagenet-human", "cifar100"])
def test_without_a_folder_the_hint_says_how_to_give_one(name):
    with pytest.raises(errors.UnavailableError, match="not part of polyglance"):
        tasks.get_task(name).load(None, None)


@needs_shared
@pytest.mark.parametrize(
    ("name", "num_languages", "num_translated"),
    [("babel-imagenet", 298, 90), ("imagenet-human", 5, 5), ("cifar10", 6, 6), ("stl10", 6, 6)],
)
def test_real_files(name, num_languages, num_translated):
    row = tasks.get_task(name)
    found = row.load(SHARED / row.folder, None)
    assert len(found.languages) == num_languages == row.num_languages
    assert len(found.asked_as("translated").languages) == num_translated


@needs_shared
def test_real_labels_are_as_many_as_published():
    found = tasks.get_task("babel-imagenet").load(SHARED / "babel_imagenet", None)
    assert sum(len(row.labels) for row in found.labels.values()) == 50_009
    repeated = {who: len(row.labels) - len(set(row.labels)) for who, row in found.labels.items()}
    # 212 with WordNet's English, of which 2; OpenAI's English repeats missile and sunglasses.
    assert sum(repeated.values()) == 212
    assert repeated["spa_Latn"] == 13


@pytest.mark.parametrize("dataset", ["cifar10", "stl10"])
def test_ten_classes_have_ten_numbers(dataset):
    found = CLASS_NAMES[dataset]
    assert len(set(found.labels)) == 10
    assert found.class_indices == tuple(range(10))


@needs_shared
def test_human_names_in_the_classes_of_babel_imagenet():
    folder = SHARED / "babel_imagenet"
    found = tasks.get_task("imagenet-human-babel").load(folder, None)
    babel = tasks.get_task("babel-imagenet").load(folder, None)
    assert set(found.labels) == {"eng_Latn", "zho_Hans", "jpn_Jpan", "arb_Arab", "ita_Latn"}
    for language, row in found.labels.items():
        assert row.class_indices == tuple(sorted(babel.labels[language].class_indices))
    whole = tasks.get_task("imagenet-human").load(SHARED / "imagenet_names", None)
    for index, name in zip(*vars_of(found.labels["ita_Latn"]), strict=True):
        assert whole.labels["ita_Latn"].labels[index] == name
    # Babel-ImageNet's labels in the templates that people wrote.
    assert babel.asked_as("human").languages == tuple(
        language for language in babel.labels if language in whole.prompts
    )
    assert babel.human["ita_Latn"] == whole.prompts["ita_Latn"]


def vars_of(named):
    return named.class_indices, named.labels
