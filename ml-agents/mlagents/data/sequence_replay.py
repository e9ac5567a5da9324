"""Off-policy memory for policies that remember: transitions in a ring, linked to sequences of one agent's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mlagents.data.n_step import grown
from mlagents.data.replay import Complete, ReplayBuffer, Transition

NONE = -1  # in the place of a row's number


@dataclass(frozen=True, slots=True)
class SequenceBatch(Transition):
    """Transitions in whole sequences: each is of one episode of one agent, at most `sequence_length` rows."""

    sequence: Tensor  # (n,) int64, the number of each row's sequence; the rows of one are in order


@dataclass(frozen=True, slots=True)
class Linked(Transition):
    """Transitions as they lie in the ring."""

    begins: Tensor  # (n,) bool, it is the first row of its sequence
    step: Tensor  # (n,) int64, how many places further the next row of its sequence lies; 0 while there is none


class SequenceBuffer(ReplayBuffer):
    """The newest `capacity` rows, or all of them; sampled in whole sequences, uniformly, with replacement.

    A sequence may be sampled while it grows. If its first row is overwritten, it begins with the next one.
    """

    def __init__(self, capacity: int | None, length: int, generator: torch.Generator | None = None) -> None:
        """length: most rows of a sequence; the rest as of a `ReplayBuffer`."""
        super().__init__(capacity, generator)
        self.length = length

    def writer(self) -> Callable[[Complete], None]:
        return SequenceWriter(self)

    def append(self, rows: Transition, previous: Tensor | None = None) -> None:
        """Take more rows, as a `ReplayBuffer` does.

        previous: (n,) int64, the number of the row before each in its sequence, counted as `seen` counts; NONE, or the
        number of a row that is gone, where a sequence begins. Without it every row is a sequence.
        """
        number = self.seen + torch.arange(len(rows), device=rows.returns.device)
        if previous is None:
            previous = torch.full_like(number, NONE)
        after = self.seen + len(rows)
        oldest = 0 if self.capacity is None else after - min(len(self) + len(rows), self.capacity)
        begins = previous < oldest
        columns = (rows.rows, rows.next_input, rows.returns, rows.discount, rows.demonstrated)
        ring = self._put(Linked(*columns, begins, torch.zeros_like(number)))
        followed = previous[~begins]
        ring.step[followed % len(ring)] = number[~begins] - followed

    def sample(self, n: int) -> SequenceBatch:
        """Return as many random sequences as have n rows in the mean, at least one; raises IndexError if there is none.

        The first rows of all sequences come first, then the second ones; the loop turns at most `length` times.
        """
        ring = self._filled()
        starts = torch.nonzero(ring.begins[: len(self)])[:, 0]
        count = max(n * len(starts) // len(self), 1)
        chosen = torch.randint(len(starts), (count,), generator=self.generator, device=starts.device)
        place, sequence = starts[chosen], torch.arange(count, device=starts.device)
        places, sequences = [], []
        while len(place):
            places.append(place)
            sequences.append(sequence)
            step = ring.step[place]
            on = step > 0
            place, sequence = (place + step)[on] % len(ring), sequence[on]
        self._sampled = torch.cat(places)
        rows = self._images(ring[self._sampled])
        columns = (rows.rows, rows.next_input, rows.returns, rows.discount, rows.demonstrated)
        return SequenceBatch(*columns, torch.cat(sequences))

    def drop_sampled(self) -> None:
        """Let the sequences that were sampled last never be sampled again, if there are others."""
        if self._sampled is None:
            return
        ring, begins = self._filled(), self._filled().begins.clone()
        begins[self._sampled] = False
        if begins[: len(self)].any():  # rows that nothing leads to are overwritten in their turn
            ring.begins[self._sampled] = False
            ring.step[self._sampled] = 0
        self._sampled = None

    def _filled(self) -> Linked:
        ring = super()._filled()
        assert isinstance(ring, Linked)
        return ring

    def _evict(self, table: Transition, place: Tensor) -> None:
        assert isinstance(table, Linked)
        step = table.step[place]
        table.begins[(place + step)[step > 0] % len(table)] = True
        super()._evict(table, place)

    @staticmethod
    def _named(sensors: int) -> Transition:
        rows = ReplayBuffer._named(sensors)
        none = rows.returns
        return Linked(rows.rows, rows.next_input, none, none, none, none, none)


class SequenceWriter:
    """Links the rows of each lane of one source, as they come, to sequences in a buffer."""

    def __init__(self, buffer: SequenceBuffer) -> None:
        self._buffer = buffer
        self._previous = torch.zeros(0, dtype=torch.int64)  # (lanes,) number of the lane's last row
        self._length = torch.zeros(0, dtype=torch.int64)  # (lanes,) rows of its episode so far

    def __call__(self, part: Complete) -> None:
        """Append rows to the buffer."""
        lane, buffer = part.lane, self._buffer
        self._with_room(lane)
        place = torch.arange(len(lane), device=lane.device)
        first = torch.ones_like(lane, dtype=torch.bool)  # of the lane's rows in this part
        first[1:] = lane[1:] != lane[:-1]
        last = first.roll(-1)
        position = self._length[lane] + place - torch.where(first, place, 0).cummax(0).values
        number = buffer.seen + place
        previous = torch.where(first, self._previous[lane], number - 1)
        buffer.append(part.transitions, torch.where(position % buffer.length == 0, NONE, previous))
        self._previous[lane[last]] = number[last]
        self._length[lane[last]] = 0 if part.closed else position[last] + 1

    def _with_room(self, lane: Tensor) -> None:
        lanes = int(lane.max()) + 1
        if lanes > len(self._length):
            lanes = max(lanes, 2 * len(self._length))
            self._previous = grown(self._previous.to(lane.device), lanes)
            self._length = grown(self._length.to(lane.device), lanes)
