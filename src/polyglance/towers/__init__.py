"""The table of towers; one file per library, and what all have in common in `base`.

A reference names a tower: `library:location`, with options behind a question mark, as in
`hf:openai/clip-vit-base-patch32`, `hf:xlm-roberta-base?pooling=mean`, `sentence:/a/folder`,
`packaged:multilingual-e5-small`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from polyglance import errors
from polyglance.records import Modality
from polyglance.storage import locations
from polyglance.towers import trusted_paths
from polyglance.towers.base import Tower as Tower


@dataclass(frozen=True)
class TowerSource:
    """Where a kind of tower is built: a function `load(reference, *, modality) -> Tower`.

    Attributes:
        module: Its module.
        function: The function there.
        sides: What towers of this kind read, items first.
        extra: The extra that installs its library; None where no extra is needed.
        runtimes: What may run its text towers, by the option `runtime`; the first by default.
    """

    module: str
    function: str
    sides: tuple[Modality, ...] = ("image", "text")
    extra: str | None = None
    runtimes: tuple[str, ...] = ("torch",)


@dataclass(frozen=True)
class TowerReference:
    """A parsed reference: `library:location?option=value&...`; in a value `%26` stands for `&`."""

    library: str
    location: str
    options: Mapping[str, str]

    def __str__(self) -> str:
        tail = "&".join(
            f"{key}={value.replace('%', '%25').replace('&', '%26')}"
            for key, value in self.options.items()
        )
        return f"{self.library}:{self.location}" + (f"?{tail}" if tail else "")


_RUNTIMES = ("torch", "onnx", "onnx-float32")

# Every way to name a tower, in one place; a test resolves each entry.
TOWERS: Mapping[str, TowerSource] = MappingProxyType(
    {
        "hf": TowerSource("polyglance.towers.libraries.transformers", "load", runtimes=_RUNTIMES),
        "sentence": TowerSource(
            "polyglance.towers.libraries.sentence_transformers",
            "load",
            sides=("text",),
            runtimes=_RUNTIMES,
        ),
        "packaged": TowerSource(
            "polyglance.towers.libraries.packaged.tower", "load", runtimes=_RUNTIMES
        ),
        "openclip": TowerSource("polyglance.towers.libraries.open_clip", "load", extra="openclip"),
        "tiny": TowerSource("polyglance.towers.tiny.tower", "load"),
        "precomputed": TowerSource(
            "polyglance.towers.libraries.precomputed", "load", sides=("image", "audio", "text")
        ),
        "tuned": TowerSource("polyglance.towers.trainable.tuned", "load", sides=("text",)),
        "tuned-image": TowerSource(
            "polyglance.towers.trainable.tuned_images", "load", sides=("image",)
        ),
    }
)

# Entry points of third parties, and what their dual encoders embed beside texts.
GROUPS: Mapping[str, Modality] = MappingProxyType(
    {"polyglance.towers": "image", "polyglance.audio_towers": "audio"}
)


def parse_reference(reference: str, *, options: Sequence[str] | None = None) -> TowerReference:
    """Read `library:location?key=value&key=value`, with `%26` for an `&` in a value.

    Args:
        reference: What the user wrote.
        options: The option names that this kind of tower knows; others are refused. None
            leaves that to the tower's own loader.

    Raises:
        UnknownNameError: For an unknown library or option.
        ConfigError: For a reference without a library or location, or with an option twice.

    >>> parse_reference("hf:xlm-roberta-base?pooling=mean").options["pooling"]
    'mean'
    """
    library, colon, rest = reference.partition(":")
    if reference and not colon and Path(reference).is_dir():
        raise errors.ConfigError(
            f"{reference!r} is a folder without model.json, and so no model",
            hint="a folder of transformers is hf:FOLDER, one of sentence-transformers "
            "sentence:FOLDER; a language pack is named beside its model",
        )
    if not colon or not rest:
        example = (
            reference if locations.HUB_ID.fullmatch(reference) else "openai/clip-vit-base-patch32"
        )
        raise errors.ConfigError(
            f"{reference!r} is no tower reference; the form is library:location",
            hint=f"for example hf:{example} or sentence:/a/folder",
        )
    if library not in _all_sources():
        raise errors.unknown_name("tower library", library, allowed=_all_sources())
    location, _, query = rest.partition("?")
    parsed: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if options is not None and key not in options:
            raise errors.unknown_name(f"option of {library} towers", key, allowed=options)
        if key in parsed:
            raise errors.ConfigError(
                f"{reference!r} has the option {key} twice", hint=f"leave one {key}= out"
            )
        parsed[key] = unquote(value)
    return TowerReference(library, location, MappingProxyType(parsed))


def beside(folder: Path, reference: str) -> str:
    """A reference that a folder's manifest names (`tiny:./tower`), as seen from anywhere.

    Args:
        folder: What `./` means.
        reference: One without `./` stays as it is.

    Raises:
        StoreError: For a location that leads out of `folder`, or a path; see `trusted_paths`.

    >>> beside(Path("/packs/one"), "hf:./tower?pooling=mean")
    'hf:/packs/one/tower?pooling=mean'
    """
    parsed = parse_reference(reference)
    location = parsed.location
    for option in parsed.options.values():
        trusted_paths.require_allowed(option, named_by=folder)
    if not location.startswith("./"):
        trusted_paths.require_allowed(location, named_by=folder)
        return reference
    inside = (folder / location).resolve()
    if not inside.is_relative_to(folder.resolve()):
        raise errors.StoreError(
            f"the tower {reference} lies outside {folder}; it must be inside",
            hint="do not load folders that you do not trust",
        )
    return reference.replace(location, str(inside), 1)


def note_places(reference: str) -> None:
    """Remember the paths of a reference that the user's own folder is about to name."""
    parsed = parse_reference(reference)
    for place in (parsed.location, *parsed.options.values()):
        trusted_paths.note(place)


