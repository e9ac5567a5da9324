"""Agents of one behavior as columns, in the order of their message; n is their number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.exception import UnityObservationException

Array = NDArray[Any]
MOST_NUMBERS = 2**28  # of one behavior's agents in one message: images unpack to thousands of times their size
PER_AGENT = 18  # bytes of its row, besides mask and observations
GROWTH = 4  # bytes of rows for each byte of a message
FREE = 2**24  # bytes of rows that any message may have


class Columns(NamedTuple):
    """The data of all agents of a behavior in one message."""

    agent: Array  # (n,) int32
    group: Array  # (n,) int32, 0 = alone
    number: Array  # (2, n) float32, reward and group reward
    flag: Array  # (2, n) bool, done and interrupted
    mask: Array  # (n, sum of branches) bool, True = forbidden
    floats: Array  # one sensor after another: (n, size) float32 each


def empty_columns(n: int, spec: BehaviorSpec, message: int) -> Columns:
    """Return columns of zeros for n agents that came in so many bytes.

    Raises UnityObservationException if they exceed the limits above, or could not have come in so few bytes.
    """
    numbers = n * sum(sensor_sizes(spec))
    if numbers > MOST_NUMBERS:
        raise UnityObservationException(f"{n} agents have {numbers} numbers to observe; {MOST_NUMBERS} are the most")
    choices = sum(spec.action_spec.discrete_branches)
    if n * (PER_AGENT + choices) > GROWTH * message + FREE:
        raise UnityObservationException(f"{n} agents with masks of {choices} choices came in {message} bytes only")
    return Columns(
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
        np.zeros((2, n), np.float32),
        np.zeros((2, n), bool),
        np.zeros((n, choices), bool),
        np.zeros(numbers, np.float32),
    )


def sensor_sizes(spec: BehaviorSpec) -> list[int]:
    """Return how many numbers each sensor sends for one agent."""
    return [int(np.prod(sensor.shape)) for sensor in spec.observation_specs]


def observations(columns: Columns, spec: BehaviorSpec) -> list[Array]:
    """Return the agents' observations: one (n, *shape) view per sensor."""
    n, begins, seen = len(columns.agent), 0, []
    for sensor, size in zip(spec.observation_specs, sensor_sizes(spec), strict=True):
        seen.append(columns.floats[begins : begins + n * size].reshape(n, *sensor.shape))
        begins += n * size
    return seen
