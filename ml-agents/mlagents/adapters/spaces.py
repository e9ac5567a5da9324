"""Mapping of gymnasium's spaces to sensors and branches, and of actions back to elements of the space.

`place` is the name of the environment in errors, such as `gym:CartPole-v1`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.exception import UnityEnvironmentException, UnityObservationException

try:
    from gymnasium import spaces
except ModuleNotFoundError as error:
    raise UnityEnvironmentException(
        'gymnasium is needed for this environment, but is not installed: pip install "mlagents-envs[gym]"'
    ) from error

Array = NDArray[Any]


@dataclass(frozen=True)
class Sensor:
    """One part of an observation, and its encoding as numbers."""

    spec: ObservationSpec
    keys: tuple[Any, ...]  # path of the part through dicts and tuples
    encode: Callable[[Any], Array]  # the part -> float32 of the sensor's shape


@dataclass(frozen=True)
class ActionMapping:
    """An action space as an ActionSpec, and the mapping of actions back to the space."""

    spec: ActionSpec
    decode: Callable[[Array, Array], Any]  # (continuous size,) float32 and (branches,) int32 of one agent


def sensors(space: spaces.Space[Any], place: str) -> list[Sensor]:
    """Return one sensor per part of an observation space; raises UnityEnvironmentException if one is not supported.

    A Box of rank 1 stays as it is and one of rank 2 becomes a vector, unless it is uint8: that is an image, as is every
    one of rank 3. Images become channels first, and uint8 is scaled to 0..1. All other parts become vectors, with
    discrete values as one-hots.
    """
    return list(_sensors(space, (), place))


def encode_observation(parts: Sequence[Sensor], value: Any, place: str) -> list[Array]:
    """Return one array per sensor; raises UnityObservationException for a value outside of its space."""
    encoded = []
    for sensor in parts:
        part = value
        for key in sensor.keys:
            part = entry(part, key, place)
        try:
            numbers = sensor.encode(part)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise UnityObservationException(
                f"{place}: observation '{sensor.spec.name}' does not fit its space: {error}"
            ) from error
        if numbers.shape != sensor.spec.shape:
            raise UnityObservationException(
                f"{place}: observation '{sensor.spec.name}' has shape {numbers.shape} as a sensor; "
                f"its space has {sensor.spec.shape}"
            )
        encoded.append(numbers)
    return encoded


def entry(value: Any, key: Any, place: str) -> Any:
    """Return a part of an observation; raises UnityObservationException if it has no such part."""
    try:
        return value[key]
    except (KeyError, IndexError, TypeError) as error:
        raise UnityObservationException(
            f"{place}: an observation has no part {key!r}, but its space has; it is a {type(value).__name__}"
        ) from error


def without_mask(space: spaces.Space[Any]) -> tuple[spaces.Space[Any], bool]:
    """Return the observation space without the mask of {"observation", "action_mask"}, and whether there was one."""
    if isinstance(space, spaces.Dict) and set(space.spaces) == {"observation", "action_mask"}:
        return space["observation"], True
    return space, False


def action_mapping(space: spaces.Space[Any], place: str) -> ActionMapping:
    """Return the mapping of an action space; raises UnityEnvironmentException if it, or a part, is unsupported.

    Where a Box has both bounds, [-1, 1] is scaled to them; elsewhere numbers are passed on unchanged.
    """
    if isinstance(space, spaces.Discrete):
        start, number = space.start, space.dtype.type
        return ActionMapping(ActionSpec(0, (int(space.n),)), lambda _, choice: number(start + choice[0]))
    if isinstance(space, spaces.MultiDiscrete):
        branches = tuple(int(size) for size in space.nvec.ravel())
        return ActionMapping(ActionSpec(0, branches), lambda _, choice: _choices(space, choice))
    if isinstance(space, spaces.Box):
        return ActionMapping(ActionSpec(int(np.prod(space.shape)), ()), _scaled(space))
    if isinstance(space, spaces.Tuple):
        return _concatenated([action_mapping(part, place) for part in space.spaces], tuple)
    if isinstance(space, spaces.Dict):
        keys = list(space.spaces)
        parts = [action_mapping(part, place) for part in space.spaces.values()]
        return _concatenated(parts, lambda values: dict(zip(keys, values, strict=True)))
    raise UnityEnvironmentException(
        f"{place}: action space {space} is not supported; "
        "use Box, Discrete, MultiDiscrete, or Tuple or Dict of these"
    )


def forbidden_actions(mask: Any, spec: ActionSpec, place: str) -> Array | None:
    """Return a mask (1 = allowed) as (sum of branch sizes,) bool, True = forbidden; None if there is no mask.

    mask: one array or a tuple of arrays; None for parts without branches. Raises
    UnityEnvironmentException if it has another size than the branches, or is not of zeros and ones.
    """
    if mask is None or not spec.discrete_size:
        return None
    try:
        flat = np.concatenate([np.ravel(_numbers(part)) for part in _leaves(mask)] or [np.zeros(0)])
    except (TypeError, ValueError) as error:
        raise UnityEnvironmentException(f"{place}: an action mask is no array of zeros and ones: {error}") from error
    if len(flat) != sum(spec.discrete_branches):
        raise UnityEnvironmentException(
            f"{place}: an action mask has {len(flat)} entries; branches of {spec.discrete_branches} need "
            f"{sum(spec.discrete_branches)}"
        )
    nothing: Array = np.equal(flat, 0)
    if not np.equal(flat, ~nothing).all():
        raise UnityEnvironmentException(
            f"{place}: an action mask has the entry {flat[np.not_equal(flat, ~nothing)][0]}; 1 allows, 0 forbids"
        )
    return nothing


def _sensors(space: spaces.Space[Any], keys: tuple[Any, ...], place: str) -> Iterator[Sensor]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _sensors(part, (*keys, key), place)
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _sensors(part, (*keys, index), place)
    else:
        encode, shape = _encoding(space, place)
        yield Sensor(_sensor_spec(shape, ".".join(map(str, keys)) or "observation"), keys, encode)


def _sensor_spec(shape: tuple[int, ...], name: str) -> ObservationSpec:
    axes = (DimensionProperty.NONE,) * len(shape)
    if len(shape) == 3:
        axes = (DimensionProperty.NONE, *2 * (DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,))
    return ObservationSpec(shape, axes, ObservationType.DEFAULT, name)


def _encoding(space: spaces.Space[Any], place: str) -> tuple[Callable[[Any], Array], tuple[int, ...]]:
    """Return the encoding of a value as float32, and its shape."""
    if isinstance(space, spaces.Discrete):
        start, one_hot = int(space.start), np.eye(int(space.n), dtype=np.float32)
        return lambda value: one_hot[_choice(value, start, int(space.n))], (int(space.n),)
    if isinstance(space, spaces.MultiBinary):
        return lambda value: _numbers(value).ravel(), (int(np.prod(space.shape)),)
    if isinstance(space, spaces.MultiDiscrete):
        return _one_hots(space), (int(space.nvec.sum()),)
    if isinstance(space, spaces.Box) and len(space.shape) <= 3:
        return _box(space)
    raise UnityEnvironmentException(
        f"{place}: observation space {space} is not supported; use Box of rank 0 to 3, Discrete, MultiBinary, "
        "MultiDiscrete, or Tuple or Dict of these"
    )


def _one_hots(space: spaces.MultiDiscrete[Any]) -> Callable[[Any], Array]:
    sizes, start = space.nvec.ravel(), space.start.ravel()
    first = np.cumsum(sizes) - sizes  # where each one-hot begins

    def encode(value: Any) -> Array:
        one_hots, chosen = np.zeros(sizes.sum(), np.float32), np.ravel(value)
        if len(chosen) != len(sizes) or (chosen < start).any() or (chosen >= start + sizes).any():
            raise ValueError(f"{chosen.tolist()} is outside of {space}")
        one_hots[first + chosen - start] = 1.0
        return one_hots

    return encode


def _choice(value: Any, start: int, number: int) -> int:
    choice = int(_numbers(value).reshape(())) - start
    if not 0 <= choice < number:
        raise ValueError(f"{value} is not from {start} to {start + number - 1}")
    return choice


def _numbers(value: Any) -> Array:
    """Return a value as float32; raises TypeError for text, None and objects."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(value).__name__} of {array.dtype} are not numbers")
    numbers: Array = array.astype(np.float32, copy=False)
    return numbers


