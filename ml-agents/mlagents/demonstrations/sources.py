"""Sources of demonstrations: complete files, and files that are still being recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from mlagents.demonstrations.settings import SourceSettings
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.demonstrations.file import SUFFIX, Align, Demonstration, Images, demonstration_files, read
from mlagents_envs.demonstrations.growing import GrowingDemonstration
from mlagents_envs.exception import DemonstrationException

POLL_INTERVAL = 0.5  # seconds between looks at files that are being recorded
log = logging.getLogger(__name__)


class Piece(NamedTuple):
    """Consecutive records of one demonstration."""

    file: Path
    records: Demonstration | None  # None if only `finished` is new
    finished: bool  # no more records will follow
    take: int = 1  # number of the recording under this file name


class Source(Protocol):
    """A source of demonstrations."""

    name: str
    """Its name in statistics and logs, for example file:PATH."""

    def poll(self) -> list[Piece]:
        """Return the records since the last call."""


class FileSource:
    """Complete files."""

    def __init__(self, path: str, spec: BehaviorSpec, *, align: Align = "auto", images: Images = "auto") -> None:
        """align, images: as in `mlagents_envs.demonstrations.file.read`.

        Raises DemonstrationException if a file is damaged or its specs differ from the behavior's.
        """
        self.name = f"file:{path}"
        read_file = partial(read, align=align, images=images, actions=spec.action_spec)
        self._pieces = [Piece(file, read_file(file), True) for file in demonstration_files(path)]
        for piece in self._pieces:
            check_fit(piece.file, piece.records, spec)

    def poll(self) -> list[Piece]:
        """Return all records at the first call, then none."""
        pieces, self._pieces = self._pieces, []
        return pieces


class LiveSource:
    """A file that is being recorded, or a folder for such files; neither has to exist yet.

    A file that is damaged or whose specs differ is skipped with one warning.
    """

    def __init__(
        self, path: str, spec: BehaviorSpec, *, align: Align = "auto", images: Images = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """align, images: as in `mlagents_envs.demonstrations.file.read`."""
        self.name = f"live:{path}"
        self._follow = partial(GrowingDemonstration, align=align, images=images, actions=spec.action_spec)
        self._path, self._spec, self._clock = Path(path), spec, clock
        self._files: dict[Path, GrowingDemonstration] = {}
        self._unfit: set[Path] = set()
        self._next_look = clock()

    def poll(self) -> list[Piece]:
        """Return the records since the last call; reads at most every POLL_INTERVAL."""
        if self._clock() < self._next_look:
            return []
        present = self._present()
        self._files |= {file: self._follow(file) for file in present if file not in self._files}
        looked = [self._look(self._files[file]) for file in present]
        self._next_look = self._clock() + POLL_INTERVAL
        return [piece for piece in looked if piece is not None]

    def _present(self) -> list[Path]:
        """Return the files that may have more to give, sorted by name."""
        if self._path.is_dir():
            found = sorted(file for file in self._path.iterdir() if file.suffix == SUFFIX)
        else:
            found = [self._path] if self._path.is_file() else []
        return [file for file in found if file not in self._unfit]

    def _look(self, growing: GrowingDemonstration) -> Piece | None:
        """Return the new records of a file, None if there are none."""
        finished = growing.finished
        try:
            records = growing.more()
            check_fit(growing.path, records, self._spec)
        except DemonstrationException as error:
            log.warning(f"{error}; it is skipped.")
            self._unfit.add(growing.path)
            return None
        news = records is not None or growing.finished > finished
        return Piece(growing.path, records, growing.finished, growing.takes) if news else None


def make_source(settings: SourceSettings, spec: BehaviorSpec) -> Source:
    """Return the source that the settings name; raises DemonstrationException if its files cannot be used."""
    if settings.file is not None:
        return FileSource(settings.file, spec, align=settings.align, images=settings.images)
    return LiveSource(str(settings.live), spec, align=settings.align, images=settings.images)


def check_fit(file: Path, records: Demonstration | None, spec: BehaviorSpec) -> None:
    """Raise DemonstrationException, with what differs, if the specs of records differ from the behavior's."""
    difference = None if records is None else incompatibility(records.spec, spec)
    if difference is not None:
        raise DemonstrationException(f"{file} does not fit this behavior: {difference}")


def incompatibility(shown: BehaviorSpec, own: BehaviorSpec) -> str | None:
    """Return which sensor or action of a demonstration differs from the behavior's, None if none does."""
    sensors = shown.observation_specs
    if len(sensors) != len(own.observation_specs):
        return f"it has {len(sensors)} sensors; the behavior has {len(own.observation_specs)}"
    for i, (recorded, expected) in enumerate(zip(sensors, own.observation_specs, strict=True)):
        if recorded.shape != expected.shape:
            name = f" '{expected.name}'" if expected.name else ""
            return f"sensor {i}{name} has shape {recorded.shape} there; the behavior's has {expected.shape}"
    there, here = shown.action_spec, own.action_spec
    if there.continuous_size != here.continuous_size:
        return f"it has {there.continuous_size} continuous actions; the behavior has {here.continuous_size}"
    if there.discrete_branches != here.discrete_branches:
        return f"its discrete branches are {there.discrete_branches}; the behavior's are {here.discrete_branches}"
    return None
