"""A pack of the small world is analysed: what it gains shows, and the page holds it."""

import builtins
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.analysis import pack as pack_analysis
from polyglance.analysis import text_map
from polyglance.model.pack import LanguagePack
from polyglance.records import Caption
from polyglance.tasks.retrieval import RetrievalData

pytest.importorskip("sklearn")

IDS = tuple(f"{p.replace(' ', '-')}.png" for p in small_world.PHRASES)


def task(languages):
    """The phrase, and the phrase without its size: two texts a picture."""
    captions = {
        language: [
            Caption(row.item_id, text, language)
            for row in small_world.captions(language)
            for text in (row.text, row.text.split(" ", 1)[1])
        ]
        for language in languages
    }
    return RetrievalData(
        task="shapes",
        item_ids=IDS,
        captions=captions,
        policy="all",
        splits={"test": np.ones(len(IDS), bool)},
    )


@pytest.fixture
def encoder(teacher, pack_folder):
    return teacher.with_pack(LanguagePack.load(pack_folder))


@pytest.fixture
def contents(teacher):
    return teacher.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])


def test_a_pack_brings_texts_to_their_images(encoder, contents):
    languages = ["eng_Latn", "deu_Latn", "hin_Deva"]
    found = pack_analysis.analyse(encoder, task(languages), contents=contents, languages=languages)
    assert found.before == "tower"
    assert {p.language for p in found.points} == {*languages, "teacher"}
    assert len(found.points) == len(found.map_before.x) == len(found.map_after.y)
    german = found.languages["deu_Latn"]
    before, after = german.with_images
    assert after.gap > before.gap + 0.3
    assert after.pairs_first > 0.5 > before.pairs_first
    # The tower has one vector for a meaning, so two languages fall together before and after.
    assert german.with_english[0].pair_mean == pytest.approx(1, abs=1e-3)
    assert german.with_english[1].pair_mean > 0.9
    assert len(german.texts) == len(german.english_texts) == 50
    assert found.languages["eng_Latn"].with_english is None
    assert german.spread[0].num_clusters == len(IDS)
    assert (found.head.dim_in, found.head.dim_out) == (40, 24)
    assert found.map_after.same_language <= found.map_before.same_language
    json.dumps(found.as_json(), allow_nan=False)


def test_other_models_stand_beside_on_the_same_pairs(teacher, encoder, contents):
    data = task(["eng_Latn", "deu_Latn"])
    others = [
        pack_analysis.OtherModel(name="alone", encoder=teacher, contents_of=lambda _: contents),
        pack_analysis.OtherModel(name="itself", encoder=encoder, contents_of=lambda _: contents),
    ]
    found = pack_analysis.analyse(
        encoder, data, contents=contents, languages=["deu_Latn"], beside=others
    ).languages["deu_Latn"]
    assert list(found.beside) == ["alone", "itself"]
    assert found.beside["alone"] == found.with_images[0]
    assert found.beside["itself"] == found.with_images[1]
    # By hand: the texts that are listed, with their images.
    rows = [IDS.index(name) for name in found.item_ids]
    spoken = ["deu_Latn"] * len(rows)
    vectors = encoder.encode_texts(found.texts, languages=spoken)
    assert np.allclose(found.beside["itself"].cosines, vectors @ contents[rows].T, atol=1e-3)


def test_what_cannot_be_analysed(teacher, encoder, contents):
    data = task(["eng_Latn"])
    with pytest.raises(errors.ConfigError, match="no pack"):
        pack_analysis.analyse(teacher, data, contents=contents, languages=["eng_Latn"])
    with pytest.raises(errors.LanguageError, match="arb_Arab"):
        pack_analysis.analyse(encoder, data, contents=contents, languages=["arb_Arab"])


def test_a_task_with_one_text_an_image_and_no_english(encoder, contents):
    data = replace(task(["deu_Latn"]), captions={"deu_Latn": small_world.captions("deu_Latn")})
    found = pack_analysis.analyse(encoder, data, contents=contents, languages=["deu_Latn"])
    assert {p.language for p in found.points} == {"deu_Latn"}
    assert found.languages["deu_Latn"].with_english is None
    assert found.languages["deu_Latn"].spread is None
    assert found.teacher_spread is None
    assert found.curve is None


