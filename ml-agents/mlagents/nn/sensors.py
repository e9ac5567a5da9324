"""Which kind of observation a sensor gives, by the properties of its axes; and which sensors only a critic sees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from mlagents.nn.layers import UnsupportedNetwork
from mlagents.nn.settings import PRIVILEGED, NetworkSettings, names_of
from mlagents_envs.base_env import DimensionProperty, ObservationSpec
from mlagents_envs.names import nearest

UNSPECIFIED, NONE, MOVES, MANY = (
    DimensionProperty.UNSPECIFIED, DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
    DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip
VECTORS = ((NONE,), (UNSPECIFIED,))  # (size,)
IMAGES = ((NONE, MOVES, MOVES), (UNSPECIFIED,) * 3)  # (channels, height, width)
ENTITIES = ((MANY, NONE),)  # (most there can be, size)


class Kinds(NamedTuple):
    """The places of a behavior's sensors, by kind."""

    vectors: list[int]
    images: list[int]
    entities: list[int]


def critic_only(sensors: Sequence[ObservationSpec], settings: NetworkSettings) -> tuple[str, ...]:
    """Return the names of all sensors that only a critic sees: those named, and those that begin with PRIVILEGED.

    Raises UnsupportedNetwork for a name that no sensor has, and where the policy would see nothing.
    """
    every = [sensor.name for sensor in sensors]
    known = set().union(*map(names_of, every))
    for name in settings.critic_only:
        if name not in known:
            close = nearest(name, sorted(known))
            hint = f", did you mean '{close[0]}'?" if close else "."
            raise UnsupportedNetwork(
                f"network_settings.critic_only: no sensor has the name '{name}'{hint} Sensors: {', '.join(every)}"
            )
    found = tuple(dict.fromkeys(filter(settings.is_critic_only, every)))
    if every and found == tuple(dict.fromkeys(every)):
        raise UnsupportedNetwork(
            f"every sensor ({', '.join(found)}) is for the critic only, by network_settings.critic_only or by a name "
            f"that begins with '{PRIVILEGED}', so the policy would see nothing; leave it one at least"
        )
    return found


def by_kind(sensors: Sequence[ObservationSpec], unseen: Collection[str] = ()) -> Kinds:
    """Return which sensors are of which kind; raises UnsupportedNetwork for one that is of none, or without any.

    unseen: names of sensors that are left out.
    """
    if not sensors:
        raise UnsupportedNetwork("the agents of this behavior see nothing: give them a sensor, or vector observations")
    kinds = Kinds([], [], [])
    for i, sensor in enumerate(sensors):
        if sensor.name not in unseen:
            _kind(kinds, sensor).append(i)
    return kinds


def _kind(kinds: Kinds, sensor: ObservationSpec) -> list[int]:
    axes = tuple(sensor.dimension_property)
    for kind, known in zip(kinds, (VECTORS, IMAGES, ENTITIES), strict=True):
        if axes in known and len(axes) == len(sensor.shape):
            return kind
    properties = ", ".join(str(DimensionProperty(axis).name) for axis in axes) or "nothing"
    raise UnsupportedNetwork(
        f"sensor '{sensor.name}' has shape {tuple(sensor.shape)}, and its axes say {properties}: nothing encodes that; "
        "make it a vector (NONE), an image (NONE, TRANSLATIONAL_EQUIVARIANCE twice) or a buffer (VARIABLE_SIZE, NONE)"
    )
