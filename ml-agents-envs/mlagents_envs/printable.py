"""Escapes untrusted text, such as names from a player or a file, before it is printed or shown on a page."""

from __future__ import annotations

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of Unicode: control, direction, surrogates, unassigned
LAYOUT = "\n\t"  # allowed in the package's own lines


def printable(text: str, *, layout: bool = False) -> str:
    """Return text whose control characters are written as in Python, such as x1b for an escape.

    layout: keep line ends and tabs.
    """
    if text.isascii() and text.isprintable():  # the usual case
        return text
    return "".join(
        letter if (layout and letter in LAYOUT) or unicodedata.category(letter) not in HIDDEN else _escaped(letter)
        for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
