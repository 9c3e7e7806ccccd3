"""The packs that answer where none is named: those that ship with the model of an index.

    searcher = Searcher("index")            # of photos: its packs answer in other languages
    searcher = Searcher("index", packs=[])  # the model alone

Where the package that carries a pack's text tower is absent, English is left and what packs know
that need no package, and what has to be installed is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from polyglance import errors
from polyglance.model import dual_encoder, shipped
from polyglance.model.pack import LanguagePack
from polyglance.search import relocation
from polyglance.search.index import Index

# In the place of a pack's name: none, the model alone.
NONE = "none"
# Why a pack's tower may be absent: its package, or room for what is converted from it.
ABSENT = (
    errors.MissingExtraError,
    errors.UnavailableError,
    errors.DiskFullError,
    errors.OutputError,
)


@dataclass(frozen=True, kw_only=True)
class DefaultPacks:
    """What ships for a model, as far as it can be loaded.

    Attributes:
        packs: By name.
        notice: Which model answers and what else there is, in a sentence; None where it does not
            ship.
        missing: Why a pack cannot answer here and what to install; None where all can.
    """

    packs: Mapping[str, LanguagePack] = field(default_factory=dict)
    notice: str | None = None
    missing: str | None = None


def of_index(index: Index) -> DefaultPacks:
    """The packs of an index's model.

    Raises:
        SpaceMismatchError: The index was made by a shipped model whose weights are others by now.
    """
    reference = str(index.store.extra_facts.get(relocation.MODEL, ""))
    # Vectors that others gave, in a space of their own, are no business of the model's packs.
    if not shipped.is_shipped(reference) or relocation.model_space(index.store) != index.space_id:
        return DefaultPacks()
    require_present(index)
    return of_model(reference)


def of_model(reference: str) -> DefaultPacks:
    """The packs of a shipped model; of any other, none."""
    packs: dict[str, LanguagePack] = {}
    absent: list[str] = []
    for name in shipped.default_packs(reference):
        try:
            packs[name] = LanguagePack.load(name)
        except ABSENT as error:
            absent.append(f"without {name}: {error.message}; {error.hint}")
    alone = ", ".join(f"{shipped.PACKS[name].what}" for name in packs)
    knows = f"English and {alone}" if packs else "English alone"
    missing = f"{reference} answers in {knows}, {', '.join(absent)}" if absent else None
    notice = shipped.notice_of(reference, packs=tuple(packs))
    return DefaultPacks(packs=packs, notice=notice, missing=missing)


def require_present(index: Index) -> None:
    """Refuse an index that was made by earlier weights of a shipped model.

    Raises:
        SpaceMismatchError: With the command that makes it anew.
    """
    reference = str(index.store.extra_facts.get(relocation.MODEL, ""))
    if not shipped.is_shipped(reference):
        return
    now = dual_encoder.read_facts(shipped.folder_of(reference)).space_id
    if index.space_id == now:
        return
    folder = index.store.extra_facts.get(relocation.FOLDER) or "FOLDER"
    raise errors.SpaceMismatchError(
        f"the index {index.path} was made by earlier weights of {reference} (space "
        f"{index.space_id}; theirs is {now} now)",
        hint=f"make it anew: polyglance index {folder} --model {reference}",
    )


def prepared(reference: str) -> DefaultPacks:
    """The packs of a shipped model, their towers converted, so that the first search need not."""
    found = of_model(reference)
    for pack in found.packs.values():
        listed = (name for name, row in pack.manifest.languages.items() if row.speaks == "pack")
        if (language := next(listed, None)) is not None:
            pack.side.tower.encode(["ready"], languages=[language])
    return found
