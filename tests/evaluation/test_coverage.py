"""Which published numbers can be met: every task has a name here, every other number a reason."""

from collections import Counter

import numpy as np
import pytest

from polyglance import evaluation
from polyglance.evaluation import coverage
from polyglance.metrics.relevance import CAPTION_POLICIES
from polyglance.records import Caption, LabelSet, Pair, PromptSet, ScoredPair
from polyglance.results import published
from polyglance.results.published import reasons
from polyglance.tasks import TASKS
from polyglance.tasks.caption_text import CaptionTextData
from polyglance.tasks.classification import ClassificationData
from polyglance.tasks.neighbours import NeighbourData
from polyglance.tasks.retrieval import RetrievalData
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.vectors import unit


@pytest.fixture(scope="module")
def covered():
    return coverage.coverage()


def test_every_task_of_the_published_tables_is_a_task_here_or_has_a_reason():
    for number in published.published_numbers():
        if number.task not in TASKS:
            said = reasons.reason_of(number)
            assert said is not None, number
            assert said[0] in ("task absent", "not a score", "several tasks")
            assert said[1]


def test_every_number_is_comparable_or_says_why_not(covered):
    assert len(covered) == len(published.published_numbers()) == 6999
    counts = Counter(row.reason for row in covered)
    assert set(counts) <= {"", *reasons.REASONS}
    assert coverage.UNEXPLAINED not in counts
    assert counts[""] == 5996
    with_task = sum(row.reason not in ("task absent", "not a score") for row in covered)
    assert 100 * counts[""] / with_task > 91


def test_what_is_comparable_has_an_exact_protocol(covered):
    for row in covered:
        if row.comparable:
            number = row.number
            assert number.task in TASKS
            assert "unknown" not in (number.direction, number.caption_policy)
            assert number.fraction is not None


@pytest.mark.parametrize(
    ("asked", "policy"),
    [
        ({"table": "nllb-clip-table4", "model": "NLLB-CLIP"}, "first"),
        ({"table": "nllb-clip-table4", "model": "mSigLIP"}, "all"),
        ({"table": "babel-imagenet-table11"}, "all"),
        ({"table": "m2m-table7"}, "unique"),
        ({"paper": "uclip", "task": "xm3600-uclip"}, "first"),
        ({"paper": "etcl", "task": "multi30k-task2"}, "all"),
        ({"paper": "m2m", "task": "multi30k"}, "first"),
        ({"table": "nllb-clip-table1", "model": "NLLB-CLIP"}, "first"),
    ],
)
def test_each_paper_has_its_protocol(asked, policy):
    assert {n.caption_policy for n in published.published_numbers(**asked)} == {policy}


def encode(texts):
    drawn = [np.random.default_rng(list(text.encode())).normal(size=8) for text in texts]
    return np.stack(drawn).astype(np.float32)


def measured(data, contents=None):
    return evaluation.evaluate(
        evaluation.FunctionEncoder(encode, model_id="m"),
        data,
        contents=contents,
        name="m",
        model_id="m",
    )


def retrieval_data(metric):
    captions = {"deu_Latn": [Caption(f"{i}.jpg", f"text {i}", "deu_Latn") for i in range(20)]}
    return RetrievalData(
        task="t",
        item_ids=tuple(f"{i}.jpg" for i in range(20)),
        captions=captions,
        policy="all",
        splits={"test": np.ones(20, bool)},
        metric=metric,
    )


def contents(count):
    return unit(np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32))


def classes():
    names = tuple(f"class {i}" for i in range(10))
    return ClassificationData(
        task="t",
        names=names,
        labels={"deu_Latn": LabelSet("deu_Latn", tuple(range(10)), names)},
        prompts={"deu_Latn": PromptSet("deu_Latn", ("{}",))},
        english=None,
        item_ids=tuple(f"{i}.jpg" for i in range(20)),
        classes=np.arange(20) % 10,
    )


def neighbours():
    names = [f"{part}/{c}/{i}.jpg" for part in ("train", "val") for c in "ab" for i in range(5)]
    return NeighbourData(task="t", item_ids=tuple(names), classes=np.repeat([0, 1, 0, 1], 5))


def similarity():
    pairs = [ScoredPair(f"a{i}", "deu_Latn", f"b{i}", "eng_Latn", i / 2) for i in range(8)]
    return SimilarityData(
        task="t",
        pairs={"deu_Latn": {"eng_Latn": pairs}},
        num_unscored={("deu_Latn", "eng_Latn"): 0},
    )


def bitext():
    pairs = [Pair(f"a{i}", "deu_Latn", f"b{i}", "eng_Latn") for i in range(8)]
    return BitextData(task="t", pairs={"deu_Latn": pairs}, num_empty={"deu_Latn": 0})


def caption_texts():
    captions = {
        language: [Caption(f"i{n // 2}", f"{language} {n}", language) for n in range(8)]
        for language in ("deu_Latn", "eng_Latn")
    }
    return CaptionTextData(task="t", captions=captions, asked=("deu_Latn",))


MEASURED = {
    ("retrieval", "hit_rate"): lambda: measured(retrieval_data("hit_rate"), contents(20)),
    ("retrieval", "average_recall"): lambda: measured(
        retrieval_data("average_recall"), contents(20)
    ),
    ("retrieval", "mean_reciprocal_rank"): lambda: measured(
        retrieval_data("mean_reciprocal_rank"), contents(20)
    ),
    ("classification", "accuracy"): lambda: measured(classes(), contents(20)),
    ("classification", "macro_f1"): lambda: measured(classes(), contents(20)),
    ("classification", "knn_accuracy"): lambda: measured(neighbours(), contents(20)),
    ("text", "spearman"): lambda: measured(similarity()),
    ("text", "accuracy"): lambda: measured(bitext()),
    ("text", "hit_rate"): lambda: measured(caption_texts()),
}


@pytest.mark.parametrize("kind", list(coverage.FORMS), ids="-".join)
def test_what_a_form_says_real_results_hold(kind):
    form, rows = coverage.FORMS[kind], MEASURED[kind]()
    assert {row.direction for row in rows} == set(form.directions)
    for row in rows:
        assert set(form.values) <= set(row.values)
        assert row.caption_policy in form.policies
        assert row.variant in form.variants
    if kind[0] == "retrieval":
        assert form.policies == CAPTION_POLICIES
        data = retrieval_data("hit_rate")
        for policy in form.policies:
            asked = measured(data.asked_with(policy), contents(20))
            assert {row.caption_policy for row in asked} == {policy}


def test_every_task_has_a_form():
    for task in TASKS:
        assert coverage.form_of(task).values


def test_bitext_results_of_either_way_hold_the_mean_of_both():
    first, second = measured(bitext())
    mean = (first.values["accuracy"] + second.values["accuracy"]) / 2
    assert first.values["mean_accuracy"] == second.values["mean_accuracy"] == pytest.approx(mean)
