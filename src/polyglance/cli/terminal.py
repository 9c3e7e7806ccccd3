"""Output to the terminal: plain texts cut to a width, and images where it can show them.

Everything that is printed goes through `streams`: what would steer a terminal is made visible, and
a letter that the output's encoding lacks is replaced.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO

Way = Literal["iterm", "kitty", "sixel"]
WIDTH = 80

# By what a terminal says of itself: variable, beginning of its value, the way it shows images.
SIGNS: tuple[tuple[str, str, Way], ...] = (
    ("KITTY_WINDOW_ID", "", "kitty"),
    ("TERM", "xterm-kitty", "kitty"),
    ("TERM", "xterm-ghostty", "kitty"),
    ("TERM_PROGRAM", "ghostty", "kitty"),
    ("TERM_PROGRAM", "iTerm.app", "iterm"),
    ("TERM_PROGRAM", "WezTerm", "iterm"),
    ("TERM_PROGRAM", "mintty", "iterm"),
    ("LC_TERMINAL", "iTerm2", "iterm"),
    ("KONSOLE_VERSION", "", "sixel"),
    ("TERM", "foot", "sixel"),
    ("TERM", "mlterm", "sixel"),
    ("TERM", "contour", "sixel"),
)
COLUMNS, LINES = 24, 8
SIXEL_HEIGHT = 160  # pixels: eight lines of twenty
KITTY_CHUNK = 4096  # characters, by its protocol
OUTPUT = "standard output"
# What steers a terminal or turns the order of letters round: control characters of both tables but
# the end of a line and tabs, separators of lines, overrides and isolates of direction, half signs.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
ON_ONE_LINE = re.compile(rf"[\t\n]|{STEERING.pattern}")
# Styles, where the terminal has colours: bold, dim, a colour, and back.
STYLE = re.compile("\x1b\\[[0-9;]{0,12}m")


class Visible:
    """A stream on which nothing steers the terminal; whatever else it does, the stream does.

    Args:
        stream: The real one.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._has_styles = self.isatty()

    def isatty(self) -> bool:
        """Whether it is a terminal that may be shown styles; `NO_COLOR` and a dumb one may not."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return self.stream.isatty() and not plain

    def write(self, text: str) -> int:
        """Write a text, what would steer the terminal as an escape that JSON reads as well."""
        if not isinstance(text, str):  # that is how libraries ask whether it takes bytes
            raise TypeError(f"a text is written here, not {type(text).__name__}")
        if STEERING.search(text):
            text = self._visible(text)
        with self._named():
            self.stream.write(text)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, after what was written before; for programs, no terminal."""
        with self._named():
            self.stream.flush()
            self.stream.buffer.write(data)
            self.stream.buffer.flush()

    def flush(self) -> None:
        """As the stream's."""
        with self._named():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # a way round
            raise AttributeError(name)
        return getattr(self.stream, name)

    def _visible(self, text: str) -> str:
        end = "\r" if text.endswith("\r") and self._has_styles else ""
        kept = STYLE.findall(text) if self._has_styles else []
        parts = STYLE.split(text.removesuffix(end)) if kept else [text.removesuffix(end)]
        shown = [STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", part) for part in parts]
        styled = [part + style for part, style in zip(shown, [*kept, ""], strict=True)]
        return "".join(styled) + end

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What the system refuses has the stream's name, as that of a file has the file's.

        Where the reader closed the stream (head, less), the work goes on and the rest is dropped.
        """
        try:
            yield
        except BrokenPipeError:
            self.drop()
        except OSError as error:
            if error.errno is not None:
                error.filename = OUTPUT
            raise

    def drop(self) -> None:
        """Let nothing more be written, not even when the interpreter ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Have all that is printed in the block pass `Visible`, in letters that the output has."""
    before = sys.stdout, sys.stderr
    handlings = []
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            handlings.append((stream, stream.errors))
            with contextlib.suppress(OSError):  # it writes what is waiting; said when we do
                stream.reconfigure(errors="replace")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # for streams that were closed
        sys.stdout, sys.stderr = (Visible(stream or nowhere) for stream in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            for stream, errors in handlings:
                with contextlib.suppress(OSError, ValueError):
                    stream.reconfigure(errors=errors)


def is_text(text: str) -> bool:
    """Whether a text is valid Unicode; bytes that were no UTF-8 are half signs in it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str) -> str:
    r"""A name on one line: what would steer the terminal or end the line is made visible.

    >>> print(shown("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    return ON_ONE_LINE.sub(
        lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text
    )


def send(characters: str) -> None:
    """Characters that do steer the terminal, such as those of `image`, past `streams`."""
    stream = sys.stdout.stream if isinstance(sys.stdout, Visible) else sys.stdout
    stream.write(f"{characters}\n")
    stream.flush()


def send_lines(names: Sequence[str]) -> list[str]:
    """Names, one a line: visible on a terminal, with their exact bytes where a program reads them.

    A made-visible name may be that of another file, so that no program may be given it.

    Args:
        names: Of files; bytes that were no UTF-8 are half signs in them.

    Returns:
        Those that hold the end of a line, which no program could tell from two: they are left out.
    """
    visible = sys.stdout if isinstance(sys.stdout, Visible) else Visible(sys.stdout)
    if visible.stream.isatty():
        visible.write("".join(f"{shown(name)}\n" for name in names))
        return []
    told = [name for name in names if "\n" not in name]
    visible.write_bytes(b"".join(os.fsencode(name) + b"\n" for name in told))
    return [name for name in names if "\n" in name]


def image_way(environment: Mapping[str, str], *, is_terminal: bool) -> Way | None:
    """How images can be shown; None where they cannot.

    Args:
        environment: As the process has it.
        is_terminal: Whether what is printed goes to a terminal.

    >>> image_way({"TERM": "xterm-kitty"}, is_terminal=True)
    'kitty'
    >>> image_way({"TERM": "xterm-kitty"}, is_terminal=False)
    """
    # Multiplexers keep the variables of the terminal outside and do not pass images on.
    if not is_terminal or "TMUX" in environment or environment.get("TERM", "").startswith("screen"):
        return None
    for name, beginning, way in SIGNS:
        if environment.get(name) and environment[name].startswith(beginning):
            return way
    return None


def picture(jpeg: bytes, *, way: Way) -> str:
    """A thumbnail as the characters that show it, eight lines high.

    Args:
        jpeg: The file's bytes.
        way: How the terminal shows images.
    """
    if way == "iterm":
        facts = f"inline=1;size={len(jpeg)};height={LINES};preserveAspectRatio=1"
        return f"\x1b]1337;File={facts}:{base64.b64encode(jpeg).decode()}\x07"
    return _kitty(jpeg) if way == "kitty" else _sixel(jpeg)


def wrapped(text: str, *, indent: int = 0, hanging: int = 0) -> str:
    """A sentence on lines of 80 columns; words, paths and options stay whole.

    Args:
        text: The sentence.
        indent: Spaces in front of each line.
        hanging: More of them in front of the second line and those below.

    >>> wrapped("a dog " * 14, indent=2, hanging=1).splitlines()[1]
    '   a dog'
    """
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def tell(sentences: Iterable[str | None]) -> None:
    """Sentences on standard error, dim, each on lines of 80 columns; None is left out."""
    import typer

    for sentence in sentences:
        if sentence is not None:
            typer.secho(wrapped(sentence), dim=True, err=True)


def fitted(text: str, width: int) -> str:
    r"""A text in so many columns: control characters made visible, the middle left out.

    >>> fitted("holidays/2024/beach.jpg", 15)
    'holiday…ach.jpg'
    >>> fitted("a\x1b[31mb", 20)
    'a\\x1b[31mb'
    """
    from rich.cells import cell_len, set_cell_size

    whole = shown(text)
    if cell_len(whole) <= width:
        return whole
    head = set_cell_size(whole, (width - 1) // 2)
    tail = whole
    while cell_len(tail) > width - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}…{tail}"


def padded(text: str, width: int) -> str:
    """A text in exactly so many columns.

    >>> padded("日本語", 8) + "|"
    '日本語  |'
    """
    from rich.cells import cell_len

    cut = fitted(text, width)
    return cut + " " * (width - cell_len(cut))


def _kitty(jpeg: bytes) -> str:
    """By kitty's graphics protocol, which takes PNG, in chunks."""
    from PIL import Image

    written = io.BytesIO()
    Image.open(io.BytesIO(jpeg), formats=["JPEG"]).save(written, "PNG")
    data = base64.b64encode(written.getvalue()).decode()
    chunks = [data[start : start + KITTY_CHUNK] for start in range(0, len(data), KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        facts = f"a=T,f=100,r={LINES}," if number == 0 else ""
        more = int(number < len(chunks) - 1)
        parts.append(f"\x1b_G{facts}m={more};{chunk}\x1b\\")
    return "".join(parts)


def _sixel(jpeg: bytes) -> str:
    """As sixels: bands of six lines, one pass a colour, runs counted."""
    import numpy as np
    from PIL import Image

    opened = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    opened.thumbnail((3 * SIXEL_HEIGHT, SIXEL_HEIGHT))
    few = opened.quantize(64)
    pixels = np.asarray(few)  # (height, width) of colour numbers
    palette = (few.getpalette() or [])[: 3 * (int(pixels.max()) + 1)]
    parts = [f'\x1bPq"1;1;{few.width};{few.height}']
    for number in range(len(palette) // 3):
        red, green, blue = (round(v / 2.55) for v in palette[3 * number : 3 * number + 3])
        parts.append(f"#{number};2;{red};{green};{blue}")
    for top in range(0, few.height, 6):
        band = pixels[top : top + 6]  # (up to 6, width)
        weights = (1 << np.arange(len(band)))[:, None]
        for number in np.unique(band).tolist():
            bits = ((band == number) * weights).sum(axis=0)  # (width,)
            parts.append(f"#{number}{_runs(bits.tolist())}$")
        parts.append("-")
    return "".join(parts) + "\x1b\\"


def _runs(bits: list[int]) -> str:
    """Columns of a band as characters, repeated ones counted."""
    from itertools import groupby

    parts = []
    for value, same in groupby(bits):
        count, letter = len(list(same)), chr(63 + value)
        parts.append(f"!{count}{letter}" if count > 3 else letter * count)
    return "".join(parts)
