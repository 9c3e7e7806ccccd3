"""Location of an index's model after folders were moved.

An index notes its model by full path and as seen from itself (`../model`). Where it is not at its
old place, the second is tried, so that moving all of it together needs no command. What is found is
checked by its space.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyglance import errors, progress
from polyglance.model import dual_encoder
from polyglance.storage.store import Store

MODEL, BESIDE, SPACE, FOLDER = "model", "model_from_here", "model_space", "folder"


def noted(reference: str, *, out: Path, folder: Path, space_id: str | None) -> dict[str, Any]:
    """What an index notes of its places.

    Args:
        reference: Of the model, by full path where it is a folder.
        out: The index.
        folder: What was indexed.
        space_id: The space of the model; None where it is not known.
    """
    found: dict[str, Any] = {MODEL: reference, FOLDER: str(folder), SPACE: space_id}
    if os.path.isabs(reference):
        found[BESIDE] = os.path.relpath(reference, Path(out).resolve())
    return found


def follow(store: Store, reference: str, *, folder: Path, space_id: str | None) -> None:
    """Note where an index's model and folder are by now, where that is elsewhere.

    Args:
        store: The index's, of this model's space.
        reference: Of the model, by full path where it is a folder.
        folder: What is indexed.
        space_id: The model's space, where it is known; else what is noted stays.
    """
    space_id = space_id or model_space(store)
    found = noted(reference, out=store.path, folder=folder, space_id=space_id)
    if found != {name: store.extra_facts.get(name) for name in found}:
        store.note_facts({**store.extra_facts, **found})


def require_index(store: Store) -> None:
    """Refuse a store that is no index: its vectors are raw, and it names no model.

    Raises:
        StoreError: A store of `embed`, or of a cache.
    """
    if MODEL not in store.extra_facts:
        raise errors.StoreError(
            f"{store.address or store.path} is a store of vectors, made by polyglance embed, and "
            "no index",
            hint="polyglance index FOLDER --model MODEL --out INDEX makes an index; name that one, "
            "or another place for it",
        )


def require_no_index(store: Store) -> None:
    """Refuse to put raw vectors into an index, whose own have length one.

    Raises:
        StoreError: It is an index.
    """
    if MODEL in store.extra_facts:
        raise errors.StoreError(
            f"{store.path} is an index, and no store for what polyglance embed makes",
            hint="give another --out; polyglance index brings an index up to date",
        )


def model_of(store: Store) -> str:
    """The reference of an index's model, where it is now.

    Raises:
        UnavailableError: It is not at its old place, nor where it was as seen from the index.
    """
    facts: Mapping[str, Any] = store.extra_facts
    reference = str(facts.get(MODEL, ""))
    if not os.path.isabs(reference) or Path(reference).exists():
        return reference
    beside = facts.get(BESIDE)
    if isinstance(beside, str) and store.address is None:
        moved = (store.path / beside).resolve()
        if (moved / dual_encoder.MODEL_FILE).is_file():
            progress.say(
                f"the model is not at its old place any more ({reference}); taken is {moved}: "
                "polyglance check-index --model notes it"
            )
            return str(moved)
    index = store.address or store.path
    raise errors.UnavailableError(
        f"the model of the index {index} is not at its old place any more: there is no {reference}",
        hint=f"name the new one: polyglance check-index {index} --model NEW; or index again: "
        f"polyglance index {facts.get(FOLDER, 'FOLDER')} --model NEW --out {index}",
    )


def model_space(store: Store) -> str | None:
    """The space that the index's model must have; None where nobody knows it.

    Vectors of others may lie in a space that their owner named, whatever model answers.
    """
    space = store.extra_facts.get(SPACE, store.facts.space_id)
    return None if space is None else str(space)
