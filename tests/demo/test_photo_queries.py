"""Ten queries in ten scripts, and what an index answers to them."""

import io

from PIL import Image

from polyglance.demo import photo_queries
from polyglance.languages.registry import get_language
from polyglance.search.searcher import Searcher


def test_ten_queries_are_in_ten_scripts():
    scripts = {get_language(one.language).script for one in photo_queries.QUERIES}
    assert len(photo_queries.QUERIES) == len(scripts) == 10
    assert {"Latn", "Cyrl", "Arab", "Hebr", "Deva", "Hans", "Hang", "Jpan"} < scripts


def test_queries_are_written_in_the_script_that_they_claim():
    letters = {"Cyrl": "\u0400", "Grek": "\u0370", "Arab": "\u0600", "Hebr": "\u0590"}
    letters |= {"Deva": "\u0900", "Thai": "\u0e00", "Hans": "\u4e00", "Hang": "\uac00"}
    letters |= {"Jpan": "\u3040", "Latn": "a"}
    for one in photo_queries.QUERIES:
        start = letters[get_language(one.language).script]
        size = 0x5200 if start in "\u4e00\uac00" else 0xFF
        found = [letter for letter in one.text if 0 <= ord(letter) - ord(start) < size]
        assert len(found) >= 0.6 * len(one.text.replace(" ", "")), one.text
        assert one.meaning.isascii()


def test_each_finds_photos_with_a_thumbnail_and_a_name(index_folder, pack_folder):
    searcher = Searcher(index_folder, packs=[pack_folder])
    ids = searcher.index.store.ids()
    called = {ids[0]: "what people say of it"}
    answers = photo_queries.ask(searcher, called=called)
    assert [(one.language, one.text) for one in answers] == [
        (one.language, one.text) for one in photo_queries.QUERIES
    ]
    names = {item.name for one in answers for item in one.items}
    assert names <= {*ids[1:], "what people say of it"}
    for one in answers:
        assert len(one.items) == photo_queries.NUM_FOUND
        scores = [item.score for item in one.items]
        assert scores == sorted(scores, reverse=True)
        assert one.answered_by == "pack"
        with Image.open(io.BytesIO(one.items[0].thumbnail)) as thumbnail:
            assert max(thumbnail.size) <= 256


def test_a_photo_that_went_away_is_named_in_the_place_of_its_thumbnail(
    index_folder, pack_folder, picture_folder
):
    for thumbnail in (index_folder / "thumbnails").rglob("*.jpg"):
        thumbnail.unlink()
    for photo in picture_folder.iterdir():
        photo.unlink()
    answers = photo_queries.ask(Searcher(index_folder, packs=[pack_folder]))
    assert {item.thumbnail for one in answers for item in one.items} == {None}
    assert all(item.name.endswith(".png") for one in answers for item in one.items)
