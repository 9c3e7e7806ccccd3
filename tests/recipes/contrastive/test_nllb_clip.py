"""`nllb-clip` learns in every regime, by every content side, and says what it did to it."""

import dataclasses
import string

import numpy as np
import pytest
import torch
from torch import nn

import small_bert
import small_world
from polyglance import errors, towers
from polyglance.heads import affine
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.dual_encoder import DualEncoder
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes.contrastive import item_side as shown
from polyglance.recipes.contrastive import model, nllb_clip
from polyglance.recipes.contrastive.nllb_clip import NllbClipConfig
from polyglance.recipes.data import image_text
from polyglance.records import Caption
from polyglance.towers import load_tower
from polyglance.towers.tiny import image_net
from polyglance.towers.tiny import tower as tiny
from polyglance.towers.trainable import assembled, pixels, text
from polyglance.training import RunFolder
from polyglance.vectors import unit

IDS = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
CAPTIONS = [c for name in (ENGLISH, *small_world.LANGUAGES) for c in small_world.captions(name)]
OWN = np.arange(len(IDS))
SMALL = {
    "num_steps": 40,
    "batch_size": 36,
    "num_buckets": 3000,
    "width": 32,
    "projection_rate": 1e-2,
    "trunk_rate": 1e-3,
}
MULTILINGUAL = "fake:multilingual"


def pictures(seed):
    return [small_world.draw(phrase, seed=seed) for phrase in small_world.PHRASES]


def joined(teacher, *, features=False):
    return image_text.join(
        CAPTIONS,
        item_ids=IDS,
        contents=teacher.encode_items(pictures(1)),
        features=shown.image_features(teacher, pictures(1)) if features else None,
    )


def hit_rate(pack, teacher, *, seed=99):
    """Text-to-image hit rate at 10 in the invented languages, on pictures drawn anew."""
    if pack.content_side is not None:
        teacher = DualEncoder(pack.content_side, teacher.text, "of the pack")
    shown = pack.project(teacher.encode_items(pictures(seed)))
    rates = []
    for language in small_world.LANGUAGES:
        texts = [small_world.translate(phrase, language) for phrase in small_world.PHRASES]
        raw = pack.side.tower.encode(texts, languages=[language] * len(texts))
        said = unit(pack.side.through_head(raw))
        rates.append(retrieval.hit_rates_at_k(said, shown, relevance=OWN, ks=(10,))[10].mean())
    return float(np.mean(rates))


def at_start(config):
    """The same, with steps that lead nowhere."""
    return dataclasses.replace(
        config, num_steps=1, projection_rate=1e-9, trunk_rate=1e-9, ngram_rate=1e-9
    )


def both(data, *, teacher, config, **given):
    """Scores of the initialisation and of the trained pack, and the pack."""
    packs = [
        nllb_clip.train(data, teacher=teacher, config=each, **given)
        for each in (at_start(config), config)
    ]
    return hit_rate(packs[0], teacher), hit_rate(packs[1], teacher), packs[1]


def reloaded(pack, folder):
    pack.save(folder)
    return LanguagePack.load(folder)


def multilingual():
    return Side(small_world.load_reference(MULTILINGUAL), MULTILINGUAL)


@pytest.mark.parametrize(
    ("settings", "content"),
    [
        ({}, "unchanged"),
        ({"image_projection": "behind"}, "head"),
        ({"image_projection": "trained"}, "new-tower"),
        ({"objective": "sigmoid"}, "unchanged"),
        ({"chunk_rows": 18, "image_projection": "behind"}, "head"),
        ({"language_sampling": "proportional"}, "unchanged"),
    ],
    ids=str,
)
def test_a_fresh_tower_learns(teacher, settings, content, tmp_path):
    config = NllbClipConfig(**SMALL, **settings)
    before, after, pack = both(joined(teacher, features=True), teacher=teacher, config=config)
    assert before < 0.25
    assert after > 0.8
    assert pack.manifest.content == content
    assert hit_rate(reloaded(pack, tmp_path / "pack"), teacher) == pytest.approx(after, abs=0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "lion8bit"])
