"""Every setting of every recipe reaches the training, and means what its config says."""

import dataclasses

import numpy as np
import pytest
import torch

import small_bert
import small_world
from polyglance import errors
from polyglance.heads import affine, mlp
from polyglance.languages.registry import ENGLISH
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.side import Side
from polyglance.recipes import (
    RECIPES,
    babel_adapter,
    build_config,
    drift_adapter,
    m2m,
    ridge,
    uclip,
)
from polyglance.recipes.contrastive import etcl, model, nllb_clip
from polyglance.recipes.data import english_text, image_text, pseudo_pairs
from polyglance.recipes.distill import recipe as distill
from polyglance.records import Caption, MediaFile, Pair
from polyglance.towers import load_tower
from polyglance.towers.trainable import assembled, pixels
from polyglance.vectors import unit

PHRASES = small_world.PHRASES[:24]
IDS = [f"{phrase.replace(' ', '-')}.png" for phrase in PHRASES]
GERMAN = "deu_Latn"
FEW_STEPS = {"batch_size": 12, "num_buckets": 500, "width": 16, "projection_rate": 1e-2}


@pytest.fixture(scope="module")
def contents(teacher):
    return teacher.encode_items([small_world.draw(phrase, seed=1) for phrase in PHRASES])


@pytest.fixture(scope="module")
def uneven(contents):
    """English of all contents, German of a quarter."""
    captions = [Caption(i, phrase, ENGLISH) for i, phrase in zip(IDS, PHRASES, strict=True)]
    captions += [
        Caption(i, small_world.translate(phrase, GERMAN), GERMAN)
        for i, phrase in zip(IDS[::4], PHRASES[::4], strict=True)
    ]
    return image_text.join(captions, item_ids=IDS, contents=contents)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    reference = small_bert.save(tmp_path_factory.mktemp("bert") / "tower", width=24, layers=1)
    return Side(load_tower(reference, modality="text"), reference)


def bits(*arrays):
    return b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)


def weights_of(pack):
    """All that a pack learnt, as bytes."""
    tensors = {**affine.tensors_of(pack.side.head), **affine.tensors_of(pack.content_head)}
    texts = [*PHRASES[:6], *(small_world.translate(phrase, GERMAN) for phrase in PHRASES[:6])]
    learnt = pack.side.tower.encode(texts, languages=[ENGLISH] * 6 + [GERMAN] * 6)
    shown = ()
    if pack.content_side is not None:
        images = [small_world.draw(phrase, seed=5) for phrase in PHRASES[:3]]
        side = pack.content_side
        shown = (side.tower.encode(images), *affine.tensors_of(side.head).values())
    return bits(learnt, *tensors.values(), *shown)


def multilingual():
    return Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")


def pixels_teacher(features=None):
    """A teacher whose image tower learns, and pixels with room for crops."""
    module = assembled.ProjectedEncoder(
        features or FlatPixels(), torch.nn.Linear(192, 24, bias=False)
    )
    torch.nn.init.normal_(module.projection.weight, generator=torch.Generator().manual_seed(0))
    tower = assembled.TorchImageTower(
        module,
        recipe=pixels.PixelRecipe(fit="exact", height=8, width=8),
        identity=assembled.Identity(
            dim=24, pre_projection_dim=192, space_id="flat", fingerprint="flat"
        ),
        device=torch.device("cpu"),
    )
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    return DualEncoder(Side(tower, "flat:x"), words, "in memory")


class FlatPixels(torch.nn.Module):
    fingerprint = "flat"

    def forward(self, batch):
        return batch["pixel_values"].flatten(1)


class StagedPixels(FlatPixels):
    """Two stages: all pixels times a number each."""

    num_stages = 2

    def __init__(self):
        super().__init__()
        self.stages = torch.nn.ModuleList(torch.nn.Conv2d(3, 3, 1) for _ in range(2))
        for stage in self.stages:
            torch.nn.init.constant_(stage.weight, 0.3)
            torch.nn.init.zeros_(stage.bias)

    def forward(self, batch):
        return self.features_of(self.feature_maps(batch, stages=1), stages=1)

    def feature_maps(self, batch, *, stages):
        return torch.nn.Sequential(*self.stages[: 2 - stages])(batch["pixel_values"])

    def features_of(self, maps, *, stages):
        return torch.nn.Sequential(*self.stages[2 - stages :])(maps).flatten(1)

    def last_stages(self, stages):
        return list(self.stages[2 - stages :])


