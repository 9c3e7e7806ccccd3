"""The item side from files: an image tower that learns from crops, and features made once."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.contrastive import etcl, item_side, nllb_clip
from polyglance.recipes.data import image_text
from polyglance.records import Caption, MediaFile
from polyglance.towers.libraries.packaged import efficientnet_lite
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny import tower as tiny
from polyglance.towers.trainable import assembled, image_stages, images, pixels
from polyglance.training import RunFolder

PHRASES = small_world.PHRASES[:24]
IDS = [f"{phrase.replace(' ', '-')}.png" for phrase in PHRASES]
FEW = {"batch_size": 12, "num_buckets": 500, "width": 16, "projection_rate": 1e-2}
SIDE = 16


class Flat(nn.Module):
    """Features of a TorchImageTower: all pixels."""

    fingerprint = "flat"

    def forward(self, batch):
        return batch["pixel_values"].flatten(1)


def flat_tower(**recipe):
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    made = pixels.PixelRecipe(**({"fit": "exact", "height": SIDE, "width": SIDE} | recipe))
    return assembled.TorchImageTower(
        assembled.ProjectedEncoder(Flat(), nn.Linear(3 * SIDE * SIDE, 24, bias=False)),
        recipe=dataclasses.replace(made, mean=half, std=half),
        identity=assembled.Identity(
            dim=24, pre_projection_dim=3 * SIDE * SIDE, space_id="flat", fingerprint="flat"
        ),
        device=torch.device("cpu"),
    )


def model_of(tower):
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    return DualEncoder(Side(tower, "flat:x"), words, "in memory")


@pytest.fixture
def files(tmp_path):
    found = {}
    for name, phrase in zip(IDS, PHRASES, strict=True):
        small_world.draw(phrase, seed=1).save(tmp_path / name)
        found[name] = MediaFile(name, tmp_path / name, modality="image")
    return found


def joined(teacher):
    captions = [
        Caption(name, small_world.translate(phrase, language), language)
        for name, phrase in zip(IDS, PHRASES, strict=True)
        for language in (ENGLISH, "deu_Latn")
    ]
    drawn = [small_world.draw(phrase, seed=1) for phrase in PHRASES]
    return image_text.join(captions, item_ids=IDS, contents=teacher.encode_items(drawn))


def test_what_is_kept_on_disk_gives_the_very_array_of_the_tower():
    picture = small_world.draw(PHRASES[0]).resize((40, 30))
    for recipe in (
        {},
        {"fit": "shortest", "height": 20, "width": 20, "crop": (SIDE, SIDE)},
        {"fit": "patches", "patch_size": 4, "max_patches": 16},
    ):
        tower = flat_tower(**recipe)
        live = images.live_images(tower, "flat:x")
        kept = live.resized(picture)
        assert kept.dtype == np.uint8
        found = pixels.finished(kept, recipe=tower.recipe)
        np.testing.assert_array_equal(found, tower.preprocess(picture))
    small = tiny.TinyImageTower(image_net.TinyImageNet(24, widths=(8, 16)))
    live = images.live_images(small, "tiny:x")
    kept = live.resized(picture)
    np.testing.assert_array_equal(image_net.finished(kept), small.preprocess(picture))
    live.module.eval()
    one, other = live.forward([kept]), live.forward([small.preprocess(picture)])
    torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_crops_have_room_as_in_the_paper_and_one_in_two_is_mirrored():
    assert item_side.with_room((289, 289)) == (346, 346)
    live = images.live_images(flat_tower(), "flat:x")
    larger = item_side.with_room(live.input_size())
    assert larger == (19, 19)
    numbers = np.arange(19 * 19 * 3).reshape(19, 19, 3) % 251
    array = numbers.astype(np.uint8)
    view = item_side._cropper(live)
    live.module.train()
    torch.manual_seed(0)
    seen = {}
    for _ in range(600):
        crop = view(array)
        assert crop.shape == (SIDE, SIDE, 3)
        places = [
            (top, left, mirrored)
            for top in range(4)
            for left in range(4)
            for mirrored in (False, True)
            if np.array_equal(
                crop, array[top : top + 16, left : left + 16][:, :: -1 if mirrored else 1]
            )
        ]
        assert len(places) == 1
        seen[places[0]] = seen.get(places[0], 0) + 1
    assert len(seen) == 32  # sixteen places, each way round
    assert 250 < sum(n for (_, _, mirrored), n in seen.items() if mirrored) < 350
    live.module.eval()
    for _ in range(3):
        np.testing.assert_array_equal(view(array), array[1:17, 1:17])
    with pytest.raises(errors.InputError, match=r"pixels of shape \(8, 8, 3\)"):
        view(array[:8, :8])


def trained(teacher, files, **changed):
    config = etcl.EtclConfig(
        **{**FEW, "stage": "etcl", "num_etcl_steps": 6, "regime": "full", "trunk_rate": 1e-2}
        | changed
    )
    return etcl.train(joined(teacher), teacher=teacher, config=config, files=files)


def vectors_of(pack):
    drawn = [small_world.draw(phrase, seed=2) for phrase in PHRASES]
    return pack.content_side.tower.encode(drawn)


@pytest.mark.parametrize("stage", ["mural", "etcl", "fine-tuning"])
def test_the_image_tower_of_etcl_learns_in_every_stage(files, stage):
    teacher = model_of(flat_tower())
    steps = dict.fromkeys(("num_mural_steps", "num_etcl_steps", "num_fine_tuning_steps"), 60)
    start = {**steps, "stage": stage, "trunk_rate": 1e-3, "batch_size": 24}
    before = trained(teacher, files, **{**start, **dict.fromkeys(steps, 1)})
    pack = trained(teacher, files, **start)
    assert pack.manifest.content == "new-tower"
    losses = [one.manifest.data["last_loss"] for one in (before, pack)]
    assert losses[1] < 0.6 * losses[0]
    moved = np.abs(
        vectors_of(pack)
        - teacher.content.tower.encode([small_world.draw(phrase, seed=2) for phrase in PHRASES])
    )
    assert moved.max() > 0.01


def test_crops_are_drawn_by_the_seed_alone(files):
    teacher = model_of(flat_tower())
    crops = {"augmentation": "crop-flip", "chunk_rows": 5}
    packs = [trained(teacher, files, **crops) for _ in range(2)]
    np.testing.assert_array_equal(*map(vectors_of, packs))
    for other in ({"seed": 1}, {"augmentation": "none"}):
        assert (
            np.abs(
                vectors_of(trained(teacher, files, **crops | other)) - vectors_of(packs[0])
            ).max()
            > 0
        )
    # In chunks each crop is seen twice; drawn anew, the second pass would be refused.


def test_a_stopped_run_goes_on_with_the_same_crops(files, tmp_path, monkeypatch):
    teacher = model_of(flat_tower())
    config = etcl.EtclConfig(
        **FEW,
        stage="etcl",
        num_etcl_steps=8,
        regime="full",
        augmentation="crop-flip",
        trunk_rate=1e-2,
    )
    data = joined(teacher)
    whole = etcl.train(data, teacher=teacher, config=config, files=files)
    real = etcl.etcl
    count = [0]

    def stopping(*views, **given):
        count[0] += 1
        if count[0] == 5:
            raise KeyboardInterrupt
        return real(*views, **given)

    run = RunFolder(tmp_path / "run", checkpoint_every_steps=1)
    monkeypatch.setattr(etcl, "etcl", stopping)
    with pytest.raises(KeyboardInterrupt):
        etcl.train(data, teacher=teacher, config=config, files=files, run=run)
    again = etcl.train(data, teacher=teacher, config=config, files=files, run=run)
    assert count[0] < 5 + 8  # it did not begin anew
    np.testing.assert_array_equal(vectors_of(again), vectors_of(whole))


def test_features_are_made_of_files_once(files):
    teacher = model_of(flat_tower())
    data = joined(teacher)
    drawn = [small_world.draw(phrase, seed=1) for phrase in PHRASES]
    found = item_side.with_features(data, files, teacher=teacher)
    wanted = item_side.image_features(teacher, drawn)
    np.testing.assert_allclose(found.features, wanted, atol=1e-6)
    asked = []
    real = teacher.content.tower.encode
    teacher.content.tower.encode = lambda items, **given: (
        asked.append(len(items)) or real(items, **given)
    )
    again = item_side.with_features(data, files, teacher=teacher)
    assert asked == []
    np.testing.assert_array_equal(again.features, found.features)
    config = nllb_clip.NllbClipConfig(**FEW, num_steps=2, image_projection="trained")
    pack = nllb_clip.train(data, teacher=teacher, config=config, files=files)
    assert pack.manifest.content_output == "pre_projection"
    files[IDS[3]].path.unlink()
    files[IDS[4]].path.write_bytes(b"no picture")
    with pytest.raises(errors.InputError, match="2 of 24 images cannot be read, first"):
        item_side.with_features(data, files, teacher=teacher)


def test_crops_of_images_that_keep_their_shape_are_refused(files):
    teacher = model_of(flat_tower(fit="patches", patch_size=4, max_patches=16))
    with pytest.raises(errors.ConfigError, match="images keep their shape"):
        trained(teacher, files, augmentation="crop-flip")
    with pytest.raises(errors.ConfigError, match="crop-flip with regime text-encoder"):
        etcl.EtclConfig(augmentation="crop-flip")


def test_an_image_without_a_file_is_named(files):
    teacher = model_of(flat_tower())
    del files[IDS[2]]
    with pytest.raises(
        errors.InputError, match=f"1 of 24 contents have no pixels, first '{IDS[2]}'"
    ):
        trained(teacher, files)


def staged_teacher():
    """A teacher whose image tower is a drawn EfficientNet-Lite0, and behind it two layers."""
    torch.manual_seed(0)
    network = efficientnet_lite.EfficientNetLite("efficientnet-lite0", head=48)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
    half = (127.0,) * 3
    tower = assembled.TorchImageTower(
        assembled.ProjectedEncoder(network),
        recipe=pixels.PixelRecipe(fit="exact", height=32, width=32, scale=1.0, mean=half, std=half),
        identity=assembled.Identity(
            dim=48, pre_projection_dim=48, space_id="lite", fingerprint="lite"
        ),
        device=torch.device("cpu"),
    )
    rng = np.random.default_rng(0)
    maps = [
        affine.AffineMap(
            rng.standard_normal((d_out, d_in)).astype(np.float32) / d_in**0.5,
            np.zeros(d_out, np.float32),
        )
        for d_in, d_out in ((48, 40), (40, 24))
    ]
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    content = Side(tower, "packaged:efficientnet-lite0", affine.Chain(tuple(maps)))
    return DualEncoder(content, words, "in memory")


def test_the_last_stage_learns_from_maps_that_are_computed_once(files, monkeypatch):
    teacher = staged_teacher()
    data = joined(teacher)
    config = nllb_clip.NllbClipConfig(
        **FEW, num_steps=12, regime="full", trunk_rate=1e-2, trainable_image_stages=1
    )
    made = []
    real = image_stages.TrainableStages.feature_map

    def noted(self, image):
        made.append(image.size)
        return real(self, image)

    monkeypatch.setattr(image_stages.TrainableStages, "feature_map", noted)
    pack = nllb_clip.train(data, teacher=teacher, config=config, files=files)
    assert len(made) == len(PHRASES)
    first = nllb_clip.train(
        data, teacher=teacher, config=dataclasses.replace(config, num_steps=1), files=files
    )
    assert len(made) == len(PHRASES)  # kept on disk
    assert pack.manifest.content == "new-tower"
    before = dict(teacher.content.tower.module.named_parameters())
    learnt = pack.content_side.tower.tensors()
    moved = {name for name, value in learnt.items() if not torch.equal(value, before[name])}
    assert moved == {
        name for name in before if ".blocks.15." in name or name.startswith("features.head.")
    }
    chains = [side.head for side in (teacher.content, pack.content_side)]
    assert [len(chain.maps) for chain in chains] == [2, 2]
    assert np.abs(chains[0].maps[0].weight - chains[1].maps[0].weight).max() > 1e-3
    assert pack.manifest.data["last_loss"] < first.manifest.data["last_loss"]


def test_stages_learn_from_files_in_the_regime_full_alone(files):
    teacher = staged_teacher()
    data = joined(teacher)
    config = nllb_clip.NllbClipConfig(**FEW, num_steps=2, regime="full", trainable_image_stages=1)
    shown = {name: np.zeros((3, 32, 32), np.float32) for name in IDS}
    with pytest.raises(errors.InputError, match="24 of 24 contents have no file"):
        nllb_clip.train(data, teacher=teacher, config=config, pixels=shown)
    for changed in ({"regime": "text-encoder"}, {"augmentation": "crop-flip"}):
        with pytest.raises(errors.ConfigError, match="trainable_image_stages=1 with regime"):
            dataclasses.replace(config, **changed)
    with pytest.raises(errors.ConfigError, match="trainable_image_stages"):
        dataclasses.replace(config, trainable_image_stages=0)
