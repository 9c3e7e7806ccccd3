"""Sentences are scored as a count by hand scores them, once a text, and at chance where all tie."""

import shutil

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors, evaluation
from polyglance.encoding.texts import VectorCache
from polyglance.evaluation.text import bootstrap_spearman
from polyglance.metrics import bootstrap, draws, retrieval
from polyglance.model import dual_encoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.records import Pair, ScoredPair
from polyglance.results import schema
from polyglance.tasks.text import BitextData, SimilarityData
from polyglance.towers import Tower
from polyglance.vectors import unit

DIM = 6


class Lookup:
    """Vectors given for each text, counted; what a user's own model looks like."""

    def __init__(self, vectors):
        self.vectors = vectors
        self.asked = []

    def encode_texts(self, texts, *, languages, cache=None):
        self.asked += list(zip(texts, languages, strict=True))
        return np.array([self.vectors[text] for text in texts], np.float32)


def directions(*angles):
    """Unit vectors in a plane, by angle."""
    turned = np.deg2rad(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1)


def bitext(pairs, *, language="deu_Latn"):
    rows = [Pair(a, language, b, "eng_Latn") for a, b in pairs]
    return BitextData(task="pairs", pairs={language: rows}, num_empty={language: 2})


def similarity(rows, *, other="eng_Latn"):
    pairs = [ScoredPair(a, "deu_Latn", b, other, score) for a, b, score in rows]
    return SimilarityData(
        task="alike", pairs={"deu_Latn": {other: pairs}}, num_unscored={("deu_Latn", other): 0}
    )


def measure(encoder, data, **options):
    return evaluation.evaluate(encoder, data, name="m", model_id="m", **options)


class TestBitext:
    def test_nearest_neighbours_counted_by_hand(self):
        names = ["A", "B", "C", "a", "b", "c"]
        encoder = Lookup(dict(zip(names, directions(0, 40, 90, 10, 12, 80), strict=True)))
        rows = measure(encoder, bitext([("A", "a"), ("B", "b"), ("C", "c")]))
        # A (0) is nearest a (10), B (40) nearest b (12), C (90) nearest c (80);
        # a (10) and b (12) are both nearest A (0), c (80) nearest C.
        assert [(r.direction, r.values["accuracy"]) for r in rows] == [
            ("text_to_other", 1.0),
            ("other_to_text", pytest.approx(2 / 3)),
        ]
        assert (rows[0].language, rows[0].other_language) == ("deu_Latn", "eng_Latn")
        assert (rows[0].num_queries, rows[0].num_candidates) == (3, 3)
        assert rows[0].num_dropped == {"pairs_with_an_empty_side": 2, "repeated_candidates": 0}
        low, high = rows[1].intervals["accuracy"]
        assert low <= 2 / 3 <= high

    def test_each_side_is_asked_for_in_its_language(self):
        encoder = Lookup(dict(zip("Aa", directions(0, 1), strict=True)))
        measure(encoder, bitext([("A", "a")]))
        assert encoder.asked == [("A", "deu_Latn"), ("a", "eng_Latn")]

    def test_a_repeated_sentence_is_one_candidate_and_right_for_all_it_translates(self):
        # "Hi" stands twice with two translations, and "hello" twice with two originals.
        pairs = [("Hi", "hello"), ("Hi", "hey"), ("Moin", "hello"), ("Tee", "tea")]
        names = ["Hi", "Moin", "Tee", "hello", "hey", "tea"]
        encoder = Lookup(dict(zip(names, directions(0, 20, 90, 2, 60, 80), strict=True)))
        forward, backward = measure(encoder, bitext(pairs))
        # Both rows of Hi find hello, which is right; Moin too; Tee finds tea.
        assert forward.values["accuracy"] == 1.0
        # hello (2) is nearest Hi, right in both rows; hey (60) is nearest Tee (90), not Hi (0).
        assert backward.values["accuracy"] == 0.75
        assert (forward.num_candidates, backward.num_candidates) == (3, 3)
        assert forward.num_dropped["repeated_candidates"] == 1

    def test_a_constant_model_is_exactly_at_chance(self):
        names = [f"{side}{i}" for side in "ab" for i in range(7)]
        encoder = Lookup(dict.fromkeys(names, directions(33)[0]))
        for row in measure(encoder, bitext([(f"a{i}", f"b{i}") for i in range(7)])):
            assert row.values["accuracy"] == pytest.approx(1 / 7)

    @given(st.integers(0, 2**32 - 1))
    def test_equals_a_plain_loop_over_distinct_sentences(self, seed):
        random = np.random.default_rng(seed)
        pairs = [(f"a{random.integers(6)}", f"b{random.integers(6)}") for _ in range(9)]
        texts = sorted({text for pair in pairs for text in pair})
        vectors = {
            t: v / np.linalg.norm(v)
            for t, v in zip(texts, random.normal(size=(len(texts), 3)), strict=True)
        }
        rows = measure(Lookup(vectors), bitext(pairs))
        for row, flipped in zip(rows, (False, True), strict=True):
            both = [(b, a) if flipped else (a, b) for a, b in pairs]
            hits = 0
            for query, _ in both:
                candidates = {target for _, target in both}
                best = max(candidates, key=lambda c: float(vectors[query] @ vectors[c]))
                hits += (query, best) in both
            assert row.values["accuracy"] == pytest.approx(hits / len(pairs))

    def test_one_sentence_only_has_no_interval(self):
        encoder = Lookup(dict(zip("ABx", directions(0, 9, 3), strict=True)))
        rows = measure(encoder, bitext([("A", "x"), ("B", "x")]))
        assert [row.intervals for row in rows] == [{}, {}]


