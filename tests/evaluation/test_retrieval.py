"""What a retrieval result carries: reciprocal ranks, average recall, repeated captions."""

from dataclasses import replace

import numpy as np
import pytest

from polyglance import evaluation
from polyglance.evaluation import retrieval
from polyglance.metrics import bootstrap
from polyglance.metrics import retrieval as metrics
from polyglance.records import Caption
from polyglance.tasks.retrieval import RetrievalData

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
NUM_CONTENTS, WIDTH = 40, 8


class GivenTexts:
    """Vectors by text, counted as they are asked for."""

    def __init__(self, seed=0, *, noise=0.8):
        random = np.random.default_rng(seed)
        self.contents = unit(random.standard_normal((NUM_CONTENTS, WIDTH)))
        self.noise = noise
        self.num_encoded = 0

    def encode_texts(self, texts, *, languages, cache=None):
        self.num_encoded += len(texts)
        return unit(np.stack([self._vector(text) for text in texts]))

    def _vector(self, text):
        number = int(text.split()[-1])
        random = np.random.default_rng([number, len(text)])
        return self.contents[number % NUM_CONTENTS] + self.noise * random.standard_normal(WIDTH)


def unit(rows):
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def task(*, says=None, policy="all", **changes):
    """Two captions a content item; `says` replaces what some of them say."""
    ids = tuple(f"{number}.jpg" for number in range(NUM_CONTENTS))
    captions = {}
    for language in LANGUAGES:
        rows = [
            Caption(ids[number % NUM_CONTENTS], f"{language} {number}", language)
            for number in range(2 * NUM_CONTENTS)
        ]
        for row, text in (says or {}).items():
            rows[row] = replace(rows[row], text=text)
        captions[language] = rows
    data = RetrievalData(
        task="given",
        item_ids=ids,
        captions=captions,
        policy=policy,
        splits={"test": np.ones(len(ids), bool)},
    )
    return replace(data, **changes)


def measure(data, encoder, **options):
    contents = encoder.contents[[int(i.split(".")[0]) for i in data.item_ids]]
    return evaluation.evaluate(encoder, data, contents=contents, name="m", model_id="m", **options)


def ranks_of(scores, positive):
    """Rank of the best positive of each row, from 1, where nothing is level."""
    best = np.where(positive, scores, -np.inf).max(axis=1)
    return (scores > best[:, None]).sum(axis=1) + 1


@pytest.fixture
def by_hand():
    """Scores (80, 40), and which content is right, of the English captions."""
    encoder = GivenTexts()
    texts = encoder.encode_texts([f"eng_Latn {n}" for n in range(80)], languages=None)
    right = np.arange(80)[:, None] % NUM_CONTENTS == np.arange(NUM_CONTENTS)
    return texts.astype(float) @ encoder.contents.T.astype(float), right


def test_values_of_both_directions_against_a_count_by_hand(by_hand):
    scores, right = by_hand
    rows = measure(task(), GivenTexts(), languages=["eng_Latn"])
    asked = {
        "text_to_content": ranks_of(scores, right),
        "content_to_text": ranks_of(scores.T, right.T),
    }
    rates = []
    for row in rows:
        ranks = asked[row.direction]
        for k in (1, 5, 10):
            rates.append((ranks <= k).mean())
            assert row.values[f"hit_rate_at_{k}"] == pytest.approx(rates[-1])
        assert row.values["mean_reciprocal_rank"] == pytest.approx((1 / ranks).mean())
        low, high = row.intervals["mean_reciprocal_rank"]
        assert low < row.values["mean_reciprocal_rank"] < high
        assert "mean_reciprocal_rank_at_5" not in row.values
    for row in rows:
        assert row.values["average_recall"] == pytest.approx(np.mean(rates))


def test_average_recall_has_the_interval_of_what_each_picture_gives_to_both_directions(by_hand):
    scores, right = by_hand
    rows = measure(task(), GivenTexts(), languages=["eng_Latn"])
    # Naive: the six rates of each picture's own queries, averaged.
    recall = np.zeros(NUM_CONTENTS)
    for ranks in (ranks_of(scores, right), ranks_of(scores.T, right.T)):
        owner = np.arange(len(ranks)) % NUM_CONTENTS
        for k in (1, 5, 10):
            for picture in range(NUM_CONTENTS):
                recall[picture] += np.mean(ranks[owner == picture] <= k) / 6
    found = bootstrap.clustered_bootstrap(recall, range(NUM_CONTENTS), seed=0)
    assert rows[0].values["average_recall"] == pytest.approx(recall.mean())
    assert rows[0].intervals["average_recall"] == pytest.approx((found.low, found.high))
    assert rows[1].intervals["average_recall"] == rows[0].intervals["average_recall"]


def test_one_picture_has_values_and_no_intervals(by_hand):
    data = task().only([task().item_ids[0]], reason="items_missing")
    rows = measure(data, GivenTexts(), languages=["eng_Latn"])
    for row in rows:
        assert row.values["hit_rate_at_1"] == row.values["average_recall"] == 1.0
        assert row.intervals == {}


