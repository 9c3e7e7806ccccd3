"""MVL-SIB's folders: sentences of three parts by number, images by topic."""

import pytest

from polyglance import errors
from polyglance.sources import mvl_sib

HEAD = "index_id\tcategory\ttext\n"


@pytest.fixture
def release(tmp_path):
    folder = tmp_path / "data" / "sib200" / "nqo_Nkoo"
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text(f"{HEAD}7\tsports\tseven\n2\ttravel\ttwo\n")
    (folder / "dev.tsv").write_text(f"{HEAD}5\thealth\tfive\n")
    (folder / "test.tsv").write_text(f"{HEAD}1\tscience\tone\n")
    return tmp_path


def test_sentences_of_all_parts_by_number(release):
    found = mvl_sib.find_files(release)
    assert list(found.paths) == ["nqo_Nkoo"]
    sentences = mvl_sib.read_sentences(found.paths["nqo_Nkoo"])
    assert [(one.number, one.topic, one.text) for one in sentences] == [
        (1, "science", "one"),
        (2, "travel", "two"),
        (5, "health", "five"),
        (7, "sports", "seven"),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("7\tsports\tagain", "index_id is '7'; expected a number that stands once"),
        ("x\tsports\ttext", "index_id is 'x'"),
        ("9\tsport\ttext", "category is 'sport'; allowed: entertainment"),
        ("9\tsports\t ", "the column 'text' is empty"),
    ],
)
def test_a_row_that_cannot_be_used(release, row, said):
    folder = mvl_sib.find_files(release).paths["nqo_Nkoo"]
    (folder / "test.tsv").write_text(f"{HEAD}1\tscience\tone\n{row}\n")
    with pytest.raises(errors.InputError, match=said):
        mvl_sib.read_sentences(folder)
    aside = []
    assert len(mvl_sib.read_sentences(folder, set_aside=aside.append)) == 4
    assert [said in item.reason for item in aside] == [True]


def test_no_such_files(tmp_path):
    with pytest.raises(errors.UnavailableError, match="there are no files data/sib200"):
        mvl_sib.find_files(tmp_path)


def test_a_part_that_is_not_there(release):
    folder = mvl_sib.find_files(release).paths["nqo_Nkoo"]
    (folder / "dev.tsv").unlink()
    with pytest.raises(errors.UnavailableError, match="dev.tsv"):
        mvl_sib.read_sentences(folder)
