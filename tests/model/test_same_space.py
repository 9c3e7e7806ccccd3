"""The pictures that models are probed with stay the same: packs hold their vectors."""

import math

import numpy as np
import pytest

from polyglance import errors
from polyglance.model import same_space


def test_the_probe_pictures_are_the_ones_described():
    """Each from its formula, pixel by pixel, on a coarse grid; 1 of 255 for rounding."""
    pictures = same_space.probe_images()
    assert len(pictures) == same_space.NUM_PROBE_PICTURES == 6
    for number, picture in enumerate(pictures):
        assert (picture.mode, picture.size) == ("RGB", (224, 224))
        pixels = np.asarray(picture).astype(int)
        angle = math.pi * number / 6
        for row in range(0, 224, 13):
            for column in range(0, 224, 13):
                x, y = column / 224, row / 224
                along = math.cos(angle) * x + math.sin(angle) * y
                wave = 0.5 + 0.5 * math.sin(2 * math.pi * (number + 1) * along)
                inside = (x - (0.3 + 0.08 * number)) ** 2 + (y - 0.5) ** 2 < 0.05
                expected = [wave, 1 - wave if inside else y, x if inside else wave]
                found = pixels[row, column]
                assert np.abs(found - 255 * np.array(expected)).max() <= 1.01, (number, x, y)


@pytest.mark.parametrize("width", ["B-32", "B-16", "L-14"])
def test_known_equivalents_pass_and_nothing_else(width):
    """The pairs of each size that the table lists; another size is another space."""
    model = f"openclip:ViT-{width}?pretrained=openai"
    name = {"B-32": "base-patch32", "B-16": "base-patch16", "L-14": "large-patch14"}[width]
    same_space.require_known(model, f"hf:openai/clip-vit-{name}")
    same_space.require_known(f"openclip:ViT-{width}-quickgelu", model)
    for other in ("openclip:ViT-H-14", "hf:openai/clip-vit-large-patch14-336"):
        with pytest.raises(errors.SpaceMismatchError, match="one space only"):
            same_space.require_known(model, other)
