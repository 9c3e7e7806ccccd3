"""`babel-adapter`: languages in one pack, each by its own adapter, and English as it was."""

import dataclasses

import numpy as np
import pytest
import torch

import small_bert
import small_world
from polyglance import errors
from polyglance.heads import affine, closed_form
from polyglance.heads.affine import AffineMap
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import babel_adapter
from polyglance.recipes.babel_adapter import BabelAdapterConfig
from polyglance.recipes.data import image_text, targets
from polyglance.records import Caption, Pair
from polyglance.towers import load_tower
from polyglance.towers.trainable import adapters

LANGUAGES = ("deu_Latn", "hin_Deva")
UNTAUGHT = "arb_Arab"
# A seventh of the phrases is in no training; each of their words is.
HELD_OUT = small_world.PHRASES[::7]
TAUGHT = tuple(phrase for phrase in small_world.PHRASES if phrase not in HELD_OUT)
FAST = {"num_epochs": 30, "learning_rate": 2e-2, "reduction": 1, "batch_size": 60, "rank": 16}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return small_bert.save(tmp_path_factory.mktemp("bert") / "tower", width=64, layers=1)


@pytest.fixture
def teacher(reference):
    return small_bert.teacher(reference)


def pairs(*languages, phrases=TAUGHT):
    return [
        Pair(phrase, ENGLISH, small_world.translate(phrase, language), language)
        for phrase in phrases
        for language in languages
    ]


def images(teacher, *languages, phrases=TAUGHT):
    names = [f"{phrase.replace(' ', '-')}.png" for phrase in phrases]
    captions = [c for language in languages for c in small_world.captions(language)]
    contents = teacher.encode_items([small_world.draw(phrase, seed=3) for phrase in phrases])
    return image_text.join(captions, item_ids=names, contents=contents)


def hit_rate(model, language, phrases=small_world.PHRASES):
    """At 5 among all pictures, by the artist that training never saw."""
    shown = model.encode_items([small_world.draw(p, seed=99) for p in small_world.PHRASES])
    texts = [small_world.translate(phrase, language) for phrase in phrases]
    said = model.encode_texts(texts, languages=[language] * len(texts))
    wanted = np.array([small_world.PHRASES.index(phrase) for phrase in phrases])
    return retrieval.hit_rates_at_k(said, shown, relevance=wanted, ks=(5,))[5].mean()


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "mse"},
        {"vectors": "unit", "num_epochs": 50, "learning_rate": 3e-2},
        {"objective": "contrastive"},
        {"objective": "lit"},
        {"objective": "lit+mse"},
        {"method": "lora"},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_two_languages_learn_in_one_pack(settings, teacher, tmp_path):
    if settings.get("method") == "lora":
        pytest.importorskip("peft", reason="extra `lora` is not installed")
    config = BabelAdapterConfig(**{**FAST, **settings})
    data = {}
    if "lit" in config.objective:
        data = {"image_text": images(teacher, ENGLISH, *LANGUAGES)}
    english = list(small_world.PHRASES)
    vectors = teacher.encode_texts(english, languages=[ENGLISH] * len(english))
    pack = babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, config=config, **data)
    pack.save(tmp_path / "pack")
    learnt = teacher.with_pack(LanguagePack.load(tmp_path / "pack"))
    unseen = {"before": 0.0, "after": 0.0}
    for language in LANGUAGES:
        before, after = hit_rate(teacher, language), hit_rate(learnt, language)
        assert after > 3 * before
        assert after > 0.3
        unseen["before"] += hit_rate(teacher, language, HELD_OUT) / 2
        unseen["after"] += hit_rate(learnt, language, HELD_OUT) / 2
    assert unseen["after"] > unseen["before"] + 0.2
    # English, and a language without an adapter, are the tower's own to the bit.
    for texts, language in ((english, ENGLISH), (["x y"], UNTAUGHT)):
        spoken = [language] * len(texts)
        tower = learnt.pack.side.tower
        np.testing.assert_array_equal(
            tower.encode(texts, languages=spoken), teacher.text.tower.encode(texts)
        )
    np.testing.assert_array_equal(
        learnt.encode_texts(english, languages=[ENGLISH] * len(english)), vectors
    )
    assert pack.manifest.languages == {}


