"""`distill`, translation ranking and the small image tower each learn their part of the world."""

import numpy as np
import pytest
import torch

import small_world
from polyglance import errors, training
from polyglance.heads import closed_form
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.recipes import tiny_image, translation_ranking
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import recipe
from polyglance.recipes.distill.config import DistillConfig
from polyglance.records import Pair
from polyglance.vectors import unit

PAIRS = [
    Pair(phrase, ENGLISH, small_world.translate(phrase, language), language)
    for phrase in small_world.PHRASES
    for language in small_world.LANGUAGES
]
SMALL = {"num_buckets": 4000, "dim": 32, "num_steps": 150, "batch_size": 256}
OWN = np.arange(len(small_world.PHRASES))


def translated(language):
    return [small_world.translate(phrase, language) for phrase in small_world.PHRASES]


@pytest.mark.parametrize("ending", ["memory", "contrast", "linear"])
def test_distilled_pack_answers_in_every_language(teacher, ending, tmp_path):
    from polyglance.model.pack import LanguagePack

    config = DistillConfig(ending=ending, **SMALL)
    recipe.train(PAIRS, teacher=teacher, config=config).save(tmp_path / "pack")
    pack = LanguagePack.load(tmp_path / "pack")
    assert pack.manifest.data["num_languages"] == 4
    pictures = teacher.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])
    for language in small_world.LANGUAGES:
        texts = translated(language)
        before = teacher.encode_texts(texts, languages=[language] * len(texts))
        after = teacher.with_pack(pack).encode_texts(texts, languages=[language] * len(texts))
        rates = [
            retrieval.hit_rates_at_k(v, pictures, relevance=OWN, ks=(10,))[10].mean()
            for v in (before, after)
        ]
        assert rates[1] > 3 * rates[0]
        assert rates[1] > 0.6


def test_the_teacher_reads_each_english_text_once(teacher):
    before = teacher.text.tower.num_encoded
    recipe.train(PAIRS, teacher=teacher, config=DistillConfig(**{**SMALL, "num_steps": 2}))
    probes = teacher.text.tower.num_encoded - before - len(small_world.PHRASES)
    assert probes == 8  # the probe texts of the pack


@pytest.mark.parametrize(
    ("ending", "squared_error_weight"),
    [("memory", 0.0), ("memory", 1.0), ("memory", 0.25), ("linear", 1.0)],
)
def test_what_a_distilled_tower_descends(teacher, monkeypatch, ending, squared_error_weight):
    """Computed again for every text of a batch, with related texts that count less."""
    seen = {}

    def caught(net, step, **kwargs):
        seen.update(net=net, step=step, batch=next(iter(kwargs["batches"](0))))
        return training.TrainReport(history=[], best_step=0, best_score=None, num_steps=0)

    monkeypatch.setattr(recipe.training, "fit", caught)
    related = [Pair(p, ENGLISH, p.split()[1], ENGLISH) for p in small_world.PHRASES]
    english = list(small_world.PHRASES)
    targets = teacher.encode_texts(english, languages=[ENGLISH] * len(english))
    config = DistillConfig(
        ending=ending,
        squared_error_weight=squared_error_weight,
        dropout=0.0,
        num_buckets=500,
        dim=8,
        batch_size=20,
        related_weight=0.5,
    )
    recipe.train_tower(parallel_text.gather(PAIRS, related), targets, config=config)
    batch = seen["batch"]
    with torch.no_grad():
        found = {name: float(value) for name, value in seen["step"](batch).items()}
        given = seen["net"](batch.features).double().numpy()
    choices, distances = [], []
    for row, group, weight in zip(given, batch.groups, batch.weights, strict=True):
        shares = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        said = shares @ targets if ending == "memory" else row
        distances.append(float(weight) * np.square(said - targets[group]).sum())
        choices.append(float(weight) * -np.log(shares[group] if ending == "memory" else 1))
    choice, distance = np.mean(choices), np.mean(distances)
    expected = {"total": distance}
    if ending == "memory":
        expected = {"choice": choice, "total": choice + squared_error_weight * distance}
        if squared_error_weight:
            expected["squared_error"] = distance
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("width", [None, 48])
def test_ranking_brings_translations_together_without_a_teacher(width):
    config = translation_ranking.RankingConfig(width=width, **SMALL)
    tower = translation_ranking.train_tower(PAIRS, config=config)
    english = unit(tower.encode(list(small_world.PHRASES)))
    for language in small_world.LANGUAGES:
        other = unit(tower.encode(translated(language)))
        assert retrieval.bitext_accuracy(other, english) > 0.7


def test_a_ranked_tower_and_a_map_from_english_alone_carry_the_other_languages(teacher):
    tower = translation_ranking.train_tower(
        PAIRS, config=translation_ranking.RankingConfig(width=48, **SMALL)
    )
    english = unit(tower.encode(list(small_world.PHRASES)))
    targets = teacher.encode_texts(list(small_world.PHRASES), languages=None)
    fitted = closed_form.ridge(english, targets, penalty=1e-3)
    for language in small_world.LANGUAGES:
        mapped = unit(fitted(unit(tower.encode(translated(language)))))
        assert retrieval.bitext_accuracy(mapped, targets) > 0.5


def test_keywords_are_drawn_beside_names():
    related = [Pair(p, ENGLISH, p.split()[1], ENGLISH) for p in small_world.PHRASES]
    data = parallel_text.gather(PAIRS, related)
    draw = parallel_text.batches(
        data, batch_size=100, related_share=0.3, related_weight=0.5, seed=0
    )
    batch = next(iter(draw(0)))
    assert (batch.weights == 0.5).sum() == 30
    assert len(batch.features) == len(batch.groups) == 100
    again = next(iter(draw(0)))
    assert torch.equal(batch.groups, again.groups)
    assert not torch.equal(batch.groups, next(iter(draw(1))).groups)


