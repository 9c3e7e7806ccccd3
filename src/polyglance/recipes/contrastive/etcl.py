"""`etcl`: triples of an image and captions in two languages, perhaps after MURAL's two pairs.

MURAL learns images with English captions and texts with their translations; other languages meet
the images by way of English alone. The enhancement (ETCL) then compares all three of a triple with
each other. One text tower is shared by all languages. The image side is frozen, or has a linear
head behind it that learns (the index is then re-projected), or learns as a whole from its pixels,
as in the paper (`regime=full`; the index is then encoded again).

`fine-tuning` is image-text contrast alone, in all languages: what the triples are compared with.
`EtclConfig.as_published()` is the paper's.

Legend: N captions, B of a batch, D width of the space.

Source: ETCL, sections 3.1 to 3.3; MURAL, Jain et al. 2021.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import torch

from polyglance import errors, training
from polyglance.encoding.texts import VectorCache
from polyglance.languages.registry import ENGLISH
from polyglance.losses import Terms, clip
from polyglance.losses.etcl import etcl, mural
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import bounds
from polyglance.recipes.contrastive import item_side, model, text_side
from polyglance.recipes.contrastive.config import ContrastiveConfig
from polyglance.recipes.data import sampling
from polyglance.recipes.data.image_text import ImageText
from polyglance.records import Pair
from polyglance.training import distributed

Batches = Callable[[int], Any]
Step = Callable[[Any], Terms]

NUM_LOOKS = 10


@dataclass(frozen=True, kw_only=True)
class EtclConfig(ContrastiveConfig):
    """Settings of `etcl`.

    Attributes:
        stage: `mural` on English captions and translations, `etcl` on triples, both one after the
            other, or `fine-tuning` on image-text pairs of all languages.
        text_pairs: What `mural` learns between texts: the `given` translations, in whatever two
            languages they are (of captions, English ones with others), or `any-two` languages
            that say the same, also by way of a third.
        optimizer: A row of `training.optimizers`: `adamw`, or the paper's `lamb`.
        num_mural_steps: Steps of the pre-training.
        num_etcl_steps: Steps on triples.
        num_fine_tuning_steps: Steps on image-text pairs.
        etcl_rate_factor: On those rates, in the stage `etcl`; the paper has a tenth.
        fine_tuning_rate_factor: On those rates, in the stage `fine-tuning`; a hundredth there.
        etcl_batch_size: Triples a step; none for `batch_size`.
        fine_tuning_batch_size: Image-text pairs a step of that stage; none for `batch_size`.
        warmup_share: Share of the pre-training's steps in which the rate rises; from there, and in
            the other stages from the start, it falls to zero in a line.
        margin: Off the cosine of right pairs, in the stage `mural`.
        fine_tuning_margin: The same in the stage `fine-tuning`.
        label_smoothing: Share of the target that is spread over all candidates.
    """

    stage: Literal["mural", "etcl", "mural+etcl", "fine-tuning"] = "mural+etcl"
    text_pairs: Literal["given", "any-two"] = "given"
    num_mural_steps: bounds.Count = 250
    num_etcl_steps: bounds.Count = 250
    num_fine_tuning_steps: bounds.Count = 250
    etcl_rate_factor: bounds.Positive = 1.0
    fine_tuning_rate_factor: bounds.Positive = 1.0
    etcl_batch_size: bounds.Count | None = None
    fine_tuning_batch_size: bounds.Count | None = None
    margin: bounds.NotNegative = 0.3
    fine_tuning_margin: bounds.NotNegative = 0.0
    label_smoothing: bounds.Share = 0.1
    max_tokens: bounds.Count | None = 64

    @classmethod
    def as_published(cls) -> EtclConfig:
        """The paper's schedule, for towers and batches of its size.

        The stage is pre-training and enhancement; `stage=fine-tuning` is its third.

        | the paper | source | ours |
        | --- | --- | --- |
        | MURAL, then the enhancement | section 3.2 | stage=mural+etcl |
        | both towers learn | section 3.3 | regime=full: the teacher's image tower |
        | random crops, 289 of 346, flips | section 3.3 | augmentation=crop-flip |
        | pairs of CCMatrix, 1,197 bitexts | section 3.4 | text_pairs=given, those of --parallel |
        | LAMB, decay 1e-5 | section 3.3 | optimizer=lamb, weight_decay=1e-05 |
        | 800,000 steps to 1e-3 and down | section 3.3 | num_mural_steps=800000, trunk_rate=0.001 |
        | 10,000 steps of warm-up | section 3.3 | warmup_share=0.0125, projection_rate=0.001 |
        | a batch of 16,384 | section 3.3 | batch_size=16384 |
        | label smoothing 0.1 | section 3.3 | label_smoothing=0.1 |
        | margin 0.3, of MURAL's loss | section 3.3 | margin=0.3; none of triples |
        | temperature from 1.0 | section 3.3 | temperature=1.0, learns |
        | 64 tokens | section 3.3 | max_tokens=64 |
        | 1e-4 to zero in 3,000 steps | section 3.3 | num_etcl_steps=3000, etcl_rate_factor=0.1 |
        | a batch of 32,768 | section 3.3 | etcl_batch_size=32768 |
        | fine-tuned for 3,000 (COCO: 6,000) | section 4.1 | num_fine_tuning_steps=3000 |
        | at 1e-5 | section 4.1 | fine_tuning_rate_factor=0.01 |
        | a batch of 2,048 | section 4.1 | fine_tuning_batch_size=2048 |
        | the rest as in pre-training | section 4.1 | fine_tuning_margin=0.3 |
        | negatives of all devices | section 3.3 | the same; in chunks: chunk_rows=256 |
        """
        return cls(
            regime="full",
            augmentation="crop-flip",
            optimizer="lamb",
            num_mural_steps=800_000,
            num_etcl_steps=3000,
            num_fine_tuning_steps=3000,
            batch_size=16_384,
            etcl_batch_size=32_768,
            fine_tuning_batch_size=2048,
            fine_tuning_margin=0.3,
            projection_rate=1e-3,
            trunk_rate=1e-3,
            etcl_rate_factor=0.1,
            fine_tuning_rate_factor=0.01,
            weight_decay=1e-5,
            warmup_share=0.0125,
            temperature=1.0,
            chunk_rows=256,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Parts:
    """What every stage learns with: net, content side, data, config."""

    net: model.JointNet
    content: item_side.Shown
    data: ImageText
    parallel: Sequence[Pair]
    config: EtclConfig


def train(
    data: ImageText,
    *,
    teacher: DualEncoder,
    config: EtclConfig,
    tower: Side | None = None,
    parallel: Sequence[Pair] = (),
    translations: Sequence[Pair] = (),
    pixels: item_side.Pixels | None = None,
    files: item_side.Files | None = None,
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """Images with captions in several languages in, a language pack out.

    Args:
        data: Contents encoded by the teacher, and captions.
        teacher: The dual encoder that learns languages.
        config: Settings.
        tower: A pretrained text tower, which stays as it is: a copy learns. A linear head behind
            it is where its projection starts. None for a fresh one of n-grams.
        parallel: Translations of English for the stage `mural`; where neither these nor
            `translations` are given, captions of one image are, the image left out.
        translations: Further ones between any two languages.
        pixels: With the regime `full`: by content id the array of the image tower's `preprocess`;
            any mapping. None prepares those of `files` once, on disk.
        files: By content id where it lies; for `full`, and for `trained` without features.
        cache: Keeps what towers gave.
        run: Where checkpoints and logs go, a folder a stage.

    Raises:
        ConfigError: For a tower that cannot learn, or settings out of range.
        VectorError: For contents of another width than the teacher's.
        InputError: Where no image has captions in two languages, and a stage needs them; where
            features or pixels are needed and absent.
        TrainingError: Where `mural` finds no English captions.
    """
    started = time.perf_counter()
    model.check_widths(data, teacher)
    torch.manual_seed(config.seed)
    data, content = item_side.shown(
        data, teacher=teacher, config=config, pixels=pixels, files=files
    )
    kept, dev = model.split(data, config)
    parallel = [*parallel, *translations]
    net = model.build_net(tower, content, dim=teacher.dim, config=config, cache=cache)
    validate = None if dev is None else model.dev_score(net, dev, content.rows_of(dev))
    own_run = model.run_of(run, config=config, data=data, parallel=parallel)
    parts = _Parts(net=net, content=content, data=kept, parallel=parallel, config=config)
    reports: dict[str, dict[str, Any]] = {}
    with distributed.connected():  # once for all stages: processes cannot meet twice at one port
        for name in config.stage.split("+"):
            batches, step = _STAGES[name](parts)
            report = training.fit(
                net,
                step,
                batches=batches,
                config=_descent(name, net, config, looks=dev is not None),
                validate=validate,
                run=None if own_run is None else own_run.stage(name),
                label=name,
            )
            reports[name] = model.training_facts(report)
    return model.make_pack(
        net,
        recipe="etcl",
        teacher=teacher,
        side=tower,
        config=config,
        facts={
            **data.facts(),
            "num_parallel_pairs": len(parallel),
            **reports[name],
            "stages": reports,
        },
        content_side=content.side(),
        started=started,
    )


def _descent(
    name: str, net: model.JointNet, config: EtclConfig, *, looks: bool
) -> training.TrainConfig:
    """How a stage descends: only the pre-training warms up."""
    num_steps, factor, warmup_share = {
        "mural": (config.num_mural_steps, 1.0, config.warmup_share),
        "etcl": (config.num_etcl_steps, config.etcl_rate_factor, 0.0),
        "fine-tuning": (config.num_fine_tuning_steps, config.fine_tuning_rate_factor, 0.0),
    }[name]
    return training.TrainConfig(
        num_steps=num_steps,
        learning_rate=config.projection_rate * factor,
        optimizer=config.optimizer,
        weight_decay=config.weight_decay,
        warmup_share=warmup_share,
        rate_factors=text_side.rate_factors(net.live, config),
        validate_every=max(1, num_steps // NUM_LOOKS) if looks else None,
        precision=config.precision,
    )


def _mural(parts: _Parts) -> tuple[Batches, Step]:
    """Images with English captions, and texts with their translations."""
    net, config = parts.net, parts.config
    if ENGLISH not in parts.data.languages:
        raise errors.TrainingError(
            f"no English captions (languages: {', '.join(parts.data.languages)}); the stage mural "
            "learns images from those",
            hint="give some, or train with stage=etcl",
        )
    english = parts.data.speaking(ENGLISH)
    settings = {"batch_size": config.batch_size, "seed": config.seed}
    any_two = config.text_pairs == "any-two"
    if parts.parallel:
        texts = sampling.parallel_texts(parts.parallel)
        prepared = net.live.prepare(texts.texts, texts.languages)
        draw = sampling.group_pair_batches if any_two else sampling.text_pair_batches
        translations = draw(texts, **settings)
    else:
        prepared = net.live.prepare(parts.data.texts, parts.data.caption_languages)
        one_of_them = None if any_two else ENGLISH
        translations = sampling.caption_pair_batches(
            parts.data, one_of_them=one_of_them, **settings
        )
    captions = net.live.prepare(english.texts, english.caption_languages)
    show, chunk = parts.content.rows_of(english), config.chunk_rows

    def step(batch: tuple[sampling.Captioned, sampling.TextPairs]) -> Terms:
        pictures, pairs = batch
        return mural(
            model.encode_items(net, show, pictures.contents, chunk_rows=chunk),
            model.encode_texts(net, captions, pictures.captions, chunk_rows=chunk),
            text_a=model.encode_texts(net, prepared, pairs.first, chunk_rows=chunk),
            text_b=model.encode_texts(net, prepared, pairs.second, chunk_rows=chunk),
            temperature=net.temperature(),
            margin=config.margin,
            label_smoothing=config.label_smoothing,
            groups=pictures.contents.to(net.device),
            text_groups=pairs.groups.to(net.device),
            block_rows=chunk,
        )

    pictures = sampling.caption_batches(english, sampling="equal", **settings)
    return sampling.side_by_side(pictures, translations), step


def _etcl(parts: _Parts) -> tuple[Batches, Step]:
    """Images, and their captions in two languages."""
    net, data, config = parts.net, parts.data, parts.config
    batches = sampling.triple_batches(
        data, batch_size=config.etcl_batch_size or config.batch_size, seed=config.seed
    )
    prepared = net.live.prepare(data.texts, data.caption_languages)
    show, chunk = parts.content.rows_of(data), config.chunk_rows

    def step(batch: sampling.Triples) -> Terms:
        return etcl(
            model.encode_items(net, show, batch.contents, chunk_rows=chunk),
            model.encode_texts(net, prepared, batch.first, chunk_rows=chunk),
            model.encode_texts(net, prepared, batch.second, chunk_rows=chunk),
            temperature=net.temperature(),
            label_smoothing=config.label_smoothing,
            groups=batch.contents.to(net.device),
            block_rows=chunk,
        )

    return batches, step


def _fine_tuning(parts: _Parts) -> tuple[Batches, Step]:
    """Images with captions in all languages, one caption at a time."""
    net, data, config = parts.net, parts.data, parts.config
    prepared = net.live.prepare(data.texts, data.caption_languages)
    show, chunk = parts.content.rows_of(data), config.chunk_rows

    def step(batch: sampling.Captioned) -> Terms:
        return clip.contrastive(
            model.encode_items(net, show, batch.contents, chunk_rows=chunk),
            model.encode_texts(net, prepared, batch.captions, chunk_rows=chunk),
            temperature=net.temperature(),
            margin=config.fine_tuning_margin,
            label_smoothing=config.label_smoothing,
            groups=batch.contents.to(net.device),
            block_rows=chunk,
        )

    batches = sampling.caption_batches(
        data,
        batch_size=config.fine_tuning_batch_size or config.batch_size,
        sampling="equal",
        seed=config.seed,
    )
    return batches, step


_STAGES: Mapping[str, Callable[[_Parts], tuple[Batches, Step]]] = MappingProxyType(
    {"mural": _mural, "etcl": _etcl, "fine-tuning": _fine_tuning}
)
