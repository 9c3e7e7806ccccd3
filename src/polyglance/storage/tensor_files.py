"""Files of tensors: safetensors are written whole and read with care, pickled ones are read.

What is absent, unreadable, cut or a Git LFS pointer is reported as such: the library raises a
different exception for each of these, and the one for a file without the right to read it says
that there is none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyglance import errors
from polyglance.storage.seals import LFS_HEAD

if TYPE_CHECKING:
    from torch import Tensor

FETCH_AGAIN = "fetch the whole folder again, or make it again"


def write(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write NumPy arrays.

    The library makes the file for the owner alone; `atomic.folder_in_one_step` gives it the rights
    of the others in its folder.

    Raises:
        OSError: As for a full disk.
    """
    from safetensors.numpy import save_file

    _write(path, {name: np.ascontiguousarray(value) for name, value in tensors.items()}, save_file)


def write_torch(
    path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors of torch; as `write`."""
    from safetensors.torch import save_file

    _write(path, dict(tensors), save_file, metadata=metadata and dict(metadata))


def _write(path: Path, tensors: dict[str, Any], save: Any, **options: Any) -> None:
    from safetensors import SafetensorError

    try:
        save(tensors, path, **options)
    except SafetensorError as error:
        # Its message holds the system's number, by which a full disk is known.
        raise OSError(str(error)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Read NumPy arrays.

    Raises:
        UnavailableError: It is absent, may not be read, or is a pointer of Git LFS.
        StoreError: It is cut or damaged.
    """
    from safetensors.numpy import load_file

    found: dict[str, NDArray[Any]] = _read(path, load_file)
    return found


def read_torch(path: Path) -> dict[str, Tensor]:
    """Read tensors of torch; as `read`."""
    from safetensors.torch import load_file

    found: dict[str, Tensor] = _read(path, load_file)
    return found


def _read(path: Path, load: Any) -> Any:
    from safetensors import SafetensorError

    require_weights(path)
    try:
        return load(path)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise damaged(path, error) from error


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.pth` or `.bin` of PyTorch; nothing that is pickled in it runs.

    What else it holds by name, such as numbers, is left out.

    Raises:
        UnavailableError: As `read`.
        StoreError: It is damaged, another kind of file, or holds more than plain data.
    """
    import pickle

    import torch

    require_weights(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, OSError, EOFError),
        *(ValueError, TypeError, LookupError, AttributeError),
    ) as error:
        raise errors.StoreError(
            f"{path} is no file of tensors that can be read safely: it is damaged, another kind of "
            "file, or holds more than plain tensors",
            hint="download it again; a file that wants to run code is not read",
        ) from error
    if not isinstance(found, dict):
        raise errors.StoreError(
            f"{path} holds a {type(found).__name__}; tensors by name are wanted",
            hint="take the file of weights: a .safetensors, .pth or .bin",
        )
    return {
        str(name): value.contiguous() for name, value in found.items() if torch.is_tensor(value)
    }


def opened(path: Path) -> Any:
    """A file of torch's tensors whose names are known and that are read one by one.

    Raises:
        UnavailableError, StoreError: As `read`.
    """
    from safetensors import safe_open

    return _read(path, lambda place: safe_open(place, framework="pt"))


def require_weights(path: Path) -> None:
    """Refuse a file of weights that cannot be one.

    Raises:
        UnavailableError: It is absent, may not be read, or is a pointer of Git LFS.
        StoreError: It is empty.
    """
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(len(LFS_HEAD))
    except OSError as error:
        raise errors.UnavailableError(
            f"the weights {path} cannot be read: {error.strerror or error}",
            hint=f"chmod a+r {path}" if isinstance(error, PermissionError) else FETCH_AGAIN,
        ) from error
    if beginning == LFS_HEAD:
        raise errors.UnavailableError(
            f"{path} is no weights but a pointer of Git LFS to them",
            hint="git lfs pull, in the folder that was cloned, fetches them",
        )
    if not beginning:
        raise damaged(path, "it is empty")


def damaged(path: Path, why: object) -> errors.StoreError:
    """What is said of weights that cannot be read to their end."""
    first = str(why).strip().partition("\n")[0][:200]
    return errors.StoreError(f"the weights {path} are cut or damaged: {first}", hint=FETCH_AGAIN)
