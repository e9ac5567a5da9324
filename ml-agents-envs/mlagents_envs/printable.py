"""Text from elsewhere, such as names that a player or a file gives, so that a terminal and a page only show it."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of Unicode: control, direction, surrogates, unassigned
LAYOUT = "\n\t"  # of our own lines


def printable(text: str, *, layout: bool = False) -> str:
    """Return text whose control characters are written as in Python, an escape as x1b, so that they do nothing.

    layout: ends of lines and tabs stay.
    """
    if text.isascii() and text.isprintable():  # as nearly always
        return text
    return "".join(
        letter if (layout and letter in LAYOUT) or unicodedata.category(letter) not in HIDDEN else _escaped(letter)
        for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
