"""Agents at a task, in this process: what they say each tick, and what they are told."""

from __future__ import annotations

import numpy as np

from mlagents.conformance.fault import Fault
from mlagents.conformance.tasks import Array, Task
from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionTuple

SPEAKS, LEAVES, RETURNS = 0.7, 0.05, 0.5  # probabilities for a restless agent, each tick


class World:
    """Agents in seats, episode after episode; the next one begins in the tick in which one ends.

    restless: agents speak when they like, in any order, and leave in mid-episode; the next one may begin later.
    renew_ids: each episode has an id of its own. Else an agent keeps its id, as in Unity: a tick may have, under one
    id, the end of an episode and the first question of the next.
    """

    def __init__(
        self, task: Task, agents: int, *, seed: int, restless: bool = False, renew_ids: bool = False
    ) -> None:  # fmt: skip
        self.task = task
        self.restless = restless
        self.renew_ids = renew_ids
        self.rewards: list[Array] = []  # of every answer so far
        self._draw = np.random.default_rng(seed)
        self._agent = np.arange(agents)  # of each seat, who is or was last there
        self._plays = np.ones(agents, bool)  # of each seat: is an episode under way?
        self._ids = agents  # that were given
        self.state = task.born(agents, self._draw)  # of each seat, as are the next three
        self._reward = np.zeros(agents)
        self._done = np.zeros(agents, bool)
        self._interrupted = np.zeros(agents, bool)
        self.asked = np.arange(agents)  # seats, in the order in which they ask

    def begin(self) -> StepBatch:
        """Return what agents say first."""
        return self._say(np.zeros(0, np.int64), self.asked)

    def step(self, action: ActionTuple) -> StepBatch:
        """Give each agent that asked its answer, in that order, and return what agents say next.

        Raises Fault for answers that this world cannot take.
        """
        asked = self.asked
        self._inspect(action)
        if len(asked):
            came = self.task.answer(self.state[asked], action, self._draw)
            self.state[asked], self._reward[asked] = came.state, came.reward
            self._done[asked], self._interrupted[asked] = came.done, came.interrupted
            self.rewards.append(came.reward)
        speaking = self._speaking()
        if self.restless:
            leaving = speaking[(self._draw.random(len(speaking)) < LEAVES) & self._plays[speaking]]
            self._interrupted[leaving] |= ~self._done[leaving]
            self._done[leaving] = True
        ended = speaking[self._done[speaking] & self._plays[speaking]]
        staying = speaking[~np.isin(speaking, ended)]
        return self._say(ended, staying)

    def _speaking(self) -> Array:
        seats = np.arange(len(self._agent))
        if not self.restless:
            return seats
        self._draw.shuffle(seats)
        return seats[: max(self._draw.binomial(len(seats), SPEAKS), 1)]

    def _say(self, ended: Array, staying: Array) -> StepBatch:
        """Let agents end, and others ask; where no episode is under way, one begins."""
        last, gone = self.task.seen(self.state[ended]), self._agent[ended]
        paid, interrupted = self._reward[ended], self._interrupted[ended]
        self._plays[ended] = False
        again = ended[self._draw.random(len(ended)) < RETURNS] if self.restless else ended
        asked = self.asked = np.concatenate([staying, again])
        self._begin_in(asked[~self._plays[asked]])
        now, allowed = self.task.seen(self.state[asked]), self.task.allowed(self.state[asked])
        k, n = len(ended), len(ended) + len(asked)
        return StepBatch(
            agent=np.concatenate([gone, self._agent[asked]]),
            obs=tuple(np.concatenate(both) for both in zip(last, now, strict=True)),
            mask=np.concatenate([np.ones((k, allowed.shape[1]), bool), allowed]),
            reward=np.concatenate([paid, self._reward[asked]]).astype(np.float32),
            group=np.zeros(n, np.int64),
            group_reward=np.zeros(n, np.float32),
            done=np.arange(n) < k,
            interrupted=np.concatenate([interrupted, np.zeros(n - k, bool)]),
        )

    def _begin_in(self, seats: Array) -> None:
        """Begin episodes in these seats."""
        if self.renew_ids:
            self._agent[seats] = np.arange(self._ids, self._ids + len(seats))
            self._ids += len(seats)
        self._plays[seats] = True
        self.state[seats] = self.task.born(len(seats), self._draw)
        self._reward[seats], self._done[seats], self._interrupted[seats] = 0.0, False, False

    def _inspect(self, action: ActionTuple) -> None:
        """Raise Fault if these are no answers to what was asked."""
        actions, n = self.task.spec.action_spec, len(self.asked)
        for half, size in (("continuous", actions.continuous_size), ("discrete", actions.discrete_size)):
            shape = getattr(action, half).shape
            if shape != (n, size):
                raise Fault(
                    f"{n} agents asked, so their {half} actions must have shape {(n, size)}, but it is {shape}; "
                    "usually actions are made for another number of agents, or of sensors"
                )
        if not (np.abs(action.continuous) <= 1).all():
            raise Fault("the world must be told numbers from -1 to 1, but some are beyond or no numbers at all; "
                        "usually env_action does not cut them, or learning went to infinity")  # fmt: skip
        inspect_choices(action.discrete, self.task.allowed(self.state[self.asked]), actions.discrete_branches)


def inspect_choices(choice: Array, allowed: Array, branches: tuple[int, ...]) -> None:
    """Raise Fault where one of (n, B) choices does not exist, or is none of the (n, sum of branch sizes) allowed."""
    first = 0
    for branch, size in enumerate(branches):
        own = choice[:, branch]
        if not ((own >= 0) & (own < size)).all():
            raise Fault(
                f"branch {branch} has {size} choices, but choice {own[(own < 0) | (own >= size)][0]} was taken; "
                "usually one head is cut into branches at the wrong places"
            )
        forbidden = ~np.take_along_axis(allowed[:, first : first + size], own[:, None], 1)
        if forbidden.any():
            raise Fault(
                f"no forbidden choice may be taken, but {int(forbidden.sum())} of {len(own)} agents took one in branch "
                f"{branch}; usually the mask is not looked at where an action is drawn at random, or where the best is"
            )
        first += size
