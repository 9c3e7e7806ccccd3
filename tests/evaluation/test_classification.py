"""Names find their pictures: right against a plain loop, every picture and prompt encoded once."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import small_world
from polyglance import errors, evaluation
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.classification import subset_hits
from polyglance.model.side import Side
from polyglance.records import LabelSet, PromptSet
from polyglance.results import schema
from polyglance.tasks.classification import ClassificationData
from polyglance.vectors import unit

SEEDS = (97, 98, 99)
ENGLISH = ("a {}", "the {}", "a {}")


def task(**changes):
    """The phrases as classes; German names two thirds of them, Hindi has no templates."""
    phrases = small_world.PHRASES
    some = tuple(index for index in range(len(phrases)) if index % 3)
    named = {
        "eng_Latn": LabelSet("eng_Latn", tuple(range(len(phrases))), phrases),
        **{
            who: LabelSet(
                who, some, tuple(small_world.translate(phrases[index], who) for index in some)
            )
            for who in ("deu_Latn", "hin_Deva")
        },
    }
    given = {
        "task": "shapes",
        "names": phrases,
        "labels": named,
        "prompts": {
            "eng_Latn": PromptSet("eng_Latn", ENGLISH),
            "deu_Latn": PromptSet("deu_Latn", ("{}", "ein {}", "ein {}")),
        },
        "english": PromptSet("eng_Latn", ENGLISH),
        "item_ids": tuple(f"{i}-{s}" for i in range(len(phrases)) for s in SEEDS),
        "classes": np.repeat(np.arange(len(phrases)), len(SEEDS)),
    }
    return ClassificationData(**(given | changes))


@pytest.fixture(scope="module")
def contents(teacher):
    drawn = [small_world.draw(p, seed=s) for p in small_world.PHRASES for s in SEEDS]
    return teacher.encode_items(drawn)


def measure(teacher, contents, data, **options):
    return evaluation.evaluate(
        teacher, data, contents=contents, name="teacher", model_id="t", **options
    )


def plain_accuracy(teacher, contents, data, language, templates):
    """Image by image, class by class."""
    named = data.labels[language]
    vectors = []
    for label in named.labels:
        prompts = [template.replace("{}", label) for template in templates]
        mean = teacher.encode_texts(prompts, languages=None).astype(float).mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    hits = []
    for content, truth in zip(contents, data.classes, strict=True):
        if truth in named.class_indices:
            scores = [content @ vector for vector in vectors]
            hits.append(named.class_indices[int(np.argmax(scores))] == truth)
    return np.mean(hits)


@pytest.mark.parametrize("variant", ["labels", "english", "translated"])
def test_accuracy_is_that_of_a_plain_loop(teacher, contents, variant):
    data = task().asked_as(variant)
    for row in measure(teacher, contents, data):
        templates = data.choices(row.language)[variant]
        expected = plain_accuracy(teacher, contents, data, row.language, templates)
        assert row.values["accuracy"] == pytest.approx(expected)
        low, high = row.intervals["accuracy"]
        assert low <= row.values["accuracy"] <= high
        assert (row.variant, row.prompts_taken) == (variant, variant)


def test_english_is_known_and_classes_without_a_name_drop_their_pictures(teacher, contents):
    english, german, _ = measure(teacher, contents, task().asked_as("labels"))
    assert english.values["accuracy"] > 10 / 72
    assert english.values["accuracy"] <= english.values["accuracy_at_5"]
    assert (german.num_queries, german.num_candidates) == (48 * 3, 48)
    assert german.num_dropped["images_of_unnamed_classes"] == 24 * 3
    assert english.num_dropped["images_of_unnamed_classes"] == 0


def test_best_is_translated_or_else_the_better_and_says_which(teacher, contents):
    by_variant = {
        variant: {row.language: row for row in measure(teacher, contents, task().asked_as(variant))}
        for variant in ("labels", "english", "translated", "best")
    }
    best = by_variant["best"]
    assert best["deu_Latn"].values == by_variant["translated"]["deu_Latn"].values
    assert best["deu_Latn"].prompts_taken == "translated"
    tried = {v: by_variant[v]["hin_Deva"].values["accuracy"] for v in ("labels", "english")}
    assert best["hin_Deva"].values["accuracy"] == max(tried.values())
    assert tried[best["hin_Deva"].prompts_taken] == max(tried.values())
    assert best["hin_Deva"].kind != by_variant["labels"]["hin_Deva"].kind


def test_labels_in_templates_that_people_wrote(teacher, contents):
    human = {"deu_Latn": PromptSet("deu_Latn", ("das {}", "{} ja"))}
    asked = task(human=human).asked_as("human")
    assert asked.languages == ("deu_Latn",)
    assert asked.choices("deu_Latn") == {"human": ("das {}", "{} ja")}
    (row,) = measure(teacher, contents, asked)
    assert (row.language, row.variant, row.prompts_taken) == ("deu_Latn", "human", "human")
    # The same as if those were the templates of the language.
    same = task(prompts=human).asked_as("translated")
    (other,) = measure(teacher, contents, same)
    assert row.values == other.values
    assert row.data_id != other.data_id
    with pytest.raises(errors.UnavailableError, match="kind 'human'"):
        task().asked_as("human")


def test_a_model_that_says_the_same_of_all_is_exactly_at_chance(contents):
    class Constant:
        def encode_texts(self, texts, *, languages, cache=None):
            return np.tile(contents[:1], (len(texts), 1))

    rows = measure(Constant(), contents, task(subset_sizes=(10,)))
    for row in rows:
        assert row.values["accuracy"] == pytest.approx(1 / row.num_candidates, abs=1e-12)
    assert {row.num_candidates for row in rows} == {72, 48, 10}


def test_repeated_labels_share_their_hits_and_are_counted(teacher, contents):
    phrases = small_world.PHRASES
    named = LabelSet("eng_Latn", (0, 1, 2), (phrases[0], phrases[0], phrases[2]))
    data = task(labels={"eng_Latn": named}).asked_as("labels")
    # Pictures of the first class are its own only half of the time: the second is called the same.
    (row,) = measure(teacher, contents, data.only([f"0-{s}" for s in SEEDS], reason="x"))
    assert row.values["accuracy"] == 0.5
    assert (row.captions_duplicated, row.most_repeated_times) == (1, 2)
    assert row.most_repeated_caption == phrases[0]


def test_every_prompt_is_encoded_once_over_languages_and_variants(teacher, contents, tmp_path):
    tower = CountingTower()
    model = replace_text(teacher, tower)
    cache = VectorCache(tmp_path / "texts")
    for variant in ("labels", "english", "translated", "best"):
        measure(model, contents, task().asked_as(variant), cache=cache)
    # Bare, `a {}` and `the {}` in all three; German `ein {}` too, whose `{}` is the bare label.
    assert len(tower.seen) == 72 * 3 + 48 * 4 + 48 * 3
    assert set(tower.seen.values()) == {1}


def test_resumes_by_language_and_way_of_asking(teacher, contents, tmp_path):
    out = tmp_path / "r.jsonl"
    tower = teacher.text.tower
    first = measure(teacher, contents, task().asked_as("labels"), out=out)
    before = tower.num_encoded
    assert measure(teacher, contents, task().asked_as("labels"), out=out) == first
    assert tower.num_encoded == before
    measure(teacher, contents, task().asked_as("english"), out=out)
    assert tower.num_encoded > before
    assert Counter(row.variant for row in schema.read_results(out)) == {"labels": 3, "english": 3}


def test_a_language_without_a_picture_has_no_result(teacher, contents):
    rows = measure(
        teacher, contents[:3], task().only([f"0-{s}" for s in SEEDS], reason="items_missing")
    )
    assert {row.language for row in rows} == {"eng_Latn"}
    assert rows[0].num_dropped["languages_without_images"] == 2
    assert rows[0].num_dropped["items_missing"] == 71 * 3


def test_a_tower_is_told_the_language_not_the_variety_of_a_data_set(teacher, contents):
    told = []

    class Listening:
        def encode_texts(self, texts, *, languages, cache=None):
            told.extend(languages)
            return teacher.encode_texts(texts, languages=languages)

    simple = {"eng_Latn_simple": LabelSet("eng_Latn_simple", (0, 1), small_world.PHRASES[:2])}
    (row,) = measure(Listening(), contents, task(labels=simple).asked_as("labels"))
    assert row.language == "eng_Latn_simple"
    assert set(told) == {"eng_Latn"}


def test_vectors_of_another_width(teacher):
    with pytest.raises(errors.VectorError, match="width 24.*width 3"):
        measure(teacher, np.ones((216, 3), np.float32), task())


class TestSubsets:
    def test_subsets_are_the_same_for_every_model_and_right(self, teacher, contents):
        weights = teacher.encode_texts(list(small_world.PHRASES), languages=None)
        rows, truth = np.arange(len(contents)), task().classes
        hits, items = subset_hits(contents, weights, rows=rows, truth=truth, size=10)
        assert len(hits) == 10 * 10 * len(SEEDS)
        first = items[: 10 * len(SEEDS)]
        chosen = np.unique(truth[first])
        assert len(chosen) == 10
        guessed = chosen[(contents[first] @ weights[chosen].T).argmax(axis=1)]
        np.testing.assert_array_equal(hits[: len(first)], guessed == truth[first])
        others = unit(np.random.default_rng(0).standard_normal(weights.shape))
        again = subset_hits(contents, others, rows=rows, truth=truth, size=10)
        np.testing.assert_array_equal(again[1], items)

    def test_a_language_with_fewer_classes_is_taken_whole(self, teacher, contents):
        data = task(subset_sizes=(50,)).asked_as("labels")
        rows = measure(teacher, contents, data, languages=["deu_Latn", "eng_Latn"])
        german, german_subset, english, english_subset = rows
        assert german_subset.values["accuracy"] == pytest.approx(german.values["accuracy"])
        assert (german_subset.split, german_subset.num_candidates) == ("subset-50", 48)
        assert english_subset.num_candidates == 50
        assert english_subset.values["accuracy"] > english.values["accuracy"]


class CountingTower(small_world.WordTower):
    """Counts how often it meets each text."""

    def __init__(self):
        super().__init__("teacher", 24, multilingual=False)
        self.seen = Counter()

    def encode(self, items, *, languages=None, output="embedding"):
        self.seen.update(items)
        return super().encode(items, languages=languages, output=output)


def replace_text(model, tower):
    return replace(model, text=Side(tower, "fake:teacher"))


class TestCommand:
    @pytest.fixture
    def world(self, tmp_path):
        """Babel-ImageNet's files about the phrases, and a folder of pictures for each."""
        data, names = tmp_path / "babel_imagenet", tmp_path / "imagenet_names"
        labels = {
            code: [
                list(row.class_indices),
                list(row.labels),
            ]
            for code, row in (
                ("DE", task().labels["deu_Latn"]),
                ("HI", task().labels["hin_Deva"]),
            )
        }
        for path, value in (
            (data / "babel_imagenet-298.json", labels),
            (data / "nllb_dist13b_prompts.json", {"DE": ["ein {}"]}),
            (names / "en_classnames.json", {"imagenet1k": small_world.PHRASES}),
            (names / "en_zeroshot_classification_templates.json", {"imagenet1k": ["a {c}."]}),
        ):
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        for phrase in small_world.PHRASES:
            folder = tmp_path / "pictures" / phrase.replace(" ", "_")
            folder.mkdir(parents=True)
            small_world.draw(phrase, seed=99).save(folder / "x.png")
        return tmp_path

    def test_pictures_are_encoded_once_over_languages_and_prompts(
        self, run, model_folder, world, monkeypatch
    ):
        encoded = []
        encode = small_world.PixelTower.encode

        def counted(self, items, **options):
            encoded.extend(items)
            return encode(self, items, **options)

        monkeypatch.setattr(small_world.PixelTower, "encode", counted)
        argv = ("eval", model_folder, "--task", "babel-imagenet", "--data", world, "--images")
        argv += (world / "pictures", "--prompts", "labels", "--prompts", "best")
        code, out, err = run(*argv, "--json")
        assert (code, err) == (0, "")
        rows = json.loads(out)
        seen = {(row["language"], row["variant"], row["split"]) for row in rows}
        languages = ("eng_Latn", "deu_Latn", "hin_Deva")
        assert seen >= {(who, v, "test") for who in languages for v in ("labels", "best")}
        assert len(encoded) == 72
        code, out, _ = run(*argv, "--language", "de")
        assert code == 0
        assert "accuracy" in out
        assert len(encoded) == 72
        # The model's own line is as long as its path.
        told = [line for line in out.splitlines() if not line.startswith("of ")]
        assert max(map(len, told)) <= 80

    def test_without_pictures(self, run, model_folder, world):
        argv = ("eval", model_folder, "--task", "babel-imagenet", "--data", world)
        code, _, err = run(*argv)
        assert code == 2
        assert "does not bring its images" in err
        assert "--images" in err

    @pytest.mark.parametrize("how", ["missing", "empty", "linked"])
    def test_a_class_without_a_picture_is_named(self, run, model_folder, pack_folder, world, how):
        pictures, name = world / "pictures", small_world.PHRASES[3]
        folder = pictures / name.replace(" ", "_")
        folder.rename(world / "away")
        if how == "empty":
            folder.mkdir()
        if how == "linked":
            folder.symlink_to(world / "away")
        argv = ("--task", "babel-imagenet", "--data", world, "--images", pictures, "-l", "en")
        code, out, err = run("eval", model_folder, *argv)
        assert (code, err) == (0, "")
        assert f"classes without images: 1\n  class {name}: no image" in out
        linked = f"{folder.name}: linked folder that was not entered"
        assert (linked in out) is (how == "linked")
        _, out, _ = run("eval", model_folder, *argv, "--json")
        for row in json.loads(out):
            assert row["num_dropped"]["classes_without_images"] == 1
            assert row["num_dropped"].get("links_not_followed", 0) == (how == "linked")
            names = row["dropped_names"]["classes_without_images"]
            assert names == [f"class {name}: no image"]
        where = ("--data", world / "babel_imagenet")  # the publisher's own folder
        code, _, err = run("difference", model_folder, "--against-pack", pack_folder, *argv, *where)
        assert code == 0
        assert f"class {name}: no image" in err
        assert (linked in err) is (how == "linked")

    def test_no_name_is_told_where_nothing_is_dropped(self, run, model_folder, world):
        argv = ("--task", "babel-imagenet", "--data", world, "--images", world / "pictures")
        code, out, _ = run("eval", model_folder, *argv, "-l", "en", "--json")
        assert code == 0
        assert all(row["dropped_names"] == {} for row in json.loads(out))

    def test_prompts_that_do_not_exist(self, run, model_folder, world):
        argv = ("eval", model_folder, "--task", "babel-imagenet", "--data", world, "--images")
        code, _, err = run(*argv, world / "pictures", "--prompts", "label")
        assert code == 2
        assert "unknown kind of prompts 'label'" in err
        code, _, err = run(*argv, world / "pictures", "--prompts", "translated", "-l", "hi")
        assert code == 2
        assert "nothing to measure in hin_Deva" in err

    def test_languages_without_templates_are_named(self, run, model_folder, world):
        argv = ("eval", model_folder, "--task", "babel-imagenet", "--data", world, "--images")
        code, out, err = run(*argv, world / "pictures", "--prompts", "translated")
        assert code == 0
        assert "deu_Latn" in out
        assert err == (
            "babel-imagenet: 1 of 3 languages set aside, they have no --prompts translated:\n"
            "  hin_Deva\n"
        )

    def test_a_language_that_the_model_cannot_read_is_named_and_asked_again(
        self, run, model_folder, world, tmp_path, monkeypatch
    ):
        def strict(self, items, *, languages=None, output="embedding"):
            if "hin_Deva" in languages:
                raise errors.TowerLacksLanguageError("no Hindi", hint="leave it out")
            return encode(self, items, languages=languages, output=output)

        encode = small_world.WordTower.encode
        out_file = tmp_path / "out.jsonl"
        argv = ("eval", model_folder, "--task", "babel-imagenet", "--data", world, "--images")
        argv += (world / "pictures", "--prompts", "labels", "--out", out_file)
        with monkeypatch.context() as patch:
            patch.setattr(small_world.WordTower, "encode", strict)
            code, _, err = run(*argv)
            assert code == 0
            assert err == (
                "babel-imagenet: 1 of 3 languages set aside, the model cannot read them: hin_Deva\n"
            )
            there = {row.language for row in schema.read_results(out_file)}
            assert there == {"deu_Latn", "eng_Latn"}
            # Where that is all that was asked for, nothing was measured.
            code, _, err = run(*argv, "--language", "hi")
            assert code == 2
            assert "the model cannot read them" in err
        before = out_file.read_text(encoding="utf-8")
        code, _, err = run(*argv)
        assert (code, err) == (0, "")
        added = out_file.read_text(encoding="utf-8").removeprefix(before)
        assert {json.loads(line)["language"] for line in added.splitlines()} == {"hin_Deva"}
