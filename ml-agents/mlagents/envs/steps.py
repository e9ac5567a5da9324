"""What the agents of many environments report in one tick, as columns over agents. numpy only: workers import this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, DecisionSteps, TerminalSteps

Array = NDArray[Any]
_NO_ROWS = np.zeros(0, bool)


@dataclass(frozen=True, slots=True)
class Fault:
    """A row with a number that cannot be trained on, and the first such number."""

    agent: int  # as in `StepBatch.agent`
    done: bool  # is it in the row that ended the agent's episode, or in one that asks?
    what: str  # "observation 'far'[1] (sensor 1)", "reward" or "group reward"
    value: float
    name: str = ""  # what the environment itself calls the agent

    @property
    def environment(self) -> int:
        """The number of the environment."""
        return self.agent >> 32

    def __str__(self) -> str:
        number, own = self.agent & 0xFFFFFFFF, f" ({self.name})" if self.name else ""
        return f"environment {self.environment}, agent {number}{own}: its {self.what} is {self.value:g}"


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What one behavior's agents report in one tick; ended rows first, then those that ask for an action.

    Agents keep their ids over episodes, so one agent may be in both parts: its ended row belongs to the action that it
    was given before, and its asking row is the first of its next episode. Within each part it is there once, apart from
    stale rows.
    """

    agent: Array  # (n,) int64, unique over all environments: environment << 32 | id
    obs: tuple[Array, ...]  # one (n, *shape) per sensor: float32, or uint8 for images
    mask: Array  # (n, sum of branches) bool, True = allowed
    reward: Array  # (n,) float32, since the agent's last row
    group: Array  # (n,) int64, 0 = alone
    group_reward: Array  # (n,) float32
    done: Array  # (n,) bool; such a row asks for nothing
    interrupted: Array  # (n,) bool; it ended by a step limit: bootstrap all the same
    stale: Array = field(default_factory=lambda: _NO_ROWS)
    """(n,) bool, or empty for none: it must be answered, but its episode is over already and nothing comes of it."""
    faults: tuple[Fault, ...] = ()
    """One for each row that cannot be trained on. Such a batch must not be learned from before they are taken out."""


def step_batch(decision: DecisionSteps, terminal: TerminalSteps, action: ActionSpec, environment: int = 0) -> StepBatch:
    """Return the columns of one environment's decision and terminal steps, ended rows first."""
    ended, asking = len(terminal), len(decision)
    done = np.zeros(ended + asking, bool)
    done[:ended] = True
    interrupted = np.zeros(ended + asking, bool)
    interrupted[:ended] = terminal.interrupted
    batch = StepBatch(
        agent=_unique(terminal.agent_id, decision.agent_id, environment),
        obs=tuple(_join(t, d) for t, d in zip(terminal.obs, decision.obs, strict=True)),
        mask=_allowed(decision.action_mask, ended, asking, action),
        reward=_join(terminal.reward, decision.reward),
        group=_unique(terminal.group_id, decision.group_id, environment, alone=0),
        group_reward=_join(terminal.group_reward, decision.group_reward),
        done=done,
        interrupted=interrupted,
    )
    stale = decision.ended
    repeats = ended > 1 and len(np.unique(terminal.agent_id)) < ended
    if repeats or (stale is not None and stale.any()):
        return _once_each(batch, np.zeros(asking, bool) if stale is None else stale)
    return batch


def last_of_each(agent: Array, among: Array) -> Array:
    """Return (n,) bool: is this the last of the agent's rows `among` these? No player should ask twice for one."""
    last = np.zeros(len(agent), bool)
    rows = np.flatnonzero(among)[::-1]
    last[rows[np.unique(agent[rows], return_index=True)[1]]] = True
    return last


def _once_each(batch: StepBatch, stale: Array) -> StepBatch:
    """Return a batch in which each agent ends once; the loop turns once per agent that ended.

    An agent may ask, end, and ask again within a tick, where the sensors of one agent end another. What it earned up
    to its first end belongs to the action that it was given before: if it asked (D) before it ended (T), both rewards.
    In T, D, T nothing is played between D and the second T, so that one is left out.

    stale: (number of asking rows,) bool, the row asked before its agent ended in the same message.
    """
    ended = int(batch.done.sum())
    reward, group_reward = batch.reward.copy(), batch.group_reward.copy()
    keep = np.ones(len(batch.agent), bool)
    for agent in np.unique(batch.agent[:ended]):
        ends = np.flatnonzero(batch.agent[:ended] == agent)
        asked = ended + np.flatnonzero((batch.agent[ended:] == agent) & stale)
        keep[ends[1:]] = False
        if len(asked) and len(asked) == len(ends):  # it asked first
            reward[ends[0]] += reward[asked[0]]
            group_reward[ends[0]] += group_reward[asked[0]]
    everyone = np.concatenate([np.zeros(ended, bool), stale])
    return StepBatch(
        batch.agent[keep], tuple(column[keep] for column in batch.obs), batch.mask[keep], reward[keep],
        batch.group[keep], group_reward[keep], batch.done[keep], batch.interrupted[keep], everyone[keep],
    )  # fmt: skip


def _join(terminal: Array, decision: Array) -> Array:
    return np.concatenate([terminal, decision]) if len(terminal) else decision


def _unique(terminal: Array, decision: Array, environment: int, alone: int = -1) -> Array:
    ids = _join(np.asarray(terminal), np.asarray(decision)).astype(np.int64)
    return np.where(ids == alone, ids, ids | environment << 32) if environment else ids


def _allowed(masks: list[Array] | None, ended: int, asking: int, action: ActionSpec) -> Array:
    """Return in one row what is allowed; steps have what is forbidden, branch by branch."""
    allowed = np.ones((ended + asking, sum(action.discrete_branches)), bool)
    if masks is not None:
        np.logical_not(np.concatenate(masks, axis=1), out=allowed[ended:])
    return allowed
