"""The replay buffer of demonstrations, and their share of a batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mlagents.data.experience import Actions
from mlagents.data.n_step import NStepReturns
from mlagents.data.replay import Complete, ReplayBuffer, Transition
from mlagents.data.rollout import Tick
from mlagents.demonstrations.replayed import ReplayedDemonstration
from mlagents.demonstrations.sources import Piece, Source

log = logging.getLogger(__name__)


class Take(NamedTuple):
    """A recording that is being read."""

    replayed: ReplayedDemonstration
    returns: NStepReturns
    write: Callable[[Complete], None]  # to the buffer


class DemonstrationBuffer:
    """Rows of demonstrations, of every source."""

    def __init__(
        self, sources: Iterable[Source], memory: ReplayBuffer, *, from_env_action: Callable[[Actions], Actions],
        reward: Callable[[Tick], Tensor], returns: Callable[[], NStepReturns], memory_size: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        """memory: where rows go; reward: (n, S) of a tick; returns: makes n-step counters; device: of the rows.

        memory_size: of the policy's memory, which is zeros in these rows.
        """
        self.memory = memory
        self._memory_size, self._device = memory_size, device
        self.rows_of: dict[str, int] = {}  # source -> its rows so far
        self._sources = list(sources)
        self._from_env_action, self._reward, self._returns = from_env_action, reward, returns
        self._takes: dict[tuple[Path, int], Take] = {}
        self._observed: dict[str, int] = {}  # file -> rows that the normalizer has seen
        self._read: dict[str, int] = {}  # file -> its rows so far
        self._carry = 0.0  # fraction of a row that is carried over to the next batch

    def __len__(self) -> int:
        return len(self.memory)

    def poll(self) -> list[tuple[Tensor, ...]]:
        """Read new records of all sources; return the observations that the normalizer has not seen yet."""
        unseen: list[tuple[Tensor, ...]] = []
        for source in self._sources:
            for piece in source.poll():
                before = self.memory.seen
                for obs in self._take(piece):
                    unseen += self._unobserved(str(piece.file), obs)
                self.rows_of[source.name] = self.rows_of.get(source.name, 0) + self.memory.seen - before
        return unseen

    def share(self, ratio: float, batch_size: int) -> int:
        """Return how many rows of a batch are taken from demonstrations.

        Fractions of a row are carried over, so that the share over many batches equals the ratio.
        """
        if not len(self.memory):
            return 0
        wanted = self._carry + ratio * batch_size
        rows = min(int(wanted + 1e-6), batch_size)
        self._carry = wanted - rows
        return rows

    def sample(self, n: int) -> Transition:
        """Return n random rows."""
        return self.memory.sample(n)

    def state_dict(self) -> Mapping[str, int]:
        """Return how many rows of each file the normalizer has seen; the rows themselves are read again."""
        return dict(self._observed)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore what `state_dict` returned."""
        self._observed = dict(state)

    def _take(self, piece: Piece) -> Iterator[tuple[Tensor, ...]]:
        """Put the rows of a piece into memory and yield their observations."""
        take = piece.file, piece.take
        if take not in self._takes:
            replayed = ReplayedDemonstration(self._from_env_action, self._device, self._memory_size)
            self._takes[take] = Take(replayed, self._returns(), self.memory.writer())
            log.info(f"Demonstrations: {piece.file} {'is read' if piece.finished else 'is followed as it is made'}.")
        replayed, returns, write = self._takes[take]
        for tick in () if piece.records is None else replayed.ticks(piece.records):
            for part in returns.take(tick, self._reward(tick)):
                write(part)
            yield tick.rows.input.obs
        if piece.finished:
            for part in returns.clear():
                write(part)
            del self._takes[take]
            log.info(f"Demonstrations: {piece.file} gave {self._read.get(str(piece.file), 0)} rows.")

    def _unobserved(self, file: str, obs: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
        """Yield the rows of a file beyond those that were observed before a resume."""
        before = self._read.get(file, 0)
        self._read[file] = before + len(obs[0])
        skipped = max(self._observed.get(file, 0) - before, 0)
        self._observed[file] = max(self._observed.get(file, 0), self._read[file])
        if skipped < len(obs[0]):
            yield tuple(column[skipped:] for column in obs)
