"""CONTRIBUTING.md names files that exist, and no file of the tree names a package registry."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Put together here, so that this file does not name them.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs", "org")),
        *(("npmjs", "com"), ("registry", "yarnpkg", "com"), ("conda", "anaconda", "org")),
        *(("crates", "io"), ("proxy", "golang", "org"), ("rubygems", "org")),
    )
]


def paths_named(page):
    """What stands in backticks and looks like a path of the tree."""
    for quoted in re.findall(r"`([^`\s]+)`", page):
        if "/" in quoted or re.fullmatch(r"\.?[\w.-]+\.(md|py|toml|yaml|json)", quoted):
            yield quoted


@pytest.mark.parametrize("path", sorted(set(paths_named(PAGE))))
def test_every_path_exists(path):
    assert (ROOT / path).exists()


def test_what_looks_like_a_path_is_one():
    said = "`README.md` `a/b.py` `.ci/run` `make test` `TOWERS` `polyglance.towers`"
    assert list(paths_named(said)) == ["README.md", "a/b.py", ".ci/run"]


def test_links_and_scripts_exist():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    scripts = re.findall(r"examples/\w+\.py", PAGE)
    assert links
    assert scripts
    for path in [*links, *scripts]:
        assert (ROOT / path).exists(), path


def test_no_file_names_a_package_registry():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so nobody says which files are the project's")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert len(paths) > 100
    for path in paths:
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes().lower()
            assert not [host for host in REGISTRIES if host.encode() in text], path