def test_the_projection_learns_behind_a_frozen_tower(teacher, optimizer, tmp_path):
    if optimizer == "lion8bit":
        pytest.importorskip("bitsandbytes")
    tower = multilingual()
    config = NllbClipConfig(**SMALL, regime="projection", optimizer=optimizer)
    before, after, pack = both(joined(teacher), teacher=teacher, config=config, tower=tower)
    assert before < 0.25
    assert after > 0.8
    assert pack.side.tower is tower.tower
    assert pack.manifest.num_trainable_parameters == 40 * 24 + 1
    assert not pack.side.head.bias.any()  # linear without bias
    assert hit_rate(reloaded(pack, tmp_path / "pack"), teacher) == after


def test_the_frozen_tower_reads_each_caption_once(teacher):
    tower = multilingual()
    config = NllbClipConfig(**SMALL, regime="projection")
    nllb_clip.train(joined(teacher), teacher=teacher, config=config, tower=tower)
    assert tower.tower.num_encoded == len(CAPTIONS)


def test_a_transformer_learns_and_the_given_one_stays(teacher, tmp_path):
    reference = small_bert.save(tmp_path / "bert")
    tower = Side(load_tower(reference, modality="text"), reference)
    texts = list(small_world.PHRASES[:5])
    kept = tower.tower.encode(texts)
    config = NllbClipConfig(**SMALL)
    before, after, pack = both(joined(teacher), teacher=teacher, config=config, tower=tower)
    assert before < 0.25
    assert after > 0.8
    np.testing.assert_array_equal(tower.tower.encode(texts), kept)
    assert pack.manifest.tower == "tuned:./tower"
    assert hit_rate(reloaded(pack, tmp_path / "pack"), teacher) == pytest.approx(after, abs=0.01)


def test_training_goes_on_from_a_pack(teacher):
    data, config = joined(teacher), NllbClipConfig(**SMALL)
    first = nllb_clip.train(data, teacher=teacher, config=config)
    again = nllb_clip.train(data, teacher=teacher, config=at_start(config), tower=first.side)
    # its 8 bits are taken up, and the projection behind starts as the identity
    assert hit_rate(again, teacher) == pytest.approx(hit_rate(first, teacher), abs=0.02)


def test_a_head_behind_the_tower_is_where_its_projection_starts(teacher):
    data = joined(teacher)
    config = NllbClipConfig(**SMALL, regime="projection")
    first = nllb_clip.train(data, teacher=teacher, config=config, tower=multilingual())
    again = nllb_clip.train(data, teacher=teacher, config=at_start(config), tower=first.side)
    np.testing.assert_allclose(again.side.head.weight, first.side.head.weight, atol=1e-6)


def convolutional_teacher():
    """An image tower of random weights, into the space of the English words."""
    torch.manual_seed(0)
    net = image_net.TinyImageNet(24, widths=(8, 16))
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    return DualEncoder(Side(tiny.TinyImageTower(net), "tiny:./image"), words, "in memory")


class Halves(nn.Module):
    """Features of a TorchImageTower: a layer on small pictures."""

    fingerprint = "halves"

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, 64)

    def forward(self, batch):
        return torch.relu(self.layer(batch["pixel_values"].flatten(1)))


def load(reference, *, modality):
    """What the library `halves` loads."""
    torch.manual_seed(1)
    half = (0.5, 0.5, 0.5)
    recipe = pixels.PixelRecipe(fit="exact", height=8, width=8, mean=half, std=half)
    return assembled.TorchImageTower(
        assembled.ProjectedEncoder(Halves(), nn.Linear(64, 24, bias=False)),
        recipe=recipe,
        identity=assembled.Identity(
            dim=24, pre_projection_dim=64, space_id="halves", fingerprint=Halves.fingerprint
        ),
        device=torch.device("cpu"),
    )


@pytest.fixture
def halves(monkeypatch):
    """A teacher whose image tower is one of torch's, random as well."""
    table = {**towers.TOWERS, "halves": towers.TowerSource(__name__, "load")}
    monkeypatch.setattr(towers, "TOWERS", table)
    words = Side(small_world.load_reference("fake:teacher"), "fake:teacher")
    return DualEncoder(Side(load_tower("halves:x", modality="image"), "halves:x"), words, "here")


