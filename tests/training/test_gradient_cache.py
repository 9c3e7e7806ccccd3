"""Gradient caching is exact: chunk by chunk, with dropout, the gradient of the whole batch."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polyglance import errors, training
from polyglance.losses.etcl import etcl
from polyglance.training.gradient_cache import encode_in_chunks

NUM_ROWS, NUM_TOKENS = 10, 30


class Towers(nn.Module):
    """An image head, a text tower that both captions share, a temperature that learns."""

    def __init__(self, dropout=0.0, dtype=torch.float64):
        super().__init__()
        self.image = nn.Linear(6, 5)
        self.tokens = nn.Embedding(NUM_TOKENS, 8)
        self.text = nn.Sequential(
            nn.Linear(8, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 5), nn.Dropout(dropout)
        )
        self.log_temperature = nn.Parameter(torch.tensor(-1.0))
        self.to(dtype)

    def read(self, tokens):
        return F.normalize(self.text(self.tokens(tokens).mean(dim=1)), dim=1)

    def look(self, features):
        return F.normalize(self.image(features), dim=1)


def towers(dropout=0.0, dtype=torch.float64):
    torch.manual_seed(3)
    return Towers(dropout, dtype)


def data(dtype=torch.float64):
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(NUM_TOKENS, (2, NUM_ROWS, 3), generator=generator)
    return torch.randn(NUM_ROWS, 6, generator=generator, dtype=dtype), *tokens


def chunks_held(forward, *, num_rows, chunk_rows):
    """The same chunks with all their activations kept: what caching must be equal to."""
    return torch.cat([forward(rows) for rows in torch.arange(num_rows).split(chunk_rows)])


def etcl_step(model, encode, chunk_rows, dtype=torch.float64):
    features, tokens_a, tokens_b = data(dtype)
    size = {"num_rows": NUM_ROWS, "chunk_rows": chunk_rows}
    return etcl(
        encode(lambda rows: model.look(features[rows]), **size),
        encode(lambda rows: model.read(tokens_a[rows]), **size),
        encode(lambda rows: model.read(tokens_b[rows]), **size),
        temperature=model.log_temperature.exp(),
        margin=0.3,
        label_smoothing=0.1,
        groups=torch.arange(NUM_ROWS) % 7,
        block_rows=4,
    )


def gradients(model, terms):
    model.zero_grad(set_to_none=True)
    terms["total"].backward()
    return {name: each.grad.clone() for name, each in model.named_parameters()}


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(found[name], gradient, msg=name, **tolerance)


@pytest.mark.parametrize("chunk_rows", [1, 3, 5, 9, 10, 64, None])
def test_the_gradient_is_that_of_the_whole_batch(chunk_rows):
    model = towers()
    whole = etcl_step(model, lambda forward, num_rows, chunk_rows: forward(torch.arange(10)), None)
    expected = gradients(model, whole)
    terms = etcl_step(model, encode_in_chunks, chunk_rows)
    assert terms.keys() == whole.keys()
    assert terms["total"].item() == pytest.approx(whole["total"].item(), rel=1e-12)
    assert_same(gradients(model, terms), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("chunk_rows", [1, 4])
def test_dropout_is_replayed(chunk_rows):
    model = towers(dropout=0.4)
    torch.manual_seed(8)
    expected_terms = etcl_step(model, chunks_held, chunk_rows)
    expected = gradients(model, expected_terms)
    goes_on = torch.rand(3)
    torch.manual_seed(8)
    terms = etcl_step(model, encode_in_chunks, chunk_rows)
    found = gradients(model, terms)
    assert terms["total"].item() == pytest.approx(expected_terms["total"].item(), rel=1e-12)
    assert_same(found, expected, rtol=1e-10, atol=1e-13)
    # What is drawn next is what would have been drawn without caching.
    assert torch.equal(torch.rand(3), goes_on)


def test_dropout_differs_between_steps_and_chunks():
    model = towers(dropout=0.4)
    _, tokens, _ = data()
    same = tokens[:1].repeat(NUM_ROWS, 1)
    vectors = encode_in_chunks(lambda rows: model.read(same[rows]), num_rows=10, chunk_rows=1)
    assert len(vectors.detach().unique(dim=0)) > 5


def test_only_vectors_are_held_between_the_passes():
    model, held = towers(), {}
    for name, encode in (("chunks", encode_in_chunks), ("whole", chunks_held)):
        kept = []

        def hold(tensor, kept=kept):
            kept.append(tensor.shape)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(hold, lambda each: each):
            etcl_step(model, encode, 2)
        held[name] = kept
    # The hidden layer's activations are 16 wide, as nothing else is.
    assert any(shape[-1:] == (16,) and shape[0] == 2 for shape in held["whole"])
    assert not any(shape[-1:] == (16,) for shape in held["chunks"])


def test_the_loop_needs_no_change():
    trained = {}
    for chunk_rows in (None, 3):
        model = towers()
        training.fit(
            model,
            lambda batch, model=model, chunk_rows=chunk_rows: etcl_step(
                model, encode_in_chunks, chunk_rows
            ),
            batches=lambda epoch: [None],
            config=training.TrainConfig(num_steps=5, learning_rate=0.01),
        )
        trained[chunk_rows] = dict(model.named_parameters())
    begun = dict(towers().named_parameters())
    for name, value in trained[None].items():
        assert not torch.allclose(value, begun[name])
        torch.testing.assert_close(trained[3][name], value, rtol=1e-7, atol=1e-9, msg=name)


def test_autocast_is_replayed_and_its_cache_left_alone():
    """The backward pass stands outside of autocast, and the weights are used directly as well."""
    model = towers(dtype=torch.float32)
    features, tokens, _ = data(torch.float32)
    found = {}
    for name, encode in (("cached", encode_in_chunks), ("held", chunks_held)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            texts = encode(
                lambda rows: model.text(model.tokens(tokens[rows]).mean(1)),
                num_rows=NUM_ROWS,
                chunk_rows=4,
            )
            images = model.image(features)
            again = model.text(model.tokens(tokens[:4]).mean(dim=1))
        assert texts.dtype == torch.bfloat16
        loss = (texts.float() - images.float()).square().sum() + again.float().square().sum()
        model.zero_grad()
        loss.backward()
        found[name] = {n: p.grad.clone() for n, p in model.named_parameters() if p.ndim}
    assert_same(found["cached"], found["held"], rtol=0.02, atol=0.02)


def test_a_pass_that_is_not_repeatable_is_refused():
    model = towers()
    features, _, _ = data()
    numbers = random.Random(0)
    vectors = encode_in_chunks(
        lambda rows: model.look(features[rows]) * numbers.random(), num_rows=10, chunk_rows=5
    )
    with pytest.raises(errors.TrainingError, match="other vectors than the first"):
        vectors.sum().backward()


def test_what_does_not_learn_costs_one_chunk_more_and_gets_no_gradient():
    model = towers().requires_grad_(False)
    calls = []
    features, _, _ = data()

    def forward(rows):
        calls.append(len(rows))
        return model.look(features[rows])

    vectors = encode_in_chunks(forward, num_rows=10, chunk_rows=4)
    assert calls == [4, 4, 2]
    vectors.sum().backward()
    assert calls == [4, 4, 2, 4]
    assert model.image.weight.grad is None


def test_without_gradient_there_is_no_second_pass():
    features, _, _ = data()
    model = towers()
    with torch.no_grad():
        vectors = encode_in_chunks(lambda at: model.look(features[at]), num_rows=10, chunk_rows=4)
    assert not vectors.requires_grad
    assert torch.allclose(vectors, model.look(features))


def test_bad_sizes_are_refused():
    rows = torch.ones(4, 2)
    with pytest.raises(errors.ConfigError, match="chunk_rows is 0"):
        encode_in_chunks(lambda at: rows[at], num_rows=4, chunk_rows=0)
    with pytest.raises(errors.TrainingError, match="no rows"):
        encode_in_chunks(lambda at: rows[at], num_rows=0, chunk_rows=2)
    with pytest.raises(errors.TrainingError, match="4 vectors for 2 rows"):
        encode_in_chunks(lambda at: rows, num_rows=4, chunk_rows=2)
