"""Runs that train in no environment: every behavior learns from demonstrations of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlagents.run.callbacks import Callbacks
from mlagents.run.console import Display
from mlagents.run.evaluating import Evaluator
from mlagents.run.loop import Loop, TrainedBehavior
from mlagents.run.recorder import Recorder
from mlagents_envs.base_env import BehaviorSpec


class OfflineRun(Loop):
    """Behaviors that learn from demonstrations alone, by turns; a tick is a gradient step of each."""

    def __init__(
        self, specs: Mapping[str, BehaviorSpec], add_behavior: Callable[[str, BehaviorSpec], TrainedBehavior],
        recorder: Recorder, display: Display, callbacks: Callbacks | None = None, evaluator: Evaluator | None = None, *,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """specs: of every behavior, by name; add_behavior: makes what one of them needs.

        parameters: of the environment that evaluations are played in, if any.
        """
        super().__init__(recorder, display, callbacks, evaluator=evaluator)
        self.specs = specs
        self.add_behavior = add_behavior
        self._parameters = dict(parameters or {})

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self._parameters

    def begin(self) -> None:
        """Make every behavior: its demonstrations are read."""
        for name, spec in self.specs.items():
            self.behaviors[name] = self.add_behavior(name, spec)
            self.display.track(name, self.behaviors[name].max_steps)

    def tick(self) -> None:
        """Let every behavior take a gradient step, and end the tick."""
        self.learn()
        self.end_tick()

    def close(self) -> None:
        """Do nothing: rows come from files."""
