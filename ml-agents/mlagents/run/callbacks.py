"""What a program may do while a run goes on: look at its progress, and end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """How far a behavior is."""

    behavior: str
    step: int  # rows of experience so far, over all agents
    max_steps: int
    mean_return: float | None  # of the last hundred episodes; None before the first has ended


@dataclass(frozen=True)
class SummaryProgress(Progress):
    """A point of the learning curves."""

    metrics: Mapping[str, float]  # tag, as TensorBoard shows it -> value since the last summary


@dataclass(frozen=True)
class CheckpointProgress(Progress):
    """A checkpoint that was written."""

    weights: Path  # what `--resume` and `init_path` read
    model: Path | None  # the policy as ONNX; None where it cannot be one


@dataclass(frozen=True)
class EpisodeProgress(Progress):
    """An episode of one agent that ended."""

    total: float  # the agent's own rewards, undiscounted
    length: int  # decisions


class Callback:
    """Is called while a run goes on; a subclass overrides what it needs.

    Each method may return True to end the run: it stops after the present tick, and saves as it always does. An
    exception ends it too; what was learnt is saved, and the exception is raised again.
    """

    def on_summary(self, progress: SummaryProgress) -> bool | None:
        """Called every `summary_freq` steps of a behavior."""

    def on_checkpoint(self, progress: CheckpointProgress) -> bool | None:
        """Called when a checkpoint was written, the last one of the run included."""

    def on_episode(self, progress: EpisodeProgress) -> bool | None:
        """Called for every episode that ended."""


OnSummary = Callable[[SummaryProgress], bool | None]


class SummaryFunction(Callback):
    """A function as a callback; it is called with every summary."""

    def __init__(self, function: OnSummary) -> None:
        self._function = function

    def on_summary(self, progress: SummaryProgress) -> bool | None:
        """Call the function."""
        return self._function(progress)


class Callbacks:
    """Several callbacks, in the order in which they were given; true if there is one."""

    def __init__(self, given: Iterable[Callback | OnSummary] = ()) -> None:
        self._all = [one if isinstance(one, Callback) else SummaryFunction(one) for one in given]

    def __bool__(self) -> bool:
        return bool(self._all)

    def on_summary(self, progress: SummaryProgress) -> bool:
        """Call every callback; return whether one of them asks to stop."""
        return any([one.on_summary(progress) for one in self._all])

    def on_checkpoint(self, progress: CheckpointProgress) -> bool:
        """Call every callback; return whether one of them asks to stop."""
        return any([one.on_checkpoint(progress) for one in self._all])

    def on_episode(self, progress: EpisodeProgress) -> bool:
        """Call every callback; return whether one of them asks to stop."""
        return any([one.on_episode(progress) for one in self._all])
