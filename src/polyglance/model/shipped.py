"""The table of models that the package brings: heads behind packaged towers, known by name.

A folder with a `model.json` that has such a name wins; a folder of photos of that name does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType

MODEL_FILE = "model.json"
# What a user should know of each before relying on it: one sentence, shown where it is a default.
SHIPPED: Mapping[str, str] = MappingProxyType(
    {
        "photos": "English, trained on the captions of Flickr8k, which are for research",
        "photos-open": "English, from the class names of ImageNet, without a caption",
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
        return Path(str(resources.files("polyglance.model") / "weights" / str(reference)))
    return Path(reference)


def notice_of(reference: str) -> str | None:
    """What is said of a shipped model where it answers; None for all others."""
    if not is_shipped(reference):
        return None
    other = "photos finds more" if reference != "photos" else "photos-open is free of them"
    return (
        f"{reference} answers: {SHIPPED[reference]}; --model {other}; a model of the hub knows "
        "more than both: --model hf:openai/clip-vit-base-patch32"
    )


def absolute(reference: str) -> str:
    """A model folder by its full path, so that it is found from anywhere; others by their name."""
    is_folder = Path(reference).exists() and not is_shipped(reference)
    return str(Path(reference).resolve()) if is_folder else reference
