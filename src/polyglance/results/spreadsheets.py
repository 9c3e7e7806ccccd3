"""CSV cells: text that a spreadsheet would run as a formula is defused, and restored."""

from __future__ import annotations

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """A value as a CSV holds it: a text that a spreadsheet would run as a formula is defused.

    >>> cell("=1+1"), cell(-0.5), cell("de")
    ("'=1+1", -0.5, 'de')
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_SIGNS) else value


def text_of(text: str) -> str:
    """What `cell` was given.

    >>> text_of("'=1+1"), text_of("'quoted'")
    ('=1+1', "'quoted'")
    """
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_SIGNS) else text
