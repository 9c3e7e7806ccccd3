"""`uclip`: two heads into a shared space, from English text and two banks that nobody paired.

Source: uCLIP. At inference the image side goes through its head as well: an index is re-projected
in seconds, never encoded again. Where paper and released code differ, METHODS decides: heads and
normalised answers as released, the intra term squared as in the paper.

Legend: Q English texts, B of a batch, D and E widths of the space and the tower.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from polyglance import training
from polyglance.encoding.texts import VectorCache
from polyglance.heads import affine
from polyglance.heads.mlp import NormName, ProjectionHead
from polyglance.losses import Terms
from polyglance.losses.uclip import uclip
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import bounds
from polyglance.recipes.data.pseudo_pairs import Banks, PseudoPairs, gather
from polyglance.training import half_precision
from polyglance.vectors import unit

MOST_DEV_TEXTS = 2000
# Mean and variance of some thousand rows are those of all to a hundredth.
MOST_RECALIBRATION_ROWS = 2048


@dataclass(frozen=True, kw_only=True)
class UclipConfig:
    """Settings of `uclip`.

    Attributes:
        dim: Width of the shared space.
        expansion: Hidden width of a head as a multiple of what it takes.
        norm: `batch` as released, or `layer`.
        recalibrate: Whether batch norms take their statistics from clean vectors at the end;
            training sees noisy ones only.
        retrieval_temperature: Of the softmax over a bank.
        temperature: Of the contrastive terms; fixed.
        noise: Standard deviation a dimension of what is added to the four unit vectors.
        text_weight: Of the term between the two English vectors.
        pseudo_weight: Of the term between the two answers.
        intra_weight: lambda, of the term inside each encoder's space.
        num_epochs: Passes over the English texts.
        least_steps: Optimiser steps at least: five passes over 3,000 names are 25 steps, after
            which nothing is learnt (R@10 2.4 on pictograms, 65 after 200).
        batch_size: B.
        learning_rate: Peak rate of AdamW, falling linearly.
        weight_decay: Decoupled decay.
        clip_norm: Largest gradient norm; none leaves gradients as they are.
        precision: Of the heads' products; the loss is computed in float32 either way. `auto` takes
            bfloat16 where the processor has it; where it has not, that takes many times longer.
        dev_fraction: Share of the English texts that measures and does not train.
        seed: Fixes start, order and noise.
    """

    dim: bounds.Count = 512
    expansion: bounds.Positive = 2.0
    norm: NormName = "batch"
    recalibrate: bool = True
    retrieval_temperature: bounds.Positive = 0.01
    temperature: bounds.Positive = 0.01
    noise: bounds.NotNegative = 0.063
    text_weight: bounds.NotNegative = 1.0
    pseudo_weight: bounds.NotNegative = 1.0
    intra_weight: bounds.NotNegative = 0.1
    num_epochs: bounds.Count = 5
    least_steps: bounds.CountOrZero = 200
    batch_size: bounds.Count = 512
    learning_rate: bounds.Positive = 1e-3
    weight_decay: bounds.NotNegative = 0.01
    clip_norm: bounds.Positive | None = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    dev_fraction: bounds.DevShare = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)

    @classmethod
    def as_published(cls) -> UclipConfig:
        """The paper's training, as its trainer runs it.

        | the paper | source | ours |
        | --- | --- | --- |
        | d to 2 d, batch norm, ReLU, 512 | released projector.py | dim=512, expansion=2.0 |
        | statistics of noisy vectors | released model.py | norm=batch, recalibrate=false |
        | softmax over a bank at 0.01 | released train.py | retrieval_temperature=0.01 |
        | contrasts at 0.01 | released loss.py | temperature=0.01 |
        | noise of variance 0.004 on all four | released train.py | noise=0.0632456 |
        | L_text + L_pseudo | section "Inter Alignment" | text_weight=1.0, pseudo_weight=1.0 |
        | lambda 0.1, distances not squared | released train.py | intra_weight=0.1, squared |
        | 5 epochs, 512 a device | released train.py | num_epochs=5, batch_size=512 |
        | no least number of steps | released train.py | least_steps=0 |
        | a last batch that is not full | its trainer's default | dropped |
        | AdamW, 1e-3 falling in a line | released train.py | learning_rate=0.001 |
        | no decay | its trainer's default | weight_decay=0.0 |
        | clipped at 1.0 | its trainer's default | clip_norm=1.0 |
        | float16 | released train.py | precision=auto: bfloat16 where it pays |
        | 0.1 % of the texts set aside | released train.py | dev_fraction=0.001 |
        """
        return cls(
            noise=0.0632456,
            recalibrate=False,
            least_steps=0,
            weight_decay=0.0,
            dev_fraction=0.001,
        )


@dataclass(frozen=True, eq=False)
class FittedHeads:
    """What training gave: a head for the teacher's space, one for the tower's, and what to tell."""

    clip: affine.Chain
    text: affine.Chain
    num_trainable_parameters: int
    seconds: float
    facts: dict[str, Any]


def fit(
    pairs: PseudoPairs, config: UclipConfig, *, run: training.RunFolder | None = None
) -> FittedHeads:
    """Train both heads on pseudo pairs.

    Args:
        pairs: Computed once; they are constants.
        config: Settings.
        run: Where checkpoints and logs go.

    Raises:
        TrainingError: For a batch of one, which has no negatives.
    """
    started = time.perf_counter()
    torch.manual_seed(config.seed)
    both = nn.ModuleList(
        ProjectionHead(width, config.dim, expansion=config.expansion, norm=config.norm)
        for width in (pairs.english_clip.shape[1], pairs.english_text.shape[1])
    )
    train_rows, dev_rows = _split(len(pairs), config)
    kept, constants = torch.from_numpy(train_rows), _constants(pairs)
    half = config.precision == "bfloat16"
    if config.precision == "auto":
        half = half_precision.pays()

    def step(rows: Tensor) -> Terms:
        clip, text = (
            _project(both[i], constants[i], kept[rows], noise=config.noise, half=half)
            for i in (0, 1)
        )
        return uclip(
            e_clip=clip[0],
            v_clip=clip[1],
            e_text=text[0],
            m_text=text[1],
            temperature=config.temperature,
            text_weight=config.text_weight,
            pseudo_weight=config.pseudo_weight,
            intra_weight=config.intra_weight,
            # The heads take their gradients in that precision in any case.
            gradient_dtype=torch.bfloat16 if half else None,
        )

    size = min(config.batch_size, len(kept))
    report = training.fit(
        both,
        step,
        batches=training.shuffled_batches(
            len(kept), batch_size=size, seed=config.seed, drop_last=True
        ),
        config=training.TrainConfig(
            num_steps=max(config.num_epochs * max(1, len(kept) // size), config.least_steps),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            clip_norm=config.clip_norm,
        ),
        run=run,
        label="uclip",
    )
    chains = [_folded(both[i], constants[i], kept, config) for i in (0, 1)]
    facts = {
        "num_steps": report.num_steps,
        "last_loss": report.history[-1]["total"],
        "precision": "bfloat16" if half else "float32",
        **_dev_facts(chains, pairs.rows(dev_rows)),
    }
    size_of = sum(p.numel() for p in both.parameters())
    return FittedHeads(chains[0], chains[1], size_of, time.perf_counter() - started, facts)


def train(
    queries: Sequence[str],
    banks: Banks,
    *,
    teacher: DualEncoder,
    tower: Side,
    config: UclipConfig,
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """English texts and two banks in, a language pack out that re-projects an index.

    Args:
        queries: English texts.
        banks: Images of the teacher's space, and texts in the languages to learn.
        teacher: The dual encoder that learns languages.
        tower: A multilingual text tower.
        config: Settings.
        cache: Keeps what towers and banks gave.
        run: Where checkpoints and logs go.

    Raises:
        TrainingError: For an empty bank, or no English text.
    """
    pairs = gather(
        queries,
        banks,
        teacher=teacher,
        tower=tower,
        temperature=config.retrieval_temperature,
        cache=cache,
    )
    fitted = fit(pairs, config, run=run)
    return new_pack(
        "uclip",
        Side(tower.tower, tower.reference, fitted.text),
        teacher=teacher,
        config=config,
        data={
            "kind": "English text, an image bank and a text bank, unpaired",
            "num_english_texts": len(pairs),
            "num_images": len(banks.images),
            "num_texts": len(banks.texts),
            "num_languages": len(set(banks.languages)),
            **fitted.facts,
        },
        num_trainable_parameters=fitted.num_trainable_parameters,
        training_seconds=fitted.seconds,
        content_head=fitted.clip,
    )


def _constants(pairs: PseudoPairs) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """English vectors and answers for each head, (Q, width), not copied."""
    clip = torch.from_numpy(pairs.english_clip), torch.from_numpy(pairs.image_clip)
    text = torch.from_numpy(pairs.english_text), torch.from_numpy(pairs.other_text)
    return clip, text


def _project(
    head: nn.Module, vectors: tuple[Tensor, Tensor], rows: Tensor, *, noise: float, half: bool
) -> tuple[Tensor, Tensor]:
    """Perturb English vectors and answers, and send both through the head they share: unit (B, D).

    Each goes by itself, as released: a batch norm sees one kind of vector at a time.
    """
    found = []
    # Half precision takes two thirds of the time and cost nothing on pictograms (docs/log.md).
    # One context for both kinds: weights are cast once.
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
        for kind in vectors:
            chosen = kind.index_select(0, rows)
            if noise:
                drawn = torch.randn_like(chosen)
                chosen = functional.normalize(chosen.add(drawn, alpha=noise), dim=1)
            found.append(functional.normalize(head(chosen).float(), dim=1))
    return found[0], found[1]


def _split(num_rows: int, config: UclipConfig) -> tuple[Any, Any]:
    order = np.random.default_rng(config.seed).permutation(num_rows)
    num_dev = min(MOST_DEV_TEXTS, max(1, int(num_rows * config.dev_fraction)))
    return order[num_dev:], order[:num_dev]


def _folded(
    head: nn.Module, vectors: tuple[Tensor, Tensor], rows: Tensor, config: UclipConfig
) -> affine.Chain:
    assert isinstance(head, ProjectionHead)
    if config.recalibrate:
        some = rows[:: max(1, len(rows) // MOST_RECALIBRATION_ROWS)]
        head.recalibrate(torch.cat([kind[some] for kind in vectors]))
    return head.fold()


def _dev_facts(chains: Sequence[affine.Chain], dev: PseudoPairs) -> dict[str, float]:
    """Whether held-out texts find themselves across the two encoders, through both heads."""
    clip, text = chains
    said = unit(text(dev.english_text))
    return {
        "num_dev_texts": len(dev),
        "dev_hit_rate_at_1": retrieval.bitext_accuracy(said, unit(clip(dev.english_clip))),
    }
