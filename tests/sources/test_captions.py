import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyglance import errors
from polyglance.records import Caption, Pair
from polyglance.sources import captions
from polyglance.sources import multi30k as multi30k_form
from polyglance.sources import xtd as xtd_form
from shared_data import SHARED, needs_shared


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"a\r\n\r\nb\r\n", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_only_a_line_feed_ends_a_line(tmp_path, data, lines):
    assert captions.read_lines(write(tmp_path / "a.txt", data)) == lines
    assert captions.read_lines(write(tmp_path / "a.gz", gzip.compress(data))) == lines


CAPTION = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff"))


@given(
    lines=st.lists(CAPTION.filter(bool)), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans()
)
def test_lines_come_back_whatever_ends_them(tmp_path_factory, lines, end, last):
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes((end.join(lines) + (end if last and lines else "")).encode())
    assert captions.read_lines(path) == lines


def test_invalid_utf8_names_the_line(tmp_path):
    path = write(tmp_path / "a.txt", b"one\ntwo\ncaf\xe9\n")
    with pytest.raises(errors.InputError, match=r"a\.txt, line 3: not UTF-8 \(byte 0xe9 at pos"):
        captions.read_lines(path)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there is no file"):
        captions.read_lines(tmp_path / "a.txt")
    whole = gzip.compress(b"some captions\n" * 50)
    for data in (whole[:-9], b"no gzip"):
        with pytest.raises(errors.InputError, match="cannot be read"):
            captions.read_lines(write(tmp_path / "a.gz", data))


def test_a_caption_table(tmp_path):
    text = 'caption\tid\timage\r\nA "big" dog\t1\ta.jpg\r\nTwo, dogs\t2\ta.jpg'
    found = captions.read_caption_table(write(tmp_path / "c.tsv", text), language="en")
    assert found == [
        Caption("a.jpg", 'A "big" dog', "eng_Latn"),
        Caption("a.jpg", "Two, dogs", "eng_Latn"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"line 1: no column 'image' or 'caption'; the header has \[\]"),
        ("image\ttext\na\tb\n", "line 1: no column 'caption'; the header has "),
        ("a.jpg\tno header\n", "line 1: no column 'image' or 'caption'"),
        ("image\tcaption\tcaption\na\tb\tc\n", "line 1: several columns 'caption'; the header"),
        ("image\tcaption\na\tb\nc\n", "line 3: 1 columns; expected 2"),
        ("image\tcaption\na\tb\tc\n", "line 2: 3 columns; expected 2"),
        ("image\tcaption\na\t \n", "line 2: the column 'caption' is empty"),
        ("image\tcaption\n\tb\n", "line 2: the column 'image' is empty"),
    ],
)
def test_tables_that_do_not_fit_say_where(tmp_path, text, said):
    with pytest.raises(errors.InputError, match=rf"c\.tsv, {said}"):
        captions.read_caption_table(write(tmp_path / "c.tsv", text), language="en")


def test_an_unknown_language_is_an_error(tmp_path):
    path = write(tmp_path / "c.tsv", "image\tcaption\na\tb\n")
    with pytest.raises(errors.LanguageError):
        captions.read_caption_table(path, language="xx-nonsense")


@pytest.fixture
def xtd(tmp_path):
    write(tmp_path / "xtd10" / "test_image_names.txt", "1.jpg\n2.jpg\n")
    write(tmp_path / "xtd10" / "test_1kcaptions_jp.txt", "犬\u2028だ\r\n猫")
    write(tmp_path / "xtd10" / "test_1kcaptions_de.txt", "Hund\n")
    write(tmp_path / "xtd10" / "README.txt", "About this data set\n")
    write(tmp_path / "xtd200" / "deu_Latn.txt", "Hund\nKatze\n")
    write(tmp_path / "xtd200" / "fra_Latn.txt", "chien\n \n")
    return tmp_path


@pytest.mark.parametrize("language", ["jp", "ja", "jpn_Jpan", "Japanese"])
def test_xtd_by_any_code(xtd, language):
    assert xtd_form.read_xtd(xtd / "xtd10", language) == [
        Caption("1.jpg", "犬\u2028だ", "jpn_Jpan"),
        Caption("2.jpg", "猫", "jpn_Jpan"),
    ]


def test_xtd_200_takes_its_names_from_beside_or_as_told(xtd):
    expected = [Caption("1.jpg", "Hund", "deu_Latn"), Caption("2.jpg", "Katze", "deu_Latn")]
    assert xtd_form.read_xtd(xtd / "xtd200", "de") == expected
    (xtd / "xtd10" / "test_image_names.txt").rename(xtd / "names.txt")
    assert xtd_form.read_xtd(xtd / "xtd200", "de", images_path=xtd / "names.txt") == expected
    with pytest.raises(errors.UnavailableError, match=r"test_image_names\.txt"):
        xtd_form.read_xtd(xtd / "xtd200", "de")


