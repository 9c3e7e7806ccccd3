"""Distillation of a whole transformer from the teacher, by squared error on parallel text.

A text and all its translations, the English one among them, are to get the one vector that the
teacher gives the English text: encoded once, however many translations there are.

Source: Reimers and Gurevych 2020; M-CLIP, Carlsson et al. 2022.

Legend: N texts, B of a batch, G English texts, D_in width of the tower, D of the space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache, text_vectors
from polyglance.heads import closed_form, linear
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms
from polyglance.model.side import Side
from polyglance.recipes.data.parallel_text import GroupedText
from polyglance.recipes.distill.config import DistillConfig
from polyglance.towers.trainable.text import TrainableTransformer
from polyglance.vectors import Vectors

# The closed form that a new head starts from, in units of the tower's mean variance.
START_PENALTY = 1e-2


@dataclass(frozen=True, eq=False)
class Imitator:
    """What training gave.

    Attributes:
        side: The trained tower with its head.
        report: How it went.
        num_trainable_parameters: Of tower and head.
    """

    side: Side
    report: training.TrainReport
    num_trainable_parameters: int


class _Student(nn.Module):
    """The transformer and, where one is needed, the linear head behind it.

    Args:
        live: The tower; learns.
        head: Starts as this map; None where the tower ends in the space.
        to_unit: Whether the head takes vectors at length one.
    """

    def __init__(
        self, live: TrainableTransformer, head: AffineMap | None, *, to_unit: bool
    ) -> None:
        super().__init__()
        self.tower = live.module
        self.head = None
        if head is not None:
            self.head = linear.LinearHead(head.dim_in, head.dim_out, num_layers=1)
            self.head.start_from(head)
            self.head.to(live.tower.device)
        self.live, self.to_unit = live, to_unit

    def forward(self, prepared: Any, rows: Tensor) -> Tensor:
        """Rows of prepared texts to (B, D), raw."""
        vectors = self.live.forward(prepared, rows)
        if self.head is None:
            return vectors
        mapped: Tensor = self.head(
            functional.normalize(vectors, dim=1) if self.to_unit else vectors
        )
        return mapped


def imitate(
    data: GroupedText,
    targets: Vectors,
    *,
    side: Side,
    config: DistillConfig,
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> Imitator:
    """Train a copy of a tower on all texts; the given one stays as it is.

    Args:
        data: Texts by group.
        targets: Float32 (G, D): the teacher's vectors of the English texts, raw or unit.
        side: A text tower of hf:, sentence: or openclip:, with a linear head or none.
        config: Settings; those of the trunk count.
        cache: Keeps what the untrained tower gave, where a new head starts from it.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For a tower that cannot be trained, a nonlinear head, or one of another width.
    """
    live = TrainableTransformer.copy_of(side.tower, side.reference, max_tokens=config.max_tokens)
    head = start_of_head(data, targets, side=side, cache=cache)
    to_unit = side.head is not None and side.head_input == "unit"
    student = _Student(live, head, to_unit=to_unit)
    num_rows, size = len(data.texts), config.trunk_batch_size
    report = training.fit(
        student,
        _step(student, data, targets, related_weight=config.related_weight),
        batches=training.shuffled_batches(num_rows, batch_size=size, seed=config.seed),
        config=training.TrainConfig(
            num_steps=config.trunk_epochs * -(-num_rows // size),
            learning_rate=config.trunk_rate,
            warmup_share=config.trunk_warmup_share,
        ),
        # Its start is computed from the data, whose fingerprint the run has.
        run=run if run is None or head is None else run.about(start="map fitted on the data"),
        label="distilled transformer",
    )
    tower, reference = live.export()
    learnt = None if student.head is None else student.head.cpu().fold()
    return Imitator(
        Side(tower, reference, learnt, "unit" if to_unit else "raw"),
        report,
        linear.count_parameters(student),
    )


def start_of_head(
    data: GroupedText, targets: Vectors, *, side: Side, cache: VectorCache | None = None
) -> AffineMap | None:
    """What is behind the tower at the start: its own head, a closed form, or nothing.

    A new head is the ridge map from the untrained tower's vectors of the English texts to the
    teacher's: a random one would first send wrong gradients through the whole tower.

    Args:
        data: Holds the English texts.
        targets: Float32 (G, D).
        side: The tower; one of the space's width without a head gets none.
        cache: Keeps what the tower gave.

    Raises:
        ConfigError: For a head that is nonlinear or leads to another width.
    """
    dim = targets.shape[1]
    if side.head is not None or side.output != "embedding":
        if isinstance(side.head, AffineMap) and side.dim == dim and side.output == "embedding":
            return side.head
        raise errors.ConfigError(
            f"a {type(side.head).__name__} of width {side.dim} stands behind the {side.output} of "
            f"{side.reference}; one linear map to the space's {dim} behind its embedding can be "
            "trained on",
            hint="give the tower without a head",
        )
    if side.dim == dim:
        return None
    raw = text_vectors(
        data.english, side.tower, languages=[ENGLISH] * len(data.english), cache=cache
    )
    return closed_form.ridge(raw, targets, penalty=START_PENALTY)


def _step(
    student: _Student, data: GroupedText, targets: Vectors, *, related_weight: float
) -> Callable[[Tensor], Terms]:
    prepared = student.live.prepare(data.texts, data.text_languages)
    wanted, groups = torch.from_numpy(targets), torch.from_numpy(data.groups)
    weights = torch.where(torch.from_numpy(data.exact), 1.0, related_weight)

    def step(rows: Tensor) -> Terms:
        said = student(prepared, rows)  # (B, D)
        distance = (said - wanted[groups[rows]].to(said.device)).square().sum(dim=1)
        return {"total": (distance * weights[rows].to(said.device)).mean()}

    return step
