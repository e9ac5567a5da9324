"""The numbers that Python and the player agree on: channel ids and the kinds in their payloads."""

from __future__ import annotations

from enum import Enum, IntEnum
from uuid import NAMESPACE_URL, UUID, uuid5

ENGINE_CONFIGURATION = UUID("e951342c-4f7e-11ea-b238-784f4387d1f7")
ENVIRONMENT_PARAMETERS = UUID("534c891e-810f-11ea-a9d0-822485860400")
FLOAT_PROPERTIES = UUID("60ccf7d0-4f7e-11ea-b238-784f4387d1f7")
STATISTICS = uuid5(NAMESPACE_URL, "com.unity.ml-agents/StatsSideChannel")
TRAINING_ANALYTICS = uuid5(NAMESPACE_URL, "com.unity.ml-agents/TrainingAnalyticsSideChannel")


class EngineSetting(IntEnum):
    """Which setting of the engine a record changes."""

    SCREEN_RESOLUTION = 0
    QUALITY_LEVEL = 1
    TIME_SCALE = 2
    TARGET_FRAME_RATE = 3
    CAPTURE_FRAME_RATE = 4


class ParameterKind(IntEnum):
    """Whether an environment parameter is one number, or drawn at every reading."""

    FLOAT = 0
    SAMPLER = 1


class SamplerKind(IntEnum):
    """The distribution from which an environment parameter is drawn."""

    UNIFORM = 0
    GAUSSIAN = 1
    MULTIRANGEUNIFORM = 2


class StatsAggregationMethod(Enum):
    """How several values of one statistic are combined."""

    AVERAGE = 0
    MOST_RECENT = 1
    SUM = 2
    HISTOGRAM = 3
