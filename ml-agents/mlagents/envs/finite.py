"""The door through which numbers of environments enter training: rows that would ruin a network are marked there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlagents.envs.steps import Array, Fault, StepBatch
from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.finite import LARGEST, unusable, unusable_rows

ADVICE = f"Numbers must be finite and within {LARGEST:g}: look for a division by zero, or an unset value, where the " \
         "environment computes it."


def with_faults(step: StepBatch, spec: BehaviorSpec, env: BaseEnv) -> StepBatch:
    """Return the batch with its faults, the batch itself where it has none."""
    if all(unusable(column) is None for column in (step.reward, step.group_reward, *step.obs)):
        return step
    columns = [("reward", step.reward), ("group reward", step.group_reward)]
    columns += [
        (f"observation '{sensor.name}'", column)
        for sensor, column in zip(spec.observation_specs, step.obs, strict=True)
    ]
    found: dict[int, Fault] = {}  # by row
    for place, (what, column) in enumerate(columns):
        for row, at in unusable_rows(column).items():
            where = f"{what}{list(at)} (sensor {place - 2})" if at else what
            found.setdefault(row, _fault(step, row, where, float(column[row][at]), env))
    return replace(step, faults=tuple(found[row] for row in sorted(found)))


def without_faults(step: StepBatch) -> StepBatch:
    """Return a batch without its faulty rows: those that ended are gone, those that ask are stale.

    What these hold is set to zero, so that a policy's answer to them is finite.
    """
    wrong = faulty(step)
    keep = ~(wrong & step.done)
    wrong &= ~step.done
    stale = wrong | step.stale if len(step.stale) else wrong

    def clean(column: Array) -> Array:
        column = column.copy()
        column[wrong] = 0
        return column[keep]

    return StepBatch(
        step.agent[keep], tuple(clean(column) for column in step.obs), step.mask[keep], clean(step.reward),
        step.group[keep], clean(step.group_reward), step.done[keep], step.interrupted[keep], stale[keep],
    )  # fmt: skip


def faulty(step: StepBatch) -> Array:
    """Return (n,) bool: is there a fault in this row?"""
    ended = np.array([fault.agent for fault in step.faults if fault.done], np.int64)
    asking = np.array([fault.agent for fault in step.faults if not fault.done], np.int64)
    return np.where(step.done, np.isin(step.agent, ended), np.isin(step.agent, asking))


def refuse_faults(step: StepBatch, behavior: str) -> None:
    """Raise UnityObservationException, with the first fault of a batch, if it has any."""
    if step.faults:
        raise UnityObservationException(f"{behavior}, {step.faults[0]}. {ADVICE}")


def _fault(step: StepBatch, row: int, what: str, value: float, env: BaseEnv) -> Fault:
    agent = int(step.agent[row])
    named = getattr(env, "agent_name", None)
    return Fault(agent, bool(step.done[row]), what, value, named(agent & 0xFFFFFFFF) if named is not None else "")