class World:
    """What every recipe learns from here, and what its packs are told apart by.

    A way is a word for what is given besides; a training that is refused tells by its message.
    """

    def __init__(self, teacher, uneven, bert, monkeypatch, folder):
        self.teacher, self.uneven, self.bert, self.folder = teacher, uneven, bert, folder
        self.chunks = []
        real = model.gradient_cache.encode_in_chunks

        def noted(forward, *, num_rows, chunk_rows):
            self.chunks.append(chunk_rows)
            return real(forward, num_rows=num_rows, chunk_rows=chunk_rows)

        monkeypatch.setattr(model.gradient_cache, "encode_in_chunks", noted)

    def observed(self, name, way, config):
        """All that a training leaves behind, as bytes."""
        self.chunks.clear()
        try:
            pack = getattr(self, name.replace("-", "_"))(way, config)
        except (errors.ConfigError, errors.TrainingError) as refused:
            return refused.message.encode()
        facts = {
            key: pack.manifest.data.get(key)
            for key in ("best_step", "dev_hit_rate_at_10", "dev_hit_rate_at_1", "penalty")
        }
        told = repr((facts, pack.manifest.head_input, sorted(set(map(str, self.chunks)))))
        return weights_of(pack) + told.encode()

    def ridge(self, way, config):
        texts = small_world.PHRASES
        return ridge.train(texts, teacher=self.teacher, tower=multilingual(), config=config)

    def m2m(self, way, config):
        texts = small_world.PHRASES
        return m2m.train(texts, teacher=self.teacher, tower=multilingual(), config=config)

    def procrustes(self, way, config):
        texts = small_world.PHRASES
        return drift_adapter.train(texts, teacher=self.teacher, tower=multilingual(), config=config)

    low_rank = residual_mlp = procrustes

    def uclip(self, way, config):
        texts = [small_world.translate(phrase, GERMAN) for phrase in PHRASES]
        banks = pseudo_pairs.Banks(self.uneven.contents, texts, [GERMAN] * len(texts))
        return uclip.train(
            small_world.PHRASES, banks, teacher=self.teacher, tower=multilingual(), config=config
        )

    def distill(self, way, config):
        pairs = [Pair(p, ENGLISH, small_world.translate(p, GERMAN), GERMAN) for p in PHRASES]
        related = [
            Pair(p, ENGLISH, small_world.translate(p.split()[1], GERMAN), GERMAN) for p in PHRASES
        ]
        given = {"tower": self.bert} if way == "bert" else {"related": related}
        if config.ending == "contrast":
            given = {}
        return distill.train(pairs, teacher=self.teacher, config=config, **given)

    def babel_adapter(self, way, config):
        german = [Pair(p, ENGLISH, small_world.translate(p, GERMAN), GERMAN) for p in PHRASES]
        captions = [
            Caption(name, text, language)
            for name, pair in zip(IDS, german, strict=True)
            for text, language in ((pair.text_a, ENGLISH), (pair.text_b, GERMAN))
        ]
        shown = image_text.join(captions, item_ids=IDS, contents=self.uneven.contents)
        words = DualEncoder(self.teacher.content, self.bert, "in memory")
        return babel_adapter.train(german, teacher=words, config=config, image_text=shown)

    def _contrastive(self, train, way, config):
        given = {}
        teacher = self.teacher
        if way == "bert":
            given = {"tower": self.bert}
        if way == "three languages":
            given["parallel"] = [
                Pair(phrase, ENGLISH, small_world.translate(phrase, language), language)
                for phrase in PHRASES
                for language in (GERMAN, "hin_Deva")
            ]
        if way == "frozen text":
            given = {"tower": multilingual()}
        if way == "pixels":
            teacher = pixels_teacher()
            drawn = (small_world.draw(phrase, seed=1).resize((10, 10)) for phrase in PHRASES)
            given = {"pixels": dict(zip(IDS, map(np.asarray, drawn), strict=True))}
            if config.augmentation == "none":
                given["pixels"] = {name: x[:8, :8] for name, x in given["pixels"].items()}
        data = self.uneven
        if way == "files":
            torch.manual_seed(0)
            teacher = pixels_teacher(StagedPixels())
            given = {
                "files": {
                    name: MediaFile(name, self.folder / name, modality="image") for name in IDS
                }
            }
            for name, phrase in zip(IDS, PHRASES, strict=True):
                small_world.draw(phrase, seed=1).save(self.folder / name)
        if way == "features":
            rng = np.random.default_rng(0)
            features = rng.standard_normal((len(IDS), 192)).astype(np.float32)
            data = dataclasses.replace(data, features=features)
        return train(data, teacher=teacher, config=config, **given)

    def nllb_clip(self, way, config):
        return self._contrastive(nllb_clip.train, way, config)

    def etcl(self, way, config):
        return self._contrastive(etcl.train, way, config)


