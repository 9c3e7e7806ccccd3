"""EfficientNet-Lite: the folded network against a plain one with batch norms, padded by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from PIL import Image

from polyglance import errors
from polyglance.towers import TowerReference
from polyglance.towers.libraries.packaged import efficientnet_lite
from polyglance.towers.libraries.packaged.efficientnet_lite import STAGES, scaled_stages
from polyglance.towers.trainable.images import live_images

NAME = "efficientnet-lite1"


def same_convolution(maps, weight, *, stride):
    """TensorFlow's `SAME`: as many outputs as stride steps, the odd pixel behind."""
    for dim in (2, 3):
        size, kernel = maps.shape[dim], weight.shape[dim]
        needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        shape = list(maps.shape)
        shape[dim] = needed // 2
        front = maps.new_zeros(shape)
        shape[dim] = needed - needed // 2
        maps = torch.cat([front, maps, maps.new_zeros(shape)], dim=dim)
    groups = maps.shape[1] // weight.shape[1]
    return functional.conv2d(maps, weight, stride=stride, groups=groups)


def plain_network(stored, pixels):
    """The published form, layer by layer: pooled features and logits."""

    def layer(maps, convolution, norm, *, stride=1, activated=True):
        maps = same_convolution(maps, stored[f"{convolution}.weight"], stride=stride)
        mean, variance, gain, shift = (
            stored[f"{norm}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        maps = (maps - mean) / torch.sqrt(variance + 1e-3) * gain + shift
        return maps.clamp(0, 6) if activated else maps

    maps = layer(pixels, "_conv_stem", "_bn0", stride=2)
    strides = [
        stage.stride if number == 0 else 1
        for stage in scaled_stages(STAGES, *efficientnet_lite.VARIANTS[NAME])
        for number in range(stage.repeats)
    ]
    for number, stride in enumerate(strides):
        inside, before = f"_blocks.{number}.", maps
        if number:
            maps = layer(maps, f"{inside}_expand_conv", f"{inside}_bn0")
        maps = layer(maps, f"{inside}_depthwise_conv", f"{inside}_bn1", stride=stride)
        maps = layer(maps, f"{inside}_project_conv", f"{inside}_bn2", activated=False)
        if stride == 1 and maps.shape == before.shape:
            maps = maps + before
    pooled = layer(maps, "_conv_head", "_bn1").mean(dim=(2, 3))
    return pooled, pooled @ stored["_fc.weight"].T + stored["_fc.bias"]


@pytest.fixture(scope="module")
def stored():
    """Random weights in the published form, with batch norms that do something."""
    torch.manual_seed(0)
    found = {}

    def layer(convolution, norm, *shape):
        fan = shape[1] * shape[2] * shape[3]
        found[f"{convolution}.weight"] = torch.randn(shape) * (2 / fan) ** 0.5
        for part, low, high in (("weight", 0.5, 1.5), ("running_var", 0.5, 1.5)):
            found[f"{norm}.{part}"] = torch.empty(shape[0]).uniform_(low, high)
        for part in ("bias", "running_mean"):
            found[f"{norm}.{part}"] = torch.randn(shape[0]) * 0.2
        found[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    layer("_conv_stem", "_bn0", 32, 3, 3, 3)
    before, number = 32, 0
    for stage in scaled_stages(STAGES, *efficientnet_lite.VARIANTS[NAME]):
        for _ in range(stage.repeats):
            inside, hidden = f"_blocks.{number}.", before * stage.expansion
            if stage.expansion > 1:
                layer(f"{inside}_expand_conv", f"{inside}_bn0", hidden, before, 1, 1)
            kernel = stage.kernel
            layer(f"{inside}_depthwise_conv", f"{inside}_bn1", hidden, 1, kernel, kernel)
            layer(f"{inside}_project_conv", f"{inside}_bn2", stage.channels, hidden, 1, 1)
            before, number = stage.channels, number + 1
    layer("_conv_head", "_bn1", 1280, before, 1, 1)
    found["_fc.weight"], found["_fc.bias"] = torch.randn(1000, 1280) * 0.03, torch.randn(1000)
    return found


@pytest.fixture(scope="module")
def folder(stored, tmp_path_factory):
    made = tmp_path_factory.mktemp("converted")
    torch.save(stored, made / "weights.pth")
    efficientnet_lite.convert({"models/weights.pth": made / "weights.pth"}, made)
    return made


def tower_of(folder, **options):
    return efficientnet_lite.load(folder, TowerReference("packaged", NAME, options))


def photo(seed=0, *, size=(90, 70)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


# 64: every stride has an odd pixel; 65 and 50: some have none, some two.
@pytest.mark.parametrize("size", ["64", "65", "50"])
def test_features_and_logits_are_those_of_the_plain_network(stored, folder, size):
    tower = tower_of(folder, size=size, features="classes")
    pixels = torch.from_numpy(np.stack([tower.preprocess(photo(seed)) for seed in (0, 1)]))
    with torch.inference_mode():
        pooled, logits = plain_network(stored, pixels)
    images = [photo(0), photo(1)]
    found = tower.encode(images, output="pre_projection")
    np.testing.assert_allclose(found, pooled, atol=2e-4 * pooled.abs().max().item())
    np.testing.assert_allclose(tower.encode(images), logits.softmax(dim=1), atol=1e-4)


def test_pixels_are_centred_and_scaled_as_in_training(folder):
    tower = tower_of(folder, size="32")
    found = tower.preprocess(Image.new("RGB", (50, 40), (127, 255, 0)))
    assert found.shape == (3, 32, 32)
    np.testing.assert_array_equal(found[:, 0, 0], [0, 1, -127 / 128])


def test_roots_are_roots_and_each_choice_has_its_own_space(folder):
    pooled, roots = tower_of(folder, size="32"), tower_of(folder, size="32", features="roots")
    np.testing.assert_allclose(
        roots.encode([photo()]), np.sqrt(pooled.encode([photo()])), rtol=1e-5, atol=2e-6
    )
    others = [tower_of(folder, size="33"), tower_of(folder, size="32", features="classes")]
    others += [tower_of(folder, size="32", features="classes", top="5"), tower_of(folder)]
    spaces = [tower.space_id for tower in (pooled, roots, *others)]
    assert len(set(spaces)) == len(spaces)


def test_the_largest_shares_sum_to_one(folder):
    all_of = tower_of(folder, size="32", features="classes").encode([photo()])[0]
    some = tower_of(folder, size="32", features="classes", top="3").encode([photo()])[0]
    kept = np.argsort(-all_of)[:3]
    assert set(np.flatnonzero(some)) == set(kept)
    np.testing.assert_allclose(some[kept], all_of[kept] / all_of[kept].sum(), rtol=1e-4)
    flat = tower_of(folder, size="32", features="classes", top="2", temperature="100")
    np.testing.assert_allclose(flat.encode([photo()]).max(), 0.5, atol=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "31"}, "size=31 of packaged:efficientnet-lite1.*from 32 to 1024"),
        ({"size": "64.5"}, "a whole number"),
        ({"size": "nan"}, "a whole number"),
        ({"features": "classes", "temperature": "nan"}, "from 0.01 to 100"),
        ({"features": "classes", "top": "0"}, "from 1 to 1000"),
        ({"top": "5"}, "top of packaged:efficientnet-lite1.*class probabilities"),
        ({"features": "root"}, "roots"),
        ({"pooling": "mean"}, "pooling"),
    ],
)
def test_options_that_mean_nothing_are_refused(folder, options, said):
    with pytest.raises(errors.PolyglanceError, match=said):
        tower_of(folder, **options)


def test_other_weights_are_refused(stored, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save({name: value for name, value in stored.items() if "_conv_head" not in name}, file)
    with pytest.raises(errors.StoreError, match="_conv_head"):
        efficientnet_lite.convert({"weights.pth": file}, tmp_path)
    file.write_bytes(b"no weights")
    with pytest.raises(errors.StoreError, match="be read safely"):
        efficientnet_lite.convert({"weights.pth": file}, tmp_path)


@pytest.mark.parametrize("features", ["pooled", "roots"])
def test_it_can_learn(folder, features):
    tower = tower_of(folder, size="32", features=features)
    learning = live_images(tower, "packaged:efficientnet-lite1?size=32")
    learning.forward([learning.resized(photo())]).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in learning.module.parameters())
    np.testing.assert_array_equal(tower.encode([photo()]), learning.export()[0].encode([photo()]))
