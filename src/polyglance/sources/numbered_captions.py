"""Readers of numbered captions: a line `NAME#...<tab or space>caption`.

The form of COCO-CN (`COCO_val2014_000000000042#0<tab>...`) and of Flickr30k-CN
(`1007129816#zhm#0 ...`); images are named without their suffix.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from polyglance import errors
from polyglance.languages.registry import normalise_language
from polyglance.records import Caption
from polyglance.sources import captions
from polyglance.sources.text_lines import SetAside, entry_of

SUFFIX = ".jpg"


def read_numbered(
    path: Path,
    *,
    language: str,
    names: Collection[str] | None = None,
    set_aside: SetAside | None = None,
) -> list[Caption]:
    """Captions of such a file, in its order; ids are the names with `.jpg` behind them.

    Args:
        path: The file, plain or gzip; empty lines are passed over.
        language: The language of all its captions.
        names: Images whose captions are wanted, without suffix; None takes all.
        set_aside: Told of each line without a caption, and of each of `names` that has none; None
            stops at the first.

    Raises:
        InputError: Without `set_aside`, for those.
    """
    known = normalise_language(language)
    rows = []
    for number, line in enumerate(captions.read_lines(path), 1):
        if not line.strip():
            continue
        with entry_of(path, f"line {number}", set_aside):
            key, *rest = re.split(r"[\t ]", line.strip(), maxsplit=1)
            if not rest or not rest[0].strip():
                raise errors.InputError(
                    f"{line[:80]!r} has no caption; expected NAME#NUMBER, a tab or a space, and "
                    "the caption",
                    hint="mend that line, or fetch the file again",
                )
            name = key.partition("#")[0].removesuffix(SUFFIX)
            if names is None or name in names:
                rows.append(Caption(name + SUFFIX, rest[0].strip(), known))
    for name in sorted(set(names or ()) - {row.item_id.removesuffix(SUFFIX) for row in rows}):
        with entry_of(path, f"image {name}", set_aside):
            raise errors.InputError(
                "it has no caption", hint="fetch both files again from the same place"
            )
    return rows


def read_names(path: Path) -> list[str]:
    """The image names of a list, one a line, without suffix."""
    return [line.strip().removesuffix(SUFFIX) for line in captions.read_lines(path) if line.strip()]
