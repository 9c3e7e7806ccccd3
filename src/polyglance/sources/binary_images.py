"""The binary image files of CIFAR-10, CIFAR-100 and STL-10, unpacked once.

Each is a run of records: a byte of class (CIFAR-100: coarse, then fine) and 3 x 32 x 32 bytes row
by row; STL-10 keeps 3 x 96 x 96 bytes column by column in one file and classes from 1 in another.
No pickle is read: the publishers offer these files beside the Python ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.storage import atomic, digests, locations

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How one data set writes its test images.

    Attributes:
        side: Pixels of width and height.
        head: Bytes in front of each image; the last is the class. 0 where classes are apart.
        classes: File of the classes, where they are apart, counted from 1.
        by_columns: Whether an image is written column by column.
    """

    side: int
    head: int
    classes: str = ""
    by_columns: bool = False


# The test images, by the name of their file: what the papers measure on.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "test_batch.bin": Form(side=32, head=1),  # CIFAR-10
        "test.bin": Form(side=32, head=2),  # CIFAR-100
        "test_X.bin": Form(side=96, head=0, classes="test_y.bin", by_columns=True),  # STL-10
    }
)


def unpack(folder: Path) -> Path | None:
    """Write the test images of a folder as PNG files into the user's cache, with `labels.tsv`.

    Args:
        folder: Perhaps holds one of `FORMS`.

    Returns:
        The folder of PNG files, made once; None where `folder` holds no such file.

    Raises:
        InputError: For a file that does not end with a whole record.
    """
    for name, form in FORMS.items():
        path = Path(folder) / name
        if path.is_file():
            digest = digests.of_parts([path.read_bytes()], num_bytes=12)
            unpacked = locations.cache_folder() / "unpacked" / digest
            if not unpacked.is_dir():
                _write(*read_binary(path, form=form), unpacked)
            return unpacked
    return None


def read_binary(path: Path, *, form: Form) -> tuple[Bytes, NDArray[np.int64]]:
    """Images (N, H, W, 3) and their classes (N,), from 0.

    Args:
        path: The file.
        form: How it is written.

    Raises:
        InputError: For a file that does not end with a whole record, or another number of classes.
        UnavailableError: Without the file of classes.
    """
    record = form.head + 3 * form.side**2
    data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    if not len(data) or len(data) % record:
        raise errors.InputError(
            f"{path} has {len(data):,} bytes; records of {record:,} bytes are expected",
            hint="fetch the binary version of the data set again",
        )
    rows = data.reshape(-1, record)
    planes = rows[:, form.head :].reshape(-1, 3, form.side, form.side)
    pictures = planes.transpose((0, 3, 2, 1) if form.by_columns else (0, 2, 3, 1))
    if form.head:
        return pictures, rows[:, form.head - 1].astype(np.int64)
    beside = Path(path).with_name(form.classes)
    if not beside.is_file():
        raise errors.UnavailableError(f"{path} has no {beside.name} beside it", hint="fetch both")
    classes = np.frombuffer(beside.read_bytes(), np.uint8).astype(np.int64) - 1
    if len(classes) != len(pictures):
        raise errors.InputError(
            f"{beside} has {len(classes)} classes for {len(pictures)} images",
            hint="fetch both files again",
        )
    return pictures, classes


def _write(pictures: Bytes, classes: NDArray[np.int64], folder: Path) -> None:
    from PIL import Image

    with atomic.folder_in_one_step(folder, marker="labels.tsv") as made:
        lines = ["image\tclass"]
        for number, (picture, index) in enumerate(zip(pictures, classes, strict=True)):
            Image.fromarray(np.ascontiguousarray(picture)).save(made / f"{number:05}.png")
            lines.append(f"{number:05}.png\t{index}")
        atomic.write_text(made / "labels.tsv", "\n".join(lines) + "\n")
