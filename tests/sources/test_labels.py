"""Names of classes and prompts are read in every form they come in, and nothing else is."""

import json

import pytest

from polyglance import errors
from polyglance.records import LabelSet, PromptSet
from polyglance.sources import labels


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def test_babel_labels_keep_indices_and_the_varieties_apart(tmp_path):
    path = write(
        tmp_path / "b.json",
        {"DE": [[0, 7], ["Schleie", "Hahn"]], "SIMPLE": [[1], ["goldfish"]], "ALS": [[2], ["Hai"]]},
    )
    found = labels.read_babel_labels(path)
    assert found["deu_Latn"] == LabelSet("deu_Latn", (0, 7), ("Schleie", "Hahn"))
    assert list(found) == ["deu_Latn", "eng_Latn_simple", "gsw_Latn"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([[0]], "two lists"),
        ([[0, 1], ["a"]], "one label for each class index"),
        ([[0, 0], ["a", "b"]], "each once"),
        ([[-1], ["a"]], "from 0"),
        ([["0"], ["a"]], "one label for each class index"),
        ([[0], [" "]], "text that is not empty"),
    ],
)
def test_babel_labels_of_another_form(tmp_path, row, said):
    with pytest.raises(errors.InputError, match=said):
        labels.read_babel_labels(write(tmp_path / "b.json", {"DE": row}))


def test_prompts_keep_their_repeats(tmp_path):
    path = write(tmp_path / "p.json", {"JA": ["{}の写真", "{}の写真", "{}"]})
    assert labels.read_babel_prompts(path)["jpn_Jpan"].templates == ("{}の写真", "{}の写真", "{}")


@pytest.mark.parametrize("template", ["a photo", "{} and {}"])
def test_a_template_has_one_slot(tmp_path, template):
    path = write(tmp_path / "p.json", {"DE": ["{}", template]})
    with pytest.raises(errors.InputError, match="DE 2: expected one {}"):
        labels.read_babel_prompts(path)


@pytest.fixture
def names_folder(tmp_path):
    folder = tmp_path / "imagenet_names"
    folder.mkdir()
    write(folder / "jp_classnames.json", {"imagenet1k": ["テンチ", "金魚"]})
    write(folder / "en_classnames.json", {"imagenet1k": ["tench", "goldfish"], "pets": ["pug"]})
    templates = {"imagenet1k": ["a {c}."], "cifar10": ["a blurry {c}."]}
    write(folder / "en_zeroshot_classification_templates.json", templates)
    return folder


def test_human_names_are_found_beside_another_data_set(names_folder, tmp_path):
    other = tmp_path / "babel_imagenet"
    other.mkdir()
    for folder in (names_folder, other):
        found = labels.read_names(folder, "jpn_Jpan", dataset="imagenet1k")
        assert found == LabelSet("jpn_Jpan", (0, 1), ("テンチ", "金魚"))
        assert labels.languages_with_names(folder) == ["eng_Latn", "jpn_Jpan"]
        template = labels.read_templates(folder, "eng_Latn", dataset="cifar10")
        assert template == PromptSet("eng_Latn", ("a blurry {}.",))


def test_human_names_that_are_not_there(names_folder):
    with pytest.raises(errors.UnavailableError, match="ita_Latn"):
        labels.read_names(names_folder, "ita_Latn", dataset="imagenet1k")
    with pytest.raises(errors.InputError, match="food101"):
        labels.read_templates(names_folder, "eng_Latn", dataset="food101")


def test_whole_prompts_by_the_name_of_the_language(tmp_path):
    path = write(tmp_path / "t.json", {"czech": ["Fotka letadla", "Fotka auta"]})
    assert labels.read_class_prompts(path)["ces_Latn"].labels == ("Fotka letadla", "Fotka auta")


def test_a_form_of_ones_own(tmp_path):
    (tmp_path / "labels.de.txt").write_text("Hund\nKatze\n")
    (tmp_path / "templates.de.txt").write_text("ein {}\n")
    assert labels.read_label_lines(tmp_path)["deu_Latn"].labels == ("Hund", "Katze")
    assert labels.read_template_lines(tmp_path)["deu_Latn"].templates == ("ein {}",)
    (tmp_path / "labels.fr.txt").write_text("chien\n\n")
    with pytest.raises(errors.InputError, match="line 2"):
        labels.read_label_lines(tmp_path)


def test_the_publishers_own_lists(tmp_path):
    assert labels.read_class_list(tmp_path, dataset="food101") is None
    (tmp_path / "ClassName.txt").write_text("/a/abbey\n/b/balcony/exterior\n")
    found = labels.read_class_list(tmp_path, dataset="sun397")
    assert found == LabelSet("eng_Latn", (0, 1), ("abbey", "balcony exterior"))
