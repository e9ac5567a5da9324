"""Records what one agent sees, does and is given as a demonstration."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.exception import UnityEnvironmentException


class DemoRecording:
    """Follows the agent of one row, episode after episode. `before` and `after` go around each decision."""

    def __init__(self, path: Path, example: ExampleEnv, row: int) -> None:
        """Raises UnityEnvironmentException if the file cannot be written."""
        from mlagents_envs.recording import DemonstrationRecorder  # protobuf takes its time

        self._example, self._row = example, row
        self._waits: tuple[list[Array], float, Array | None] | None = None  # what the agent was asked with
        self.records = 0
        behavior = example.BEHAVIORS[max(0, int(example._which[row]))]
        try:
            self._recorder: Any = DemonstrationRecorder(path, behavior.partition("?")[0], example.SPEC)
        except OSError as error:
            raise UnityEnvironmentException(
                f"--record-demo {path}: it cannot be written there ({error.strerror}); name another file"
            ) from error

    def before(self) -> None:
        """Look at what the agent is asked with, if it is asked."""
        behavior, at = self._place()
        if at < 0:
            self._waits = None
            return
        decision = self._example._decision[behavior]
        self._waits = [column[at] for column in decision.obs], _given(decision, at), _allowed(decision, at)
        self._agent = int(decision.agent_id[at])
        self._behavior = behavior

    def after(self, action: ActionTuple) -> None:
        """Write what the agent did, and its end if this was its last decision."""
        if self._waits is None:
            return
        obs, reward, allowed = self._waits
        spec = self._example.SPEC.action_spec
        self._recorder.record(
            obs, reward, action.continuous[self._row], action.discrete[self._row], mask=allowed
        )  # fmt: skip
        self.records += 1
        terminal = self._example._terminal[self._behavior]
        ended = np.flatnonzero(terminal.agent_id == self._agent)
        if len(ended):
            i, nothing = int(ended[0]), spec.empty_action(1)
            self._recorder.record(
                [column[i] for column in terminal.obs], _given(terminal, i), nothing.continuous[0], nothing.discrete[0],
                done=True, interrupted=bool(terminal.interrupted[i]),
            )  # fmt: skip
            self.records += 1

    def close(self) -> None:
        self._recorder.close()

    def __enter__(self) -> DemoRecording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.close()

    def _place(self) -> tuple[str, int]:
        """Return the behavior of the row and where it stands among those who are asked, -1 if it is not."""
        for behavior in self._example.BEHAVIORS:
            at = np.flatnonzero(self._example._rows[behavior] == self._row)
            if len(at):
                return behavior, int(at[0])
        return "", -1


def _given(steps: Any, i: int) -> float:
    """Return what an agent and its group were given."""
    return float(steps.reward[i] + steps.group_reward[i])


def _allowed(decision: DecisionSteps, i: int) -> Array | None:
    """Return one agent's mask as a demonstration has it, True = allowed."""
    if decision.action_mask is None:
        return None
    allowed: Array = np.logical_not(np.concatenate([forbidden[i] for forbidden in decision.action_mask]))
    return allowed
