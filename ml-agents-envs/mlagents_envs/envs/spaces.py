"""A behavior's sensors and actions as gymnasium's spaces. n is the number of agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from mlagents_envs.base_env import ActionSpec, ActionTuple, Array, BehaviorSpec
from mlagents_envs.envs.faces import UnityGymException

Observation = Array | dict[str, Array]


def sensor_names(spec: BehaviorSpec) -> list[str]:
    """Return a different name for each sensor: its own, numbered from the second of that name on."""
    names: list[str] = []
    for sensor in spec.observation_specs:
        name, number = sensor.name or "observation", 2
        while name in names:
            name, number = f"{sensor.name or 'observation'}_{number}", number + 1
        names.append(name)
    return names


def observation_space(spec: BehaviorSpec) -> spaces.Space[Any]:
    """Return the Box of the only sensor, or a Dict with one Box per sensor."""
    boxes = [spaces.Box(-np.inf, np.inf, sensor.shape, np.float32) for sensor in spec.observation_specs]
    return boxes[0] if len(boxes) == 1 else spaces.Dict(dict(zip(sensor_names(spec), boxes, strict=True)))


def observation(spec: BehaviorSpec, columns: Sequence[Array]) -> Observation:
    """Return observations as a value of `observation_space`; columns: one array per sensor, with or without n."""
    return columns[0] if len(columns) == 1 else dict(zip(sensor_names(spec), columns, strict=True))


def action_space(spec: ActionSpec) -> spaces.Space[Any]:
    """Return Box(-1, 1), Discrete for one branch, MultiDiscrete for several, or a Tuple of both halves."""
    halves: list[spaces.Space[Any]] = []
    if spec.continuous_size:
        halves.append(spaces.Box(-1.0, 1.0, (spec.continuous_size,), np.float32))
    if spec.discrete_size == 1:
        halves.append(spaces.Discrete(spec.discrete_branches[0]))
    elif spec.discrete_size:
        halves.append(spaces.MultiDiscrete(list(spec.discrete_branches)))
    if not halves:
        raise UnityGymException("a behavior without actions has no action space: it takes at least one")
    return halves[0] if len(halves) == 1 else spaces.Tuple(halves)


def action_columns(spec: ActionSpec, action: Any, *, n: int, who: str) -> ActionTuple:
    """Return the columns of an action of one agent's `action_space` (n = 1), or of a batch of n such spaces.

    who: named in errors. Raises UnityGymException for actions not of the space; continuous values are not limited.
    """
    hybrid = bool(spec.continuous_size and spec.discrete_size)
    try:
        first, second = action if hybrid else (action, ()) if spec.continuous_size else ((), action)
        continuous, discrete = np.asarray(first, np.float32), np.asarray(second)
    except (TypeError, ValueError) as error:
        raise UnityGymException(f"{who}: {action!r} is no action of {action_space(spec)}: {error}") from error
    fits = (
        _fits(continuous, n, spec.continuous_size)
        and _fits(discrete, n, spec.discrete_size)
        and np.isfinite(continuous).all()
        and (not spec.discrete_size or discrete.dtype.kind in "iu")
    )
    if fits:
        discrete = discrete.reshape(n, spec.discrete_size)
        if ((discrete >= 0) & (discrete < spec.discrete_branches)).all():
            return ActionTuple(continuous.reshape(n, spec.continuous_size), discrete)
    times = f" for each of {n} agents" if n > 1 else ""
    raise UnityGymException(f"{who}: {action!r} is no action; give one of {action_space(spec)}{times}")


def _fits(half: Array, n: int, size: int) -> bool:
    return half.size == n * size and (n == 1 or size == 0 or len(half) == n)


def allowed(spec: ActionSpec, forbidden: Sequence[Array] | None, *rows: int) -> tuple[Array, ...]:
    """Return one (*rows, branch size) int8 per branch, 1 = allowed: the opposite of the low-level API.

    forbidden: one (*rows, branch size) bool per branch, None if all is allowed.
    """
    if forbidden is None:
        return tuple(np.ones((*rows, size), np.int8) for size in spec.discrete_branches)
    return tuple(np.logical_not(branch).astype(np.int8) for branch in forbidden)


def sample_mask(spec: ActionSpec, branches: tuple[Array, ...]) -> Any:
    """Return the masks of one agent's branches as `action_space(spec).sample(mask=...)` takes them."""
    discrete = branches[0] if len(branches) == 1 else branches
    return (None, discrete) if spec.continuous_size else discrete
