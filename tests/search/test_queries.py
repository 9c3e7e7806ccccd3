"""What is typed becomes terms: signs, weights, languages, pictures; and plain texts stay plain."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.languages import text_forms
from polyglance.search.queries import Query, Term, parse


def terms(text):
    found = parse(text, files=Path).terms
    return [(term.weight, term.language, term.text or term.media) for term in found]


@pytest.mark.parametrize(
    "text",
    [
        "beach",
        "T-shirt",
        "C++",
        "-5 degrees",
        "rock & roll",
        'the "big" dog',
        '"big" dog',
        "Star Wars: A new hope",
        "2*4",
        "photo.jpg",
        "https://x.y/a-b+c",
        '"beach',
        "a -b",
        "C:\\photos",
        "cat:dog",
        "12:30",
        "http://x",
        "ftp://x",
        "de: Hund",
        "de://x",
        "Paris – Dakar",
    ],
)
def test_a_text_without_operators_stays_as_it_is(text):
    assert terms(text) == [(1, None, text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '"beach" + photo.jpg - "night"',
            [(1, None, "beach"), (1, None, Path("photo.jpg")), (-1, None, "night")],
        ),
        (
            'de:Strand + 2*fr:plage - 0.5*"la nuit"',
            [(1, "deu_Latn", "Strand"), (2, "fra_Latn", "plage"), (-0.5, None, "la nuit")],
        ),
        ("de:Strand", [(1, "deu_Latn", "Strand")]),
        ('"de:Strand"', [(1, None, "de:Strand")]),
        ('image:"my photo.jpg" + dog', [(1, None, Path("my photo.jpg")), (1, None, "dog")]),
        ("image:odd.name", [(1, None, Path("odd.name"))]),
        ('"photo.jpg" + dog', [(1, None, "photo.jpg"), (1, None, "dog")]),
        ('"rock - roll"', [(1, None, "rock - roll")]),
        (r'"a \"b\" \\ c" + d', [(1, None, r'a "b" \ c'), (1, None, "d")]),
        (r"a \- b - c", [(1, None, "a - b"), (-1, None, "c")]),
        ("« la plage » - „die Nacht“", [(1, None, "la plage"), (-1, None, "die Nacht")]),
        ("「浜」 − 「夜」", [(1, None, "浜"), (-1, None, "夜")]),
        ('dogs -"cats"', [(1, None, "dogs"), (-1, None, "cats")]),
        ('- "night" + beach', [(-1, None, "night"), (1, None, "beach")]),
        ("big dog + red car", [(1, None, "big dog"), (1, None, "red car")]),
        ('“beach” + "cat" - „Nacht“', [(1, None, "beach"), (1, None, "cat"), (-1, None, "Nacht")]),
        ("„a” + »b« - ”c”", [(1, None, "a"), (1, None, "b"), (-1, None, "c")]),
        ('“a" + “b"', [(1, None, "a"), (1, None, "b")]),
        ('"a ”b” c" + d', [(1, None, "a ”b” c"), (1, None, "d")]),
        ('"犬"\u3000＋\u3000"猫"', [(1, None, "犬"), (1, None, "猫")]),
        ('"a" – "b"', [(1, None, "a"), (-1, None, "b")]),
        ('2×"a" - 0,5*"b"', [(2, None, "a"), (-0.5, None, "b")]),
        ("\ufeff\u200ede:Hund", [(1, "deu_Latn", "Hund")]),
        ("de：Hund", [(1, "deu_Latn", "Hund")]),
        ("no:hund", [(1, "nob_Latn", "hund")]),
        ("cat_Latn:gos + pt-BR:gato", [(1, "cat_Latn", "gos"), (1, "por_Latn", "gato")]),
        ("a\nb\tc\x00d", [(1, None, "a b c d")]),
    ],
)
def test_operators_make_terms(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "said", "column"),
    [
        ("beach -", "nothing follows the -", 8),
        ('"beach + night', 'the quote " is not closed', 1),
        ('a + "b', 'the quote " is not closed', 5),
        ('"a" "b" + c', "an operator is wanted", 5),
        ("a + 0*b", "a weight of 0", 5),
        ('a + ""', "an empty text", 5),
    ],
)
def test_a_broken_form_is_pointed_at(text, said, column):
    with pytest.raises(errors.InputError, match=said) as caught:
        parse(text, files=Path)
    assert f"(column {column})" in caught.value.message
    mark = caught.value.message.splitlines()[-1]
    assert mark.index("^") - 2 == column - 1


def test_an_unknown_language_is_pointed_at():
    with pytest.raises(errors.LanguageError, match="'xx'.*column 9"):
        parse("beach + xx:foo")


def test_only_what_to_keep_away_from_is_no_question():
    with pytest.raises(errors.InputError, match="nothing is asked for"):
        parse('- "night"')
    with pytest.raises(errors.InputError, match="nothing is asked for"):
        Query(terms=())


@pytest.mark.parametrize(
    "text", ["", "  ", "\u200b\u200c", "\ufeff", "\x00\n\t", "ـَ", "\u2067\u2069"]
)
def test_nothing_typed(text):
    with pytest.raises(errors.InputError, match="empty query"):
        parse(text)


def test_names_of_pictures_are_refused_where_no_files_may_be_read():
    with pytest.raises(errors.InputError, match="names of files are not read"):
        parse("dog + /etc/secret.png")
    assert parse("/etc/secret.png").terms[0].text == "/etc/secret.png"


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf")])
def test_weights_that_count_nothing(weight):
    with pytest.raises(errors.InputError, match="weight"):
        Term(text="x", weight=weight)


@pytest.mark.parametrize("parts", [{}, {"text": "a", "item": "b"}, {"text": " "}])
def test_a_term_is_one_thing(parts):
    with pytest.raises(errors.InputError):
        Term(**parts)


@given(st.text(min_size=1))
def test_anything_typed_is_a_query_or_a_plain_refusal(text):
    with contextlib.suppress(errors.InputError, errors.LanguageError):
        assert parse(text).terms


@given(st.text(min_size=1).filter(text_forms.says_something))
def test_quotes_make_a_plain_text_of_anything(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    found = parse(f'"{escaped}" + other').terms
    assert [term.text for term in found] == [text_forms.plain(text), "other"]


@pytest.mark.parametrize("text", ["zh:鱼", "zho:鱼", "chien + ZH:鱼"])
def test_a_code_of_several_languages_is_refused_with_both(text):
    with pytest.raises(errors.LanguageError, match="zho_Hans.*zho_Hant.*at column"):
        parse(text, files=Path)


def test_a_language_in_front_is_one_that_is_there():
    there = ("deu_Latn", "zho_Hans")
    assert parse("de:Hund", languages=there).terms == (Term(text="Hund", language="deu_Latn"),)
    assert parse("zh:鱼", languages=there).terms == (Term(text="鱼", language="zho_Hans"),)
    absent = parse("sw:mbwa", languages=there)
    assert absent.terms == (Term(text="sw:mbwa"),)
    assert absent.notes == ("sw: is read as part of the text: Swahili is not among the languages",)
    assert parse("cat:dog").notes == ("cat: is read as part of the text; ca: asks in Catalan",)
    assert parse("12:30").notes == parse("de:Hund").notes == ()


@pytest.mark.parametrize("text", ["de:", " DE: ", "fr: + cat", "cat - ja:"])
def test_a_language_alone_is_no_question(text):
    with pytest.raises(errors.InputError, match="nothing follows the language"):
        parse(text)


@pytest.mark.parametrize("text", ["caf\udce9", "\ud83d"])
def test_what_is_no_unicode_is_said(text):
    for ask in (parse, Query.of_text):
        with pytest.raises(errors.InputError, match="no valid UTF-8"):
            ask(text)


@pytest.mark.parametrize(
    ("text", "cancels"),
    [
        ('"a" - "a"', True),
        ('"Fish" - "ＦＩＳＨ"', True),
        ('2*"a" - "b" - "a" + "b" - "a"', True),
        ('"a" - "b"', False),
        ('de:"a" - fr:"a"', False),
        ('2*"a" - "a"', False),
        ("a.jpg - a.jpg", True),
    ],
)
def test_terms_that_take_each_other_away(text, cancels):
    assert parse(text, files=Path).cancels == cancels


def test_the_word_image_before_a_space_is_text():
    assert terms("image: a cat") == [(1, None, "image: a cat")]


def test_a_quoted_name_of_a_picture_is_text():
    assert terms('dog + "photo.jpg"') == [(1, None, "dog"), (1, None, "photo.jpg")]
    assert terms("dog + photo.jpg") == [(1, None, "dog"), (1, None, Path("photo.jpg"))]


@pytest.mark.parametrize(
    ("typed", "noted", "rule"),
    [
        ("xx:Hund", "xx:", "it is no code of a language"),
        ('xx:"Hund"', "xx:", "it is no code of a language"),
        ("xyz:dog", "xyz:", "it is no code of a language"),
        ("0.5*cat", "0.5*", "a weight counts beside other terms"),
        ('0,5 × "cat"', "0,5 ×", "a weight counts beside other terms"),
        ('1e999*"cat"', "1e999*", "a weight is a number such as 0.5 or 2"),
        ("1e3*cat", "1e3*", "a weight is a number such as 0.5 or 2"),
        ('nan*"cat"', "nan*", "a weight is a number such as 0.5 or 2"),
        ("inf*cat", "inf*", "a weight is a number such as 0.5 or 2"),
        ('-2*"cat"', "-2*", "a weight is a number such as 0.5 or 2"),
        ('two*"cat"', "two*", "a weight is a number such as 0.5 or 2"),
    ],
)
def test_what_looks_like_an_operator_and_is_read_as_text_is_noted(typed, noted, rule):
    found = parse(typed)
    assert [(term.weight, term.text) for term in found.terms] == [(1.0, typed)]
    (note,) = found.notes
    assert note.startswith(f"{noted} is read as part of the text: {rule}")


def test_the_name_of_a_picture_alone_is_a_text_and_told():
    found = parse("photo.jpg", files=Path)
    assert [term.text for term in found.terms] == ["photo.jpg"]
    assert found.notes == ("photo.jpg is read as a text; image:photo.jpg as a file",)
    assert parse('"photo.jpg"', files=Path).notes == parse("photo.jpg").notes == ()


@pytest.mark.parametrize("typed", ['"dog" "cat"', "“dog” „cat“"])
def test_quotes_without_an_operator_are_one_text_and_told(typed):
    found = parse(typed)
    assert [term.text for term in found.terms] == [typed]
    assert found.notes[0].startswith(f'{typed} is read as one text: the form is "beach" +')
    assert parse('"big" dog').notes == ()


@pytest.mark.parametrize("typed", ['nan*"cat"', '1e999*"cat"', '-2*"cat"', "xyz:dog"])
def test_it_is_noted_among_other_terms_as_well(typed):
    found = parse(f'"beach" + {typed}')
    assert [term.text for term in found.terms] == ["beach", typed]
    assert "is read as part of the text" in found.notes[0]


@pytest.mark.parametrize(
    "typed", ["2*4", "2 * 4 grid", "12:30", "M*A*S*H", "3x4 grid", "C++", "http://x", '"a" + 2*"b"']
)
def test_what_looks_like_none_is_not_noted(typed):
    assert parse(typed).notes == ()