CONTRASTIVE = {
    "": {
        "image_projection": "behind",
        "optimizer": "lamb",
        "batch_size": 8,
        "projection_rate": 2e-2,
        "ngram_rate": 1e-3,
        "weight_decay": 0.9,
        "warmup_share": 0.9,
        "temperature": 0.5,
        "dev_fraction": 0.25,
        "chunk_rows": 4,
        "num_buckets": 400,
        "width": 8,
        "dropout": 0.6,
        "precision": "bf16",
        "seed": 1,
    },
    "bert": {"trunk_rate": 1e-2, "max_tokens": 3, "regime": "projection"},
    "frozen text, regime=projection": {"temperature": 0.5},
    "features, image_projection=trained": {"image_projection": "behind"},
    "pixels, regime=full": {"augmentation": "crop-flip", "trunk_rate": 1e-2},
    "files, regime=full": {"trainable_image_stages": 1},
    "dev_fraction=0.5": {"most_dev_images": 3},
}
DESCENT = {
    "num_epochs": 3,
    "batch_size": 8,
    "learning_rate": 1e-2,
    "weight_decay": 5.0,
    "dev_fraction": 0.4,
    "head_input": "raw",
    "seed": 1,
}
# By recipe and way, another value of each setting: it has to change something.
CHANGES = {
    "ridge": {
        "": {"penalties": (7.0,), "dev_fraction": 0.45, "head_input": "raw", "seed": 3},
    },
    "m2m": {
        "": {
            "purpose": "generation",
            "num_layers": 1,
            "layer_norm": True,
            "objective": "mse",
            "alignment_weight": 480.0,
            "structure_weight": 100.0,
            "start": "random",
            "batch_size": 8,
            "learning_rate": 1e-2,
            "weight_decay": 5.0,
            "num_warmup_steps": 8,
            "clip_norm": 1e-4,
            "dev_fraction": 0.4,
            "head_input": "raw",
            "precision": "bf16",
            "seed": 1,
        },
        "start=random": {"num_epochs": 3, "num_layers": 4, "objective": "cosine", "residual": True},
    },
    "procrustes": {
        "": {
            "centred": True,
            "scaling": "diagonal",
            "dev_fraction": 0.45,
            "head_input": "raw",
            "seed": 3,
        },
    },
    "low-rank": {"": {**DESCENT, "rank": 3, "start": "random"}},
    "residual-mlp": {
        "": {
            **DESCENT,
            "hidden": 5,
            "skip": "identity",
            "standardise": True,
            "dropout": 0.5,
            "input_noise": 1.0,
        }
    },
    "uclip": {
        "": {
            "dim": 9,
            "expansion": 3.0,
            "norm": "layer",
            "recalibrate": False,
            "retrieval_temperature": 0.5,
            "temperature": 0.5,
            "noise": 0.2,
            "text_weight": 0.0,
            "pseudo_weight": 0.0,
            "intra_weight": 0.0,
            "num_epochs": 4,
            "least_steps": 5,
            "batch_size": 12,
            "learning_rate": 1e-2,
            "weight_decay": 5.0,
            "clip_norm": 1e-4,
            "precision": "bfloat16",
            "dev_fraction": 0.4,
            "seed": 1,
        },
    },
    "distill": {
        "": {
            "ending": "linear",
            "num_buckets": 400,
            "dim": 8,
            "dropout": 0.6,
            "num_steps": 4,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "related_share": 0.8,
            "related_weight": 5.0,
            "squared_error_weight": 0.0,
            "sharpness": 3.0,
            "seed": 1,
        },
        "ending=contrast": {"temperature": 0.5, "batch_size": 8, "seed": 1},
        "bert": {
            "trunk_epochs": 2,
            "trunk_batch_size": 8,
            "trunk_rate": 1e-2,
            "trunk_warmup_share": 0.9,
            "max_tokens": 3,
            "vectors": "unit",
            "seed": 1,
        },
    },
    "babel-adapter": {
        "": {
            "objective": "contrastive",
            "reduction": 8,
            "vectors": "unit",
            "num_epochs": 2,
            "batch_size": 8,
            "learning_rate": 1e-2,
            "weight_decay": 20.0,
            "warmup_share": 0.9,
            "max_length": 3,
            "precision": "bf16",
            "seed": 1,
        },
        "objective=contrastive": {"temperature": 0.5},
        "objective=lit": {"temperature": 0.5},
        "objective=lit+mse": {"lit_weight": 9.0, "temperature": 0.5, "vectors": "unit"},
        "objective=simcse": {"dropout": 0.5, "temperature": 0.5},
        "method=lora": {"method": "adapter", "rank": 4, "alpha": 80},
    },
    "nllb-clip": {
        **CONTRASTIVE,
        "": {
            **CONTRASTIVE[""],
            "objective": "sigmoid",
            "language_sampling": "proportional",
            "num_steps": 4,
        },
    },
    "etcl": {
        **CONTRASTIVE,
        "": {
            **CONTRASTIVE[""],
            "stage": "etcl",
            "num_mural_steps": 3,
            "num_etcl_steps": 3,
            "etcl_rate_factor": 0.1,
            "etcl_batch_size": 2,
            "margin": 0.0,
            "label_smoothing": 0.0,
        },
        "three languages, stage=mural": {"text_pairs": "any-two"},
        "stage=fine-tuning": {
            "num_fine_tuning_steps": 3,
            "fine_tuning_rate_factor": 0.1,
            "fine_tuning_batch_size": 8,
            "fine_tuning_margin": 0.5,
            "label_smoothing": 0.0,
        },
    },
}
FEW = {
    "ridge": {},
    "procrustes": {},
    "low-rank": {"num_epochs": 2, "batch_size": 16},
    "residual-mlp": {"num_epochs": 2, "batch_size": 16},
    "m2m": {"num_epochs": 2, "batch_size": 16, "num_warmup_steps": 1},
    "uclip": {
        "dim": 8,
        "least_steps": 3,
        "num_epochs": 1,
        "batch_size": 16,
        "precision": "float32",
        "dev_fraction": 0.25,
    },
    "distill": {
        "num_buckets": 500,
        "dim": 16,
        "num_steps": 3,
        "batch_size": 16,
        "trunk_epochs": 1,
        "trunk_batch_size": 16,
    },
    "babel-adapter": {"num_epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
    "nllb-clip": {**FEW_STEPS, "num_steps": 3},
    "etcl": {**FEW_STEPS, "num_mural_steps": 2, "num_etcl_steps": 2, "num_fine_tuning_steps": 2},
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_has_a_change_that_has_to_count(name):
    named = {field for changes in CHANGES[name].values() for field in changes}
    fields = {each.name for each in dataclasses.fields(build_config(RECIPES[name], {}))}
    assert fields == named


@pytest.mark.parametrize(("name", "way"), [(n, way) for n in CHANGES for way in CHANGES[n]])
def test_every_setting_counts(name, way, teacher, uneven, bert, monkeypatch, tmp_path):
    if "lora" in way:
        pytest.importorskip("peft", reason="extra `lora` is not installed")
    world = World(teacher, uneven, bert, monkeypatch, tmp_path)
    start = dict(part.split("=") for part in way.split(", ") if "=" in part)
    given = next((part for part in way.split(", ") if "=" not in part), "")
    config = dataclasses.replace(build_config(RECIPES[name], start), **FEW[name])
    before = world.observed(name, given, config)
    unheeded = []
    for field, value in CHANGES[name][way].items():
        if isinstance(value, str) and "=" not in value:
            assert value != getattr(config, field)
        try:
            changed = dataclasses.replace(config, **{field: value})
        except errors.ConfigError:
            continue  # it counts: with the rest it is refused
        if world.observed(name, given, changed) == before:
            unheeded.append(field)
    assert unheeded == []
    assert len(before) > 1000, before  # a message of refusal is no training


def made_pairs(*, rows=48, width=12, seed=0):
    """Pseudo pairs of random unit vectors."""
    rng = np.random.default_rng(seed)
    four = (unit(rng.standard_normal((rows, width), np.float32)) for _ in range(4))
    return pseudo_pairs.PseudoPairs(*four)


SHORT = uclip.UclipConfig(
    dim=8, least_steps=3, num_epochs=1, batch_size=16, precision="float32", dev_fraction=0.25
)


def heads_of(pairs, **changed):
    """Both heads that uCLIP trains, as bytes, and what it tells."""
    fitted = uclip.fit(pairs, dataclasses.replace(SHORT, **changed))
    tensors = [*affine.tensors_of(fitted.clip).values(), *affine.tensors_of(fitted.text).values()]
    return bits(*tensors)


@pytest.mark.parametrize("kind", ["english_clip", "english_text", "image_clip", "other_text"])
def test_each_of_the_four_vectors_of_uclip_is_learnt_from(kind):
    pairs = made_pairs()
    other = dataclasses.replace(pairs, **{kind: getattr(made_pairs(seed=1), kind)})
    assert heads_of(pairs) != heads_of(other)


def test_the_answers_of_uclip_are_those_of_each_bank(teacher):
    """English asks both banks; what each answers is a mixture of that bank alone."""
    multilingual = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    texts = [small_world.translate(phrase, GERMAN) for phrase in PHRASES[:3]]
    images = teacher.encode_items([small_world.draw(phrase, seed=1) for phrase in PHRASES[:3]])
    banks = pseudo_pairs.Banks(images, texts, [GERMAN] * 3)
    found = pseudo_pairs.gather(
        PHRASES[10:14], banks, teacher=teacher, tower=multilingual, temperature=0.01
    )
    bank = unit(multilingual.tower.encode(texts))
    for answers, answered_from in ((found.image_clip, images), (found.other_text, bank)):
        mixture, *_ = np.linalg.lstsq(answered_from.T, answers.T, rcond=None)
        np.testing.assert_allclose(answered_from.T @ mixture, answers.T, atol=1e-4)
        assert mixture.min() > -1e-3


def test_the_noise_of_uclip_is_a_standard_deviation():
    """METHODS: a variance of 0.004 a dimension, so 0.063; D of them turn a unit vector."""
    width = 400
    vector = np.zeros((64, width), np.float32)
    vector[:, 0] = 1.0
    seen = []

    def note(module, given):
        if isinstance(module, mlp.ProjectionHead) and module.training:
            seen.append(given[0].detach().float())

    hook = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        heads_of(pseudo_pairs.PseudoPairs(vector, vector, vector, vector), noise=0.063)
    finally:
        hook.remove()
    noised = torch.cat([rows for rows in seen if rows[:, 0].min() < 0.999])
    expected = 1 / np.sqrt(1 + 0.063**2 * width)
    assert float(noised[:, 0].mean()) == pytest.approx(expected, rel=0.02)
    assert uclip.UclipConfig().noise ** 2 == pytest.approx(0.004, abs=1e-4)


def test_what_uclip_sets_aside_is_not_fitted():
    pairs = made_pairs(rows=16)
    changed = made_pairs(rows=16, seed=1)
    before = heads_of(pairs, batch_size=8)
    unfitted = 0
    for row in range(16):
        rows = {
            field.name: getattr(pairs, field.name).copy() for field in dataclasses.fields(pairs)
        }
        for name, values in rows.items():
            values[row] = getattr(changed, name)[row]
        unfitted += heads_of(pseudo_pairs.PseudoPairs(**rows), batch_size=8) == before
    assert unfitted == 4  # a quarter


def test_dev_texts_are_none_of_those_that_are_fitted(teacher):
    multilingual = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    pairs = english_text.encode_pairs(
        small_world.PHRASES, teacher=teacher, tower=multilingual, dev_fraction=0.2, seed=0
    )
    fitted, dev = ({row.tobytes() for row in rows} for rows in (pairs.x, pairs.dev_x))
    assert len(fitted) + len(dev) == len(small_world.PHRASES)
    assert not fitted & dev


def test_dev_contents_are_none_of_those_that_are_fitted(uneven):
    fitted, dev = image_text.split(uneven, dev_fraction=0.25, seed=0)
    assert len(dev.item_ids) == 6
    assert sorted((*fitted.item_ids, *dev.item_ids)) == sorted(IDS)
    assert {c.item_id for c in fitted.captions}.isdisjoint(dev.item_ids)


@pytest.mark.parametrize("recipe", ["nllb-clip", "etcl"])
def test_captions_of_dev_contents_teach_nothing(teacher, uneven, recipe):
    """A content that chooses the step may say anything: the weights after a step are the same."""
    _, dev = image_text.split(uneven, dev_fraction=0.25, seed=0)
    other = [
        dataclasses.replace(c, text="x") if c.item_id in dev.item_ids else c
        for c in uneven.captions
    ]
    changed = image_text.join(other, item_ids=IDS, contents=uneven.contents)
    module, steps = (
        (nllb_clip, {"num_steps": 1})
        if recipe == "nllb-clip"
        else (etcl, {"num_etcl_steps": 1, "stage": "etcl"})
    )
    make = nllb_clip.NllbClipConfig if module is nllb_clip else etcl.EtclConfig
    config = make(**FEW_STEPS, **steps, dev_fraction=0.25)
    packs = [module.train(data, teacher=teacher, config=config) for data in (uneven, changed)]
    assert weights_of(packs[0]) == weights_of(packs[1])


# What the papers and METHODS fix, by recipe; a slip here would train something else in silence.
DECIDED = {
    "nllb-clip": (
        nllb_clip.NllbClipConfig.as_published(),
        {
            "regime": "text-encoder",
            "image_projection": "trained",
            "objective": "contrastive",
            "language_sampling": "equal",
            "optimizer": "lion8bit",
            "projection_rate": 1e-4,
            "trunk_rate": 1e-5,
            "weight_decay": 0.01,
            "warmup_share": 0.05,
            "batch_size": 512,
            "temperature": 0.07,
            "dev_fraction": 0.15,
        },
    ),
    "uclip": (
        uclip.UclipConfig(),
        {
            "dim": 512,
            "expansion": 2.0,
            "norm": "batch",
            "retrieval_temperature": 0.01,
            "temperature": 0.01,
            "noise": 0.063,
            "text_weight": 1.0,
            "pseudo_weight": 1.0,
            "intra_weight": 0.1,
            "num_epochs": 5,
            "batch_size": 512,
            "learning_rate": 1e-3,
        },
    ),
    "m2m": (
        m2m.M2MConfig.as_published(),
        {
            "num_layers": 2,
            "objective": "m2m",
            "alignment_weight": 48.0,
            "structure_weight": 1.0,
            "start": "random",
            "num_epochs": 50,
            "batch_size": 64,
            "learning_rate": 3e-4,
            "weight_decay": 0.01,
            "num_warmup_steps": 50,
            "clip_norm": None,
            "head_input": "raw",
        },
    ),
    "m2m for generation": (
        m2m.M2MConfig.for_generation_as_published(),
        {
            "purpose": "generation",
            "layer_norm": True,
            "start": "random",
            "num_epochs": 10,
            "batch_size": 64,
            "learning_rate": 3e-4,
            "precision": "bf16",
        },
    ),
    "etcl": (
        etcl.EtclConfig(),
        {
            "stage": "mural+etcl",
            "margin": 0.3,
            "label_smoothing": 0.1,
            "max_tokens": 64,
            "etcl_rate_factor": 1.0,
        },
    ),
    "babel-adapter": (
        babel_adapter.BabelAdapterConfig(),
        {
            "objective": "mse",
            "method": "adapter",
            "reduction": 16,
            "vectors": "raw",
            "num_epochs": 100,
            "batch_size": 512,
            "learning_rate": 1e-3,
            "weight_decay": 0.1,
            "warmup_share": 0.2,
            "max_length": 70,
        },
    ),
}


@pytest.mark.parametrize("recipe", DECIDED)
def test_settings_are_those_that_were_decided(recipe):
    config, decided = DECIDED[recipe]
    assert {name: getattr(config, name) for name in decided} == decided
