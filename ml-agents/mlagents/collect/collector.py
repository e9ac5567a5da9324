"""From ticks to experience: what an agent was asked and answered waits until the world speaks of it again."""

from __future__ import annotations

from itertools import compress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlagents.collect.lanes import Lanes
from mlagents.data.experience import Experience, PolicyInput, PolicyOutput
from mlagents.data.rollout import Tick
from mlagents.envs.steps import Array, StepBatch
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionTuple


class Waiting(NamedTuple):
    """Agents whose answers went out together, in the order in which they were asked."""

    agent: Array  # (n,) int64
    lane: Array  # (n,) int64
    input: PolicyInput
    output: PolicyOutput


class Asking(NamedTuple):
    """Agents that wait for an answer."""

    agent: Array  # (n,) int64
    lane: Array  # (n,) int64
    input: PolicyInput


class Episodes(NamedTuple):
    """Episodes that ended in a tick."""

    total: Array  # (k,) float32, the sum of an agent's own rewards, undiscounted
    length: Array  # (k,) int64, decisions that were not the last


class Collector:
    """Brings rows home for the agents of one behavior; it knows no trainer."""

    def __init__(self, memory_size: int, horizon: int) -> None:
        self.memory_size = memory_size
        self.horizon = horizon  # rows after which a segment is closed
        self._lanes = Lanes()
        self._waiting: list[Waiting] = []  # one for each answer: environments that were asked apart come home apart
        self._asking: Asking | None = None
        self._length = np.zeros(0, np.int64)  # per lane: rows of the open segment
        self._total = np.zeros(0, np.float32)  # per lane: rewards of this episode
        self._decisions = np.zeros(0, np.int64)  # per lane: decisions of this episode

    def receive(self, step: StepBatch) -> tuple[Tick | None, Episodes]:
        """Return the rows that came home with `step`, if any, and the episodes that ended; remember who asks."""
        obs = tuple(torch.from_numpy(column) for column in step.obs)
        mask = torch.from_numpy(step.mask)
        if not step.done.any():
            for turn, waiting in enumerate(self._waiting):  # as many as environments move at once
                if np.array_equal(step.agent, waiting.agent):
                    del self._waiting[turn]
                    self._asking = Asking(waiting.agent, waiting.lane, PolicyInput(obs, mask, waiting.output.memory))
                    return self._come_home(waiting, step, obs), _NO_EPISODES
        return self._receive_some(step, obs, mask)

    def act(self, policy: Policy, *, explore: bool = True) -> tuple[ActionTuple, Tensor]:
        """Answer who asks: what the world is told, in the order of the last `receive`, and the (n,) entropy."""
        asking = self._asking
        if asking is None:
            raise RuntimeError("nobody asked: act follows receive")
        output = policy.act(asking.input, explore=explore)
        if len(asking.agent):
            self._waiting.append(Waiting(asking.agent, asking.lane, asking.input, output))
        self._asking = None
        told = policy.env_action(output.action)
        return ActionTuple(told.continuous.numpy(), told.discrete.numpy().astype(np.int32)), output.entropy

    def lose(self, world: int) -> Tensor:
        """Forget the agents of a world that is gone, and return the (n,) lanes they had."""
        rest = [_without(waiting, np.flatnonzero(waiting.agent >> 32 == world)) for waiting in self._waiting]
        self._waiting = [waiting for waiting in rest if len(waiting.agent)]
        return torch.from_numpy(self._lanes.retire(world))

    def drop(self) -> None:
        """Forget every agent: the world was reset."""
        self.__init__(self.memory_size, self.horizon)  # type: ignore[misc]

    def _receive_some(self, step: StepBatch, obs: tuple[Tensor, ...], mask: Tensor) -> tuple[Tick | None, Episodes]:
        """Handle a tick in which agents come, go, or stay silent."""
        tick = None
        memory = torch.zeros(len(step.agent), self.memory_size)
        concerned = [bool(np.isin(waiting.agent, step.agent).any()) for waiting in self._waiting]
        if any(concerned):
            waiting = _together(list(compress(self._waiting, concerned)))
            place = _place(waiting.agent, step.agent)
            home = np.flatnonzero(place >= 0)
            row = torch.from_numpy(place[home])
            here = Waiting(
                waiting.agent[place[home]], waiting.lane[place[home]], waiting.input[row], waiting.output[row]
            )
            memory[torch.from_numpy(home)] = here.output.memory
            at = torch.from_numpy(home)
            tick = self._come_home(here, _rows(step, home), tuple(column[at] for column in obs))
            rest = _without(waiting, place[home])
            self._waiting = [own for own, meant in zip(self._waiting, concerned, strict=True) if not meant]
            self._waiting += [rest] if len(rest.agent) else []
        ended = step.agent[step.done]
        episodes = self._end(ended)
        asks = np.flatnonzero(~step.done)
        lane = self._seat(step.agent[asks])
        rows = torch.from_numpy(asks)
        input = PolicyInput(tuple(column[rows] for column in obs), mask[rows], memory[rows])
        self._asking = Asking(step.agent[asks], lane, input)
        return tick, episodes

    def _come_home(self, here: Waiting, step: StepBatch, after: tuple[Tensor, ...]) -> Tick:
        """Return the rows of agents in `here`; `step` and `after` hold the same agents in the same order."""
        lane = here.lane
        self._length[lane] += 1
        self._total[lane] += step.reward
        self._decisions[lane] += 1
        closes = step.done | (self._length[lane] >= self.horizon)
        finished = 0
        if closes.any():
            finished = int(self._length[lane[closes]].sum())
            self._length[lane[closes]] = 0
        rows = Experience(
            here.input,
            here.output,
            reward=torch.from_numpy(step.reward),
            group=torch.from_numpy(step.group),
            group_reward=torch.from_numpy(step.group_reward),
            done=torch.from_numpy(step.done),
            interrupted=torch.from_numpy(step.interrupted),
        )
        return Tick(rows, torch.from_numpy(lane), torch.from_numpy(closes), after, finished)

    def _end(self, agent: Array) -> Episodes:
        lane = self._lanes.find(agent)
        lane = lane[lane >= 0]
        episodes = Episodes(self._total[lane], self._decisions[lane] - 1)
        self._lanes.leave(agent)
        return episodes

    def _seat(self, agent: Array) -> Array:
        lane = self._lanes.find(agent)
        new = lane < 0
        if new.any():
            lane[new] = self._lanes.seat(agent[new])
            more = self._lanes.size - len(self._length)
            self._length, self._total, self._decisions = (
                np.concatenate([column, np.zeros(more, column.dtype)])
                for column in (self._length, self._total, self._decisions)
            )
            for column in (self._length, self._total, self._decisions):
                column[lane[new]] = 0
        return lane


