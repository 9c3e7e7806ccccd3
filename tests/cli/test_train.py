"""`train` and `compare` from the command line: tables in, packs and a comparison out."""

import json
import shutil

import pytest

import compare_world
import small_world
from polyglance import errors


def write_table(path, header, rows):
    path.write_text("\n".join("\t".join(row) for row in [header, *rows]), encoding="utf-8")
    return path


@pytest.fixture
def tables(tmp_path):
    pairs = [
        (phrase, language, small_world.translate(phrase, language))
        for phrase in small_world.PHRASES
        for language in small_world.LANGUAGES
    ]
    names = {phrase: f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES}
    return {
        "--parallel": write_table(tmp_path / "pairs.tsv", ("english", "language", "text"), pairs),
        "--captions": write_table(
            tmp_path / "captions.tsv",
            ("image", "language", "text"),
            [(names[phrase], language, text) for phrase, language, text in pairs],
        ),
        "--bank": write_table(
            tmp_path / "bank.tsv",
            ("language", "text"),
            [(language, text) for _, language, text in pairs],
        ),
    }


def settings_of(recipe):
    return [
        part
        for name, value in compare_world.SETTINGS[recipe].items()
        for part in ("--set", f"{name}={value}")
    ]


def test_uclip_searches_an_index_that_was_there_before(
    run, tables, english, model_folder, index_folder, tmp_path
):
    code, out, err = run(
        *("train", "uclip", "--model", model_folder, "--tower", "fake:multilingual"),
        *("--text", english, "--bank", tables["--bank"], "--images", index_folder),
        *("--out", tmp_path / "pack", *settings_of("uclip")),
    )
    assert (code, err) == (0, "")
    assert "num languages: 3" in out
    query = small_world.translate("big red ring", "hin_Deva")
    argv = ("search", query, "-i", index_folder, "-p", tmp_path / "pack", "-l", "hi", "--json")
    code, out, _ = run(*argv)
    assert code == 0
    assert "big-red-ring.png" in [hit["id"] for hit in json.loads(out)["hits"]]


def test_distill_from_a_table_stopped_and_resumed(run, tables, model_folder, tmp_path):
    argv = ("train", "distill", "--model", model_folder, "--parallel", tables["--parallel"])
    argv += (*settings_of("distill"), "--run", tmp_path / "run")
    for name in ("one", "two"):
        assert run(*argv, "--out", tmp_path / name)[0] == 0
    one, two = (json.loads((tmp_path / n / "pack.json").read_text()) for n in ("one", "two"))
    assert one["tower_fingerprint"] == two["tower_fingerprint"]
    code, _, err = run(*argv, "--set", "seed=9", "--out", tmp_path / "three")
    assert code == 2
    assert "seed" in err


def test_a_row_and_a_picture_that_cannot_be_used_are_told_and_the_others_learnt(
    run, tables, english, model_folder, picture_folder, tmp_path
):
    with tables["--bank"].open("a", encoding="utf-8") as file:
        file.write("\nklingon\tHab\nde\n")
    folder = shutil.copytree(picture_folder, tmp_path / "photos")
    (folder / "damaged.png").write_bytes(b"no picture")
    code, _, err = run(
        *("train", "uclip", "--model", model_folder, "--tower", "fake:multilingual"),
        *("--text", english, "--bank", tables["--bank"], "--images", folder),
        *("--out", tmp_path / "pack", *settings_of("uclip")),
    )
    assert code == 0, err
    assert "3 set aside" in err
    assert "damaged.png" in err
    assert "rows in 'klingon': 1" in err


@pytest.mark.parametrize(
    ("recipe", "said", "option"),
    [
        ("distill", "learns from parallel text", "--parallel"),
        ("uclip", "needs a multilingual text tower", "--tower"),
        ("nllb-clip", "learns from captioned images", "--captions"),
        ("etcl", "learns from captioned images", "--images"),
    ],
)
def test_what_is_missing_is_named_with_its_option(
    run, english, model_folder, tmp_path, recipe, said, option
):
    argv = ("train", recipe, "--model", model_folder, "--text", english, "--out", tmp_path / "p")
    code, _, err = run(*argv)
    assert code == 2
    assert said in err
    assert option in err


def test_captions_without_images(run, tables, model_folder, tmp_path):
    argv = ("train", "etcl", "--model", model_folder, "--captions", tables["--captions"])
    code, _, err = run(*argv, "--out", tmp_path / "p")
    assert code == 2
    assert "--images INDEX" in err


