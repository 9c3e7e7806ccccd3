"""A preset holds what its paper says, with the source, and every value reaches the training."""

import inspect
import re

import numpy as np
import pytest
import torch
from PIL import Image

import small_bert
import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.losses import clip
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes import PUBLISHED, RECIPES, babel_adapter, build_config, m2m, uclip
from polyglance.recipes.contrastive import etcl, model, nllb_clip
from polyglance.recipes.data import image_text, pseudo_pairs
from polyglance.records import Caption, Pair
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny import tower as tiny
from polyglance.training import TrainConfig, TrainReport
from polyglance.vectors import unit

PRESETS = [(name, preset) for name, row in RECIPES.items() for preset in row.presets]
PHRASES = small_world.PHRASES[:24]
IDS = [f"{number}.png" for number in range(24)]


def written(value):
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def preset_of(name, preset=PUBLISHED):
    return build_config(RECIPES[name], {}, preset=preset)


MADE_BY = [(name, RECIPES[name].presets[preset]) for name, preset in PRESETS]


@pytest.mark.parametrize(("name", "method"), [*MADE_BY, ("m2m", "for_generation_as_published")])
def test_the_table_in_the_docstring_is_what_the_preset_gives(name, method):
    row = RECIPES[name]
    config = getattr(type(build_config(row, {})), method)()
    doc = inspect.getdoc(getattr(type(config), method))
    rows = [line for line in doc.splitlines() if line.startswith("| ")][2:]
    assert rows
    told = {}
    for line in rows:
        paper, source, ours = (cell.strip() for cell in line.strip("|").split(" | "))
        assert paper
        assert source
        told |= dict(re.findall(r"(\w+)=([^\s,:;]+)", ours))
    for field, value in told.items():
        assert written(getattr(config, field)) == value, field
    usual = build_config(row, {})
    changed = {f for f in vars(config) if getattr(config, f) != getattr(usual, f)}
    assert changed <= set(told)


def test_recipes_of_our_own_say_why_they_have_none():
    without = {name for name, row in RECIPES.items() if not row.presets}
    assert without == {"ridge", "distill", "procrustes", "low-rank", "residual-mlp"}
    for name in without:
        with pytest.raises(errors.ConfigError, match=f"{name} has no preset published: .+"):
            preset_of(name)
    with pytest.raises(errors.UnknownNameError, match="unknown preset 'publishd'"):
        preset_of("m2m", "publishd")


class Caught:
    """What the loop was given."""

    def __init__(self, monkeypatch, *places):
        self.config, self.batches = [], []
        for place in places:
            monkeypatch.setattr(place, "fit", self._fit)

    def _fit(self, module, step, *, batches, config, **given):
        del module, given
        self.config.append(config)
        self.batches.append(batches)
        return TrainReport(history=[{"total": 1.0}])


def sizes(batches):
    return [len(getattr(batch, "contents", batch)) for batch in batches(0)]


def as_trained(config, **expected):
    """Fields of a `TrainConfig`, and what they have to be."""
    assert isinstance(config, TrainConfig)
    assert {name: getattr(config, name) for name in expected} == expected


