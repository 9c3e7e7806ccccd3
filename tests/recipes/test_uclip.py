"""`uclip` learns from English text and two banks; an index is re-projected, never encoded again."""

import numpy as np
import pytest
import torch

import small_world
from polyglance import errors
from polyglance.encoding.texts import VectorCache
from polyglance.heads import mlp
from polyglance.metrics import retrieval
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import uclip
from polyglance.recipes.data import pseudo_pairs, soft_retrieval
from polyglance.search.index import Index
from polyglance.search.indexing import build
from polyglance.vectors import unit

QUERIES = small_world.PHRASES
SMALL = uclip.UclipConfig(dim=32, least_steps=100, batch_size=32, noise=0.03, learning_rate=3e-3)


def tower():
    return Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")


def banks(teacher, seeds=(1, 2)):
    drawn = [small_world.draw(phrase, seed=s) for phrase in QUERIES for s in seeds]
    texts = [
        (small_world.translate(p, name), name) for p in QUERIES for name in small_world.LANGUAGES
    ]
    rng = np.random.default_rng(0)
    order, images = rng.permutation(len(texts)), teacher.encode_items(drawn)
    return pseudo_pairs.Banks(
        images[rng.permutation(len(images))],
        [texts[i][0] for i in order],
        [texts[i][1] for i in order],
    )


def hit_rate_at_5(model, language):
    texts = [small_world.translate(phrase, language) for phrase in QUERIES]
    pictures = model.encode_items([small_world.draw(phrase, seed=99) for phrase in QUERIES])
    found = model.encode_texts(texts, languages=[language] * len(texts))
    contents = pictures if model.pack is None else model.pack.project(pictures)
    own = np.arange(len(QUERIES))
    return float(retrieval.hit_rates_at_k(found, contents, relevance=own, ks=(5,))[5].mean())


@pytest.fixture(scope="module")
def pack(teacher):
    return uclip.train(QUERIES, banks(teacher), teacher=teacher, tower=tower(), config=SMALL)


def test_it_learns_languages_without_one_pair(teacher, pack):
    untrained = uclip.train(
        QUERIES,
        banks(teacher),
        teacher=teacher,
        tower=tower(),
        config=uclip.UclipConfig(dim=32, least_steps=1, learning_rate=1e-9),
    )
    english = hit_rate_at_5(teacher, "eng_Latn")
    for language in small_world.LANGUAGES:
        before = hit_rate_at_5(teacher.with_pack(untrained), language)
        after = hit_rate_at_5(teacher.with_pack(pack), language)
        assert before < 0.25
        assert after > 0.7 * english


def test_english_stays_with_the_teacher(teacher, pack):
    texts, tags = list(QUERIES), ["eng_Latn"] * len(QUERIES)
    after = teacher.with_pack(pack).encode_texts(texts, languages=tags)
    np.testing.assert_array_equal(teacher.encode_texts(texts, languages=tags), after)
    with pytest.raises(errors.LanguageError, match="do not compare"):
        teacher.with_pack(pack).encode_texts(["a", "b"], languages=["eng_Latn", "deu_Latn"])


def test_an_index_is_projected_and_not_encoded(
    teacher, pack, picture_folder, model_folder, tmp_path
):
    build(picture_folder, model=str(model_folder), out=tmp_path / "index")
    pack.save(tmp_path / "pack")
    loaded, index = LanguagePack.load(tmp_path / "pack"), Index(tmp_path / "index")
    before = index.vectors.copy()
    (model_folder / "content_head.safetensors").unlink()  # who would encode pictures now, fails
    query = small_world.translate("big red ring", "deu_Latn")
    router = index.router(loaded)
    found = router.encode_texts([query], languages=["deu_Latn"])
    hits = index.search(found, top=5, pack=loaded)[0]
    assert "big-red-ring.png" in [hit.id for hit in hits]
    np.testing.assert_array_equal(Index(tmp_path / "index").vectors, before)
    assert (tmp_path / "index" / "packs" / loaded.column_id).is_dir()


def test_saved_heads_give_the_same_vectors(teacher, pack, tmp_path):
    pack.save(tmp_path / "pack")
    loaded = LanguagePack.load(tmp_path / "pack")
    x = unit(np.random.default_rng(0).standard_normal((5, teacher.dim), np.float32))
    np.testing.assert_allclose(loaded.project(x), pack.project(x), atol=1e-6)
    assert loaded.column_id == pack.column_id


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_folded_head_is_the_trained_one(norm):
    torch.manual_seed(0)
    head, x = mlp.ProjectionHead(6, 4, norm=norm), torch.randn(50, 6)
    head(x + 1)  # moves the running statistics
    head.recalibrate(x)
    head.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(head.fold()(x.numpy())), head(x), atol=1e-5, rtol=0
        )


