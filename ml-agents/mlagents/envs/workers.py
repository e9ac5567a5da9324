"""A pool of environments that run elsewhere, mostly in processes of their own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlagents.envs.blocks import Block, join
from mlagents.envs.pool import EnvLost, MakeWorker, Stat
from mlagents.envs.restarts import Restarts
from mlagents.envs.steps import StepBatch
from mlagents.envs.transport import PATIENCE, Message, Processes, Transport, Transports
from mlagents.envs.worker import Failed, LogRecord, Order, Reset, SetParameters, Step, StepReport
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

log = logging.getLogger(__name__)
QUIET = 0.5  # seconds after which `recv` returns although nobody reported: the caller may have something else to do
MOST_RECENT = 1  # how a number may be aggregated: only the first environment's counts


class Worker:
    """The pool's side of one environment: its orders are numbered, and a report belongs to one of them."""

    def __init__(self, index: int, env_id: int, transport: Transport) -> None:
        self.index = index
        self.env_id = env_id
        self.transport = transport
        self.report: StepReport | None = None  # its last report, until it is answered
        self.reported = False  # has it ever reported?
        self._exchange = 0  # number of the newest order

    def reset(self, parameters: Mapping[str, Any] | None) -> None:
        """Ask for new episodes. The report of a step that is under way is ignored when it comes."""
        self._order(Reset(self._next(), parameters))

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set environment parameters, behind a step that is under way; what waits for an answer still waits."""
        self.transport.send(SetParameters(parameters))

    def step(self) -> None:
        """Ask for a step."""
        self._order(Step(self._next()))

    def close(self) -> None:
        """Ask it to end."""
        self._order(Order.CLOSE)

    def receive(self) -> Message:
        """Wait for its next message. `report` is then what answers the newest order, None until that came."""
        message = self.transport.receive()
        if isinstance(message, StepReport):
            self.reported = True
            if message.exchange == self._exchange:
                self.report = message
        return message

    def _next(self) -> int:
        self._exchange += 1
        return self._exchange

    def _order(self, order: Reset | Step | Order) -> None:
        self.report = None
        self.transport.send(order)


class WorkerPool:
    """Any number of environments, each elsewhere; whoever has reported is answered while the others move."""

    def __init__(
        self, make: MakeWorker, count: int, restarts: Callable[[], Restarts], transports: Transports | None = None
    ) -> None:
        """make: runs where the environment is. restarts: one per worker. transports: processes where none are given."""
        self._make = make
        self._transports: Transports = Processes() if transports is None else transports
        self._env_ids = itertools.count()
        self._restarts = [restarts() for _ in range(count)]
        self._worked = [False] * count  # has the environment of this worker ever worked?
        self._specs: dict[str, BehaviorSpec] = {}
        self._parameters: dict[str, Any] = {}  # as they are now, for environments that are started again
        self._asked: list[tuple[str, Worker, int]] = []  # behavior, worker, agents that wait, in the order of `recv`
        self._lost: list[int] = []
        self._stats: list[Stat] = []
        self._workers = [self._start(index) for index in range(count)]

    @property
    def specs(self) -> Mapping[str, BehaviorSpec]:
        """Behaviors that any environment has reported, by full name."""
        return self._specs

    def reset(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Order new episodes everywhere; reports of steps that are under way are dropped."""
        self._parameters |= parameters or {}
        self._asked = []
        for worker in self._workers:
            worker.reset(parameters)

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Order new parameters everywhere; questions and answers that are under way stay valid."""
        self._parameters |= parameters
        for worker in self._workers:
            worker.set_parameters(parameters)

    def send(self, actions: Mapping[str, ActionTuple]) -> None:
        """Write actions into the blocks of the environments of the last `recv`, and order their steps."""
        begin = dict.fromkeys(actions, 0)
        for behavior, worker, n in self._asked:
            rows = slice(begin[behavior], begin[behavior] + n)
            into = worker.transport.block(behavior, self._specs[behavior]).action
            into.continuous[:n] = actions[behavior].continuous[rows]
            into.discrete[:n] = actions[behavior].discrete[rows]
            begin[behavior] += n
        self._asked = []
        for worker in self._workers:
            if worker.report is not None:
                worker.step()

    def recv(self) -> Mapping[str, StepBatch]:
        """Return the reports of whoever has one within half a second, joined by behavior."""
        reported = self._receive()
        steps: dict[str, StepBatch] = {}
        for behavior, spec in self._specs.items():
            ended: list[tuple[Block, slice]] = []
            asking: list[tuple[Block, slice]] = []
            for worker, report in reported:
                over, n = report.rows.get(behavior, (0, 0))
                if n:
                    block = worker.transport.block(behavior, spec)
                    ended += [(block, slice(0, over))] if over else []
                    asking += [(block, slice(over, n))] if n > over else []
                    self._asked += [(behavior, worker, n - over)] if n > over else []
            if ended or asking:
                faults = [fault for _, report in reported for fault in report.faults.get(behavior, ())]
                step = join(ended + asking)
                steps[behavior] = replace(step, faults=tuple(faults)) if faults else step
        return steps

    def lost(self) -> Sequence[int]:
        """Return the numbers of environments that are gone since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def stats(self) -> Sequence[Stat]:
        """Return what environments recorded; the most recent value comes from the first environment only."""
        stats, self._stats = self._stats, []
        return stats

    def close(self) -> None:
        """End every environment: those that have reported get some seconds."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.transport.end(PATIENCE if worker.reported else 0)  # one that waits for its player receives nothing

    def _start(self, index: int) -> Worker:
        env_id = next(self._env_ids)
        return Worker(index, env_id, self._transports.start(index, env_id, self._make))

    def _receive(self) -> list[tuple[Worker, StepReport]]:
        """Return who has reported: at least one, unless none does for a while."""
        waiting = {id(worker.transport): worker for worker in self._workers if worker.report is None}
        reported = []
        for transport in self._transports.ready([worker.transport for worker in waiting.values()], QUIET):
            worker = waiting[id(transport)]
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
        worker.transport.end(0)
        self._lost.append(worker.env_id)
        if failed.final or not self._worked[worker.index] or not self._restarts[worker.index].allow():
            raise EnvLost(failed.why, stopped=failed.stopped)
        log.warning(f"Restarting worker[{worker.index}] after '{failed.why}'")
        self._workers[worker.index] = self._start(worker.index)
        self._workers[worker.index].reset(self._parameters)
