"""What the YAML's `reward_signals` may say."""

from __future__ import annotations

from pydantic import Field

from mlagents.nn.settings import NetworkSettings
from mlagents.schema import UNITS, Int, Settings


class RewardSignalSettings(Settings):
    """A source of reward: `extrinsic` is the environment itself."""

    gamma: float = Field(0.99, ge=0, le=1)
    """How much a reward one decision later is worth."""
    strength: float = Field(1.0, ge=0)
    """What the reward is multiplied by."""
    network_settings: NetworkSettings = NetworkSettings()
    """The networks of signals that learn."""


class _Learned(RewardSignalSettings):
    learning_rate: float = Field(3e-4, gt=0)
    """Size of a gradient step of the signal's networks."""
    encoding_size: Int | None = Field(None, ge=1, le=UNITS)
    """Deprecated: hidden_units of network_settings, where that is not given."""


class CuriositySettings(_Learned):
    """Reward for what the agent could not foretell."""


class RNDSettings(_Learned):
    """Reward for what the agent has seldom seen."""

    learning_rate: float = Field(1e-4, gt=0)
    """Size of a gradient step of the predictor."""


class GAILSettings(_Learned):
    """Reward for acting like a demonstration."""

    demo_path: str
    """A .demo file, or a folder of them."""
    use_actions: bool = False
    """Whether actions are compared as well as observations."""
    use_vail: bool = False
    """Whether the discriminator sees through a bottleneck."""


SIGNALS: dict[str, type[RewardSignalSettings]] = {
    "extrinsic": RewardSignalSettings,
    "curiosity": CuriositySettings,
    "gail": GAILSettings,
    "rnd": RNDSettings,
}