def test_reciprocal_ranks_with_cut_offs_where_the_papers_have_them(by_hand):
    ranks = ranks_of(*by_hand)
    row = measure(task(metric="mean_reciprocal_rank"), GivenTexts(), languages=["eng_Latn"])[0]
    assert row.metric == "mean_reciprocal_rank"
    for k in (1, 5, 10):
        expected = np.where(ranks <= k, 1 / ranks, 0).mean()
        assert row.values[f"mean_reciprocal_rank_at_{k}"] == pytest.approx(expected)


def test_repeated_captions_are_told_and_stay():
    data = task(says={3: "x 0", 5: "x 0", 7: "x 0", 50: "y 1"})
    row = measure(data, GivenTexts(), languages=["eng_Latn"])[0]
    assert (row.captions_duplicated, row.most_repeated_caption, row.most_repeated_times) == (
        2,
        "x 0",
        3,
    )
    assert row.num_queries == 80
    assert row.num_dropped["captions_repeated"] == 0


def test_repeated_captions_of_those_that_policy_first_takes():
    data = task(says={3: "x 0", 5: "x 0", 47: "x 0"}, policy="first")
    row = measure(data, GivenTexts(), languages=["eng_Latn"])[0]
    assert (row.captions_duplicated, row.most_repeated_times) == (1, 2)
    assert (row.num_queries, row.num_dropped["captions_beyond_first"]) == (40, 40)


def test_policy_unique_merges_them_and_says_how_many():
    data = task(says={3: "x 0", 5: "x 0", 7: "x 0"}, policy="unique")
    row = measure(data, GivenTexts(), languages=["eng_Latn"])[0]
    assert (row.captions_duplicated, row.num_dropped["captions_repeated"]) == (2, 2)
    assert row.num_queries == 78


@pytest.mark.parametrize("missing", [[0], [7, 8, 39]])
def test_missing_images_never_shift_captions(missing):
    """As in COCO-CN: some images have two sentences, some one."""
    one_each = {language: rows[:55] for language, rows in task().captions.items()}
    data = task(captions=one_each)
    exact = GivenTexts(noise=0.0)
    there = [name for name in data.item_ids if int(name.split(".")[0]) not in missing]
    fewer = data.only(there, reason="items_missing")
    for row in measure(fewer, exact, languages=["deu_Latn"]):
        # Without noise every caption finds its own picture; shifted, hardly any would.
        assert row.values["hit_rate_at_1"] == 1.0
        assert row.num_dropped["items_missing"] == len(missing)
        lost = sum(1 + (number < 15) for number in missing)
        assert row.num_dropped["captions_without_content"] == lost
        assert row.num_candidates == (
            40 - len(missing) if "text_to" in row.direction else 55 - lost
        )


def test_one_more_language_costs_one_language(tmp_path):
    encoder, out = GivenTexts(), tmp_path / "r.jsonl"
    first = measure(task(), encoder, languages=LANGUAGES[:2], out=out)
    assert encoder.num_encoded == 2 * 80
    both = measure(task(), encoder, languages=LANGUAGES, out=out)
    assert encoder.num_encoded == 3 * 80
    assert both[: len(first)] == first


def test_in_a_task_of_own_pictures_each_language_searches_its_own():
    captions = {
        "eng_Latn": task().captions["eng_Latn"][:20],
        "deu_Latn": task().captions["deu_Latn"][10:40],
    }
    data = task(captions=captions, candidates="captioned")
    encoder = GivenTexts()
    rows = {(r.language, r.direction): r for r in measure(data, encoder)}
    assert rows["eng_Latn", "text_to_content"].num_candidates == 20
    german = rows["deu_Latn", "text_to_content"]
    assert german.num_candidates == 30
    texts = encoder.encode_texts([c.text for c in captions["deu_Latn"]], languages=None)
    found = metrics.retrieval_both_ways(
        texts, encoder.contents[10:40], relevance=np.arange(30), ks=retrieval.KS
    )
    assert german.values["hit_rate_at_5"] == found.text_to_content.hit_rates[5]
    assert german.num_queries == 30


def test_a_constant_model_is_at_chance_in_every_value():
    class Constant(GivenTexts):
        def __init__(self):
            super().__init__()
            self.contents[:] = self.contents[0]

        def _vector(self, text):
            return self.contents[0]

    row = measure(task(metric="mean_reciprocal_rank"), Constant(), languages=["eng_Latn"])[0]
    harmonic = np.cumsum(1 / np.arange(1, 41)) / 40
    assert row.values["hit_rate_at_5"] == pytest.approx(5 / 40)
    assert row.values["mean_reciprocal_rank"] == pytest.approx(harmonic[-1])
    assert row.values["mean_reciprocal_rank_at_5"] == pytest.approx(harmonic[4])
