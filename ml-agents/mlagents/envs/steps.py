"""What many environments said in one tick, as columns over agents. numpy only: workers import this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, DecisionSteps, TerminalSteps

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What one behavior's agents said in one tick; ended rows first."""

    agent: Array  # (n,) int64, unique over all environments: worker << 32 | id
    obs: tuple[Array, ...]  # one (n, *shape) per sensor: float32, or uint8 for images
    mask: Array  # (n, sum of branches) bool, True = allowed
    reward: Array  # (n,) float32, since the agent's last row
    group: Array  # (n,) int64, 0 = alone
    group_reward: Array  # (n,) float32
    done: Array  # (n,) bool; such a row asks for nothing
    interrupted: Array  # (n,) bool; it ended by a step limit: bootstrap all the same


def step_batch(decision: DecisionSteps, terminal: TerminalSteps, action: ActionSpec, worker: int = 0) -> StepBatch:
    """Return the columns of one environment's decision and terminal steps, ended rows first."""
    ended, asking = len(terminal), len(decision)
    done = np.zeros(ended + asking, bool)
    done[:ended] = True
    interrupted = np.zeros(ended + asking, bool)
    interrupted[:ended] = terminal.interrupted
    return StepBatch(
        agent=_unique(terminal.agent_id, decision.agent_id, worker),
        obs=tuple(_join(t, d) for t, d in zip(terminal.obs, decision.obs, strict=True)),
        mask=_allowed(decision.action_mask, ended, asking, action),
        reward=_join(terminal.reward, decision.reward),
        group=_unique(terminal.group_id, decision.group_id, worker, alone=0),
        group_reward=_join(terminal.group_reward, decision.group_reward),
        done=done,
        interrupted=interrupted,
    )


def _join(terminal: Array, decision: Array) -> Array:
    return np.concatenate([terminal, decision]) if len(terminal) else decision


def _unique(terminal: Array, decision: Array, worker: int, alone: int = -1) -> Array:
    ids = _join(np.asarray(terminal), np.asarray(decision)).astype(np.int64)
    return np.where(ids == alone, ids, ids | worker << 32) if worker else ids


def _allowed(masks: list[Array] | None, ended: int, asking: int, action: ActionSpec) -> Array:
    """Steps say what is forbidden, branch by branch; policies are told what is allowed, in one row."""
    allowed = np.ones((ended + asking, sum(action.discrete_branches)), bool)
    if masks is not None:
        np.logical_not(np.concatenate(masks, axis=1), out=allowed[ended:])
    return allowed
