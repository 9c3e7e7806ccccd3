"""Checks of output places: one decision for every output, taken before any work begins.

An output never replaces what it did not make. What stands in its place is of the kind that is to be
written, or it stays; and whether the place can be written is tried, not guessed.

Two sorts of kinds: what goes on (an index, a run, results of `eval`) is taken up where it is of the
kind; what is made whole (a pack, a page) replaces one of its kind only when that was asked for, and
the old one stays until the new one is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from polyglance import errors
from polyglance.storage import atomic, leftovers, locations, made_files, seals

# Folders with one of these hold one thing whole; nothing else is written into them.
WHOLE_MARKERS = ("pack.json", "model.json", "store.json")
SHOWN_NAMES = 3
HEAD_BYTES = 8192
PROBE_BYTES = 4096
GENERATOR = '<meta name="generator" content="polyglance">'
MARKDOWN_MARK = "<!-- a report of polyglance -->"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A row of the table of outputs.

    Attributes:
        name: In plain words, with its article.
        is_folder: Whether it is a folder, or else a file.
        is_own: Whether what stands at a path is one of these, and nothing beside.
        stranger: What of a folder makes it none of these, in a clause beside the names of what
            is there; None where those say it.
        goes_on: Whether the next run goes on with it; else it is made whole and replaced.
    """

    name: str
    is_folder: bool
    is_own: Callable[[Path], bool]
    stranger: Callable[[Path], str] | None = None
    goes_on: bool = False


def require(
    path: Path, kind: Kind, *, force: bool = False, beside: Iterable[str | Path] = ()
) -> None:
    """Refuse a place that may not be written, or cannot be; nothing is changed there.

    What a killed writer of that very place left beside it is removed.

    Args:
        path: Where the output is to be.
        kind: What it will be.
        force: Whether one of this kind may be replaced.
        beside: What the same command reads, and what else it writes.

    Raises:
        OutputError: There is something else, or it is a place that is never written.
        DiskFullError: There is no room.
    """
    path = Path(path)
    try:
        _require_a_name(path)
        _require_no_special_place(path, kind)
        for other in beside:
            _require_apart(path, Path(other), kind)
        _require_free_or_own(path, kind, force=force)
        _try_to_write(path, kind)
        leftovers.sweep(path)
    except OSError as error:
        raise errors.of_system(error, doing=f"{kind.name} cannot be written to {path}") from error


def require_cache() -> None:
    """Refuse a cache that cannot be written, before there is anything to keep.

    Raises:
        OutputError: It cannot, with the variable that names another one.
        UnavailableError: Nothing says where it is.
    """
    folder = locations.cache_folder()
    hint = "name another cache: export POLYGLANCE_CACHE=FOLDER"
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise errors.OutputError(f"the cache {folder} is no folder", hint=hint)
        folder.mkdir(parents=True, exist_ok=True)
        _write_and_remove(folder / "cache")
    except OSError as error:
        why = errors.of_system(error, doing=f"the cache {folder} cannot be written")
        raise errors.OutputError(why.message, hint=hint) from error


def _refused(path: Path, why: str, *, hint: str) -> errors.OutputError:
    return errors.OutputError(f"{path} {why}; nothing was written", hint=hint)


def _require_a_name(path: Path) -> None:
    """A name that every program can read, and that the shell has expanded."""
    try:
        os.path.abspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _refused(
            path, "has a name that is not valid UTF-8", hint="give it another name"
        ) from error
    if path.parts and path.parts[0].startswith("~"):
        raise _refused(
            path,
            "begins with a ~ that no shell has replaced",
            hint=f"write the home folder out, or, for a folder of that name: ./{path}",
        )


def _require_no_special_place(path: Path, kind: Kind) -> None:
    """Neither a link, nor a device, nor one of the folders that hold everything."""
    going_on = kind.goes_on and _is_own(path, kind)
    another = "name a folder inside it" if kind.is_folder else "name a file of its own"
    if path.is_symlink() and not going_on:
        target = os.path.realpath(path)
        raise _refused(path, f"is a link to {target}", hint="name the place itself, or another one")
    if not path.exists():
        return
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _refused(path, "is a device, a pipe or a socket", hint="name a file of its own")
    if not stat.S_ISDIR(mode) or going_on:
        return
    places = {"the root of a disk": path.resolve() == Path(path.resolve().anchor)}
    places["the root of a disk"] |= os.path.ismount(path)
    places["the folder that this runs in"] = _same(path, Path.cwd())
    with contextlib.suppress(RuntimeError):  # no home folder
        places["the home folder"] = _same(path, Path.home())
    if said := next((name for name, is_there in places.items() if is_there), None):
        raise _refused(path, f"is {said}", hint=another)


