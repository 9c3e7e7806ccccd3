"""The demo's packs are chosen on dev pictures: no figure of a test picture reaches them."""

import dataclasses

import numpy as np
import pytest

import small_world
from polyglance.demo import evaluation
from polyglance.encoding import texts
from polyglance.languages.registry import ENGLISH
from polyglance.metrics import retrieval
from polyglance.model.side import Side
from polyglance.recipes import ridge
from polyglance.tasks.retrieval import RetrievalData
from polyglance.vectors import unit

LANGUAGES = (ENGLISH, "deu_Latn", "hin_Deva")
IDS = tuple(f"{phrase.replace(' ', '-')}.png" for phrase in small_world.PHRASES)


def task(name):
    return RetrievalData(
        task=name,
        item_ids=IDS,
        captions={language: small_world.captions(language) for language in LANGUAGES},
        policy="first",
        splits={"seen": np.ones(len(IDS), bool)},
    )


@pytest.fixture
def bench(teacher, tmp_path):
    """Dev pictures by one artist; of the test pictures each shows something else than it says."""
    drawn = {seed: [small_world.draw(p, seed=seed) for p in small_world.PHRASES] for seed in (1, 9)}
    return evaluation.Bench(
        teacher=teacher,
        test=task("pictograms"),
        test_contents=teacher.encode_items(drawn[9])[::-1].copy(),
        dev=task("pictograms"),
        dev_contents=teacher.encode_items(drawn[1]),
        cache=texts.VectorCache(tmp_path / "texts"),
    )


@pytest.fixture
def pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def test_dev_scores_are_those_of_the_dev_pictures(bench, pack, tmp_path):
    found = evaluation.with_dev_scores(pack, bench).manifest
    sample = evaluation.sampled(bench.dev)
    for language in LANGUAGES:
        asked = [caption.text for caption in sample.captions[language]]
        wanted = np.array([IDS.index(c.item_id) for c in sample.captions[language]])
        said = unit(pack.side.through_head(pack.side.tower.encode(asked)))
        hits = retrieval.hit_rates_at_k(said, bench.dev_contents, relevance=wanted, ks=(10,))[10]
        assert found.languages[language].pack == pytest.approx(float(np.mean(hits)))
    assert found.languages["deu_Latn"].speaks == "pack"


def test_english_is_the_teacher_s_however_well_the_pack_does(bench, pack, tmp_path):
    """A teacher whose English finds next to nothing."""
    lost = Side(small_world.WordTower("lost", 24, multilingual=False), "fake:lost")
    there = dataclasses.replace(bench, teacher=dataclasses.replace(bench.teacher, text=lost))
    found = evaluation.with_dev_scores(pack, there).manifest
    english = found.languages[ENGLISH]
    assert english.pack > english.teacher + 0.2
    assert english.speaks == "teacher"


def test_test_pictures_change_no_dev_score(bench, pack, tmp_path):
    other = dataclasses.replace(bench, test_contents=bench.test_contents[::-1].copy())
    manifests = [
        evaluation.with_dev_scores(pack, each).manifest
        for number, each in enumerate((bench, other))
    ]
    assert manifests[0].languages == manifests[1].languages
    assert manifests[0].score_distribution == manifests[1].score_distribution
