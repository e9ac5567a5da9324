"""Whole demonstrations as one table, for what imitates them beside the rows of a trainer's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from mlagents.data.experience import Experience
from mlagents.demonstrations.replayed import experience
from mlagents.demonstrations.sources import FileSource
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.exception import DemonstrationException


@contextmanager
def naming_the_key(key: str) -> Iterator[None]:
    """Put the key of the YAML before what is wrong with its demonstrations."""
    try:
        yield
    except (DemonstrationException, FileNotFoundError, ValueError) as error:
        raise DemonstrationException(f"{key}: {error}") from error


def demonstrated_rows(path: str, spec: BehaviorSpec, device: torch.device | str = "cpu") -> Experience:
    """Return all rows of a .demo file, a folder or a pattern, in order, with actions as the environment got them.

    The last row of a file whose episode goes on is marked as interrupted but not done. Raises DemonstrationException
    for a file that is damaged, of other agents, or without any row; FileNotFoundError or ValueError if there is none.
    """
    found = []
    for piece in FileSource(path, spec).poll():
        rows = experience(piece.records.transitions(), lambda action: action) if piece.records is not None else None
        if rows is not None and len(rows):
            cut = rows.interrupted.clone()
            cut[-1] |= ~rows.done[-1]
            found.append(replace(rows, interrupted=cut))
    if not found:
        raise DemonstrationException(f"{path} holds no two records that follow each other: there is nothing to imitate")
    return Experience.concat(found).map(lambda column: column.to(device))
