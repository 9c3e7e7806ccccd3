"""The model of contrastive training: text and item side, dev score, and the pack made of it.

Shared by the recipes that train text against images with a contrast (`nllb-clip`, `etcl`).

Legend: N captions, M contents, B rows of a batch, D width of the space.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache
from polyglance.heads import linear
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes.contrastive import text_side as learning_text
from polyglance.recipes.contrastive.config import ContrastiveConfig
from polyglance.recipes.contrastive.item_side import Shown
from polyglance.recipes.data import image_text
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import Pair
from polyglance.towers.trainable.text import TrainableText
from polyglance.training import distributed, gradient_cache
from polyglance.vectors import Vectors

# As CLIP: beyond a hundred the softmax is so sharp that training breaks.
MOST_SCALE = 100.0
# Of a language every dev content may have captions; so many are looked at, or one a content.
LEAST_DEV_CAPTIONS = 2000
DEV_BLOCK = 512


class JointNet(nn.Module):
    """What learns: text tower and projection, content trunk and head, logit scale.

    Args:
        live: The text tower.
        projection: Behind it; None where it ends in the space.
        unit_input: Whether the projection takes the tower's vectors at length one.
        content_trunk: A content tower that learns, too.
        content_head: Behind the contents; None where they stay as they are.
        temperature: At the start; the logit scale is its inverse.
        bias: Of the scores at the start, with the sigmoid objective; None for none.

    Attributes:
        device: Where vectors are compared: the text tower's.
    """

    def __init__(
        self,
        live: TrainableText,
        *,
        projection: nn.Linear | None,
        unit_input: bool = False,
        content_trunk: nn.Module | None = None,
        content_head: nn.Module | None = None,
        temperature: float,
        bias: float | None = None,
    ) -> None:
        super().__init__()
        self.tower, self.projection = live.module, projection
        self.content_trunk, self.content_head = content_trunk, content_head
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        self.live, self.unit_input = live, unit_input
        # Towers stay where they are; what is small goes where the text tower is.
        self.device = next((p.device for p in live.module.parameters()), torch.device("cpu"))
        for small in (projection, content_head):
            if small is not None:
                small.to(self.device)
        for number in (self.log_scale, self.bias):
            if number is not None:
                number.data = number.data.to(self.device)

    def texts(self, prepared: Any, rows: Tensor) -> Tensor:
        """Rows of prepared texts to (B, D), unit."""
        vectors = self.live.forward(prepared, rows)
        if self.projection is not None:
            vectors = functional.normalize(vectors, dim=1) if self.unit_input else vectors
            vectors = self.projection(vectors)
        return functional.normalize(vectors, dim=1)

    def contents(self, vectors: Tensor) -> Tensor:
        """(B, D') as they come to the head, or (B, D) where there is none, to (B, D), unit."""
        vectors = vectors.to(self.device)
        if self.content_head is not None:
            vectors = self.content_head(vectors)
        return functional.normalize(vectors, dim=1)

    def scale(self) -> Tensor:
        """What the cosines are multiplied by; a hundred at most."""
        with torch.no_grad():
            # Clamped in place, not only when read: beyond the limit the gradient would stay zero.
            self.log_scale.clamp_(max=math.log(MOST_SCALE))
        return torch.exp(self.log_scale)

    def temperature(self) -> Tensor:
        """What divides the cosines."""
        return 1 / self.scale()


def build_net(
    tower: Side | None,
    content: Shown,
    *,
    dim: int,
    bias: float | None = None,
    config: ContrastiveConfig,
    cache: VectorCache | None,
) -> JointNet:
    """Everything that learns, at its start.

    Args:
        tower: The text tower that was given, or None.
        content: The content side.
        dim: Width D of the space.
        bias: Of the scores, with the sigmoid objective.
        config: The recipe's.
        cache: Keeps what a frozen text trunk gives.
    """
    live = learning_text.live_text(tower, dim=dim, config=config, cache=cache)
    return JointNet(
        live,
        projection=learning_text.text_projection(tower, live, dim=dim),
        unit_input=tower is None or tower.head_input == "unit",
        content_trunk=content.trunk,
        content_head=content.head,
        temperature=config.temperature,
        bias=bias,
    )


def split(data: ImageText, config: ContrastiveConfig) -> tuple[ImageText, ImageText | None]:
    """Contents to learn from, and those that choose the step, if any do."""
    return image_text.split(
        data,
        dev_fraction=config.dev_fraction,
        seed=config.seed,
        most=config.most_dev_images,
    )


def encode_texts(net: JointNet, prepared: Any, rows: Tensor, *, chunk_rows: int | None) -> Tensor:
    """Texts of a batch to (B, D), unit: this process's share in chunks, and the others' shares.

    Args:
        net: While it learns.
        prepared: By `net.live.prepare`.
        rows: int64 (B,), the same in every process.
        chunk_rows: Rows whose activations are held at a time; None holds them all.
    """
    return _encode(lambda some: net.texts(prepared, some), rows, chunk_rows=chunk_rows)


def encode_items(
    net: JointNet, show: Callable[[Tensor], Tensor], rows: Tensor, *, chunk_rows: int | None
) -> Tensor:
    """The same for contents; what does not learn is looked up at once.

    Args:
        net: While it learns.
        show: Rows to what the content head takes.
        rows: int64 (B,).
        chunk_rows: As in `encode_texts`.
    """
    if net.content_trunk is None and net.content_head is None:
        return net.contents(show(rows))
    return _encode(lambda some: net.contents(show(some)), rows, chunk_rows=chunk_rows)


def _encode(forward: Callable[[Tensor], Tensor], rows: Tensor, *, chunk_rows: int | None) -> Tensor:
    own = distributed.own_rows(rows)
    vectors = gradient_cache.encode_in_chunks(
        lambda at: forward(own[at]), num_rows=len(own), chunk_rows=chunk_rows
    )
    return distributed.gather_rows(vectors)


def dev_score(
    net: JointNet, dev: ImageText | None, contents_of: Callable[[Tensor], Tensor]
) -> Callable[[], float] | None:
    """Text-to-content hit rate at 10 on the dev contents, the mean over languages.

    Args:
        net: While it learns.
        dev: Contents set aside; None for no score.
        contents_of: Rows of them to (B, D), what `net.contents` takes.
    """
    if dev is None:
        return None
    chosen = _spread(dev.language_of, most=max(LEAST_DEV_CAPTIONS, len(dev.item_ids)))
    texts = [dev.captions[row].text for row in chosen.tolist()]
    languages = [dev.captions[row].language for row in chosen.tolist()]
    prepared = net.live.prepare(texts, languages)
    wanted, spoken = dev.content_of[chosen], dev.language_of[chosen]

    def score() -> float:
        said = _in_blocks(lambda rows: net.texts(prepared, rows), len(texts))
        shown = _in_blocks(lambda rows: net.contents(contents_of(rows)), len(dev.item_ids))
        hits = retrieval.hit_rates_at_k(said, shown, relevance=wanted, ks=(10,))[10]
        return float(np.mean([hits[spoken == language].mean() for language in np.unique(spoken)]))

    return score


def _spread(languages: np.ndarray[Any, Any], *, most: int) -> np.ndarray[Any, Any]:
    """Rows that number `most` at most, of all languages alike."""
    order = np.argsort(languages, kind="stable")
    first = np.concatenate([[0], np.flatnonzero(np.diff(languages[order])) + 1])
    rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    return np.sort(order[np.argsort(rank, kind="stable")[:most]])


def _in_blocks(function: Callable[[Tensor], Tensor], count: int) -> Vectors:
    parts = torch.split(torch.arange(count), DEV_BLOCK)
    with torch.no_grad():
        return np.concatenate([function(rows).float().cpu().numpy() for rows in parts])


def make_pack(
    net: JointNet,
    *,
    recipe: str,
    teacher: DualEncoder,
    side: Side | None,
    config: ContrastiveConfig,
    facts: Mapping[str, Any],
    content_side: Side | None = None,
    started: float,
) -> LanguagePack:
    """What was learnt, as a pack; scores are added by measuring it.

    Args:
        net: Trained.
        recipe: Its name.
        teacher: The dual encoder that learns languages.
        side: The text tower that was given, or None.
        config: The recipe's config, a dataclass.
        facts: Of data and training.
        content_side: The content side that was trained, where an index must be encoded anew; the
            net's content head is part of it.
        started: `time.perf_counter()` at the beginning.
    """
    tower, reference = net.live.export()
    content_head = None
    if isinstance(net.content_head, nn.Linear) and content_side is None:
        content_head = learning_text.map_of(net.content_head)
    head = None if net.projection is None else learning_text.map_of(net.projection)
    return new_pack(
        recipe,
        Side(tower, reference, head, "unit" if side is None else side.head_input),
        teacher=teacher,
        config=config,
        data=facts,
        num_trainable_parameters=linear.count_parameters(net),
        training_seconds=time.perf_counter() - started,
        content_head=content_head,
        content_side=content_side,
    )


def training_facts(report: training.TrainReport) -> dict[str, Any]:
    """What happened, for the manifest."""
    return {
        "num_steps": report.num_steps,
        "last_loss": report.history[-1]["total"] if report.history else None,
        "best_step": report.best_step,
        "dev_hit_rate_at_10": report.best_score,
    }


def run_of(
    run: training.RunFolder | None,
    *,
    config: ContrastiveConfig,
    data: ImageText,
    parallel: Sequence[Pair] = (),
) -> training.RunFolder | None:
    """A run folder that is resumed with this config and data only.

    Items count by their ids and what is said of them: vectors of the same images change in their
    last bits when a cache is made anew.

    Args:
        run: Where, or None.
        config: The recipe's config, a dataclass.
        data: Contents and captions.
        parallel: Translations that are learnt from besides.
    """
    if run is None:
        return None
    said = [(c.item_id, c.text, c.language) for c in data.captions]
    pairs = [(p.text_a, p.language_a, p.text_b, p.language_b) for p in parallel]
    digest = training.fingerprint(data.item_ids, data.contents.shape, said, pairs)
    return run.about(config=asdict(config), data=digest)


def check_widths(data: ImageText, teacher: DualEncoder) -> None:
    """Refuse contents of another space than the teacher's.

    Raises:
        VectorError: Naming both widths.
    """
    if data.contents.shape[1] != teacher.dim:
        raise errors.VectorError(
            f"the contents have width {data.contents.shape[1]}, the teacher's space "
            f"{teacher.dim}; towers of unequal width cannot be compared",
            hint="encode the contents with this teacher: teacher.encode_items",
        )
