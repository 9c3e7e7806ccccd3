"""Dev scores: by hand where they are simple, and who speaks where they are equal or absent."""

from dataclasses import replace

import numpy as np
import pytest

import compare_world
import small_world
from polyglance.languages.registry import ENGLISH
from polyglance.model import card
from polyglance.model.manifest import LanguageScore, speaker_of
from polyglance.model.pack import LanguagePack
from polyglance.model.side import Side
from polyglance.recipes import ridge, scoring
from polyglance.recipes.data import dev_sets, held_out
from polyglance.records import Pair
from polyglance.vectors import unit

GERMAN = "deu_Latn"


@pytest.fixture(scope="module")
def pack(teacher):
    tower = Side(small_world.load_reference("fake:multilingual"), "fake:multilingual")
    return ridge.train(
        small_world.PHRASES, teacher=teacher, tower=tower, config=ridge.RidgeConfig()
    )


def german(phrases):
    return [Pair(p, ENGLISH, small_world.translate(p, GERMAN), GERMAN) for p in phrases]


@pytest.mark.parametrize(
    ("language", "pack", "teacher", "speaks"),
    [
        (GERMAN, 0.2, 0.1, "pack"),
        (GERMAN, 0.1, 0.1, "teacher"),
        (GERMAN, 0.1, 0.2, "teacher"),
        (GERMAN, None, None, "pack"),
        (GERMAN, 0.0, None, "pack"),
        (ENGLISH, 0.9, 0.1, "teacher"),
        (ENGLISH, None, None, "teacher"),
        (ENGLISH, 0.9, None, "teacher"),
    ],
)
def test_who_speaks(language, pack, teacher, speaks):
    assert speaker_of(language, pack=pack, teacher=teacher) == speaks


def test_a_score_is_the_hit_rate_at_ten_among_all_candidates(pack, teacher):
    phrases = list(small_world.PHRASES)
    one = dev_sets.of_pairs(german(phrases[:20]), others=phrases)
    found = scoring.with_scores(pack, [one], teacher=teacher).manifest
    targets = teacher.encode_texts(one.english, languages=[ENGLISH] * 72)
    said = unit(
        pack.side.through_head(pack.side.tower.encode([text for text, _ in one.queries[GERMAN]]))
    )
    ranks = np.argsort(-(said @ targets.T), axis=1)[:, :10]
    right = [rows[0] for _, rows in one.queries[GERMAN]]
    hits = [row in found for row, found in zip(right, ranks, strict=True)]
    assert found.languages[GERMAN].pack == pytest.approx(np.mean(hits))
    assert found.languages[GERMAN].num_queries == 20
    assert found.data["dev"]["texts"]["num_candidates"] == 72
    best = (said @ targets.T).max(axis=1)
    assert found.languages[ENGLISH].teacher == 1
    # Cosines between texts are told apart from those between texts and pictures.
    assert set(found.score_distribution) == {"pack, texts", "teacher, texts"}
    assert min(best) < found.score_distribution["pack, texts"]["50 %"] < 1


def test_the_first_set_that_has_a_language_speaks_for_it(pack, teacher):
    held = held_out.split(compare_world.training_data(teacher))
    items = scoring.with_scores(pack, held.sets, teacher=teacher).manifest
    assert items.data["dev"]["items"]["num_languages"] == 4
    assert "texts" not in items.data["dev"]
    assert set(items.score_distribution) == {"pack", "teacher"}


def test_a_language_of_nine_queries_is_listed_without_a_score(pack, teacher):
    one = dev_sets.of_pairs(german(small_world.PHRASES[:9]))
    found = scoring.with_scores(pack, [one], teacher=teacher, unmeasured=[GERMAN]).manifest
    assert found.languages == {GERMAN: LanguageScore(speaks="pack")}


def test_ten_of_thirty_nine_candidates_tell_nothing(pack, teacher):
    for count, is_scored in ((39, False), (40, True)):
        one = dev_sets.of_pairs(german(small_world.PHRASES[:count]))
        found = scoring.with_scores(pack, [one], teacher=teacher, unmeasured=[GERMAN]).manifest
        assert (found.languages[GERMAN].pack is not None) == is_scored


def test_a_teacher_that_cannot_be_asked_leaves_its_score_open(pack, teacher):
    class OnlyEnglish(small_world.WordTower):
        @property
        def ids(self):
            return list(small_world.PHRASES)

    english = OnlyEnglish("teacher", 24, multilingual=False)
    few = replace(teacher, text=Side(english, "fake:teacher"))
    one = dev_sets.of_pairs(german(small_world.PHRASES))
    found = scoring.with_scores(pack, [one], teacher=few).manifest.languages[GERMAN]
    assert found.teacher is None
    assert found.pack > 0.9
    assert found.speaks == "pack"


def test_several_right_answers_of_one_text():
    pairs = [Pair("bank", ENGLISH, "Bank", GERMAN), Pair("bench", ENGLISH, "Bank", GERMAN)]
    one = dev_sets.of_pairs(pairs)
    assert one.queries[GERMAN] == (("Bank", (0, 1)),)


def test_scores_that_are_absent_survive_the_disk_and_show_as_a_dash(pack, teacher, tmp_path):
    found = scoring.with_scores(pack, [], teacher=teacher, unmeasured=[GERMAN, ENGLISH])
    found.save(tmp_path / "pack")
    loaded = LanguagePack.load(tmp_path / "pack")
    assert loaded.manifest.languages[GERMAN] == LanguageScore(speaks="pack")
    assert loaded.speaker(ENGLISH) == "teacher"
    assert "| German | `deu_Latn` | - | - | pack |" in card.render(loaded.manifest)


def test_of_every_ascii_sign_the_normal_form_keeps_letters_and_digits():
    for code in range(128):
        sign = chr(code)
        between = sign.lower() if sign.isalnum() else " "
        for text in (f"A{sign}b", f"{sign} A {sign}B", f"  a{sign}{sign}B\n"):
            lowered = [c.lower() if c.isalnum() else " " for c in text]
            assert dev_sets.normal_form(text) == " ".join("".join(lowered).split())
        assert dev_sets.normal_form(f"A{sign}é") == f"a{between}é"
        assert dev_sets.normal_form(sign) == sign.lower().strip()  # alone it is no empty text


def test_a_dev_set_is_searched_in_so_many_texts_and_no_more(monkeypatch):
    monkeypatch.setattr(dev_sets, "NUM_CANDIDATES", 5)
    pairs = [Pair(f"text {i}", ENGLISH, f"Text {i}", GERMAN) for i in range(2)]
    found = dev_sets.of_pairs(pairs, others=[f"other {i}" for i in range(10)])
    assert len(found.english) == len(set(found.english)) == 5
    assert {"text 0", "text 1"} <= set(found.english)


def test_who_cannot_answer_has_no_distribution(pack, teacher, monkeypatch):
    monkeypatch.setattr(scoring, "_answers", lambda *args, **kwargs: None)
    one = dev_sets.of_pairs(german(small_world.PHRASES[:20]), others=small_world.PHRASES)
    found = scoring.with_scores(pack, [one], teacher=teacher).manifest
    assert found.score_distribution == {}
