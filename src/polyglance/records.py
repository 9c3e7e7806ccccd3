"""Records that sources yield and that everything else reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Modality = Literal["image", "text", "audio"]
Output = Literal["embedding", "pre_projection"]


@dataclass(frozen=True, slots=True)
class Caption:
    """A text about one content item (an image or a sound) in one language."""

    content_id: str
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
class ImageFile:
    """An image on disk, under the id it is known by.

    Attributes:
        id: Its name.
        path: The file.
        span: Offset and length of its bytes inside the file (a member of a tar); None for all.
    """

    id: str
    path: Path
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An item set aside, and why; the batch went on without it."""

    id: str
    reason: str
