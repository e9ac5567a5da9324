"""The last reports of a behavior's agents and the answers to them, as they were before anything was learned."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionTuple

Array = NDArray[Any]
MOST_ROWS = 512
MOST_TICKS = 32


class History:
    """The newest ticks of one team: 32, or those with about 512 rows in all, one at least."""

    def __init__(self, agents: int) -> None:
        """agents: how many report in a tick, about."""
        ticks = max(1, min(MOST_TICKS, MOST_ROWS // max(agents, 1)))
        self._steps: deque[StepBatch] = deque(maxlen=ticks)
        self._answers: deque[ActionTuple | None] = deque(maxlen=ticks)  # of each step; None: not answered

    def add(self, step: StepBatch) -> None:
        """Take what agents report."""
        self._steps.append(step)
        self._answers.append(None)

    def answer(self, actions: ActionTuple) -> None:
        """Take what the agents that asked in the newest tick were answered."""
        self._answers[-1] = actions

    def asking(self) -> Array:
        """Return (n,) the agents that ask in the newest tick."""
        step = self._steps[-1]
        return step.agent[~step.done]

    def columns(self) -> dict[str, Array]:
        """Return all rows, the newest last; `action` is the answer to a row, zeros where it has none."""
        known = next((answer for answer in self._answers if answer is not None), None)
        parts = []
        for tick, (step, answer) in enumerate(zip(self._steps, self._answers, strict=True), 1 - len(self._steps)):
            part = _columns(tick, step)
            asks = part["answered"] = ~step.done & (answer is not None)
            for half in ("continuous", "discrete") if known is not None else ():
                like = getattr(known, half)
                part[f"action.{half}"] = np.zeros((len(asks), like.shape[1]), like.dtype)
                part[f"action.{half}"][asks] = 0 if answer is None else getattr(answer, half)
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(tick: int, step: StepBatch) -> dict[str, Array]:
    return {
        "tick": np.full(len(step.agent), tick), "environment": step.agent >> 32, "agent": step.agent & 0xFFFFFFFF,
        **{f"obs.{place}": column for place, column in enumerate(step.obs)},
        "mask": step.mask, "reward": step.reward, "group": step.group, "group_reward": step.group_reward,
        "done": step.done, "interrupted": step.interrupted,
    }  # fmt: skip
