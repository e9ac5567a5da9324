"""Training at a task, and playing it without exploring."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mlagents.algorithms.trainer import Trainer
from mlagents.collect.behavior import Behavior
from mlagents.conformance.fault import Fault
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Array, Draw, Echo, Task
from mlagents.conformance.world import World
from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.policy import Actor
from mlagents_envs.base_env import ActionSpec, ActionTuple

HORIZON = 16
AGENTS, PLAYERS = 32, 256  # who train together, and who play what was learnt
LENGTH = 20.0  # mean decisions of episodes that are to be left in the middle; longer than HORIZON


class Lesson(NamedTuple):
    """What training left behind."""

    behavior: Behavior
    updates: int  # ticks at which something was learnt


def train(trainer: Trainer, world: World, rows: int, *, behavior: Behavior | None = None) -> Lesson:
    """Train until so many more rows came home."""
    behavior = behavior or Behavior(trainer, time_horizon=HORIZON)
    said, updates, until = world.begin(), 0, behavior.step + rows
    while behavior.step < until:
        behavior.receive(said)
        updates += behavior.learn() is not None
        action, _ = behavior.act()
        said = world.step(action)
    return Lesson(behavior, updates)


def learned(subject: Subject, task: Task, rows: int) -> Trainer:
    """Return a trainer that was trained at a task; raises Fault if it never learned."""
    trainer = subject.trainer(task.spec, gamma=task.gamma)
    lesson = train(trainer, World(task, AGENTS, seed=subject.seed), rows)
    if not lesson.updates:
        raise Fault(
            f"within {rows} rows it must learn at least once, but learn() always returned None; usually batch_size, "
            "buffer_size or a warm-up is larger than what this kit gives: see --config"
        )
    return trainer


def score(trainer: Trainer, task: Task, *, ticks: int) -> float:
    """Return the mean reward of a row while PLAYERS play and nothing is explored."""
    world = World(task, PLAYERS, seed=77)
    said = world.begin()
    for _ in range(ticks):
        asks = ~said.done
        input = question(tuple(column[asks] for column in said.obs), said.mask[asks])
        said = world.step(told(trainer.policy, trainer.policy.act(input, explore=False).action))
    return float(np.concatenate(world.rewards).mean())


def told(policy: Actor, action: Actions) -> ActionTuple:
    """Return what the world is told of sampled actions."""
    cut = policy.env_action(action)
    return ActionTuple(cut.continuous.numpy(), cut.discrete.numpy().astype(np.int32))


def question(obs: tuple[Array, ...], mask: Array) -> PolicyInput:
    """Return what a policy is asked, with nothing remembered."""
    tensors = tuple(torch.from_numpy(column) for column in obs)
    return PolicyInput(tensors, torch.from_numpy(mask), torch.zeros(len(mask), 0))


def asked(task: Task, n: int, draw: Draw) -> PolicyInput:
    """Return what n agents ask who begin a task."""
    state = task.born(n, draw)
    return question(task.seen(state), task.allowed(state))


def random_mask(n: int, branches: tuple[int, ...], draw: Draw) -> Array:
    """Return (n, sum of branch sizes) bool that leaves each branch a choice."""
    parts = [np.zeros((n, 0), bool)]
    for size in branches:
        part = draw.random((n, size)) < 0.5
        part[np.arange(n), draw.integers(size, size=n)] = True
        parts.append(part)
    return np.concatenate(parts, 1)


def seasoned(subject: Subject, actions: ActionSpec, *, deterministic: bool = False) -> tuple[Trainer, Echo]:
    """Return a trainer that learned for a while, with weights shaken so that agents are answered differently.

    After learning, whatever it explores with is switched on.
    """
    task = Echo(actions)
    trainer = subject.trainer(task.spec, normalize=True, deterministic=deterministic)
    train(trainer, World(task, AGENTS, seed=subject.seed), subject.warm_up() + 400)
    with torch.no_grad():
        for weight in trainer.policy.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return trainer, task