def test_a_thin_language_is_named():
    pairs = [*PAIRS, Pair("big red circle", ENGLISH, "iso ympyrä", "fin_Latn")]
    assert parallel_text.thin_languages(parallel_text.gather(pairs)) == ["fin_Latn"]


def test_repeated_pairs_count_once():
    assert len(parallel_text.gather(PAIRS * 2).groups) == len(parallel_text.gather(PAIRS).groups)


def test_too_little_text(teacher):
    with pytest.raises(errors.TrainingError, match="1 different English texts"):
        recipe.train(PAIRS[:1], teacher=teacher, config=DistillConfig())


def test_the_image_tower_learns_its_names(teacher):
    drawings = []
    for phrase in small_world.PHRASES:
        drawn = small_world.draw(phrase, seed=1).resize((64, 64)).convert("RGBA")
        drawings.append(np.asarray(drawn).copy())
    names = teacher.encode_texts(list(small_world.PHRASES), languages=None)
    config = tiny_image.TinyImageConfig(num_steps=60, batch_size=36, sides=(32,))
    tower = tiny_image.train(tiny_image.as_drawings(drawings), names, names, config=config)
    unseen = [small_world.draw(p, seed=99).resize((64, 64)) for p in small_world.PHRASES]
    found = unit(tower.encode(unseen))
    hits = retrieval.hit_rates_at_k(names, found, relevance=OWN, ks=(10,))[10].mean()
    assert hits > 3 * 10 / len(OWN)


def test_distortion_keeps_shape_and_range():
    torch.manual_seed(0)
    pixels = torch.rand(40, 4, 32, 32)
    pixels[:, :3] *= pixels[:, 3:]
    found = tiny_image.distort(pixels)
    assert found.shape == (40, 3, 32, 32)
    assert torch.isfinite(found).all()
    assert found.min() > -0.7
    assert found.max() < 1.7


def test_pictures_are_blended_mostly_by_little_or_by_much():
    torch.manual_seed(0)
    shares = np.array([tiny_image._blend_share() for _ in range(400)])
    assert 0.4 < shares.mean() < 0.6
    assert float(np.mean((shares < 0.1) | (shares > 0.9))) > 0.35
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_a_box_covers_some_of_the_drawings():
    """15 % of them, by a box of 16 to 44 % of the side each way."""
    torch.manual_seed(0)
    pixels = torch.full((3000, 3, 16, 16), 2.0)
    changed = (tiny_image._cover(pixels) != 2.0).all(dim=1)
    covered = changed.flatten(1).any(dim=1).float().mean()
    assert 0.12 < float(covered) < 0.18
    of_area = changed[changed.flatten(1).any(dim=1)].float().mean()
    assert 0.05 < float(of_area) < 0.11


def test_drawings_keep_their_place_at_another_size():
    """A ramp at half the size holds the means of two neighbours, away from the border."""
    ramp = torch.arange(64, dtype=torch.uint8).repeat(1, 4, 64, 1)
    ramp[:, 3] = 255
    small = tiny_image._premultiplied(ramp, 32)[0, 0, 16] * 255
    expected = torch.arange(32) * 2 + 0.5
    assert torch.allclose(small[4:-4], expected[4:-4], atol=1e-3)


@pytest.mark.parametrize("mixed_share", [0.0, 1.0])
def test_what_the_image_tower_descends_is_the_weighed_sum_of_both_ways(monkeypatch, mixed_share):
    """Without noise, so that both losses can be computed again from the same vectors."""
    seen = {}

    def caught(net, step, **kwargs):
        seen.update(net=net, step=step, batch=next(iter(kwargs["batches"](0))))

    monkeypatch.setattr(tiny_image.training, "fit", caught)
    monkeypatch.setattr(tiny_image, "_blend_share", lambda: 0.7)
    names = unit(np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32))
    drawings = torch.randint(0, 256, (8, 4, 64, 64), dtype=torch.uint8)
    config = tiny_image.TinyImageConfig(
        batch_size=8, sides=(32,), mixed_share=mixed_share, text_noise=0.0, most_description=0.0
    )
    tiny_image.train(drawings, names, names, config=config)
    rows, pixels = seen["batch"]
    torch.manual_seed(1)
    terms = seen["step"]((rows, pixels))
    torch.manual_seed(1)
    torch.rand(())
    partner = torch.randperm(8) if mixed_share else torch.arange(8)
    share = 0.7 if mixed_share else 1.0
    with torch.autocast("cpu", torch.bfloat16, enabled=tiny_image.half_precision.pays()):
        found = seen["net"](share * pixels + (1 - share) * pixels[partner])
    images = torch.nn.functional.normalize(found.float(), dim=1)
    scores = images @ torch.from_numpy(names).T / config.temperature
    log_shares = torch.log_softmax(scores, dim=1)
    picked = share * log_shares[torch.arange(8), rows]
    picked = picked + (1 - share) * log_shares[torch.arange(8), rows[partner]]
    expected = -picked.mean()
    if not mixed_share:
        back = torch.log_softmax(scores[:, rows].T, dim=1).diagonal()
        expected = expected - config.text_to_image_weight * back.mean()
    assert float(terms["total"].detach()) == pytest.approx(float(expected.detach()), rel=1e-3)