@pytest.mark.parametrize("kind", ["tiny", "torch"])
def test_the_image_tower_learns_too(kind, halves, monkeypatch, tmp_path):
    monkeypatch.setattr(image_net, "SIDE", 32)
    monkeypatch.setattr(tiny, "image_tower_from", narrow_tower_from)
    teacher = halves if kind == "torch" else convolutional_teacher()
    tower = teacher.content.tower
    arrays = {
        item_id: tower.preprocess(picture)
        for item_id, picture in zip(IDS, pictures(1), strict=True)
    }
    config = NllbClipConfig(**SMALL, regime="full")
    frozen = nllb_clip.train(joined(teacher), teacher=teacher, config=NllbClipConfig(**SMALL))
    before, after, pack = both(joined(teacher), teacher=teacher, config=config, pixels=arrays)
    assert pack.manifest.content == "new-tower"
    assert after > 3 * before
    # the random image tower alone tells the drawings apart less well
    assert after > hit_rate(frozen, teacher)
    again = reloaded(pack, tmp_path / "pack")
    assert hit_rate(again, teacher) == pytest.approx(after, abs=0.02)
    with pytest.raises(errors.SpaceMismatchError, match="brings another content tower"):
        teacher.with_pack(again)
    if kind == "torch":
        monkeypatch.setattr(Halves, "fingerprint", "another")
        with pytest.raises(errors.StoreError, match="the base halves:x has fingerprint another"):
            LanguagePack.load(tmp_path / "pack")


def narrow_tower_from(tensors):
    net = image_net.TinyImageNet(24, widths=(8, 16))
    net.load_state_dict(
        {k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()}, strict=False
    )
    return tiny.TinyImageTower(net)


def test_the_projection_of_a_published_tower_learns(halves, tmp_path):
    data = joined(halves, features=True)
    assert data.features.shape == (len(IDS), 64)
    config = NllbClipConfig(**SMALL, image_projection="trained")
    before, after, pack = both(data, teacher=halves, config=config)
    assert after > 3 * before
    assert (pack.manifest.content_output, pack.manifest.content_input) == ("pre_projection", "raw")
    assert hit_rate(reloaded(pack, tmp_path / "pack"), halves) == pytest.approx(after, abs=0.01)


def nllb(folder):
    """A small NLLB with random weights, in the library's own form."""
    from transformers import M2M100Config, M2M100Model, NllbTokenizer

    spoken = ["deu_Latn", "eng_Latn"]
    names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase, *spoken, "<mask>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = NllbTokenizer(vocab=vocabulary, merges=[], extra_special_tokens=spoken)
    tokenizer.save_pretrained(folder)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 16}
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(names), max_position_embeddings=40, dropout=0.0, **sizes, **heads
    )
    M2M100Model(config).save_pretrained(folder)
    return f"hf:{folder}"


def test_the_language_reaches_the_tokenizer_of_nllb(teacher, tmp_path, monkeypatch):
    reference = nllb(tmp_path / "nllb")
    tower = Side(load_tower(reference, modality="text"), reference)
    same = [Caption(name, "chat", language) for name in IDS for language in ("deu_Latn", ENGLISH)]
    data = image_text.join(same, item_ids=IDS, contents=teacher.encode_items(pictures(1)))
    tokenised = []
    prepare = text.TrainableTransformer.prepare

    def watched(self, texts, languages):
        tokenised.append(prepare(self, texts, languages))
        return tokenised[-1]

    monkeypatch.setattr(text.TrainableTransformer, "prepare", watched)
    config = NllbClipConfig(**{**SMALL, "num_steps": 3})
    pack = nllb_clip.train(data, teacher=teacher, config=config, tower=tower)
    german, english = tokenised[0].rows[:2]
    assert german[0] != english[0]  # position 0 is what is pooled
    assert german[1:] == english[1:]
    found = pack.side.tower.encode(["chat", "chat"], languages=["deu_Latn", ENGLISH])
    assert np.abs(found[0] - found[1]).max() > 1e-3
    with pytest.raises(errors.LanguageError, match="languages"):
        pack.side.tower.encode(["chat"])


def test_the_best_step_by_dev_contents_is_kept(teacher):
    config = NllbClipConfig(**SMALL, dev_fraction=0.2)
    pack = nllb_clip.train(joined(teacher), teacher=teacher, config=config)
    facts = pack.manifest.data
    assert facts["best_step"] % 4 == 0
    assert 0 < facts["dev_hit_rate_at_10"] <= 1