def test_each_english_caption_is_encoded_once_before_training(teacher, monkeypatch):
    asked = []
    real = type(teacher.text.tower).encode

    def encode(tower, items, **options):
        asked.extend(items)
        return real(tower, items, **options)

    monkeypatch.setattr(type(teacher.text.tower), "encode", encode)
    data = pairs(*LANGUAGES) * 2
    babel_adapter.train(
        data, teacher=teacher, config=BabelAdapterConfig(**{**FAST, "num_epochs": 2})
    )
    assert sorted(text for text in asked if text in TAUGHT) == sorted(TAUGHT)
    assert not set(asked) & {pair.text_b for pair in data}


def test_a_language_learns_what_it_would_alone(teacher):
    config = BabelAdapterConfig(**{**FAST, "batch_size": 1000, "num_epochs": 10})
    together, alone = (
        babel_adapter.train(pairs(*names), teacher=teacher, config=config)
        for names in (LANGUAGES, LANGUAGES[:1])
    )
    for name, tensor in alone.side.tower.tensors.items():
        torch.testing.assert_close(together.side.tower.tensors[name], tensor, atol=2e-3, rtol=0)
    assert together.manifest.num_trainable_parameters == 2 * alone.manifest.num_trainable_parameters


def test_the_temperature_learns_with_lit_alone(teacher):
    config = {**FAST, "num_epochs": 3, "temperature": 0.1}
    for objective, learns in (("contrastive", False), ("lit", True)):
        chosen = BabelAdapterConfig(**config, objective=objective)
        wanted = (
            targets.from_images(images(teacher, *LANGUAGES))
            if objective == "lit"
            else targets.from_pairs(pairs(*LANGUAGES), side=teacher.text)
        )
        learner, _ = babel_adapter.fit(wanted, side=teacher.text, config=chosen)
        assert (abs(learner.temperature().item() - 0.1) > 1e-3) == learns


def test_the_temperature_of_lit_is_held_at_its_least_and_can_leave_it(teacher):
    chosen = BabelAdapterConfig(**FAST, objective="lit")
    live = babel_adapter.TrainableAdapters(
        teacher.text.tower,
        teacher.text.reference,
        languages=LANGUAGES,
        method="adapters",
        settings={"reduction": 2},
    )
    learner = babel_adapter._Learner(live, teacher.text, chosen)
    with torch.no_grad():
        learner.log_scale.fill_(50.0)  # a step too far
    found = learner.temperature()
    assert found.item() == pytest.approx(babel_adapter.LEAST_TEMPERATURE)
    found.backward()
    assert learner.log_scale.grad.item() < 0


def test_a_tower_with_a_head_stands_in_for_the_teachers_own(teacher, tmp_path):
    """As a distilled multilingual tower does: another tower, brought into the space by a map."""
    reference = small_bert.save(tmp_path / "other", width=40, seed=1)
    other = load_tower(reference, modality="text")
    english = list(small_world.PHRASES)
    head = closed_form.ridge(
        other.encode(english), teacher.encode_texts(english, languages=None), penalty=1.0
    )
    side = Side(other, reference, head, "raw")
    config = BabelAdapterConfig(**{**FAST, "num_epochs": 20})
    pack = babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, tower=side, config=config)
    assert pack.side.head is head
    assert pack.manifest.head_input == "raw"
    assert pack.manifest.data["english_agreement_with_teacher"] > 0.9
    assert hit_rate(teacher.with_pack(pack), "deu_Latn") > 3 * hit_rate(teacher, "deu_Latn")


def test_counts_are_told(teacher):
    thin = [Pair(p, ENGLISH, f"sana {i}", "fin_Latn") for i, p in enumerate(TAUGHT[:9])]
    odd = [Pair(TAUGHT[0], ENGLISH, "the same", ENGLISH), Pair(TAUGHT[1], ENGLISH, " ", "deu_Latn")]
    config = BabelAdapterConfig(**{**FAST, "num_epochs": 1})
    pack = babel_adapter.train(
        [*pairs(*LANGUAGES), *pairs("deu_Latn"), *thin, *thin, *odd], teacher=teacher, config=config
    )
    facts = pack.manifest.data
    assert facts["languages_with_too_little_text"] == ["fin_Latn"]
    assert facts["texts_by_language"] == dict.fromkeys(LANGUAGES, len(TAUGHT))
    assert facts["num_texts"] == 2 * len(TAUGHT)
    assert facts["num_english_texts"] == len(TAUGHT)
    assert pack.side.tower.tuning.languages == LANGUAGES
    assert pack.manifest.config["reduction"] == FAST["reduction"]


def of_languages(**counts):
    return [
        Pair(f"text {i}", ENGLISH, f"{name} {i}", name)
        for name, count in counts.items()
        for i in range(count)
    ]


