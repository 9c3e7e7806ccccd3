"""`polyglance eval` over caption files as people have them: every one is read or named."""

import codecs

import pytest

import small_world
from polyglance.results import schema

ROWS = small_world.captions("deu_Latn")


@pytest.fixture
def folder(tmp_path):
    """The small world's captions in the form of Flickr8k, German alone."""
    made = tmp_path / "flickr8k"
    made.mkdir()
    lines = "".join(f"{row.item_id}\ttest\n" for row in ROWS)
    (made / "images.tsv").write_text("image\tsplit\n" + lines)
    (made / "captions.de.tsv").write_text(table())
    return made


def table():
    return "image\tcaption\n" + "".join(f"{row.item_id}\t{row.text}\n" for row in ROWS)


@pytest.fixture
def measured(run, model_folder, folder, picture_folder):
    def measured(*more):
        argv = ("eval", model_folder, "--task", "flickr8k", "--data", folder)
        return run(*argv, "--images", picture_folder, *more)

    return measured


def test_a_code_that_is_not_understood_is_named_with_the_nearest(measured, folder):
    (folder / "captions.jp.tsv").write_text(table())
    code, out, err = measured()
    assert code == 0
    assert "deu_Latn" in out
    assert "captions.jp.tsv: unknown language 'jp': did you mean jpn_Jpan" in err
    (folder / "captions.de.tsv").rename(folder / "captions.cn.tsv")
    code, out, err = measured()
    assert code == 2
    assert out == ""
    assert "captions.cn.tsv: unknown language 'cn'" in err
    assert "zho_Hans" in err


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\n\n", 4).encode() + b"\n\n",
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["mark", "returns", "empty lines", "no last line feed"],
)
def test_what_editors_do_to_a_table_changes_nothing(measured, folder, edit):
    plain = measured()
    (folder / "captions.de.tsv").write_bytes(edit(table()))
    assert measured() == plain
    assert plain[2] == ""


def test_lines_that_are_no_captions_stand_aside_by_name(measured, folder):
    lines = table().splitlines()
    lines[3] += "\ta tab too many"
    lines[5] = lines[5].partition("\t")[0] + "\t "
    lines[7] = "nobody.png\tein Bild"
    (folder / "captions.de.tsv").write_text("\n".join(lines))
    code, out, err = measured()
    assert code == 0
    assert "flickr8k: 3 set aside" in err
    assert "captions.de.tsv, line 4: 3 columns; expected 2" in err
    assert "captions.de.tsv, line 6: the column 'caption' is empty" in err
    assert "captions.de.tsv, image 'nobody.png': it is not in images.tsv" in err
    assert "deu_Latn" in out


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(measured, folder, encoding):
    (folder / "captions.de.tsv").write_bytes(table().encode(encoding))
    code, _, err = measured()
    assert code == 2
    assert "is UTF-16" in err
    assert "iconv -f UTF-16" in err


@pytest.mark.parametrize("text", ["", "image\tcaption\n", '"image","caption"\n"a.png","b"\n'])
def test_a_table_without_a_row_is_no_measurement(measured, folder, text):
    (folder / "captions.de.tsv").write_text(text)
    code, out, err = measured()
    assert (code, out) == (2, "")
    assert "captions.de.tsv" in err or "no caption to measure in deu_Latn" in err


def test_a_file_that_cannot_be_read_costs_its_own_language(measured, folder):
    (folder / "captions.fr.tsv").write_bytes(table().encode("utf-16"))
    (folder / "captions.it.tsv").write_bytes(b"image\tcaption\na.png\tcaff\xe8\n")
    code, out, err = measured()
    assert code == 0
    assert "deu_Latn" in out
    assert "fra_Latn" not in out
    assert "captions.fr.tsv" in err
    assert "is UTF-16" in err.replace("\n    ", " ")
    assert "captions.it.tsv" in err


def test_two_files_of_one_language(measured, folder):
    (folder / "captions.deu.tsv").write_text(table())
    code, _, err = measured()
    assert code == 2
    assert "are both deu_Latn" in err


def test_results_that_cannot_be_read_are_said_and_stay(measured, tmp_path):
    out = tmp_path / "r.jsonl"
    code, printed, err = measured("--out", out)
    assert (code, err) == (0, "")
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(lines[0] + b"not one\n" + b"".join(lines[1:]).rstrip(b"\n"))
    code, again, err = measured("--out", out)
    assert (code, again) == (0, printed)
    assert f"{out}, line 2 is no result" in err.replace("\n", "")
    assert len(schema.read_what_is_whole(out).rows) == len(lines)
