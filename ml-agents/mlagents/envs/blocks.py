"""Columns of one behavior in memory that two processes share: what its agents report, and their actions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from mlagents.envs.steps import Array, StepBatch
from mlagents_envs.base_env import ActionTuple, BehaviorSpec
from mlagents_envs.exception import UnityEnvironmentException

ALIGNMENT = 64  # bytes: where columns begin
SMALLEST = 16  # rows
MIB = 2**20  # bytes
SHARED = Path("/dev/shm")  # where Linux keeps shared memory


class NoRoom(UnityEnvironmentException):
    """The memory that processes share is too small; another environment would find it so too."""


class Block:
    """Room for `capacity` rows. The worker makes it and fills `step`; the pool attaches to it and fills `action`.

    It has a name only until the pool has attached, so that nothing is left behind, whoever is killed.
    """

    def __init__(self, spec: BehaviorSpec, capacity: int, memory: SharedMemory, *, named: bool) -> None:
        self.capacity = capacity
        self._memory = memory
        self._named = named
        columns, begin = [], 0
        for kind, shape in _layout(spec):
            column: Array = np.ndarray((capacity, *shape), kind, memory.buf, begin)
            columns.append(column)
            begin += _space(capacity, kind, shape)
        *of_step, continuous, discrete = columns
        self.step = _step(iter(of_step))
        self.action = ActionTuple(continuous, discrete)

    @classmethod
    def make(cls, spec: BehaviorSpec, rows: int) -> Block:
        """Return a new block with room for so many rows and as many again; raises NoRoom if there is none."""
        capacity = max(2 * rows, SMALLEST)
        size = sum(_space(capacity, kind, shape) for kind, shape in _layout(spec))
        return cls(spec, capacity, _reserve(size), named=True)

    @classmethod
    def attach(cls, name: str, spec: BehaviorSpec, capacity: int) -> Block:
        """Return the block that another process made, and take its name away."""
        memory = SharedMemory(name)
        memory.unlink()
        return cls(spec, capacity, memory, named=False)

    @property
    def name(self) -> str:
        """What to attach to."""
        return self._memory.name

    def write(self, step: StepBatch) -> None:
        """Store rows; there is room for them."""
        for column, values in zip(_columns(self.step), _columns(step), strict=True):
            column[: len(step.agent)] = values

    def actions(self, n: int) -> ActionTuple:
        """Return a copy of the actions of the first n agents that asked."""
        return ActionTuple(self.action.continuous[:n].copy(), self.action.discrete[:n].copy())

    def close(self) -> None:
        """Give the memory back, and its name if nobody took it; no column may be used any more."""
        del self.step, self.action
        self._memory.close()
        if self._named:
            with suppress(FileNotFoundError):
                self._memory.unlink()


def _reserve(size: int) -> SharedMemory:
    """Return new shared memory whose pages are there: those that are missing end the process when they are written."""
    memory = None
    try:
        memory = SharedMemory(create=True, size=size)
        if (file := SHARED / memory.name).exists():
            descriptor = os.open(file, os.O_RDWR)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
    except OSError as error:
        if memory is not None:
            memory.close()
            memory.unlink()
        raise NoRoom(
            f"an environment needs {size / MIB:.1f} MiB of shared memory ({error.strerror or error}){_left()}. In "
            "Docker, start the container with more (docker run --shm-size=2g); or take smaller observations, or fewer "
            "agents or environments (--num-envs)"
        ) from error
    return memory


def _left() -> str:
    """Return how much shared memory there is, where that can be known."""
    if not SHARED.is_dir():
        return ""
    usage = shutil.disk_usage(SHARED)
    return f"; {SHARED} has {usage.free / MIB:.1f} of {usage.total / MIB:.1f} MiB left"


def join(pieces: list[tuple[Block, slice]]) -> StepBatch:
    """Return copies of some rows of some blocks of one behavior, one piece after another."""
    tables = [[column[rows] for column in _columns(block.step)] for block, rows in pieces]
    step = _step(np.concatenate(columns) for columns in zip(*tables, strict=True))
    return step if step.stale.any() else replace(step, stale=step.stale[:0])


def _layout(spec: BehaviorSpec) -> list[tuple[Any, tuple[int, ...]]]:
    """Return type and shape of a row of each column: those of a step, observations last, then the actions."""
    action = spec.action_spec
    return [
        (np.int64, ()),
        (np.bool_, (sum(action.discrete_branches),)),
        (np.float32, ()),
        (np.int64, ()),
        (np.float32, ()),
        (np.bool_, ()),
        (np.bool_, ()),
        (np.bool_, ()),
        *((np.float32, sensor.shape) for sensor in spec.observation_specs),
        (np.float32, (action.continuous_size,)),
        (np.int32, (action.discrete_size,)),
    ]


def _space(capacity: int, kind: Any, shape: tuple[int, ...]) -> int:
    """Return the bytes that a column takes, up to where the next may begin."""
    size: int = capacity * int(np.prod(shape)) * np.dtype(kind).itemsize
    return -(-size // ALIGNMENT) * ALIGNMENT


def _columns(step: StepBatch) -> tuple[Array, ...]:
    stale = step.stale if len(step.stale) else np.zeros(len(step.agent), bool)
    return (
        step.agent, step.mask, step.reward, step.group, step.group_reward, step.done, step.interrupted, stale,
        *step.obs,
    )  # fmt: skip


def _step(columns: Iterator[Array]) -> StepBatch:
    agent, mask, reward, group, group_reward, done, interrupted, stale, *obs = columns
    return StepBatch(agent, tuple(obs), mask, reward, group, group_reward, done, interrupted, stale)
