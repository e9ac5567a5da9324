"""What `--env` may name, and how environments of it are made; they can be checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents.envs.pool import MakeWorker
from mlagents.envs.settings import EngineSettings, EnvironmentSettings

if TYPE_CHECKING:
    from mlagents_envs.base_env import BaseEnv, BehaviorSpec

BUILTIN, GYM, PETTINGZOO = "builtin", "gym", "pettingzoo"
SCHEMES = (BUILTIN, GYM, PETTINGZOO)
SEEDS = 1000  # from one worker to the next: as many copies have seeds of their own


def split(path: str | None) -> tuple[str, str]:
    """Return (scheme, rest) of what `--env` says; the scheme of a build, and of the Editor, is empty."""
    scheme, colon, rest = (path or "").partition(":")
    return (scheme, rest) if colon and scheme in SCHEMES else ("", path or "")


def check(settings: EnvironmentSettings) -> None:
    """Raise a UnityException with a sentence if there is no such environment, or it cannot be watched."""
    scheme, name = split(settings.env_path)
    if settings.watch:
        check_watch(settings, scheme)
    if scheme == BUILTIN:
        from mlagents_envs.examples.catalog import check_name

        check_name(name)
    elif scheme == GYM:
        from mlagents.adapters.gymnasium import check_id

        check_id(name)
    elif scheme == PETTINGZOO:
        from mlagents.adapters.pettingzoo import check_module

        check_module(name)
    elif name:
        from mlagents_envs.exception import UnityEnvironmentException
        from mlagents_envs.wire.builds import find_player, wrong_file

        if (wrong := wrong_file(find_player(name))) is not None:
            raise UnityEnvironmentException(wrong)


def foreseen(settings: EnvironmentSettings) -> Mapping[str, BehaviorSpec]:
    """Return the behaviors that are known before an environment starts: those of the example environments."""
    scheme, name = split(settings.env_path)
    if scheme != BUILTIN:
        return {}
    from mlagents_envs.examples.catalog import make

    return make(name, areas=1).behavior_specs


def parameters(settings: EnvironmentSettings) -> Collection[str] | None:
    """Return the environment parameters that the environment has; None: only it knows.

    Raises UnityEnvironmentException where an example lacks what it needs.
    """
    scheme, name = split(settings.env_path)
    if scheme != BUILTIN:
        return None
    from mlagents_envs.examples.catalog import make

    return make(name, areas=1).PARAMETERS


def check_watch(settings: EnvironmentSettings, scheme: str) -> None:
    """Raise UnityEnvironmentException unless the environment is an example in this process."""
    from mlagents_envs.exception import UnityEnvironmentException

    if scheme != BUILTIN:
        raise UnityEnvironmentException(
            f"{settings.env_path or 'the Editor'}: --watch shows {BUILTIN}: environments only; leave it away"
        )
    if settings.num_envs > 1:
        raise UnityEnvironmentException(
            f"{settings.env_path}: --watch needs it in this process, and --num-envs {settings.num_envs} gives it "
            f"others; leave one of the two away"
        )


def env_maker(settings: EnvironmentSettings, engine: EngineSettings, *, seed: int, logs: Path | None) -> MakeWorker:
    """Return how a worker makes its environment. logs: the folder of the builds' logs; None keeps none."""
    scheme, name = split(settings.env_path)
    given = settings.model_fields_set
    if scheme:
        return PythonMaker(scheme, name, settings.num_areas if "num_areas" in given else None, seed)
    from mlagents.envs.unity import UnityMaker

    numbers = engine.model_dump(exclude={"no_graphics", "no_graphics_monitor"})
    return UnityMaker(
        settings.env_path,
        numbers,
        arguments=settings.env_args or (),
        seed=seed,
        base_port=settings.base_port if "base_port" in given and settings.env_path is not None else None,
        patience=settings.timeout_wait,
        no_graphics=engine.no_graphics,
        no_graphics_monitor=engine.no_graphics_monitor,
        num_areas=settings.num_areas,
        log_folder=None if logs is None else str(logs.absolute()),
        listen=settings.listen,
        limit=settings.max_message_mib * 2**20,
    )


@dataclass(frozen=True)
class PythonMaker:
    """An environment that is Python. It travels to the processes of workers, each of which makes one."""

    scheme: str
    name: str
    copies: int | None  # areas of it; None is its own number
    seed: int

    def __call__(self, worker: int) -> BaseEnv:
        """Return the environment of a worker; each has seeds of its own, one per copy."""
        seed = self.seed + worker * SEEDS
        if self.scheme == GYM:
            from mlagents.adapters.gymnasium import GymnasiumEnv

            return GymnasiumEnv.make(self.name, copies=self.copies, seed=seed)
        if self.scheme == PETTINGZOO:
            from mlagents.adapters.pettingzoo import PettingZooEnv

            return PettingZooEnv.make(self.name, copies=self.copies, seed=seed)
        from mlagents_envs.examples.catalog import make

        return make(self.name, areas=self.copies, seed=self.seed + worker)
