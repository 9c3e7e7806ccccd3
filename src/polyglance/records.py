"""Records that sources yield and that everything else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Modality = Literal["image", "text", "audio"]
Output = Literal["embedding", "pre_projection"]
Languages = Sequence[str] | None
"""Language ids, one a text; None where they are not known or not used."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A text about one content item (an image or a sound) in one language."""

    item_id: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Parallel text: the same thing said in two languages; no content."""

    text_a: str
    language_a: str
    text_b: str
    language_b: str


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Two sentences and how alike people found them, from 0 (nothing shared) to 5 (the same)."""

    text_a: str
    language_a: str
    text_b: str
    language_b: str
    score: float


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The names of classes in one language; `class_indices[i]` is named `labels[i]`."""

    language: str
    class_indices: tuple[int, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Templates in one language, each with one `{}` for the class name."""

    language: str
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """An item on disk, under the id it is known by.

    Attributes:
        id: Its name.
        path: The file.
        span: Offset and length of its bytes inside the file (a member of a tar); None for all.
        modality: What it is.
    """

    id: str
    path: Path
    span: tuple[int, int] | None = None
    modality: Modality = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """When and where; None where the file does not say.

    Attributes:
        taken_at: By the camera's clock, without a zone.
        latitude: Degrees, north positive, -90 to 90.
        longitude: Degrees, east positive, -180 to 180.
    """

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a file holds.

    Attributes:
        item: An upright RGB image of PIL, or a `sources.sounds.Sound`: what towers preprocess.
        taken: When and where it was recorded.
    """

    item: Any
    taken: Taken = Taken()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An item set aside, and why; the batch went on without it."""

    id: str
    reason: str