def test_m2m_trains_as_published(teacher, monkeypatch):
    caught = Caught(monkeypatch, m2m.training)
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    texts = [f"{phrase} {number}" for phrase in small_world.PHRASES for number in range(4)]
    pack = m2m.train(texts, teacher=teacher, tower=tower, config=preset_of("m2m"))
    num_fitted = len(texts) - len(texts) // 10
    steps = -(-num_fitted // 64)
    as_trained(
        caught.config[0],
        num_steps=50 * steps,
        learning_rate=3e-4,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="linear",
        num_warmup_steps=50,
        clip_norm=None,
        precision="no",
        validate_every=steps,
    )
    assert {len(batch) for batch in caught.batches[0](0)} >= {64}
    assert pack.side.head_input == "raw"
    for_flux = m2m.M2MConfig.for_generation_as_published()
    assert (for_flux.clip_norm, for_flux.num_epochs, for_flux.precision) == (None, 10, "bf16")


def test_the_inputs_of_m2m_are_not_brought_to_length_one(teacher, monkeypatch):
    seen = []
    real = m2m._start_head

    def watched(pairs, *others):
        seen.append(np.linalg.norm(pairs.x, axis=1))
        return real(pairs, *others)

    Caught(monkeypatch, m2m.training)
    monkeypatch.setattr(m2m, "_start_head", watched)
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    m2m.train(small_world.PHRASES, teacher=teacher, tower=tower, config=preset_of("m2m"))
    assert seen[0].min() > 2


def test_uclip_trains_as_its_trainer_does(monkeypatch):
    caught = Caught(monkeypatch, uclip.training)
    given = []
    monkeypatch.setattr(
        uclip, "gather", lambda *_, temperature, **__: given.append(temperature) or some_pairs(2000)
    )
    banks = pseudo_pairs.Banks(np.eye(2, dtype=np.float32), ["x"], ["deu_Latn"])
    words = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    uclip.train(
        ["a"], banks, teacher=small_world.fit_teacher(), tower=words, config=preset_of("uclip")
    )
    as_trained(
        caught.config[0],
        num_steps=5 * (1998 // 512),
        learning_rate=1e-3,
        weight_decay=0.0,
        clip_norm=1.0,
        schedule="linear",
        num_warmup_steps=0,
        warmup_share=0.0,
    )
    assert sizes(caught.batches[0]) == [512] * 3
    assert given == [0.01]
    assert preset_of("uclip").noise ** 2 == pytest.approx(0.004, rel=1e-5)


def some_pairs(rows, width=24):
    rng = np.random.default_rng(0)
    shapes = (width, 40, width, 40)
    return pseudo_pairs.PseudoPairs(
        *(unit(rng.standard_normal((rows, each), np.float32)) for each in shapes)
    )


@pytest.mark.parametrize(
    ("preset", "num_epochs", "batch_size"),
    [(PUBLISHED, 100, 512), ("published-distilled", 15, 192)],
)
def test_adapters_train_as_published(preset, num_epochs, batch_size, monkeypatch, tmp_path):
    caught = Caught(monkeypatch, babel_adapter.training)
    reference = small_bert.save(tmp_path / "bert", width=64, layers=1)
    german = [
        Pair(f"{p} {i}", ENGLISH, f"{small_world.translate(p, 'deu_Latn')} {i}", "deu_Latn")
        for p in small_world.PHRASES
        for i in range(10)
    ]
    pack = babel_adapter.train(
        german, teacher=small_bert.teacher(reference), config=preset_of("babel-adapter", preset)
    )
    num_rows = len(german)
    as_trained(
        caught.config[0],
        num_steps=num_epochs * -(-num_rows // batch_size),
        learning_rate=1e-3,
        weight_decay=0.1,
        warmup_share=0.2,
        schedule="linear",
        clip_norm=None,
    )
    assert sizes(caught.batches[0])[0] == batch_size
    assert pack.manifest.num_trainable_parameters == 64 * 4 * 2 + 4 + 64


def captioned(teacher, languages=(ENGLISH, "deu_Latn")):
    captions = [
        Caption(name, small_world.translate(phrase, language), language)
        for name, phrase in zip(IDS, PHRASES, strict=True)
        for language in languages
    ]
    drawn = [small_world.draw(phrase, seed=1) for phrase in PHRASES]
    return image_text.join(captions, item_ids=IDS, contents=teacher.encode_items(drawn))


def test_nllb_clip_validates_on_all_of_15_per_cent(teacher, monkeypatch):
    caught = Caught(monkeypatch, nllb_clip.training)
    rows = 8000
    contents = unit(np.random.default_rng(0).standard_normal((rows, teacher.dim)).astype("f4"))
    ids = [f"{i}.png" for i in range(rows)]
    data = image_text.join(
        [Caption(name, f"thing {name}", ENGLISH) for name in ids],
        item_ids=ids,
        contents=contents,
        features=np.ones((rows, 192), np.float32),
    )
    cut = []
    real = image_text.split
    monkeypatch.setattr(
        model.image_text, "split", lambda *a, **k: cut.append(real(*a, **k)) or cut[-1]
    )
    small = {"num_buckets": "500", "width": "16"}
    config = build_config(RECIPES["nllb-clip"], small, preset=PUBLISHED)
    nllb_clip.train(data, teacher=teacher, config=config)
    kept, dev = cut[0]
    assert (len(dev.item_ids), len(kept.item_ids)) == (1200, 6800)
    as_trained(
        caught.config[0],
        num_steps=2000,
        learning_rate=1e-4,
        optimizer="lion8bit",
        weight_decay=0.01,
        schedule="cosine",
        warmup_share=0.05,
        validate_every=200,
    )
    assert caught.config[0].rate_factors["content_trunk"] * 1e-4 == pytest.approx(1e-5)
    assert max(sizes(caught.batches[0])) <= 512
    assert len(sizes(caught.batches[0])) == -(-6800 // 512)


def one_batch(epoch):
    del epoch
    return iter([etcl.sampling.Triples(*[torch.arange(2)] * 3)])


def tiny_teacher(monkeypatch):
    monkeypatch.setattr(image_net, "SIDE", 32)
    torch.manual_seed(0)
    net = image_net.TinyImageNet(24, widths=(8, 16))
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    return DualEncoder(Side(tiny.TinyImageTower(net), "tiny:./image"), words, "in memory")


def test_etcl_trains_in_three_stages_as_published(monkeypatch):
    teacher = tiny_teacher(monkeypatch)
    caught = Caught(monkeypatch, etcl.training)
    asked = []
    for name in ("caption_batches", "triple_batches"):
        monkeypatch.setattr(
            etcl.sampling,
            name,
            lambda *a, n=name, **k: asked.append((n, k["batch_size"])) or one_batch,
        )
    pixels = {
        name: np.asarray(small_world.draw(phrase, seed=1).resize((38, 38), Image.Resampling.BOX))
        for name, phrase in zip(IDS, PHRASES, strict=True)
    }
    margins, steps = [], []
    for place, name in ((etcl, "mural"), (etcl, "etcl"), (clip, "contrastive")):
        monkeypatch.setattr(
            place, name, lambda *_, n=name, **k: margins.append((n, k.get("margin", 0.0))) or {}
        )

    def noted(module, step, **given):
        steps.append(step)
        return caught._fit(module, step, **given)

    monkeypatch.setattr(etcl.training, "fit", noted)
    small = {"num_buckets": "500", "width": "16"}
    data = captioned(teacher)
    for stage in ("mural+etcl", "fine-tuning"):
        config = build_config(RECIPES["etcl"], {**small, "stage": stage}, preset=PUBLISHED)
        assert config.batch_size == 16_384
        etcl.train(data, teacher=teacher, config=config, pixels=pixels)
    mural, triples, tuned = caught.config
    shared = {"optimizer": "lamb", "weight_decay": 1e-5, "schedule": "linear"}
    as_trained(mural, num_steps=800_000, warmup_share=0.0125, **shared)
    as_trained(triples, num_steps=3000, warmup_share=0.0, **shared)
    as_trained(tuned, num_steps=3000, warmup_share=0.0, **shared)
    rates = [one.learning_rate for one in caught.config]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5])
    assert {one.rate_factors["content_trunk"] for one in caught.config} == {1.0}
    # MURAL's texts are captions of one image: triples without it.
    assert sorted(asked) == [
        ("caption_batches", 2048),
        ("caption_batches", 16_384),
        ("triple_batches", 16_384),
        ("triple_batches", 32_768),
    ]
    rows = torch.arange(4)
    texts = etcl.sampling.TextPairs(rows, 2 * rows, 2 * rows + 1)
    steps[0]((etcl.sampling.Captioned(rows, rows), texts))
    steps[1](etcl.sampling.Triples(rows, 2 * rows, 2 * rows + 1))
    steps[2](etcl.sampling.Captioned(rows, rows))
    assert margins == [("mural", 0.3), ("etcl", 0.0), ("contrastive", 0.3)]
