"""Training a trainer at a task, and evaluating its policy without exploration."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch

from mlagents.algorithms.trainer import Trainer
from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Collector
from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import Array, CopyTask, Task
from mlagents.data.experience import Actions, PolicyInput
from mlagents.envs.steps import StepBatch
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec, ActionTuple

TIME_HORIZON = 16
TRAIN_AGENTS, EVAL_AGENTS = 32, 256
EPISODE_LENGTH = 20.0  # mean decisions of episodes in which agents leave; longer than TIME_HORIZON


class TrainingResult(NamedTuple):
    """A behavior after training."""

    behavior: Behavior
    updates: int  # ticks at which learn() did an update


class Steps(Protocol):
    """What agents act in."""

    def reset(self) -> StepBatch:
        """Return the first steps."""

    def step(self, action: ActionTuple) -> StepBatch:
        """Apply one action per waiting agent, in their order, and return the next steps."""


def train(trainer: Trainer, env: Steps, rows: int, *, behavior: Behavior | None = None) -> TrainingResult:
    """Train until `rows` more rows were collected."""
    behavior = behavior or Behavior(trainer, time_horizon=TIME_HORIZON)
    steps, updates, until = env.reset(), 0, behavior.step + rows
    while behavior.step < until:
        behavior.receive(steps)
        updates += behavior.learn() is not None
        action, _ = behavior.act()
        steps = env.step(action)
    return TrainingResult(behavior, updates)


def trained_trainer(subject: Subject, task: Task, rows: int) -> Trainer:
    """Return a trainer after `rows` rows of a task; raises ConformanceError if it never did an update."""
    trainer = subject.trainer(task.spec, gamma=task.gamma)
    result = train(trainer, TaskEnv(task, TRAIN_AGENTS, seed=subject.seed), rows)
    if not result.updates:
        raise ConformanceError(
            f"learn() must do at least one update within {rows} rows, but it always returned None; usually batch_size, "
            "buffer_size or a warm-up is larger than the number of rows: see --config"
        )
    return trainer


def evaluate(trainer: Trainer, task: Task, *, ticks: int) -> float:
    """Return the mean reward per row of EVAL_AGENTS agents over `ticks` ticks without exploration."""
    env = TaskEnv(task, EVAL_AGENTS, seed=77)
    collector, steps = Collector(trainer.policy.memory_size, horizon=ticks), env.reset()
    for _ in range(ticks):
        collector.receive(steps)
        steps = env.step(collector.act(trainer.policy, explore=False)[0])
    return float(np.concatenate(env.rewards).mean())


def env_action(policy: Policy, action: Actions) -> ActionTuple:
    """Return sampled actions as the environment gets them."""
    clipped = policy.env_action(action)
    return ActionTuple(clipped.continuous.numpy(), clipped.discrete.numpy().astype(np.int32))


def policy_input(policy: Policy, obs: tuple[Array, ...], mask: Array) -> PolicyInput:
    """Return a policy's input in which nothing is remembered."""
    tensors = tuple(torch.from_numpy(column) for column in obs)
    return PolicyInput(tensors, torch.from_numpy(mask), torch.zeros(len(mask), policy.memory_size))


def initial_input(policy: Policy, task: Task, n: int, rng: np.random.Generator) -> PolicyInput:
    """Return a policy's input for n agents in initial states of a task, with random memories if it has any."""
    state = task.reset(n, rng)
    input = policy_input(policy, task.observe(state), task.allowed(state))
    memory = rng.normal(size=tuple(input.memory.shape)).astype(np.float32)
    return replace(input, memory=torch.from_numpy(memory).tanh())


def random_mask(n: int, branches: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return a random (n, sum of branch sizes) bool mask that allows at least one action in each branch."""
    parts = [np.zeros((n, 0), bool)]
    for size in branches:
        part = rng.random((n, size)) < 0.5
        part[np.arange(n), rng.integers(size, size=n)] = True
        parts.append(part)
    return np.concatenate(parts, 1)


def perturbed_trainer(
    subject: Subject, actions: ActionSpec, *, deterministic: bool = False
) -> tuple[Trainer, CopyTask]:  # fmt: skip
    """Return a briefly trained trainer, and its task; noise is added to its weights so that actions differ by row.

    It is trained first because some trainers explore only after the first update.
    """
    task = CopyTask(actions)
    trainer = subject.trainer(task.spec, normalize=True, deterministic=deterministic)
    train(trainer, TaskEnv(task, TRAIN_AGENTS, seed=subject.seed), subject.warm_up() + 400)
    rng = torch.Generator().manual_seed(subject.seed)
    with torch.no_grad():
        for weight in trainer.policy.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=rng))
    return trainer, task
