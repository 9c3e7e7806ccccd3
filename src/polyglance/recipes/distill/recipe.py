"""`distill`: a multilingual text tower that imitates the teacher, from parallel text.

A translation is to get the vector that the teacher gives its English text (Reimers and Gurevych
2020; M-CLIP). A given transformer is trained as a whole: see `transformer`. Without one, a
small tower of n-grams is made. Where there are few English texts (names, labels), it chooses among
the teacher's vectors, a softmax over them, which memorises names; where there are many (captions),
it ends in a linear layer and learns by contrast: see `contrast`.

Legend: N texts, G English texts, D width of the space.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from polyglance import training
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import linear
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms, cross_entropy
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import contrast, transformer
from polyglance.recipes.distill.config import DistillConfig
from polyglance.records import Pair
from polyglance.towers.tiny.text_net import NgramNet
from polyglance.towers.tiny.tower import TinyTextTower, text_tower_from
from polyglance.vectors import Vectors, unit


def train_tower(
    data: parallel_text.ParallelText,
    targets: Vectors,
    *,
    config: DistillConfig,
    run: training.RunFolder | None = None,
) -> tuple[TinyTextTower, training.TrainReport]:
    """Train a small tower alone, by choice among the teacher's vectors or by squared error.

    Args:
        data: Texts by group.
        targets: Float32 (G, D), unit: the teacher's vectors of the English texts.
        config: Settings.
        run: Where checkpoints and logs go.
    """
    torch.manual_seed(config.seed)
    memory = config.ending_for(len(data.english)) == "memory"
    width = len(data.english) if memory else targets.shape[1]
    net = NgramNet(
        num_buckets=config.num_buckets, dim=config.dim, width=width, dropout=config.dropout
    )
    report = training.fit(
        net,
        _step(net, torch.from_numpy(targets), config, memory=memory),
        batches=parallel_text.batches(
            data,
            batch_size=config.batch_size,
            related_share=config.related_share,
            related_weight=config.related_weight,
            seed=config.seed,
        ),
        config=config.descent(),
        run=run,
        label="distilled text tower",
    )
    if memory:
        return text_tower_from(
            net,
            ending="softmax",
            memory=targets,
            sharpness=config.sharpness,
            languages=list(data.languages),
        ), report
    return text_tower_from(net, ending="linear", languages=list(data.languages)), report


def train(
    pairs: Sequence[Pair],
    *,
    teacher: DualEncoder,
    config: DistillConfig,
    tower: Side | None = None,
    related: Sequence[Pair] = (),
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """Parallel text in, a language pack out; the teacher reads each English text once.

    Args:
        pairs: English texts and their translations.
        teacher: The dual encoder that learns languages.
        config: Settings.
        tower: A transformer of which a copy is trained; None for a small tower of n-grams.
        related: English texts and what only belongs to them, as keywords do.
        cache: Keeps what the towers gave.
        run: Where checkpoints and logs go.

    Raises:
        TrainingError: For too little text.
        ConfigError: For a tower that cannot be trained.
    """
    started = time.perf_counter()
    torch.manual_seed(config.seed)
    data = parallel_text.group(pairs, related)
    english = [ENGLISH] * len(data.english)
    raw = text_vectors(data.english, teacher.text.tower, languages=english, cache=cache)
    targets = teacher.text.through_head(raw)  # (G, D)
    if tower is None:
        made = _small(data, unit(targets), config=config, run=run)
    else:
        targets = targets if config.vectors == "raw" else unit(targets)
        made = transformer.imitate(data, targets, side=tower, config=config, cache=cache, run=run)
    return new_pack(
        "distill",
        made.side,
        teacher=teacher,
        config=config,
        data=data_facts(data, made.report),
        num_trainable_parameters=made.num_trainable_parameters,
        training_seconds=time.perf_counter() - started,
    )


def _small(
    data: parallel_text.GroupedText,
    targets: Vectors,
    *,
    config: DistillConfig,
    run: training.RunFolder | None,
) -> transformer.Imitator:
    """A small tower of n-grams."""
    if config.ending_for(len(data.english)) == "contrast":
        live, report = contrast.train_tower(data, targets, config=config, run=run)
        tower, reference = live.export()
        return transformer.Imitator(
            Side(tower, reference), report, linear.count_parameters(live.module)
        )
    # Normalised twice: once would change last bits, and towers of 0.1 must come out the same.
    tower, report = train_tower(
        parallel_text.featurised(data), unit(targets), config=config, run=run
    )
    num_parameters = sum(int(np.prod(t.shape)) for t in tower.tensors.values())
    return transformer.Imitator(Side(tower, "tiny:./tower"), report, num_parameters)


def data_facts(data: parallel_text.GroupedText, report: training.TrainReport) -> dict[str, Any]:
    """What a tower saw, for the manifest."""
    return {
        "kind": "parallel text",
        "num_english_texts": len(data.english),
        "num_texts": len(data.groups),
        "num_languages": len(data.languages),
        "languages_with_too_little_text": parallel_text.thin_languages(data),
        "last_loss": report.history[-1]["total"] if report.history else None,
    }


def _step(
    net: NgramNet, targets: torch.Tensor, config: DistillConfig, *, memory: bool
) -> Callable[[parallel_text.Batch], Terms]:
    def by_choice(batch: parallel_text.Batch) -> Terms:
        scores = net(batch.features)  # (B, G)
        terms = cross_entropy.choose_among(scores, batch.groups, weights=batch.weights)
        terms["choice"] = terms["total"]
        if config.squared_error_weight:
            said = functional.softmax(scores, dim=1) @ targets
            distance = (said - targets[batch.groups]).square().sum(dim=1)
            terms["squared_error"] = (distance * batch.weights).mean()
            terms["total"] = terms["choice"] + config.squared_error_weight * terms["squared_error"]
        return terms

    def by_squared_error(batch: parallel_text.Batch) -> Terms:
        distance = (net(batch.features) - targets[batch.groups]).square().sum(dim=1)
        return {"total": (distance * batch.weights).mean()}

    return by_choice if memory else by_squared_error
