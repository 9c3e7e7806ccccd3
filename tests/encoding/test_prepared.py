"""Pixels are resized once, read one image at a time, and what cannot be read is named."""

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.encoding import prepared
from polyglance.encoding.reading import content_key
from polyglance.records import MediaFile

PHRASES = small_world.PHRASES[:4]


@pytest.fixture
def files(tmp_path):
    found = {}
    for phrase in PHRASES:
        path = tmp_path / f"{phrase}.png"
        small_world.draw(phrase).save(path)
        found[phrase] = MediaFile(phrase, path, modality="image")
    return found


def halved(image):
    return np.asarray(image.convert("RGB"))[::2, ::2]


def test_images_are_resized_once_and_read_from_disk(files, tmp_path):
    seen = []

    def resize(image):
        seen.append(image.size)
        return halved(image)

    keys = {}
    for _ in range(2):
        found = prepared.prepare(
            files, resize, name="halves", known_keys=keys, folder=tmp_path / "kept"
        )
        assert list(found) == list(files)
        assert len(found) == len(files)
        for phrase in PHRASES:
            np.testing.assert_array_equal(found[phrase], halved(small_world.draw(phrase)))
            assert found[phrase].dtype == np.uint8
        keys = {phrase: content_key(file.path.read_bytes()) for phrase, file in files.items()}
    assert len(seen) == len(PHRASES)
    other = prepared.prepare(
        files, halved, name="another", known_keys=keys, folder=tmp_path / "kept"
    )
    assert len({path.parent.parent for path in (tmp_path / "kept").rglob("*.npy")}) == 2
    assert len(other) == len(files)


def test_what_is_there_is_not_made_again_where_no_key_is_known(files, tmp_path):
    seen = []

    def make(image):
        seen.append(image.size)
        return np.ones((2, 3, 4), np.float16)

    for _ in range(2):
        found = prepared.prepare(
            files, make, name="maps", kind="feature maps", folder=tmp_path / "kept"
        )
    assert len(seen) == len(PHRASES)
    assert found[PHRASES[0]].dtype == np.float16
    assert found[PHRASES[0]].shape == (2, 3, 4)


def test_one_that_cannot_be_read_is_named(files, tmp_path):
    files[PHRASES[1]].path.write_bytes(b"no picture")
    with pytest.raises(
        errors.InputError, match=f"1 of 4 images cannot be read, first {PHRASES[1]}"
    ):
        prepared.prepare(files, halved, name="halves", folder=tmp_path / "kept")
    assert len(list((tmp_path / "kept").rglob("*.npy"))) == 3  # the others stay


def test_damaged_pixels_name_their_file(files, tmp_path):
    found = prepared.prepare(files, halved, name="halves", folder=tmp_path / "kept")
    place = next((tmp_path / "kept").rglob("*.npy"))
    place.write_bytes(place.read_bytes()[:50])
    phrase = next(p for p, f in files.items() if content_key(f.path.read_bytes()) == place.stem)
    with pytest.raises(errors.StoreError, match=f"pixels of {phrase} cannot be read") as caught:
        found[phrase]
    assert str(place) in caught.value.hint
