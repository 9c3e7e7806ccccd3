"""Packs of every recipe, fresh from the command line: languages, scores, a guessed query."""

import json
import pickle
from pathlib import Path

import pytest

import compare_world
import small_bert
import small_world
from polyglance.heads import closed_form
from polyglance.languages import detection
from polyglance.languages.registry import ENGLISH
from polyglance.vectors import unit

# What every model of this world finds in English.
PHRASES = ("big blue ring", "big yellow circle", "small green ring", "big green circle")
JOINT = {"num_buckets": "4000", "width": "32", "batch_size": "64"}
SETTINGS = {
    **compare_world.SETTINGS,
    "m2m": {"num_epochs": "2", "batch_size": "32"},
    "nllb-clip": {**JOINT, "num_steps": "60"},
    "etcl": {**JOINT, "num_mural_steps": "40", "num_etcl_steps": "40"},
    "babel-adapter": {
        "num_epochs": "80",
        "learning_rate": "2e-2",
        "reduction": "1",
        "batch_size": "60",
    },
}
# By recipe: what it learns from, and whether its languages are measured by that.
GIVEN = {
    "ridge": (("--text", "--tower", "--languages"), False),
    "m2m": (("--text", "--tower", "--dev-parallel"), True),
    "uclip": (("--text", "--tower", "--bank", "--images"), False),
    "distill": (("--parallel",), True),
    "babel-adapter": (("--parallel",), True),
    "nllb-clip": (("--captions", "--images"), True),
    "etcl": (("--captions", "--images", "--parallel"), True),
}


def table(path, header, rows):
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bert_teacher(tmp_path_factory):
    reference = small_bert.save(tmp_path_factory.mktemp("bert") / "tower", width=64, layers=1)
    return small_bert.teacher(reference)


@pytest.fixture
def options(tmp_path, english, picture_folder):
    languages = (ENGLISH, *small_world.LANGUAGES)
    others = [
        (phrase, language, small_world.translate(phrase, language))
        for phrase in small_world.PHRASES
        for language in small_world.LANGUAGES
    ]
    captions = [
        (f"{phrase.replace(' ', '-')}.png", language, small_world.translate(phrase, language))
        for phrase in small_world.PHRASES
        for language in languages
    ]
    header = ("english", "language", "text")
    return {
        "--text": english,
        "--tower": "fake:multilingual",
        "--languages": "de,hi,ar",
        "--dev-parallel": table(tmp_path / "dev.tsv", header, others[:60]),
        "dev of forty": table(tmp_path / "dev-40.tsv", header, others[:120]),
        "--parallel": table(tmp_path / "pairs.tsv", header, others),
        "--captions": table(tmp_path / "c.tsv", ("image", "language", "text"), captions),
        "--bank": table(tmp_path / "b.tsv", ("language", "text"), [row[1:] for row in others]),
        "--images": picture_folder,
    }


def clearest(language):
    """Of some phrases the one whose invented words look most like the language, as by chance."""

    def share(text):
        found = detection.guess(text, languages=(ENGLISH, *small_world.LANGUAGES))
        return next(one.share for one in found if one.language == language)

    texts = {phrase: small_world.translate(phrase, language) for phrase in PHRASES}
    return max(texts.items(), key=lambda pair: share(pair[1]))


