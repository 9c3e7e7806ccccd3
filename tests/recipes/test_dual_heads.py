"""The two heads of a dual encoder: they learn, fold, and take further views of an item."""

import numpy as np
import torch

from polyglance.recipes import dual_heads
from polyglance.vectors import unit


def pairs_at_random(num_photos, *, seed):
    """Photos of ten hidden causes, two captions each that show the same causes otherwise."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(0).standard_normal((2, 10, 24)).astype(np.float32)
    causes = rng.standard_normal((num_photos, 10)).astype(np.float32)
    owners = np.repeat(np.arange(num_photos), 2)
    noise = rng.standard_normal((2 * num_photos, 24)).astype(np.float32)
    return dual_heads.CaptionedVectors(
        items=unit(causes @ mix[0]),
        texts=unit(causes[owners] @ mix[1] + 0.3 * noise),
        owners=owners,
    )


def test_the_heads_bring_captions_to_their_photos():
    train, dev = pairs_at_random(200, seed=1), pairs_at_random(100, seed=2)
    config = dual_heads.HeadsConfig(
        width=16, hidden=64, num_steps=150, batch_size=100, learning_rate=3e-3
    )
    _, _, report = dual_heads.train_heads(train, dev=dev, config=config)
    assert report.best_score > 0.5  # chance is 0.1


def test_a_head_folds_with_its_centre_and_scale():
    inputs = unit(np.random.default_rng(0).standard_normal((20, 12)).astype(np.float32) + 1)
    torch.manual_seed(0)
    head = dual_heads.TwoLayers(inputs, dual_heads.HeadsConfig(width=5, hidden=9)).eval()
    with torch.no_grad():
        expected = head(head.brought(inputs)).numpy()
    np.testing.assert_allclose(unit(head.fold()(inputs)), expected, atol=1e-5)


def test_further_views_of_an_item_are_learnt_from():
    train, dev = pairs_at_random(60, seed=1), pairs_at_random(60, seed=2)
    config = dual_heads.HeadsConfig(width=16, hidden=32, num_steps=20, batch_size=60)
    alone, _, _ = dual_heads.train_heads(train, dev=dev, config=config)
    mirrored = dual_heads.CaptionedVectors(
        items=train.items, texts=train.texts, owners=train.owners, views=(-train.items,)
    )
    both, _, _ = dual_heads.train_heads(mirrored, dev=dev, config=config)
    assert not np.allclose(alone(dev.items), both(dev.items))
