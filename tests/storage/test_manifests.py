"""Manifests know their kind and version."""

import json

import pytest

from polyglance import errors
from polyglance.storage import manifests


def test_a_manifest_knows_its_kind_and_version(tmp_path):
    path = tmp_path / "m.json"
    manifests.write_manifest(path, {"dim": 3}, kind="store", schema_version=2)
    assert list(json.loads(path.read_text())) == ["schema_version", "kind", "dim", "checksum"]
    assert manifests.read_manifest(path, kind="store", schema_version=2) == {"dim": 3}
    assert manifests.read_manifest(path, kind="store", schema_version=5) == {"dim": 3}
    with pytest.raises(errors.StoreError, match="'store'; a pack is expected"):
        manifests.read_manifest(path, kind="pack", schema_version=2)
    with pytest.raises(errors.StoreError, match="schema version 2; this program reads 1 to 1"):
        manifests.read_manifest(path, kind="store", schema_version=1)
    path.write_text('["no object"]')
    with pytest.raises(errors.StoreError, match="of the kind None"):
        manifests.read_manifest(path, kind="store", schema_version=1)
    path.write_text('{"kind": "store", "schema_version": "1"}')
    with pytest.raises(errors.StoreError, match="schema version '1'"):
        manifests.read_manifest(path, kind="store", schema_version=1)
