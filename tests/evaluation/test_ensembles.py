"""The vector of a class is the normalised mean of its normalised prompts, each encoded once."""

import hashlib

import numpy as np
import pytest

from polyglance import errors
from polyglance.evaluation.ensembles import class_weights
from polyglance.vectors import unit

LABELS = ["dog", "cat", "dog", "sea lion", "{}"]
TEMPLATES = ["a {}.", "the {}", "a {}.", "{}", "a {}."]


class Encoder:
    def __init__(self, dim=7):
        self.dim, self.calls = dim, []

    def __call__(self, prompts):
        self.calls.append(list(prompts))
        seeds = [int.from_bytes(hashlib.blake2b(p.encode()).digest()[:8]) for p in prompts]
        rows = [np.random.default_rng(s).standard_normal(self.dim) for s in seeds]
        return unit(np.array(rows, np.float32))


def naive(labels, templates, encode):
    """Prompt by prompt, repeats and all."""
    found = []
    for label in labels:
        prompts = [encode([t.replace("{}", label)])[0].astype(np.float64) for t in templates]
        mean = np.mean(prompts, axis=0)
        found.append(mean / np.linalg.norm(mean))
    return np.array(found)


@pytest.mark.parametrize("block_prompts", [1, 6, 7, 8192])
def test_as_a_naive_loop_at_any_block(block_prompts):
    found = class_weights(LABELS, TEMPLATES, encode=Encoder(), block_prompts=block_prompts)
    np.testing.assert_allclose(found, naive(LABELS, TEMPLATES, Encoder()), atol=1e-6)


def test_each_distinct_prompt_is_encoded_once_in_blocks():
    encode = Encoder()
    class_weights(LABELS, TEMPLATES, encode=encode, block_prompts=6)
    asked = [prompt for call in encode.calls for prompt in call]
    assert len(asked) == len(set(asked)) == 4 * 3
    assert max(map(len, encode.calls)) <= 6


def test_what_two_templates_say_alike_is_encoded_once():
    encode = Encoder()
    class_weights(["dog", "dogs"], ["{}", "{}s"], encode=encode)
    assert sorted(encode.calls[0]) == ["dog", "dogs", "dogss"]


def test_equal_labels_have_the_very_same_vector():
    found = class_weights(LABELS, TEMPLATES, encode=Encoder(), block_prompts=3)
    assert found[0].tobytes() == found[2].tobytes()


def test_prompts_that_cancel_each_other_out():
    def opposite(prompts):
        return np.array([[1.0 if p.startswith("+") else -1.0, 0.0] for p in prompts], np.float32)

    with pytest.raises(errors.VectorError, match="zero"):
        class_weights(["x"], ["+{}", "-{}"], encode=opposite)
