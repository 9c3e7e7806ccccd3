"""A model is analysed on classes: maps raw and projected, curves with a pack and without."""

import json
import re

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.analysis import class_analysis
from polyglance.evaluation import classification, run
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import uclip
from polyglance.recipes.data import pseudo_pairs
from polyglance.records import LabelSet, PromptSet
from polyglance.report import class_page
from polyglance.tasks.classification import ClassificationData

pytest.importorskip("sklearn")

PHRASES = small_world.PHRASES[:24]
SEEDS = (96, 97, 98, 99)
LANGUAGES = ("eng_Latn", "deu_Latn")


def task(**changes):
    """Two dozen phrases as classes, four pictures each; German names all but four."""
    named = {
        who: LabelSet(
            who,
            tuple(range(num)),
            tuple(small_world.translate(phrase, who) for phrase in PHRASES[:num]),
        )
        for who, num in zip(LANGUAGES, (24, 20), strict=True)
    }
    given = {
        "task": "shapes",
        "names": PHRASES,
        "labels": named,
        "prompts": {},
        "english": PromptSet("eng_Latn", ("{}",)),
        "item_ids": tuple(f"{i}-{s}" for i in range(len(PHRASES)) for s in SEEDS),
        "classes": np.repeat(np.arange(len(PHRASES)), len(SEEDS)),
        "variant": "labels",
    }
    return ClassificationData(**(given | changes))


@pytest.fixture
def contents(teacher):
    return teacher.encode_items([small_world.draw(p, seed=s) for p in PHRASES for s in SEEDS])


def analysed(encoder, contents, data=None, **options):
    data = data or task()
    return class_analysis.analyse(
        encoder,
        data,
        contents=contents,
        contents_of=run.contents_by_language(encoder, data, contents, images=None),
        languages=LANGUAGES,
        method="tsne",
        **options,
    )


def test_a_pack_lifts_the_curve_of_its_language(teacher, pack_folder, contents):
    found = analysed(teacher.with_pack(LanguagePack.load(pack_folder)), contents)
    before, after = found.curves["deu_Latn"]
    assert after.accuracies[-1] > before.accuracies[-1] + 0.3
    assert before.num_classes[-1] == after.num_classes[-1] == 20
    # English is the teacher's, with a pack and without.
    assert found.curves["eng_Latn"][0] == found.curves["eng_Latn"][1]
    # More classes are never easier on the whole.
    assert after.line.slope.mean < 0
    assert found.projected is None
    assert len(found.classes) == 10
    assert len(found.item_ids) == 10 * len(SEEDS) == len(found.raw.x)
    json.dumps(found.as_json(), allow_nan=False)


def test_the_end_of_a_curve_is_the_accuracy_of_the_task(teacher, contents):
    data = task()
    found = analysed(teacher, contents)
    (row, *_) = classification.score(
        teacher,
        data,
        language="eng_Latn",
        contents=contents,
        cache=None,
        name="m",
        model_id="m",
    )
    curve, none = found.curves["eng_Latn"]
    assert none is None
    assert curve.accuracies[-1] == pytest.approx(row.values["accuracy"])


def test_what_a_content_head_makes_of_images_is_mapped_too(teacher, contents):
    others = [c for name in small_world.LANGUAGES for c in small_world.captions(name)]
    drawn = teacher.encode_items([small_world.draw(p, seed=1) for p in small_world.PHRASES])
    banks = pseudo_pairs.Banks(drawn, [c.text for c in others], [c.language for c in others])
    pack = uclip.train(
        list(small_world.PHRASES),
        banks,
        teacher=teacher,
        tower=Side(small_world.load_reference("fake:multilingual"), "fake:multilingual"),
        config=uclip.UclipConfig(dim=32, least_steps=40, batch_size=32, noise=0.03),
    )
    found = analysed(teacher.with_pack(pack), contents)
    assert found.projected is not None
    assert found.projected.x != found.raw.x
    assert found.projected.same_class_by_chance == found.raw.same_class_by_chance


def test_too_few_classes_for_a_curve_are_told(teacher, contents, tmp_path):
    few = task(labels={who: LabelSet(who, (0, 1, 2), PHRASES[:3]) for who in LANGUAGES})
    found = analysed(teacher, contents, data=few)
    assert found.curves == {}
    page = class_page.write_class_analysis(tmp_path / "p.html", found, title="t", facts={})
    text = page.read_text("utf-8")
    assert "0 languages" not in text
    assert "There is no accuracy against the number of classes: they are too few" in text


def test_what_cannot_be_analysed(teacher, contents):
    with pytest.raises(errors.LanguageError, match="fra_Latn"):
        class_analysis.analyse(
            teacher,
            task(),
            contents=contents,
            contents_of=lambda _: contents,
            languages=["fra_Latn"],
        )


@pytest.fixture
def shapes(tmp_path):
    """The data set food101 of shapes: names in two languages, a folder of pictures a class."""
    data = tmp_path / "food101"
    (data / "meta").mkdir(parents=True)
    names = "\n".join(PHRASES)
    (data / "meta" / "labels.txt").write_text(names, "utf-8")
    german = "\n".join(small_world.translate(phrase, "deu_Latn") for phrase in PHRASES)
    (data / "labels.de.txt").write_text(german, "utf-8")
    for code in ("en", "de"):
        (data / f"templates.{code}.txt").write_text("{}\n", "utf-8")
    for phrase in PHRASES:
        folder = tmp_path / "images" / phrase.replace(" ", "_")
        folder.mkdir(parents=True)
        for seed in SEEDS[:2]:
            small_world.draw(phrase, seed=seed).save(folder / f"{seed}.png")
    return data, tmp_path / "images"


def test_the_command_on_classes(run, model_folder, pack_folder, shapes, tmp_path):
    data, images = shapes
    argv = ("analyse", pack_folder, "--model", model_folder, "--task", "food101", "--data", data)
    argv += ("--images", images, "--prompts", "labels", "--out", tmp_path / "a")
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    assert "of the same class" in out
    assert "deu_Latn with the pack" in out
    page = (tmp_path / "a/analysis.html").read_text("utf-8")
    found = json.loads((tmp_path / "a/analysis.json").read_text("utf-8"))
    shown = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(shown["points"]) == len(found["item_ids"]) == 20
    assert {row["label"] for row in shown["curves"]} == {
        "English, by the model alone",
        "English, with the pack",
        "German, by the model alone",
        "German, with the pack",
    }
    assert "There is one map" in page
    # A model alone, without a pack.
    argv = ("analyse", "--model", model_folder, "--task", "food101", "--data", data)
    code, out, _ = run(*argv, "--images", images, "--out", tmp_path / "b", "--language", "en")
    assert code == 0
    assert "with the pack" not in out
    code, _, err = run(*argv, "--images", images, "--out", tmp_path / "c", "--beside", "x")
    assert code == 2
    assert "--beside" in err
