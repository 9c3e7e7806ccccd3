"""The last stages of an image tower learn from kept feature maps what they learn from pixels."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from polyglance import errors
from polyglance.towers.libraries.packaged.efficientnet_lite import EfficientNetLite, roots
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny import tower as tiny
from polyglance.towers.trainable import assembled, pixels
from polyglance.towers.trainable.image_stages import live_stages
from polyglance.towers.trainable.images import live_images

NAME = "packaged:efficientnet-lite0"
SIDE = 64


class Flat(nn.Module):
    def forward(self, batch):
        return batch["pixel_values"].flatten(1)


def tower_of(features, *, width, projection=None, after=None):
    return assembled.TorchImageTower(
        assembled.ProjectedEncoder(features, projection, after=after),
        recipe=pixels.PixelRecipe(fit="exact", height=SIDE, width=SIDE),
        identity=assembled.Identity(
            dim=width, pre_projection_dim=1280, space_id="drawn", fingerprint="drawn"
        ),
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = EfficientNetLite("efficientnet-lite0")
    for parameter in net.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.uniform_(parameter, 0.0, 0.2)
    return net


@pytest.fixture(scope="module")
def tower(network):
    projection = nn.Linear(1280, 24)
    return tower_of(network, width=24, projection=projection, after=roots)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)).resize((30, 30))
        for _ in range(6)
    ]


@pytest.mark.parametrize("stages", [1, 2, 7])
def test_outputs_and_gradients_are_those_of_the_whole_tower(tower, images, stages):
    live, whole = live_stages(tower, NAME, stages=stages), live_images(tower, NAME)
    kept = [live.feature_map(image) for image in images]
    assert {array.dtype for array in kept} == {np.dtype(np.float16)}
    rounded = live.forward(kept)
    # Gradients are compared without the rounding, which moves some units over the edge of ReLU6.
    batch = live.tower.collate([live.tower.preprocess(image) for image in images])
    exact = live.features.feature_maps(batch, stages=stages).detach().numpy()
    np.testing.assert_allclose(np.stack(kept), exact, rtol=1e-3, atol=1e-3)
    found = live.forward(list(exact))
    wanted = whole.forward([whole.resized(image) for image in images])
    scale = wanted.abs().max().item()
    assert scale > 0.01
    np.testing.assert_allclose(found.detach(), wanted.detach(), atol=1e-5 * scale)
    np.testing.assert_allclose(rounded.detach(), wanted.detach(), atol=3e-3 * scale)
    weights = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    gradients = dict(whole.module.named_parameters())
    learning = [name for name, p in live.module.named_parameters() if p.requires_grad]
    for name, parameter in live.module.named_parameters():
        if name not in learning:
            assert parameter.grad is None
            continue
        expected = gradients[name].grad
        error = (parameter.grad - expected).norm() / expected.norm().clamp_min(1e-12)
        assert error < 1e-4, name
    blocks = {name.split(".")[2] for name in learning if name.startswith("features.blocks")}
    # Lite0 has 1, 2, 2, 3, 3, 4 and 1 blocks a stage.
    assert blocks == {str(number) for number in range({1: 15, 2: 11, 7: 0}[stages], 16)}
    assert {"features.head.weight", "projection.weight"} <= set(learning)
    assert "features.stem.weight" not in learning


def test_the_given_tower_stays_and_what_learnt_is_a_tower(tower, images):
    before = tower.encode(images)
    live = live_stages(tower, NAME, stages=1)
    kept = [live.feature_map(image) for image in images]
    optimizer = torch.optim.SGD([p for p in live.module.parameters() if p.requires_grad], lr=0.01)
    live.forward(kept).square().sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(tower.encode(images), before)
    learnt, reference = live.export()
    assert reference == "tuned-image:./image"
    found = learnt.encode(images)
    assert np.abs(found - before).max() > 1e-3
    np.testing.assert_allclose(live.forward(kept).detach(), found, atol=3e-3 * np.abs(found).max())
    again = live_stages(learnt, reference, stages=2)
    np.testing.assert_allclose(
        again.forward([again.feature_map(image) for image in images]).detach(),
        found,
        atol=3e-3 * np.abs(found).max(),
    )


def test_towers_without_such_stages_are_refused(tower, network):
    with pytest.raises(errors.ConfigError, match=f"trainable_image_stages=8; {NAME} has 7"):
        live_stages(tower, NAME, stages=8)
    with pytest.raises(errors.ConfigError, match="flat:x is not cut into stages"):
        live_stages(tower_of(Flat(), width=3 * SIDE * SIDE), "flat:x", stages=1)
    small = tiny.TinyImageTower(image_net.TinyImageNet(24, widths=(8, 16)))
    with pytest.raises(errors.ConfigError, match="tiny:x is a TinyImageTower"):
        live_stages(small, "tiny:x", stages=1)


def test_maps_beyond_half_precision_are_refused(network, images):
    loud = tower_of(EfficientNetLite("efficientnet-lite0"), width=1280)
    with torch.no_grad():
        for parameter in loud.module.features.blocks[14].project.parameters():
            parameter.fill_(1e6)
    live = live_stages(loud, NAME, stages=1)
    with pytest.raises(errors.InputError, match="leaves the range of half precision"):
        live.feature_map(images[0])
