"""Rows that mean the same are never set against each other, and no scale runs away.

Each batch here holds one thing several times. Where its copies were negatives of each other, no
training could bring the loss below the logarithm of their number.
"""

import math

import numpy as np
import pytest
import torch

import small_bert
import small_world
from polyglance.encoding.texts import VectorCache
from polyglance.heads import affine
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes.contrastive import etcl, nllb_clip
from polyglance.recipes.data import image_text, parallel_text
from polyglance.recipes.distill import contrast
from polyglance.recipes.distill import recipe as distill
from polyglance.records import Caption, Pair
from polyglance.towers import load_tower
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny import tower as tiny
from polyglance.towers.trainable import text
from polyglance.vectors import unit

GERMAN = "deu_Latn"
IDS = [f"{number}.png" for number in range(8)]
SMALL = {"batch_size": 8, "num_buckets": 500, "width": 16, "projection_rate": 1e-2, "dropout": 0.0}


def lone_language(teacher):
    """Eight contents; the first has all the German there is, the others all the English."""
    captions = [Caption(IDS[0], "eins", GERMAN)]
    captions += [
        Caption(name, f"{number} thing", ENGLISH) for number, name in enumerate(IDS[1:], 1)
    ]
    contents = unit(np.eye(8, teacher.dim, dtype=np.float32))
    return image_text.join(captions, item_ids=IDS, contents=contents)


@pytest.mark.parametrize("objective", ["contrastive", "sigmoid"])
def test_a_content_that_comes_again_is_no_negative_of_itself(teacher, objective):
    """Half of each batch is the one German caption, so that languages come equally often."""
    config = nllb_clip.NllbClipConfig(**SMALL, objective=objective, num_steps=60)
    pack = nllb_clip.train(lone_language(teacher), teacher=teacher, config=config)
    assert pack.manifest.data["last_loss"] < math.log(4) / 4


def test_languages_come_equally_often_by_default(teacher):
    """So the single German caption is learnt as fast as all the English ones together."""
    losses = {}
    for sampling in ("equal", "proportional"):
        config = nllb_clip.NllbClipConfig(**SMALL, num_steps=6, language_sampling=sampling)
        data = lone_language(teacher)
        pack = nllb_clip.train(data, teacher=teacher, config=config)
        said = unit(pack.side.tower.encode(["eins"]))
        losses[sampling] = 1 - float(said[0] @ data.contents[0])
    assert nllb_clip.NllbClipConfig().language_sampling == "equal"
    assert losses["equal"] < losses["proportional"] - 0.02


def in_both(teacher):
    """Eight contents, two of which have captions in both languages: triples are of those alone."""
    captions = [Caption(name, f"thing {number}", ENGLISH) for number, name in enumerate(IDS)]
    captions += [Caption(name, f"ding {number}", GERMAN) for number, name in enumerate(IDS[:2])]
    contents = unit(np.eye(8, teacher.dim, dtype=np.float32))
    return image_text.join(captions, item_ids=IDS, contents=contents)


# The same two things in other words: each is there four times.
IN_OTHER_WORDS = [
    Pair(f"thing {number}", ENGLISH, f"ding {number} {word}", GERMAN)
    for number in range(2)
    for word in "abcd"
]


@pytest.mark.parametrize(
    ("stage", "data", "parallel"),
    [
        ("etcl", in_both, ()),
        ("fine-tuning", lone_language, ()),
        ("mural", lone_language, IN_OTHER_WORDS),
    ],
)
def test_copies_in_a_batch_of_etcl_are_no_negatives(teacher, stage, data, parallel):
    steps = dict.fromkeys(("num_mural_steps", "num_etcl_steps", "num_fine_tuning_steps"), 60)
    config = etcl.EtclConfig(**SMALL, **steps, stage=stage, margin=0.0, label_smoothing=0.0)
    pack = etcl.train(data(teacher), teacher=teacher, config=config, parallel=parallel)
    assert pack.manifest.data["last_loss"] < math.log(4) / 3


def test_texts_of_one_family_are_no_negatives_in_distillation_by_contrast():
    pairs = [
        Pair(f"thing {number}", ENGLISH, f"{letter}{number}", GERMAN)
        for number in range(4)
        for letter in "abc"
    ]
    data = parallel_text.group(pairs)
    config = distill.DistillConfig(
        ending="contrast", num_buckets=500, dim=16, num_steps=80, batch_size=16, dropout=0.0
    )
    torch.manual_seed(0)
    _, report = contrast.train_tower(data, np.eye(4, 8, dtype=np.float32), config=config)
    # Sixteen texts of four families: unmasked, the four of a family share the choice.
    assert report.history[-1]["total"] < math.log(4) / 2