def test_recalibration_makes_clean_inputs_standard():
    torch.manual_seed(0)
    head, x = mlp.ProjectionHead(6, 4), torch.randn(500, 6)
    head(3 * torch.randn(500, 6))
    head.recalibrate(x)
    head.eval()
    with torch.no_grad():
        hidden = head.norm(head.first(x))
    assert hidden.mean(0).abs().max() < 1e-4
    assert (hidden.std(0) - 1).abs().max() < 1e-3


def naive_answers(queries, bank, temperature):
    rows = []
    for query in queries.astype(np.float64):
        weights = np.exp(bank.astype(np.float64) @ query / temperature)
        mixed = (weights[:, None] * bank).sum(0) / weights.sum()
        rows.append(mixed / np.linalg.norm(mixed))
    return np.array(rows)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_soft_retrieval_is_equation_1(temperature):
    rng = np.random.default_rng(0)
    queries, bank = (unit(rng.standard_normal((n, 16))) for n in (37, 91))
    found = soft_retrieval.soft_retrieve(queries, bank, temperature=temperature)
    np.testing.assert_allclose(found, naive_answers(queries, bank, temperature), atol=2e-5)
    blocks = soft_retrieval.soft_retrieve_blocks(
        queries, bank, temperature=temperature, block_queries=10
    )
    # A temperature of 0.01 makes a hundred of each rounding of a float32 cosine.
    np.testing.assert_allclose(np.concatenate([part for _, part in blocks]), found, atol=2e-5)


def test_banks_answer_once_ever(teacher, tmp_path, monkeypatch):
    cache = VectorCache(tmp_path)
    arguments = {"teacher": teacher, "tower": tower(), "temperature": 0.01, "cache": cache}
    first = pseudo_pairs.gather(QUERIES, banks(teacher), **arguments)
    asked = []
    blocks = soft_retrieval.soft_retrieve_blocks

    def counted(queries, bank, **rest):
        asked.append(len(queries))
        return blocks(queries, bank, **rest)

    monkeypatch.setattr(soft_retrieval, "soft_retrieve_blocks", counted)
    again = pseudo_pairs.gather([*QUERIES[::-1], "a red dog"], banks(teacher), **arguments)
    assert asked == [1, 1]  # the new text alone, of each bank
    np.testing.assert_array_equal(again.image_clip[: len(QUERIES)], first.image_clip[::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.empty((0, 24), np.float32)}, "bank is empty"),
        ({"texts": [], "languages": []}, "bank is empty"),
        ({"images": np.ones((3, 7), np.float32)}, "width"),
    ],
)
def test_banks_that_cannot_answer(teacher, change, message):
    given = banks(teacher)
    parts = {"images": given.images, "texts": given.texts, "languages": given.languages} | change
    with pytest.raises((errors.InputError, errors.TrainingError), match=message):
        uclip.train(
            QUERIES,
            pseudo_pairs.Banks(**parts),
            teacher=teacher,
            tower=tower(),
            config=uclip.UclipConfig(),
        )


def test_temperatures_of_zero_are_refused(teacher):
    for setting in ({"retrieval_temperature": 0.0}, {"temperature": 0.0}):
        with pytest.raises(errors.ConfigError, match="temperature"):
            uclip.train(
                QUERIES,
                banks(teacher),
                teacher=teacher,
                tower=tower(),
                config=uclip.UclipConfig(**setting),
            )


def random_pairs(num_rows):
    rng = np.random.default_rng(0)
    return pseudo_pairs.PseudoPairs(
        *(unit(rng.standard_normal((num_rows, width), np.float32)) for width in (6, 9, 6, 9))
    )


@pytest.mark.parametrize(("most", "step"), [(2048, 1), (46, 2), (31, 3), (10, 9)])
@pytest.mark.parametrize("recalibrate", [True, False])
def test_batch_norms_take_their_statistics_from_clean_rows_of_both_kinds(
    monkeypatch, recalibrate, most, step
):
    """At a rate of nothing gain and shift stay 1 and 0, so what is folded is standard or is not."""
    monkeypatch.setattr(uclip, "MOST_RECALIBRATION_ROWS", most)
    pairs = random_pairs(100)
    config = uclip.UclipConfig(
        dim=4,
        batch_size=32,
        num_epochs=1,
        least_steps=3,
        learning_rate=1e-12,
        noise=0.5,
        dev_fraction=0.07,
        recalibrate=recalibrate,
    )
    fitted = uclip.fit(pairs, config)
    rows = np.random.default_rng(0).permutation(100)[7:][::step]
    for chain, english, answers in (
        (fitted.clip, pairs.english_clip, pairs.image_clip),
        (fitted.text, pairs.english_text, pairs.other_text),
    ):
        hidden = chain.maps[0](np.concatenate([english[rows], answers[rows]]))
        is_standard = np.abs(hidden.mean(0)).max() < 1e-4
        is_standard &= np.abs(hidden.var(0, ddof=1) - 1).max() < 0.01
        assert is_standard == recalibrate
