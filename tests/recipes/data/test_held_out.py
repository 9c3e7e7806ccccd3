"""Held-out rows measure a pack and are never fitted, whatever the recipe and the kinds of data."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import compare_world
import small_world
from polyglance import errors, recipes
from polyglance.languages.registry import ENGLISH
from polyglance.model.side import Side
from polyglance.recipes import run
from polyglance.recipes.data import dev_sets, held_out, image_text
from polyglance.recipes.data.dev_sets import normal_form
from polyglance.recipes.data.training_data import TrainingData
from polyglance.recipes.run import Dev
from polyglance.records import Caption, Pair


@pytest.fixture(scope="module")
def training_data(teacher):
    return compare_world.training_data(teacher)


def asked(held):
    """Every language and text that a dev set asks, in normal form."""
    return {
        (language, normal_form(text))
        for one in held.sets
        for language, queries in one.queries.items()
        for text, _ in queries
    }


def fitted(training_data):
    """Every language and text of a training_data."""
    found = {(ENGLISH, text) for text in training_data.english}
    sides = training_data.parallel, training_data.translations, training_data.related
    for pair in (pair for listed in sides for pair in listed):
        found |= {(pair.language_a, pair.text_a), (pair.language_b, pair.text_b)}
    if training_data.image_text is not None:
        found |= {(c.language, c.text) for c in training_data.image_text.captions}
    if training_data.banks is not None:
        found |= set(zip(training_data.banks.languages, training_data.banks.texts, strict=True))
    return {(language, normal_form(text)) for language, text in found}


def test_nothing_that_is_asked_is_fitted(training_data):
    held = held_out.split(training_data)
    assert len(asked(held)) == 40
    assert asked(held).isdisjoint(fitted(held.fit))
    assert asked(held) | fitted(held.fit) == fitted(training_data)


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_no_recipe_is_handed_what_is_asked(training_data, teacher, monkeypatch, recipe):
    row, handed = recipes.get_recipe(recipe), {}

    class Caught(Exception):
        pass

    def catch(*needed, **beside):
        parts = dict(zip(row.needs, needed, strict=True))
        parts |= {name: beside[name] for name in row.may_take if name in beside}
        handed["training_data"] = TrainingData(**parts)
        raise Caught

    monkeypatch.setattr(row.load(), "train", catch)
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    with pytest.raises(Caught):
        run.train(row, training_data, teacher=teacher, tower=tower)
    queries = asked(held_out.split(training_data))
    assert fitted(handed["training_data"])
    assert queries.isdisjoint(fitted(handed["training_data"]))


def test_bitexts_make_way_for_what_is_asked(training_data):
    """Neither side of a pair of two other languages may be a text that is asked."""
    german, hindi = (
        [small_world.translate(phrase, language) for phrase in small_world.PHRASES]
        for language in ("deu_Latn", "hin_Deva")
    )
    bitexts = [
        Pair(one, "deu_Latn", other, "hin_Deva") for one, other in zip(german, hindi, strict=True)
    ]
    bitexts += [Pair("so", "deu_Latn", text, "hin_Deva") for text in hindi]
    held = held_out.split(replace(training_data, translations=bitexts))
    assert asked(held) == asked(held_out.split(training_data))
    assert asked(held).isdisjoint(fitted(held.fit))
    kept = held.fit.translations
    assert 0 < len(kept) < len(bitexts)
    aside = held.facts["num_texts_on_the_side_left_out_of_training"]
    before = held_out.split(training_data).facts["num_texts_on_the_side_left_out_of_training"]
    assert aside == before + len(bitexts) - len(kept)


def test_the_order_of_the_rows_chooses_nothing(training_data):
    turned = replace(
        training_data,
        english=training_data.english[::-1],
        parallel=list(training_data.parallel)[::-1],
    )
    assert asked(held_out.split(turned)) == asked(held_out.split(training_data))


def test_languages_get_equal_shares_and_rare_ones_their_ten():
    pairs = [Pair(f"text {i}", ENGLISH, f"Text {i}", "deu_Latn") for i in range(2000)]
    pairs += [Pair(f"rare {i}", ENGLISH, f"selten {i}", "fra_Latn") for i in range(45)]
    pairs += [Pair(f"few {i}", ENGLISH, f"wenig {i}", "ita_Latn") for i in range(39)]
    held = held_out.split(TrainingData(parallel=pairs))
    (one,) = held.sets
    counts = {name: len(queries) for name, queries in one.queries.items()}
    # A tenth of each, and of the English texts, which may be one more here or there.
    assert counts["deu_Latn"] == pytest.approx(200, abs=8)
    assert counts["fra_Latn"] == pytest.approx(10, abs=2)
    assert counts.get("ita_Latn", 0) < 10
    assert held.facts["rows_of_languages_too_small_to_score"] == {"ita_Latn": 39}
    left = Counter(pair.language_b for pair in held.fit.parallel)
    assert left["deu_Latn"] == 2000 - counts["deu_Latn"]


def test_a_caption_goes_where_its_item_goes():
    names = [f"{i}.png" for i in range(60)]
    vectors = np.eye(60, 64, dtype=np.float32)
    captions = [Caption(name, f"thing {i}", ENGLISH) for i, name in enumerate(names)]
    captions += [Caption(name, f"Ding {i}", "deu_Latn") for i, name in enumerate(names)]
    training_data = TrainingData(
        english=[f"Thing {i}!" for i in range(60)],  # in another spelling
        parallel=[Pair(f"thing {i}", ENGLISH, f"chose {i}", "fra_Latn") for i in range(60)],
        image_text=image_text.join(captions, item_ids=names, contents=vectors),
    )
    held = held_out.split(training_data)
    items, texts = held.sets
    assert (items.asks_for, texts.asks_for) == ("items", "texts")
    of_items = {normal_form(text) for text, _ in items.queries[ENGLISH]}
    assert of_items == {normal_form(text) for text, _ in texts.queries[ENGLISH]}
    assert {normal_form(text) for text in held.fit.english}.isdisjoint(of_items)
    assert len(held.fit.english) == 60 - len(of_items) == 60 - 10


def test_held_out_texts_are_searched_for_among_all_english_texts_and_no_others():
    names = [f"{i}.png" for i in range(60)]
    captions = [
        Caption(name, f"{word} {i}", language)
        for word, language in (("caption", ENGLISH), ("Titel", "deu_Latn"))
        for i, name in enumerate(names)
    ]
    joined = image_text.join(captions, item_ids=names, contents=np.eye(60, 64, dtype=np.float32))
    given = [Pair("given", ENGLISH, "gegeben", "deu_Latn")]
    training_data = TrainingData(
        english=[f"alone {i}" for i in range(60)],
        parallel=[Pair(f"pair {i}", ENGLISH, f"Paar {i}", "deu_Latn") for i in range(60)],
        related=[Pair("pair 1", ENGLISH, "word", ENGLISH)],
        image_text=joined,
    )
    held = held_out.split(training_data, dev_parallel=given)
    first, items, texts = held.sets
    held_items = {text for text, _ in items.queries[ENGLISH]}
    everything = {f"{word} {i}" for word in ("alone", "pair", "caption") for i in range(60)}
    assert set(texts.english) == everything - held_items
    assert len(texts.english) == len(set(texts.english))
    fitted_captions = {c.text for c in held.fit.image_text.captions if c.language == ENGLISH}
    pairs = {pair.text_a for pair in held.fit.parallel}
    assert set(first.english) == {"given", *held.fit.english, *pairs, *fitted_captions}
    assert first.queries == {
        ENGLISH: (("given", (first.english.index("given"),)),),
        "deu_Latn": (("gegeben", (first.english.index("given"),)),),
    }
    assert set(items.items.item_ids) == set(names)


def test_captions_that_fitted_items_have_as_well_are_not_asked_and_are_counted():
    """Items go in whole, so a caption of a held-out item may be that of a fitted one."""
    names = [f"{i}.png" for i in range(60)]
    vectors = np.eye(60, 64, dtype=np.float32)

    def split(german):
        captions = [Caption(name, f"thing {i}", ENGLISH) for i, name in enumerate(names)]
        captions += [Caption(n, t, "deu_Latn") for n, t in zip(names, german, strict=True)]
        joined = image_text.join(captions, item_ids=names, contents=vectors)
        return held_out.split(TrainingData(image_text=joined))

    german = [f"Ding {i}" for i in range(60)]
    before = split(german)
    held = {int(text.split()[1]) for text, _ in before.sets[0].queries[ENGLISH]}
    one, fitted_one = min(held), min(set(range(60)) - held)
    german[one] = german[fitted_one]
    after = split(german)
    assert before.facts["num_texts_fitted_as_well_and_not_asked"] == 0
    assert after.facts["num_texts_fitted_as_well_and_not_asked"] == 1
    asked_in_german = [text for text, _ in after.sets[0].queries["deu_Latn"]]
    assert sorted(asked_in_german) == sorted(f"Ding {i}" for i in held - {one})


def test_a_picture_saved_twice_is_on_one_side():
    names = [f"{i}.png" for i in range(60)]
    vectors = np.eye(60, 64, dtype=np.float32)
    captions = [Caption(name, f"thing {i}", ENGLISH) for i, name in enumerate(names)]
    joined = image_text.join(captions, item_ids=names, contents=vectors)
    dev = held_out.split(TrainingData(image_text=joined)).sets[0]
    first = dev.queries[ENGLISH][0][0]
    twin, other = int(first.split()[1]), 0 if first != "thing 0" else 1
    while f"thing {other}" in {text for text, _ in dev.queries[ENGLISH]}:
        other += 1
    vectors[other] = vectors[twin]
    joined = image_text.join(captions, item_ids=names, contents=vectors)
    held = held_out.split(TrainingData(image_text=joined))
    assert first not in {text for text, _ in held.sets[0].queries[ENGLISH]}
    assert f"{twin}.png" in held.fit.image_text.item_ids


def test_labels_shared_by_many_items_are_one_concept():
    names = [f"{i}.png" for i in range(300)]
    captions = [Caption(name, f"label {i % 5}", ENGLISH) for i, name in enumerate(names)]
    vectors = np.eye(300, dtype=np.float32)
    joined = image_text.join(captions, item_ids=names, contents=vectors)
    held = held_out.split(TrainingData(image_text=joined))
    # Five labels are too few to hold some out.
    assert held.sets == ()
    assert len(held.fit.image_text.item_ids) == 300


def test_texts_for_measuring_alone_are_left_out_of_training(training_data):
    given = [Pair(small_world.PHRASES[0], ENGLISH, "etwas Neues", "deu_Latn")] * 3
    held = held_out.split(replace(training_data, image_text=None), dev_parallel=given)
    assert small_world.PHRASES[0] not in held.fit.english
    assert held.sets[0].queries["deu_Latn"] == (("etwas Neues", (0,)),)
    with pytest.raises(errors.ConfigError, match="each of the 1 rows"):
        held_out.split(TrainingData(english=[small_world.PHRASES[0]]), dev_parallel=given)


def test_a_share_of_nothing_holds_nothing_out(training_data, teacher):
    held = held_out.split(training_data, share=0)
    assert held.sets == ()
    assert held.fit.english == list(training_data.english)
    with pytest.raises(errors.ConfigError, match=r"a dev share of 0\.7"):
        held_out.split(training_data, share=0.7)
    row = recipes.get_recipe("ridge")
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    pack = run.train(
        row,
        training_data,
        teacher=teacher,
        tower=tower,
        dev=Dev(share=0, languages=["hin_Deva", ENGLISH]),
    )
    scores = pack.manifest.languages
    assert {name: (one.pack, one.speaks) for name, one in scores.items()} == {
        ENGLISH: (None, "teacher"),
        "hin_Deva": (None, "pack"),
    }


def test_one_number_of_queries_for_all_languages():
    assert dev_sets.most_a_language(1) == 1000
    pairs = [
        Pair(f"text {i}", ENGLISH, f"{name} {i}", name)
        for name in ("deu_Latn", "fra_Latn")
        for i in range(100)
    ]
    asked_for = {
        name: {rows for _, rows in queries}
        for name, queries in dev_sets.of_pairs(pairs).queries.items()
    }
    assert asked_for["deu_Latn"] == asked_for["fra_Latn"] == asked_for[ENGLISH]
