"""Are the retrieval metrics quick and small? 25,000 texts x 5,000 images, R@1/5/10 both ways.

Legend: N texts, M images, D width.

The alternative is the way of CLIP_benchmark's zero-shot retrieval, written anew from the method:
the whole score matrix and the whole boolean matrix of positive pairs, then in batches of 64 rows
the top k, their one-hot vectors, and the product of these with the positives; for every k and
both directions. Both sides start from the same unit vectors and are checked to find the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.harness import (
    Criterion,
    Outcome,
    best_of_alternating,
    peak_memory_above_inputs,
    say,
)

from polyglance.metrics.retrieval import retrieval_both_ways
from polyglance.vectors import unit

NUM_TEXTS, NUM_IMAGES, WIDTH = 25_000, 5_000, 512
KS = (1, 5, 10)
ALTERNATIVE_BATCH = 64
SEED = 20
# Noise for which about half of the texts find their image among the first ten.
NOISE = 5.5
TURNS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Unit vectors of texts (N, D) and images (M, D), and the image of each text (N,)."""

    texts: Any
    images: Any
    image_of_text: Any


def make_inputs(
    *, num_texts: int = NUM_TEXTS, num_images: int = NUM_IMAGES, width: int = WIDTH
) -> Inputs:
    """Images at random, and texts around them, as many for each."""
    random = np.random.default_rng(SEED)
    images = random.standard_normal((num_images, width), dtype=np.float32)
    image_of_text = np.arange(num_texts) % num_images
    noise = random.standard_normal((num_texts, width), dtype=np.float32)
    texts = unit(images[image_of_text] + np.float32(NOISE) * noise)
    return Inputs(texts=texts, images=unit(images), image_of_text=image_of_text)


def ours(inputs: Inputs) -> dict[str, float]:
    """Hit rates by polyglance."""
    both = retrieval_both_ways(inputs.texts, inputs.images, relevance=inputs.image_of_text, ks=KS)
    return {f"text_to_image@{k}": rate for k, rate in both.text_to_content.hit_rates.items()} | {
        f"image_to_text@{k}": rate for k, rate in both.content_to_text.hit_rates.items()
    }


def alternative(inputs: Inputs) -> dict[str, float]:
    """Hit rates by full matrices and one-hot vectors."""
    import torch

    texts, images = torch.from_numpy(inputs.texts), torch.from_numpy(inputs.images)
    scores = texts @ images.t()  # (N, M)
    positives = torch.zeros_like(scores, dtype=torch.bool)  # (N, M)
    positives[torch.arange(len(scores)), torch.from_numpy(inputs.image_of_text)] = True
    found = {}
    for k in KS:
        found[f"text_to_image@{k}"] = float(one_hot_hits(scores, positives, k=k).mean())
        found[f"image_to_text@{k}"] = float(one_hot_hits(scores.T, positives.T, k=k).mean())
    return found


def one_hot_hits(scores: Any, positives: Any, *, k: int) -> Any:
    """1 for each row with a positive among its top k, else 0; in batches of rows."""
    import torch

    recalls = []
    for start in range(0, len(scores), ALTERNATIVE_BATCH):
        part = scores[start : start + ALTERNATIVE_BATCH]
        right = positives[start : start + ALTERNATIVE_BATCH]
        top = torch.topk(part, k, dim=1)[1]  # (batch, k)
        one_hot = torch.nn.functional.one_hot(top, num_classes=part.shape[1])  # (batch, k, M)
        true_positives = (one_hot * right[:, None, :]).sum(dim=(1, 2))
        recalls.append(true_positives / right.sum(dim=1))
    return (torch.cat(recalls) > 0).float()


def _inputs_for_ours() -> Inputs:
    """Inputs, with the libraries touched, so that only the work is measured."""
    ours(make_inputs(num_texts=64, num_images=32))
    return make_inputs()


def _inputs_for_alternative() -> Inputs:
    """The same for the alternative, which needs torch."""
    alternative(make_inputs(num_texts=64, num_images=32))
    return make_inputs()


def run() -> Outcome:
    """Time both in alternate turns, then measure the memory of each in its own process."""
    inputs = make_inputs()
    say("  warming up and checking that both find the same")
    alternative(make_inputs(num_texts=64, num_images=32))
    found: dict[str, dict[str, float]] = {}
    seconds = best_of_alternating(
        {
            "ours": lambda: found.update(ours=ours(inputs)),
            "alternative": lambda: found.update(alternative=alternative(inputs)),
        },
        turns=TURNS,
    )
    difference = max(abs(found["ours"][key] - found["alternative"][key]) for key in found["ours"])
    say("  measuring memory, each side in a process of its own")
    our_bytes = peak_memory_above_inputs(setup=_inputs_for_ours, work=ours)
    their_bytes = peak_memory_above_inputs(setup=_inputs_for_alternative, work=alternative)
    return Outcome(
        ratio=seconds["alternative"] / seconds["ours"],
        figures={
            "alternative": "full score matrices, top k as one-hot vectors in batches of 64",
            "texts": NUM_TEXTS,
            "images": NUM_IMAGES,
            "width": WIDTH,
            "turns": TURNS,
            "ours_seconds": round(seconds["ours"], 3),
            "alternative_seconds": round(seconds["alternative"], 3),
            "ours_peak_mib": round(our_bytes / 2**20, 1),
            "alternative_peak_mib": round(their_bytes / 2**20, 1),
            "hit_rates": {key: round(rate, 4) for key, rate in found["ours"].items()},
        },
        others=(
            Criterion(
                name="memory_ratio",
                value=our_bytes / their_bytes,
                target=0.2,
                direction="at most",
            ),
            # A score in float64 may decide what float32 rounding left to chance.
            Criterion(
                name="largest_difference_of_hit_rates",
                value=difference,
                target=0.001,
                direction="at most",
            ),
        ),
    )