def test_the_manifest_counts_what_it_learnt_from(teacher):
    captions = [*CAPTIONS, CAPTIONS[0], Caption("gone", "x", ENGLISH)]
    captions += [Caption(IDS[0], "iso ympyrä", "fin_Latn")]
    data = image_text.join(captions, item_ids=IDS, contents=teacher.encode_items(pictures(1)))
    config = NllbClipConfig(**{**SMALL, "num_steps": 2})
    pack = nllb_clip.train(data, teacher=teacher, config=config)
    facts = pack.manifest.data
    assert (facts["num_contents"], facts["num_captions"]) == (72, 289)
    assert facts["languages_with_too_little_text"] == ["fin_Latn"]
    assert facts["left_out"]["captions_without_content"] == 1
    assert facts["left_out"]["repeated_captions"] == 1
    assert pack.manifest.config == dataclasses.asdict(config)
    assert pack.speaker(ENGLISH) == "teacher"


def test_a_run_is_read_again_and_refuses_another_config(teacher, tmp_path):
    data = joined(teacher)
    config = NllbClipConfig(**{**SMALL, "num_steps": 20})
    run = RunFolder(tmp_path / "run")
    first, again = (
        nllb_clip.train(data, teacher=teacher, config=config, run=run) for _ in range(2)
    )
    assert first.side.tower.fingerprint == again.side.tower.fingerprint
    other = dataclasses.replace(config, language_sampling="proportional")
    with pytest.raises(errors.ConfigError, match="language_sampling"):
        nllb_clip.train(data, teacher=teacher, config=other, run=run)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"temperature": 0.0}, errors.ConfigError, "temperature 0.0; it must be above 0"),
        ({"projection_rate": 0.0}, errors.ConfigError, "projection_rate 0.0"),
        ({"regime": "everything"}, errors.UnknownNameError, "'everything'"),
        ({"batch_size": 1}, errors.ConfigError, "a batch of 1"),
        ({"optimizer": "sgdd"}, errors.UnknownNameError, "'sgdd'"),
        ({"regime": "projection"}, errors.ConfigError, "no text tower was given"),
        ({"regime": "full"}, errors.InputError, "72 of 72 contents have no pixels"),
        ({"image_projection": "trained"}, errors.InputError, "no features in front of it"),
    ],
    ids=str,
)
def test_bad_settings(teacher, settings, error, message):
    data = joined(teacher)
    with pytest.raises(error, match=message):
        nllb_clip.train(data, teacher=teacher, config=NllbClipConfig(**{**SMALL, **settings}))


def test_contents_of_another_width(teacher):
    data = joined(teacher)
    narrow = dataclasses.replace(data, contents=unit(data.contents[:, :20]))
    with pytest.raises(errors.VectorError, match="width 20, the teacher's space 24"):
        nllb_clip.train(narrow, teacher=teacher, config=NllbClipConfig(**SMALL))


def test_towers_that_cannot_learn(teacher):
    arrays = dict.fromkeys(IDS, np.zeros(3, np.float32))
    config = NllbClipConfig(**SMALL, regime="full")
    with pytest.raises(errors.ConfigError, match="fake:pixels is a PixelTower, which cannot"):
        nllb_clip.train(joined(teacher), teacher=teacher, config=config, pixels=arrays)
    with pytest.raises(errors.ConfigError, match="WordTower is no transformer"):
        nllb_clip.train(
            joined(teacher), teacher=teacher, config=NllbClipConfig(**SMALL), tower=multilingual()
        )


def test_a_head_to_another_width(teacher):
    tower = dataclasses.replace(
        multilingual(), head=affine.AffineMap(np.eye(40, dtype=np.float32), np.zeros(40, "f4"))
    )
    config = NllbClipConfig(**SMALL, regime="projection")
    with pytest.raises(errors.ConfigError, match=r"to width 40; .*the space's 24"):
        nllb_clip.train(joined(teacher), teacher=teacher, config=config, tower=tower)


def test_the_published_settings_build():
    config = NllbClipConfig.as_published()
    assert (config.optimizer, config.image_projection) == ("lion8bit", "trained")


@pytest.mark.parametrize("unit_input", [True, False])
def test_each_text_goes_by_itself_through_the_projection(unit_input):
    torch.manual_seed(0)
    vectors = torch.randn(5, 4)

    class Fixed:
        module = torch.nn.Linear(1, 1)

        def forward(self, prepared, rows):
            return prepared[rows]

    projection = torch.nn.Linear(4, 3)
    net = model.JointNet(Fixed(), projection=projection, unit_input=unit_input, temperature=0.1)
    found = net.texts(vectors, torch.arange(5))
    for row, vector in enumerate(vectors):
        seen = vector / vector.norm() if unit_input else vector
        expected = projection(seen)
        torch.testing.assert_close(found[row], expected / expected.norm())
