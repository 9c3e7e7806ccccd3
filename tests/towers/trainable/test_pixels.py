"""The steps from picture to array; the libraries' own are compared in test_huggingface."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from polyglance import errors
from polyglance.towers.trainable import pixels


def read(config, crops=True):
    return pixels.from_preprocessor_config(config, crops_by_default=crops)


def test_old_files_give_the_shorter_side_as_a_number():
    old = read({"size": 224, "crop_size": 224, "do_center_crop": True})
    new = read(
        {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}},
    )
    assert old == new
    assert (old.fit, old.height, old.crop) == ("shortest", 224, (224, 224))


def test_families_differ_where_the_file_is_silent():
    assert read({"size": {"height": 8, "width": 6}}, crops=False).crop is None
    assert read({"size": 8}, crops=False).fit == "exact"
    assert read({}).crop == (224, 224)


def test_steps_can_be_switched_off():
    recipe = read(
        {"do_resize": False, "do_center_crop": False, "do_rescale": False, "do_normalize": False}
    )
    picture = Image.new("RGB", (3, 2), (1, 2, 3))
    array = pixels.to_array(picture, recipe=recipe)
    assert array.shape == (3, 2, 3)
    assert array[:, 0, 0].tolist() == [1, 2, 3]


def test_an_efficientnet_shifts_the_range_and_divides_twice():
    plain = {"do_resize": False, "do_center_crop": False, "image_mean": 0.25, "image_std": 0.5}
    picture = Image.new("RGB", (1, 1), (255, 51, 0))

    def of(**settings):
        return pixels.to_array(picture, recipe=read({**plain, **settings}))[:, 0, 0]

    seen = np.array([1.0, 0.2, 0.0])
    np.testing.assert_allclose(of(), (seen - 0.25) / 0.5, atol=1e-6)
    shifted = of(rescale_offset=True, rescale_factor=2 / 255)
    np.testing.assert_allclose(shifted, (2 * seen - 1 - 0.25) / 0.5, atol=1e-6)
    np.testing.assert_allclose(of(include_top=True), (seen - 0.25) / 0.5 / 0.5, atol=1e-6)


@pytest.mark.parametrize("size", [{"longest_edge": 9, "shortest_edge": 3}, "large", {"height": 3}])
def test_other_sizes_are_refused(size):
    with pytest.raises(errors.ConfigError, match="image size"):
        read({"size": size})


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK", "P", "I;16", "1", "LA"])
def test_every_mode_becomes_three_channels(mode):
    recipe = read({"size": {"shortest_edge": 8}, "crop_size": 8})
    picture = Image.new(mode, (30, 20))
    array = pixels.to_array(picture, recipe=recipe)
    assert array.shape == (3, 8, 8)
    assert array.dtype == np.float32
    assert np.isfinite(array).all()
    assert picture.mode == mode


def test_what_is_no_picture_is_refused():
    with pytest.raises(errors.InputError, match="str is no image"):
        pixels.to_array("photo.jpg", recipe=pixels.PixelRecipe(fit=None))


def test_a_small_picture_gets_black_borders():
    recipe = pixels.PixelRecipe(fit=None, crop=(4, 3))
    array = pixels.to_array(Image.new("RGB", (1, 1), (255, 255, 255)), recipe=recipe)
    assert array.shape == (3, 4, 3)
    assert array[0].sum() == 1.0
    assert array[0, 2, 1] == 1.0


def test_crop_rounding_is_that_of_the_library():
    column = Image.fromarray(np.arange(7, dtype=np.uint8).reshape(7, 1).repeat(3, 1))
    for rounding, first in (("down", 1), ("half_even", 2)):
        recipe = pixels.PixelRecipe(fit=None, crop=(4, 3), crop_rounding=rounding, scale=1)
        assert pixels.to_array(column, recipe=recipe)[0, 0, 0] == first


@settings(max_examples=40)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 60))
def test_a_patch_grid_is_whole_and_within_the_budget(height, width, most):
    recipe = pixels.PixelRecipe(fit="patches", patch_size=4, max_patches=most)
    array = pixels.to_array(Image.new("L", (width, height)), recipe=recipe)
    _, tall, wide = array.shape
    assert tall % 4 == wide % 4 == 0
    assert 1 <= (tall // 4) * (wide // 4) <= most
    assert pixels.to_patches(array, patch_size=4).shape == (tall * wide // 16, 48)


@pytest.mark.parametrize(
    ("width", "height", "resized"),
    [
        (400, 300, (298, 224)),
        (300, 400, (224, 298)),
        (500, 333, (336, 224)),
        (1000, 667, (335, 224)),
    ],
)
def test_the_longer_side_is_cut_and_not_rounded(width, height, resized):
    """As the libraries do: 224 x 400 / 300 is 298.67, and one pixel more would shift the crop."""
    recipe = pixels.PixelRecipe(fit="shortest", height=224, width=224)
    array = pixels.to_array(Image.new("RGB", (width, height)), recipe=recipe)
    assert array.shape == (3, resized[1], resized[0])
