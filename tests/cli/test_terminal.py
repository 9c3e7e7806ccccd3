"""Nothing that is printed steers the terminal, and every output takes what it is given."""

import io
import json
import sys

import pytest
import typer

import small_world
from polyglance.cli import terminal

NAMES = {
    "esc\x1b[31mred\x1b[0m.png": r"esc\x1b[31mred\x1b[0m.png",
    "title\x1b]0;owned\x07.png": r"title\x1b]0;owned\x07.png",
    "line\nbreak.png": r"line\nbreak.png",
    "c1\x9b31m.png": r"c1\x9b31m.png",
    "rtl\u202egnp.png": r"rtl\u202egnp.png",
}


class Tty(io.TextIOWrapper):
    """A terminal, or a file in some encoding."""

    def __init__(self, *, encoding="utf-8", is_terminal=True):
        super().__init__(io.BytesIO(), encoding=encoding)
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def printed(monkeypatch):
    """What a block prints to a stream."""

    def to(stream, block, **environment):
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdout", stream)
        with terminal.streams():
            block()
        assert sys.stdout is stream
        return stream.text()

    return to


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_names_are_made_visible(printed, name, is_terminal):
    assert terminal.shown(name) == NAMES[name]
    assert terminal.fitted(name, 80) == NAMES[name]
    said = printed(Tty(is_terminal=is_terminal), lambda: typer.echo(terminal.shown(name)))
    assert said == NAMES[name] + "\n"
    # The net below: a verb that forgot.
    said = printed(Tty(is_terminal=is_terminal), lambda: print(f"found {name}"))
    for sign in ("\x1b]", "\x07", "\x9b", "\u202e"):
        assert sign not in said


def test_letters_of_living_languages_pass(printed):
    text = "می‌خواهم 👩‍👩‍👧 全角　空白 ü\tתמונה‏"
    assert terminal.shown(text.replace("\t", "")) == text.replace("\t", "")
    assert printed(Tty(), lambda: typer.echo(text)) == text + "\n"


@pytest.mark.parametrize(
    ("environment", "styled"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_styles_where_they_are_wanted(printed, environment, styled):
    said = printed(Tty(), lambda: typer.secho("error", fg="red"), **environment)
    assert ("\x1b[31m" in said) is styled
    assert "error" in said


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-16"])
def test_an_output_that_lacks_letters(printed, encoding):
    said = printed(
        Tty(encoding=encoding, is_terminal=False), lambda: typer.echo("Katze \u732b \udcff")
    )
    assert said == ("Katze \u732b \\udcff\n" if encoding == "utf-16" else "Katze ? \\udcff\n")


def test_json_stays_json(printed):
    names = [*NAMES, "half \ud83d sign"]
    said = printed(Tty(), lambda: typer.echo(json.dumps(names, ensure_ascii=False)))
    assert json.loads(said) == names


def test_pictures_pass_by(printed):
    assert printed(Tty(), lambda: terminal.send("\x1b_Ga=T\x1b\\")) == "\x1b_Ga=T\x1b\\\n"


def test_names_in_every_list_of_index_and_search(run, model_folder, tmp_path):
    folder, index = tmp_path / "pictures", tmp_path / "i"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        picture = small_world.draw(small_world.PHRASES[number], seed=number)
        picture.save(folder / name)
    (folder / "damaged\x1b[1m.png").write_bytes(b"no picture")
    argv = ("index", folder, "--model", model_folder, "--out", index)
    found = run(*argv)
    assert found[1].startswith("5 new")
    assert r"damaged\x1b[1m.png" in found[2]
    for more in ((), ("--json",)):
        answer = run("search", "ring", "-l", "en", "--index", index, "-k", 9, *more)
        assert answer[0] == 0
        found += answer
    # A program is given the paths themselves: what is made visible may be another file's name.
    code, out, err = run("search", "ring", "-l", "en", "--index", index, "-k", 9, "--paths")
    broken = "line\nbreak.png"
    assert sorted(out.split("\n")[:-1]) == sorted(str(folder / n) for n in NAMES if n != broken)
    assert code == 2
    assert NAMES[broken] in err
    assert "--json" in err
    found += (err,)
    for name in NAMES:
        (folder / name).rename(folder / f"x{name}")
    found += run(*argv)
    for name in NAMES:
        (folder / f"x{name}").unlink() if "red" in name else None
    found += run(*argv)
    said = "".join(each for each in found if isinstance(each, str))
    assert "x" + NAMES["title\x1b]0;owned\x07.png"] in said
    assert not terminal.STEERING.search(said)


LINES = ["tab\there.jpg", "\udcff.jpg", "two\nlines.jpg", "\u732b.jpg"]


def test_a_program_is_given_the_bytes_of_names(printed):
    stream, untold = Tty(encoding="ascii", is_terminal=False), []
    printed(stream, lambda: untold.extend(terminal.send_lines(LINES[:1])))
    assert stream.buffer.getvalue() == b"tab\there.jpg\n"
    stream = Tty(encoding="latin-1", is_terminal=False)
    printed(stream, lambda: untold.extend(terminal.send_lines(LINES)))
    assert stream.buffer.getvalue() == b"tab\there.jpg\n\xff.jpg\n\xe7\x8c\xab.jpg\n"
    assert untold == LINES[2:3]


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_is_given_visible_names(printed, environment):
    untold = []
    said = printed(Tty(), lambda: untold.extend(terminal.send_lines(LINES)), **environment)
    assert said == "tab\\there.jpg\n\\udcff.jpg\ntwo\\nlines.jpg\n\u732b.jpg\n"
    assert not untold


def test_sentences_fit_eighty_columns_and_keep_their_words():
    said = "photos answers: --model hf:openai/clip-vit-base-patch32 knows more; " * 4
    lines = terminal.wrapped(said, indent=5, hanging=2).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line[:7].strip() for line in lines[1:]] == [""] * (len(lines) - 1)
    assert " ".join(line.strip() for line in lines) == said.strip()
    assert terminal.wrapped("/" + "long" * 40) == "/" + "long" * 40


def test_sentences_are_cut_at_spaces_on_standard_error(capsys):
    long = "x" * 90
    terminal.tell([None, "one two " * 20, long])
    found = capsys.readouterr()
    assert found.out == ""
    lines = found.err.splitlines()
    assert [line for line in lines if len(line) > 80] == [long]
    assert " ".join(lines[:-1]).split() == ["one", "two"] * 20
