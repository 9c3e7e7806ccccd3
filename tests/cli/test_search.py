"""What the user types and reads of `search` and `languages`."""

import io
import json

import pytest
from PIL import Image

import small_world
from polyglance.cli import terminal

QUERY = "big red circle"
FILE = "big-red-circle.png"


def test_by_picture_alone_and_with_text(run, index_folder, picture_folder):
    picture = picture_folder / FILE
    code, out, _ = run("search", "--image", picture, "--index", index_folder, "--paths", "-k", 1)
    assert (code, out) == (0, f"{picture}\n")
    argv = ("search", f"en:small + {picture}", "--index", index_folder, "--json", "-k", 3)
    code, out, _ = run(*argv, "--without", "en:circle")
    answer = json.loads(out)
    assert code == 0
    assert [one["text"] for one in answer["assumed"]] == ["small", "circle"]
    assert FILE not in [hit["id"] for hit in answer["hits"][:1]]


def test_a_model_that_must_know_the_language_is_told_it_or_refuses(run, index_folder, monkeypatch):
    monkeypatch.setattr(small_world.WordTower, "uses_language", True)
    code, _, err = run("search", QUERY, "--index", index_folder)
    assert code == 2
    assert "the tower uses the language, and no languages were given" in err
    assert "--language" in err
    code, out, _ = run("search", QUERY, "--index", index_folder, "--language", "en", "--paths")
    assert (code, FILE in out) == (0, True)


def test_filters(run, index_folder):
    argv = ("search", QUERY, "--index", index_folder, "--json", "-k", 100)
    _, out, _ = run(*argv, "--since", "1999", "--until", "2000")
    assert json.loads(out)["hits"] == []
    _, out, _ = run(*argv, "--since", "2020", "--min-size", "1")
    assert len(json.loads(out)["hits"]) == len(small_world.PHRASES)
    code, _, err = run("search", QUERY, "--index", index_folder, "--folder", "elsewhere")
    assert (code, "the folder 'elsewhere'" in err) == (2, True)
    _, out, err = run("search", QUERY, "--index", index_folder, "--since", "2200")
    assert out == "nothing found\n"
    assert "none from 2200-01-01 on" in err


def test_folders_from_here(run, index_folder, picture_folder, monkeypatch):
    monkeypatch.chdir(picture_folder.parent)
    for folder in (picture_folder.name, ".", f"./{picture_folder.name}/", picture_folder):
        argv = ("search", QUERY, "--index", index_folder, "--folder", folder, "--paths", "-k", 2)
        code, out, _ = run(*argv)
        assert (code, len(out.splitlines())) == (0, 2)


def test_more_than_is_shown_is_said(run, index_folder):
    total = len(small_world.PHRASES)
    _, _, err = run("search", QUERY, "--index", index_folder, "-k", 2)
    assert f"2 of {total}; --top 4 shows more" in err
    _, _, err = run("search", QUERY, "--index", index_folder, "-k", 1000)
    assert "shows more" not in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--since", "yesterday"), "2024-07-31"),
        (("--min-size", "big"), "bytes are wanted"),
        (("--min-size", "-5"), "the smallest size is -5 bytes; 0 or more are allowed"),
        (("--since", "2025", "--until", "2024"), "must not be after"),
        (("--image", "none.png"), "none.png cannot be read"),
        (("--top", "0"), "top 0"),
        (("--since", "1"), "2024-07-31"),
        (("--json", "--paths"), "--json and --paths were given"),
        (("--paths", "--no-thumbnails", "--json"), "--json and --paths were given"),
        (("--thumbnails", "--json"), "--json and --thumbnails were given"),
        (("--alike", "0.9", "--keep-copies"), "--alike and --keep-copies were given"),
    ],
)
def test_what_cannot_be_asked(run, index_folder, argv, said):
    code, _, err = run("search", QUERY, "--index", index_folder, *argv)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_broken_query_is_pointed_at(run, index_folder):
    code, _, err = run("search", '"a" + "b', "--index", index_folder)
    assert code == 2
    assert "column 7" in err


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("\u200b\u200c", "an empty query"),
        ("caf\udce9", "not valid UTF-8"),
        ("de:", "nothing follows"),
    ],
)
def test_what_is_no_query_is_said_in_two_lines(run, index_folder, query, said):
    code, _, err = run("search", query, "--index", index_folder)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_neither_text_nor_picture(run, index_folder):
    code, _, err = run("search", "--index", index_folder)
    assert code == 2
    assert "neither a text nor an image" in err


