"""How fast a trainer is beside PPO. A number to look at, never a fault."""

from __future__ import annotations

import time

from mlagents.conformance.lesson import AGENTS, train
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Echo
from mlagents.conformance.world import World
from mlagents.plugins.catalog import Catalog
from mlagents_envs.base_env import ActionSpec

ROWS, ROUNDS = 1500, 2


def how_fast_it_is_beside_ppo(subject: Subject, actions: ActionSpec) -> str:
    """Let both train at the same task in turns, and compare their best times."""
    ppo = Catalog().find("ppo")
    assert ppo is not None  # it is built in
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for own, rival in zip(times, (subject, Subject(ppo)), strict=True):
            own.append(_seconds(rival, actions))
    mine, theirs = (min(own) for own in times)
    return f"{ROWS / mine:,.0f} rows a second, {theirs / mine:.2f} of PPO's pace"


def _seconds(subject: Subject, actions: ActionSpec) -> float:
    task = Echo(actions)
    trainer, world = subject.trainer(task.spec), World(task, AGENTS, seed=0)
    begin = time.perf_counter()
    train(trainer, world, ROWS)
    return time.perf_counter() - begin