def test_clusters_are_of_near_images_and_few_of_each():
    centres = 5 * np.eye(6, dtype=np.float32)
    rows = np.repeat(centres, 12, axis=0) + 0.1 * np.random.default_rng(0).standard_normal((72, 6))
    found = text_map.image_clusters(
        rows.astype(np.float32), num_clusters=6, num_shown=4, points_per_cluster=5
    )
    assert sorted(set(found.tolist())) == [-1, 0, 1, 2, 3]
    for cluster in range(4):
        members = np.flatnonzero(found == cluster)
        assert len(members) == 5
        assert len(set((members // 12).tolist())) == 1


def test_neighbours_are_counted_in_the_space_not_on_the_plane():
    # Two groups far apart, by cluster; languages alternate inside them.
    rng = np.random.default_rng(0)
    rows = np.zeros((40, 8), np.float32)
    rows[:20, 0] = rows[20:, 1] = 1
    rows += 0.01 * rng.standard_normal(rows.shape).astype(np.float32)
    found = text_map.text_map(rows, languages=["a", "b"] * 20, clusters=[0] * 20 + [1] * 20, seed=0)
    assert found.same_cluster == 1
    assert found.same_cluster_by_chance == pytest.approx(19 / 39)
    assert 0.3 < found.same_language < 0.7
    assert len(found.x) == 40


def test_maps_refuse(monkeypatch):
    rows = np.eye(12, dtype=np.float32)
    with pytest.raises(errors.UnknownNameError, match="tsne, umap"):
        text_map.text_map(rows, languages=["a"] * 12, clusters=[0] * 12, method="pca")
    with pytest.raises(errors.InputError, match="12 or more"):
        text_map.text_map(rows[:5], languages=["a"] * 5, clusters=[0] * 5)
    with pytest.raises(errors.InputError, match="too few for clusters"):
        text_map.image_clusters(rows[:5])
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "umap":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(errors.MissingExtraError) as caught:
        text_map.text_map(rows, languages=["a"] * 12, clusters=[0] * 12, method="umap")
    assert "polyglance[analysis]" in caught.value.hint


@pytest.mark.slow
def test_umap_lays_texts_out():
    pytest.importorskip("umap")
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    found = text_map.text_map(rows, languages=["a"] * 40, clusters=[0] * 40, method="umap")
    assert np.isfinite([*found.x, *found.y]).all()


@pytest.fixture
def flickr8k(tmp_path):
    folder = tmp_path / "flickr8k"
    folder.mkdir()
    (folder / "images.tsv").write_text("image\tsplit\n" + "".join(f"{i}\ttest\n" for i in IDS))
    for code, language in (("en", "eng_Latn"), ("de", "deu_Latn")):
        lines = "".join(f"{c.item_id}\t{c.text}\n" for c in small_world.captions(language))
        (folder / f"captions.{code}.tsv").write_text("image\tcaption\n" + lines)
    return folder


def test_the_command_leaves_numbers_and_a_page(
    run, model_folder, pack_folder, flickr8k, picture_folder, tmp_path
):
    argv = ("analyse", pack_folder, "--model", model_folder, "--task", "flickr8k")
    argv += ("--data", flickr8k, "--images", picture_folder, "--out", tmp_path / "a")
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines()[:-1])) <= 100
    found = json.loads((tmp_path / "a/analysis.json").read_text("utf-8"))
    assert set(found["languages"]) == {"eng_Latn", "deu_Latn"}
    page = (tmp_path / "a/analysis.html").read_text("utf-8")
    assert "default-src 'none'" in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["points"]) == len(data["maps"][0]["x"]) == len(found["points"])
    assert len(data["spectrum"]) == 24
    assert run(*argv, "--method", "pca")[0] == 2
    with_pack = f"{model_folder} + {pack_folder}"
    argv = (*argv[:-1], tmp_path / "b", "--beside", model_folder, "--beside", with_pack)
    code, out, err = run(*argv)
    assert (code, err) == (0, "")
    assert f"deu_Latn, {model_folder}: pairs less others" in out
    page = (tmp_path / "b/analysis.html").read_text("utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    german = data["cosines"]["deu_Latn"]
    assert [len(german[kind]["matrices"]) for kind in ("images", "english")] == [4, 2]
    assert german["images"]["matrices"][3] == german["images"]["matrices"][1]
    assert run("analyse", *argv[2:-4], "--out", tmp_path / "c")[0] == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--seed", "-1"), "--seed -1: a whole number from 0 to 4294967295 is allowed"),
        (("--seed", str(2**32)), "--seed 4294967296: a whole number"),
        (("--pairs", "0"), "--pairs 0: at least 2"),
        (("--pairs", "1"), "--pairs 1: at least 2"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(run, tmp_path, more, said):
    argv = ("analyse", "nowhere", "--model", "nothing", "--task", "flickr8k", "--out")
    code, _, err = run(*argv, tmp_path / "a", *more)
    assert code == 2
    assert said in err.splitlines()[0]


def test_too_few_captions_are_said_in_plain_words():
    whole = task(["eng_Latn", "deu_Latn"])
    german = replace(whole, captions={"deu_Latn": whole.captions["deu_Latn"][:20]})
    with pytest.raises(errors.InputError, match="10 captions are too few .*; 12 or more"):
        pack_analysis.require_enough(german, ["deu_Latn"])
    one = replace(whole, captions={**whole.captions, "deu_Latn": whole.captions["deu_Latn"][:2]})
    with pytest.raises(errors.InputError, match="captions of 1 images in deu_Latn; 2 or more"):
        pack_analysis.require_enough(one, ["deu_Latn"])
    pack_analysis.require_enough(whole, ["deu_Latn"])
