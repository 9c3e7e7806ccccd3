"""What is there to learn from? The options that say so, and the reading of their files.

`train` and `compare` share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polyglance.affine import Vectors
    from polyglance.embed import VectorCache
    from polyglance.model import DualEncoder
    from polyglance.recipes.launch import Material
    from polyglance.sides import Side

Text = Annotated[
    Path | None, typer.Option("--text", help="English text, one a line (ridge, m2m, uclip).")
]
Parallel = Annotated[
    Path | None,
    typer.Option(
        "--parallel",
        help="Parallel text: a table with the columns english, language, text "
        "(distill, babel-adapter, etcl).",
    ),
]
Captions = Annotated[
    Path | None,
    typer.Option(
        "--captions",
        help="Captions: a table with the columns image, language, text (nllb-clip, etcl).",
    ),
]
Bank = Annotated[
    Path | None,
    typer.Option(
        "--bank", help="Texts to learn from unpaired: a table with language, text (uclip)."
    ),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="An index of the model, or a folder of pictures."),
]
TowerOption = Annotated[
    str | None,
    typer.Option("--tower", "-t", help="Multilingual text tower, as sentence:NAME or hf:NAME."),
]


@dataclass(frozen=True, kw_only=True)
class MaterialFiles:
    """What the user gave; None where nothing was."""

    text: Path | None = None
    parallel: Path | None = None
    captions: Path | None = None
    bank: Path | None = None
    images: Path | None = None

    def read(self, teacher: DualEncoder) -> Material:
        """Read all that was given; images are encoded, or taken from their index.

        Args:
            teacher: The model whose space images are encoded into.

        Raises:
            ConfigError: For captions or a bank without images.
            InputError: For a file that cannot be used, naming the line.
        """
        from polyglance import errors
        from polyglance.recipes import image_text, pseudo_pairs
        from polyglance.recipes.launch import Material
        from polyglance.sources import captions

        if self.images is None and (self.captions or self.bank):
            raise errors.ConfigError(
                f"{self.captions or self.bank} is learnt from together with images",
                hint="say where they are: --images INDEX, or a folder of pictures",
            )
        ids, contents = content_vectors(self.images, teacher)
        joined = banks = None
        if self.captions is not None:
            rows = captions.read_caption_rows(self.captions)
            joined = image_text.join(rows, content_ids=ids, contents=contents)
        if self.bank is not None:
            texts = captions.read_texts_by_language(self.bank)
            banks = pseudo_pairs.Banks(contents, [t for _, t in texts], [name for name, _ in texts])
        return Material(
            english=() if self.text is None else captions.read_lines(self.text),
            parallel=() if self.parallel is None else captions.read_parallel_table(self.parallel),
            image_text=joined,
            banks=banks,
        )


def content_vectors(images: Path | None, teacher: DualEncoder) -> tuple[list[str], Vectors]:
    """Ids and unit vectors of an index, or of a folder's pictures, each encoded once, ever.

    Raises:
        SpaceMismatchError: For an index of another model.
    """
    import hashlib

    import numpy as np

    from polyglance import embed, errors, files
    from polyglance.sources import images as image_source
    from polyglance.store import MANIFEST_NAME, Store

    if images is None:
        return [], np.empty((0, teacher.dim), np.float32)
    if (images / MANIFEST_NAME).is_file():
        store = Store.open(images)
        if store.facts.space_id != teacher.space_id:
            raise errors.SpaceMismatchError(
                f"the index {images} is of another space than the model {teacher.reference}",
                hint="give an index that was made with this model",
            )
        return store.ids(), store.vectors()
    tower = teacher.content.tower
    named = f"{tower.fingerprint}\n{images.resolve()}"
    name = hashlib.blake2b(named.encode(), digest_size=12).hexdigest()
    store = embed.open_image_store(files.cache_folder() / "images" / name, tower)
    embed.embed_images(image_source.find_images(images), tower, store=store)
    return store.ids(), teacher.contents_from_raw(store.vectors())


def text_side(tower: str | None) -> Side | None:
    """The multilingual text tower that was named, if one was."""
    from polyglance.sides import Side
    from polyglance.towers import load_tower

    return None if tower is None else Side(load_tower(tower, modality="text"), tower)


def text_cache() -> VectorCache:
    """Where text vectors are kept for this user."""
    from polyglance import embed, files

    return embed.VectorCache(files.cache_folder() / "texts")
