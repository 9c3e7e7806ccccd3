"""Towers of precomputed vectors: a look-up by id in the user's own files.

Legend: N vectors, D width.

    precomputed:/folder?space=NAME      vectors.npy (N, D) beside ids.txt (one a line) or ids.json
    precomputed:/folder?space=NAME      image/ and text/ in it, each a folder of that form
    precomputed:/folder?space=NAME      clip-retrieval's folder: img_emb/img_emb_0.npy and on, or
                                        text_emb/text_emb_0.npy, with metadata/metadata_0.parquet

A file of vectors says nothing of the model behind it, so the user does: `space` is required. In
clip-retrieval's layout the id is `image_path` (option `id_column` names another column), and
`caption` on the text side. `languages=de,fr` declares what a text tower knows. An image has one
vector; a text may stand in several rows, as captions do, where their vectors agree.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.records import Languages, Modality, Output
from polyglance.sources import text_lines
from polyglance.storage import digests
from polyglance.towers import Tower, TowerReference
from polyglance.vectors import Vectors, unit

OPTIONS = ("space", "id_column", "languages")
# Rows checked and read at a time; 16,384 x 1,024 of float32 are 64 MB.
BLOCK_ROWS = 16_384
_FOLDERS = {"image": ("img_emb", "image_path"), "text": ("text_emb", "caption")}
_SHOWN = 5
# Two rows of one text are the same vector if their cosine is this: half precision rounds by less.
LEAST_SAME_COSINE = 0.999

_ASK_A_PACK = "; a language pack reads any text: polyglance train ridge makes one"

Place = tuple[int, int]  # a part, and a row of it


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of vectors and the ids of its rows.

    Attributes:
        path: The file.
        vectors: (N, D), a memory map.
        ids: N.
        metadata: The parquet with what else is known of the rows, in their order; None without.
    """

    path: Path
    vectors: NDArray[Any]
    ids: Sequence[str]
    metadata: Path | None = None


class PrecomputedTower(Tower):
    """A tower that looks its vectors up.

    Args:
        parts: Memory maps with their ids, checked.
        where: Of each id, where its vector is.
        modality: What the ids stand for.
        space: As the user declared it.
        fingerprint: Of the files.
    """

    # A store would hold the same once more.
    worth_storing = False

    def __init__(
        self,
        parts: Sequence[Part],
        where: Mapping[str, Place],
        *,
        modality: Modality,
        space: str,
        fingerprint: str,
    ) -> None:
        self.modality = modality
        self.dim = int(parts[0].vectors.shape[1])
        self.space_id = space
        self.fingerprint = fingerprint
        self.parts = parts
        self.where = where

    @property
    def ids(self) -> Collection[str]:
        """What can be asked for, in the order of the files."""
        return self.where.keys()

    def require_encoder(self) -> None:
        """Say that vectors cannot be made here, as `Tower.require_encoder`."""
        raise errors.ConfigError(
            f"{self.parts[0].path.parent} holds vectors, which are looked up by id; none can "
            f"be made of an {self.modality} itself",
            hint="index and ask with the model that made the vectors, or index the vectors "
            "themselves: polyglance index FOLDER-OF-VECTORS --space model",
        )

    def encode(
        self, items: Sequence[Any], *, languages: Languages = None, output: Output = "embedding"
    ) -> Vectors:
        """Ids to float32 (N, D), as they stand in the files.

        Raises:
            InputError: For ids that the files do not hold.
            ConfigError: For `pre_projection`, which was not stored, and for items themselves, as a
                decoded image, in the place of their ids.
        """
        del languages
        if output != "embedding":
            raise errors.ConfigError(
                f"output={output} of precomputed vectors; only embedding is stored",
                hint="name the tower that made them",
            )
        if not all(isinstance(item, str) for item in items):
            self.require_encoder()
        unknown = [item for item in items if item not in self.where]
        if unknown:
            folder = self.parts[0].path.parent
            raise errors.InputError(
                f"{len(unknown)} of {len(items)} {_noun(self.modality)} have no vector in {folder},"
                " first " + ", ".join(repr(item) for item in unknown[:_SHOWN]),
                hint="add their vectors there, of the model that made the others, or leave them "
                f"out{_ASK_A_PACK if self.modality == 'text' else ''}; they are compared exactly, "
                f"and the files hold for example {next(iter(self.where))!r}",
            )
        places = np.array([self.where[item] for item in items], dtype=np.int64).reshape(-1, 2)
        vectors = np.empty((len(items), self.dim), dtype=np.float32)
        for number, part in enumerate(self.parts):
            rows = np.flatnonzero(places[:, 0] == number)
            # In the order of the file, so that a memory map is read forwards.
            rows = rows[np.argsort(places[rows, 1], kind="stable")]
            vectors[rows] = part.vectors[places[rows, 1]]
        return vectors


