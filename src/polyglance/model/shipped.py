"""The tables of what the package brings: models behind packaged towers, and their language packs.

All are known by name. A folder with a `model.json` or `pack.json` that has such a name wins; a
folder of photos of that name does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

MODEL_FILE, PACK_FILE = "model.json", "pack.json"
# What a user should know of each before relying on it: one sentence, shown where it is a default.
SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "photos": "English, trained on the captions of Flickr8k, which are for research",
        "photos-open": "English, from the class names of ImageNet, without a caption",
    }
)


@dataclass(frozen=True, kw_only=True)
class ShippedPack:
    """A row of the table of packs.

    Attributes:
        model: The shipped model whose space it speaks to.
        what: What it learnt from and which languages it reads, in a few words.
        is_default: Whether it answers where an index of that model is asked and no pack is named;
            of several, the one that did best on dev photos speaks in a language.
    """

    model: str
    what: str
    is_default: bool = False


PACKS: Mapping[str, ShippedPack] = MappingProxyType(
    {
        "photos-ridge": ShippedPack(
            model="photos",
            what="about 100 languages, from English captions of Flickr8k",
        ),
        "photos-m2m": ShippedPack(
            model="photos", what="about 100 languages, from English captions of Flickr8k"
        ),
        "photos-residual-mlp": ShippedPack(
            model="photos",
            what="about 100 languages, from English captions of Flickr8k",
            is_default=True,  # of those from English text alone the best
        ),
        "photos-distill": ShippedPack(
            model="photos",
            what="Chinese, Arabic, German, French and Czech, from parallel captions",
            is_default=True,  # the best in its five languages, and it needs no package
        ),
        "photos-open-ridge": ShippedPack(
            model="photos-open",
            what="about 100 languages, from class names and sentences of Tatoeba, no caption",
            is_default=True,
        ),
    }
)


# What `index` takes where no model is named.
DEFAULT = "photos"


def is_shipped(reference: str | Path) -> bool:
    """Whether a reference means a model of the table, and no folder of the user's.

    >>> is_shipped("photos"), is_shipped("hf:openai/clip-vit-base-patch32")
    (True, False)
    """
    return str(reference) in SHIPPED and not (Path(reference) / MODEL_FILE).is_file()


def folder_of(reference: str | Path) -> Path:
    """The folder that a reference names, if it names one: the package's own, or that path."""
    if is_shipped(reference):
        return _weights(str(reference))
    return Path(reference)


def pack_location(location: str | Path) -> str | Path:
    """Where a pack is: the package's own folder for a name of the table, else what was given.

    >>> Path(pack_location("photos-ridge")).is_absolute(), pack_location("some/folder")
    (True, 'some/folder')
    """
    if str(location) in PACKS and not (Path(location) / PACK_FILE).is_file():
        return _weights("packs") / str(location)
    return location


def default_packs(reference: str) -> tuple[str, ...]:
    """Names of the packs that answer for a shipped model where none is named.

    Without those that are not in the package: between a new model and packs made anew for it.
    """
    if not is_shipped(reference):
        return ()
    return tuple(
        name
        for name, row in PACKS.items()
        if row.model == reference
        and row.is_default
        and (Path(pack_location(name)) / PACK_FILE).is_file()
    )


def notice_of(reference: str, *, packs: Sequence[str] = ()) -> str | None:
    """What is said of a shipped model where it answers; None for all others.

    Args:
        reference: Of the model.
        packs: Names of the packs that answer beside it.
    """
    if not is_shipped(reference):
        return None
    other = "photos finds more" if reference != "photos" else "photos-open is free of them"
    beside = f", {' and '.join(packs)} in other languages" if packs else ""
    return (
        f"{reference} answers{beside}: {SHIPPED[reference]}; --model {other}; a model of the hub "
        "knows more than both: --model hf:openai/clip-vit-base-patch32"
    )


def absolute(reference: str) -> str:
    """A model folder by its full path, so that it is found from anywhere; others by their name."""
    is_folder = Path(reference).exists() and not is_shipped(reference)
    return str(Path(reference).resolve()) if is_folder else reference


def _weights(name: str) -> Path:
    return Path(str(resources.files("polyglance.model") / "weights" / name))
