"""Ids by which gymnasium makes the example scenes: `mlagents/3DBall-v0`. They are known once the package is loaded."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from mlagents_envs.examples.catalog import NAMES

NAMESPACE = "mlagents"
VERSION = 0  # higher where a scene plays so differently that results no longer compare
_FACES = "mlagents_envs.envs.example_gym_env"


def register_ids() -> list[str]:
    """Tell gymnasium all ids that it does not know yet, and return all; no scene is loaded."""
    ids = {f"{NAMESPACE}/{name}-v{VERSION}": name for name in NAMES}
    for identifier, name in ids.items():
        if identifier not in registry:
            register(
                identifier, f"{_FACES}:ExampleGymEnv", kwargs={"name": name}, vector_entry_point=f"{_FACES}:make_lanes"
            )
    return list(ids)
