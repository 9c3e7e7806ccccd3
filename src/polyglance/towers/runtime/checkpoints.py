"""Location of a model's folder: a path, or a name of the hub, cached or fetched."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from polyglance.errors import ConfigError, UnavailableError

# Weights as safetensors, configuration and tokenizers; no pickles, no code, no other runtimes.
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md"]
_UNWANTED = ["onnx/*", "openvino/*", "*.msgpack"]


def find_folder(location: str, *, revision: str | None = None) -> Path:
    """The folder of a model: the path itself, or the hub's snapshot, from the cache if it is there.

    Args:
        location: A path, or `owner/name`.
        revision: Which version of a hub model: branch, tag or commit.

    Raises:
        UnavailableError: Where neither the disk, nor the cache, nor the network has it.
    """
    folder = Path(location).expanduser()
    if folder.is_dir():
        return folder
    # A hub name has one slash at most and does not begin like a path.
    if location.startswith((".", "/", "~")) or location.count("/") > 1:
        raise UnavailableError(
            f"there is no folder {location}; a tower is a folder or a hub name (owner/name)",
            hint=f"check the path: ls {folder.parent}",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    fetch = functools.partial(
        snapshot_download,
        location,
        revision=revision,
        allow_patterns=_WANTED,
        ignore_patterns=_UNWANTED,
    )
    try:
        return Path(fetch(local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except ValueError as error:
        raise _unavailable(location, revision, why=str(error)) from error
    try:
        return Path(fetch())
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise _unavailable(location, revision, why=str(error)) from error


def read_json(path: Path) -> Any:
    """The content of a JSON file of a checkpoint.

    Raises:
        UnavailableError: Where it is absent.
        ConfigError: Where it cannot be read.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UnavailableError(
            f"{path.parent} has no {path.name}; this kind of model folder holds one",
            hint="check that the path names the model's own folder",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is no JSON: {error}", hint="download the model again: hf download OWNER/NAME"
        ) from error


def _unavailable(location: str, revision: str | None, *, why: str) -> UnavailableError:
    at = f" --revision {revision}" if revision else ""
    reason = why.strip().splitlines()[0][:120] if why.strip() else "no answer"
    return UnavailableError(
        f"the model {location} is not in this disk's cache, and the network does not give it "
        f"({reason})",
        hint=f"where there is a network: hf download {location}{at}",
    )
