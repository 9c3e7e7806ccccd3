"""`nllb-clip`: contrast of images and captions in all languages, with a trainable text tower.

A text tower learns to find a caption's image among those of the batch (NLLB-CLIP). Each epoch
draws one random caption an image, languages in equal shares.

What learns is a matter of `regime` and `image_projection`. By default the content side stays as it
is, so that the pack answers on an existing index without one new vector, and English is untouched.
`behind` learns a linear map on the index's own vectors: it is re-projected, in seconds. `trained`,
the paper's way, learns the image projection itself, and `full` the image tower too, or its last
stages (`trainable_image_stages`): these need the images encoded again.
`NllbClipConfig.as_published()` is the paper's.

Legend: N captions, M contents, B of a batch, D width of the space, D' in front of its projection.

Source: Visheratin 2023, NLLB-CLIP, sections 1 to 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from polyglance import training
from polyglance.encoding.texts import VectorCache
from polyglance.losses import Terms, clip, siglip
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import bounds
from polyglance.recipes.contrastive import item_side, model, text_side
from polyglance.recipes.contrastive.config import ContrastiveConfig
from polyglance.recipes.data import sampling
from polyglance.recipes.data.image_text import ImageText

# Where SigLIP starts the bias of its scores: at first nearly all pairs are wrong ones.
SIGMOID_BIAS = -10.0
NUM_LOOKS = 10


@dataclass(frozen=True, kw_only=True)
class NllbClipConfig(ContrastiveConfig):
    """Settings of `nllb-clip`.

    Attributes:
        objective: `contrastive` as CLIP, or `sigmoid` as SigLIP.
        language_sampling: `equal` draws every language equally often, `proportional` as often as
            it is written.
        optimizer: A row of `training.optimizers`: `adamw`, or the paper's `lion8bit`, which wants
            smaller rates. For an n-gram table on a CPU take AdamW: Lion needed four times as long
            and found less (pictograms, 34 for 38 % among ten).
        num_steps: Optimiser steps.
        batch_size: Images a step, each with a caption.
        warmup_share: Share of the steps in which the rate rises; then it falls in a cosine.
    """

    objective: Literal["contrastive", "sigmoid"] = "contrastive"
    language_sampling: sampling.LanguageSampling = "equal"
    num_steps: bounds.Count = 500

    @classmethod
    def as_published(cls) -> NllbClipConfig:
        """The paper's: the image projection learns too, by 8-bit Lion; 15 % choose the step.

        It leaves rates, batch and length open: those are the ones decided for this project.

        | the paper | source | ours |
        | --- | --- | --- |
        | image encoder frozen, the rest learns | section 4.1 | regime=text-encoder |
        | both projections learn | section 4.1 | image_projection=trained |
        | the loss of CLIP | section 1 | objective=contrastive |
        | one random caption an image an epoch | section 3 | the same |
        | every language equally | section 2.1 | language_sampling=equal |
        | Lion in 8 bits | section 3 | optimizer=lion8bit |
        | 15 % for validation, 15,937 images | section 2.1 | dev_fraction=0.15 |
        | all of them | section 2.1 | most_dev_images=none; as many captions, all languages alike |
        | large batches | open | batch_size=512 |
        | rates | open | projection_rate=0.0001, trunk_rate=1e-05 |
        | decay | open | weight_decay=0.01 |
        | length, schedule | open | num_steps=2000, warmup_share=0.05, then a cosine |
        | temperature at the start | CLIP | temperature=0.07, learns |
        """
        return cls(
            image_projection="trained",
            optimizer="lion8bit",
            num_steps=2000,
            projection_rate=1e-4,
            dev_fraction=0.15,
            most_dev_images=None,
        )


def train(
    data: ImageText,
    *,
    teacher: DualEncoder,
    config: NllbClipConfig,
    tower: Side | None = None,
    pixels: item_side.Pixels | None = None,
    files: item_side.Files | None = None,
    cache: VectorCache | None = None,
    run: training.RunFolder | None = None,
) -> LanguagePack:
    """Images and their captions in, a language pack out.

    Args:
        data: Contents encoded by the teacher, and captions.
        teacher: The dual encoder that learns languages.
        config: Settings.
        tower: A pretrained text tower, which stays as it is: a copy learns. A linear head behind
            it is where its projection starts. None for a fresh one of n-grams.
        pixels: For `full`: by content id the array of the image tower's `preprocess`; any mapping.
            None prepares those of `files` once, on disk.
        files: By content id where it lies; for `full`, and for `trained` without features.
        cache: Keeps what a frozen text trunk gives.
        run: Where checkpoints and logs go.

    Raises:
        ConfigError: For a regime that lacks its tower, a tower that cannot learn, settings out of
            range.
        VectorError: For contents of another width than the teacher's.
        InputError: Where features or pixels are needed and absent.
    """
    started = time.perf_counter()
    model.check_widths(data, teacher)
    torch.manual_seed(config.seed)
    data, content = item_side.shown(
        data, teacher=teacher, config=config, pixels=pixels, files=files
    )
    kept, dev = model.split(data, config)
    net = model.build_net(
        tower,
        content,
        dim=teacher.dim,
        bias=SIGMOID_BIAS if config.objective == "sigmoid" else None,
        config=config,
        cache=cache,
    )
    report = training.fit(
        net,
        _step(net, kept, content=content, config=config),
        batches=sampling.caption_batches(
            kept,
            batch_size=config.batch_size,
            sampling=config.language_sampling,
            seed=config.seed,
        ),
        config=training.TrainConfig(
            num_steps=config.num_steps,
            learning_rate=config.projection_rate,
            optimizer=config.optimizer,
            weight_decay=config.weight_decay,
            schedule="cosine",
            warmup_share=config.warmup_share,
            rate_factors=text_side.rate_factors(net.live, config),
            validate_every=None if dev is None else max(1, config.num_steps // NUM_LOOKS),
            precision=config.precision,
        ),
        validate=None if dev is None else model.dev_score(net, dev, content.rows_of(dev)),
        run=model.run_of(run, config=config, data=data),
        label="nllb-clip",
    )
    return model.make_pack(
        net,
        recipe="nllb-clip",
        teacher=teacher,
        side=tower,
        config=config,
        facts={**data.facts(), **model.training_facts(report)},
        content_side=content.side(),
        started=started,
    )


def _step(
    net: model.JointNet, data: ImageText, *, content: item_side.Shown, config: NllbClipConfig
) -> Callable[[sampling.Captioned], Terms]:
    prepared = net.live.prepare(data.texts, data.caption_languages)
    show, chunk = content.rows_of(data), config.chunk_rows

    def step(batch: sampling.Captioned) -> Terms:
        texts = model.encode_texts(net, prepared, batch.captions, chunk_rows=chunk)
        images = model.encode_items(net, show, batch.contents, chunk_rows=chunk)
        if net.bias is not None:
            return siglip.sigmoid(
                images,
                texts,
                scale=net.scale(),
                bias=net.bias,
                groups=batch.contents.to(net.device),
                block_rows=chunk,
            )
        return clip.contrastive(
            images,
            texts,
            temperature=net.temperature(),
            groups=batch.contents.to(net.device),
            block_rows=chunk,
        )

    return step
