"""The benchmarks' world of photos: what is left out, the summary."""

import gzip

import numpy as np
import pytest
from benchmarks import photo_pack, photo_world

from polyglance.languages.registry import ENGLISH
from polyglance.records import Caption, Pair
from polyglance.sources import captions

SPLIT_OF = {"1_a.jpg": "train", "2_b.jpg": "train", "3_c.jpg": "dev", "4_d.jpg": "test"}
CHINESE, GERMAN = "zho_Hans", "deu_Latn"


def said_of(language, rows):
    return [Caption(name, text, language) for name, text in rows]


@pytest.fixture
def multi30k(tmp_path, monkeypatch):
    """Four lines: of a train photo, of the dev and the test photo, of one that Flickr8k lacks."""
    (tmp_path / "train.images.txt").write_text("1.jpg\n3.jpg\n4.jpg\n9.jpg\n")
    lines = {
        "en": ["A red ball.", "A dev dog.", "A test cat.", "Nine birds."],
        "de": ["Ein roter Ball.", "Ein Hund.", "Eine Katze.", "Neun Vögel."],
        "fr": ["Un ballon.", "Un chien.", "Un chat.", "Neuf oiseaux."],
        "cs": ["Míč.", "Pes.", "Kočka.", "Ptáci."],
    }
    for code, rows in lines.items():
        (tmp_path / f"train.{code}.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    monkeypatch.setattr(photo_world, "MULTI30K", tmp_path)


@pytest.fixture
def said():
    return {
        ENGLISH: said_of(
            ENGLISH,
            [("1_a.jpg", "ball one"), ("1_a.jpg", "ball two"), ("2_b.jpg", "Same words .")]
            + [("3_c.jpg", "same words."), ("4_d.jpg", "a test cat")],
        ),
        CHINESE: said_of(
            CHINESE, [("1_a.jpg", "球"), ("2_b.jpg", "树"), ("4_d.jpg", "猫"), ("1_a.jpg", "猫。")]
        ),
        "arb_Arab": [],
        GERMAN: said_of(GERMAN, [("1_a.jpg", "Ein roter Ball."), ("3_c.jpg", "Hund")]),
        "fra_Latn": [],
        "ces_Latn": [],
    }


def test_parallel_text_holds_no_caption_of_a_dev_or_test_photo(multi30k, said):
    found = photo_world.parallel_text(said, SPLIT_OF, multi30k=photo_world.MULTI30K)
    expected = {
        Pair("A red ball.", ENGLISH, "Ein roter Ball.", GERMAN),
        Pair("Nine birds.", ENGLISH, "Neun Vögel.", GERMAN),
        *(Pair(text, ENGLISH, "球", CHINESE) for text in ("ball one", "ball two")),
        *(Pair(text, ENGLISH, "Ein roter Ball.", GERMAN) for text in ("ball one", "ball two")),
    }
    assert {pair for pair in found.pairs if pair.language_b in (CHINESE, GERMAN)} == expected
    assert found.num_texts == {
        "ces_Latn": 2,
        GERMAN: 2,
        ENGLISH: 4,
        "fra_Latn": 2,
        CHINESE: 1,
    }


def test_what_is_left_out_is_counted(multi30k, said):
    assert photo_world.parallel_text(said, SPLIT_OF, multi30k=photo_world.MULTI30K).left_out == {
        "multi30k_lines_of_dev_and_test_photos": 2,
        "flickr8k_captions_of_dev_and_test_photos": 4,
        # "Same words ." with the tree, and what reads like the test photo's cat with two balls.
        "pairs_that_read_like_a_dev_or_test_caption": 3,
    }


@pytest.mark.slow
@pytest.mark.skipif(not photo_world.is_there(), reason="the real photos are not at hand")
def test_no_caption_of_a_real_dev_or_test_photo():
    split_of = captions.read_splits(photo_world.FLICKR8K / "images.tsv")
    said = {
        language: [
            caption
            for split in photo_world.SPLITS
            for caption in captions.read_flickr8k(photo_world.FLICKR8K, language, split=split)
        ]
        for language in (ENGLISH, *photo_world.OTHER_LANGUAGES)
    }
    found = photo_world.parallel_text(said, split_of, multi30k=photo_world.MULTI30K)
    texts = {(pair.language_b, pair.text_b) for pair in found.pairs}
    texts |= {(ENGLISH, pair.text_a) for pair in found.pairs}
    for language, listed in said.items():
        unseen = {(language, each.text) for each in listed if split_of[each.item_id] != "train"}
        assert unseen
        assert not unseen & texts
    assert found.left_out["multi30k_lines_of_dev_and_test_photos"] == 1450


def test_the_summary_is_a_mean_over_seeds_with_the_least_language():
    rates = {ENGLISH: 0.8, CHINESE: 0.5, "arb_Arab": 0.6, GERMAN: 0.7, "fra_Latn": 0.6}
    rates["ces_Latn"] = 0.6
    photos = np.arange(10)

    def seed(shift):
        hits = {
            name: (photos < round(10 * (rate + shift))).astype(float)
            for name, rate in rates.items()
        }
        return photo_pack.Hits(hits=hits, photos=dict.fromkeys(rates, photos))

    outcome = photo_pack.outcome_of([seed(0), seed(0.1), seed(-0.1)], facts={"split": "test"})
    assert outcome.ratio == pytest.approx(0.6 / 0.8)
    assert outcome.figures["least_language"] == CHINESE
    assert outcome.figures["r_at_10"][GERMAN]["by_seed"] == pytest.approx([0.7, 0.8, 0.6])
    low, high = outcome.figures["average_of_english"]["interval"]
    assert low < 0.75 < high <= 1
    met = {each.name: each.met for each in outcome.others}
    assert met == {"english_r_at_10": True, "least_language_of_english": True}
    assert outcome.others[1].value == pytest.approx(0.5 / 0.8)
