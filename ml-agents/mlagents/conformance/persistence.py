"""Checks of reproducibility: the same seed, and a trainer that is saved and resumed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mlagents.algorithms.modules import walk
from mlagents.algorithms.trainer import Trainer
from mlagents.collect.behavior import Behavior
from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask
from mlagents.conformance.training import EPISODE_LENGTH, TIME_HORIZON, train
from mlagents_envs.base_env import ActionSpec

ROWS = 650  # after the warm-up


def the_same_seed_gives_the_same_weights(subject: Subject, actions: ActionSpec) -> None:
    """Train twice from the same seed."""
    first, second = (_trained(subject, actions).trainer.state_dict() for _ in range(2))
    if place := difference(first, second):
        raise ConformanceError(
            f"two trainings from one seed must end with the same weights, but {place} differs; usually numbers are "
            "drawn from numpy or random without a seed, or the order of a set is used"
        )


def a_resumed_trainer_equals_one_that_never_stopped(subject: Subject, actions: ActionSpec) -> None:
    """Save, load into a trainer of another seed, and continue with both: they must stay equal bit by bit."""
    behavior, rows = _trained(subject, actions), subject.warm_up() + ROWS
    behavior.drop()
    resumed = Behavior(subject.trainer(CopyTask(actions).spec, normalize=True, seed=9), time_horizon=TIME_HORIZON)
    state = saved(behavior)
    resumed.load_state_dict(state, keep_step=True)
    resumed.generator.set_state(state["rng"]["torch"])  # as a resume does
    if place := difference(behavior.state_dict(), resumed.state_dict()):
        raise ConformanceError(
            f"the loaded state must equal the saved one, but {place} differs; usually it is missing in state_dict or "
            "ignored by load_state_dict"
        )
    for each in (behavior, resumed):
        env = TaskEnv(CopyTask(actions, length=EPISODE_LENGTH), 16, seed=3, irregular=True)
        train(each.trainer, env, rows, behavior=each)
    if place := difference(behavior.state_dict(), resumed.state_dict()):
        raise ConformanceError(
            f"a resumed trainer must equal one that never stopped, but after {rows} more rows {place} differs; usually "
            "a target network, an optimizer, a counter or a buffer is missing in state_dict"
        )


def every_network_that_learns_is_restored(subject: Subject, actions: ActionSpec) -> None:
    """Train, save, and look at every network of a trainer and of its signals, private ones too."""
    task = CopyTask(actions, length=EPISODE_LENGTH)
    trainer = subject.trainer(task.spec, normalize=True)
    before = {name: weight.clone() for name, weight in weights_of(trainer)}
    env = TaskEnv(task, 16, seed=2, irregular=True)
    behavior = train(trainer, env, subject.warm_up() + ROWS).behavior
    other = subject.trainer(task.spec, normalize=True, seed=9)
    other.load_state_dict(saved(behavior))
    restored = dict(weights_of(other))
    for name, weight in weights_of(trainer):
        changed = name not in before or not torch.equal(before[name], weight)
        if changed and (name not in restored or not torch.equal(restored[name], weight)):
            raise ConformanceError(
                f"what learns must be in a checkpoint, but {name} changed in training and is not restored; usually the "
                "network is a private attribute: make it public, or name it in modules()"
            )


def weights_of(trainer: Trainer) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter and buffer of a trainer and its signals, by name."""
    for owner in (trainer, *getattr(trainer, "signals", ())):
        for attribute, value in vars(owner).items():
            for place, module in walk(f"{type(owner).__name__}.{attribute}", value):
                if isinstance(module, nn.Parameter):
                    yield place, module.detach()
                elif isinstance(module, nn.Module):
                    yield from ((f"{place}.{name}", weight) for name, weight in module.state_dict().items())


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


def _trained(subject: Subject, actions: ActionSpec) -> Behavior:
    task = CopyTask(actions, length=EPISODE_LENGTH)
    trainer = subject.trainer(task.spec, normalize=True)
    return train(trainer, TaskEnv(task, 16, seed=2, irregular=True), subject.warm_up() + ROWS).behavior


def saved(behavior: Behavior) -> dict[str, Any]:
    """Return the state after torch.save and torch.load."""
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    file.seek(0)
    try:
        state: dict[str, Any] = torch.load(file, weights_only=True)
    except Exception as error:  # torch's own are of several kinds
        raise ConformanceError(
            "a checkpoint must hold only tensors and plain containers, but it cannot be loaded: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    return state
