"""The vector index of an index, or of a pack's column: built where it pays, and measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from polyglance import errors, progress
from polyglance.languages.registry import ENGLISH
from polyglance.model.side import Side, SpaceTower
from polyglance.storage import ann_build
from polyglance.storage.ann_index import IndexFacts
from polyglance.storage.store import Store
from polyglance.vectors import Vectors


def bring_up_to_date(store: Store, *, text_side: Callable[[], Side]) -> IndexFacts | None:
    """Build or extend the vector index of a store, where that pays.

    Args:
        store: Unit vectors.
        text_side: Gives the text side that asks, in English; called only where something is built.

    Returns:
        What was built and measured; None where nothing had to be done.

    Raises:
        StoreError: Another process is writing.
        DiskFullError: No room; the store is searched as before.
    """

    def encode(texts: list[str]) -> Vectors:
        try:
            return SpaceTower(text_side()).encode(texts, languages=[ENGLISH] * len(texts))
        except errors.PolyglanceError as error:
            progress.say(f"the vector index is measured without texts: {error}")
            return np.empty((0, store.facts.dim), np.float32)

    return ann_build.build_if_it_pays(store, encode=encode)
