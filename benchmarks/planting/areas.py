"""The source files in which bugs are planted, by area, and a copy of the tree to plant them in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = Path("src") / "polyglance"
# Everything that is made here: git ignores it, and it may be deleted at any time.
WORK = ROOT / "build" / "planted-bugs"

# Files that decide what is run and noted, beside source and tests.
DECIDES = frozenset({"pyproject.toml", "covering.py"})

# Files and folders below `SOURCE`, by what they decide; a test resolves each.
AREAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "recipes": ("recipes", "generation", "losses", "heads/closed_form.py"),
        "evaluation": ("evaluation", "tasks", "metrics", "results/schema.py"),
        "search": (
            "search",
            "languages/detection.py",
            "storage/ann_index.py",
            "storage/ann_build.py",
        ),
        "packs": ("model", "vectors.py", "heads/affine.py", "heads/linear.py", "heads/mlp.py"),
    }
)


def area_files(tree: Path) -> dict[str, list[Path]]:
    """The Python files of each area, relative to the tree, in the order of their names."""
    found: dict[str, list[Path]] = {}
    for area, names in AREAS.items():
        paths = [tree / SOURCE / name for name in names]
        files = [
            each
            for path in paths
            for each in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
        ]
        found[area] = [each.relative_to(tree) for each in files]
    return found


def tracked_files(root: Path = ROOT) -> list[Path]:
    """The files of the working tree that git tracks or would track, relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    names = sorted(set(listed.decode().split("\0")) - {""})
    return [Path(name) for name in names if (root / name).is_file()]


def copy_tree(to: Path, *, root: Path = ROOT) -> Path:
    """Copy the working tree's own files to a new folder; bugs are planted only in copies."""
    for name in tracked_files(root):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, to / name)
    return to


def source_fingerprint(root: Path = ROOT) -> str:
    """What decides, beside the tests, which of them runs what: source, fixtures, settings."""
    digest = hashlib.sha256()
    for name in tracked_files(root):
        is_fixture = name.parts[0] == "tests" and not name.name.startswith("test_")
        if name.parts[0] == "src" or is_fixture or name.name in DECIDES:
            digest.update(f"{name}\0".encode() + (root / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def fingerprints_of_tests(root: Path = ROOT) -> dict[str, str]:
    """The files of the default tests and of documented examples, each with a hash of its text."""
    found = {}
    for name in tracked_files(root):
        if name.suffix != ".py" or name.parts[:2] == ("tests", "slow"):
            continue
        text = (root / name).read_bytes()
        is_test = name.parts[0] == "tests" and name.name.startswith("test_")
        if is_test or (name.is_relative_to(SOURCE) and b">>> " in text):
            found[name.as_posix()] = hashlib.sha256(text).hexdigest()[:16]
    return found


def environment(tree: Path) -> dict[str, str]:
    """The environment in which tests of a copy run: its own source first, and one thread."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }
