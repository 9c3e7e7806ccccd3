"""`etcl` learns in every stage, and languages that met no image learn by way of English."""

import dataclasses

import numpy as np
import pytest

import small_world
from polyglance import errors
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.pack import LanguagePack
from polyglance.recipes.contrastive import etcl, model
from polyglance.recipes.contrastive.etcl import EtclConfig
from polyglance.recipes.data import image_text
from polyglance.records import Pair
from polyglance.training import RunFolder
from polyglance.vectors import unit

IDS = [f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES]
OWN = np.arange(len(IDS))
SMALL = {
    "num_mural_steps": 40,
    "num_etcl_steps": 40,
    "num_fine_tuning_steps": 40,
    "batch_size": 36,
    "num_buckets": 3000,
    "width": 32,
    "projection_rate": 1e-2,
}
PARALLEL = [
    Pair(phrase, ENGLISH, small_world.translate(phrase, language), language)
    for phrase in small_world.PHRASES
    for language in small_world.LANGUAGES
]


def pictures(seed):
    return [small_world.draw(phrase, seed=seed) for phrase in small_world.PHRASES]


def joined(teacher, languages=(ENGLISH, *small_world.LANGUAGES)):
    captions = [caption for language in languages for caption in small_world.captions(language)]
    contents = teacher.encode_items(pictures(1))
    return image_text.join(captions, item_ids=IDS, contents=contents)


def hit_rate(pack, teacher):
    """Text-to-image hit rate at 10 in the invented languages, on pictures drawn anew."""
    shown = pack.project(teacher.encode_items(pictures(99)))
    rates = []
    for language in small_world.LANGUAGES:
        texts = [small_world.translate(phrase, language) for phrase in small_world.PHRASES]
        said = unit(pack.side.through_head(pack.side.tower.encode(texts)))
        rates.append(retrieval.hit_rates_at_k(said, shown, relevance=OWN, ks=(10,))[10].mean())
    return float(np.mean(rates))


def at_start(config):
    """The same, with steps that lead nowhere."""
    steps = dict.fromkeys(("num_mural_steps", "num_etcl_steps", "num_fine_tuning_steps"), 1)
    return dataclasses.replace(config, **steps, projection_rate=1e-9, ngram_rate=1e-9)


@pytest.mark.parametrize(
    ("settings", "content"),
    [
        ({"stage": "mural"}, "unchanged"),
        ({"stage": "etcl"}, "unchanged"),
        ({"stage": "fine-tuning"}, "unchanged"),
        ({}, "unchanged"),
        ({"image_projection": "behind", "stage": "etcl"}, "head"),
        ({"chunk_rows": 18, "stage": "etcl"}, "unchanged"),
        ({"optimizer": "lamb", "stage": "etcl", "projection_rate": 0.1}, "unchanged"),
    ],
    ids=str,
)
def test_it_learns(teacher, settings, content, tmp_path):
    config = EtclConfig(**{**SMALL, **settings})
    data = joined(teacher)
    before = etcl.train(data, teacher=teacher, config=at_start(config))
    pack = etcl.train(data, teacher=teacher, config=config)
    after = hit_rate(pack, teacher)
    assert hit_rate(before, teacher) < 0.25
    assert after > 0.8
    assert pack.manifest.content == content
    assert list(pack.manifest.data["stages"]) == config.stage.split("+")
    pack.save(tmp_path / "pack")
    assert hit_rate(LanguagePack.load(tmp_path / "pack"), teacher) == pytest.approx(after, abs=0.01)


def test_mural_reaches_languages_whose_captions_met_no_image(teacher):
    english = joined(teacher, languages=(ENGLISH,))
    config = EtclConfig(**SMALL, stage="mural")
    pack = etcl.train(english, teacher=teacher, config=config, parallel=PARALLEL)
    assert hit_rate(pack, teacher) > 0.8
    assert pack.manifest.data["num_parallel_pairs"] == len(PARALLEL)
    wrong = [
        dataclasses.replace(pair, text_b=PARALLEL[(i + 30) % len(PARALLEL)].text_b)
        for i, pair in enumerate(PARALLEL)
    ]
    control = etcl.train(english, teacher=teacher, config=config, parallel=wrong)
    assert hit_rate(control, teacher) < 0.3


def test_triples_go_on_where_mural_ended(teacher, monkeypatch):
    starts = {}
    fit = etcl.training.fit

    def watched(net, step, *, label, **given):
        starts[label] = model.learning_text.map_of(net.tower.keys).weight
        report = fit(net, step, label=label, **given)
        starts[f"after {label}"] = model.learning_text.map_of(net.tower.keys).weight
        return report

    monkeypatch.setattr(etcl.training, "fit", watched)
    etcl.train(joined(teacher), teacher=teacher, config=EtclConfig(**SMALL))
    np.testing.assert_array_equal(starts["after mural"], starts["etcl"])
    assert list(starts) == ["mural", "after mural", "etcl", "after etcl"]


def test_each_stage_has_its_own_folder_and_is_read_again(teacher, tmp_path):
    config = EtclConfig(**{**SMALL, "num_mural_steps": 5, "num_etcl_steps": 5})
    run = RunFolder(tmp_path / "run")
    data = joined(teacher)
    first, again = (etcl.train(data, teacher=teacher, config=config, run=run) for _ in range(2))
    assert first.side.tower.fingerprint == again.side.tower.fingerprint
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["etcl", "mural"]
    with pytest.raises(errors.ConfigError, match="data"):
        etcl.train(data, teacher=teacher, config=config, run=run, parallel=PARALLEL)


def test_objectives_get_what_the_config_says(teacher, monkeypatch):
    given = []
    for place, name in ((etcl, "mural"), (etcl, "etcl"), (etcl.clip, "contrastive")):
        real = getattr(place, name)

        def watched(*views, real=real, name=name, **settings):
            kept = ("margin", "label_smoothing", "block_rows")
            given.append((name, {key: settings[key] for key in kept if key in settings}))
            assert settings["groups"] is not None
            return real(*views, **settings)

        monkeypatch.setattr(place, name, watched)
    for stage in ("mural+etcl", "fine-tuning"):
        config = EtclConfig(
            **at_start(EtclConfig(**SMALL, stage=stage)).__dict__
            | {"margin": 0.2, "fine_tuning_margin": 0.1, "label_smoothing": 0.05, "chunk_rows": 9}
        )
        etcl.train(joined(teacher), teacher=teacher, config=config)
    smoothed = {"label_smoothing": 0.05, "block_rows": 9}
    assert given == [
        ("mural", {"margin": 0.2, **smoothed}),
        ("etcl", smoothed),
        ("contrastive", {"margin": 0.1, **smoothed}),
    ]


def test_rates_of_the_stages():
    config = EtclConfig.as_published()
    net = model.build_net(
        None,
        etcl.item_side.unchanged(),
        dim=4,
        config=dataclasses.replace(config, num_buckets=10, width=4),
        cache=None,
    )
    rates = {
        name: etcl._descent(name, net, config, looks=False).learning_rate
        for name in ("mural", "etcl", "fine-tuning")
    }
    assert rates == pytest.approx({"mural": 1e-3, "etcl": 1e-4, "fine-tuning": 1e-5})


@pytest.mark.parametrize(
    ("languages", "settings", "error", "message"),
    [
        (small_world.LANGUAGES, {"stage": "mural"}, errors.TrainingError, "no English captions"),
        ((ENGLISH,), {"stage": "etcl"}, errors.InputError, "in one language and another"),
        ((ENGLISH,), {"stage": "mural"}, errors.InputError, "in eng_Latn and another"),
        ((ENGLISH, "deu_Latn"), {"batch_size": 1}, errors.ConfigError, "a batch of 1"),
        ((ENGLISH, "deu_Latn"), {"temperature": 0}, errors.ConfigError, "temperature 0"),
        ((ENGLISH, "deu_Latn"), {"stage": "mural+"}, errors.UnknownNameError, "'mural\\+'"),
    ],
    ids=str,
)
def test_bad_input(teacher, languages, settings, error, message):
    data = joined(teacher, languages)
    with pytest.raises(error, match=message):
        etcl.train(data, teacher=teacher, config=EtclConfig(**{**SMALL, **settings}))


def test_contents_of_another_width(teacher):
    data = joined(teacher)
    narrow = dataclasses.replace(data, contents=unit(data.contents[:, :20]))
    with pytest.raises(errors.VectorError, match="width 20, the teacher's space 24"):
        etcl.train(narrow, teacher=teacher, config=EtclConfig(**SMALL))
