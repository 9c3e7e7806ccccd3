"""The card of a pack: what was measured by language, and what nobody measured."""

from polyglance.model import card
from polyglance.model.manifest import LanguageScore, PackManifest

SCORES = {
    "num_queries": 912,
    "hit_rate_at_1": [0.25, 0.2, 0.3],
    "hit_rate_at_5": [0.5, 0.4, 0.6],
    "hit_rate_at_10": [0.61, 0.58, 0.65],
}
TASK = {
    "split": "test",
    "caption_policy": "first",
    "num_candidates": 1000,
    "languages": {"deu_Latn": SCORES},
}


def manifest(**more):
    return PackManifest(
        recipe="ridge",
        space_id="s",
        teacher="photos",
        tower="packaged:multilingual-e5-small",
        tower_fingerprint="f",
        **more,
    )


def test_measured_languages_have_a_row_and_the_others_are_named():
    names = ("deu_Latn", "eng_Latn", "fra_Latn", "swh_Latn")
    languages = {name: LanguageScore(speaks="pack") for name in names}
    text = card.body(manifest(measured={"flickr8k": TASK}, languages=languages))
    row = (
        "| German | `deu_Latn` | 912 | 25.0 [20.0, 30.0] | 50.0 [40.0, 60.0] | 61.0 [58.0, 65.0] |"
    )
    assert row in text
    assert "Nobody measured it in the other 2 languages that it lists: French, Swahili" in text
    assert "split test, 1,000 candidates, captions: first" in text


def test_a_pack_that_lists_no_more_says_so():
    languages = {"deu_Latn": LanguageScore(speaks="pack")}
    text = card.body(manifest(measured={"flickr8k": TASK}, languages=languages))
    assert "It lists no other language." in text


def test_a_pack_that_nobody_measured_has_no_such_table():
    assert "## Measured" not in card.body(manifest())
