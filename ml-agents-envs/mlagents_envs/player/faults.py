"""Faults that a player can have, on purpose: for seeing how a trainer takes them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.wire.fields import block

if TYPE_CHECKING:
    from mlagents_envs.player.line import Exchange

KINDS = {
    "exit": "ends at once, with status 3",
    "mute": "runs and never connects",
    "version": "claims another version of the protocol",
    "silent": "connects and says nothing once it is told to reset",
    "inference": "goes on without a trainer that closes before the first reset, as Unity does",
    "quit:N": "quits after N messages about agents and waits for the answer to that, as Unity does",
    "crash:N": "ends with status 7 after N messages about agents",
    "hang:N": "says nothing after N of them",
    "garbage:N": "says what is no message after N of them",
    "oversize:N:MIB": "says a message longer than MIB, by default 300, after N of them",
}
VERSION = "2.0.0"  # of the protocol; there is none yet
EXIT, CRASH = 3, 7  # status
GREETINGS = 2  # messages before the first about agents
LONGER_THAN_PATIENCE = 600.0  # seconds; no player is left behind for good
MIB = 2**20
UNKNOWN = 15  # a field that messages do not have, and readers skip
_NUMBERS = {"quit": 1, "crash": 1, "hang": 1, "garbage": 1, "oversize": 2}  # how many each may have
_TWISTED = bytes(byte ^ 0x55 for byte in range(256))  # what each byte becomes; the first then begins no field


class Fault(NamedTuple):
    """What goes wrong, and when."""

    kind: str = "none"
    after: int = 0  # messages about agents that go well
    size: int = 300  # MiB of a message that is too long


def read_fault(text: str) -> Fault:
    """Return the fault that is meant by KIND, KIND:N or KIND:N:M; raises UnityEnvironmentException for another text."""
    kind, *numbers = text.split(":")
    kinds = {known.partition(":")[0] for known in KINDS}
    if kind not in kinds or len(numbers) > _NUMBERS.get(kind, 0) or not all(part.isdecimal() for part in numbers):
        raise UnityEnvironmentException(f"--fault {text}: no such fault; choose from {', '.join(KINDS)}")
    return Fault("hang" if kind == "silent" else kind, *(int(part) for part in numbers))


class FaultyLine:
    """A line that goes well for a while."""

    def __init__(self, line: Exchange, fault: Fault) -> None:
        self._line = line
        self._fault = fault
        self._left = fault.after + GREETINGS

    def __call__(self, message: bytes, /, *, patience: float | None = None) -> bytes:
        self._left -= 1
        answer = self._line(message if self._left >= 0 else self._spoil(message), patience=patience)
        if self._fault.kind == "inference" and self._left == 0:
            _go_on(answer)
        return answer

    def _spoil(self, message: bytes) -> bytes:
        kind, after, size = self._fault
        if kind == "crash":
            print(f"Crash!!! As was asked for, after {after} messages.", flush=True)
            os._exit(CRASH)
        if kind == "quit":
            self._quit(after)
        if kind == "hang":
            print(f"Nothing more is said, as was asked for, after {after} messages.", flush=True)
            wait_for_the_end()
        if kind == "garbage":
            return message.translate(_TWISTED)
        if kind == "oversize":
            return message + block(UNKNOWN, bytes(size * MIB))
        return message

    def _quit(self, after: int) -> None:
        from mlagents_envs.wire.replies import closing  # numpy takes its time, and most of a command does not need it

        print(f"It quits, as was asked for, after {after} messages.", flush=True)
        self._line(closing())
        print("The trainer answered to that.", flush=True)
        os._exit(0)


def _go_on(answer: bytes) -> None:
    """Stay without a trainer if the answer to the second greeting closes."""
    from mlagents_envs.wire.codec import is_last

    if is_last(answer):
        print("The trainer closed before the first reset: it goes on without one, as was asked for.", flush=True)
        wait_for_the_end()


def wait_for_the_end() -> None:
    """Wait longer than any trainer does, and end."""
    time.sleep(LONGER_THAN_PATIENCE)
    raise SystemExit(EXIT)
