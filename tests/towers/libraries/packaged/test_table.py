"""The table of packaged towers agrees with the packages, with the extras and with the docs."""

import importlib
import tomllib
from importlib import metadata, util
from pathlib import Path

import pytest

from polyglance import errors
from polyglance.languages import encoder_languages
from polyglance.storage import digests
from polyglance.towers.libraries.packaged import table

ROOT = Path(__file__).resolve().parents[4]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", table.PACKAGED)
def test_what_reads_and_converts_a_row_is_there(name):
    row = table.PACKAGED[name]
    module, _, function = row.reader.partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    if row.converter is not None:
        assert callable(importlib.import_module(row.converter).convert)
        assert row.converted_bytes > 0
    assert name == name.lower()
    assert bool(row.languages) == (row.modality == "text")
    assert not row.languages or encoder_languages.languages_in(row.languages)


def test_use_declares_its_sixteen_languages():
    listed = encoder_languages.languages_in(table.PACKAGED["use-multilingual-v3"].languages)
    assert len(listed) == 16


@pytest.mark.parametrize("name", table.PACKAGED)
def test_the_extra_installs_the_version_that_is_read(name):
    row = table.PACKAGED[name]
    extra = row.install.partition("[")[2].partition("]")[0]
    pinned = [line.partition(";")[0].strip() for line in EXTRAS[extra]]
    assert f"{row.package}=={row.version}" in pinned


@pytest.mark.parametrize("name", table.PACKAGED)
def test_an_installed_package_holds_what_the_row_says(name):
    row = table.PACKAGED[name]
    spec = util.find_spec(row.module)
    if spec is None or metadata.version(row.package) != row.version:
        pytest.skip(f"{row.package} {row.version} is not installed: {row.install}")
    for path, wanted in row.files.items():
        place = Path(spec.submodule_search_locations[0]) / path
        found = table.SourceFile(place.stat().st_size, digests.sha256_of_file(place))
        assert found == wanted


@pytest.mark.parametrize("name", table.PACKAGED)
def test_the_docs_name_each_tower(name):
    row = table.PACKAGED[name]
    lines = (ROOT / "docs" / "towers.md").read_text("utf-8").splitlines()
    (said,) = [line for line in lines if line.startswith(f"| `packaged:{name}`")]
    for fact in (row.package, row.version, row.licence, f"| {row.width} |", row.install):
        assert fact in said


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(errors.UnknownNameError, match="did you mean multilingual-e5-small"):
        table.row_of("multilingual-e5")
    assert table.row_of("Multilingual-E5-Small") is table.PACKAGED["multilingual-e5-small"]
