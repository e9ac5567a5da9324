"""What became of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mlagents.collect.behavior import Imitation
from mlagents.run.recorder import StatsSummary


class Ended(Enum):
    """Why a run ended."""

    FINISHED = "finished"  # every behavior has taken its max_steps, or as many episodes were played as were asked for
    STOPPED = "stopped"  # somebody asked for it
    CLOSED = "closed"  # the player was closed by whoever watched it


@dataclass(frozen=True)
class BehaviorOutcome:
    """How far a behavior came, and what it scores."""

    name: str
    step: int  # rows of experience, over all agents
    max_steps: int
    finished: bool  # were all steps taken, is there nothing more to learn, or was `stop_when` reached?
    mean_return: float | None  # of the last episodes; None if none ended
    episodes: int  # that `mean_return` is the mean of, a hundred at most
    last_summary: StatsSummary | None  # returns of the episodes of the newest point of the curve that has any
    model: Path | None  # the policy as ONNX; None if none was written
    imitation: Imitation | None = None  # how well it fits demonstrations, if it learned from nothing else
    reached: float | None = None  # the mean reward that was enough for `stop_when`; None if none was
    best: Path | None = None  # the checkpoint with the best evaluation; None if none was kept


@dataclass(frozen=True)
class Outcome:
    """What became of a run: whatever went wrong was raised instead."""

    behaviors: Mapping[str, BehaviorOutcome]  # by name; empty if no agent ever asked for an action
    ended: Ended
    why: str  # the reason that the player gave when it was closed; else empty
    folder: Path  # where everything lies
    settings: Path  # the settings of the run
