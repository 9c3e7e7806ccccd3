"""Unpaired text chooses the map that carries other languages; English alone cannot see them."""

import dataclasses

import numpy as np
import pytest

from polyglance.metrics import retrieval
from polyglance.recipes import drift_adapter, m2m, ridge
from polyglance.recipes.data import english_text, transfer
from polyglance.recipes.data.unpaired_text import UnpairedVectors
from polyglance.vectors import unit

STRONG, WEAK, OUT = 12, 12, 16
GERMAN, HINDI = "deu_Latn", "hin_Deva"


def drawn(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class World:
    """A tower whose weak directions tell English texts apart, and are noise in other languages."""

    def __init__(self):
        scale = np.r_[np.ones(STRONG), np.full(WEAK, 0.1)].astype(np.float32)
        self.english = drawn(1500, STRONG + WEAK, seed=0) * scale
        mixed = drawn(STRONG + WEAK, OUT, seed=1) / scale[:, None]
        self.targets = unit(self.english @ mixed + 0.3 * drawn(1500, OUT, seed=2))
        noise = np.r_[np.full(STRONG, 0.1), np.full(WEAK, 0.25)].astype(np.float32)
        self.foreign = self.english + drawn(1500, STRONG + WEAK, seed=3) * noise
        unpaired = {GERMAN: self.foreign[500:1000], HINDI: self.foreign[900:1400]}
        self.pairs = english_text.EncodedPairs(
            *(self.english[:800], self.targets[:800], self.english[800:1000]),
            *(self.targets[800:1000], "raw", 0),
        )
        self.with_text = dataclasses.replace(self.pairs, unpaired=UnpairedVectors(vectors=unpaired))

    def hit_rate(self, fitted):
        """How often foreign texts that no fit saw find their target."""
        return retrieval.bitext_accuracy(unit(fitted(self.foreign[1300:])), self.targets[1300:])


@pytest.fixture(scope="module")
def world():
    return World()


def test_the_penalty_is_chosen_for_the_other_languages(world):
    by_english = ridge.fit(world.pairs, ridge.RidgeConfig())
    by_transfer = ridge.fit(world.with_text, ridge.RidgeConfig())
    assert by_transfer.facts["penalty"] > by_english.facts["penalty"]
    assert world.hit_rate(by_transfer.map) > world.hit_rate(by_english.map) + 0.05
    assert by_transfer.facts["transfer_hit_rate_at_10"] > 0
    assert "transfer_hit_rate_at_10" not in by_english.facts


@pytest.mark.parametrize(
    ("fit", "config"),
    [
        (m2m.fit, m2m.M2MConfig(num_epochs=4, batch_size=64)),
        (m2m.fit, m2m.M2MConfig(num_epochs=12, batch_size=64, start="random")),
        (drift_adapter.fit_low_rank, drift_adapter.LowRankConfig(num_epochs=4, rank=16)),
        (drift_adapter.fit_residual_mlp, drift_adapter.ResidualMlpConfig(num_epochs=8)),
    ],
)
def test_the_epoch_is_chosen_by_what_is_told_of_it(world, fit, config):
    """Of all epochs the one that is kept scores best by the judge that the pairs ask for."""
    for pairs in (world.pairs, world.with_text):
        heard = []
        real = english_text.Judge.score

        def score(judge, fitted, real=real, heard=heard):
            heard.append(real(judge, fitted))
            return heard[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(english_text.Judge, "score", score)
            fitted = fit(pairs, config)
        assert real(english_text.Judge(pairs), fitted.map) == pytest.approx(max(heard), abs=0.011)


def test_the_score_is_how_many_mutual_neighbours_are_found_by_hand():
    """Forty English texts along axes; two German ones lie beside the first and the second."""
    english = np.eye(40, dtype=np.float32)
    german = english[:2] + 0.1 * english[2:4]
    test = transfer.transfer_test({GERMAN: german}, english=english, targets=english)
    wanted = test.targets[test.languages[0][1]]
    np.testing.assert_array_equal(wanted, english[:2])
    assert test.score(lambda rows: rows) == 1
    assert test.score(lambda rows: np.roll(rows, 20, axis=1)) < 0.5


def test_every_language_counts_alike():
    english = np.eye(40, dtype=np.float32)
    near, far = english[:30], english[:3]
    test = transfer.transfer_test({GERMAN: near, HINDI: far}, english=english, targets=english)
    wrong = transfer.TransferTest(
        [test.languages[0], (np.roll(test.languages[1][0], 20, axis=1), test.languages[1][1])],
        test.targets,
    )
    assert test.score(lambda rows: rows) == 1
    # Of the second language nothing is found but by ties: ten of forty, less the nearest.
    assert 0.5 <= wrong.score(lambda rows: rows) < 0.65


@pytest.mark.parametrize("seed", range(3))
def test_mutual_neighbours_are_those_of_a_plain_loop(seed):
    left, right = unit(drawn(30, 5, seed=seed)), unit(drawn(40, 5, seed=seed + 10))

    def mean_of_nearest(row, others):
        return np.mean(sorted((float(row @ other) for other in others), reverse=True)[:10])

    def scaled(i, j):
        return (
            2 * float(left[i] @ right[j])
            - mean_of_nearest(left[i], right)
            - mean_of_nearest(right[j], left)
        )

    table = [[scaled(i, j) for j in range(40)] for i in range(30)]
    wanted = []
    for i, row in enumerate(table):
        j = int(np.argmax(row))
        if int(np.argmax([other[j] for other in table])) == i:
            wanted.append((i, j))
    rows, nearest = transfer.mutual_neighbours(left, right)
    assert list(zip(rows.tolist(), nearest.tolist(), strict=True)) == wanted
    assert wanted


def test_without_unpaired_text_there_is_no_test(world):
    nothing = transfer.transfer_test({}, english=world.pairs.x, targets=world.pairs.y)
    assert nothing is None
