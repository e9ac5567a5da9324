"""How a pool reaches its environments: orders go there, reports and columns come back. Here: local processes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Protocol

import psutil

from mlagents.envs.blocks import Block
from mlagents.envs.pool import MakeWorker
from mlagents.envs.worker import Failed, LogRecord, Order, Reset, SetParameters, Step, StepReport, serve
from mlagents_envs.base_env import BehaviorSpec

PATIENCE = 5.0  # seconds for a process to end

AnyOrder = Reset | Step | SetParameters | Order
Message = StepReport | Failed | LogRecord


class Transport(Protocol):
    """The way to one environment."""

    def send(self, order: AnyOrder) -> None:
        """Send an order. One that cannot arrive is dropped: `receive` then returns `Failed`."""

    def receive(self) -> Message:
        """Wait for the next message; `Failed` once the environment is gone."""

    def block(self, behavior: str, spec: BehaviorSpec) -> Block:
        """Return the columns of a behavior of the last report: its rows, and where their actions go."""

    def end(self, patience: float) -> None:
        """Wait so many seconds for the environment to end, then end it and all that it started."""


class Transports(Protocol):
    """A way to start environments, and to wait for several at once."""

    def start(self, index: int, env_id: int, make: MakeWorker) -> Transport:
        """Start `make(index)` somewhere; its agents carry env_id."""

    def ready(self, among: Sequence[Transport], timeout: float) -> Sequence[Transport]:
        """Return those whose `receive` would not wait: at least one, unless none is within `timeout` seconds."""


class ProcessTransport:
    """An environment in a process of its own: columns lie in shared memory, a pipe carries the rest."""

    def __init__(self, index: int, env_id: int, make: MakeWorker) -> None:
        context = get_context("spawn")  # the same everywhere, and free of the learner's threads
        self._blocks: dict[str, Block] = {}
        self._new_blocks: dict[str, tuple[str, int]] = {}  # behavior -> name and capacity, not attached yet
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, partial(make, index), env_id), name=f"environment-{index}"
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    def send(self, order: AnyOrder) -> None:
        """Write an order into the pipe; one to a process that is gone is dropped."""
        with suppress(OSError):
            self.connection.send(order)

    def receive(self) -> Message:
        """Read a message from the pipe; `Failed`, with its exit status, when the process is gone."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(PATIENCE)
            return Failed(f"the process of the environment ended with status {self._process.exitcode}", stopped=False)
        if isinstance(message, StepReport):
            self._new_blocks |= message.blocks
        return message

    def block(self, behavior: str, spec: BehaviorSpec) -> Block:
        """Return the columns in shared memory, attached anew where the last report made room."""
        if behavior in self._new_blocks:
            name, capacity = self._new_blocks.pop(behavior)
            if behavior in self._blocks:
                self._blocks.pop(behavior).close()
            self._blocks[behavior] = Block.attach(name, spec, capacity)
        return self._blocks[behavior]

    def end(self, patience: float) -> None:
        """Join the process, or kill it and all its children."""
        self.connection.close()
        self._process.join(patience)
        if self._process.is_alive():
            family = _family(self._process.pid)
            self._process.kill()
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self._process.join()
        for block in self._blocks.values():
            block.close()
        self._blocks.clear()


class Processes:
    """Environments in processes of this machine."""

    def start(self, index: int, env_id: int, make: MakeWorker) -> ProcessTransport:
        """Start a process; `make` must be possible to pickle."""
        return ProcessTransport(index, env_id, make)

    def ready(self, among: Sequence[Transport], timeout: float) -> Sequence[Transport]:
        """Return those that have sent a message or are gone."""
        by_connection = {each.connection: each for each in among if isinstance(each, ProcessTransport)}
        return [by_connection[one] for one in wait(list(by_connection), timeout) if isinstance(one, Connection)]


def _family(pid: int | None) -> list[psutil.Process]:
    """Return the processes that a process has started."""
    try:
        family: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return family
