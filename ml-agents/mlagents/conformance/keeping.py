"""Questions about what stays: weights under the same seed, and a trainer that was saved."""

from __future__ import annotations

import io
from typing import Any

import torch

from mlagents.collect.behavior import Behavior
from mlagents.conformance.fault import Fault
from mlagents.conformance.lesson import HORIZON, LENGTH, train
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Echo
from mlagents.conformance.world import World
from mlagents_envs.base_env import ActionSpec

ROWS = 650  # after the first that are learnt from


def the_same_seed_makes_the_same_weights(subject: Subject, actions: ActionSpec) -> None:
    """Train twice from the same seed."""
    one, other = (_taught(subject, actions).trainer.state_dict() for _ in range(2))
    if place := difference(one, other):
        raise Fault(
            f"two trainings from one seed must end with the same weights, but {place} differs; usually something is "
            "drawn from numpy or random, which nobody seeds, or walks through a set"
        )


def a_resumed_trainer_equals_one_that_never_stopped(subject: Subject, actions: ActionSpec) -> None:
    """Save, load into a trainer of another seed, and go on with both: not one bit may differ."""
    behavior, rows = _taught(subject, actions), subject.warm_up() + ROWS
    behavior.drop()
    fresh = Behavior(subject.trainer(Echo(actions).spec, normalize=True, seed=9), time_horizon=HORIZON)
    saved = _saved(behavior)
    fresh.load_state_dict(saved, keep_step=True)
    fresh.generator.set_state(saved["rng"]["torch"])  # as a resume does
    if place := difference(behavior.state_dict(), fresh.state_dict()):
        raise Fault(f"what is loaded must be what was saved, but {place} differs; usually it is missing in state_dict "
                    "or left alone by load_state_dict")  # fmt: skip
    for own in (behavior, fresh):
        torch.manual_seed(3)
        train(own.trainer, World(Echo(actions, length=LENGTH), 16, seed=3, restless=True), rows, behavior=own)
    if place := difference(behavior.state_dict(), fresh.state_dict()):
        raise Fault(
            f"a resumed trainer must equal one that never stopped, but after {rows} more rows {place} differs; usually "
            "a target network, an optimizer, a counter or what is remembered is missing in state_dict"
        )


def difference(one: Any, other: Any, place: str = "state_dict()") -> str | None:
    """Return where two states of tensors and plain containers differ, None if nowhere."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
        return None if same else place
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return place
        parts = ((one[key], other[key], f"{place}[{key!r}]") for key in one)
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        if len(one) != len(other):
            return place
        parts = ((a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(one, other, strict=True)))
    else:
        return None if one == other else place
    return next((found for a, b, where in parts if (found := difference(a, b, where))), None)


def _taught(subject: Subject, actions: ActionSpec) -> Behavior:
    task = Echo(actions, length=LENGTH)
    trainer = subject.trainer(task.spec, normalize=True)
    return train(trainer, World(task, 16, seed=2, restless=True), subject.warm_up() + ROWS).behavior


def _saved(behavior: Behavior) -> dict[str, Any]:
    """Return a state as it comes back from a file."""
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    file.seek(0)
    try:
        state: dict[str, Any] = torch.load(file, weights_only=True)
    except Exception as error:  # torch's own are of several kinds
        raise Fault(f"a checkpoint must hold tensors and plain containers only, but it cannot be read again: "
                    f"{' '.join(str(error).split())[:200]}") from error  # fmt: skip
    return state
