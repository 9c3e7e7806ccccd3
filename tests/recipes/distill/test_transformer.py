"""`distill` trains a whole transformer that is given, towards vectors keyed by the English text."""

import numpy as np
import pytest

import small_bert
import small_world
from polyglance import errors
from polyglance.heads import affine
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes.data import parallel_text
from polyglance.recipes.distill import recipe, transformer
from polyglance.recipes.distill.config import DistillConfig
from polyglance.records import Pair
from polyglance.towers import load_tower
from polyglance.vectors import unit

LANGUAGES = ("deu_Latn", "hin_Deva")
# A seventh of the phrases is in no training; each of their words is.
HELD_OUT = small_world.PHRASES[::7]
TAUGHT = tuple(phrase for phrase in small_world.PHRASES if phrase not in HELD_OUT)
PAIRS = [
    Pair(phrase, ENGLISH, small_world.translate(phrase, language), language)
    for phrase in TAUGHT
    for language in LANGUAGES
]
FAST = {"trunk_epochs": 12, "trunk_batch_size": 16, "trunk_rate": 1e-3}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return small_bert.save(tmp_path_factory.mktemp("bert") / "tower", width=64, layers=1)


@pytest.fixture
def side(reference):
    return Side(load_tower(reference, modality="text"), reference)


def agreement(side, teacher, language, phrases=small_world.PHRASES):
    """How often a text's vector is nearest the teacher's of the same in English, among all."""
    texts = [small_world.translate(phrase, language) for phrase in phrases]
    said = unit(side.through_head(side.tower.encode(texts, languages=[language] * len(texts))))
    all_of_them = list(small_world.PHRASES)
    wanted = teacher.encode_texts(all_of_them, languages=[ENGLISH] * len(all_of_them))
    own = np.array([all_of_them.index(phrase) for phrase in phrases])
    return retrieval.hit_rates_at_k(said, wanted, relevance=own, ks=(1,))[1].mean()


def test_another_tower_learns_with_a_head_of_its_own(teacher, side, tmp_path):
    config = DistillConfig(**FAST)
    data = parallel_text.group(PAIRS)
    targets = teacher.encode_texts(data.english, languages=[ENGLISH] * len(data.english))
    start = transformer.start_of_head(data, targets, side=side)
    untrained = Side(side.tower, side.reference, start, "raw")
    before = side.tower.encode(list(small_world.PHRASES))
    recipe.train(PAIRS, teacher=teacher, tower=side, config=config).save(tmp_path / "pack")
    pack = LanguagePack.load(tmp_path / "pack")
    assert pack.manifest.tower == "tuned:./tower"
    assert pack.side.head.weight.shape == (24, 64)
    assert pack.manifest.data["num_texts"] == 3 * len(TAUGHT)
    assert pack.manifest.data["languages_with_too_little_text"] == []
    for language in LANGUAGES:
        assert agreement(pack.side, teacher, language) > 0.8
        assert agreement(untrained, teacher, language) < 0.2
        assert agreement(pack.side, teacher, language, HELD_OUT) > 0.5
    # English is a training text, and stays what the closed form made of it, or better.
    english = agreement(untrained, teacher, ENGLISH)
    assert agreement(pack.side, teacher, ENGLISH) >= english > 0.8
    # A copy was trained.
    np.testing.assert_array_equal(side.tower.encode(list(small_world.PHRASES)), before)


def test_the_teachers_own_tower_needs_no_head(reference, side):
    teacher = small_bert.teacher(reference)
    pack = recipe.train(PAIRS, teacher=teacher, tower=side, config=DistillConfig(**FAST))
    assert pack.side.head is None
    for language in LANGUAGES:
        assert agreement(pack.side, teacher, language) > 0.7
        assert agreement(side, teacher, language) < 0.2


def test_a_head_that_the_tower_has_is_trained_on(teacher, side):
    head = AffineMap(np.ones((24, 64), np.float32), np.arange(24, dtype=np.float32))
    given = Side(side.tower, side.reference, head, "unit")
    config = DistillConfig(**{**FAST, "trunk_epochs": 1, "trunk_rate": 1e-9})
    pack = recipe.train(PAIRS, teacher=teacher, tower=given, config=config)
    np.testing.assert_allclose(pack.side.head.weight, head.weight, atol=1e-4)
    np.testing.assert_allclose(pack.side.head.bias, head.bias, atol=1e-4)
    assert pack.manifest.head_input == "unit"


def test_the_teacher_reads_each_english_text_once(teacher, side):
    before = teacher.text.tower.num_encoded
    config = DistillConfig(**{**FAST, "trunk_epochs": 1})
    pack = recipe.train(PAIRS * 2, teacher=teacher, tower=side, config=config)
    probes = 8  # the probe texts of the pack
    assert teacher.text.tower.num_encoded - before == len(TAUGHT) + probes
    # Repeats are no more training: three texts a phrase, sixteen a step.
    assert pack.manifest.data["num_texts"] == 3 * len(TAUGHT)


def test_related_texts_count_less(teacher, side):
    related = [Pair(phrase, ENGLISH, phrase.split()[1], ENGLISH) for phrase in TAUGHT]
    data = parallel_text.group(PAIRS, related)
    targets = teacher.encode_texts(data.english, languages=None)
    live = transformer.TrainableTransformer.copy_of(side.tower, side.reference)
    head = transformer.start_of_head(data, targets, side=side)
    student = transformer._Student(live, head, to_unit=False)
    losses = []
    for weight in (1.0, 0.5):
        step = transformer._step(student, data, targets, related_weight=weight)
        exact, keyword = (int(np.flatnonzero(data.exact == flag)[0]) for flag in (True, False))
        losses.append([step(np_rows(row))["total"].item() for row in (exact, keyword)])
    assert losses[0][0] == losses[1][0]
    assert losses[1][1] == pytest.approx(losses[0][1] / 2)


def np_rows(row):
    import torch

    return torch.tensor([row])


def test_one_language_alone_and_thin_ones_are_told(teacher, side):
    config = DistillConfig(**{**FAST, "trunk_epochs": 1})
    german = [pair for pair in PAIRS if pair.language_b == "deu_Latn"]
    thin = [Pair(TAUGHT[0], ENGLISH, "iso ympyrä", "fin_Latn")]
    pack = recipe.train(german + thin, teacher=teacher, tower=side, config=config)
    assert pack.manifest.data["num_languages"] == 3
    assert pack.manifest.data["languages_with_too_little_text"] == ["fin_Latn"]


def test_what_cannot_be_trained_is_refused(teacher, side):
    config = DistillConfig(**FAST)
    with pytest.raises(errors.TrainingError, match="1 different English texts"):
        recipe.train(PAIRS[:1], teacher=teacher, tower=side, config=config)
    words = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    with pytest.raises(errors.ConfigError, match="WordTower is no transformer"):
        recipe.train(PAIRS, teacher=teacher, tower=words, config=config)
    head = AffineMap(np.ones((7, 64), np.float32), np.ones(7, np.float32))
    for wrong in (
        Side(side.tower, "x", head),
        Side(
            side.tower,
            "x",
            affine.Chain((head, AffineMap(np.ones((24, 7), "f"), np.ones(24, "f")))),
        ),
        Side(side.tower, "x", None, output="pre_projection"),
    ):
        with pytest.raises(errors.ConfigError, match="one linear map to the space's 24"):
            recipe.train(PAIRS, teacher=teacher, tower=wrong, config=config)
