"""The talk with one player, from finding a port to the last word, with a sentence for every way it can break."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityTimeOutException,
    UnityWorkerInUseException,
)
from mlagents_envs.wire.codec import Said, is_last, read_message, why_stranger
from mlagents_envs.wire.diagnosis import Stage, why_exited, why_silent
from mlagents_envs.wire.launch import Player, find_player, player_arguments
from mlagents_envs.wire.ports import who_holds
from mlagents_envs.wire.replies import WELL, closing
from mlagents_envs.wire.server import LOOPBACK, MESSAGE_LIMIT, ExchangeServer, Interruption

LOOKED_AT_EVERY = 0.5  # seconds: is the player still alive?
TIME_TO_END = 1.0  # seconds between a player's hanging up and the end of its process
PORTS_TRIED = 1000


@dataclass(frozen=True)
class Build:
    """A player to be started."""

    path: str
    no_graphics: bool = False
    arguments: Sequence[str] = ()
    log: Path | None = None  # where it is told to write its log


class Conversation:
    """A server, a player, and whose turn it is. Without a build it waits for the Editor."""

    def __init__(
        self, port: int, build: Build | None, *, worker: int, patience: float, search: bool = False,
        address: str = LOOPBACK, limit: int = MESSAGE_LIMIT,
    ) -> None:  # fmt: skip
        """Listen and start the player.

        patience: seconds to wait for a word; search: take the next free port if this one is taken.
        Raises UnityEnvironmentException or UnityWorkerInUseException with a sentence.
        """
        self._patience = patience
        self._stage = Stage.NOBODY
        self._hidden = build is not None and build.no_graphics
        self._player: Player | None = None
        executable = find_player(build.path) if build is not None else None
        self._server = _listen(port, worker, search, address, limit)
        if build is not None and executable is not None:
            arguments = player_arguments(
                self.port, no_graphics=build.no_graphics, log=build.log, additional=build.arguments
            )
            try:
                self._player = Player(executable, arguments)
            except BaseException:  # a Ctrl-C too: nobody else could free the port
                self._server.close()
                raise

    @property
    def port(self) -> int:
        """Where the player calls."""
        return self._server.port

    def greet(self, greeting: bytes) -> Said:
        """Return a player's first message and answer it; its second call waits for the first command.

        One that leaves in between was none: the player is waited for.
        """
        until = time.monotonic() + self._patience
        while True:
            said = self._understood(self._wait(until))
            self._stage = Stage.GREETED
            self._server.answer(greeting)
            second = self._wait(time.monotonic() + self._patience)
            if second is not Interruption.HUNG_UP or time.monotonic() >= until:
                self._understood(second)
                return said
            self._stage = Stage.NOBODY
            self._server.forget()
            self._server.note_stranger("it left after it was greeted")

    def check_process(self) -> None:
        """Raise UnityEnvironmentException in a process that was forked from the one that began the conversation."""
        self._server.check_process()

    def command(self, message: bytes) -> Said:
        """Tell the player what to do and return what comes of it.

        Raises UnityCommunicatorStoppedException if it stops, UnityTimeOutException if it says nothing for too long,
        UnityEnvironmentException if it is gone, UnityCommunicationException if it cannot be understood.
        """
        if self._stage is Stage.GREETED:
            self._stage = Stage.RESET
        self._server.answer(message)
        said = self._hear()
        self._stage = Stage.RUNNING
        return said

    def close(self, patience: float) -> None:
        """Say goodbye, and end the player if it does not end by itself in so many seconds.

        Before its first command a player does not quit for a goodbye but goes on without a trainer: nothing is waited
        for. In a fork this does nothing: the player is another process's.
        """
        if self._server.is_inherited:
            return
        self._server.dismiss()
        try:
            if self._player is not None:
                self._player.stop(0.0 if self._stage in (Stage.NOBODY, Stage.GREETED) else patience)
        finally:
            self._server.close()

    def _hear(self) -> Said:
        """Wait for the player's next message."""
        return self._understood(self._wait(time.monotonic() + self._patience))

    def _wait(self, until: float) -> bytes | Interruption:
        """Return what the player says next; until: a moment of the monotonic clock."""
        while (message := self._server.receive(LOOKED_AT_EVERY)) is None:
            if self._player is not None and self._player.poll() is not None:
                message = self._server.receive(0)  # its last word
                if message is None:
                    wanted_window = self._stage is Stage.NOBODY and not self._hidden
                    raise UnityEnvironmentException(why_exited(self._player, wanted_window=wanted_window))
                break
            if time.monotonic() >= until:
                raise UnityTimeOutException(self._silence(self._stage))
        return message

    def _understood(self, message: bytes | Interruption) -> Said:
        """Return what a message says; raises if it is the last, or none."""
        if message is Interruption.HUNG_UP:
            self._check_ended(TIME_TO_END)
            raise UnityCommunicatorStoppedException("The player hung up: it was closed, or its scene was stopped.")
        if isinstance(message, Interruption):
            raise UnityCommunicationException(self._silence(Stage.REJECTED))
        said = read_message(message)
        if said.status != WELL:
            raise UnityCommunicatorStoppedException(
                f"The player has stopped: {said.reason}" if said.reason else "The player has stopped."
            )
        return said

    def _check_ended(self, seconds: float) -> None:
        """Raise UnityEnvironmentException if the player ends in so many seconds, and not because all was well."""
        until = time.monotonic() + seconds
        while self._player is not None and time.monotonic() < until:
            if status := self._player.poll():
                raise UnityEnvironmentException(why_exited(self._player))
            if status == 0:
                return
            time.sleep(0.01)

    def _silence(self, stage: Stage) -> str:
        said = why_silent(
            stage, seconds=self._patience, editor=self._player is None, player=self._player, limit=self._server.limit
        )
        if stage is Stage.NOBODY and self._server.stranger:
            return f"Something called port {self.port} that is no player: {self._server.stranger}. {said}"
        return said


def _listen(port: int, worker: int, search: bool, address: str, limit: int) -> ExchangeServer:
    """Return a server on this port, or on the next free one."""
    for candidate in range(port, min(port + PORTS_TRIED, 65536) if search else port + 1):
        with suppress(OSError):
            return ExchangeServer(
                candidate, address=address, limit=limit, farewell=closing(), is_last=is_last, why_stranger=why_stranger
            )
    raise UnityWorkerInUseException(worker, f"port {port} is taken by {who_holds(port) or 'a program of another user'}")
