"""What runs in the process of one environment: it executes the pool's orders, and ends when the pool is gone."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from mlagents.envs.blocks import Block, NoRoom
from mlagents.envs.finite import with_faults
from mlagents.envs.pool import Stat
from mlagents.envs.steps import Fault, step_batch
from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.exception import (
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityException,
    UnityObservationException,
)

NICENESS = 10  # the learner goes first

Make = Callable[[], BaseEnv]


@dataclass(frozen=True)
class Reset:
    """Begin new episodes, under these environment parameters where given."""

    exchange: int  # number of this order; the report that answers it carries it too
    parameters: Mapping[str, Any] | None


@dataclass(frozen=True)
class Step:
    """Take a step; the actions lie in the blocks."""

    exchange: int


@dataclass(frozen=True)
class SetParameters:
    """Set environment parameters; no report answers it."""

    parameters: Mapping[str, Any]


class Order(Enum):
    """What else the pool asks for."""

    CLOSE = 1


@dataclass(frozen=True)
class StepReport:
    """What agents report: the rows lie in the blocks."""

    exchange: int  # number of the order that this answers
    rows: dict[str, tuple[int, int]]  # behavior -> how many ended, how many are there; ended ones first
    specs: dict[str, BehaviorSpec]  # behaviors that are new
    blocks: dict[str, tuple[str, int]]  # behavior -> name and capacity of its block, where it is new
    stats: list[Stat] = field(default_factory=list)
    faults: dict[str, tuple[Fault, ...]] = field(default_factory=dict)  # behavior -> of its rows, where there are any


@dataclass(frozen=True)
class Failed:
    """The environment is gone."""

    why: str
    stopped: bool  # the player asked for it
    final: bool = False  # another environment would do the same: it reports what cannot be learned from


@dataclass(frozen=True)
class LogRecord:
    """A line for the log."""

    level: int
    text: str


def serve(connection: Connection, make: Make, env_id: int) -> None:
    """Make an environment and execute orders until `CLOSE`. env_id: its number, which its agents' ids carry."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the pool
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    send = _sender(connection)
    logging.getLogger("mlagents_envs").addHandler(_Forward(send))
    logging.getLogger("mlagents_envs").setLevel(logging.INFO)
    with suppress(EOFError, ConnectionError):  # the pool is gone
        try:
            with closing(EnvHost(make(), env_id)) as host:
                while (order := connection.recv()) is not Order.CLOSE:
                    host.execute(order)
                    if not isinstance(order, SetParameters):
                        send(host.report(order.exchange))
        except UnityException as error:
            stopped = isinstance(error, UnityCommunicatorStoppedException)
            send(Failed(str(error), stopped, final=isinstance(error, (UnityObservationException, NoRoom))))


class EnvHost:
    """An environment, and the blocks through which reports and actions go."""

    def __init__(self, env: BaseEnv, env_id: int) -> None:
        self._env = env
        self._env_id = env_id
        self._blocks: dict[str, Block] = {}
        self._asking: dict[str, int] = {}  # behavior -> agents that wait for an answer

    def execute(self, order: Reset | Step | SetParameters) -> None:
        """Reset, step with the actions that lie in the blocks, or set parameters."""
        if not isinstance(order, Step):
            if order.parameters and (set_parameters := getattr(self._env, "set_parameters", None)):
                set_parameters(order.parameters)
            if isinstance(order, Reset):
                self._env.reset()
            return
        for name, n in self._asking.items():
            self._env.set_actions(name, self._blocks[name].actions(n))
        self._env.step()

    def report(self, exchange: int) -> StepReport:
        """Store what agents report, making room where there is not enough. exchange: the order's number."""
        report = StepReport(exchange, {}, {}, {}, list(self._env.stats()) if hasattr(self._env, "stats") else [])
        self._asking = {}
        for name, spec in self._env.behavior_specs.items():
            decision, terminal = self._env.get_steps(name)
            ended, n = len(terminal), len(terminal) + len(decision)
            if not n:
                continue
            if name not in self._blocks:
                report.specs[name] = spec
            if name not in self._blocks or self._blocks[name].capacity < n:
                if name in self._blocks:
                    self._blocks[name].close()
                self._blocks[name] = Block.make(spec, n)
                report.blocks[name] = (self._blocks[name].name, self._blocks[name].capacity)
            step = with_faults(step_batch(decision, terminal, spec.action_spec, self._env_id), spec, self._env)
            if step.faults:
                report.faults[name] = step.faults
            self._blocks[name].write(step)
            report.rows[name] = (ended, n)
            self._asking[name] = n - ended
        return report

    def block(self, behavior: str) -> Block:
        """Return the columns of a behavior of the last report."""
        return self._blocks[behavior]

    def close(self) -> None:
        """End the environment and give the memory back."""
        for block in self._blocks.values():
            block.close()
        with suppress(UnityEnvironmentException):  # a player that failed is closed already
            self._env.close()


def _sender(connection: Connection) -> Callable[[Any], None]:
    """Return a function that sends messages from any thread."""
    one = threading.Lock()

    def send(message: Any) -> None:
        with one:
            connection.send(message)

    return send


class _Forward(logging.Handler):
    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(LogRecord(record.levelno, record.getMessage()))


def _end_with_parent() -> None:
    """End at once when the pool was killed, which cannot send `CLOSE` any more; the player ends too."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
