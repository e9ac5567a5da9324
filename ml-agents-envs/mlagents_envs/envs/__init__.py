"""Faces of a `BaseEnv`: of gymnasium, PettingZoo and Stable-Baselines3.

Loading this package lets gymnasium know the example scenes: `gymnasium.make("mlagents_envs.envs:mlagents/3DBall-v0")`.

Each environment of the registry is an attribute that makes it with PettingZoo's face: `envs.Basic.env()`. An id that
begins with a digit is spelled out: `envs.ThreeDBall`. The registry is read for names that are no built-in example's.
"""

from __future__ import annotations

from importlib.util import find_spec

from mlagents_envs.envs.pettingzoo_env_factory import PettingZooEnvFactory
from mlagents_envs.examples.catalog import NAMES

__all__ = ["PettingZooEnvFactory"]

if find_spec("gymnasium") is None:  # here, because every module of this package would fail with less of a sentence
    raise ModuleNotFoundError(
        'mlagents_envs.envs needs gymnasium, which is not installed: pip install "mlagents-envs[gym]"', name="gymnasium"
    )


from mlagents_envs.envs.gymnasium_ids import register_ids  # after the sentence

register_ids()  # as gymnasium has it: loading a module makes its environments known


def __getattr__(name: str) -> PettingZooEnvFactory:
    """Return the factory of an environment of the registry."""
    if name.startswith("_") or find_spec(f"{__name__}.{name}") is not None:  # `from ... import module` asks here first
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    names = {_attribute(identifier): identifier for identifier in NAMES}
    if name not in names:  # only now, for it may ask the network
        from mlagents_envs.registry import default_registry

        names = {_attribute(identifier): identifier for identifier in default_registry}
    if name not in names:
        known = ", ".join(sorted(filter(str.isidentifier, names)))
        raise AttributeError(f"module {__name__!r} has no environment {name!r}; the registry has {known}")
    return PettingZooEnvFactory(names[name])


def _attribute(identifier: str) -> str:
    return identifier.replace("3", "Three") if identifier[:1].isdigit() else identifier
