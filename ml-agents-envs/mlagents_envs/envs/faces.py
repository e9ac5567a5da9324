"""Shared by all wrappers of a `BaseEnv`: their exception, the choice of the behavior, and the reset."""

from __future__ import annotations

import gymnasium

from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.exception import UnityException

PATIENCE = 1000  # steps of the environment within which an agent must request an action


class UnityGymException(UnityException, gymnasium.error.Error):
    """The environment does not fit the wrapper, or is misused."""


def choose_behavior(env: BaseEnv, name: str | None = None) -> tuple[str, BehaviorSpec]:
    """Return the named behavior, or the only one; an environment without behaviors so far is stepped once.

    Raises UnityGymException if there is no such behavior, or no name and several behaviors.
    """
    if not env.behavior_specs:
        env.step()
    names = list(env.behavior_specs)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        asked = "one behavior is shown" if name is None else f"there is no behavior '{name}'"
        raise UnityGymException(f"{asked}, but the environment has {', '.join(names) or 'none'}: name one of these")
    return name, env.behavior_specs[name]


def begin(env: BaseEnv, seed: int | None = None) -> None:
    """Reset the environment, under a seed if one is given and the environment has `set_seed(seed)`.

    A Unity build takes its seed only when it is started.
    """
    if seed is not None and hasattr(env, "set_seed"):
        env.set_seed(seed)
    env.reset()
