"""What a program may train in: an environment by name or path, one that it has made, or a function that makes one."""

from __future__ import annotations

import inspect
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlagents.envs.pool import MakeWorker
from mlagents.envs.registry import BUILTIN, split
from mlagents.errors import RunError
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.examples.catalog import NAMES

Make = Callable[[], BaseEnv] | Callable[[int], BaseEnv]
Env = str | os.PathLike[str] | BaseEnv | Make


@dataclass(frozen=True)
class Numbered:
    """A function that takes no number, where one with a worker's number is called."""

    make: Callable[[], BaseEnv]

    def __call__(self, _: int) -> BaseEnv:
        return self.make()


def resolve(env: Env | None) -> tuple[str | None, BaseEnv | MakeWorker | None]:
    """Return what `--env` would name, or else the environment or what makes it; at least one of the two is None.

    Raises TypeError for what is no environment.
    """
    if env is None:
        return None, None
    if isinstance(env, BaseEnv):
        return None, env
    if isinstance(env, str | os.PathLike):
        return _path(os.fspath(env)), None
    if not callable(env):
        raise TypeError(f"env is {env!r}; it must be a name, a path, a BaseEnv, or a function that returns one")
    return None, _numbered(env)


def check_copies(environment: BaseEnv | MakeWorker | None, num_envs: int) -> None:
    """Raise RunError if so many environments cannot be had of what the caller gave."""
    if environment is None or num_envs == 1:
        return
    if isinstance(environment, BaseEnv):
        kind = type(environment).__name__
        raise RunError(f"num_envs is {num_envs}, but there is one {kind}; give a function that makes one")
    try:
        pickle.dumps(environment)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise RunError(
            f"num_envs is {num_envs}, but the function that makes environments cannot be sent to other processes "
            f"({error}); define it at the top of a module"
        ) from error


def _path(name: str) -> str:
    """Return what `--env` takes; the name of an example stands for the example unless a file has that name."""
    return f"{BUILTIN}:{name}" if name in NAMES and not split(name)[0] and not Path(name).exists() else name


def _numbered(make: Make) -> MakeWorker:
    """Return a function of a worker's number, whether or not `make` takes one."""
    try:
        required = [
            parameter
            for parameter in inspect.signature(make).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except ValueError:  # a function written in C
        required = []
    return make if required else Numbered(make)  # type: ignore[arg-type, return-value]  # `required` decides which
