"""What a run is resumed with: the same texts and contents, whatever encoded them."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from polyglance.recipes.data.image_text import ImageText, LeftOut
from polyglance.recipes.data.pseudo_pairs import Banks
from polyglance.recipes.data.training_data import TrainingData
from polyglance.records import Caption, Pair


def vectors(seed, rows=3):
    return np.random.default_rng(seed).standard_normal((rows, 4)).astype(np.float32)


def training_data(seed=0, keys=()):
    return TrainingData(
        english=["a dog", "a cat"],
        parallel=[Pair("a dog", "eng_Latn", "ein Hund", "deu_Latn")],
        related=[Pair("a dog", "eng_Latn", "bark", "eng_Latn")],
        image_text=ImageText(
            ("a", "b", "c"),
            vectors(seed),
            (Caption("a", "ein Hund", "deu_Latn"), Caption("b", "eine Katze", "deu_Latn")),
            vectors(seed + 1),
            LeftOut(),
            content_keys=keys,
        ),
        banks=Banks(vectors(seed), ["un chien"], ["fra_Latn"], keys),
    )


KEYS = ("1" * 32, "2" * 32, "3" * 32)


def changed(value):
    """Another value of the same kind, for each place in it."""
    if isinstance(value, str):
        yield value + "x"
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, np.ndarray):
        yield value + np.float32(1)
    elif value is None:
        yield vectors(7)
    elif is_dataclass(value):
        for each in fields(value):
            for other in changed(getattr(value, each.name)):
                yield replace(value, **{each.name: other})
    else:
        kind = type(value)
        yield kind([*value, *(value[:1] or ["x"])])
        for place, each in enumerate(value):
            yield from (kind([*value[:place], x, *value[place + 1 :]]) for x in changed(each))


@pytest.mark.parametrize("name", [each.name for each in fields(TrainingData)])
def test_every_field_counts_down_to_the_last_text(name):
    one = training_data()
    seen = {one.fingerprint()}
    others = list(changed(getattr(one, name)))
    for other in others:
        seen.add(replace(one, **{name: other}).fingerprint())
    assert len(seen) == 1 + len(others)


def test_contents_that_are_encoded_again_are_the_same():
    assert training_data(0, KEYS).fingerprint() == training_data(1, KEYS).fingerprint()
    assert training_data(0).fingerprint() != training_data(1).fingerprint()
    assert (
        training_data(0, KEYS).fingerprint()
        != training_data(0, (*KEYS[:2], "4" * 32)).fingerprint()
    )


def test_texts_do_not_run_into_each_other():
    one, other = TrainingData(english=["ab", "c"]), TrainingData(english=["a", "bc"])
    assert one.fingerprint() != other.fingerprint()
    pairs = [Pair("a", "eng_Latn", "b", "deu_Latn")]
    assert TrainingData(parallel=pairs).fingerprint() != TrainingData(related=pairs).fingerprint()
    turned = [Pair("a", "deu_Latn", "b", "deu_Latn")]
    assert TrainingData(parallel=pairs).fingerprint() != TrainingData(parallel=turned).fingerprint()
