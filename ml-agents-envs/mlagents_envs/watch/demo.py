"""Records one agent's observations, actions and rewards as a demonstration."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps, TerminalSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.exception import UnityEnvironmentException


class DemoRecording:
    """Follows the agent of one row, episode after episode. `before` and `after` go around each decision."""

    def __init__(self, path: Path, example: ExampleEnv, row: int) -> None:
        """Raises UnityEnvironmentException if the file cannot be written."""
        from mlagents_envs.demonstrations.recording import DemonstrationRecorder  # here: importing protobuf is slow

        self._example, self._row = example, row
        self._asked = ""  # the behavior of the agent's decision, empty if it has none
        self._action = example.SPEC.action_spec.empty_action(1)  # the last one that it took
        self.records = 0
        behavior = example.behavior_of(row) or example.BEHAVIORS[0]
        try:
            self._recorder: Any = DemonstrationRecorder(path, behavior.partition("?")[0], example.SPEC, overwrite=True)
        except OSError as error:
            raise UnityEnvironmentException(
                f"--record-demo {path}: it cannot be written there ({error.strerror}); name another file"
            ) from error

    def before(self) -> None:
        """Write the agent's decision step, if it has one, with the action that led there."""
        self._asked = self._example.behavior_of(self._row)
        if not self._asked:
            return
        decision, _ = self._example.get_steps(self._asked)
        (at,) = np.flatnonzero(self._example.asking_rows(self._asked) == self._row).tolist()
        self._write(decision, at, mask=_allowed(decision, at))

    def after(self, action: ActionTuple) -> None:
        """Keep the agent's action, and write its terminal step if its episode ended."""
        if not self._asked:
            return
        row = slice(self._row, self._row + 1)
        self._action = ActionTuple(action.continuous[row], action.discrete[row])
        _, terminal = self._example.get_steps(self._asked)
        for i in np.flatnonzero(self._example.ended_rows(self._asked) == self._row).tolist():
            self._write(terminal, i, done=True, interrupted=bool(terminal.interrupted[i]))

    def close(self) -> None:
        """Finish the file."""
        self._recorder.close()

    def __enter__(self) -> DemoRecording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.close()

    def _write(self, steps: DecisionSteps | TerminalSteps, i: int, **flags: Any) -> None:
        """Write a record of one agent's step, with the action that led to it."""
        reward = float(steps.reward[i] + steps.group_reward[i])
        obs = [column[i] for column in steps.obs]
        self._recorder.record(obs, reward, self._action.continuous[0], self._action.discrete[0], **flags)
        self.records += 1


def _allowed(decision: DecisionSteps, i: int) -> Array | None:
    """Return one agent's mask as a demonstration has it, True = allowed."""
    if decision.action_mask is None:
        return None
    allowed: Array = np.logical_not(np.concatenate([forbidden[i] for forbidden in decision.action_mask]))
    return allowed