def test_lessons_of_translations_are_each_text_once_and_languages_with_ten(teacher):
    rows = of_languages(swh_Latn=9, deu_Latn=10, ben_Beng=9, fra_Latn=11, eng_Latn=12)
    blank = [Pair("text 0", ENGLISH, " ", "ben_Beng"), Pair("\n", ENGLISH, "leer", "ben_Beng")]
    found = targets.from_pairs([*rows, *rows, *blank], side=teacher.text)
    numbers = [*range(10), *range(11)]
    assert found.texts == [f"deu_Latn {i}" for i in range(10)] + [
        f"fra_Latn {i}" for i in range(11)
    ]
    assert found.languages == ["deu_Latn"] * 10 + ["fra_Latn"] * 11
    assert found.groups.tolist() == numbers
    assert found.english == [f"text {i}" for i in range(11)]
    raw = teacher.text.tower.encode(found.english)
    np.testing.assert_allclose(found.targets, teacher.text.through_head(raw), atol=1e-6)
    assert found.facts() == {
        "kind": "parallel text",
        "num_english_texts": 11,
        "num_texts": 21,
        "num_languages": 2,
        "texts_by_language": {"deu_Latn": 10, "fra_Latn": 11},
        "languages_with_too_little_text": ["ben_Beng", "swh_Latn"],
    }


def test_two_targets_are_the_image_and_the_english_caption_in_its_place(teacher):
    said = {
        ENGLISH: ["one", "two"],
        "deu_Latn": ["eins", "zwei"],
        "fra_Latn": ["un", "deux", "trois"],
    }
    names = [f"{i}.png" for i in range(12)]
    captions = [
        Caption(name, f"{text} {name}", language)
        for name in names[:10]
        for language, texts in said.items()
        for text in texts
    ]
    captions += [Caption(name, f"allein {name}", "deu_Latn") for name in names[10:]]
    contents = np.eye(12, 64, dtype=np.float32)
    data = image_text.join(captions, item_ids=names, contents=contents)
    found = targets.from_both(data, side=teacher.text)
    place = dict(zip(found.texts, range(len(found.texts)), strict=True))
    aims = {text: found.english[found.groups[row]] for text, row in place.items()}
    assert aims["eins 3.png"] == aims["un 3.png"] == aims["trois 3.png"] == "one 3.png"
    assert aims["zwei 3.png"] == aims["deux 3.png"] == "two 3.png"
    raw = teacher.text.tower.encode(found.english)
    np.testing.assert_allclose(found.targets, teacher.text.through_head(raw), atol=1e-6)
    np.testing.assert_array_equal(
        found.images[found.image_of[place["trois 7.png"]]], contents[data.item_ids.index("7.png")]
    )
    assert found.facts()["num_captions_without_english"] == 2
    assert found.facts()["texts_by_language"] == {"deu_Latn": 20, "fra_Latn": 30}
    none = image_text.join(captions[1:2] + captions[20:], item_ids=names, contents=contents)
    alone = dataclasses.replace(
        none, captions=tuple(c for c in none.captions if c.language != ENGLISH)
    )
    with pytest.raises(errors.TrainingError, match="no language but English"):
        targets.from_both(alone, side=teacher.text)


def test_simcse_draws_a_text_to_itself_under_dropout(teacher):
    """Its two passes differ, and captions come apart: no other arm of these has no target."""
    config = BabelAdapterConfig(
        **{**FAST, "num_epochs": 12}, objective="simcse", temperature=0.05, dropout=0.1
    )
    lessons = targets.from_pairs(pairs(*LANGUAGES), side=teacher.text)
    learner, report = babel_adapter.fit(lessons, side=teacher.text, config=config)
    assert report.history[-1]["total"] < 0.5 * report.history[0]["total"]
    assert learner.temperature().item() == pytest.approx(0.05)
    prepared = learner.live.prepare(lessons.texts, lessons.languages)
    rows = torch.arange(8)
    with torch.no_grad():
        learner.train()
        one, other = learner(prepared, rows), learner(prepared, rows)
        assert (one - other).abs().max() > 1e-3
        learner.eval()
        one, other = learner(prepared, rows), learner(prepared, rows)
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def test_the_dropout_of_simcse_leaves_out_its_share_of_a_block(teacher):
    live = babel_adapter.TrainableAdapters(
        teacher.text.tower,
        teacher.text.reference,
        languages=LANGUAGES,
        method="adapters",
        settings={"reduction": 2},
        dropout=0.25,
    )
    seen = []
    (block,) = adapters.find_blocks(live.routed.tower.module)
    block.register_forward_hook(lambda module, given, output: seen.append(output))
    prepared = live.prepare(["x y z"] * 40, ["deu_Latn"] * 40)
    for training in (True, False):
        live.module.train(training)
        live.forward(prepared, torch.arange(40))
    shares = [(states[0] if isinstance(states, tuple) else states) == 0 for states in seen]
    assert shares[0].float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not shares[1].any()