def test_the_table_fits_and_names_are_harmless(run, model_folder, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("x" * 120, "日本" * 40, "evil\x1b[31m")):
        picture = small_world.draw(small_world.PHRASES[number])
        picture.save(folder / f"{name}.png")
    run("index", folder, "--model", model_folder, "--out", tmp_path / "i")
    code, out, _ = run("search", QUERY, "--index", tmp_path / "i")
    assert code == 0
    from rich.cells import cell_len

    assert len(out.splitlines()) == 3
    assert max(map(cell_len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert r"\x1b" in out


def test_copies_are_counted(run, index_folder, picture_folder, model_folder):
    (picture_folder / "copy.png").write_bytes((picture_folder / FILE).read_bytes())
    run("index", picture_folder, "--model", model_folder, "--out", index_folder)
    argv = ("search", "--image", picture_folder / FILE, "--index", index_folder, "-k", 2)
    _, out, _ = run(*argv)
    assert "+1 the same" in out.splitlines()[0]
    _, out, _ = run(*argv, "--keep-copies")
    assert "the same" not in out


def test_languages_says_that_nobody_measured(run, index_folder, pack_folder):
    argv = ("languages", "--index", index_folder, "--pack", pack_folder)
    code, out, _ = run(*argv)
    assert code == 0
    assert "eng_Latn" in out
    assert "teacher" in out
    assert max(map(len, out.splitlines())) <= 80


def test_languages_with_scores(run, index_folder, pack_folder):
    scores = {
        "arb_Arab": {"pack": 0.5, "teacher": 0.25, "speaks": "pack"},
        "deu_Latn": {"pack": 0.1, "teacher": 0.2, "speaks": "teacher"},
    }
    small_world.edit(pack_folder / "pack.json", languages=scores)
    argv = ("languages", "--index", index_folder, "--pack", pack_folder)
    code, out, _ = run(*argv, "--json")
    rows = {row["language"]: row for row in json.loads(out)}
    assert code == 0
    assert list(rows) == sorted(rows)
    assert (rows["arb_Arab"]["pack"], rows["arb_Arab"]["dev_score"]) == ("pack", 0.5)
    assert (rows["deu_Latn"]["speaker"], rows["deu_Latn"]["dev_score"]) == ("teacher", 0.2)
    _, out, _ = run(*argv)
    line = next(line for line in out.splitlines() if line.startswith("arb_Arab"))
    assert line.split()[-2:] == ["50.0", "25.0"]
    assert "العربية" in line


def test_a_guess_is_told(run, index_folder, pack_folder):
    scores = {
        name: {"pack": 0.5, "teacher": 0.1, "speaks": "pack"} for name in small_world.LANGUAGES
    }
    small_world.edit(pack_folder / "pack.json", languages=scores)
    argv = ("search", "ein roter Kreis", "--index", index_folder, "--pack", pack_folder)
    _, _, err = run(*argv)
    assert "taken for German" in err
    assert "--language LANGUAGE says which" in err
    _, _, err = run("search", "2024!", *argv[2:])
    assert "no letters, so no language is assumed" in err
    _, _, err = run("search", "cat:dog", *argv[2:])
    assert "cat: is read as part of the text" in err
    _, _, err = run(*argv, "-l", "de")
    assert "(deu_Latn)" in err
    assert "guess" not in err


JPEG = io.BytesIO()
Image.new("RGB", (64, 40), (250, 10, 10)).save(JPEG, "JPEG")


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb"}, None),
        ({}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, None),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_which_terminals_show_pictures(environment, way):
    assert terminal.image_way(environment, is_terminal=True) == way
    assert terminal.image_way(environment, is_terminal=False) is None


def test_kitty_takes_png_in_chunks():
    import base64
    import re

    noise = Image.effect_noise((250, 250), 90).convert("RGB")
    written = io.BytesIO()
    noise.save(written, "JPEG")
    shown = terminal.picture(written.getvalue(), way="kitty")
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert "".join(f"\x1b_G{facts};{data}\x1b\\" for facts, data in parts) == shown
    assert len(parts) > 1
    assert all(len(data) <= 4096 for _, data in parts)
    assert parts[0][0].startswith("a=T,f=100")
    assert [facts[-3:] for facts, _ in parts] == ["m=1"] * (len(parts) - 1) + ["m=0"]
    png = base64.b64decode("".join(data for _, data in parts))
    assert Image.open(io.BytesIO(png)).size == (250, 250)


def test_iterm_takes_the_file():
    import base64

    shown = terminal.picture(JPEG.getvalue(), way="iterm")
    assert shown.startswith("\x1b]1337;File=inline=1;")
    assert shown.endswith("\x07")
    assert base64.b64decode(shown[:-1].rsplit(":", 1)[1]) == JPEG.getvalue()


def test_sixels_draw_the_picture():
    """Decoded by a naive reader: every pixel comes back in the colour of its palette entry."""
    import re

    shown = terminal.picture(JPEG.getvalue(), way="sixel")
    assert shown.startswith("\x1bPq")
    assert shown.endswith("\x1b\\")
    palette, pixels, x, band, colour = {}, {}, 0, 0, 0
    body = re.sub(r'^"[\d;]+', "", shown[3:-2])
    for part in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([?-~])|(\$)|(-)", body):
        if part[1]:
            palette[int(part[1])] = tuple(int(part[i]) for i in (2, 3, 4))
        elif part[5]:
            colour = int(part[5])
        elif part[9]:
            x = 0
        elif part[10]:
            x, band = 0, band + 1
        else:
            count, letter = (int(part[6]), part[7]) if part[6] else (1, part[8])
            for column in range(x, x + count):
                for bit in range(6):
                    if (ord(letter) - 63) >> bit & 1:
                        pixels[column, 6 * band + bit] = palette[colour]
            x += count
    assert set(pixels) == {(x, y) for x in range(64) for y in range(40)}
    assert all(red > 90 and green < 10 and blue < 10 for red, green, blue in pixels.values())