def load(reference: TowerReference, *, modality: Modality) -> Tower:
    """Open a folder of vectors, and check every one of them.

    Args:
        reference: `precomputed:/folder?space=NAME`.
        modality: What its ids stand for.

    Raises:
        ConfigError: Without `space`.
        UnavailableError: Where the folder or a file is absent.
        VectorError: For NaN, infinite or zero rows, a wrong shape, no row, or counts that differ.
        InputError: For an id that occurs twice; of texts, with another vector.
    """
    for name in reference.options:
        if name not in OPTIONS:
            raise errors.unknown_name("option of precomputed towers", name, allowed=OPTIONS)
    space = reference.options.get("space")
    if not space:
        raise errors.ConfigError(
            f"{reference} declares no space; vectors do not say which model made them, and two "
            "towers may only be compared in one space",
            hint=f"precomputed:{reference.location}?space=NAME, the same NAME for both sides, or "
            "the space_id of the tower that made them",
        )
    folder = Path(reference.location).expanduser()
    parts = list(
        read_parts(folder, modality=modality, id_column=reference.options.get("id_column"))
    )
    fingerprint = digests.of_parts(
        what for part in parts for what in _checked(part, width=parts[0].vectors.shape[-1])
    )
    where = _places(parts, modality=modality)
    if not where:
        raise errors.VectorError(
            f"{parts[0].path} has no row; one vector or more is needed, with its id",
            hint=f"write the {modality} vectors again, one a row, and their ids beside them",
        )
    return PrecomputedTower(parts, where, modality=modality, space=space, fingerprint=fingerprint)


def _noun(modality: Modality) -> str:
    """What is asked for: texts stand for themselves, all else is named by an id."""
    return "texts" if modality == "text" else "ids"


def read_parts(folder: Path, *, modality: Modality, id_column: str | None) -> Iterator[Part]:
    """The files of vectors in a folder, one after the other, not checked.

    Args:
        folder: In one of the forms of this file's head.
        modality: What the ids stand for.
        id_column: Of clip-retrieval's metadata; None for the usual one.

    Raises:
        UnavailableError: Where the folder or a file is absent.
    """
    if not folder.is_dir():
        raise errors.UnavailableError(
            f"there is no folder {folder}", hint=f"check the path: ls {folder.parent}"
        )
    own = folder / modality
    if (own / "vectors.npy").is_file():
        yield _plain_part(own)
    elif (folder / "vectors.npy").is_file():
        yield _plain_part(folder)
    else:
        yield from _clip_retrieval_parts(folder, modality=modality, id_column=id_column)


def _plain_part(folder: Path) -> Part:
    text, listed = folder / "ids.txt", folder / "ids.json"
    if text.is_file() and listed.is_file():
        raise errors.InputError(
            f"{folder} has both {text.name} and {listed.name}; one of them is read",
            hint="keep the one that is in the order of the vectors, and take the other away",
        )
    if text.is_file():
        ids = text_lines.read_lines(text)
    elif listed.is_file():
        content = _parsed(listed)
        if not isinstance(content, list):
            raise errors.InputError(
                f"{listed} holds a {type(content).__name__}; a list of ids is allowed",
                hint='write ["first id", "second id", ...]',
            )
        ids = [str(item) for item in content]
    else:
        raise errors.UnavailableError(
            f"{folder} has vectors.npy but neither ids.txt nor ids.json",
            hint="write ids.txt with one id a line, in the order of the vectors",
        )
    return Part(path=folder / "vectors.npy", vectors=_map(folder / "vectors.npy"), ids=ids)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise errors.InputError(
            f"{path} is not JSON in UTF-8: {error}", hint='write ["first id", "second id", ...]'
        ) from error


