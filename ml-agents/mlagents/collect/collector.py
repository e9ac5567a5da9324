"""From ticks to experience: what an agent was asked and answered waits until it reports again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlagents.collect.acting import Acting
from mlagents.collect.answers import Answers, Waiting
from mlagents.collect.groups import GroupTable
from mlagents.collect.lanes import FreeLanes, Lanes
from mlagents.data.experience import Experience, PolicyInput, PolicyOutput
from mlagents.data.groups import Membership
from mlagents.data.rollout import Tick
from mlagents.envs.steps import Array, StepBatch, last_of_each
from mlagents_envs.base_env import ActionTuple

SILENCE = 1000  # ticks of its environment after which a silent agent counts as gone
MOST_PAIRS = 10_000  # of agents that are compared one by one; a search costs less for more
CHECKS = 100  # ticks between two looks for silent agents


class Asking(NamedTuple):
    """Agents that wait for an answer."""

    agent: Array  # (n,) int64
    lane: Array  # (n,) int64, -1 for those whose episode is over already
    input: PolicyInput
    some_stale: bool  # is there a lane of -1?


class Episodes(NamedTuple):
    """Episodes that ended in a tick."""

    total: Array  # (k,) float32, the sum of an agent's own rewards, undiscounted
    length: Array  # (k,) int64, decisions that were not the last
    shared: Array  # (k,) float32, the sum of what the agent's group was given meanwhile
    group: Array  # (g,) float32, the sums of the rewards of groups that ended, where they are followed

    @property
    def earned(self) -> Array:
        """(k,) float32, what an agent and its group were given."""
        earned: Array = self.total + self.shared
        return earned


class Gone(NamedTuple):
    """Agents that vanished."""

    lane: Tensor  # (k,) int64, that they had
    group: Tensor  # (g,) int64, numbers of groups of which no member is left, where they are followed


class Collector:
    """Makes rows of experience of the agents of one behavior and team; it does not depend on a trainer.

    An agent keeps its id over its episodes, so a tick may hold the end of one and the first question of the next. The
    end belongs to the answer that waits; the question begins anew, with no memory, and its reward belongs to no answer.
    """

    def __init__(
        self, memory_size: int, horizon: int, free: FreeLanes | None = None, device: torch.device | str = "cpu",
        *, groups: GroupTable | None = None,
    ) -> None:  # fmt: skip
        """free: where lanes come from; several collectors share it if one trainer learns from all of them.

        device: of the policy; rows lie there. groups: follows groups, whose members' segments close together.
        """
        self._device = torch.device(device)
        self._uploads = self._device.type != "cpu"
        self.memory_size = memory_size
        self.horizon = horizon  # rows after which a segment is closed
        self._free = FreeLanes() if free is None else free
        self._lanes = Lanes(self._free)
        self._groups = groups
        self._waiting = Waiting()
        self._asking: Asking | None = None
        self._tick = 0
        self._length = np.zeros(0, np.int64)  # per lane: rows of the open segment
        self._total = np.zeros(0, np.float32)  # per lane: rewards of this episode
        self._decisions = np.zeros(0, np.int64)  # per lane: decisions of this episode
        self._shared = np.zeros(0, np.float32)  # per lane: rewards of its group in this episode
        self._ended_groups = _NO_REWARDS  # what groups were given that ended in this tick

    def receive(self, step: StepBatch) -> tuple[Tick | None, Episodes]:
        """Return the rows that `step` completes, if any, and the episodes that ended; remember who asks."""
        self._tick += 1
        obs = tuple(self._tensor(column) for column in step.obs)
        mask = self._tensor(step.mask)
        if not len(step.stale):
            ended = int(np.count_nonzero(step.done))  # their rows come first
            answers = self._waiting.given_to(step.agent[ended:]) if step.done[:ended].all() else None
            if answers is not None and not ended:
                self._waiting.take_whole(answers)
                input = PolicyInput(obs, mask, answers.output.memory)
                self._asking = Asking(answers.agent, answers.lane, input, some_stale=False)
                asked = np.full(len(answers.lane), answers.tick)
                tick = self._tick_of(answers.agent, answers.lane, answers.input, answers.output, step, obs, asked)
                return tick, _NO_EPISODES
            if answers is not None and (place := _places(step.agent[:ended], answers.agent)) is not None:
                self._waiting.take_whole(answers)
                return self._receive_again(step, obs, mask, answers, place)
        return self._receive_some(step, obs, mask)

    def act(self, policy: Acting, *, explore: bool = True) -> tuple[ActionTuple, Tensor]:
        """Answer who asks: actions in the order of the last `receive`, and the (n,) entropy."""
        asking = self._asking
        if asking is None:
            raise RuntimeError("nobody asked: act follows receive")
        output = policy.act(asking.input, explore=explore)
        answers = Answers(asking.agent, asking.lane, asking.input, output, self._tick)
        if asking.some_stale:
            answers = answers.rows(np.flatnonzero(asking.lane >= 0))
        if len(answers.lane):
            self._waiting.add(answers)
        self._asking = None
        action = policy.env_action(output.action)
        continuous, discrete = action.continuous.cpu().numpy(), action.discrete.cpu().numpy().astype(np.int32)
        return ActionTuple(continuous, discrete), output.entropy

    def close_environment(self, environment: int) -> Gone:
        """Forget the agents of an environment that is gone."""
        return self._close(self._lanes.of_environment(environment))

    def close_everyone(self) -> Gone:
        """Forget all agents."""
        return self._close(self._lanes.everyone())

    def forget_memory(self) -> None:
        """Let all agents remember nothing. Nobody learns from the rows that wait: their outputs are changed."""
        if self.memory_size:
            self._waiting.forget_memory()

    def leave_out(self, agent: Array, ended: Array) -> Gone:
        """Forget what (n,) agents wait with, since what came of it cannot be used; return their lanes.

        ended: (n,) bool, whose episodes ended with it. Rows of the others go on, in a segment that begins anew.
        """
        lane = self._lanes.find(agent)
        ended, lane = lane[ended & (lane >= 0)], lane[lane >= 0]
        self._waiting.forget(lane)
        self._length[lane] = 0
        return Gone(self._tensor(lane), self._tensor(self._unseat(ended)))

    def restart_segments(self, lane: Tensor) -> None:
        """Let the segments of these (n,) lanes begin with their next rows: those before were not taken."""
        lanes = lane.cpu().numpy()
        self._length[lanes] = 0
        if self._groups is not None:
            self._groups.restart(lanes)

    def close_silent(self) -> Gone:
        """Forget agents that have been silent for long; mostly none.

        Unity destroys agents, or gives them another behavior, without a message. One that was slow, not gone, begins
        anew when it reports again.
        """
        if self._tick % CHECKS or not len(self._waiting):
            return _NOBODY
        patience = SILENCE * max(self._lanes.environments(), 1)  # a tick may be that of one environment alone
        return self._close(self._waiting.older_than(self._tick - patience))

    def _tensor(self, column: Array) -> Tensor:
        """Return a column where the policy is."""
        tensor = torch.from_numpy(column)
        return tensor.to(self._device) if self._uploads else tensor

    def _close(self, lane: Array) -> Gone:
        if not len(lane):
            return _NOBODY
        self._waiting.forget(lane)
        return Gone(self._tensor(lane), self._tensor(self._unseat(lane)))

    def _unseat(self, lane: Array) -> Array:
        """Let the agents of these lanes go; return the numbers of the groups that are over with them."""
        self._lanes.forget(lane)
        over, freed = (lane[:0], lane) if self._groups is None else self._groups.leave(lane)
        self._free.give_back(freed)
        return over

    def _receive_again(
        self, step: StepBatch, obs: tuple[Tensor, ...], mask: Tensor, answers: Answers, place: Array
    ) -> tuple[Tick, Episodes]:
        """Handle a tick in which all who were answered ask again, some of them, at `place`, after an end."""
        ended = len(place)
        goes_on = np.ones(len(answers.agent), bool)
        goes_on[place] = False
        going = np.flatnonzero(goes_on)
        reported, given = np.concatenate([np.arange(ended), going + ended]), np.concatenate([place, going])
        rows, own = self._tensor(reported), self._tensor(given)
        lane, after = answers.lane[given], tuple(column[rows] for column in obs)
        agent, asked = answers.agent[given], np.full(len(lane), answers.tick)
        tick = self._tick_of(agent, lane, answers.input[own], answers.output[own], _rows(step, reported), after, asked)
        memory = answers.output.memory
        if self.memory_size:
            memory = memory.clone()
            memory[self._tensor(place)] = 0
        input = PolicyInput(tuple(column[ended:] for column in obs), mask[ended:], memory)
        self._asking = Asking(answers.agent, answers.lane, input, some_stale=False)
        finished = lane[:ended]
        if self._groups is not None:
            self._groups.join(finished, step.group[ended:][place])
        return tick, self._end(finished, finished)

    def _receive_some(self, step: StepBatch, obs: tuple[Tensor, ...], mask: Tensor) -> tuple[Tick | None, Episodes]:
        """Handle a tick in which agents come, go, or stay silent."""
        self._ended_groups = _NO_REWARDS
        done, asks = step.done, ~step.done
        live = asks if not len(step.stale) else asks & ~step.stale
        live = live & last_of_each(step.agent, live)  # a new array: `asks` stays
        lane = self._lanes.find(step.agent)
        begins = live & (np.isin(step.agent, step.agent[done]) | (lane < 0))  # the first question of an episode
        reported = np.flatnonzero(self._waiting.waits(lane) & (done | (live & ~begins)))
        memory = torch.zeros(len(step.agent), self.memory_size, device=self._device)
        tick = None
        if len(reported):
            input, output, when = self._waiting.take(lane[reported])
            rows = self._tensor(reported)
            memory[rows] = output.memory
            after = tuple(column[rows] for column in obs)
            agent = step.agent[reported]
            tick = self._tick_of(agent, lane[reported], input, output, _rows(step, reported), after, when)
        episodes = self._end(lane[done & (lane >= 0)], lane[begins & (lane >= 0)])
        new = begins & (lane < 0)
        lane[new] = self._seat(step.agent[new])
        if self._groups is not None:
            self._groups.join(lane[begins], step.group[begins])
        lane[asks & ~live] = -1
        at = np.flatnonzero(asks)
        rows = self._tensor(at)
        asked = PolicyInput(tuple(column[rows] for column in obs), mask[rows], memory[rows])
        self._asking = Asking(step.agent[at], lane[at], asked, some_stale=bool((asks & ~live).any()))
        return tick, episodes

    def _tick_of(
        self, agent: Array, lane: Array, input: PolicyInput, output: PolicyOutput, step: StepBatch,
        after: tuple[Tensor, ...], asked: Array,
    ) -> Tick:  # fmt: skip
        """Return the rows of these answers; `step`, `after` and `asked` hold the same agents in the same order."""
        self._length[lane] += 1
        self._total[lane] += step.reward
        self._shared[lane] += step.group_reward
        self._decisions[lane] += 1
        long = self._length[lane] >= self.horizon
        membership, finished = None, 0
        if self._groups is None:
            closes = step.done | long
            if closes.any():
                finished = int(self._length[lane[closes]].sum())
                self._length[lane[closes]] = 0
        else:
            number, closes, counts, finished, begins, freed, self._ended_groups = self._groups.complete(
                lane, step, asked, self._tick, long
            )
            self._length[begins] = 0
            self._free.give_back(freed)
            home = np.full(len(lane), self._tick)
            membership = Membership(*(self._tensor(column) for column in (number, asked, home, counts)))
        rows = Experience(
            input,
            output,
            reward=self._tensor(step.reward),
            group=self._tensor(step.group),
            group_reward=self._tensor(step.group_reward),
            done=self._tensor(step.done),
            interrupted=self._tensor(step.interrupted),
        )
        return Tick(rows, self._tensor(lane), self._tensor(closes), after, finished, membership, agent)

    def _end(self, ended: Array, again: Array) -> Episodes:
        """Return the episodes of these lanes, which they leave unless their agents ask again."""
        if not len(ended):
            return _NO_EPISODES
        episodes = Episodes(
            self._total[ended], self._decisions[ended] - 1, self._shared[ended], self._ended_groups
        )  # fmt: skip
        for column in (self._length, self._total, self._decisions, self._shared):
            column[ended] = 0
        if again is not ended and len(leaving := ended[~np.isin(ended, again)]):
            self._lanes.forget(leaving)
            self._free.give_back(leaving if self._groups is None else self._groups.hold(leaving))
        return episodes

    def _seat(self, agent: Array) -> Array:
        """Give lanes to agents that have none."""
        if not len(agent):
            return agent
        lane = self._lanes.seat(agent)
        more = self._free.size - len(self._length)
        if more > 0:
            self._length, self._total, self._decisions, self._shared = (
                np.concatenate([column, np.zeros(more, column.dtype)])
                for column in (self._length, self._total, self._decisions, self._shared)
            )
        for column in (self._length, self._total, self._decisions, self._shared):
            column[lane] = 0
        return lane


_NO_REWARDS = np.empty(0, np.float32)
_NO_EPISODES = Episodes(_NO_REWARDS, np.empty(0, np.int64), _NO_REWARDS, _NO_REWARDS)
_NO_LANES = torch.zeros(0, dtype=torch.int64, device="cpu")
_NOBODY = Gone(_NO_LANES, _NO_LANES)


def _places(agent: Array, among: Array) -> Array | None:
    """Return the (k,) place of each of these agents among others; None if one is not there, or twice here."""
    if len(agent) * len(among) > MOST_PAIRS:
        return None
    found = agent[:, None] == among
    place: Array = found.argmax(1)
    if not found.any(1).all() or len(set(place.tolist())) < len(place):
        return None
    return place


def _rows(step: StepBatch, rows: Array) -> StepBatch:
    """Return `step` at these rows, without its observations: they travel as tensors."""
    return StepBatch(
        step.agent[rows], (), step.mask[rows], step.reward[rows], step.group[rows], step.group_reward[rows],
        step.done[rows], step.interrupted[rows],
    )  # fmt: skip
