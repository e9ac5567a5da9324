"""Environments apart from those that are trained in: for evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlagents.envs.local import LocalPool
from mlagents.envs.pool import EnvPool, MakeWorker
from mlagents.envs.registry import env_maker, split
from mlagents.envs.restarts import Restarts
from mlagents.envs.settings import EngineSettings, EnvironmentSettings
from mlagents.envs.unity import UnityMaker
from mlagents.envs.workers import WorkerPool
from mlagents_envs.base_env import BaseEnv


@dataclass(frozen=True)
class Shifted:
    """Makes environments whose numbers begin behind those of others; it can be pickled if `make` can."""

    make: MakeWorker
    by: int

    def __call__(self, worker: int) -> BaseEnv:
        return self.make(self.by + worker)


def pool_apart(make: MakeWorker, count: int = 1, *, first: int = 0) -> EnvPool:
    """Return environments that nobody restarts: one started again would play the episodes of before again.

    first: the number of the first one. A single one that is Python stays in this process; all others get processes.
    """
    if count == 1 and not isinstance(make, UnityMaker):
        return LocalPool(make(first))
    return WorkerPool(Shifted(make, first), count, partial(Restarts, lifetime=0, within=-1, seconds=0.0))


def pool_beside(
    settings: EnvironmentSettings, engine: EngineSettings, make: MakeWorker | None, *, seed: int, logs: Path | None
) -> EnvPool:
    """Return one more environment like those that are trained in, which have the numbers before it.

    make: of the caller, instead of what the settings name; it gets a number instead of the seed. logs: the folder of a
    build's log; None keeps none.
    """
    first = settings.num_envs
    if make is not None:
        return pool_apart(make, first=first)
    if is_build(settings):
        return pool_apart(env_maker(settings, engine, seed=seed - first, logs=logs), first=first)
    return pool_apart(env_maker(settings, engine, seed=seed, logs=logs))


def is_build(settings: EnvironmentSettings) -> bool:
    """Is the environment a Unity build, or the Editor, rather than Python?"""
    return not split(settings.env_path)[0]
