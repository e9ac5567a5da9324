"""Deliberate faults of a player, for testing how a trainer handles them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.wire.fields import block

if TYPE_CHECKING:
    from mlagents_envs.player.trainer_connection import Exchange

KINDS = {
    "exit": "ends at once, with status 3",
    "mute": "runs and never connects",
    "version": "claims another version of the protocol",
    "silent": "connects and sends nothing after the reset",
    "inference": "goes on without a trainer that closes before the first reset, as Unity does",
    "quit:N": "quits after N messages about agents and waits for the trainer's reply, as Unity does",
    "crash:N": "ends with status 7 after N messages about agents",
    "hang:N": "sends nothing after N of them",
    "garbage:N": "sends bytes that are no message after N of them",
    "oversize:N:MIB": "sends a message longer than MIB, by default 300, after N of them",
}
VERSION = "2.0.0"  # of the protocol; it does not exist
EXIT, CRASH = 3, 7  # status
GREETINGS = 2  # messages before the first about agents
LONGER_THAN_PATIENCE = 600.0  # seconds; then the player ends, so that none is left behind
MIB = 2**20
UNKNOWN = 15  # a field that messages do not have, and readers skip
_NUMBERS = {"quit": 1, "crash": 1, "hang": 1, "garbage": 1, "oversize": 2}  # how many each may have
_TWISTED = bytes(byte ^ 0x55 for byte in range(256))  # what each byte becomes; the first then begins no field


class PlayerFault(NamedTuple):
    """Which fault happens, and when."""

    kind: str = "none"
    after: int = 0  # messages about agents before the fault
    size: int = 300  # MiB of a message that is too long


def read_fault(text: str) -> PlayerFault:
    """Parse KIND, KIND:N or KIND:N:M; raises UnityEnvironmentException for other text."""
    kind, *numbers = text.split(":")
    kinds = {known.partition(":")[0] for known in KINDS}
    if kind not in kinds or len(numbers) > _NUMBERS.get(kind, 0) or not all(part.isdecimal() for part in numbers):
        raise UnityEnvironmentException(f"--fault {text}: no such fault; choose from {', '.join(KINDS)}")
    return PlayerFault("hang" if kind == "silent" else kind, *(int(part) for part in numbers))


class FaultyConnection:
    """A connection to the trainer that works until the fault is due."""

    def __init__(self, exchange: Exchange, fault: PlayerFault) -> None:
        self._exchange = exchange
        self._fault = fault
        self._left = fault.after + GREETINGS

    def __call__(self, message: bytes, /, *, patience: float | None = None) -> bytes:
        self._left -= 1
        answer = self._exchange(message if self._left >= 0 else self._spoil(message), patience=patience)
        if self._fault.kind == "inference" and self._left == 0:
            _go_on(answer)
        return answer

    def _spoil(self, message: bytes) -> bytes:
        kind, after, size = self._fault
        if kind == "crash":
            print(f"Crash!!! As requested, after {after} messages.", flush=True)
            os._exit(CRASH)
        if kind == "quit":
            self._quit(after)
        if kind == "hang":
            print(f"It sends nothing more, as requested, after {after} messages.", flush=True)
            wait_for_the_end()
        if kind == "garbage":
            return message.translate(_TWISTED)
        if kind == "oversize":
            return message + block(UNKNOWN, bytes(size * MIB))
        return message

    def _quit(self, after: int) -> None:
        from mlagents_envs.wire.replies import closing  # here: it imports numpy, which is slow

        print(f"It quits, as requested, after {after} messages.", flush=True)
        self._exchange(closing())
        print("The trainer answered the quit message.", flush=True)
        os._exit(0)


def _go_on(answer: bytes) -> None:
    """Go on without a trainer if the reply to the second call closes the connection."""
    from mlagents_envs.wire.codec import is_last

    if is_last(answer):
        print("The trainer closed before the first reset: it goes on without one, as requested.", flush=True)
        wait_for_the_end()


def wait_for_the_end() -> None:
    """Wait longer than any trainer does, and end."""
    time.sleep(LONGER_THAN_PATIENCE)
    raise SystemExit(EXIT)