def test_compare_prints_the_comparison_and_what_to_take(
    run, tables, english, model_folder, picture_folder, tmp_path
):
    data = tmp_path / "xtd10"
    data.mkdir()
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
    (data / "test_image_names.txt").write_text("\n".join(names))
    for code, language in (("en", "eng_Latn"), ("de", "deu_Latn")):
        lines = [small_world.translate(phrase, language) for phrase in small_world.PHRASES]
        (data / f"test_1kcaptions_{code}.txt").write_text("\n".join(lines), encoding="utf-8")
    argv = ("compare", "--model", model_folder, "--tower", "fake:multilingual", "--text", english)
    argv += ("--task", "xtd10", "--data", data, "--task-images", picture_folder, "--seeds", 1)
    argv += ("--recipes", "ridge,distill", "--set", "ridge.head_input=unit")
    code, _, err = run(*argv, "--out", tmp_path / "what is best")
    assert code == 2
    assert "xtd10: 72 texts as they stand" in err
    argv += ("--leakage", "allow")
    code, out, err = run(*argv, "--out", tmp_path / "what is best")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines()[:8])) <= 80
    assert "left out: distill: distill learns from parallel text" in out
    assert "learnt from and in xtd10 as well: 72 texts (allow)" in out
    assert out.splitlines()[-1].startswith("Take ridge")
    written = json.loads((tmp_path / "what is best" / "compare.json").read_text())
    assert [entry["name"] for entry in written["entries"]] == ["teacher", "ridge"]
    page = (tmp_path / "what is best" / "report.html").read_text(encoding="utf-8")
    assert f"<code>polyglance compare --model {model_folder} --tower" in page
    assert f"--out &#39;{tmp_path / 'what is best'}&#39;</code>" in page
    code, _, err = run(*argv, "--out", tmp_path / "what is best", "--set", "seed=3")
    assert "the form is recipe.field=value" in err


def test_index_makes_and_drops_the_column_of_a_pack(
    run, pack_folder, index_folder, picture_folder, model_folder
):
    argv = ("index", picture_folder, "--model", model_folder, "--out", index_folder)
    code, out, _ = run(*argv, "--pack", pack_folder)
    assert code == 0
    assert "leaves the content side as it is" in out
    assert "had no column" in run(*argv, "--pack", pack_folder, "--drop")[1]


def test_settings_that_may_be_none():
    from polyglance.recipes import build_config, get_recipe

    row = get_recipe("nllb-clip")
    assert build_config(row, {"chunk_rows": "64"}).chunk_rows == 64
    assert build_config(row, {"chunk_rows": "none"}).chunk_rows is None
    with pytest.raises(errors.ConfigError, match="chunk_rows=x cannot be read as int"):
        build_config(row, {"chunk_rows": "x"})


def test_what_is_not_learnt_from_and_not_kept_is_told(
    run, tables, english, model_folder, picture_folder, tmp_path
):
    argv = ("train", "procrustes", "--model", model_folder, "--tower", "fake:multilingual")
    argv += ("--text", english)
    code, _, err = run(*argv, "--out", tmp_path / "one")
    assert (code, err) == (0, "")
    others = [part for option in ("--parallel", "--bank") for part in (option, tables[option])]
    others += ["--images", picture_folder, "--run", tmp_path / "run"]
    code, _, err = run(*argv, *others, "--out", tmp_path / "two")
    assert code == 0
    assert "procrustes does not learn from --parallel, --images\n" in err
    assert "what is held out of --parallel measures it" in err
    assert "procrustes is done in one step: --run keeps nothing of it\n" in err


@pytest.mark.parametrize("verb", ["train", "compare"])
def test_a_setting_that_is_there_twice_is_refused(run, verb, model_folder, tmp_path):
    name = "seed" if verb == "train" else "ridge.seed"
    argv = (verb, *(["ridge"] if verb == "train" else []), "--model", model_folder)
    code, _, err = run(*argv, "--set", f"{name}=1", "--set", f"{name}=2", "--out", tmp_path / "p")
    assert code == 2
    assert f"--set {name} is given twice, as 1 and as 2" in err


@pytest.mark.parametrize(
    ("name", "settings", "fields"),
    [
        ("babel-adapter", {}, {"parallel"}),
        ("babel-adapter", {"objective": "lit"}, {"image_text"}),
        ("nllb-clip", {}, {"image_text"}),
        ("nllb-clip", {"regime": "full"}, {"image_text", "files"}),
        ("distill", {}, {"parallel", "related"}),
        ("etcl", {"augmentation": "none"}, {"image_text", "parallel", "translations"}),
    ],
)
def test_what_a_recipe_learns_from_as_it_is_set(name, settings, fields):
    from polyglance.recipes import build_config, get_recipe

    row = get_recipe(name)
    assert row.learns_from(build_config(row, settings)) == fields