@pytest.mark.parametrize("recipe", ["nllb-clip", "etcl"])
def test_the_logit_scale_stops_at_a_hundred(teacher, recipe):
    """CLIP: a sharper start is the same as a temperature of a hundredth."""
    data, losses = lone_language(teacher), []
    for temperature in (0.01, 0.0001):
        if recipe == "nllb-clip":
            config = nllb_clip.NllbClipConfig(**SMALL, num_steps=3, temperature=temperature)
            pack = nllb_clip.train(data, teacher=teacher, config=config)
        else:
            config = etcl.EtclConfig(
                **SMALL, num_fine_tuning_steps=3, stage="fine-tuning", temperature=temperature
            )
            pack = etcl.train(data, teacher=teacher, config=config)
        losses.append(pack.manifest.data["last_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.fixture
def bert(tmp_path):
    reference = small_bert.save(tmp_path / "bert", width=24, layers=1)
    return Side(load_tower(reference, modality="text"), reference)


@pytest.mark.parametrize("recipe", ["nllb-clip", "etcl"])
def test_a_trunk_learns_at_its_own_rate(teacher, bert, recipe):
    """At a rate of next to nothing it stays, while the projection behind it moves."""
    texts, rates = list(small_world.PHRASES[:5]), {"trunk_rate": 1e-9, "weight_decay": 0.0}
    if recipe == "nllb-clip":
        config = nllb_clip.NllbClipConfig(**SMALL, **rates, num_steps=5)
        pack = nllb_clip.train(lone_language(teacher), teacher=teacher, config=config, tower=bert)
    else:
        config = etcl.EtclConfig(**SMALL, **rates, num_fine_tuning_steps=5, stage="fine-tuning")
        pack = etcl.train(lone_language(teacher), teacher=teacher, config=config, tower=bert)
    kept = bert.tower.encode(texts)
    np.testing.assert_allclose(pack.side.tower.encode(texts), kept, atol=1e-4)
    assert np.abs(pack.side.head.weight - np.eye(24)).max() > 1e-2


def test_a_text_that_is_cut_keeps_its_last_token(bert):
    """The token that ends a text is where CLIP reads its vector."""
    tower = bert.tower
    learning = text.TrainableTransformer.copy_of(tower, bert.reference, max_tokens=4)
    whole, short = tower.token_rows(["big red ring big red", "red"], None)
    prepared = learning.prepare(["big red ring big red", "red"], None)
    assert list(prepared.rows) == [[*whole[:3], whole[-1]], short]
    ends = {row[-1] for row in prepared.rows}
    assert ends == {whole[-1]}


def test_an_image_tower_that_learns_does_so_at_the_trunk_s_rate(teacher, monkeypatch):
    """In the regime `full`; its head, where it has one, takes vectors as it took them before."""
    monkeypatch.setattr(image_net, "SIDE", 32)
    torch.manual_seed(0)
    tower = tiny.TinyImageTower(image_net.TinyImageNet(24, widths=(8, 16)))
    head = affine.AffineMap(np.eye(24, dtype=np.float32) * 3, np.full(24, 0.1, np.float32))
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    drawn = [small_world.draw(phrase, seed=1) for phrase in small_world.PHRASES[:8]]
    arrays = {name: tower.preprocess(picture) for name, picture in zip(IDS, drawn, strict=True)}
    sides = [Side(tower, "tiny:./image"), Side(tower, "tiny:./image", head, "unit")]
    for side in sides:
        model = DualEncoder(side, words, "in memory")
        contents = model.encode_items(drawn)
        captions = [Caption(name, f"{n} thing", ENGLISH) for n, name in enumerate(IDS)]
        data = image_text.join(captions, item_ids=IDS, contents=contents)
        moved = {}
        for rate in (1e-9, 1e-2):
            config = nllb_clip.NllbClipConfig(
                **{**SMALL, "projection_rate": 1e-9}, regime="full", num_steps=2, trunk_rate=rate
            )
            pack = nllb_clip.train(data, teacher=model, config=config, pixels=arrays)
            learnt = DualEncoder(pack.content_side, words, "of the pack").encode_items(drawn)
            moved[rate] = float(np.abs(learnt - contents).max())
        # Its batch norms see these drawings in either case, and it is kept in 16 bits.
        assert moved[1e-9] < 0.1
        assert moved[1e-2] > 3 * moved[1e-9]


def test_a_frozen_text_tower_is_asked_once_ever(teacher, tmp_path):
    """With a cache, a second training reads what the first one encoded."""
    side = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    config = nllb_clip.NllbClipConfig(**SMALL, regime="projection", num_steps=1)
    cache = VectorCache(tmp_path / "texts")
    for _ in range(2):
        nllb_clip.train(
            lone_language(teacher), teacher=teacher, config=config, tower=side, cache=cache
        )
    assert side.tower.num_encoded == 8