def test_dropout_is_needed_where_it_makes_the_difference():
    with pytest.raises(errors.ConfigError, match="simcse with dropout 0.0"):
        BabelAdapterConfig(objective="simcse", dropout=0.0)


def test_lessons_of_images_are_their_captions_but_english_ones():
    rows = of_languages(swh_Latn=2, eng_Latn=12, deu_Latn=10, ben_Beng=9)
    names = [f"{i}.png" for i in range(12)]
    captions = [
        Caption(names[int(row.text_b.split()[1])], row.text_b, row.language_b) for row in rows
    ]
    contents = np.eye(12, dtype=np.float32)
    found = targets.from_images(image_text.join(captions, item_ids=names, contents=contents))
    assert found.texts == [f"deu_Latn {i}" for i in range(10)]
    assert found.languages == ["deu_Latn"] * 10
    assert found.groups.tolist() == list(range(10))
    assert found.english == []
    np.testing.assert_array_equal(found.targets, contents)
    assert found.facts() == {
        "kind": "image-text",
        "num_contents": 12,
        "num_texts": 10,
        "num_languages": 1,
        "texts_by_language": {"deu_Latn": 10},
        "languages_with_too_little_text": ["ben_Beng", "swh_Latn"],
    }


def test_a_refusal_names_the_first_five_languages_and_what_they_have(teacher):
    few = of_languages(tur_Latn=1, swh_Latn=2, ita_Latn=3, fra_Latn=4, deu_Latn=5, ben_Beng=6)
    said = "no language but English has 10 texts or more (ben_Beng 6, deu_Latn 5, fra_Latn 4, "
    with pytest.raises(errors.TrainingError) as refused:
        targets.from_pairs(few, side=teacher.text)
    assert refused.value.message == f"{said}ita_Latn 3, swh_Latn 2)"


def test_what_cannot_be_trained_is_refused(teacher, tmp_path):
    config = BabelAdapterConfig(**FAST)
    with pytest.raises(errors.TrainingError, match=r"no language but English .*deu_Latn 9"):
        babel_adapter.train(pairs("deu_Latn")[:9], teacher=teacher, config=config)
    with pytest.raises(errors.TrainingError, match=r"texts or more \(0\)"):
        babel_adapter.train([], teacher=teacher, config=config)
    lit = BabelAdapterConfig(**FAST, objective="lit")
    with pytest.raises(errors.TrainingError, match="no images were given"):
        babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, config=lit)
    with pytest.raises(errors.ConfigError, match=r"temperature 0"):
        BabelAdapterConfig(temperature=0)
    one = BabelAdapterConfig(**{**FAST, "batch_size": 1}, objective="contrastive")
    with pytest.raises(errors.TrainingError, match="a batch of 1"):
        babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, config=one)
    narrow = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    with pytest.raises(errors.ConfigError, match="gives width 24; the teacher's space has 64"):
        babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, tower=narrow, config=config)
    other = small_bert.save(tmp_path / "other", width=64, seed=1)
    elsewhere = Side(load_tower(other, modality="text"), other)
    with pytest.raises(errors.ConfigError, match="of 61 English texts a vector nearest"):
        babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, tower=elsewhere, config=config)
    widened = Side(
        narrow.tower, "fake:teacher", AffineMap(np.ones((64, 24), "f"), np.ones(64, "f"))
    )
    with pytest.raises(errors.ConfigError, match="WordTower is no transformer"):
        babel_adapter.train(pairs(*LANGUAGES), teacher=teacher, tower=widened, config=config)
    bent = affine.Chain((widened.head, AffineMap(np.eye(64, dtype="f"), np.ones(64, "f"))))
    with pytest.raises(errors.ConfigError, match="a Chain behind its embedding"):
        babel_adapter.train([], teacher=teacher, tower=Side(narrow.tower, "x", bent), config=config)
    short = image_text.join(
        [Caption("a", "x", "deu_Latn"), Caption("b", "y", "deu_Latn")],
        item_ids=["a", "b"],
        contents=np.eye(2, dtype="f"),
    )
    with pytest.raises(errors.TrainingError, match="width 2, the texts' 64"):
        babel_adapter.train(teacher=teacher, image_text=short, config=lit)
