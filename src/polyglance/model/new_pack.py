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
    probe_texts, probes = _probes(teacher)
    if probe_texts:
        data = {**data, "not_checked": same_space.unchecked(teacher.space_id, probe_texts)}
    manifest = PackManifest(
        recipe=recipe,
        space_id=teacher.space_id,
        teacher=teacher.reference,
        probe_texts=probe_texts,
        tower=side.reference,
        tower_fingerprint=side.tower.fingerprint,
        head_input=side.head_input,
        language_means=() if side.means is None else side.means.languages,
        config={} if config is None else asdict(config),
        data=data,
        num_trainable_parameters=num_trainable_parameters,
        training_seconds=training_seconds,
        **content,
    )
    return LanguagePack(manifest, side, probes, content_head, content_side)


def _probes(teacher: DualEncoder) -> tuple[tuple[str, ...], Vectors]:
    """Texts of its own that a teacher is recognised by, if it reads no others, and its probes.

    Returns:
        Those texts; and (P, D), its unit vectors of them, or else of the probe texts and of the
        images behind them.
    """
    alone, listed = teacher.with_no_pack(), teacher.text.tower.ids
    own = () if listed is None else same_space.chosen_of(listed)
    asked = own or same_space.PROBE_TEXTS
    texts = alone.encode_texts(asked, languages=[ENGLISH] * len(asked))
    if own or teacher.content.tower.ids is not None:
        return own, texts
    try:
        pictures = alone.encode_items(same_space.probe_images())
    except errors.PolyglanceError:
        return own, texts  # its items are no images
    return own, np.concatenate([texts, pictures])
