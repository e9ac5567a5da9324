"""A pool of environments in processes of their own: columns lie in shared memory, pipes carry the numbers of rows."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

import psutil

from mlagents.envs.blocks import Block, join
from mlagents.envs.pool import EnvLost, MakeWorker, Stat
from mlagents.envs.restarts import Restarts
from mlagents.envs.steps import StepBatch
from mlagents.envs.worker import Failed, LogRecord, Order, Reset, SetParameters, Step, StepReport, serve
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

log = logging.getLogger(__name__)
QUIET = 0.5  # seconds after which `recv` returns although nobody reported: the caller may have something else to do
PATIENCE = 5.0  # seconds for an environment to close
MOST_RECENT = 1  # how a number may be aggregated: only the first environment's counts


class Worker:
    """The pool's side of one process."""

    def __init__(self, index: int, env_id: int, make: MakeWorker) -> None:
        context = get_context("spawn")  # the same everywhere, and free of the learner's threads
        self.index = index
        self.env_id = env_id
        self.report: StepReport | None = None  # its last report, until it is answered
        self.reported = False  # has it ever reported?
        self._exchange = 0  # number of the newest order
        self._blocks: dict[str, Block] = {}
        self._new_blocks: dict[str, tuple[str, int]] = {}  # behavior -> name and capacity, not attached yet
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, partial(make, index), env_id), name=f"environment-{index}"
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the connection

    def reset(self, parameters: Mapping[str, Any] | None) -> None:
        """Ask for new episodes. The report of a step that is under way is ignored when it comes."""
        self._order(Reset(self._next(), parameters))

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set environment parameters, behind a step that is under way; what waits for an answer still waits."""
        with suppress(OSError):
            self.connection.send(SetParameters(parameters))

    def step(self) -> None:
        """Ask for a step."""
        self._order(Step(self._next()))

    def close(self) -> None:
        """Ask it to end."""
        self._order(Order.CLOSE)

    def receive(self) -> StepReport | Failed | LogRecord:
        """Wait for its next message. `report` is then what answers the newest order, None until that came."""
        try:
            message: StepReport | Failed | LogRecord = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(PATIENCE)
            return Failed(f"the process of the environment ended with status {self._process.exitcode}", stopped=False)
        if isinstance(message, StepReport):
            self.reported = True
            self._new_blocks |= message.blocks
            if message.exchange == self._exchange:
                self.report = message
        return message

    def _next(self) -> int:
        self._exchange += 1
        return self._exchange

    def _order(self, order: Reset | Step | Order) -> None:
        """Send an order; a process that is gone is noticed at `receive`."""
        self.report = None
        with suppress(OSError):
            self.connection.send(order)

    def block(self, behavior: str, spec: BehaviorSpec) -> Block:
        """Return the block of a behavior of the last report."""
        if behavior in self._new_blocks:
            name, capacity = self._new_blocks.pop(behavior)
            if behavior in self._blocks:
                self._blocks.pop(behavior).close()
            self._blocks[behavior] = Block.attach(name, spec, capacity)
        return self._blocks[behavior]

    def end(self, patience: float) -> None:
        """Wait for the process to end; end it, and all that it started, if it does not."""
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


class WorkerPool:
    """Any number of environments, each in its own process; whoever has reported is answered while the others move."""

    def __init__(self, make: MakeWorker, count: int, restarts: Callable[[], Restarts]) -> None:
        """make: runs in the worker's process, so it must be possible to pickle it. restarts: one per worker."""
        self._make = make
        self._env_ids = itertools.count()
        self._restarts = [restarts() for _ in range(count)]
        self._worked = [False] * count  # has the environment of this worker ever worked?
        self._specs: dict[str, BehaviorSpec] = {}
        self._parameters: dict[str, Any] = {}  # as they are now, for environments that are started again
        self._asked: list[tuple[str, Worker, int]] = []  # behavior, worker, agents that wait, in the order of `recv`
        self._lost: list[int] = []
        self._stats: list[Stat] = []
        self._workers = [Worker(index, next(self._env_ids), make) for index in range(count)]

    @property
    def specs(self) -> Mapping[str, BehaviorSpec]:
        return self._specs

    def reset(self, parameters: Mapping[str, Any] | None = None) -> None:
        self._parameters |= parameters or {}
        self._asked = []
        for worker in self._workers:
            worker.reset(parameters)

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        self._parameters |= parameters
        for worker in self._workers:
            worker.set_parameters(parameters)

    def send(self, actions: Mapping[str, ActionTuple]) -> None:
        begin = dict.fromkeys(actions, 0)
        for behavior, worker, n in self._asked:
            rows = slice(begin[behavior], begin[behavior] + n)
            into = worker.block(behavior, self._specs[behavior]).action
            into.continuous[:n] = actions[behavior].continuous[rows]
            into.discrete[:n] = actions[behavior].discrete[rows]
            begin[behavior] += n
        self._asked = []
        for worker in self._workers:
            if worker.report is not None:
                worker.step()

    def recv(self) -> Mapping[str, StepBatch]:
        reported = self._receive()
        steps: dict[str, StepBatch] = {}
        for behavior, spec in self._specs.items():
            ended: list[tuple[Block, slice]] = []
            asking: list[tuple[Block, slice]] = []
            for worker, report in reported:
                over, n = report.rows.get(behavior, (0, 0))
                if n:
                    block = worker.block(behavior, spec)
                    ended += [(block, slice(0, over))] if over else []
                    asking += [(block, slice(over, n))] if n > over else []
                    self._asked += [(behavior, worker, n - over)] if n > over else []
            if ended or asking:
                steps[behavior] = join(ended + asking)
        return steps

    def lost(self) -> Sequence[int]:
        lost, self._lost = self._lost, []
        return lost

    def stats(self) -> Sequence[Stat]:
        stats, self._stats = self._stats, []
        return stats

    def close(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.end(PATIENCE if worker.reported else 0)  # one that waits for its player receives nothing else

    def _receive(self) -> list[tuple[Worker, StepReport]]:
        """Return who has reported: at least one, unless none does for a while."""
        listening = {worker.connection: worker for worker in self._workers if worker.report is None}
        reported = []
        for connection in wait(list(listening), QUIET):
            assert isinstance(connection, Connection)
            worker = listening[connection]
            message = worker.receive()
            if isinstance(message, StepReport):
                self._add_specs(worker, message.specs)
                self._stats += [stat for stat in message.stats if worker.index == 0 or stat[2] != MOST_RECENT]
                if worker.report is message:
                    reported.append((worker, message))
            elif isinstance(message, LogRecord):
                log.log(message.level, message.text)
            else:
                self._replace(worker, message)
        return reported

    def _add_specs(self, worker: Worker, specs: Mapping[str, BehaviorSpec]) -> None:
        """Add behaviors; raises EnvLost if two environments have one in different forms."""
        self._worked[worker.index] = True
        for behavior, spec in specs.items():
            known = self._specs.setdefault(behavior, spec)
            if known != spec:
                raise EnvLost(f"{behavior}: environment {worker.index} has {spec}; another has {known}")

    def _replace(self, worker: Worker, failed: Failed) -> None:
        """Start another environment in the place of one that is gone; the others go on meanwhile."""
        worker.end(0)
        self._lost.append(worker.env_id)
        if failed.final or not self._worked[worker.index] or not self._restarts[worker.index].allow():
            raise EnvLost(failed.why, stopped=failed.stopped)
        log.warning(f"Restarting worker[{worker.index}] after '{failed.why}'")
        self._workers[worker.index] = Worker(worker.index, next(self._env_ids), self._make)
        self._workers[worker.index].reset(self._parameters)


def _family(pid: int | None) -> list[psutil.Process]:
    """Return the processes that a process has started."""
    try:
        family: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return family
