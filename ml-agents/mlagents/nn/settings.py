"""What the YAML's `network_settings` may say."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from mlagents.schema import UNITS, Int, LenientSettings

PRIVILEGED = "privileged_"  # how the names of sensors begin that only a critic sees
_STACK = re.compile(r"StackingSensor_(size\d+_)?")  # what Unity puts before the name of a sensor that it stacks


class MemorySettings(LenientSettings):
    """A recurrent network: what an agent remembers."""

    sequence_length: Int = Field(64, ge=1, le=UNITS)
    """Steps of history that one gradient sees."""
    memory_size: Int = Field(128, ge=2, le=UNITS, multiple_of=2)
    """Numbers that an agent carries from step to step; of an LSTM half hidden state, half cell state."""
    memory_type: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""


class NetworkSettings(LenientSettings):
    """The networks of the policy and the critic."""

    normalize: bool = False
    """Scale vector observations by their running mean and deviation."""
    hidden_units: Int = Field(128, ge=1, le=UNITS)
    """Width of each hidden layer."""
    num_layers: Int = Field(2, ge=0, le=100)
    """Hidden layers after the observations are encoded; the first always exists."""
    vis_encode_type: Literal["simple", "nature_cnn", "resnet", "match3", "fully_connected"] = "simple"
    """How images are encoded; their sides must be at least 20, 36, 15, 5 or 1."""
    memory: MemorySettings | None = None
    """Present: the network is recurrent."""
    goal_conditioning_type: Literal["hyper", "none"] = "hyper"
    """How goal signals steer the network."""
    deterministic: bool = False
    """Always take the most probable action."""
    critic_only: list[str] = []
    """Names of sensors that only a critic sees, beside those that begin with `privileged_`."""

    def is_critic_only(self, sensor: str) -> bool:
        """Does only a critic see the sensor of this name?"""
        return any(name in self.critic_only or name.startswith(PRIVILEGED) for name in names_of(sensor))


def names_of(sensor: str) -> set[str]:
    """Return the names by which a sensor may be called: its own, and that of the sensor that it stacks."""
    return {sensor, _STACK.sub("", sensor, count=1)}
