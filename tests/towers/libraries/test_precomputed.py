"""Someone's own vectors are looked up by id, and refused where they cannot be used."""

import json

import numpy as np
import pytest

from polyglance import errors
from polyglance.towers import Tower, load_tower

VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
IDS = ["a.jpg", "b c.jpg", "é.jpg", "d", "e"]


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS)
    (tmp_path / "ids.txt").write_text("\n".join(IDS), encoding="utf-8")
    return tmp_path


def load(folder, options="space=mine", modality="image"):
    return load_tower(f"precomputed:{folder}?{options}", modality=modality)


def clip_retrieval(folder, side="img", sizes=(2, 1)):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / f"{side}_emb").mkdir()
    (folder / "metadata").mkdir(exist_ok=True)
    # Number 10 comes after 2 by number and before it by letter.
    starts = np.cumsum([0, *sizes])
    for number, start, end in zip((2, 10), starts[:-1], starts[1:], strict=True):
        np.save(
            folder / f"{side}_emb" / f"{side}_emb_{number}.npy", VECTORS[start:end].astype("f2")
        )
        table = {"image_path": IDS[start:end], "caption": [f"text {x}" for x in range(start, end)]}
        pq.write_table(pa.table(table), folder / "metadata" / f"metadata_{number}.parquet")


def test_ids_find_their_vectors_in_any_order(folder):
    tower = load(folder)
    assert isinstance(tower, Tower)
    assert (tower.dim, tower.space_id, tower.uses_language) == (3, "mine", False)
    np.testing.assert_array_equal(tower.encode(["e", "a.jpg", "e"]), VECTORS[[4, 0, 4]])
    assert tower.encode([]).shape == (0, 3)
    assert tower.encode(["d"]).dtype == np.float32


def test_ids_as_json_and_windows_lines(folder):
    (folder / "ids.txt").write_bytes("\r\n".join(IDS).encode("utf-8-sig") + b"\r\n")
    np.testing.assert_array_equal(load(folder).encode(IDS), VECTORS)
    (folder / "ids.txt").unlink()
    (folder / "ids.json").write_text(json.dumps(IDS))
    np.testing.assert_array_equal(load(folder).encode(IDS), VECTORS)
    (folder / "ids.json").write_text('{"a": 1}')
    with pytest.raises(errors.InputError, match="a list of ids"):
        load(folder)
    (folder / "ids.json").unlink()
    with pytest.raises(errors.UnavailableError, match=r"neither ids\.txt"):
        load(folder)


def test_clip_retrieval_folders_are_read_by_number(tmp_path):
    clip_retrieval(tmp_path)
    tower = load(tmp_path)
    np.testing.assert_allclose(tower.encode(IDS[2::-1]), VECTORS[2::-1], atol=1e-2)
    (tmp_path / "text_emb").mkdir()
    for path in (tmp_path / "img_emb").iterdir():
        path.rename(tmp_path / "text_emb" / path.name.replace("img", "text"))
    text = load(tmp_path, modality="text")
    np.testing.assert_allclose(text.encode(["text 2"]), VECTORS[2:3], atol=1e-2)
    named = load(tmp_path, "space=mine&id_column=image_path", modality="text")
    np.testing.assert_allclose(named.encode(["d.jpg", "a.jpg"][1:]), VECTORS[:1], atol=1e-2)
    with pytest.raises(errors.UnknownNameError, match="url"):
        load(tmp_path, "space=mine&id_column=url", modality="text")
    (tmp_path / "metadata" / "metadata_10.parquet").unlink()
    with pytest.raises(errors.UnavailableError, match=r"metadata_10\.parquet"):
        load(tmp_path, modality="text")


def test_unknown_ids_are_counted_and_named(folder):
    with pytest.raises(errors.InputError, match="2 of 3 ids have no vector in .*, first 'x', 'y'"):
        load(folder).encode(["x", "d", "y"])


def test_the_space_must_be_declared(folder):
    with pytest.raises(errors.ConfigError, match="declares no space"):
        load(folder, "")
    with pytest.raises(errors.UnknownNameError, match="option of precomputed"):
        load(folder, "spaces=mine")


def test_only_the_embedding_is_stored(folder):
    with pytest.raises(errors.ConfigError, match="only embedding is stored"):
        load(folder).encode(["d"], output="pre_projection")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_rows_that_cannot_be_compared_are_named(folder, value):
    broken = VECTORS.copy()
    broken[[1, 3]] = value
    np.save(folder / "vectors.npy", broken)
    with pytest.raises(errors.VectorError, match=r"vectors\.npy has 2 rows .* first 1, 3"):
        load(folder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (VECTORS[:4], "4 vectors for 5 ids"),
        (VECTORS[0], r"float32 \(3,\)"),
        (VECTORS.astype("i4"), "int32"),
        (np.array([{}] * 5), "no array of numbers"),
    ],
)
def test_other_arrays_are_refused(folder, array, message):
    np.save(folder / "vectors.npy", array)
    with pytest.raises(errors.VectorError, match=message):
        load(folder)


def test_parts_of_two_widths_are_refused(tmp_path):
    clip_retrieval(tmp_path)
    np.save(tmp_path / "img_emb" / "img_emb_10.npy", np.ones((1, 4), dtype="f2"))
    with pytest.raises(errors.VectorError, match=r"img_emb_10\.npy is float16 \(1, 4\)"):
        load(tmp_path)


def test_an_id_that_occurs_twice_is_refused(folder):
    (folder / "ids.txt").write_text("a\nb\na\nd\ne")
    with pytest.raises(errors.InputError, match="'a' occurs twice"):
        load(folder)


def test_folders_that_are_absent_or_empty(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no folder"):
        load(tmp_path / "none")
    for modality in ("image", "audio"):
        with pytest.raises(errors.UnavailableError, match=f"no {modality} vectors"):
            load(tmp_path, modality=modality)


def test_the_fingerprint_follows_vectors_and_ids(folder):
    names = {load(folder).fingerprint, load(folder, "space=other").fingerprint}
    assert len(names) == 1
    (folder / "ids.txt").write_text("\n".join(reversed(IDS)), encoding="utf-8")
    names.add(load(folder).fingerprint)
    np.save(folder / "vectors.npy", VECTORS + 1)
    names.add(load(folder).fingerprint)
    assert len(names) == 3


def test_one_folder_holds_both_sides_and_ids_may_be_any_text(tmp_path):
    texts = ["a\u2028dog", "b", "c", "d", "e"]
    for side, ids, sign in (("image", IDS, 1), ("text", texts, -1)):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / "vectors.npy", sign * VECTORS)
        (tmp_path / side / "ids.txt").write_bytes("\r\n".join([*ids, ""]).encode())
    image, text = (load(tmp_path, modality=side) for side in ("image", "text"))
    assert image.space_id == text.space_id == "mine"
    np.testing.assert_array_equal(image.encode(["é.jpg"]), VECTORS[2:3])
    np.testing.assert_array_equal(text.encode(["a\u2028dog"]), -VECTORS[:1])
