"""What the YAML's `network_settings` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlagents.schema import UNITS, Int, LenientSettings


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
