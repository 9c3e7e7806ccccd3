"""The adapters' two-target loss against literal loops: squared distance, and CLIP's with images."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from naive_losses import (
    assert_same_value_and_gradients,
    groups_of,
    learning_rows,
    naive_one_way,
    pair_shapes,
)
from polyglance.losses import babel_imagenet


def naive_distance(learning, targets):
    """The squared differences of all numbers, summed over the width, mean over the rows."""
    rows = range(len(learning))
    return sum(
        (learning[i, d] - targets[i, d]) ** 2 for i in rows for d in range(learning.shape[1])
    ) / len(learning)


@settings(deadline=None, max_examples=15)
@given(pair_shapes, st.floats(0.05, 2), st.sampled_from([None, 2, 99]), st.floats(0.1, 3))
def test_both_targets_add_up(shape, number, num_groups, lit_weight):
    learning, english, images = learning_rows(3, shape)
    raw = 3 * learning
    temperature = torch.tensor(number, dtype=torch.float64, requires_grad=True)
    groups = groups_of(len(raw), num_groups)
    found = babel_imagenet.lit_and_mse(
        raw, english, images, temperature=temperature, groups=groups, lit_weight=lit_weight
    )
    assert set(found) == {"squared_error", "lit", "total"}
    options = {"temperature": temperature, "margin": 0, "label_smoothing": 0, "groups": groups}
    said, shown = F.normalize(raw, dim=1), images.detach()
    lit = (naive_one_way(said, shown, **options) + naive_one_way(shown, said, **options)) / 2
    expected = naive_distance(raw, english.detach()) + lit_weight * lit
    assert_same_value_and_gradients(found["total"], expected, [learning, temperature], keep=True)
    to_targets = torch.autograd.grad(found["total"], [english, images], allow_unused=True)
    assert to_targets == (None, None)


def test_the_distance_is_the_mean_error_times_the_width():
    found = babel_imagenet.squared_distance(torch.zeros(2, 4), torch.full((2, 4), 0.5))
    assert (found["total"].item(), found["squared_error"].item()) == (1.0, 0.25)
