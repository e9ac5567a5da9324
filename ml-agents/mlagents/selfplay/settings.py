"""What the YAML's `self_play` may say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_serializer, model_validator
from typing_extensions import Self

from mlagents.schema import COUNT, STEPS, Int, LenientSettings, Settings


class OpponentSettings(Settings):
    """An opponent that never learns: a model, or random play."""

    model: str | None = None
    """An .onnx file that a run has written, ours or Unity's."""
    random: bool = False
    """Whether actions are drawn at random, uniformly."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.model is not None) == self.random:
            raise ValueError("must have one of model: FILE.onnx and random: true")
        return self

    @model_serializer
    def _without_defaults(self) -> dict[str, str | bool]:
        return {name: value for name, value in self if value != type(self).model_fields[name].default}

    @property
    def name(self) -> str:
        """What it is called in curves."""
        return "random" if self.model is None else self.model.replace("\\", "/").rpartition("/")[2]


class SelfPlaySettings(LenientSettings):
    """Playing against earlier selves."""

    save_steps: Int = Field(20000, ge=1, le=STEPS)
    """Steps of the learning policy between snapshots."""
    team_change: Int = Field(100000, ge=1, le=STEPS)
    """Steps of the learning policy until another team learns; five times save_steps where it is not given."""
    swap_steps: Int = Field(2000, ge=1, le=STEPS)
    """Steps of the opponents until they are replaced."""
    window: Int = Field(10, ge=1, le=COUNT)
    """Snapshots to choose opponents from: the newest ones."""
    play_against_latest_model_ratio: float = Field(0.5, ge=0, le=1)
    """Share of opponents that are the present policy, of those that are not fixed."""
    initial_elo: float = 1200.0
    """Rating at the start."""
    opponent_sampling: Literal["uniform", "prioritized"] = "uniform"
    """Whether all snapshots, and all fixed opponents, are equally likely, or those that win more are more so."""
    opponents: list[OpponentSettings] = []
    """Fixed opponents, which never learn."""
    opponents_ratio: float = Field(0.2, ge=0, le=1)
    """Share of opponents that are fixed ones, where there are any."""


def names_of(settings: Sequence[OpponentSettings]) -> list[str]:
    """Return the names of fixed opponents; of equal ones, all but the first with a number."""
    names: list[str] = []
    for each in settings:
        number, name = 1, each.name
        while name in names:
            number += 1
            name = f"{each.name} {number}"
        names.append(name)
    return names
