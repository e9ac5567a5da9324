"""Environment parameters, from settings to what environments get: a number, or a sampler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlagents.envs.settings import (
    ConstantParameters,
    GaussianParameters,
    MultiRangeUniformParameters,
    ParameterSettings,
    SamplerSettings,
    UniformParameters,
)
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Sampler, Uniform


def lesson_values(parameters: Mapping[str, ParameterSettings], seed: int) -> dict[str, list[float | Sampler]]:
    """Return the value of each parameter in each of its lessons.

    Samplers without a seed of their own get the run's seed, the next one the number after it, and so on over all
    lessons of all parameters, as Unity's trainers count.
    """
    values: dict[str, list[float | Sampler]] = {}
    for name, parameter in parameters.items():
        values[name] = []
        for lesson in parameter.curriculum:
            values[name].append(sampler(lesson.value, seed))
            seed += lesson.value.sampler_parameters.seed < 0
    return values


def sampler(settings: SamplerSettings, seed: int) -> float | Sampler:
    """Return a number, or a sampler with this seed unless the settings give it one."""
    given: Any = settings.sampler_parameters
    if isinstance(given, ConstantParameters):
        return given.value
    if given.seed >= 0:
        seed = given.seed
    if isinstance(given, UniformParameters):
        return Uniform(given.min_value, given.max_value, seed)
    if isinstance(given, GaussianParameters):
        return Gaussian(given.mean, given.st_dev, seed)
    if isinstance(given, MultiRangeUniformParameters):
        return MultiRangeUniform(given.intervals, seed)
    raise TypeError(f"{type(given).__name__} is no sampler")


def in_words(value: float | Sampler) -> str:
    """Return a value as logs show it, in the wording of Unity's trainers."""
    if isinstance(value, Uniform):
        return f"Uniform sampler: min={value.min_value}, max={value.max_value}"
    if isinstance(value, Gaussian):
        return f"Gaussian sampler: mean={value.mean}, stddev={value.st_dev}"
    if isinstance(value, MultiRangeUniform):
        return f"MultiRangeUniform sampler: intervals={value.intervals}"
    return f"Float: value={value}"
