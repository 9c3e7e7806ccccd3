"""Assembly of a new language pack: text side, content side, facts of its training, probe vectors.

Legend: P probe texts and images, D width of the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from polyglance import errors
from polyglance.heads.affine import Head
from polyglance.languages.registry import ENGLISH
from polyglance.model import same_space
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.manifest import PackManifest
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.vectors import Vectors


def new_pack(
    recipe: str,
    side: Side,
    *,
    teacher: DualEncoder,
    data: Mapping[str, Any],
    config: Any = None,
    num_trainable_parameters: int,
    training_seconds: float = 0.0,
    content_head: Head | None = None,
    content_side: Side | None = None,
) -> LanguagePack:
    """A pack that no dev set has measured yet; languages and scores are added by measuring it.

    Args:
        recipe: Which recipe made it.
        side: Its text side.
        teacher: The dual encoder that it is made for.
        data: What it was trained on, and what happened in training.
        config: The recipe's config, a dataclass; None where there is none.
        num_trainable_parameters: Numbers that training sets.
        training_seconds: How long that took.
        content_head: What an index's vectors go through for it; None where they stay.
        content_side: The other content side, where an index has to be encoded anew.

    Raises:
        ConfigError: For both a content head and a content side.
    """
    content: dict[str, Any] = {}
    if content_head is not None:
        content = {"content": "head"}
    elif content_side is not None:
        content = {
            "content": "new-tower",
            "content_tower": content_side.reference,
            "content_output": content_side.output,
            "content_input": content_side.head_input,
            "content_modality": content_side.tower.modality,
        }
    manifest = PackManifest(
        recipe=recipe,
        space_id=teacher.space_id,
        teacher=teacher.reference,
        tower=side.reference,
        tower_fingerprint=side.tower.fingerprint,
        head_input=side.head_input,
        config={} if config is None else asdict(config),
        data=data,
        num_trainable_parameters=num_trainable_parameters,
        training_seconds=training_seconds,
        **content,
    )
    return LanguagePack(manifest, side, _probes(teacher), content_head, content_side)


def _probes(teacher: DualEncoder) -> Vectors:
    """The teacher's unit vectors of the probe texts, and of the images behind them: (P, D)."""
    english = [ENGLISH] * len(same_space.PROBE_TEXTS)
    texts = teacher.with_no_pack().encode_texts(same_space.PROBE_TEXTS, languages=english)
    try:
        pictures = teacher.with_no_pack().encode_items(same_space.probe_images())
    except errors.PolyglanceError:
        return texts  # a tower that only looks vectors up; it has no other name either
    return np.concatenate([texts, pictures])
