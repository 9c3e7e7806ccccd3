"""Captions of XTD10 and XTD200."""

import pytest

from polyglance import errors
from polyglance.records import Caption
from polyglance.sources import captions
from polyglance.sources import xtd as xtd_form
from shared_data import SHARED, needs_shared


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


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


@needs_shared
def test_the_publishers_xtd_files():
    names = captions.read_lines(SHARED / "xtd10" / "test_image_names.txt")
    codes = ["de", "en", "es", "fr", "it", "jp", "ko", "pl", "ru", "tr", "zh"]
    for code in codes:
        found = xtd_form.read_xtd(SHARED / "xtd10", code)
        assert [caption.item_id for caption in found] == names
    files = sorted(path.stem for path in (SHARED / "xtd200").glob("*.txt"))
    for code in files[::20]:
        found = xtd_form.read_xtd(SHARED / "xtd200", code)
        assert [caption.item_id for caption in found] == names
        assert {caption.language for caption in found} == {code}
