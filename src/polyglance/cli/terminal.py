"""What can this terminal show? Texts cut to a width, and pictures where it says that it can."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Literal

Way = Literal["iterm", "kitty", "sixel"]

# By what a terminal says of itself: variable, beginning of its value, the way it shows pictures.
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


def picture_way(environment: Mapping[str, str], *, is_terminal: bool) -> Way | None:
    """How pictures can be shown; None where they cannot.

    Args:
        environment: As the process has it.
        is_terminal: Whether what is printed goes to a terminal.

    >>> picture_way({"TERM": "xterm-kitty"}, is_terminal=True)
    'kitty'
    >>> picture_way({"TERM": "xterm-kitty"}, is_terminal=False)
    """
    # Multiplexers keep the variables of the terminal outside and do not pass pictures on.
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
        way: How the terminal shows pictures.
    """
    if way == "iterm":
        facts = f"inline=1;size={len(jpeg)};height={LINES};preserveAspectRatio=1"
        return f"\x1b]1337;File={facts}:{base64.b64encode(jpeg).decode()}\x07"
    return _kitty(jpeg) if way == "kitty" else _sixel(jpeg)


def fitted(text: str, width: int) -> str:
    r"""A text in so many columns: control characters made visible, the middle left out.

    >>> fitted("holidays/2024/beach.jpg", 15)
    'holiday…ach.jpg'
    >>> fitted("a\x1b[31mb", 20)
    'a\\x1b[31mb'
    """
    from rich.cells import cell_len, set_cell_size

    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
    if cell_len(shown) <= width:
        return shown
    head = set_cell_size(shown, (width - 1) // 2)
    tail = shown
    while cell_len(tail) > width - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}…{tail}"


def padded(text: str, width: int) -> str:
    """A text in exactly so many columns.

    >>> padded("日本語", 8) + "|"
    '日本語  |'
    """
    from rich.cells import cell_len

    shown = fitted(text, width)
    return shown + " " * (width - cell_len(shown))


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
