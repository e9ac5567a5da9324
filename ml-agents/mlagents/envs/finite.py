"""The door through which numbers of environments enter training: none that would ruin a network passes."""

from __future__ import annotations

from mlagents.envs.steps import Array, StepBatch
from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.finite import LARGEST, unusable


def check_finite(step: StepBatch, behavior: str, spec: BehaviorSpec, env: BaseEnv, environment: int = 0) -> None:
    """Raise UnityObservationException, with environment, agent, sensor and value, for a number that cannot be used."""
    for what, column in (("reward", step.reward), ("group reward", step.group_reward)):
        if (at := unusable(column)) is not None:
            raise _wrong(what, column, at, step, behavior, env, environment)
    for sensor, column in zip(spec.observation_specs, step.obs, strict=True):
        if (at := unusable(column)) is not None:
            raise _wrong(f"observation '{sensor.name}'{list(at[1:])}", column, at, step, behavior, env, environment)


def _wrong(
    what: str, column: Array, at: tuple[int, ...], step: StepBatch, behavior: str, env: BaseEnv, environment: int
) -> UnityObservationException:
    agent = int(step.agent[at[0]]) & 0xFFFFFFFF
    named = getattr(env, "agent_name", None)
    who = f"agent {agent}" + (f" ({named(agent)})" if named is not None else "")
    return UnityObservationException(
        f"{behavior}, environment {environment}, {who}: its {what} is {column[at]:g}; numbers must be finite and "
        f"within {LARGEST:g}. Look for a division by zero, or an unset value, where the environment computes it."
    )
