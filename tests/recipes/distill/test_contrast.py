"""`distill` by contrast: what each text aims at, and which texts are not set against each other."""

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import contrast, recipe
from polyglance.recipes.distill.config import MOST_MEMORIES, DistillConfig
from polyglance.records import Pair
from polyglance.vectors import unit

GERMAN = "deu_Latn"
# Captions of one photo with one German text, a text shared by two photos, and a lone one.
PAIRS = [
    Pair("a dog runs", ENGLISH, "Hund", GERMAN),
    Pair("a brown dog", ENGLISH, "Hund", GERMAN),
    Pair("a cat", ENGLISH, "Katze", GERMAN),
    Pair("a house", ENGLISH, "Haus", GERMAN),
    Pair("a house", ENGLISH, "Katze", GERMAN),
]


def test_a_text_aims_at_the_mean_of_its_english_texts():
    data = parallel_text.group(PAIRS)
    targets = unit(np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32))
    aims = contrast.aims_of(data, targets)
    assert len(aims.texts) == len(set(aims.texts)) == 7
    row = dict(zip(aims.texts, aims.vectors, strict=True))
    english = dict(zip(data.english, targets, strict=True))
    np.testing.assert_allclose(row["a cat"], english["a cat"], atol=1e-6)
    mean = english["a dog runs"] + english["a brown dog"]
    np.testing.assert_allclose(row["Hund"], mean / np.linalg.norm(mean), atol=1e-6)


def test_linked_texts_are_one_family():
    data = parallel_text.group(PAIRS)
    aims = contrast.aims_of(data, np.eye(4, dtype=np.float32))
    family = dict(zip(aims.texts, aims.families.tolist(), strict=True))
    assert family["a dog runs"] == family["a brown dog"] == family["Hund"]
    assert family["a cat"] == family["Katze"] == family["a house"] == family["Haus"]
    assert family["Hund"] != family["Katze"]


def test_families_follow_chains_of_any_length():
    chain = [Pair(f"e{i}", ENGLISH, f"d{j}", GERMAN) for i in range(20) for j in (i, i + 1)]
    data = parallel_text.group([*reversed(chain), Pair("alone", ENGLISH, "allein", GERMAN)])
    aims = contrast.aims_of(data, np.eye(21, dtype=np.float32))
    family = dict(zip(aims.texts, aims.families.tolist(), strict=True))
    assert len(set(family.values())) == 2
    assert family["alone"] == family["allein"] != family["e0"]


def test_keywords_take_no_part():
    related = [Pair("a cat", ENGLISH, "Tier", GERMAN)]
    aims = contrast.aims_of(parallel_text.group(PAIRS, related), np.eye(4, dtype=np.float32))
    assert "Tier" not in aims.texts


def test_auto_takes_contrast_above_what_a_memory_holds():
    config = DistillConfig()
    assert config.ending_for(MOST_MEMORIES) == "memory"
    assert config.ending_for(MOST_MEMORIES + 1) == "contrast"


@pytest.mark.parametrize(
    ("setting", "error"),
    [({"temperature": 0.0}, errors.ConfigError), ({"batch_size": 1}, errors.TrainingError)],
)
def test_what_leaves_nothing_to_choose_is_refused(teacher, setting, error):
    pairs = [
        Pair(phrase, ENGLISH, small_world.translate(phrase, GERMAN), GERMAN)
        for phrase in small_world.PHRASES
    ]
    with pytest.raises(error):
        recipe.train(
            pairs,
            teacher=teacher,
            config=DistillConfig(ending="contrast", num_steps=1, **setting),
        )
