"""Does a batch of 4,096 fit into the memory of 256? Gradient caching against one direct step.

Legend: N rows of a batch, L tokens of a caption, D width of the shared space.

Both sides take one step of the same small towers in training mode, dropout on: a transformer of
four layers reads captions of 16 tokens, a linear head maps image features of 512 numbers, and the
temperature learns. The alternative encodes the whole batch at once and holds the (N, N) matrix.
Ours encodes in chunks, twice, and takes the loss in blocks of rows. A step is forward, loss and
backward; memory is that above model and data, gradients included, each side in its own process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.harness import (
    Criterion,
    Outcome,
    best_of_alternating,
    peak_memory_above_inputs,
    say,
)

NUM_ROWS, SMALL_NUM_ROWS = 4096, 256
CHUNK_ROWS, BLOCK_ROWS = 128, 256
NUM_TOKENS, VOCABULARY, FEATURE_WIDTH, WIDTH = 16, 8000, 512, 128
NUM_LAYERS, NUM_HEADS, INNER_WIDTH = 4, 4, 512
CHECKED_NUM_ROWS = 384
SEED = 31
TURNS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """The towers and one batch: token ids (N, L) and image features (N, 512)."""

    towers: Any
    tokens: Any
    features: Any

    def read(self, rows: Any) -> Any:
        """Captions of these rows as vectors (B, D)."""
        return self.towers["text_head"](self.towers["text"](self.tokens[rows])[0][:, 0])

    def look(self, rows: Any) -> Any:
        """Images of these rows as vectors (B, D)."""
        return self.towers["image_head"](self.features[rows])

    def temperature(self) -> Any:
        """Its logarithm is what learns."""
        return self.towers["log_temperature"].weight.exp().squeeze()


def make_inputs(*, num_rows: int = NUM_ROWS) -> Inputs:
    """Towers and data with fixed seeds, in training mode."""
    import torch
    from torch import nn
    from transformers import BertConfig, BertModel

    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=NUM_HEADS,
        intermediate_size=INNER_WIDTH,
        max_position_embeddings=64,
    )
    log_temperature = nn.Linear(1, 1, bias=False)
    nn.init.constant_(log_temperature.weight, -2.66)
    towers = nn.ModuleDict(
        {
            "text": BertModel(config, add_pooling_layer=False),
            "text_head": nn.Linear(WIDTH, WIDTH),
            "image_head": nn.Linear(FEATURE_WIDTH, WIDTH),
            "log_temperature": log_temperature,
        }
    )
    return Inputs(
        towers=towers.train(),
        tokens=torch.randint(VOCABULARY, (num_rows, NUM_TOKENS)),
        features=torch.randn(num_rows, FEATURE_WIDTH),
    )


def ours(inputs: Inputs) -> float:
    """One step in chunks, its loss in blocks."""
    from polyglance.training.gradient_cache import encode_in_chunks

    size = len(inputs.tokens)
    images = encode_in_chunks(inputs.look, num_rows=size, chunk_rows=CHUNK_ROWS)
    texts = encode_in_chunks(inputs.read, num_rows=size, chunk_rows=CHUNK_ROWS)
    return _finish(inputs, images, texts, block_rows=BLOCK_ROWS)


def direct(inputs: Inputs) -> float:
    """One step with everything at once."""
    return _finish(inputs, inputs.look(slice(None)), inputs.read(slice(None)), block_rows=None)


def _finish(inputs: Inputs, images: Any, texts: Any, *, block_rows: int | None) -> float:
    """The loss, and gradients in every parameter."""
    import torch.nn.functional as functional

    from polyglance.losses import clip

    inputs.towers.zero_grad(set_to_none=True)
    terms = clip.contrastive(
        functional.normalize(images, dim=1),
        functional.normalize(texts, dim=1),
        temperature=inputs.temperature(),
        block_rows=block_rows,
    )
    terms["total"].backward()
    return float(terms["total"].detach())


def gradient_difference(*, num_rows: int = CHECKED_NUM_ROWS) -> float:
    """Largest difference of the two sides' gradients, of the largest entry; dropout off."""
    inputs = make_inputs(num_rows=num_rows)
    inputs.towers.eval()
    found = []
    for side in (ours, direct):
        side(inputs)
        found.append([each.grad.clone() for each in inputs.towers.parameters()])
    largest = max(float(each.abs().max()) for each in found[1])
    return max(float((a - b).abs().max()) for a, b in zip(*found, strict=True)) / largest


def _large() -> Inputs:
    """The batch of our side, with the libraries touched, so that only the step is measured."""
    return _warmed(NUM_ROWS)


def _small() -> Inputs:
    """The batch whose memory is the measure."""
    return _warmed(SMALL_NUM_ROWS)


def _warmed(num_rows: int) -> Inputs:
    tiny = make_inputs(num_rows=8)
    ours(tiny)
    direct(tiny)
    return make_inputs(num_rows=num_rows)


def run() -> Outcome:
    """Check that both find the same, weigh each in its own process, then time in turns."""
    say("  checking that both give the same gradient")
    difference = gradient_difference()
    say("  measuring memory, each side in a process of its own")
    our_bytes = peak_memory_above_inputs(setup=_large, work=ours)
    small_bytes = peak_memory_above_inputs(setup=_small, work=direct)
    say(f"  {our_bytes / 2**20:.0f} MiB, and {small_bytes / 2**20:.0f} MiB for {SMALL_NUM_ROWS}")
    large_bytes = peak_memory_above_inputs(setup=_large, work=direct)
    inputs = _large()
    seconds = best_of_alternating(
        {"ours": lambda: ours(inputs), "direct": lambda: direct(inputs)}, turns=TURNS
    )
    return Outcome(
        ratio=seconds["ours"] / seconds["direct"],
        figures={
            "alternative": f"one direct step of {NUM_ROWS} rows",
            "rows": NUM_ROWS,
            "chunk_rows": CHUNK_ROWS,
            "block_rows": BLOCK_ROWS,
            "text_tower": f"{NUM_LAYERS} layers of {WIDTH}, {NUM_TOKENS} tokens a caption",
            "parameters": sum(each.numel() for each in inputs.towers.parameters()),
            "turns": TURNS,
            "ours_seconds": round(seconds["ours"], 2),
            "direct_seconds": round(seconds["direct"], 2),
            "ours_peak_mib": round(our_bytes / 2**20, 1),
            "direct_peak_mib": round(large_bytes / 2**20, 1),
            "small_rows": SMALL_NUM_ROWS,
            "small_direct_peak_mib": round(small_bytes / 2**20, 1),
        },
        others=(
            Criterion(
                name="memory_ratio",
                value=our_bytes / small_bytes,
                target=1.2,
                direction="at most",
            ),
            Criterion(
                name="gradient_difference", value=difference, target=1e-4, direction="at most"
            ),
        ),
    )
