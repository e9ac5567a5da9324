"""A vectorized environment around a task: which agents wait for an action each tick, and what the trainer gets."""

from __future__ import annotations

import numpy as np

from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.tasks import Array, Task
from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionTuple

P_REPORT, P_LEAVE, P_RESTART = 0.7, 0.05, 0.5  # probabilities per tick and agent, if irregular


class TaskEnv:
    """A fixed number of slots, each with one agent and its episodes; the next begins in the tick in which one ends.

    irregular: agents report in random order and not every tick, leave in mid-episode, and begin the next one later.
    renew_ids: each episode has a new agent id. Otherwise a slot keeps its id, as in Unity: one tick may hold, under one
    id, the end of an episode and the first decision of the next.
    """

    def __init__(
        self, task: Task, agents: int, *, seed: int, irregular: bool = False, renew_ids: bool = False
    ) -> None:  # fmt: skip
        self.task = task
        self.irregular = irregular
        self.renew_ids = renew_ids
        self.rewards: list[Array] = []  # of all steps so far, one (n,) per tick
        self._rng = np.random.default_rng(seed)
        self._agent = np.arange(agents)  # id per slot
        self._running = np.ones(agents, bool)  # per slot: is an episode running?
        self._next_id = agents
        self.state = task.reset(agents, self._rng)  # per slot, as are the next three
        self._reward = np.zeros(agents)
        self._done = np.zeros(agents, bool)
        self._interrupted = np.zeros(agents, bool)
        self.waiting = np.arange(agents)  # slots that wait for an action, in the order of the actions

    def reset(self) -> StepBatch:
        """Return the first steps."""
        return self._steps(np.zeros(0, np.int64), self.waiting)

    def step(self, action: ActionTuple) -> StepBatch:
        """Apply one action per waiting agent, in their order, and return the next steps.

        Raises ConformanceError for actions of a wrong shape or range, and for masked ones.
        """
        waiting = self.waiting
        self._check(action)
        if len(waiting):
            after = self.task.step(self.state[waiting], action, self._rng)
            self.state[waiting], self._reward[waiting] = after.state, after.reward
            self._done[waiting], self._interrupted[waiting] = after.done, after.interrupted
            self.rewards.append(after.reward)
        reporting = self._reporting()
        if self.irregular:
            leaving = reporting[(self._rng.random(len(reporting)) < P_LEAVE) & self._running[reporting]]
            self._interrupted[leaving] |= ~self._done[leaving]
            self._done[leaving] = True
        ended = reporting[self._done[reporting] & self._running[reporting]]
        staying = reporting[~np.isin(reporting, ended)]
        return self._steps(ended, staying)

    def _reporting(self) -> Array:
        """Return the slots that report in this tick."""
        slots = np.arange(len(self._agent))
        if not self.irregular:
            return slots
        self._rng.shuffle(slots)
        return slots[: max(self._rng.binomial(len(slots), P_REPORT), 1)]

    def _steps(self, ended: Array, staying: Array) -> StepBatch:
        """Return the last steps of `ended` slots and the decisions of the others; idle slots begin an episode."""
        last_obs, last_agent = self.task.observe(self.state[ended]), self._agent[ended]
        last_reward, interrupted = self._reward[ended], self._interrupted[ended]
        self._running[ended] = False
        again = ended[self._rng.random(len(ended)) < P_RESTART] if self.irregular else ended
        waiting = self.waiting = np.concatenate([staying, again])
        self._begin_episodes(waiting[~self._running[waiting]])
        obs, allowed = self.task.observe(self.state[waiting]), self.task.allowed(self.state[waiting])
        k, n = len(ended), len(ended) + len(waiting)
        return StepBatch(
            agent=np.concatenate([last_agent, self._agent[waiting]]),
            obs=tuple(np.concatenate(both) for both in zip(last_obs, obs, strict=True)),
            mask=np.concatenate([np.ones((k, allowed.shape[1]), bool), allowed]),
            reward=np.concatenate([last_reward, self._reward[waiting]]).astype(np.float32),
            group=np.zeros(n, np.int64),
            group_reward=np.zeros(n, np.float32),
            done=np.arange(n) < k,
            interrupted=np.concatenate([interrupted, np.zeros(n - k, bool)]),
        )

    def _begin_episodes(self, slots: Array) -> None:
        if self.renew_ids:
            self._agent[slots] = np.arange(self._next_id, self._next_id + len(slots))
            self._next_id += len(slots)
        self._running[slots] = True
        self.state[slots] = self.task.reset(len(slots), self._rng)
        self._reward[slots], self._done[slots], self._interrupted[slots] = 0.0, False, False

    def _check(self, action: ActionTuple) -> None:
        """Raise ConformanceError for actions of a wrong shape or range, and for masked ones."""
        actions, n = self.task.spec.action_spec, len(self.waiting)
        for part, size in (("continuous", actions.continuous_size), ("discrete", actions.discrete_size)):
            shape = getattr(action, part).shape
            if shape != (n, size):
                raise ConformanceError(
                    f"{n} agents wait, so their {part} actions must have shape {(n, size)}, but it is {shape}; "
                    "usually actions are computed for another number of agents, or per sensor"
                )
        if not (np.abs(action.continuous) <= 1).all():
            raise ConformanceError(
                "continuous actions must be in [-1, 1], but some are outside or not finite; usually env_action does "
                "not clip them, or training diverged"
            )
        check_discrete(action.discrete, self.task.allowed(self.state[self.waiting]), actions.discrete_branches)


def check_discrete(discrete: Array, allowed: Array, branches: tuple[int, ...]) -> None:
    """Raise ConformanceError if one of the (n, B) actions does not exist or is masked.

    allowed: (n, sum of branch sizes) bool.
    """
    first = 0
    for branch, size in enumerate(branches):
        column = discrete[:, branch]
        if not ((column >= 0) & (column < size)).all():
            raise ConformanceError(
                f"branch {branch} has {size} actions, but action {column[(column < 0) | (column >= size)][0]} was "
                "taken; usually the head's output is split into branches at the wrong places"
            )
        masked = ~np.take_along_axis(allowed[:, first : first + size], column[:, None], 1)
        if masked.any():
            raise ConformanceError(
                f"a masked action must not be taken, but {int(masked.sum())} of {len(column)} agents took one in "
                f"branch {branch}; usually the mask is ignored where an action is sampled, or where the best is chosen"
            )
        first += size
