"""Checksums of manifests and of the files beside them."""

import json

import pytest

from polyglance import errors
from polyglance.storage import manifests, seals


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "pack"
    (folder / "tower" / "base").mkdir(parents=True)
    (folder / "plain").mkdir()
    for name in ("tower/base", "tower"):
        (folder / name / "weights").write_bytes(name.encode())
        manifests.write_manifest(
            folder / name / "tower.json", {}, kind="tower", schema_version=1, seal=True
        )
    (folder / "head").write_bytes(b"head")
    (folder / "plain" / "vocabulary").write_bytes(b"words")
    (folder / "README.md").write_text("read me")
    manifests.write_manifest(
        folder / "pack.json", {"score": 0.25}, kind="pack", schema_version=1, seal=True
    )
    return folder


def read(folder, name="pack.json", kind="pack"):
    return manifests.read_manifest(folder / name, kind=kind, schema_version=1)


def test_each_file_is_sealed_once_by_the_manifest_nearest_to_it(sealed):
    said = json.loads((sealed / "pack.json").read_text())["sealed"]
    assert sorted(said) == ["head", "plain/vocabulary", "tower/tower.json"]
    inner = json.loads((sealed / "tower" / "tower.json").read_text())["sealed"]
    assert sorted(inner) == ["base/tower.json", "weights"]
    assert read(sealed) == {"score": 0.25}


@pytest.mark.parametrize("name", ["head", "plain/vocabulary", "tower/tower.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "absent", "pointer"])
def test_a_file_that_is_not_what_was_saved_is_named(sealed, name, damage):
    path, data = sealed / name, (sealed / name).read_bytes()
    said = "is not the file that was saved"
    if damage == "flip":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "pointer":
        path.write_bytes(seals.LFS_HEAD + b"v1\noid sha256:0\nsize 1\n")
        said = "is a pointer of Git LFS"
    else:
        path.unlink()
        said = "cannot be read"
    with pytest.raises(errors.StoreError, match=f"{name} {said}"):
        read(sealed)


def test_a_manifest_that_was_changed_says_how_to_say_that_it_was_meant(sealed):
    path = sealed / "pack.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "score": 0.75}))
    with pytest.raises(errors.StoreError, match="changed or damaged.*(?s:.*)take the line"):
        read(sealed)
    del content["checksum"]
    path.write_text(json.dumps({**content, "score": 0.75}))
    assert read(sealed) == {"score": 0.75}


def test_a_readme_may_be_written_on(sealed):
    (sealed / "README.md").write_text("my own words")
    read(sealed)


def test_no_manifest_reaches_out_of_its_folder(sealed):
    path = sealed / "pack.json"
    content = json.loads(path.read_text())
    content["sealed"] = {"../../secret": "0" * 64}
    content["checksum"] = seals.checksum(content)
    path.write_text(json.dumps(content))
    with pytest.raises(errors.StoreError, match="lies outside"):
        read(sealed)
