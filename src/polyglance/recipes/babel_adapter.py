"""`babel-adapter`: a small adapter a language inside a frozen text tower (Babel-ImageNet).

A caption is to get the vector that the tower, before any training, gives its English one (`mse`,
`contrastive`), or find its own image (`lit`), or both (`lit+mse`). The targets are encoded once.
`simcse` aims at no target: a caption is to find itself, seen twice under dropout. The paper tried
the last two and found no gain; they are arms to compare with.

All languages train in one run, their texts mixed in every batch: each has parameters of its own,
its gradient reaches no other, and no gradient is clipped by a length common to all. So with `mse` a
language learns what it would learn alone, but for which of its texts share a batch (a test shows
it); with the contrasts, texts of other languages are among those that it has to tell apart.

Source: Geigle et al. 2024, section 6 and appendix B.3.

Legend: N texts, B of a batch, G targets, D width of the space.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache
from polyglance.heads import linear
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms, babel_imagenet, clip
from polyglance.losses.simcse import simcse
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.new_pack import new_pack
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import bounds
from polyglance.recipes.data.image_text import ImageText
from polyglance.recipes.data.targets import Lessons, gather
from polyglance.records import Pair
from polyglance.towers.trainable import tuned
from polyglance.towers.trainable.text import TrainableAdapters
from polyglance.vectors import unit

# As CLIP: the inverse temperature stops at a hundred.
LEAST_TEMPERATURE = 0.01
# English texts that a given tower and the teacher both encode, and how many must agree.
MOST_COMPARED = 500
LEAST_AGREEMENT = 0.1


@dataclass(frozen=True, kw_only=True)
class BabelAdapterConfig:
    """Settings of `babel-adapter`; the defaults are the paper's for OpenCLIP.

    Attributes:
        objective: `mse` and `contrastive` towards the English caption's vector, `lit` towards the
            image's, `lit+mse` towards both; `simcse` towards the same caption under other dropout.
        method: A bottleneck behind every block (`adapter`), or low-rank changes of the attention,
            one a language (`lora`) or one for all (`shared-lora`).
        reduction: Width of the tower over that of a bottleneck.
        rank: Inner width of a low-rank change.
        alpha: It is scaled by alpha / rank.
        vectors: Whether `mse` compares vectors as the tower gives them, or at length one.
        temperature: Of `contrastive` and `simcse`, where it stays; where that of `lit` starts.
        lit_weight: Of the contrast with images beside the distance, in `lit+mse`.
        dropout: With `simcse`: share of each block's states that a pass leaves out.
        num_epochs: Passes over all texts; 15 are enough for a distilled tower.
        batch_size: Texts a step, of all languages.
        learning_rate: Peak rate.
        weight_decay: Decoupled decay.
        warmup_share: Share of the steps in which the rate rises.
        max_length: Tokens of a text in training.
        precision: What products are computed in; targets and adapters are float32 in any case.
        seed: Fixes start and order.
    """

    objective: Literal["mse", "contrastive", "lit", "lit+mse", "simcse"] = "mse"
    method: Literal["adapter", "lora", "shared-lora"] = "adapter"
    reduction: bounds.Count = 16
    rank: bounds.Count = 16
    alpha: bounds.Count = 8
    vectors: Literal["raw", "unit"] = "raw"
    temperature: bounds.Positive = 0.01
    lit_weight: bounds.Positive = 1.0
    dropout: bounds.Share = 0.1
    num_epochs: bounds.Count = 100
    batch_size: bounds.Count = 512
    learning_rate: bounds.Positive = 1e-3
    weight_decay: bounds.NotNegative = 0.1
    warmup_share: bounds.Share = 0.2
    max_length: bounds.Count = 70
    precision: training.Precision = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds.check(self)
        if self.objective == "simcse" and not self.dropout:
            raise errors.ConfigError(
                "objective simcse with dropout 0.0; both passes would give the same vectors",
                hint="leave it out for 0.1, the default",
            )

    @classmethod
    def as_published(cls) -> BabelAdapterConfig:
        """The paper's, for a tower that was trained with contrasts (OpenCLIP).

        | the paper | source | ours |
        | --- | --- | --- |
        | text MSE, the best of three | section 6 | objective=mse, vectors=raw |
        | Pfeiffer bottlenecks, one a language | appendix B.3 | method=adapter |
        | reduction 16 | appendix B.3 | reduction=16 |
        | AdamW, 1e-3, decay 0.1 | appendix B.3 | learning_rate=0.001, weight_decay=0.1 |
        | linear, 20 % of warm-up | appendix B.3 | warmup_share=0.2 |
        | 100 epochs in batches of 512 | appendix B.3 | num_epochs=100, batch_size=512 |
        | one language a run | section 6 | all at once; the gradient of one reaches no other |
        | 70 tokens at most | appendix B.3 | max_length=70 |
        | temperature frozen for text contrasts | appendix B.3 | temperature=0.01, the trained one |
        | the last epoch | appendix B.3 | the same |
        """
        return cls()

    @classmethod
    def as_published_for_distilled(cls) -> BabelAdapterConfig:
        """The paper's, for a tower that was distilled (M-CLIP): as `as_published`, but shorter.

        | the paper | source | ours |
        | --- | --- | --- |
        | 15 epochs, no gain of longer ones | appendix B.3 | num_epochs=15 |
        | batches of 192 | appendix B.3 | batch_size=192 |
        """
        return cls(num_epochs=15, batch_size=192)


class _Learner(nn.Module):
    """What learns: the adapters, and with `lit` the temperature.

    Args:
        live: The tower with its adapters.
        side: Holds the frozen head behind the tower.
        config: Settings.
    """

    def __init__(self, live: TrainableAdapters, side: Side, config: BabelAdapterConfig) -> None:
        super().__init__()
        self.adapters = live.module
        self.log_scale = nn.Parameter(
            torch.tensor(-math.log(config.temperature)),
            requires_grad=config.objective in ("lit", "lit+mse"),
        )
        self.live, self.to_unit = live, side.head_input == "unit"
        head = side.head
        self.head = None
        if isinstance(head, AffineMap):
            self.head = [torch.from_numpy(part) for part in (head.weight, head.bias)]

    def forward(self, prepared: Any, rows: Tensor) -> Tensor:
        """Rows of prepared texts to (B, D) of the space, raw."""
        vectors = self.live.forward(prepared, rows)
        if self.head is None:
            return vectors
        if self.to_unit:
            vectors = functional.normalize(vectors, dim=1)
        weight, bias = (part.to(vectors.device) for part in self.head)
        return functional.linear(vectors, weight, bias)

    def temperature(self) -> Tensor:
        """What divides the cosines."""
        with torch.no_grad():
            # Clamped in place, not only when read: beyond the limit the gradient would stay zero.
            self.log_scale.clamp_(max=-math.log(LEAST_TEMPERATURE))
        return torch.exp(-self.log_scale)


def train(
    pairs: Sequence[Pair] = (),
    *,
    teacher: DualEncoder,
    config: BabelAdapterConfig,
    tower: Side | None = None,
    image_text: ImageText | None = None,
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """Captions in other languages in, a pack with an adapter for each out; English is not touched.

    Args:
        pairs: English captions and their translations; for `mse`, `contrastive` and `simcse`,
            which leaves the English ones aside.
        teacher: The dual encoder that learns languages.
        config: Settings.
        tower: A text tower in the teacher's space, with a linear head where it needs one; None
            for the teacher's own.
        image_text: Captions of images; for `lit`, and with English ones among them for `lit+mse`.
        cache: Keeps what the tower gave before training.
        run: Where checkpoints and logs go.

    Raises:
        TrainingError: Where no language has text enough, or the objective's data is absent.
        ConfigError: For a tower that cannot take adapters, or of another space or width.
    """
    started = time.perf_counter()
    torch.manual_seed(config.seed)
    side = teacher.text if tower is None else tower
    check_side(side, teacher)
    lessons = gather(pairs, image_text, side=side, objective=config.objective, cache=cache)
    agreement = None if tower is None else _agreement(lessons, teacher, side.reference)
    learner, report = fit(lessons, side=side, config=config, run=run)
    learnt, reference = learner.live.export()
    return new_pack(
        "babel-adapter",
        Side(learnt, reference, side.head, side.head_input),
        teacher=teacher,
        config=config,
        data={
            **lessons.facts(),
            "english_agreement_with_teacher": agreement,
            "num_steps": report.num_steps,
            "last_loss": report.history[-1]["total"] if report.history else None,
        },
        num_trainable_parameters=linear.count_parameters(learner),
        training_seconds=time.perf_counter() - started,
    )


def fit(
    lessons: Lessons,
    *,
    side: Side,
    config: BabelAdapterConfig,
    run: training.RunFolder | None = None,
) -> tuple[_Learner, training.TrainReport]:
    """Train adapters towards given vectors; the last epoch is kept.

    Args:
        lessons: Texts and targets.
        side: The tower, which stays as it is, and the head behind it.
        config: Settings.
        run: Where checkpoints and logs go.
    """
    settings = {"reduction": config.reduction}
    if config.method != "adapter":
        settings = {"rank": config.rank, "alpha": config.alpha}
    live = TrainableAdapters(
        side.tower,
        side.reference,
        languages=sorted(set(lessons.languages)),
        method="adapters" if config.method == "adapter" else config.method,
        settings=settings,
        max_tokens=config.max_length,
        dropout=config.dropout if config.objective == "simcse" else 0.0,
    )
    learner = _Learner(live, side, config)
    size = min(config.batch_size, len(lessons.texts))
    contrasts = config.objective != "mse"
    num_rows = len(lessons.texts)
    report = training.fit(
        learner,
        _step(learner, lessons, config),
        # A last batch of one has no negatives.
        batches=training.shuffled_batches(
            num_rows, batch_size=size, seed=config.seed, drop_last=contrasts
        ),
        config=training.TrainConfig(
            num_steps=config.num_epochs * (num_rows // size if contrasts else -(-num_rows // size)),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warmup_share=config.warmup_share,
            precision=config.precision,
            # A common length would let one language's gradient shorten another's.
            clip_norm=None,
        ),
        run=run,
        label="adapters",
    )
    return learner, report


def check_side(side: Side, teacher: DualEncoder) -> None:
    """Refuse a text side of another width than the teacher's, or that cannot be trained on.

    Raises:
        ConfigError: Naming both widths, the nonlinear head, or the tower's kind.
    """
    if side.dim != teacher.dim:
        raise errors.ConfigError(
            f"{side.reference} gives width {side.dim}; the teacher's space has {teacher.dim}",
            hint="give a tower whose vectors lie in that space, or a head that leads there",
        )
    if side.output != "embedding" or not isinstance(side.head, AffineMap | None):
        raise errors.ConfigError(
            f"the text side of {side.reference} has a {type(side.head).__name__} behind its "
            f"{side.output}; its embedding alone, or with one linear map, can be trained on",
            hint="give the tower with a linear head, as ridge and m2m fit it",
        )
    tuned.torch_tower(side.tower)


def _agreement(lessons: Lessons, teacher: DualEncoder, reference: str) -> float | None:
    """How often a given tower's vector of an English text is nearest the teacher's of the same.

    Adapters never leave the space they start in: in another one, all training would be in vain.

    Raises:
        ConfigError: Where the two hardly agree.
    """
    lacking = set(teacher.text.lacking(lessons.english))
    rows = [row for row, text in enumerate(lessons.english) if text not in lacking][:MOST_COMPARED]
    texts = [lessons.english[row] for row in rows]
    if len(texts) < 2:
        return None
    wanted = teacher.with_no_pack().encode_texts(texts, languages=[ENGLISH] * len(texts))
    rate = retrieval.bitext_accuracy(unit(lessons.targets[rows]), wanted)
    if rate < max(LEAST_AGREEMENT, 3 / len(texts)):
        raise errors.ConfigError(
            f"{reference} gives {100 * rate:.1f} % of {len(texts)} English texts a vector nearest "
            f"the teacher's own; {100 * LEAST_AGREEMENT:.0f} % or more show that it shares the "
            "space",
            hint="leave the tower out to adapt the teacher's own, or fit a map behind it first: "
            "polyglance train ridge",
        )
    return rate


def _step(
    learner: _Learner, lessons: Lessons, config: BabelAdapterConfig
) -> Callable[[Tensor], Terms]:
    prepared = learner.live.prepare(lessons.texts, lessons.languages)
    groups = torch.from_numpy(lessons.groups)
    as_unit = config.objective in ("contrastive", "lit", "simcse") or config.vectors == "unit"
    targets = torch.from_numpy(unit(lessons.targets) if as_unit else lessons.targets)

    def said(rows: Tensor) -> Tensor:
        vectors = learner(prepared, rows)  # (B, D)
        return functional.normalize(vectors, dim=1) if as_unit else vectors

    def towards_targets(rows: Tensor) -> Terms:
        learning = said(rows)
        wanted = targets[groups[rows]].to(learning.device)
        if config.objective == "mse":
            return babel_imagenet.squared_distance(learning, wanted)
        return clip.contrastive_distillation(
            learning,
            wanted,
            temperature=learner.temperature(),
            groups=groups[rows].to(learning.device),
        )

    def towards_both(rows: Tensor) -> Terms:
        assert lessons.images is not None
        assert lessons.image_of is not None
        learning = said(rows)
        place = torch.from_numpy(lessons.image_of)[rows]
        return babel_imagenet.lit_and_mse(
            learning,
            targets[groups[rows]].to(learning.device),
            torch.from_numpy(lessons.images)[place].to(learning.device),
            temperature=learner.temperature(),
            groups=place.to(learning.device),
            lit_weight=config.lit_weight,
        )

    def towards_itself(rows: Tensor) -> Terms:
        # Dropout is drawn anew in each pass.
        return simcse(said(rows), said(rows), temperature=learner.temperature(), groups=own[rows])

    same = {text: i for i, text in enumerate(dict.fromkeys(lessons.texts))}
    own = torch.tensor([same[text] for text in lessons.texts]).to(learner.log_scale.device)
    if config.objective == "simcse":
        return towards_itself
    return towards_both if config.objective == "lit+mse" else towards_targets
