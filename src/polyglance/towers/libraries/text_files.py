"""Files of a text tower: the folder with its tokenizer, and what it does to a text before that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglance.languages.text_forms import TextForm
from polyglance.towers import TowerReference
from polyglance.towers.libraries import places, sentence_folders, transformers
from polyglance.towers.runtime import checkpoints

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class TextFiles:
    """Where a text tower's tokenizer lies, and what comes before it.

    Attributes:
        folder: With the encoder's configuration and tokenizer.
        prefix: Put in front of every text.
        form: Into which texts are brought first.
    """

    folder: Path
    prefix: str
    form: TextForm


def text_files(reference: TowerReference) -> TextFiles | None:
    """The files of a tower of torch, which is loaded; None where its library keeps them inside."""
    folder = places.folder_of(reference)
    if folder is None:
        return None
    if reference.library == "hf":
        config = checkpoints.read_json(folder / "config.json")
        form = transformers.form_of(folder, config=config)
        return TextFiles(folder=folder, prefix=reference.options.get("prefix", ""), form=form)
    chain = sentence_folders.read_chain(folder)
    assert chain is not None  # otherwise the library itself runs it
    prompt = sentence_folders.prompt_of(folder, reference)
    return TextFiles(folder=chain.transformer, prefix=prompt, form=chain.form)


def tokenizer_of(folder: Path) -> Any | None:
    """The tokenizer of the Rust library in a folder, its own file first; None where it has none."""
    if not (folder / TOKENIZER).is_file():
        return tokenizer_of_transformers(folder)
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / TOKENIZER))


def tokenizer_of_transformers(folder: Path) -> Any | None:
    """As `tokenizer_of`, with what transformers changes in it by other files."""
    return backend_of(transformers.load_tokenizer(folder))


def backend_of(tokenizer: Any) -> Any | None:
    """A copy of what stands behind a tokenizer of transformers; None where that is Python."""
    from tokenizers import Tokenizer

    inner = getattr(tokenizer, "backend_tokenizer", None)
    return None if inner is None else Tokenizer.from_str(inner.to_str())
