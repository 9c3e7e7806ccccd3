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
    assert by_transfer.facts["transfer_agreement"] > 0
    assert "transfer_agreement" not in by_english.facts


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
        assert real(english_text.Judge(pairs), fitted.map) == pytest.approx(max(heard), abs=1e-4)


def test_the_score_is_the_cosine_of_covariances_by_hand():
    """Rows along one axis, targets along it, across it, and half way."""
    line = np.array([[1, 0], [-1, 0]], np.float32)
    for targets, wanted in (
        (line, 1.0),
        (line[:, ::-1], 0.0),
        (np.concatenate([line, line[:, ::-1]]), np.sqrt(0.5)),
    ):
        test = transfer.transfer_test({GERMAN: line}, targets=targets)
        assert test.score(lambda rows: 3 * rows) == pytest.approx(wanted)


def test_every_language_counts_alike_and_a_constant_map_scores_nothing():
    line = np.array([[1, 0], [-1, 0]], np.float32)
    both = {GERMAN: np.tile(line, (50, 1)), HINDI: line[:, ::-1].copy()}
    test = transfer.transfer_test(both, targets=line)
    assert test.score(lambda rows: rows) == pytest.approx(0.5)
    assert test.score(lambda rows: np.ones_like(rows)) == 0


def test_without_unpaired_text_there_is_no_test(world):
    assert transfer.transfer_test({}, targets=world.pairs.y) is None