def _require_apart(path: Path, other: Path, kind: Kind) -> None:
    """Not the place of what is read, nor around it, nor inside of a pack, model or index."""
    own, its = Path(os.path.realpath(path)), Path(os.path.realpath(other))
    if kind.goes_on and _is_own(path, kind) and not _same(path, other):
        return
    if own == its or _same(path, other):
        raise _refused(path, f"is given as {other} as well", hint="name a place of its own")
    if kind.is_folder and its.is_relative_to(own):
        raise _refused(path, f"holds {other}, which is given as well", hint="name another folder")
    if kind.is_folder and own.is_relative_to(its) and _is_whole(its):
        raise _refused(
            path, f"is inside of {other}, which is given as well", hint="name a folder beside it"
        )


def _is_whole(folder: Path) -> bool:
    return any((folder / name).is_file() for name in WHOLE_MARKERS)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one place, whatever their spelling."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _require_free_or_own(path: Path, kind: Kind, *, force: bool) -> None:
    """What is there is empty, or of the kind and may be taken up or replaced."""
    if not path.exists():
        return
    if path.is_dir() != kind.is_folder:
        inside = path / ("results.jsonl" if kind is RESULTS else "out")
        if path.is_dir():
            raise _refused(
                path, f"is a folder; {kind.name} is a file", hint=f"name a file, as in {inside}"
            )
        raise _refused(path, f"is a file; {kind.name} is a folder", hint="name another place")
    if _is_empty(path):
        return
    if not _is_own(path, kind):
        raise _refused(
            path,
            f"is no place for {kind.name}: {_why_not(path, kind)}",
            hint="name a place that is empty or does not exist yet",
        )
    if not kind.goes_on and not force:
        raise _refused(
            path,
            f"is {kind.name} already",
            hint="--force replaces it, when the new one is whole; or name another place",
        )


def _is_own(path: Path, kind: Kind) -> bool:
    """Whether there is something, and one of this kind."""
    if not (path.is_dir() if kind.is_folder else path.is_file()):
        return False
    return not _is_empty(path) and kind.is_own(path)


