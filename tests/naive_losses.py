"""Literal loops over the equations of losses, and drawn batches to compare them with."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

shapes = st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(0, 2**31))
pair_shapes = st.tuples(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**31))
contrasts = st.fixed_dictionaries(
    {
        "temperature": st.floats(0.05, 2),
        "margin": st.sampled_from([0.0, 0.3]),
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.5]),
        "num_groups": st.sampled_from([None, 1, 2, 3, 99]),
        "block_rows": st.sampled_from([None, 1, 2, 4, 99]),
    }
)


def unit_rows(num_rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(
        torch.randn(num_rows, width, generator=generator, dtype=torch.float64), dim=1
    )


def naive_one_way(queries, keys, *, temperature, margin, label_smoothing, groups):
    """ETCL, equation 1 as METHODS.md completes it, entry by entry."""
    total, size = 0.0, len(queries)
    for i in range(size):
        kept = [j for j in range(size) if j == i or groups is None or groups[j] != groups[i]]
        logits = {j: ((queries[i] * keys[j]).sum() - margin * (i == j)) / temperature for j in kept}
        log_sum = torch.log(sum(torch.exp(logit) for logit in logits.values()))
        for j in kept:
            share = (1 - label_smoothing) * (i == j) + label_smoothing / len(kept)
            total = total - share * (logits[j] - log_sum)
    return total / size


def assert_same_value_and_gradients(found, expected, learning, *, keep=False):
    """Two scalars agree, and so do their gradients at every tensor that learns."""
    assert found.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    of_found = torch.autograd.grad(found, learning, retain_graph=keep)
    of_expected = torch.autograd.grad(expected, learning)
    for ours, naive in zip(of_found, of_expected, strict=True):
        torch.testing.assert_close(ours, naive, rtol=1e-8, atol=1e-9)


def learning_rows(number, shape):
    """Batches of unit rows that learn, of one shape (rows, width, seed)."""
    num_rows, width, seed = shape
    return [unit_rows(num_rows, width, seed + i).requires_grad_() for i in range(number)]


def groups_of(num_rows, num_groups):
    return None if num_groups is None else torch.arange(num_rows) % num_groups


def options_of(drawn, num_rows):
    """Arguments for ours and for the naive version, with a temperature that learns."""
    temperature = torch.tensor(drawn["temperature"], dtype=torch.float64, requires_grad=True)
    naive = {
        "temperature": temperature,
        "margin": drawn["margin"],
        "label_smoothing": drawn["label_smoothing"],
        "groups": groups_of(num_rows, drawn["num_groups"]),
    }
    return naive | {"block_rows": drawn["block_rows"]}, naive


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    num_entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, torch.Tensor):
                self.num_entries = max(self.num_entries, each.numel())
        return result


def largest_made_and_sum_held(objective, left, right, block_rows):
    """Entries of the largest tensor made, and of all that the forward pass leaves behind."""
    held = []

    def hold(tensor):
        held.append(tensor.numel())
        return tensor

    groups = torch.arange(len(left)) // 2
    hooks = torch.autograd.graph.saved_tensors_hooks(hold, lambda each: each)
    with LargestTensor() as mode, hooks:
        objective(left, right, groups=groups, block_rows=block_rows)["total"].backward()
    return mode.num_entries, sum(held)
