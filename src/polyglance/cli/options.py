"""What do several verbs ask in the same words? Their shared options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="The dual encoder: hf:NAME, openclip:NAME, or a folder with a model.json.",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language", "-l", help="A language, as de, deu, deu_Latn or German; may be repeated."
    ),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the publisher's text files.")]
Images = Annotated[
    Path | None, typer.Option("--images", help="Folder of the pictures, by file name.")
]
Index = Annotated[
    str,
    typer.Option(
        "--index", "-i", help="Folder of the index, or its address, as s3://BUCKET/INDEX."
    ),
]
Packs = Annotated[
    list[str] | None,
    typer.Option(
        "--pack",
        "-p",
        help="A language pack: its folder or hub id. With several, the best speaks.",
    ),
]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]


def language_ids(given: list[str] | None) -> list[str] | None:
    """Language ids of what the user wrote; None stays None."""
    from polyglance.languages import normalise_language

    return None if given is None else [normalise_language(code) for code in given]
