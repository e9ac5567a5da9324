"""Answers that were given to agents and wait for what comes of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mlagents.data.experience import PolicyInput, PolicyOutput
from mlagents.envs.steps import Array

NOTHING = -1  # in the place of an answer's number: this lane waits for nothing


class Answers(NamedTuple):
    """Agents that were answered together, in the order in which they asked; n is their number."""

    agent: Array  # (n,) int64
    lane: Array  # (n,) int64
    input: PolicyInput
    output: PolicyOutput
    tick: int  # when they were given

    def rows(self, at: Array) -> Answers:
        """Return the answers to some of these agents, (m,) rows."""
        rows = torch.from_numpy(at)
        return Answers(self.agent[at], self.lane[at], self.input[rows], self.output[rows], self.tick)


class Waiting:
    """Which answer each lane waits with. An answer is kept, whole, until what came of all of it is known.

    Agents mostly report again together and in the same order: then an answer is taken as it is, and nothing is copied.
    Otherwise rows are looked up by lane, however many other answers are waiting.
    """

    def __init__(self) -> None:
        self._answers: dict[int, Answers] = {}  # by number, oldest first
        self._left: dict[int, int] = {}  # rows of each that still wait
        self._first: dict[int, int] = {}  # first agent of an answer -> its number
        self._next = 0  # number
        self._taken = NOTHING  # the answer that was taken whole last, until its agents are answered again
        self._taken_lane = np.empty(0, np.int64)
        self._answer = np.empty(0, np.int64)  # per lane: the number of the answer that waits there
        self._row = np.empty(0, np.int64)  # per lane: its row in that answer

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, answers: Answers) -> None:
        """Keep answers, of at least one agent; no lane waits with another one."""
        lane = answers.lane
        if self._taken != NOTHING and lane is self._taken_lane:  # the same agents again: every lane points there
            self._answers[self._taken] = answers
            self._taken = NOTHING
            return
        self._settle()
        number, self._next = self._next, self._next + 1
        if (lanes := int(lane.max()) + 1) > len(self._answer):
            self._answer, self._row = _grown(self._answer, 2 * lanes), _grown(self._row, 2 * lanes)
        self._answer[lane] = number
        self._row[lane] = np.arange(len(lane))
        self._answers[number] = answers
        self._left[number] = len(lane)
        self._first[int(answers.agent[0])] = number

    def given_to(self, agent: Array) -> Answers | None:
        """Return the answer that exactly these agents, in this order, wait with; None if there is none."""
        self._settle()
        number = self._first.get(int(agent[0])) if len(agent) else None
        if number is None:
            return None
        answers = self._answers[number]
        if not len(agent) == len(answers.agent) == self._left[number] or not (agent == answers.agent).all():
            return None
        return answers

    def take_whole(self, answers: Answers) -> None:
        """Take all of an answer that `given_to` returned."""
        number = self._first[int(answers.agent[0])]
        del self._answers[number]
        self._taken, self._taken_lane = number, answers.lane

    def waits(self, lane: Array) -> Array:
        """Return (n,) bool: does each of these lanes wait with an answer? -1 is no lane."""
        known = (lane >= 0) & (lane < len(self._answer))
        return known & (self._answer[np.where(known, lane, 0)] != NOTHING) if len(self._answer) else known

    def take(self, lane: Array) -> tuple[PolicyInput, PolicyOutput, Array]:
        """Take the answers of these (n,) lanes, all of which wait, and the (n,) ticks of them; at least one."""
        numbers, rows = self._answer[lane], self._row[lane]
        found = np.unique(numbers).tolist()
        places = [np.flatnonzero(numbers == number) for number in found]
        parts = [(self._answers[number], torch.from_numpy(rows[at])) for number, at in zip(found, places, strict=True)]
        input = PolicyInput.concat([answers.input[row] for answers, row in parts])
        output = PolicyOutput.concat([answers.output[row] for answers, row in parts])
        tick = np.empty(len(lane), np.int64)
        for (answers, _), at in zip(parts, places, strict=True):
            tick[at] = answers.tick
        self.forget(lane)
        if len(parts) == 1:
            return input, output, tick
        order = torch.from_numpy(np.argsort(np.concatenate(places)))
        return input[order], output[order], tick

    def forget(self, lane: Array) -> None:
        """Drop the answers that these lanes wait with, if any."""
        lane = lane[self.waits(lane)]
        numbers, count = np.unique(self._answer[lane], return_counts=True)
        self._answer[lane] = NOTHING
        for number, gone in zip(numbers.tolist(), count.tolist(), strict=True):
            self._left[number] -= gone
            if not self._left[number]:
                self._remove(number)
            elif 2 * self._left[number] < len(self._answers[number].lane):
                self._shrink(number)

    def forget_memory(self) -> None:
        """Let all who wait remember nothing."""
        for answers in self._answers.values():
            answers.output.memory.zero_()

    def older_than(self, tick: int) -> Array:
        """Return the lanes that wait with an answer from before this tick."""
        self._settle()
        found = [np.empty(0, np.int64)]
        for number, answers in self._answers.items():
            if answers.tick >= tick:
                break
            found.append(answers.lane[self._answer[answers.lane] == number])
        return np.concatenate(found)

    def _settle(self) -> None:
        """Let go of the answer that was taken whole: its agents are not those that are answered next."""
        if self._taken != NOTHING:
            number, self._taken = self._taken, NOTHING
            self._answer[self._taken_lane] = NOTHING
            del self._left[number]
            self._first = {agent: own for agent, own in self._first.items() if own != number}

    def _remove(self, number: int) -> None:
        answers = self._answers.pop(number)
        del self._left[number]
        self._unfirst(answers, number)

    def _unfirst(self, answers: Answers, number: int) -> None:
        if self._first.get(first := int(answers.agent[0])) == number:
            del self._first[first]

    def _shrink(self, number: int) -> None:
        """Keep only the rows of an answer that still wait."""
        answers = self._answers[number]
        stay = np.flatnonzero(self._answer[answers.lane] == number)
        self._row[answers.lane[stay]] = np.arange(len(stay))
        self._unfirst(answers, number)
        self._answers[number] = answers.rows(stay)
        self._first[int(answers.agent[stay[0]])] = number


def _grown(column: Array, lanes: int) -> Array:
    """Return the column with room for more lanes, which wait for nothing."""
    return np.concatenate([column, np.full(lanes - len(column), NOTHING)])