class TestSimilarity:
    rows = (("A", "a", 5.0), ("A", "b", 3.0), ("A", "c", 4.0), ("B", "a", 0.0))

    def test_equals_the_rank_correlation_of_cosines(self):
        vectors = dict(zip("ABabc", directions(0, 90, 5, 30, 20), strict=True))
        row = measure(Lookup(vectors), similarity(self.rows))[0]
        cosines = np.cos(np.deg2rad([5, 30, 20, 85]))
        scores = np.array([score for *_, score in self.rows])
        assert row.values["spearman"] == pytest.approx(retrieval.spearman(cosines, scores)) == 1.0
        assert (row.direction, row.num_queries) == ("text_with_other", 4)

    def test_within_one_language(self):
        vectors = dict(zip("ABabc", directions(0, 90, 5, 30, 20), strict=True))
        row = measure(Lookup(vectors), similarity(self.rows, other="deu_Latn"))[0]
        assert (row.language, row.other_language) == ("deu_Latn", "deu_Latn")

    def test_pairs_that_people_scored_all_the_same_have_no_order(self):
        encoder = Lookup(dict(zip("ABabc", directions(0, 90, 5, 30, 20), strict=True)))
        for rows in (self.rows[:1], [("A", "a", 3.0), ("B", "b", 3.0)], []):
            aside = []
            assert measure(encoder, similarity(rows), set_aside=aside.append) == []
            assert [(one.id, one.reason) for one in aside] == [
                ("deu_Latn", evaluation.NOTHING_TO_ASK)
            ]

    def test_a_constant_model_orders_nothing(self):
        encoder = Lookup(dict.fromkeys("ABabc", directions(10)[0]))
        row = measure(encoder, similarity(self.rows))[0]
        assert row.values["spearman"] == 0.0
        assert row.intervals["spearman"] == (0.0, 0.0)

    @given(
        st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=3, max_size=12).filter(
            lambda rows: all(len({row[i] for row in rows}) > 1 for i in (0, 1))
        )
    )
    def test_ties_share_their_mean_rank_in_every_draw(self, rows):
        first, second = np.array(rows, float).T
        found = bootstrap_spearman(first, second, seed=3, num_draws=40)
        assert found.mean == pytest.approx(retrieval.spearman(first, second))
        drawn = np.array(list(_drawn_one_by_one(first, second)))
        plain = bootstrap.interval_of(drawn, mean=found.mean, num_clusters=len(first))
        assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def _drawn_one_by_one(first, second):
    """The same 40 draws, each made as a list and correlated by the plain function."""
    (weights,) = draws.weight_parts(3, num_draws=40, num_clusters=len(first))
    for weight in weights.astype(int):
        drawn = np.repeat(np.arange(len(first)), weight)
        constant = any(len(set(values[drawn])) == 1 for values in (first, second))
        yield 0.0 if constant else retrieval.spearman(first[drawn], second[drawn])


