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


class History:
    """The ticks of one team that are the newest: as many as 512 rows are in, and one at least."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[StepBatch, list[ActionTuple]]] = deque()  # with the answer, once it was given
        self._rows = 0

    def add(self, step: StepBatch) -> None:
        """Take what agents report."""
        self._ticks.append((step, []))
        self._rows += len(step.agent)
        while self._rows > MOST_ROWS and len(self._ticks) > 1:
            self._rows -= len(self._ticks.popleft()[0].agent)

    def answer(self, actions: ActionTuple) -> None:
        """Take what the agents that asked in the newest tick were answered."""
        self._ticks[-1][1].append(actions)

    def asking(self) -> Array:
        """Return (n,) the agents that ask in the newest tick."""
        step = self._ticks[-1][0]
        return step.agent[~step.done]

    def columns(self) -> dict[str, Array]:
        """Return all rows, the newest last; `action` is the answer to a row, zeros where it has none."""
        sizes = next(({half: getattr(answers[0], half) for half in ("continuous", "discrete")}
                      for _, answers in self._ticks if answers), {})  # fmt: skip
        parts = []
        for tick, (step, answers) in enumerate(self._ticks, 1 - len(self._ticks)):
            part = _columns(tick, step)
            asks = part["answered"] = ~step.done & bool(answers)
            for half, like in sizes.items():
                part[f"action.{half}"] = np.zeros((len(asks), like.shape[1]), like.dtype)
                part[f"action.{half}"][asks] = getattr(answers[0], half) if answers else 0
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(tick: int, step: StepBatch) -> dict[str, Array]:
    return {
        "tick": np.full(len(step.agent), tick), "environment": step.agent >> 32, "agent": step.agent & 0xFFFFFFFF,
        **{f"obs.{place}": column for place, column in enumerate(step.obs)},
        "mask": step.mask, "reward": step.reward, "group": step.group, "group_reward": step.group_reward,
        "done": step.done, "interrupted": step.interrupted,
    }  # fmt: skip
