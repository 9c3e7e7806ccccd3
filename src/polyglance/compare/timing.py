"""Times of one query and of one item: translation, text encoding and item encoding apart.

Medians of single calls, without batches, reading or decoding; the first call is not counted.

Source: uCLIP, table 4 (translation and encoding a sample, on average over five languages).
"""

from __future__ import annotations

import itertools
import statistics as plain_statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from polyglance.encoding import reading
from polyglance.evaluation import run
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import Vectors, unit

NUM_TIMED = 20
Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Times:
    """Median milliseconds.

    Attributes:
        translation: Of one query into English; None where nothing is translated.
        text: From one text to its vector.
        query: Both together.
        item: From one item that is decoded and preprocessed to its vector, heads included; None
            where no item can be encoded here.
    """

    translation: float | None
    text: float
    query: float
    item: float | None


NOT_TIMED = Times(translation=None, text=0.0, query=0.0, item=None)


def times_of(
    data: RetrievalData,
    *,
    encode: Callable[[Sequence[str], str], Vectors],
    translate: Callable[[Sequence[str], str], list[str]] | None,
    content: DualEncoder,
    images: Path | None,
) -> Times:
    """Time single queries in a language other than English, and single items.

    Args:
        data: The task whose texts and items are taken.
        encode: Texts of one language to vectors.
        translate: Texts of one language into English; None where the model reads them itself.
        content: The model that encodes items, with its pack.
        images: Folder of the items, where the task does not bring them.
    """
    language = next((name for name in data.captions if name != ENGLISH), ENGLISH)
    texts = [caption.text for caption in data.captions[language]][: NUM_TIMED + 1]
    translations: list[float] = []
    said = texts
    if translate is not None:
        translations, said = _timed(
            lambda text: text if language == ENGLISH else translate([text], language)[0], texts
        )
        language = ENGLISH
    encodings, _ = _timed(lambda text: encode([text], language), said)
    both = encodings
    if translate is not None:
        both = [sum(parts) for parts in zip(translations, encodings, strict=True)]
    return Times(
        translation=_median(translations) if translations else None,
        text=_median(encodings),
        query=_median(both),
        item=_item_time(content, data, images=images),
    )


def _item_time(model: DualEncoder, data: RetrievalData, *, images: Path | None) -> float | None:
    pack = model.pack
    side = model.content if pack is None else pack.content_side or model.content
    if side.tower.ids is not None or not (data.media_files or images):
        return None
    named = run.media_files(data, images, modality=side.tower.modality).items
    read = (
        reading.read_item(file, preprocess=side.tower.preprocess, known_keys=()) for file in named
    )
    items = list(itertools.islice((one.item for one in read if not one.reason), NUM_TIMED + 1))
    if not items:
        return None

    def encode(item: object) -> Vectors:
        found = unit(side.through_head(side.tower.encode([item], output=side.output)))
        return found if pack is None else pack.project(found)

    return _median(_timed(encode, items)[0])


def _timed(
    work: Callable[[Given], Found], items: Iterable[Given]
) -> tuple[list[float], list[Found]]:
    """Milliseconds of each call, and what it gave."""
    milliseconds, found = [], []
    for item in items:
        started = time.perf_counter()
        found.append(work(item))
        milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds, found


def _median(milliseconds: Sequence[float]) -> float:
    """Without the first, which warms up, where there are more."""
    return plain_statistics.median(milliseconds[1:] or milliseconds)
