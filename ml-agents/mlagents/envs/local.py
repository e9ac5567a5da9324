"""A pool of one environment in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlagents.envs.finite import with_faults
from mlagents.envs.pool import Stat
from mlagents.envs.steps import StepBatch, step_batch
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec


class LocalPool:
    """Steps a `BaseEnv` when it is asked for its next tick, in the caller's own thread."""

    def __init__(self, env: BaseEnv, *, owned: bool = True) -> None:
        """owned: is it closed with the pool?"""
        self.env = env
        self._owned = owned
        self._fresh = False  # was the environment reset since its last step?
        self._asked = False  # do agents of the last `recv` wait for an answer?

    @property
    def specs(self) -> Mapping[str, BehaviorSpec]:
        """Behaviors of the environment, by full name."""
        return self.env.behavior_specs

    def reset(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Set parameters, then begin new episodes; answers to questions of before are dropped."""
        self.set_parameters(parameters or {})
        self.env.reset()
        self._fresh, self._asked = True, False

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Give the environment parameters, if it takes any."""
        if parameters and hasattr(self.env, "set_parameters"):
            self.env.set_parameters(parameters)

    def send(self, actions: Mapping[str, ActionTuple]) -> None:
        """Give the environment the actions of its next step."""
        if not self._asked:  # there was a reset since: these are answers to questions of before
            return
        for behavior, action in actions.items():
            self.env.set_actions(behavior, action)

    def recv(self) -> Mapping[str, StepBatch]:
        """Step, unless there was a reset since; rows with numbers that cannot be trained on are marked as faults."""
        if self._fresh:
            self._fresh = False
        else:
            self.env.step()
        self._asked = True
        steps = {}
        for behavior, spec in self.env.behavior_specs.items():
            decision, terminal = self.env.get_steps(behavior)
            if len(decision) or len(terminal):
                steps[behavior] = with_faults(step_batch(decision, terminal, spec.action_spec), spec, self.env)
        return steps

    def lost(self) -> Sequence[int]:
        """Return nothing: an environment in this process is never started again."""
        return ()

    def stats(self) -> Sequence[Stat]:
        """Return the numbers that the environment recorded, if it records any."""
        return self.env.stats() if hasattr(self.env, "stats") else ()

    def close(self) -> None:
        """Close the environment, if it is the pool's own."""
        if self._owned:
            self.env.close()