_NO_EPISODES = Episodes(np.empty(0, np.float32), np.empty(0, np.int64))


def _place(among: Array, agent: Array) -> Array:
    """Return (n,) the place of each agent in `among`, which is not empty; -1 where it is not there."""
    order = np.argsort(among, kind="stable")
    place = order[np.minimum(np.searchsorted(among, agent, sorter=order), len(among) - 1)]
    return np.where(among[place] == agent, place, -1)


def _rows(step: StepBatch, rows: Array) -> StepBatch:
    """Return `step` at these rows, without its observations: they travel as tensors."""
    columns = (step.mask, step.reward, step.group, step.group_reward, step.done, step.interrupted)
    return StepBatch(step.agent[rows], (), *(column[rows] for column in columns))


def _without(waiting: Waiting, gone: Array) -> Waiting:
    stay = np.ones(len(waiting.agent), bool)
    stay[gone] = False
    rows = torch.from_numpy(stay)
    return Waiting(waiting.agent[stay], waiting.lane[stay], waiting.input[rows], waiting.output[rows])


def _together(parts: list[Waiting]) -> Waiting:
    if len(parts) == 1:
        return parts[0]
    return Waiting(
        np.concatenate([part.agent for part in parts]),
        np.concatenate([part.lane for part in parts]),
        PolicyInput.concat([part.input for part in parts]),
        PolicyOutput.concat([part.output for part in parts]),
    )
