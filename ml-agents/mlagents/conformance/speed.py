"""The speed of a trainer relative to PPO: a remark, never a failure."""

from __future__ import annotations

import time

from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask
from mlagents.conformance.training import TRAIN_AGENTS, train
from mlagents.plugins.catalog import Catalog
from mlagents_envs.base_env import ActionSpec

ROWS, ROUNDS = 1500, 2


def speed_relative_to_ppo(subject: Subject, actions: ActionSpec) -> str:
    """Train both at the same task in turns, and compare their best times."""
    ppo = Catalog().find("ppo")
    assert ppo is not None  # it is built in
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for seconds, trainer in zip(times, (subject, Subject(ppo)), strict=True):
            seconds.append(_seconds(trainer, actions))
    best, ppo_best = (min(seconds) for seconds in times)
    return f"{ROWS / best:,.0f} rows a second, {ppo_best / best:.2f} times PPO's"


def _seconds(subject: Subject, actions: ActionSpec) -> float:
    task = CopyTask(actions)
    trainer, env = subject.trainer(task.spec), TaskEnv(task, TRAIN_AGENTS, seed=0)
    begin = time.perf_counter()
    train(trainer, env, ROWS)
    return time.perf_counter() - begin