def load_tower(reference: str, *, modality: Modality) -> Tower:
    """Load the tower of one modality that a reference names.

    Args:
        reference: `library:location?options`.
        modality: Which side of it.

    Raises:
        UnknownNameError: For an unknown library, or a runtime that it does not have.
        ConfigError: Towers of that library do not read the modality, or have no choice of runtimes.
        MissingExtraError: Where the library of that kind is not installed.
        UnavailableError: Where the weights cannot be had.
    """
    parsed = parse_reference(reference)
    source = _all_sources()[parsed.library]
    # Those of third parties may mean something else by it.
    runtime = parsed.options.get("runtime") if parsed.library in TOWERS else None
    if runtime is not None and len(source.runtimes) == 1:
        raise errors.ConfigError(
            f"{reference} names a runtime; {parsed.library} towers have one and no choice",
            hint="leave the option runtime out",
        )
    if runtime is not None and runtime not in source.runtimes:
        raise errors.unknown_name("runtime", runtime, allowed=source.runtimes)
    if modality not in source.sides:
        raise errors.ConfigError(
            f"{reference} as {modality} tower; {parsed.library} towers read "
            f"{' and '.join(source.sides)}",
            hint=f"name a tower that reads {modality}",
        )
    if runtime == source.runtimes[0]:
        parsed = without_runtime(parsed)
    elif runtime is not None:
        source = TowerSource("polyglance.towers.onnx.loading", "load")
    try:
        module = importlib.import_module(source.module)
    except ModuleNotFoundError as error:
        # A bug in our own imports is not a missing package.
        if source.extra is None or (error.name or "").startswith("polyglance"):
            raise
        raise errors.missing_extra(f"{parsed.library} towers", extra=source.extra) from error
    tower = getattr(module, source.function)(parsed, modality=modality)
    if not isinstance(tower, Tower):
        raise errors.ConfigError(
            f"{source.module}:{source.function} gave {type(tower).__name__} for {reference}, which "
            "is no tower",
            hint="derive its class from polyglance.towers.Tower",
        )
    return tower


def without_runtime(reference: TowerReference) -> TowerReference:
    """The same tower as torch runs it."""
    options = {name: value for name, value in reference.options.items() if name != "runtime"}
    return TowerReference(reference.library, reference.location, MappingProxyType(options))


def items_of(reference: str) -> Modality:
    """What the dual encoder of a reference embeds beside texts, without loading it.

    Raises:
        UnknownNameError: For an unknown library.
    """
    sides = _all_sources()[parse_reference(reference).library].sides
    return next((side for side in sides if side != "text"), "image")


def _all_sources() -> Mapping[str, TowerSource]:
    """The built-in table, with what third parties registered as entry points behind it."""
    found = dict(TOWERS)
    for name, source in _registered().items():
        found.setdefault(name, source)
    return found


@cache
def _registered() -> Mapping[str, TowerSource]:
    """What third parties registered; to look through all that is installed takes a while."""
    found: dict[str, TowerSource] = {}
    for group, items in GROUPS.items():
        for point in entry_points(group=group):
            module, _, function = point.value.partition(":")
            found.setdefault(point.name, TowerSource(module, function, sides=(items, "text")))
    return found
