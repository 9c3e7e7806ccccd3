"""Which bytes may leave: not what the rows or files of a foreign index name."""

import pytest

from polyglance import errors
from polyglance.search import thumbnails
from polyglance.search.index import Index
from polyglance.serve.media import ItemFiles
from polyglance.storage.store import Store


@pytest.fixture
def secret(tmp_path):
    """A JPEG of this machine that no index holds."""
    path = tmp_path / "private" / "secret.jpg"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xd8\xffsecret")
    return path


@pytest.mark.parametrize("key", ["..", "../../private/secret", "ab/../../x", "AB" * 16, ""])
def test_a_key_never_becomes_a_path_of_its_own(world, secret, key):
    store = Store.open(world.index)
    identity = store.ids()[0]
    columns = store.table.to_table(filter=f"id = '{identity}'").to_pydict()
    columns["key"] = [key]
    import pyarrow as pa

    merge = store.table.merge_insert("id").when_matched_update_all()
    merge.execute(pa.table(columns, schema=store.table.schema))
    pictures = ItemFiles(Index(world.index))
    with pytest.raises(errors.StoreError, match="32 hexadecimal digits"):
        pictures.thumbnail(identity)
    with pytest.raises(errors.PolyglanceError):
        pictures.picture(identity)


def test_a_thumbnail_that_is_a_link_is_made_anew_and_not_followed(world, secret):
    store = Store.open(world.index)
    identity, key = store.ids()[0], store.keys()[0]
    place = thumbnails.place_of(world.index, key)
    place.unlink()
    place.symlink_to(secret)
    assert ItemFiles(Index(world.index)).thumbnail(identity) is None  # it is to be made
    ItemFiles(Index(world.index)).keep(identity, b"\xff\xd8\xffmade")
    assert ItemFiles(Index(world.index)).thumbnail(identity) == b"\xff\xd8\xffmade"
    assert secret.read_bytes() == b"\xff\xd8\xffsecret"
    assert not place.is_symlink()
