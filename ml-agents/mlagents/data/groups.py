"""Who acts beside whom. n rows, m group steps, at most G agents in one.

A group step is a group at one of its decisions. An agent alone is a group of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlagents.data.rows import Rows

NONE = -1  # in the place of a row's number: there is no such agent


@dataclass(frozen=True, slots=True)
class Membership(Rows):
    """The group of each row's agent, and when the row began and was complete, by a clock that the group shares."""

    group: Tensor  # (n,) int64, a number for each episode of a group, never given to another one
    asked: Tensor  # (n,) int64, when the agent was asked
    home: Tensor  # (n,) int64, when what came of it was known; later than `asked`
    counts: Tensor  # (n,) bool, `group_reward` counts in this row; elsewhere it repeats what another row has

    @classmethod
    def alone(cls, lane: Tensor, time: int) -> Membership:
        """Return the membership of agents that are each alone and were all asked at `time`; lane: (n,) int64."""
        asked = torch.full_like(lane, time)
        return cls(-1 - lane, asked, asked + 1, torch.ones_like(lane, dtype=torch.bool))


@dataclass(frozen=True, slots=True)
class Groups:
    """The group steps of n rows, sorted by group, then by time. A run is the steps of one segment of a group.

    A row belongs to the step in which its agent was asked. Its action goes on in every step of the group until the row
    was complete; where all members of a group are asked together, that is this one step.
    """

    step: Tensor  # (n,) int64, the step in which the row's agent was asked
    place: Tensor  # (n,) int64, the row's column in `members` there
    paid: Tensor  # (n,) int64, the step in which its reward counts: the last in which its action goes on
    counts: Tensor  # (n,) bool, as in `Membership`
    members: Tensor  # (m, G) int64, the rows whose actions go on in each step; NONE where there are fewer
    share: Tensor  # (m,) float32, the part of the members that were asked in this step; 1 where all of them were
    run: Tensor  # (m,) int64
    rank: Tensor  # (m,) int64, the place of each step in its run, from 0 on
    closing: Tensor  # (c,) int64, the last step of each run
    beyond: Tensor  # (c, L) int64, rows of the agents that go on after it; of those that ended with it, if none does
    terminated: Tensor  # (c,) bool, none goes on: the episode of the group terminated
    ends: Tensor  # (n,) bool, the row is the last of its agent in its run

    @classmethod
    def of(cls, membership: Membership, lane: Tensor, closes: Tensor, done: Tensor, interrupted: Tensor) -> Groups:
        """Return the steps of whole segments of groups; at least one row.

        lane: (n,) int64; closes: (n,) bool, the segment of the row's group ends when the row is complete.
        done, interrupted: as in `Experience`.
        """
        group = torch.unique(membership.group, return_inverse=True)[1]
        begin = membership.asked.min()
        asked, home = membership.asked - begin, membership.home - begin
        span = home.max() + 1
        key, step = torch.unique(group * span + asked, return_inverse=True)
        paid = torch.searchsorted(key, group * span + home) - 1
        members, place, size = _members(step, paid, len(key))
        share = torch.bincount(step, minlength=len(key)) / size
        last = torch.ones_like(key, dtype=torch.bool)  # of its run
        last[:-1] = key[1:] // span != key[:-1] // span
        last[paid[closes]] = True
        run = last.cumsum(0) - last.long()
        first = torch.zeros_like(key)
        first[1:] = torch.where(last[:-1], torch.arange(1, len(key), device=key.device), 0)
        rank = torch.arange(len(key), device=key.device) - first.cummax(0).values
        ends = _last_of_each(run[paid], lane, home) | done | interrupted
        beyond, terminated = _beyond(run[paid], ends, done, interrupted, home)
        return cls(
            step, place, paid, membership.counts, members, share, run, rank, torch.nonzero(last)[:, 0], beyond,
            terminated, ends,
        )  # fmt: skip

    def mates(self) -> Tensor:
        """Return (n, G - 1) the rows of each row's mates: who else acts in its step; NONE where there are fewer."""
        column = torch.arange(self.members.shape[1] - 1, device=self.place.device)
        others = column + (column >= self.place[:, None]).long()
        return self.members[self.step].gather(1, others)

    def in_time(self) -> tuple[Tensor, Tensor]:
        """Return (m,) the order in which steps are walked, and (T + 1,) where each turn begins; no run twice in one."""
        size = torch.bincount(self.rank)
        return torch.argsort(self.rank, stable=True), torch.cat([size.new_zeros(1), size.cumsum(0)])


def _members(step: Tensor, paid: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return (m, G) the rows that go on in each step, the (n,) column of each row in its own step, and (m,) sizes."""
    count = paid - step + 1
    row = torch.repeat_interleave(torch.arange(len(step), device=step.device), count)
    nth = torch.arange(len(row), device=step.device) - (count.cumsum(0) - count)[row]
    order = torch.argsort(step[row] + nth, stable=True)
    row, at = row[order], (step[row] + nth)[order]
    size = torch.bincount(at, minlength=steps)
    column = torch.arange(len(row), device=step.device) - (size.cumsum(0) - size)[at]
    members = step.new_full((steps, int(size.max())), NONE)
    members[at, column] = row
    place = torch.empty_like(step)
    own = at == step[row]
    place[row[own]] = column[own]
    return members, place, size


def _last_of_each(run: Tensor, lane: Tensor, home: Tensor) -> Tensor:
    """Return (n,) bool, is the row the last of its lane in its run?"""
    order = torch.argsort(home, stable=True)
    pair = (run * (lane.max() + 1) + lane)[order]
    inner = torch.argsort(pair, stable=True)
    order, pair = order[inner], pair[inner]
    last = torch.ones_like(pair, dtype=torch.bool)
    last[:-1] = pair[1:] != pair[:-1]
    ends = torch.empty_like(last)
    ends[order] = last
    return ends


def _beyond(run: Tensor, ends: Tensor, done: Tensor, interrupted: Tensor, home: Tensor) -> tuple[Tensor, Tensor]:
    """Return (c, L) the rows of agents that go on after each run, or else of those that end it, and (c,) is it so?

    Who was interrupted together with its group goes on; who left a group that played on does not.
    """
    runs = int(run.max()) + 1
    until = home.new_zeros(runs).scatter_reduce_(0, run, home, "amax")
    at_the_end = ends & (home == until[run])
    goes_on = (ends & ~done & ~interrupted) | (at_the_end & interrupted)
    terminated = torch.ones(runs, dtype=torch.bool, device=run.device)
    terminated[run[goes_on]] = False
    chosen = torch.nonzero(goes_on | (at_the_end & terminated[run]))[:, 0]
    chosen = chosen[torch.argsort(run[chosen], stable=True)]
    size = torch.bincount(run[chosen], minlength=runs)
    column = torch.arange(len(chosen), device=run.device) - (size.cumsum(0) - size)[run[chosen]]
    beyond = run.new_full((runs, int(size.max())), NONE)
    beyond[run[chosen], column] = chosen
    return beyond, terminated
