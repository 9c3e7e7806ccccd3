"""`captions.jsonl` of Crossmodal-3600: all captions, and what is wrong with a line is said."""

import json

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import xm3600


def entry(key, **said):
    return {
        "image/key": key,
        "image/locale": "de",
        **{
            code: {"caption": texts, "caption/tokenized": texts, "caption/tokenized/lowercase": []}
            for code, texts in said.items()
        },
    }


GOOD = [entry("a", de=["Hund", "ein Hund"], zh=["狗"]), entry("b", de=["Katze"], zh=["猫", "猫"])]


@pytest.fixture
def write(tmp_path):
    def written(lines, *, bom=b""):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path = tmp_path / "captions.jsonl"
        path.write_bytes(bom + "\n".join(texts).encode())
        return path

    return written


def test_all_captions_by_language_in_the_order_of_the_file(write):
    found = xm3600.read_captions(write(GOOD))
    assert set(found) == {"deu_Latn", "zho_Hans"}
    assert found["deu_Latn"] == [
        Caption("a.jpg", "Hund", "deu_Latn"),
        Caption("a.jpg", "ein Hund", "deu_Latn"),
        Caption("b.jpg", "Katze", "deu_Latn"),
    ]
    assert [c.text for c in found["zho_Hans"]] == ["狗", "猫", "猫"]


def test_only_the_languages_asked_for(write):
    path = write(GOOD)
    assert set(xm3600.read_captions(path, languages=["zho_Hans"])) == {"zho_Hans"}
    with pytest.raises(errors.LanguageError, match=r"no captions in fra_Latn; it has: deu_Latn"):
        xm3600.read_captions(path, languages=["fra_Latn"])


def test_a_bom_and_an_empty_line_change_nothing(write):
    assert xm3600.read_captions(write([*GOOD, ""], bom=b"\xef\xbb\xbf")) == xm3600.read_captions(
        write(GOOD)
    )


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ({"image/locale": "de", "de": {"caption": ["x"]}}, "line 3", "image/key: None was found"),
        ({"image/key": "c", "image/locale": "de"}, "line 3", "c.jpg has captions in no language"),
        (entry("c", de=[]), r"line 3 \(c.jpg\), de", r"caption is \[\]; expected a list of one"),
        ({"image/key": "c", "de": {"text": ["x"]}}, r"line 3 \(c.jpg\), de", "caption is None"),
        ({"image/key": "c", "de": ["x"]}, r"line 3 \(c.jpg\), de", "caption is None"),
        (entry("c", de=["x", " "]), r"line 3 \(c.jpg\), de, caption 2", "' ' was found"),
        ('{"image/key": "c"', "line 3", "is no JSON object; expected"),
        ("[1]", "line 3", "is no JSON object"),
        (entry("a", de=["x"]), "line 3", "a.jpg has its captions in line 1 already"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_others_go_on(write, line, place, said):
    path = write([*GOOD, line])
    with pytest.raises(errors.InputError, match=f"captions.jsonl, {place}: .*{said}") as caught:
        xm3600.read_captions(path)
    assert caught.value.hint
    aside = []
    found = xm3600.read_captions(path, set_aside=aside.append)
    assert [c.text for c in found["deu_Latn"]][:3] == ["Hund", "ein Hund", "Katze"]
    assert len(aside) == 1
    assert aside[0].id.startswith("captions.jsonl, line 3")


def test_a_code_that_nobody_knows_is_said_once(write):
    path = write([entry("a", de=["Hund"], xx=["?"]), entry("b", de=["Katze"], xx=["?"])])
    aside = []
    assert set(xm3600.read_captions(path, set_aside=aside.append)) == {"deu_Latn"}
    assert [item.id for item in aside] == ["captions.jsonl, 'xx' in 2 lines"]
    with pytest.raises(errors.LanguageError):
        xm3600.read_captions(path)


@pytest.mark.parametrize("lines", [[], [{"image/key": "a"}], [entry("a", de=[])]])
def test_a_file_without_a_caption_is_refused(write, lines):
    with pytest.raises(errors.InputError, match="has no line with a caption; expected lines"):
        xm3600.read_captions(write(lines), set_aside=lambda item: None)


def test_no_file(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no file"):
        xm3600.read_captions(tmp_path / "captions.jsonl")