@pytest.mark.parametrize("recipe", GIVEN)
def test_a_query_is_guessed_and_answered_by_a_pack_just_trained(
    run, options, teacher, bert_teacher, picture_folder, tmp_path, monkeypatch, recipe
):
    names, is_measured = GIVEN[recipe]
    monkeypatch.delenv("LC_ALL", raising=False)
    model, pack, index = (tmp_path / name for name in ("model", "pack", "index"))
    (bert_teacher if recipe == "babel-adapter" else teacher).save(model)
    settings = [f"--set={name}={value}" for name, value in SETTINGS.get(recipe, {}).items()]
    given = [part for name in names for part in (name, options[name])]
    code, out, err = run("train", recipe, "-m", model, *given, *settings, "--out", pack)
    assert (code, err) == (0, "")
    said = "German: R@10" if is_measured else "not measured: "
    assert said in out

    run("index", picture_folder, "--model", model, "--out", index)
    code, out, _ = run("languages", "--index", index, "--pack", pack, "--json")
    rows = {row["language"]: row for row in json.loads(out)}
    assert set(small_world.LANGUAGES) <= set(rows)
    assert rows[ENGLISH]["speaker"] == "teacher"
    for language in small_world.LANGUAGES:
        assert (rows[language]["dev_score"] is not None) == is_measured
        assert rows[language]["speaker"] == "pack"
        if is_measured:
            assert rows[language]["dev_score"] > rows[language]["teacher_score"]

    for language in small_world.LANGUAGES:
        phrase, query = clearest(language)
        # Invented words in Latin letters may be English as well: both readings are fused.
        monkeypatch.setenv("LANG", f"{language[:2]}.UTF-8")
        top = 30 if language == "deu_Latn" else 10
        code, out, _ = run("search", query, "-i", index, "-p", pack, "--json", "--top", top)
        answer = json.loads(out)
        assert code == 0
        assert language in [one["language"] for one in answer["assumed"]]
        assert "pack" in [one["speaker"] for one in answer["assumed"]]
        wanted = f"{phrase.replace(' ', '-')}.png"
        assert wanted in [hit["id"] for hit in answer["hits"]], language


def test_unpaired_texts_give_means_of_languages_and_no_images_are_needed(
    run, options, model_folder, tmp_path
):
    given = ("--text", options["--text"], "--tower", "fake:accented", "--bank", options["--bank"])
    argv = (
        "train",
        "ridge",
        "-m",
        model_folder,
        *given,
        "--dev-parallel",
        options["--dev-parallel"],
    )
    code, out, err = run(*argv, "--out", tmp_path / "pack")
    assert (code, err) == (0, "")
    assert "unpaired texts of languages: arb_Arab " in out
    assert "a language without texts: is moved by the mean of its script" in out
    manifest = json.loads((tmp_path / "pack" / "pack.json").read_text("utf-8"))
    assert manifest["language_means"] == sorted(small_world.LANGUAGES)
    # What measures the pack is not among what the means are of.
    assert manifest["data"]["held_out"]["num_texts_on_the_side_left_out_of_training"] > 0
    assert manifest["languages"]["hin_Deva"]["pack"] > 0.5


def test_uclip_still_wants_images_beside_its_bank(run, options, model_folder, tmp_path):
    given = [part for name in ("--text", "--tower", "--bank") for part in (name, options[name])]
    code, _, err = run("train", "uclip", "-m", model_folder, *given, "--out", tmp_path / "pack")
    assert code != 0
    assert "unpaired images and texts" in err
    assert "--images" in err


def test_a_published_head_is_measured_on_what_is_given(run, options, model_folder, tmp_path):
    import torch

    tower = small_world.load_reference("fake:multilingual")
    targets = small_world.load_reference("fake:teacher")
    fitted = closed_form.ridge(
        tower.encode(small_world.PHRASES),
        unit(targets.encode(small_world.PHRASES)),
        penalty=1e-3,
    )
    head = {"mlps.0.weight": fitted.weight, "mlps.0.bias": fitted.bias}
    checkpoint = tmp_path / "checkpoint.pth"
    torch.save({name: torch.from_numpy(value) for name, value in head.items()}, checkpoint)
    argv = ("import-m2m", checkpoint, "-m", model_folder, "-t", "fake:multilingual")
    argv += ("--dev-parallel", options["dev of forty"], "--languages", "fr")
    code, out, err = run(*argv, "--out", tmp_path / "pack")
    assert (code, err) == (0, "")
    assert "not measured: French" in out
    found = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert found["languages"]["deu_Latn"]["pack"] > found["languages"]["deu_Latn"]["teacher"]
    assert found["languages"]["deu_Latn"]["num_queries"] == 40
    assert found["languages"][ENGLISH]["speaks"] == "teacher"
    assert found["languages"]["fra_Latn"]["pack"] is None
    assert found["data"]["dev"]["texts"]["num_candidates"] == 40


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("english.txt", "is no file of tensors that can be read safely"),
        ("object.pth", "is no file of tensors that can be read safely"),
        ("photos", "is a folder; the file of a head is wanted"),
        ("nowhere.pth", "no file"),
    ],
)
def test_what_is_no_checkpoint(run, model_folder, tmp_path, name, said):
    (tmp_path / "photos").mkdir()
    (tmp_path / "english.txt").write_text("a red circle\na blue ring\n")
    (tmp_path / "object.pth").write_bytes(pickle.dumps({"weight": Path("x")}))
    argv = ("import-m2m", tmp_path / name, "-m", model_folder, "-t", "fake:multilingual")
    code, _, err = run(*argv, "--languages", "fr", "--out", tmp_path / "pack")
    assert code == 2
    assert said in err.splitlines()[0]
    assert len(err.splitlines()) == 2
    for advice in ("weights_only", "arbitrary", "torch.load", "trust"):
        assert advice not in err