def columns_of(path: Path) -> list[str]:
    """The names of a parquet's columns.

    Raises:
        InputError: It is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise errors.InputError(
            f"{path} cannot be read as parquet: {errors.first_line(error)}", hint="write it again"
        ) from error


def _clip_retrieval_parts(
    folder: Path, *, modality: Modality, id_column: str | None
) -> Iterator[Part]:
    """The numbered files of clip-retrieval, in the order of their numbers."""
    name, column = _FOLDERS.get(modality, ("", ""))
    files = sorted((folder / name).glob(f"{name}_*.npy"), key=_number) if name else []
    if not files:
        raise errors.UnavailableError(
            f"{folder} holds no {modality} vectors; known forms are vectors.npy with ids.txt, and "
            "img_emb/img_emb_0.npy with metadata/metadata_0.parquet",
            hint=f"check the folder: ls {folder}",
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in files:
        table_path = folder / "metadata" / f"metadata_{path.stem.rpartition('_')[2]}.parquet"
        if not table_path.is_file():
            raise errors.UnavailableError(
                f"{path} has no {table_path.name} beside it", hint=f"ls {table_path.parent}"
            )
        columns = columns_of(table_path)
        wanted = id_column or column
        if wanted not in columns:
            raise errors.unknown_name(f"column of {table_path.name}", wanted, allowed=columns)
        try:
            ids = pq.read_table(table_path, columns=[wanted]).column(0).to_pylist()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise errors.InputError(
                f"the column {wanted} of {table_path} cannot be read: {errors.first_line(error)}",
                hint="write the parquet again",
            ) from error
        named = ["" if item is None else str(item) for item in ids]
        yield Part(path=path, vectors=_map(path), ids=named, metadata=table_path)


def _number(path: Path) -> tuple[int, str]:
    """Part 10 comes after part 2, whether the numbers are padded or not."""
    tail = path.stem.rpartition("_")[2]
    return (int(tail) if tail.isdigit() else 0, tail)


def _map(path: Path) -> NDArray[Any]:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise errors.VectorError(
            f"{path} is no array of numbers: {errors.first_line(error)}",
            hint="write it with numpy.save",
        ) from error
    if not isinstance(vectors, np.ndarray):
        raise errors.VectorError(
            f"{path} is an .npz, which holds several arrays: {', '.join(vectors.files)}",
            hint="write one array with numpy.save",
        )
    return vectors


def _checked(part: Part, *, width: int) -> Iterator[str | NDArray[Any]]:
    """Refuse what cannot be compared, and give what was read for the fingerprint."""
    vectors = part.vectors
    if vectors.ndim != 2 or vectors.shape[1] != width or vectors.dtype.kind != "f":
        raise errors.VectorError(
            f"{part.path} is {vectors.dtype} {vectors.shape}; floating (N, {width or 'D'}) is "
            "allowed",
            hint="save one vector a row, all parts of one width",
        )
    if len(part.ids) != len(vectors):
        raise errors.VectorError(
            f"{part.path} holds {len(vectors):,} vectors for {len(part.ids):,} ids",
            hint="give one id a vector, in the same order; in ids.txt one a line, and no line more "
            "(an id that holds a line break goes into ids.json)",
        )
    yield json.dumps([part.path.name, vectors.shape, vectors.dtype.str])
    yield "\n".join(part.ids)
    bad: list[int] = []
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.ascontiguousarray(vectors[start : start + BLOCK_ROWS])
        yield block
        # One product finds all three: the norm of a row with NaN or infinity is neither.
        norms = np.einsum("nd,nd->n", block, block, dtype=np.float64, casting="unsafe")
        bad.extend((np.flatnonzero(~(np.isfinite(norms) & (norms > 0))) + start).tolist())
    if bad:
        raise errors.VectorError(
            f"{part.path} has {len(bad)} rows that are NaN, infinite or zero, first "
            + ", ".join(map(str, bad[:_SHOWN])),
            hint="leave those rows out, with their ids",
        )


def _places(parts: Sequence[Part], *, modality: Modality) -> dict[str, Place]:
    """Where the vector of each id is: of a text in several rows, the first.

    Raises:
        InputError: For an id that occurs twice; of texts, with another vector.
    """
    found: dict[str, Place] = {}
    unlike: list[str] = []
    for number, part in enumerate(parts):
        for row, item in enumerate(part.ids):
            first = found.setdefault(item, (number, row))
            if first == (number, row):
                continue
            if modality != "text":
                raise errors.InputError(
                    f"{part.path}: the id {item!r} occurs twice",
                    hint="give every vector an id of its own (?id_column=... names another column)",
                )
            if _cosine(parts[first[0]].vectors[first[1]], part.vectors[row]) < LEAST_SAME_COSINE:
                unlike.append(item)
    if unlike:
        raise errors.InputError(
            f"{parts[0].path.parent}: {len(unlike):,} texts occur again with another vector, first "
            + ", ".join(map(repr, unlike[:_SHOWN]))
            + "; a text may be there several times with one vector only",
            hint="encode all texts with one model and one prompt, and see that texts and vectors "
            "are in the same order",
        )
    return found


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.vdot(*(unit(row[None].astype(np.float32))[0] for row in (a, b))))