def test_xtd_that_does_not_fit(xtd):
    with pytest.raises(errors.InputError, match="after 1 captions; expected 2, one for each line"):
        xtd_form.read_xtd(xtd / "xtd10", "de")
    with pytest.raises(errors.InputError, match=r"fra_Latn\.txt, line 2: the caption: ' '"):
        xtd_form.read_xtd(xtd / "xtd200", "fr")
    with pytest.raises(
        errors.LanguageError, match=r"no captions in 'ko' \(kor_Hang\); it has: deu"
    ):
        xtd_form.read_xtd(xtd / "xtd200", "ko")
    with pytest.raises(errors.UnavailableError, match=r"no files \*\.txt"):
        xtd_form.read_xtd(xtd / "absent", "ko")


def test_xtd_as_babel_imagenet_ships_it(tmp_path):
    content = {"images": ["1.jpg", "2.jpg"], "captions": {"jp": [["犬"], ["猫", "ねこ"]]}}
    path = write(tmp_path / "xtd.json", json.dumps(content))
    found = xtd_form.read_xtd_json(path, "ja")
    assert [(caption.content_id, caption.text) for caption in found] == [
        ("1.jpg", "犬"),
        ("2.jpg", "猫"),
        ("2.jpg", "ねこ"),
    ]
    with pytest.raises(errors.LanguageError, match="it has: jpn_Jpan"):
        xtd_form.read_xtd_json(path, "de")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], 'an object with the lists "images" and "captions"'),
        ({"images": []}, 'an object with the lists "images" and "captions"'),
        ({"images": ["1"], "captions": {"de": []}}, "1 captions in 'de', one an image, not 0"),
        ({"images": ["1"], "captions": {"de": None}}, "not NoneType"),
        ({"images": ["1"], "captions": {"de": [[]]}}, "'de', image 1: the caption: None was"),
        ({"images": ["1"], "captions": {"de": [[" "]]}}, "'de', image 1: the caption: ' ' was"),
    ],
)
def test_xtd_json_that_does_not_fit(tmp_path, content, said):
    path = write(tmp_path / "xtd.json", json.dumps(content))
    with pytest.raises(errors.InputError, match=said):
        xtd_form.read_xtd_json(path, "de")


def test_xm3600(tmp_path):
    entries = [{"filename": "a.jpg", "captions_en": "dog", "captions_translated": "aso"}]
    write(tmp_path / "captions_fil.json", json.dumps(entries))
    [found] = captions.read_xm3600(tmp_path, "fil")
    assert (found.content_id, found.text) == ("a.jpg", "aso")
    assert captions.read_xm3600(tmp_path, found.language) == [found]
    for entry in ({"filename": "b.jpg"}, {"filename": 3, "captions_translated": "x"}, "text"):
        write(tmp_path / "captions_fil.json", json.dumps([*entries, entry]))
        with pytest.raises(errors.InputError, match=r"captions_fil\.json, entry 2: .* was found"):
            captions.read_xm3600(tmp_path, "fil")
    write(tmp_path / "captions_fil.json", "{}")
    with pytest.raises(errors.InputError, match="expected a list of objects"):
        captions.read_xm3600(tmp_path, "fil")


@pytest.fixture
def multi30k(tmp_path):
    write(tmp_path / "val.images.txt", "11.jpg\n22.jpg\n")
    write(tmp_path / "val.en.gz", gzip.compress(b"a dog\na cat\n"))
    write(tmp_path / "val.de.gz", gzip.compress(b"ein Hund\neine Katze\n"))
    write(tmp_path / "val.fr.gz", gzip.compress(b"un chien\n"))
    return tmp_path


def test_multi30k_is_parallel(multi30k):
    found = multi30k_form.read_multi30k(multi30k, "val", languages=["de", "eng_Latn"])
    assert found.images == ("11.jpg", "22.jpg")
    assert list(found.lines) == ["deu_Latn", "eng_Latn"]
    assert found.pairs("deu_Latn", "eng_Latn")[1] == Pair(
        "eine Katze", "deu_Latn", "a cat", "eng_Latn"
    )
    with pytest.raises(errors.InputError, match="after 1 captions; expected 2"):
        multi30k_form.read_multi30k(multi30k, "val", languages=["fr"])
    with pytest.raises(errors.UnavailableError, match=r"train\.images\.txt"):
        multi30k_form.read_multi30k(multi30k, "train", languages=["en"])


def test_lines_about_photos_of_flickr8k_can_be_left_out(multi30k):
    found = multi30k_form.read_multi30k(multi30k, "val", languages=["de", "en"])
    left = found.leaving_out({"11_abc.jpg", "2_x.jpg"})
    assert left.images == ("22.jpg",)
    assert left.lines == {"deu_Latn": ("eine Katze",), "eng_Latn": ("a cat",)}


