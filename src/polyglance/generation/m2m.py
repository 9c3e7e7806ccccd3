"""`m2m` for generation: a head that gives an English text encoder's raw vectors, in any language.

The squared error of raw vectors alone, no structure term: a generator needs the very vectors that
it was trained with, lengths and all. Weights and losses are float32 whatever products are computed
in. Where the head has no layer norm the closed form it starts from is the least squared error
up to its penalty, and is kept where no epoch of descent does better on the dev split.

Source: Multilingual-To-Multimodal (M2M), section 7.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.generation.heads import GenerationHead, GenerationManifest
from polyglance.heads import closed_form, linear
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms, regression
from polyglance.model.side import Side
from polyglance.recipes import m2m, ridge
from polyglance.recipes.data import english_text
from polyglance.records import Output
from polyglance.vectors import Vectors

# Few texts and a wide target want more than what is best for directions alone.
PENALTIES = (*ridge.PENALTIES, 3.0, 10.0)


def fit(
    texts: Sequence[str],
    *,
    target: Side,
    tower: Side,
    config: m2m.M2MConfig,
    target_output: Output = "embedding",
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> GenerationHead:
    """English texts in, a head out that stands in for a generator's text encoder.

    Args:
        texts: English, like the prompts to come.
        target: The text encoder of the generator; its raw vectors are the targets.
        tower: A multilingual text tower.
        config: Settings, for generation.
        target_output: Which of the encoder's outputs; FLUX takes CLIP's in front of its projection.
        cache: Keeps what the towers gave.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For settings of a map for retrieval.
        TrainingError: For too few texts.
    """
    if config.purpose != "generation":
        raise errors.ConfigError(
            f"purpose {config.purpose!r}; a head for generation needs purpose='generation'",
            hint="M2MConfig(purpose='generation'), or M2MConfig.for_generation_as_published()",
        )
    split = english_text.split_texts(texts, dev_fraction=config.dev_fraction, seed=config.seed)
    english = [ENGLISH] * len(split.texts)
    x = text_vectors(split.texts, tower.tower, languages=english, cache=cache)
    y = target.through_head(
        text_vectors(
            split.texts, target.tower, languages=english, cache=cache, output=target_output
        )
    )
    towers = (tower.tower.fingerprint, target.tower.fingerprint, target_output)
    data_id = english_text.data_id(split.texts, *towers)
    head, facts = _fit_raw(x, y, split=split, config=config, run=run, data_id=data_id)
    manifest = GenerationManifest(
        recipe="m2m",
        tower=tower.reference,
        tower_fingerprint=tower.tower.fingerprint,
        target=target.reference,
        target_fingerprint=target.tower.fingerprint,
        target_output=target_output,
        residual=config.residual,
        config=asdict(config),
        data={
            "kind": "English text",
            "num_texts": len(split.fit_rows),
            "num_dev_texts": len(split.dev_rows),
            "num_repeated_texts_left_out": split.num_repeated,
            **facts,
        },
    )
    return GenerationHead(manifest, Side(tower.tower, tower.reference), head)


def _fit_raw(
    x: Vectors,
    y: Vectors,
    *,
    split: english_text.SplitTexts,
    config: m2m.M2MConfig,
    run: training.RunFolder | None,
    data_id: str,
) -> tuple[linear.LinearHead, dict[str, Any]]:
    """Descend the squared error of raw vectors; the epoch is chosen by it, too."""
    torch.manual_seed(config.seed)
    fit_x, fit_y = torch.from_numpy(x[split.fit_rows]), torch.from_numpy(y[split.fit_rows])
    dev_x, dev_y = torch.from_numpy(x[split.dev_rows]), torch.from_numpy(y[split.dev_rows])
    head = m2m.new_head(x.shape[1], y.shape[1], config)
    if config.start == "ridge":
        _start_from_closed_form(head, x, y, split=split)
    start = copy.deepcopy(head.state_dict())

    def step(rows: Tensor) -> Terms:
        # In float32 behind the layers: a rounded difference would be all that is left to learn.
        return regression.mean_squared_error(head(fit_x[rows]).float(), fit_y[rows])

    @torch.no_grad()
    def validate() -> float:
        return -float(functional.mse_loss(head(dev_x), dev_y))

    began = f"ridge map of {data_id}" if config.start == "ridge" else None
    score_at_start = validate()
    report = m2m.descend(
        head,
        step,
        num_texts=len(fit_x),
        config=config,
        validate=validate,
        run=run and run.about(config=asdict(config), data=data_id, start=began),
    )
    best_step, best_score = report.best_step, report.best_score
    if best_score is None or best_score < score_at_start:
        # A closed form may be all that there is to learn.
        head.load_state_dict(start)
        best_step, best_score = 0, score_at_start
    facts = {"dev_squared_error": -best_score, "best_step": best_step}
    return head, facts | _yardsticks(fit_y, dev_y)


def _start_from_closed_form(
    head: linear.LinearHead, x: Vectors, y: Vectors, *, split: english_text.SplitTexts
) -> None:
    """Begin at the ridge map that comes nearest to the dev split."""
    fit, dev = split.fit_rows, split.dev_rows
    moments = closed_form.moments(closed_form.paired_blocks(x[fit], y[fit]))
    maps = closed_form.ridge_path(moments, penalties=PENALTIES)
    head.start_from(min(maps, key=lambda one: float(np.square(one(x[dev]) - y[dev]).mean())))


def _yardsticks(fit_y: Tensor, dev_y: Tensor) -> dict[str, float]:
    """Squared errors to compare with, mean over texts and width."""
    lengths = dev_y.norm(dim=1)
    mean = fit_y.mean(dim=0).expand_as(dev_y)
    return {
        # What no unit vectors, however well directed, come below.
        "dev_squared_error_of_unit_vectors": float((lengths - 1).square().mean()) / dev_y.shape[1],
        "dev_squared_error_of_the_mean": float(functional.mse_loss(mean, dev_y)),
    }
