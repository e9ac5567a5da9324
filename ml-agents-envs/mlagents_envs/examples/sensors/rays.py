"""Unity's ray sensor: what a fan of rays from an agent meets, and how far off. The casting is in `rays_numba`.

A ray has a one-hot of tags, whether it met nothing, and the share of its length that it went (1 if it met nothing).
A hit without a known tag is no tag at some distance. Rays are balls of radius 0.5 that are thrown;
what a ball overlaps where it starts is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import ObservationSpec
from mlagents_envs.examples.example import Array, vector_sensor


@dataclass(frozen=True)
class RaySensor:
    """A fan of 2 per_side + 1 rays over +-degrees, in Unity's order: middle, right, left, further right, ..."""

    name: str
    tags: int  # how many it distinguishes
    per_side: int
    degrees: float
    length: float  # m, of a level ray; one that rises by the same distance ahead is longer
    start: float = 0.0  # m above the agent's middle
    end: float = 0.0
    stack: int = 1  # frames that are seen, newest last
    facing: float = 0.0  # degrees about y, from where the agent looks to where the middle ray does

    @property
    def size(self) -> int:
        """How many numbers one frame has."""
        return (2 * self.per_side + 1) * (self.tags + 2)

    @property
    def spec(self) -> ObservationSpec:
        """The sensor as the low-level API has it, with Unity's name for it."""
        name = self.name if self.stack == 1 else f"StackingSensor_size{self.stack}_{self.name}"
        return vector_sensor(self.stack * self.size, name)

    @property
    def ways(self) -> Array:
        """(4, rays) float32: directions of length 1, x y z as the agent looks, and lengths."""
        angles = [0.0]
        for k in range(1, self.per_side + 1):
            angles += [k * self.degrees / self.per_side, -k * self.degrees / self.per_side]
        yaw = np.radians(np.add(angles, self.facing))
        ways = np.stack(
            [self.length * np.sin(yaw), np.full(len(yaw), self.end - self.start), self.length * np.cos(yaw)]
        )
        lengths = np.linalg.norm(ways, axis=0)
        return np.concatenate([ways / lengths, lengths[None]]).astype(np.float32)


class Rays(NamedTuple):
    """Rays of one agent that start at one height. A kernel takes them as they are."""

    ways: Array  # (4, rays) float32: directions x y z of length 1, as the agent looks, and lengths
    level: int  # how many of them are level; these come first
    start: float  # m above the agent's middle
    channels: Array  # (tags of the scene,) int64: the place of each in the one-hot, -1 = not known to the sensor
    work: Array  # (7, rays) float32, what is known of each ray while it is cast


def rays(*sensors: RaySensor, channels: Sequence[int] | None = None) -> Rays:
    """Return the rays of sensors that start at the same height, to be cast together; those that look level come first.

    channels: the place of each tag of the scene in the one-hot, -1 = unknown to these sensors; the same order if None.
    """
    ways = np.concatenate([sensor.ways for sensor in sensors], axis=1)
    places = range(sensors[0].tags) if channels is None else channels
    return Rays(
        ways,
        int((ways[1] == 0).sum()),
        sensors[0].start,
        np.array(places, np.int64),
        np.zeros((7, ways.shape[1]), np.float32),
    )