@pytest.fixture
def flickr8k(tmp_path):
    write(tmp_path / "images.tsv", "image\tsplit\na.jpg\ttrain\nb.jpg\ttest\n")
    write(tmp_path / "captions.zh.tsv", "image\tcaption\na.jpg\t狗\nb.jpg\t猫\nb.jpg\t小猫\n")
    write(tmp_path / "captions.de.tsv", "image\tcaption\nc.jpg\tHund\n")
    return tmp_path


def test_flickr8k_by_split(flickr8k):
    assert captions.read_flickr8k(flickr8k, "zh", split="test") == [
        Caption("b.jpg", "猫", "zho_Hans"),
        Caption("b.jpg", "小猫", "zho_Hans"),
    ]
    with pytest.raises(errors.UnknownNameError, match="there are: test, train"):
        captions.read_flickr8k(flickr8k, "zh", split="tests")
    with pytest.raises(errors.InputError, match=r"de\.tsv, image 'c\.jpg': it is not"):
        captions.read_flickr8k(flickr8k, "de", split="test")


def test_the_languages_of_a_folder(xtd):
    assert captions.languages_of(xtd / "xtd200", "*.txt", dataset="xtd") == ["deu_Latn", "fra_Latn"]
    assert captions.languages_of(xtd / "xtd10", "*.txt", dataset="xtd") == ["deu_Latn", "jpn_Jpan"]


def test_a_parallel_table(tmp_path):
    text = "english\tlanguage\ttext\na dog\tde\tein Hund\n"
    assert captions.read_parallel_table(write(tmp_path / "p.tsv", text)) == [
        Pair("a dog", "eng_Latn", "ein Hund", "deu_Latn")
    ]


def test_rows_that_cannot_be_learnt_from_cost_no_others(tmp_path):
    path = write(
        tmp_path / "p.tsv",
        "english\tlanguage\ttext\na dog\tde\tein Hund\nx\tklingon\ty\na\tde\nx\tklingon\tz\n",
    )
    told = []
    assert captions.read_parallel_table(path, set_aside=told.append) == [
        Pair("a dog", "eng_Latn", "ein Hund", "deu_Latn")
    ]
    assert [one.id for one in told] == ["p.tsv, line 4", "p.tsv, rows in 'klingon': 2"]
    path = write(tmp_path / "b.tsv", "language\ttext\nklingon\ty\n")
    with pytest.raises(errors.LanguageError, match=r"b\.tsv.*klingon"):
        captions.read_texts_by_language(path, set_aside=told.append)
    with pytest.raises(errors.LanguageError, match=r"p\.tsv.*klingon"):
        captions.read_parallel_table(
            write(tmp_path / "p.tsv", "english\tlanguage\ttext\na\tklingon\tb\n")
        )


@needs_shared
def test_the_publishers_xtd_files():
    names = captions.read_lines(SHARED / "xtd10" / "test_image_names.txt")
    codes = ["de", "en", "es", "fr", "it", "jp", "ko", "pl", "ru", "tr", "zh"]
    for code in codes:
        found = xtd_form.read_xtd(SHARED / "xtd10", code)
        assert [caption.content_id for caption in found] == names
        babel = xtd_form.read_xtd_json(SHARED / "babel_imagenet" / "xtd.json", code)
        assert [caption.content_id for caption in babel] == names
        assert {caption.language for caption in found} == {c.language for c in babel}
    files = sorted(path.stem for path in (SHARED / "xtd200").glob("*.txt"))
    for code in files[::20]:
        found = xtd_form.read_xtd(SHARED / "xtd200", code)
        assert [caption.content_id for caption in found] == names
        assert {caption.language for caption in found} == {code}


@needs_shared
def test_the_publishers_xm3600_files():
    languages = set()
    for path in sorted((SHARED / "xm3600").glob("*.json"))[::5]:
        found = captions.read_xm3600(SHARED / "xm3600", path.stem.removeprefix("captions_"))
        assert len({caption.content_id for caption in found}) == len(found)
        languages.add(found[0].language)
    assert len(languages) == 8


@needs_shared
def test_the_publishers_multi30k_and_flickr8k_files():
    lines = multi30k_form.read_multi30k(SHARED / "multi30k", "val", languages=["en", "cs"])
    assert len(lines.images) == len(lines.lines["ces_Latn"]) == 1014
    test = captions.read_flickr8k(SHARED / "flickr8k", "en", split="test")
    assert len({caption.content_id for caption in test}) == 1000
    assert len(test) == 5000
    shared = lines.leaving_out({caption.content_id for caption in test})
    assert 0 < len(shared.images) <= 1014
    for code in ("ar", "fr", "zh"):
        assert captions.read_flickr8k(SHARED / "flickr8k", code, split="dev")