def test_too_little_data_is_fitted_whole_and_said(run, model_folder, tmp_path):
    few = table(
        tmp_path / "few.tsv",
        ("english", "language", "text"),
        [(p, "de", small_world.translate(p, "deu_Latn")) for p in small_world.PHRASES[:30]],
    )
    settings = [f"--set={name}={value}" for name, value in SETTINGS["distill"].items()]
    argv = ("train", "distill", "-m", model_folder, "--parallel", few, *settings)
    code, out, err = run(*argv, "--out", tmp_path / "pack")
    assert (code, err) == (0, "")
    assert "too few different rows to hold some out and score: German 30" in out
    assert "not measured: German" in out
    found = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert found["data"]["num_english_texts"] == 30
    assert found["languages"]["deu_Latn"]["speaks"] == "pack"
    assert found["data"]["held_out"]["rows_of_languages_too_small_to_score"] == {"deu_Latn": 30}


def test_what_is_tested_is_not_learnt(run, options, model_folder, picture_folder, tmp_path):
    data = tmp_path / "xtd10"
    data.mkdir()
    tested = small_world.PHRASES[:20]
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in tested]
    (data / "test_image_names.txt").write_text("\n".join(names))
    for code, language in (("en", ENGLISH), ("de", "deu_Latn")):
        lines = [small_world.translate(phrase, language).upper() for phrase in tested[:5]]
        lines += [small_world.translate(phrase, language) for phrase in tested[5:]]
        (data / f"test_1kcaptions_{code}.txt").write_text("\n".join(lines), encoding="utf-8")
    argv = ("train", "nllb-clip", "-m", model_folder, "--captions", options["--captions"])
    argv += ("--images", picture_folder, "--task", "xtd10", "--data", data)
    argv += ("--task-images", picture_folder)
    argv += tuple(f"--set={name}={value}" for name, value in SETTINGS["nllb-clip"].items())
    code, _, err = run(*argv, "--out", tmp_path / "no")
    assert code == 2
    assert "xtd10: 30 texts as they stand, 10 in another spelling, 20 images" in err
    assert "--leakage leave-out" in err
    assert not (tmp_path / "no").exists()
    for policy, num_contents in (("leave-out", 52 - 10), ("allow", 72 - 10)):
        pack = tmp_path / policy
        code, out, err = run(*argv, "--leakage", policy, "--out", pack)
        assert (code, err) == (0, "")
        facts = json.loads((pack / "pack.json").read_text())["data"]
        assert facts["num_contents"] == num_contents
        assert facts["leakage"] == {
            "checked_against": {
                "xtd10": {"texts": 30, "texts_in_other_spelling": 10, "images": 20}
            },
            "policy": policy,
        }
        assert "also in xtd10: 30 texts" in out


def test_every_task_of_a_folder_is_looked_through(run, english, model_folder, tmp_path):
    data = tmp_path / "data"
    (data / "bitext").mkdir(parents=True)
    (data / "bitext" / "en.txt").write_text(f"{small_world.PHRASES[0]}\nanything\n")
    (data / "bitext" / "de.txt").write_text("x\ny\n")
    (data / "xtd10").mkdir()
    argv = ("train", "ridge", "-m", model_folder, "--tower", "fake:multilingual")
    argv += ("--text", english, "--task", "every", "--out", tmp_path / "pack")
    code, _, err = run(*argv, "--data", data)
    assert code == 2
    assert "bitext: 1 texts as they stand" in err
    assert "task xtd10: " in err
    code, _, err = run(*argv, "--data", tmp_path / "data" / "xtd10")
    assert code == 2
    assert "has no folder of a task" in err
