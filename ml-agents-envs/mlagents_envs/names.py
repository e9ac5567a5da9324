"""Suggests known names for an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 100  # characters; longer names get no suggestion


def nearest(name: str, known: Iterable[str], n: int = 1) -> list[str]:
    """Return up to n known names that resemble `name`, the nearest first; small and capital letters are the same."""
    if len(name) > LONGEST:
        return []
    folded: dict[str, str] = {}
    for other in known:
        folded.setdefault(other.lower(), other)
    return [folded[near] for near in difflib.get_close_matches(name.lower(), folded, n=n)]
