"""The demo's packs are scored and chosen on the training artist's drawings, never on the test's."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import compare_world
import small_world
from polyglance import demo
from polyglance.demo import evaluation
from polyglance.encoding import texts
from polyglance.languages.registry import ENGLISH
from polyglance.model.manifest import LanguageScore
from polyglance.model.side import Side
from polyglance.recipes import ridge, scoring
from polyglance.sources import pictograms


@pytest.fixture(scope="module")
def pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def scored(pack, **scores):
    rows = {
        name: LanguageScore(pack=a, teacher=b, speaks=who) for name, (a, b, who) in scores.items()
    }
    return replace(pack, manifest=replace(pack.manifest, languages=rows))


def test_dev_scores_come_from_the_dev_drawings_by_the_function_of_train(
    teacher, pack, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluation, "SAMPLE_ONE_IN", 2)
    dev = compare_world.retrieval_data()
    bench = evaluation.Bench(
        teacher=teacher,
        test=None,
        test_contents=None,
        dev=dev,
        dev_contents=teacher.encode_items(
            [small_world.draw(p, seed=1) for p in small_world.PHRASES]
        ),
        cache=texts.VectorCache(tmp_path / "texts"),
    )
    seen = {}
    real = scoring.with_scores

    def watched(pack, sets, **rest):
        (seen["set"],) = sets
        return real(pack, sets, **rest)

    monkeypatch.setattr(scoring, "with_scores", watched)
    found = evaluation.with_dev_scores(pack, bench).manifest
    np.testing.assert_array_equal(seen["set"].vectors(), bench.dev_contents)
    # All drawings are candidates; the names of a sample ask.
    assert found.data["dev"]["items"]["num_candidates"] == 72
    assert 10 < found.languages["deu_Latn"].num_queries < 60
    assert found.languages["deu_Latn"].speaks == "pack"
    assert found.languages[ENGLISH].speaks == "teacher"
    assert "drawings" in found.data["dev"]["items"]["note"]


def test_the_bench_takes_dev_from_the_artist_that_training_used(teacher, tmp_path, monkeypatch):
    asked = []
    ids = compare_world.retrieval_data().item_ids

    def drawn_by(world, artist):
        asked.append(artist)
        return compare_world.retrieval_data()

    monkeypatch.setattr(demo.retrieval_loaders, "pictograms_of", drawn_by)
    monkeypatch.setattr(
        demo.retrieval_loaders, "load_pictograms", lambda *_: compare_world.retrieval_data()
    )
    store = SimpleNamespace(vectors=lambda ids: np.ones((len(ids), teacher.content.tower.dim)))
    monkeypatch.setattr(demo.index, "Index", lambda path: SimpleNamespace(store=store))
    monkeypatch.setattr(demo.media, "open_media_store", lambda path, tower: store)
    monkeypatch.setattr(demo.media, "embed_media", lambda *_, **__: None)
    concepts = [SimpleNamespace(id=one, held_out=number < 9) for number, one in enumerate(ids)]
    bench = demo._bench(SimpleNamespace(concepts=concepts), teacher, tmp_path)
    assert asked == [pictograms.TRAIN_ARTIST]
    assert len(bench.dev.item_ids) == 72 - 9  # no held-out concept chooses anything


def test_the_best_pack_is_that_of_the_dev_scores(pack):
    def of(kind, packs_score):
        made = scored(pack, eng_Latn=(0.0, 0.9, "teacher"), deu_Latn=(packs_score, 0.1, "pack"))
        return replace(made, manifest=replace(made.manifest, data={"kind": kind}))

    packs = {"ridge": of("text", 0.3), "m2m": of("text", 0.4), "distill": of("parallel", 0.5)}
    assert evaluation.best_by_data(packs) == ["distill", "m2m"]
    # Where the teacher answers, its score counts.
    assert evaluation.dev_mean(scored(pack, deu_Latn=(0.1, 0.3, "teacher"))) == 0.3
