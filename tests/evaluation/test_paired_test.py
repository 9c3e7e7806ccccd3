"""Two models on the same queries: differences, intervals and corrections as counted by hand."""

import json

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.evaluation import paired_test, retrieval
from polyglance.evaluation.paired_test import Contestant
from polyglance.metrics import bootstrap
from polyglance.records import Caption
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import unit

NUM = 24
IDS = tuple(f"{i}.png" for i in range(NUM))
GOOD, WEAK = 0.3, 1.5


class Noisy:
    """Knows the picture behind a text, with noise; `c17 3` is caption 3 of picture 17."""

    def __init__(self, noise, seed):
        self.noise, self.seed = noise, seed

    def encode_texts(self, texts, *, languages, cache=None):
        rows = []
        for text, language in zip(texts, languages, strict=True):
            vector = np.eye(NUM)[int(text.split()[0][1:])]
            rng = np.random.default_rng([self.seed, small_world.digest(text + language)])
            rows.append(vector + self.noise * rng.standard_normal(NUM))
        return unit(np.array(rows, np.float32))


def contestant(noise, seed=0):
    return Contestant(
        encoder=Noisy(noise, seed), contents=lambda language: np.eye(NUM, dtype=np.float32)
    )


def task():
    """Three captions a picture in German, one in Hindi, and none for the last four there."""
    return RetrievalData(
        task="pairs",
        item_ids=IDS,
        captions={
            "deu_Latn": [
                Caption(name, f"c{i} {j}", "deu_Latn") for i, name in enumerate(IDS) for j in "abc"
            ],
            "hin_Deva": [Caption(name, f"c{i} a", "hin_Deva") for i, name in enumerate(IDS[:-4])],
        },
        policy="all",
        splits={"test": np.ones(NUM, bool)},
    )


def compare(first, second, **options):
    options = {"languages": ["deu_Latn", "hin_Deva"], "k": 1, **options}
    return paired_test.compare_models(first, second, data=task(), **options)


def hits(model, language):
    parts = retrieval.score_language(
        model.encoder, task(), language=language, contents=model.contents(language), cache=None
    )
    part = next(part for part in parts if part.direction == "text_to_content")
    return part.hits[:, 0], part.clusters


def test_differences_are_those_of_each_picture():
    first, second = contestant(GOOD), contestant(WEAK)
    found = compare(first, second, num_draws=60, seed=5)[0]
    assert (found.split, found.direction, found.value) == (
        "test",
        "text_to_content",
        "hit_rate_at_1",
    )
    by_picture = []
    for language, row in found.languages.items():
        (a, owners), (b, _) = hits(first, language), hits(second, language)
        assert (row.first, row.second) == pytest.approx((a.mean(), b.mean()))
        alone = bootstrap.paired_difference(a, b, clusters=owners, seed=5, num_draws=60)
        assert row.difference.difference.mean == pytest.approx(a.mean() - b.mean())
        assert row.difference.p_value == alone.p_value
        assert row.difference.difference.low == pytest.approx(alone.difference.low)
        assert row.difference.difference.high == pytest.approx(alone.difference.high)
        by_picture.append(np.bincount(owners, (a - b) / len(a), minlength=NUM))
    gain = np.mean(by_picture, axis=0)  # what each picture gives to the mean over languages
    macro = found.macro.difference
    assert macro.mean == pytest.approx(gain.sum())
    assert macro.low < gain.sum() < macro.high
    assert macro.num_clusters == NUM


def test_a_better_model_is_found_and_the_sign_is_first_less_second():
    better, worse = (
        compare(contestant(GOOD), contestant(WEAK)),
        compare(contestant(WEAK), contestant(GOOD)),
    )
    for there, back in zip(better, worse, strict=True):
        assert there.macro.difference.low > 0
        assert there.macro.p_value < 0.01
        assert back.macro.difference.mean == pytest.approx(-there.macro.difference.mean)
        assert all(row.corrected_p_value < 0.05 for row in there.languages.values())


def test_the_same_model_never_differs():
    for found in compare(contestant(WEAK), contestant(WEAK)):
        for row in found.languages.values():
            assert row.difference.difference.mean == 0
            assert row.corrected_p_value == 1
        assert found.macro.p_value == 1


def test_corrected_p_values_are_those_of_the_correction_named():
    models = contestant(1.0), contestant(1.1, seed=1)
    for name in paired_test.CORRECTIONS:
        for found in compare(*models, correction=name):
            raw = {key: row.difference.p_value for key, row in found.languages.items()}
            corrected = {key: row.corrected_p_value for key, row in found.languages.items()}
            assert corrected == paired_test.CORRECTIONS[name](raw)


def test_enough_draws_for_many_languages():
    languages = [f"l{i}" for i in range(60)]
    data = RetrievalData(
        task="many",
        item_ids=IDS,
        captions={
            language: [Caption(name, f"c{i}", language) for i, name in enumerate(IDS)]
            for language in languages
        },
        policy="first",
        splits={"test": np.ones(NUM, bool)},
    )
    found = paired_test.compare_models(
        contestant(GOOD), contestant(5.0), data=data, languages=languages, k=1
    )[0]
    assert max(row.corrected_p_value for row in found.languages.values()) < 0.05


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"k": 3}, errors.ConfigError, "k is 3"),
        ({"correction": "bonferoni"}, errors.UnknownNameError, "benjamini-hochberg, holm"),
        ({"languages": []}, errors.ConfigError, "no language"),
    ],
)
def test_bad_input(options, error, said):
    with pytest.raises(error, match=said):
        compare(contestant(GOOD), contestant(WEAK), **options)


def test_models_of_different_widths():
    narrow = Contestant(
        encoder=Noisy(GOOD, 0), contents=lambda language: np.ones((NUM, NUM - 1), np.float32)
    )
    with pytest.raises(errors.VectorError, match="share a space"):
        compare(contestant(GOOD), narrow)


@pytest.fixture
def flickr8k(tmp_path, picture_folder):
    """The small world's pictures in the form of Flickr8k."""
    folder = tmp_path / "flickr8k"
    folder.mkdir()
    rows = small_world.captions("deu_Latn")
    (folder / "images.tsv").write_text(
        "image\tsplit\n" + "".join(f"{row.item_id}\ttest\n" for row in rows)
    )
    (folder / "captions.de.tsv").write_text(
        "image\tcaption\n" + "".join(f"{row.item_id}\t{row.text}\n" for row in rows)
    )
    return folder


def test_the_command_holds_a_pack_against_its_teacher(
    run, model_folder, pack_folder, flickr8k, picture_folder
):
    argv = ("difference", model_folder, "--pack", pack_folder, "--task", "flickr8k")
    argv += ("--data", flickr8k, "--images", picture_folder)
    code, out, err = run(*argv, "--json")
    assert (code, err) == (0, "")
    row = json.loads(out)[0]
    assert row["languages"]["deu_Latn"]["difference"]["difference"]["low"] > 0.3
    code, out, _ = run(*argv, "--k", 5)
    assert code == 0
    assert "R@5" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_command_refuses_a_model_against_itself(run, model_folder):
    code, _, err = run("difference", model_folder, "--task", "flickr8k")
    assert code == 2
    assert "--pack" in err
