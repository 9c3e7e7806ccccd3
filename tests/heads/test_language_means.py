"""Means of languages: what is moved, by whose mean, and that English stays bit for bit."""

import numpy as np
import pytest

from polyglance import errors
from polyglance.heads import language_means
from polyglance.heads.affine import AffineMap, Chain
from polyglance.heads.language_means import LanguageMeans

NAMES = ("arb_Arab", "ces_Latn", "deu_Latn", "zho_Hans")
OFFSETS = np.array([[4, 0], [1, 0], [0, 3], [0, 8]], np.float32)
MEANS = LanguageMeans(NAMES, OFFSETS)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_the_offset_is_the_mean_less_that_of_english():
    german, english = np.array([[1, 2], [3, 6]], np.float32), np.array([[1, 1]], np.float32)
    found = language_means.of_vectors({"deu_Latn": german, "eng_Latn": german}, english=english)
    assert found.languages == ("deu_Latn",)
    np.testing.assert_array_equal(found.offsets, [[1, 3]])


def test_english_alone_has_no_means():
    assert language_means.of_vectors({"eng_Latn": drawn(3, 2)}, english=drawn(3, 2)) is None


@pytest.mark.parametrize(
    ("language", "offset"),
    [
        ("deu_Latn", [0, 3]),
        ("eng_Latn", [0, 0]),
        ("eng_Latn_simple", [0, 0]),
        ("zho_Hant", [0, 8]),  # the same language in another script
        ("fra_Latn", [0.5, 1.5]),  # the mean of its script
        ("jpn_Jpan", [1.25, 2.75]),  # of all
    ],
)
def test_a_language_without_a_mean_takes_the_nearest(language, offset):
    np.testing.assert_array_equal(MEANS.offset(language), offset)
    np.testing.assert_array_equal(
        MEANS.moved(np.zeros((1, 2), np.float32), [language]), [-np.array(offset)]
    )


def test_rows_are_moved_by_their_own_language_and_english_stays_bit_for_bit():
    vectors = drawn(4, 2)
    before = vectors.copy()
    moved = MEANS.moved(vectors, ["eng_Latn", "deu_Latn", "eng_Latn", "arb_Arab"])
    np.testing.assert_allclose(moved, before - [[0, 0], [0, 3], [0, 0], [4, 0]], atol=1e-6)
    assert moved[[0, 2]].tobytes() == before[[0, 2]].tobytes()
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("language", ["deu_Latn", "eng_Latn", "fra_Latn"])
def test_a_folded_head_gives_the_same(layers, language):
    first = AffineMap(drawn(5, 2), drawn(5, seed=1))
    head = Chain((first, AffineMap(drawn(3, 5, seed=2), drawn(3, seed=3)))) if layers > 1 else first
    vectors = drawn(6, 2, seed=4)
    np.testing.assert_allclose(
        MEANS.folded(head, language)(vectors),
        head(MEANS.moved(vectors, [language] * 6)),
        atol=1e-5,
    )


@pytest.mark.parametrize(("names", "offsets"), [(NAMES, OFFSETS[:2]), ((), OFFSETS[:0])])
def test_names_and_means_must_fit(names, offsets):
    with pytest.raises(errors.VectorError, match="a row a language"):
        LanguageMeans(names, offsets)


def test_rounded_offsets_fit_half_precision():
    means = LanguageMeans(NAMES, drawn(4, 2))
    small = means.rounded().offsets
    np.testing.assert_array_equal(small.astype(np.float16).astype(np.float32), small)
    np.testing.assert_allclose(small, means.offsets, rtol=1e-3)
    assert not np.array_equal(small, means.offsets)
