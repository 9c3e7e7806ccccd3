"""Each objective against a literal loop over the paper's equation, with gradients."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from polyglance import errors
from polyglance.losses import objectives

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


def naive_structure(mapped, target):
    """M2M, equation 5, entry by entry over i < j."""
    total, count = 0.0, 0
    for i in range(len(mapped)):
        for j in range(i + 1, len(mapped)):
            difference = (mapped[i] * mapped[j]).sum() - (target[i] * target[j]).sum()
            total, count = total + difference**2, count + 1
    return total / count if count else torch.zeros(())


def naive_contrastive(left, right, temperature, groups):
    total = 0.0
    size = len(left)
    for a, b in ((left, right), (right, left)):
        for i in range(size):
            kept = [j for j in range(size) if j == i or groups[j] != groups[i]]
            logits = [float((a[i] * b[j]).sum()) / temperature for j in kept]
            total -= float((a[i] * b[i]).sum()) / temperature - math.log(
                sum(math.exp(x) for x in logits)
            )
    return total / (2 * size)


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


def naive_sigmoid(images, texts, *, scale, bias, groups):
    """SigLIP, equation 1, pair by pair."""
    total, size = 0.0, len(images)
    for i in range(size):
        for j in range(size):
            if i != j and groups is not None and groups[i] == groups[j]:
                continue
            sign = 1 if i == j else -1
            logit = scale * (images[i] * texts[j]).sum() + bias
            total = total - torch.log(1 / (1 + torch.exp(-sign * logit)))
    return total / size


def naive_uclip(e_clip, e_text, v_clip, m_text, *, temperature, weights):
    """uCLIP, equation 5 and those after it."""

    def info_nce(q, k):
        return naive_one_way(
            q, k, temperature=temperature, margin=0, label_smoothing=0, groups=None
        )

    text = (info_nce(e_clip, e_text) + info_nce(e_text, e_clip)) / 2
    pseudo = (info_nce(v_clip, m_text) + info_nce(m_text, v_clip)) / 2
    intra = sum(
        ((e_clip[i] - v_clip[i]) ** 2).sum() + ((e_text[i] - m_text[i]) ** 2).sum()
        for i in range(len(e_clip))
    ) / (2 * len(e_clip))
    return weights[0] * text + weights[1] * pseudo + weights[2] * intra


def assert_same_value_and_gradients(found, expected, learning):
    """Two scalars agree, and so do their gradients at every tensor that learns."""
    assert found.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)
    of_found = torch.autograd.grad(found, learning)
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


@settings(deadline=None)
@given(shapes)
def test_structure_matches_the_equation(shape):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    expected = naive_structure(mapped, target)
    assert objectives.structure(mapped, target).item() == pytest.approx(float(expected), abs=1e-9)


@settings(deadline=None)
@given(shapes, st.floats(0.1, 100), st.floats(0, 10))
def test_m2m_is_the_weighted_sum_rescaled_to_the_width(shape, alignment_weight, structure_weight):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    terms = objectives.m2m(
        mapped, target, alignment_weight=alignment_weight, structure_weight=structure_weight
    )
    align = sum(
        (mapped[i][d] - target[i][d]) ** 2 for i in range(num_rows) for d in range(width)
    ) / (num_rows * width)
    expected = alignment_weight * width / 768 * float(align) + structure_weight * float(
        naive_structure(mapped, target)
    )
    assert terms["total"].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_alignment_of_unit_rows_is_an_eighth_of_the_cosine_distance_at_lambda_48():
    mapped, target = unit_rows(5, 768, 0), unit_rows(5, 768, 1)
    terms = objectives.m2m(mapped, target, structure_weight=0.0)
    cosine = (mapped * target).sum(dim=1).mean().item()
    assert terms["total"].item() == pytest.approx(0.125 * (1 - cosine), rel=1e-9)


def test_structure_of_one_row_is_zero_and_has_a_gradient():
    mapped = unit_rows(1, 3, 0).requires_grad_()
    objectives.structure(mapped, unit_rows(1, 3, 1)).backward()
    assert mapped.grad is not None
    assert mapped.grad.abs().sum() == 0


@pytest.mark.parametrize(
    "objective",
    [
        objectives.m2m,
        objectives.mean_squared_error,
        objectives.cosine_distance,
        lambda a, b: objectives.contrastive(a, b, temperature=0.5),
    ],
)
def test_gradients(objective):
    mapped, target = unit_rows(4, 3, 0).requires_grad_(), unit_rows(4, 3, 1)
    assert torch.autograd.gradcheck(lambda x: objective(x, target)["total"], (mapped,))


@settings(deadline=None)
@given(pair_shapes, st.floats(0.2, 2), st.integers(1, 3))
def test_contrastive_matches_the_loops(shape, temperature, num_groups):
    num_rows, width, seed = shape
    left, right = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    groups = torch.arange(num_rows) % num_groups
    found = objectives.contrastive(left, right, temperature=temperature, groups=groups)
    expected = naive_contrastive(left, right, temperature, groups.tolist())
    assert found["total"].item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_contrastive_without_groups_equals_all_groups_different():
    left, right = unit_rows(5, 4, 0), unit_rows(5, 4, 1)
    plain = objectives.contrastive(left, right, temperature=0.1)["total"]
    grouped = objectives.contrastive(left, right, temperature=0.1, groups=torch.arange(5))["total"]
    assert plain.item() == pytest.approx(grouped.item())


def test_absolute_error():
    ones = torch.ones(2, 2)
    assert objectives.mean_absolute_error(ones, -ones)["total"].item() == 2


@settings(deadline=None, max_examples=25)
@given(pair_shapes, contrasts)
def test_one_way_matches_the_equation(shape, drawn):
    queries, keys = learning_rows(2, shape)
    ours, naive = options_of(drawn, len(queries))
    assert_same_value_and_gradients(
        objectives.one_way(queries, keys, **ours),
        naive_one_way(queries, keys, **naive),
        [queries, keys, ours["temperature"]],
    )


@settings(deadline=None, max_examples=20)
@given(pair_shapes, contrasts)
def test_contrastive_is_the_mean_of_both_ways(shape, drawn):
    left, right = learning_rows(2, shape)
    ours, naive = options_of(drawn, len(left))
    terms = objectives.contrastive(left, right, **ours)
    there, back = naive_one_way(left, right, **naive), naive_one_way(right, left, **naive)
    learning = [left, right, ours["temperature"]]
    assert terms["left_to_right"].item() == pytest.approx(there.item(), abs=1e-9)
    assert terms["right_to_left"].item() == pytest.approx(back.item(), abs=1e-9)
    assert_same_value_and_gradients(terms["total"], (there + back) / 2, learning)


@settings(deadline=None, max_examples=15)
@given(pair_shapes, st.integers(2, 6), contrasts)
def test_mural_is_half_the_sum_of_four_directions(shape, num_text_pairs, drawn):
    images, texts = learning_rows(2, shape)
    text_a, text_b = learning_rows(2, (num_text_pairs, shape[1], shape[2] + 2))
    ours, naive = options_of(drawn, len(images))
    text_groups = groups_of(num_text_pairs, drawn["num_groups"])
    terms = objectives.mural(
        images, texts, text_a=text_a, text_b=text_b, text_groups=text_groups, **ours
    )
    of_text = naive | {"groups": text_groups}
    expected = (
        naive_one_way(images, texts, **naive)
        + naive_one_way(texts, images, **naive)
        + naive_one_way(text_a, text_b, **of_text)
        + naive_one_way(text_b, text_a, **of_text)
    ) / 2
    assert set(terms) == {"image_to_text", "text_to_image", "a_to_b", "b_to_a", "total"}
    learning = [images, texts, text_a, text_b, ours["temperature"]]
    assert_same_value_and_gradients(terms["total"], expected, learning)


@settings(deadline=None, max_examples=15)
@given(pair_shapes, contrasts)
def test_etcl_is_a_third_of_the_sum_of_six_directions(shape, drawn):
    images, texts_a, texts_b = learning_rows(3, shape)
    ours, naive = options_of(drawn, len(images))
    terms = objectives.etcl(images, texts_a, texts_b, **ours)
    expected = {
        "image_to_a": naive_one_way(images, texts_a, **naive),
        "a_to_image": naive_one_way(texts_a, images, **naive),
        "a_to_b": naive_one_way(texts_a, texts_b, **naive),
        "b_to_a": naive_one_way(texts_b, texts_a, **naive),
        "b_to_image": naive_one_way(texts_b, images, **naive),
        "image_to_b": naive_one_way(images, texts_b, **naive),
    }
    assert set(terms) == {*expected, "total"}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), abs=1e-9), name
    learning = [images, texts_a, texts_b, ours["temperature"]]
    assert_same_value_and_gradients(terms["total"], sum(expected.values()) / 3, learning)


@settings(deadline=None, max_examples=25)
@given(
    shapes,
    st.floats(0.1, 20),
    st.floats(-10, 10),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from([None, 1, 3]),
)
def test_sigmoid_matches_the_equation(shape, scale, bias, num_groups, block_rows):
    images, texts = learning_rows(2, shape)
    scale = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
    options = {"scale": scale, "bias": bias, "groups": groups_of(len(images), num_groups)}
    terms = objectives.sigmoid(images, texts, block_rows=block_rows, **options)
    assert (terms["positive"] + terms["negative"]).item() == pytest.approx(terms["total"].item())
    expected = naive_sigmoid(images, texts, **options)
    assert_same_value_and_gradients(terms["total"], expected, [images, texts, scale, bias])


@settings(deadline=None, max_examples=20)
@given(
    pair_shapes,
    st.floats(0.05, 1),
    st.tuples(*[st.sampled_from([0.0, 0.1, 1.0])] * 3),
    st.sampled_from([None, 2]),
)
def test_uclip_matches_the_equations(shape, temperature, weights, block_rows):
    batches = learning_rows(4, shape)
    terms = objectives.uclip(
        **dict(zip(("e_clip", "e_text", "v_clip", "m_text"), batches, strict=True)),
        temperature=temperature,
        text_weight=weights[0],
        pseudo_weight=weights[1],
        intra_weight=weights[2],
        block_rows=block_rows,
    )
    # The zero keeps every batch in the graph where a weight of zero takes it out.
    total = terms["total"] + sum((each * 0).sum() for each in batches)
    expected = naive_uclip(*batches, temperature=temperature, weights=weights)
    assert_same_value_and_gradients(total, expected, batches)
    inter = weights[0] * terms["text"] + weights[1] * terms["pseudo"]
    assert terms["inter"].item() == pytest.approx(inter.item())


def test_uclip_defaults_are_the_papers():
    shape = (5, 4, 0)
    names = ("e_clip", "e_text", "v_clip", "m_text")
    batches = learning_rows(4, shape)
    found = objectives.uclip(**dict(zip(names, batches, strict=True)))["total"]
    expected = naive_uclip(*batches, temperature=0.01, weights=(1, 1, 0.1))
    assert_same_value_and_gradients(found, expected, batches)


def test_no_gradient_reaches_the_targets_of_a_distillation():
    captions, targets = learning_rows(2, (4, 3, 0))
    terms = objectives.contrastive_distillation(captions, targets, temperature=0.1)
    assert terms["total"].item() == pytest.approx(
        objectives.contrastive(captions, targets, temperature=0.1)["total"].item()
    )
    terms["total"].backward()
    assert captions.grad.abs().sum() > 0
    assert targets.grad is None


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


@pytest.mark.parametrize(
    "objective",
    [
        lambda a, b, **options: objectives.contrastive(
            a, b, temperature=0.1, margin=0.3, label_smoothing=0.1, **options
        ),
        lambda a, b, **options: objectives.sigmoid(a, b, scale=10.0, bias=-10.0, **options),
    ],
)
def test_blocks_never_make_nor_hold_a_full_matrix(objective):
    left, right = learning_rows(2, (64, 4, 0))
    largest = {rows: largest_made_and_sum_held(objective, left, right, rows) for rows in (None, 8)}
    assert largest[None][0] == 64 * 64
    assert largest[8][0] == 8 * 64
    # What the forward pass leaves for the backward pass: not even all blocks of a matrix.
    assert largest[8][1] < 64 * 64 < largest[None][1]


def test_half_precision_cosines_are_divided_in_full_precision():
    left, right = (each.detach() for each in learning_rows(2, (6, 16, 0)))
    halves = left.bfloat16(), right.bfloat16()
    exact = objectives.one_way(*(each.double() for each in halves), temperature=0.01)
    assert objectives.one_way(*halves, temperature=0.01).dtype == torch.float32
    # bfloat16 cosines err by 2^-9 at most, which a temperature of 0.01 makes 0.2 a logit.
    assert objectives.one_way(*halves, temperature=0.01).item() == pytest.approx(
        exact.item(), abs=0.4
    )


@pytest.mark.parametrize("temperature", [0, -0.1, torch.tensor(0.0), torch.tensor(-1.0)])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature):
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.ConfigError, match="above zero"):
        objectives.contrastive(left, right, temperature=temperature)
    with pytest.raises(errors.ConfigError, match="scale is"):
        objectives.sigmoid(left, right, scale=temperature, bias=0.0)


def test_a_temperature_of_nan_is_left_to_the_loop():
    left, right = learning_rows(2, (3, 2, 0))
    loss = objectives.contrastive(left, right, temperature=torch.tensor(math.nan))["total"]
    assert math.isnan(loss.item())


def test_a_batch_of_one_is_refused():
    left, right = learning_rows(2, (1, 2, 0))
    with pytest.raises(errors.TrainingError, match="a batch of 1; a contrast needs 2"):
        objectives.one_way(left, right, temperature=0.1)
    with pytest.raises(errors.TrainingError, match="batch of 1"):
        objectives.etcl(left, right, right, temperature=0.1)
    with pytest.raises(errors.TrainingError, match="batch of 0"):
        objectives.sigmoid(left[:0], right[:0], scale=1.0, bias=0.0)


def test_sides_that_do_not_fit_are_refused():
    (left,), (wide,) = learning_rows(1, (3, 2, 0)), learning_rows(1, (3, 4, 0))
    with pytest.raises(errors.VectorError, match=r"\(3, 2\) and \(3, 4\)"):
        objectives.contrastive(left, wide, temperature=0.1)
    with pytest.raises(errors.VectorError, match="alike"):
        objectives.sigmoid(left, left[:2], scale=1.0, bias=0.0)


def test_gradients_in_half_precision_keep_the_loss_and_nearly_the_gradient():
    left, right = (unit_rows(64, 32, seed).float() for seed in (1, 2))
    found = {}
    for dtype in (None, torch.bfloat16):
        parts = [left.clone().requires_grad_(), right.clone().requires_grad_()]
        total = objectives.contrastive(*parts, temperature=0.01, gradient_dtype=dtype)["total"]
        total.backward()
        found[dtype] = (total.detach(), torch.cat([part.grad for part in parts]))
    (exact_loss, exact), (half_loss, half) = found.values()
    assert torch.equal(exact_loss, half_loss)
    assert 0 < (half - exact).norm() / exact.norm() < 0.01


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_and_blocks_out_of_range_are_refused(smoothing):
    left, right = learning_rows(2, (3, 2, 0))
    with pytest.raises(errors.ConfigError, match="label_smoothing"):
        objectives.contrastive(left, right, temperature=0.1, label_smoothing=smoothing)
    with pytest.raises(errors.ConfigError, match="block_rows is 0"):
        objectives.contrastive(left, right, temperature=0.1, block_rows=0)


@given(shapes)
def test_cosine_distance_is_the_mean_over_rows(shape):
    num_rows, width, seed = shape
    mapped, target = unit_rows(num_rows, width, seed), unit_rows(num_rows, width, seed + 1)
    literal = sum(
        1 - sum(float(mapped[i, d] * target[i, d]) for d in range(width)) for i in range(num_rows)
    )
    found = objectives.cosine_distance(mapped, target)["total"]
    assert float(found) == pytest.approx(literal / num_rows, abs=1e-9)