def _box(space: spaces.Box) -> tuple[Callable[[Any], Array], tuple[int, ...]]:
    shape, rank = space.shape, len(space.shape)
    pixels = space.dtype == np.uint8 and rank >= 2
    if rank == 3:
        last = shape[-1] <= shape[0]  # the shorter of the outer axes has the channels
        most = np.float32(255 if pixels else 1)

        def encode(value: Any) -> Array:
            image = _numbers(value) / most
            return np.ascontiguousarray(np.moveaxis(image, -1, 0)) if last and image.ndim == 3 else image

        return encode, (shape[-1], *shape[:-1]) if last else shape
    if pixels:
        return lambda value: _numbers(value)[None] / np.float32(255), (1, *shape)

    def flat(value: Any) -> Array:
        numbers: Array = _numbers(value)
        if rank == 2 and numbers.shape != shape:
            raise ValueError(f"its shape is {numbers.shape}, not {shape}")
        own: Array = numbers.ravel().copy()  # the environment may reuse its array
        return own

    return flat, (int(np.prod(shape)),)


def _choices(space: spaces.MultiDiscrete[Any], choice: Array) -> Array:
    chosen: Array = (space.start + choice.reshape(space.nvec.shape)).astype(space.dtype)
    return chosen


def _scaled(space: spaces.Box) -> Callable[[Array, Array], Any]:
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    bounded = np.isfinite(low) & np.isfinite(high)
    middle = np.where(bounded, np.where(bounded, low, 0.0) / 2 + np.where(bounded, high, 0.0) / 2, 0.0)
    half = np.where(bounded, high, 0.0) / 2 - np.where(bounded, low, 0.0) / 2
    whole = np.issubdtype(space.dtype, np.integer)

    def decode(continuous: Array, _: Array) -> Any:
        number = continuous.reshape(space.shape).astype(np.float64)
        number = np.where(bounded, middle + half * np.clip(number, -1.0, 1.0), number)
        number = np.clip(number, low, high)
        return (np.rint(number) if whole else number).astype(space.dtype)

    return decode


def _concatenated(parts: Sequence[ActionMapping], join: Callable[[list[Any]], Any]) -> ActionMapping:
    """Concatenate the parts of a compound space."""
    continuous = np.cumsum([0] + [part.spec.continuous_size for part in parts])
    discrete = np.cumsum([0] + [part.spec.discrete_size for part in parts])
    branches = tuple(size for part in parts for size in part.spec.discrete_branches)

    def decode(numbers: Array, choice: Array) -> Any:
        return join([
            part.decode(numbers[continuous[i] : continuous[i + 1]], choice[discrete[i] : discrete[i + 1]])
            for i, part in enumerate(parts)
        ])  # fmt: skip

    return ActionMapping(ActionSpec(int(continuous[-1]), branches), decode)


def _leaves(mask: Any) -> Iterator[Any]:
    if isinstance(mask, Mapping):
        mask = tuple(mask.values())
    if isinstance(mask, tuple):
        for part in mask:
            yield from _leaves(part)
    elif mask is not None:
        yield mask