class TestWhatAnEncoderGives:
    def test_vectors_that_are_not_unit_are_refused_with_the_way_out(self):
        encoder = Lookup({"A": np.array([3.0, 4.0]), "a": np.array([1.0, 0.0])})
        with pytest.raises(
            errors.VectorError, match=r"1 of 2 vectors whose length is not 1.* 5"
        ) as c:
            measure(encoder, bitext([("A", "a")]))
        assert "polyglance.vectors.unit" in c.value.hint

    def test_nan(self):
        encoder = Lookup({"A": np.array([np.nan, 1.0]), "a": np.array([1.0, 0.0])})
        with pytest.raises(errors.VectorError, match="length is not 1, the first nan"):
            measure(encoder, bitext([("A", "a")]))

    def test_another_number_of_vectors(self):
        class Short:
            def encode_texts(self, texts, *, languages, cache=None):
                return np.eye(3)

        with pytest.raises(errors.VectorError, match=r"\(3, 3\) for 2 texts"):
            measure(Short(), bitext([("A", "a")]))


class CountingTower(Tower):
    """A text tower that counts what it encodes."""

    modality, dim, uses_language = "text", DIM, False
    space_id = fingerprint = "counting"

    def __init__(self):
        self.seen = []

    def encode(self, items, *, languages=None, output="embedding"):
        self.seen += list(items)
        random = [np.random.default_rng(list(text.encode())) for text in items]
        return np.array([one.standard_normal(DIM) for one in random], np.float32).reshape(-1, DIM)


def several(languages):
    """Languages that share their English, as XTD200 does."""
    pairs = {
        language: [Pair(f"{language} {i}", language, f"english {i}", "eng_Latn") for i in range(5)]
        for language in languages
    }
    return BitextData(task="shared", pairs=pairs, num_empty=dict.fromkeys(languages, 0))


def router(tower):
    side = Side(tower, "fake:counting")
    return dual_encoder.TextRouter(DIM, lambda: side, None)


def test_each_text_is_encoded_once_and_one_language_later_costs_one_language(tmp_path):
    tower, out = CountingTower(), tmp_path / "r.jsonl"
    cache = VectorCache(tmp_path / "texts")
    some = ["deu_Latn", "fra_Latn", "hin_Deva"]
    first = measure(router(tower), several(some), cache=cache, out=out)
    assert len(tower.seen) == len(set(tower.seen)) == 5 * (len(some) + 1)
    tower.seen.clear()
    again = measure(router(tower), several([*some, "arb_Arab"]), cache=cache, out=out)
    assert tower.seen == [f"arb_Arab {i}" for i in range(5)]
    assert again[: len(first)] == first
    assert len(schema.read_results(out)) == len(again) == 8


def test_a_store_that_another_model_filled_is_refused(tmp_path):
    """Someone's cache folder, copied under the name of this model's store."""
    tower, other = CountingTower(), CountingTower()
    other.space_id = other.fingerprint = "another"
    cache = VectorCache(tmp_path / "texts")
    mine, theirs = cache.store_of(tower).path, cache.store_of(other).path
    shutil.rmtree(mine)
    theirs.rename(mine)
    with pytest.raises(errors.SpaceMismatchError, match="which holds the space 'another'"):
        measure(router(tower), several(["deu_Latn"]), cache=VectorCache(tmp_path / "texts"))
    assert tower.seen == []


def test_a_pack_in_a_space_of_its_own_is_not_compared_with_the_teacher_s_english(teacher):
    class OwnSpace:
        class manifest:
            content = "head"

        dim = 5

        def speaker(self, language):
            return "teacher" if language == "eng_Latn" else "pack"

    pack: LanguagePack = OwnSpace()
    encoder = dual_encoder.TextRouter(teacher.dim, lambda: teacher.text, pack)
    with pytest.raises(errors.LanguageError, match="their vectors do not compare"):
        measure(encoder, bitext([("A", "a")]))


def test_pairs_of_the_same_sentence_are_level_whatever_rounding_says():
    """The product of a unit vector with itself is 1 but for its last bits, which order nothing."""
    rng = np.random.default_rng(0)
    names = [f"s{number}" for number in range(40)]
    vectors = unit(rng.standard_normal((len(names), 384)).astype(np.float32))
    encoder = Lookup(dict(zip(names, vectors, strict=True)))
    same = [(name, name, float(score)) for score, name in enumerate(names[:20])]
    apart = [(a, b, 0.0) for a, b in zip(names[20:30], names[30:], strict=True)]
    (row,) = measure(encoder, similarity([*same, *apart]))
    cosines = [1.0] * len(same)
    for a, b, _ in apart:
        x, y = (encoder.vectors[name].astype(np.float32).astype(float) for name in (a, b))
        cosines.append(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    expected = scipy.stats.spearmanr(cosines, [score for *_, score in (*same, *apart)])[0]
    assert row.values["spearman"] == pytest.approx(expected, abs=1e-12)