def _is_empty(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0


def _why_not(path: Path, kind: Kind) -> str:
    """What of a place stands in the way."""
    found = kind.stranger(path) if kind.stranger is not None and path.is_dir() else ""
    return f"{found}, and {_what_is_there(path)}" if found else _what_is_there(path)


def _what_is_there(path: Path) -> str:
    """Names of a folder's first entries, or what a file is."""
    if not path.is_dir():
        return f"it is another file, of {path.stat().st_size:,} bytes"
    names = sorted(os.listdir(path))
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return f"it holds {', '.join(names[:SHOWN_NAMES])}{more}"


def _try_to_write(path: Path, kind: Kind) -> None:
    """Write a small file where the output will be, and take it away again.

    Raises:
        OSError: As the system refuses.
    """
    if path.is_file():
        with path.open("r+b"):
            pass
    if path.is_dir() and kind.goes_on:
        folder, name = path, "output"
    else:
        folder, name = path.absolute().parent, path.name
        while not folder.exists() and not folder.is_symlink():
            longest = os.pathconf(_there(folder), "PC_NAME_MAX")
            if len(os.fsencode(folder.name)) > longest:
                raise OSError(36, os.strerror(36))
            folder = folder.parent
    _write_and_remove(folder / name)


def _write_and_remove(path: Path) -> None:
    probe = atomic.beside(path)
    try:
        with probe.open("xb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _there(path: Path) -> Path:
    """The nearest folder above that exists."""
    return path if path.exists() else _there(path.parent)


def _json_of(path: Path) -> object:
    """What a JSON file holds; None where it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _head(path: Path) -> str:
    """How a file begins."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def _names(folder: Path) -> set[str]:
    """What a folder holds, without what killed writers of ours left."""
    return {name for name in os.listdir(folder) if not leftovers.is_temporary(name)}


def _is_pack(path: Path) -> bool:
    """A pack and nothing beside what its manifests list.

    Photos that someone put into it would go with it when it is replaced.
    """
    said = _json_of(path / "pack.json")
    if not isinstance(said, dict) or said.get("kind") != "language-pack":
        return False
    known = _listed(path, "pack.json")
    found = {each.relative_to(path).as_posix() for each in path.rglob("*") if not each.is_dir()}
    return {name for name in found if not leftovers.is_temporary(name)} <= known


def _listed(folder: Path, manifest: str) -> set[str]:
    """The files that a manifest and those of the towers inside list, by their path."""
    said = _json_of(folder / manifest)
    sealed = said.get(seals.SEALED) if isinstance(said, dict) else None
    known = {manifest, *seals.NOT_SEALED}
    for name in sealed if isinstance(sealed, dict) else ():
        known.add(name)
        place, _, last = name.rpartition("/")
        if place and last == seals.INNER_MANIFEST:
            known |= {f"{place}/{inner}" for inner in _listed(folder / place, last)}
    return known


def _marked(manifest: str, *begun: str) -> Callable[[Path], bool]:
    """A folder with this manifest, or one that was begun: with all of these names and no other."""

    def is_own(path: Path) -> bool:
        return (path / manifest).is_file() or (bool(begun) and _names(path) == set(begun))

    return is_own


def _is_run(path: Path) -> bool:
    """A run, or the runs of several stages; its manifest comes after its lock."""
    if (path / "run.json").is_file():
        return True
    names = _names(path) - {".lock"}
    return all((path / name / "run.json").is_file() for name in names)


def _is_comparison(path: Path) -> bool:
    """A comparison; one that was stopped has packs alone, and those of earlier ones."""
    said = _json_of(path / "compare.json")
    if isinstance(said, dict) and not {"entries", "rungs"}.isdisjoint(said):  # rungs: until 0.1.0
        return True
    packs = path / "packs"
    return _names(path) == {"packs"} and all(
        (packs / name / "pack.json").is_file() for name in _names(packs)
    )


def _is_analysis(path: Path) -> bool:
    return _names(path) <= {"analysis.json", "analysis.html"} and (
        GENERATOR in _head(path / "analysis.html")
    )


def _begins(*signs: str) -> Callable[[Path], bool]:
    """A file near whose beginning all of these stand."""
    return lambda path: path.is_file() and all(sign in _head(path) for sign in signs)


PACK = Kind(name="a language pack", is_folder=True, is_own=_is_pack)
EXPORT = Kind(name="an export", is_folder=True, is_own=lambda path: False)
ANALYSIS = Kind(name="an analysis", is_folder=True, is_own=_is_analysis)
TABLES = Kind(
    name="a folder of results",
    is_folder=True,
    is_own=made_files.is_own,
    stranger=made_files.stranger,
)
INDEX = Kind(
    name="an index",
    is_folder=True,
    goes_on=True,
    is_own=_marked("store.json", "store.lock", "vectors.lance"),
)
RUN = Kind(name="a training run", is_folder=True, goes_on=True, is_own=_is_run)
COMPARISON = Kind(name="a comparison", is_folder=True, goes_on=True, is_own=_is_comparison)
DEMO = Kind(name="a demo", is_folder=True, goes_on=True, is_own=_marked("demo.json"))
RESULTS = Kind(
    name="a file of results",
    is_folder=False,
    goes_on=True,
    is_own=_begins('{"schema_version"', '"task"'),
)
CONVERTED = Kind(name="a file of results", is_folder=False, is_own=RESULTS.is_own)
PAGE = Kind(name="a report", is_folder=False, is_own=_begins(GENERATOR))
MARKDOWN = Kind(name="a report", is_folder=False, is_own=_begins(MARKDOWN_MARK))
CSV = Kind(
    name="a table of results",
    is_folder=False,
    is_own=_begins("task,split,language,english_name"),
)
# The columns that CLIP_benchmark's own tables have, and then ours, which they lack.
CLIP_BENCHMARK_CSV = Kind(
    name="a table of results",
    is_folder=False,
    is_own=_begins("dataset,model,pretrained,task,language,model_fullname,split,metric,variant"),
)
