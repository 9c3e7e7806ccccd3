import json

import pytest

from polyglance import errors
from polyglance.records import Caption, Pair
from polyglance.sources import captions
from shared_data import SHARED, needs_shared


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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


def test_uclips_form(tmp_path):
    entries = [{"filename": "a.jpg", "captions_en": "dog", "captions_translated": "aso"}]
    write(tmp_path / "captions_fil.json", json.dumps(entries))
    [found] = captions.read_uclip(tmp_path, "fil")
    assert (found.item_id, found.text) == ("a.jpg", "aso")
    assert captions.read_uclip(tmp_path, found.language) == [found]
    for entry in ({"filename": "b.jpg"}, {"filename": 3, "captions_translated": "x"}, "text"):
        write(tmp_path / "captions_fil.json", json.dumps([*entries, entry]))
        with pytest.raises(errors.InputError, match=r"captions_fil\.json, entry 2: .* was found"):
            captions.read_uclip(tmp_path, "fil")
    write(tmp_path / "captions_fil.json", "{}")
    with pytest.raises(errors.InputError, match="expected a list of objects"):
        captions.read_uclip(tmp_path, "fil")


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


def test_translations_between_any_two_languages(tmp_path):
    text = "language\ttext\tother_language\tother_text\nde\tHund\tfr\tchien\nxx\ta\tde\tb\n"
    text += "fi\tkoira\tklingon\tc\n"
    path, told = write(tmp_path / "b.tsv", text), []
    assert captions.read_translations(path, set_aside=told.append) == [
        Pair("Hund", "deu_Latn", "chien", "fra_Latn")
    ]
    assert [one.id for one in told] == ["b.tsv, rows in 'xx': 1", "b.tsv, rows in 'klingon': 1"]
    with pytest.raises(errors.LanguageError, match="xx"):
        captions.read_translations(path)
    with pytest.raises(errors.LanguageError, match="klingon"):
        captions.read_translations(
            write(tmp_path / "d.tsv", "\n".join([text.split("\n")[0], text.split("\n")[3]])),
            set_aside=told.append,
        )
    with pytest.raises(errors.InputError, match="other_language"):
        captions.read_translations(write(tmp_path / "c.tsv", "language\ttext\nde\tHund\n"))


def test_a_translation_is_in_another_language(tmp_path):
    header, alike = "language\ttext\tother_language\tother_text\n", "de\tHund\tdeu_Latn\tder Hund\n"
    path, told = write(tmp_path / "b.tsv", header + alike + "de\tHund\tfr\tchien\n"), []
    assert len(captions.read_translations(path, set_aside=told.append)) == 1
    assert [one.id for one in told] == ["b.tsv, rows in one language: 1"]
    for given in (None, told.append):
        with pytest.raises(errors.InputError, match="1 rows: language and other_language are the"):
            captions.read_translations(write(tmp_path / "c.tsv", header + alike), set_aside=given)


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
def test_uclips_xm3600_files():
    languages = set()
    for path in sorted((SHARED / "xm3600").glob("*.json"))[::5]:
        found = captions.read_uclip(SHARED / "xm3600", path.stem.removeprefix("captions_"))
        assert len({caption.item_id for caption in found}) == len(found)
        languages.add(found[0].language)
    assert len(languages) == 8


def test_unpaired_texts_may_lie_in_a_file_a_language(tmp_path):
    (tmp_path / "de.txt").write_text("ein Hund\n\nzwei Hunde\n", "utf-8")
    (tmp_path / "zh_Hant.txt").write_text("狗\n", "utf-8")
    (tmp_path / "notes.md").write_text("not read", "utf-8")
    wanted = [("deu_Latn", "ein Hund"), ("deu_Latn", "zwei Hunde"), ("zho_Hant", "狗")]
    assert captions.read_texts_by_language(tmp_path) == wanted
    (tmp_path / "xyzzy.txt").write_text("?\n", "utf-8")
    told = []
    assert captions.read_texts_by_language(tmp_path, set_aside=told.append) == wanted
    assert [one.id for one in told] == ["xyzzy.txt"]
    with pytest.raises(errors.LanguageError, match="xyzzy"):
        captions.read_texts_by_language(tmp_path)


def test_files_without_a_text_are_refused(tmp_path):
    (tmp_path / "de.txt").write_text("\n \n", "utf-8")
    (tmp_path / "fr.txt").mkdir()
    with pytest.raises(errors.InputError, match="holds no text"):
        captions.read_texts_by_language(tmp_path)
    with pytest.raises(errors.InputError, match="holds no text"):
        captions.read_texts_by_language(write(tmp_path / "bank.tsv", "language\ttext\n"))


def test_a_folder_without_texts_is_refused(tmp_path):
    with pytest.raises(errors.InputError, match="with a text a line"):
        captions.read_texts_by_language(tmp_path)
