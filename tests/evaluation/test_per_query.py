"""What is paired, query by query, where a task is no retrieval: against plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.evaluation import paired_test, per_query
from polyglance.evaluation.paired_test import Contestant
from polyglance.metrics import bootstrap
from polyglance.records import LabelSet, Pair, ScoredPair
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.vectors import unit

NUM = 12
LANGUAGES = ("deu_Latn", "hin_Deva")


class Noisy:
    """Knows the number that a text ends in, with noise of its own for each text."""

    def __init__(self, noise, seed=0):
        self.noise, self.seed = noise, seed

    def encode_texts(self, texts, *, languages, cache=None):
        rows = []
        for text in texts:
            rng = np.random.default_rng([self.seed, small_world.digest(text)])
            vector = np.eye(NUM)[int(text.split()[-1])]
            rows.append(vector + self.noise * rng.standard_normal(NUM))
        return unit(np.array(rows, np.float32))


def bitext():
    """German has every number, Hindi the first nine; English is the same for both."""
    return BitextData(
        task="pairs",
        pairs={
            language: [Pair(f"{language} {i}", language, f"e {i}", "eng_Latn") for i in range(n)]
            for language, n in zip(LANGUAGES, (NUM, 9), strict=True)
        },
        num_empty=dict.fromkeys(LANGUAGES, 0),
    )


def classes():
    """Two pictures a class; Hindi lacks the names of the last three classes."""
    return ClassificationData(
        task="classes",
        names=tuple(f"c {i}" for i in range(NUM)),
        labels={
            language: LabelSet(
                language, tuple(range(n)), tuple(f"{language} {i}" for i in range(n))
            )
            for language, n in zip(LANGUAGES, (NUM, 9), strict=True)
        },
        prompts={},
        english=None,
        variant="labels",
        item_ids=tuple(f"{i}-{j}" for i in range(NUM) for j in "ab"),
        classes=np.repeat(np.arange(NUM), 2),
    )


def pictures():
    rng = np.random.default_rng(3)
    exact = np.repeat(np.eye(NUM), 2, axis=0)
    return unit((exact + 0.3 * rng.standard_normal(exact.shape)).astype(np.float32))


def test_right_translations_are_those_of_a_plain_loop():
    model = Noisy(0.5)
    asked = per_query.ask(model, bitext(), language="hin_Deva", contents=None, cache=None, k=10)
    texts = [pair.text_a for pair in bitext().pairs["hin_Deva"]]
    others = [pair.text_b for pair in bitext().pairs["hin_Deva"]]
    a, b = (model.encode_texts(side, languages=None) for side in (texts, others))
    there = [float(np.argmax(a[i] @ b.T) == i) for i in range(9)]
    back = [float(np.argmax(b[i] @ a.T) == i) for i in range(9)]
    assert 0 < sum(there) < 9  # else it would show nothing
    assert [part.direction for part in asked] == ["text_to_other", "other_to_text"]
    assert [part.values.tolist() for part in asked] == [there, back]
    assert [part.value for part in asked] == ["accuracy"] * 2


def test_right_classes_are_those_of_a_plain_loop():
    model, contents = Noisy(0.5), pictures()
    (part,) = per_query.ask(
        model, classes(), language="hin_Deva", contents=contents, cache=None, k=1
    )
    names = model.encode_texts([f"hin_Deva {i}" for i in range(9)], languages=None)
    expected = [float(np.argmax(contents[row] @ names.T) == row // 2) for row in range(18)]
    assert 0 < sum(expected) < 18
    assert part.values.tolist() == expected
    assert part.clusters.tolist() == list(range(18))
    assert part.members.tolist() == list(range(2 * NUM))


@pytest.mark.parametrize("data", [bitext(), classes()], ids=["bitext", "classification"])
def test_differences_are_those_of_clusters(data):
    contents = pictures() if isinstance(data, ClassificationData) else None
    given = None if contents is None else lambda language: contents
    models = [Contestant(encoder=Noisy(noise), contents=given) for noise in (0.4, 0.8)]
    found = paired_test.compare_models(
        *models, data=data, languages=LANGUAGES, num_draws=50, seed=5
    )[0]
    for language, row in found.languages.items():
        first, second = (
            per_query.ask(
                model.encoder, data, language=language, contents=contents, cache=None, k=1
            )[0]
            for model in models
        )
        assert (row.first, row.second) == (first.values.mean(), second.values.mean())
        alone = bootstrap.paired_difference(
            first.values, second.values, clusters=first.clusters, seed=5, num_draws=50
        )
        interval = row.difference.difference
        ends = (alone.difference.low, alone.difference.high)
        assert (interval.low, interval.high) == pytest.approx(ends)
        assert row.difference.p_value == pytest.approx(alone.p_value, abs=0.2)


def test_a_language_without_a_picture_of_its_classes_is_left_out():
    data = classes()
    few = data.only(["11-a", "11-b"], reason="items_missing")
    models = [
        Contestant(encoder=Noisy(noise), contents=lambda language: pictures()[-2:])
        for noise in (0.4, 0.8)
    ]
    (found,) = paired_test.compare_models(*models, data=few, languages=LANGUAGES, num_draws=9)
    assert list(found.languages) == ["deu_Latn"]
    with pytest.raises(errors.UnavailableError, match="asks nothing in hin_Deva"):
        paired_test.compare_models(*models, data=few, languages=["hin_Deva"])


def test_scores_of_pairs_are_neither_right_nor_wrong():
    pairs = [ScoredPair("a 1", "deu_Latn", "b 2", "deu_Latn", 3.0)] * 2
    data = SimilarityData(task="sts17", pairs={"deu_Latn": {"deu_Latn": pairs}}, num_unscored={})
    with pytest.raises(errors.ConfigError, match="sts17 is not answered right or wrong"):
        per_query.ask(Noisy(1), data, language="deu_Latn", contents=None, cache=None, k=1)


def test_the_command_on_translations(run, model_folder, pack_folder, tmp_path):
    """German of the small world against its English: the pack reads both, the teacher one."""
    for code, language in (("deu", "deu_Latn"), ("eng", "eng_Latn")):
        lines = [caption.text for caption in small_world.captions(language)]
        (tmp_path / f"tatoeba.deu-eng.{code}").write_text("\n".join(lines) + "\n")
    argv = ("difference", model_folder, "--pack", pack_folder, "--task", "tatoeba")
    code, out, err = run(*argv, "--data", tmp_path, "--json")
    assert (code, err) == (0, "")
    there, back = json.loads(out)
    assert (there["direction"], back["direction"]) == ("text_to_other", "other_to_text")
    assert there["languages"]["deu_Latn"]["difference"]["difference"]["low"] > 0.3
    code, out, _ = run(*argv, "--data", tmp_path)
    assert code == 0
    assert "tatoeba, test, text to its translation, accuracy" in out
    assert max(map(len, out.splitlines())) <= 80
