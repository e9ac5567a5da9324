"""Whole demonstrations as one table, for what imitates them beside the rows of a trainer's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from mlagents.data.experience import Experience
from mlagents.demonstrations.replayed import experience
from mlagents.demonstrations.settings import SourceSettings
from mlagents.demonstrations.sources import make_source
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.demonstrations.file import demonstration_files, read_spec
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
    return rows_of([SourceSettings(file=path)], spec, device)


def rows_of(sources: Sequence[SourceSettings], spec: BehaviorSpec, device: torch.device | str = "cpu") -> Experience:
    """Return the rows of all files of several sources, as `demonstrated_rows` does of one path."""
    found = []
    for piece in (piece for source in sources for piece in make_source(source, spec).poll()):
        rows = experience(piece.records.transitions(), lambda action: action) if piece.records is not None else None
        if rows is not None and len(rows):
            cut = rows.interrupted.clone()
            cut[-1] |= ~rows.done[-1]
            found.append(replace(rows, interrupted=cut))
    if not found:
        places = ", ".join(str(source.file) for source in sources)
        why = "no two records that follow each other: there is nothing to imitate"
        raise DemonstrationException(f"{places} holds {why}")
    return Experience.concat(found).map(lambda column: column.to(device))


def demonstrated_spec(sources: Sequence[SourceSettings]) -> BehaviorSpec:
    """Return what the agents of demonstrations see and do, by the first file.

    Raises DemonstrationException for a file that is damaged, FileNotFoundError or ValueError if there is none.
    """
    first = sources[0]
    return read_spec(demonstration_files(str(first.file))[0], images=first.images)
