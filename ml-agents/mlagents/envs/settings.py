"""What the YAML's `env_settings`, `engine_settings` and `environment_parameters` may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mlagents.schema import COUNT, FLOAT32, INT32, PORTS, Float32, Int, LenientSettings, Settings
from mlagents_envs.examples.catalog import MOST_AREAS


class EnvironmentSettings(Settings):
    """Which environment is trained in, and how many of it."""

    env_path: str | None = None
    """A Unity build, builtin:NAME, gym:ID or pettingzoo:MODULE; nothing waits for the Editor."""
    env_args: list[str] | None = None
    """Passed to the build."""
    base_port: Int = Field(5005, ge=1, le=PORTS)
    """Port of the first build; the others follow. Where none is given, each build gets the next free one."""
    listen: str = "127.0.0.1"
    """Address that builds connect to; any but this machine's own opens the trainer to a network."""
    max_message_mib: Int = Field(256, ge=1, le=2047)
    """Mebibytes of the longest message that a build may send."""
    num_envs: Int = Field(1, ge=1, le=4096)
    """Builds that run side by side."""
    num_areas: Int = Field(1, ge=1, le=MOST_AREAS)
    """Copies of the training area in each environment."""
    timeout_wait: Int = Field(60, ge=1, le=10**6)
    """Seconds to wait for a build."""
    seed: Int = Field(-1, ge=-1, le=INT32)
    """Of every random number; -1 draws one."""
    max_lifetime_restarts: Int = Field(10, ge=-1, le=COUNT)
    """How often a build may be restarted; -1 without limit."""
    restarts_rate_limit_n: Int = Field(1, ge=-1, le=COUNT)
    """How often within the period; -1 without limit."""
    restarts_rate_limit_period_s: Int = Field(60, ge=0, le=COUNT)
    """The period in seconds."""
    watch: bool = False
    """Show a builtin: environment on a page in the browser while it trains."""


class EngineSettings(Settings):
    """How a Unity build shows and times itself."""

    width: Int = Field(84, ge=1, le=2**14)
    """Of the window, in pixels."""
    height: Int = Field(84, ge=1, le=2**14)
    """Of the window, in pixels."""
    quality_level: Int = Field(5, ge=0, le=1000)
    """Unity's quality level."""
    time_scale: float = Field(20.0, gt=0, le=10**6)
    """How much faster than the clock the simulation runs."""
    target_frame_rate: Int = Field(-1, ge=-1, le=10**6)
    """Frames a second; -1 without limit."""
    capture_frame_rate: Int = Field(60, ge=0, le=10**6)
    """Frames a second of simulated time."""
    no_graphics: bool = False
    """Run without a window."""
    no_graphics_monitor: bool = False
    """Only the first build has a window."""


class _Sampler(Settings):
    seed: Int = Field(-1, ge=-1, le=INT32)
    """Of this sampler; -1 follows the run's."""


class ConstantParameters(_Sampler):
    """Always the same."""

    value: Float32 = 0.0
    """The value."""


class UniformParameters(_Sampler):
    """Anything between two numbers."""

    min_value: Float32 = 0.0
    """The smallest."""
    max_value: Float32 = 1.0
    """The largest."""

    @model_validator(mode="after")
    def _ordered(self) -> UniformParameters:
        if self.min_value > self.max_value:
            raise ValueError(f"min_value {self.min_value:g} is above max_value {self.max_value:g}")
        return self


class GaussianParameters(_Sampler):
    """A normal distribution."""

    mean: Float32 = 1.0
    """Its middle."""
    st_dev: float = Field(1.0, ge=0, le=FLOAT32)
    """Its standard deviation."""


Interval = Annotated[list[Float32], Field(min_length=2, max_length=2)]


class MultiRangeUniformParameters(_Sampler):
    """Anything in one of several intervals, in proportion to their width."""

    intervals: list[Interval] = Field([[0.0, 1.0]], min_length=1)
    """Pairs of smallest and largest."""

    @model_validator(mode="after")
    def _ordered(self) -> MultiRangeUniformParameters:
        for low, high in self.intervals:
            if low > high:
                raise ValueError(f"interval [{low:g}, {high:g}] ends before it begins")
        return self


SAMPLERS: dict[str, type[_Sampler]] = {
    "constant": ConstantParameters,
    "uniform": UniformParameters,
    "gaussian": GaussianParameters,
    "multirangeuniform": MultiRangeUniformParameters,
}


class SamplerSettings(Settings):
    """Where the values of an environment parameter come from."""

    sampler_type: Literal["constant", "uniform", "gaussian", "multirangeuniform"]
    """The kind of distribution."""
    sampler_parameters: Any
    """Its numbers."""


class CompletionCriteria(LenientSettings):
    """When a lesson is learnt."""

    behavior: str
    """Whose progress counts."""
    measure: Literal["reward", "progress", "Elo"] = "reward"
    """What is compared with the threshold."""
    min_lesson_length: Int = Field(0, ge=0, le=COUNT)
    """Episodes that must have ended."""
    signal_smoothing: bool = True
    """Whether the measure is averaged with its last value."""
    threshold: float = 0.0
    """What must be passed."""
    require_reset: bool = False
    """Whether the environment begins anew with the next lesson."""

    @model_validator(mode="after")
    def _share(self) -> CompletionCriteria:
        if self.measure == "progress" and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold:g}; progress goes from 0 to 1")
        return self


class Lesson(Settings):
    """A stage of a curriculum."""

    value: SamplerSettings
    """What the parameter is in this lesson."""
    name: str
    """How it is called in logs."""
    completion_criteria: CompletionCriteria | None = None
    """When the next lesson comes; the last one has none."""


class ParameterSettings(Settings):
    """An environment parameter: one lesson after another."""

    curriculum: list[Lesson] = Field(min_length=1)
    """The lessons; a single value is a curriculum of one."""
