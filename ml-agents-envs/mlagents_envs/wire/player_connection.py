"""The connection to one player, from choosing a port to closing; every failure raises an error with its cause."""

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
from mlagents_envs.wire.codec import PlayerMessage, is_last, read_message, why_not_player
from mlagents_envs.wire.diagnosis import ConnectionPhase, why_exited, why_silent
from mlagents_envs.wire.launch import Player, find_player, player_arguments
from mlagents_envs.wire.ports import who_holds
from mlagents_envs.wire.replies import WELL, closing
from mlagents_envs.wire.server import LOOPBACK, MESSAGE_LIMIT, ExchangeServer, Interruption

POLL_INTERVAL = 0.5  # seconds between checks that the process is alive
TIME_TO_END = 1.0  # seconds between a player's disconnecting and the end of its process
PORTS_TRIED = 1000


@dataclass(frozen=True)
class Build:
    """A player to be started."""

    path: str
    no_graphics: bool = False
    arguments: Sequence[str] = ()
    log: Path | None = None  # where it writes its log


class PlayerConnection:
    """A server and a player that exchange messages in turn. Without a build it waits for the Editor."""

    def __init__(
        self, port: int, build: Build | None, *, worker: int, patience: float, search: bool = False,
        address: str = LOOPBACK, limit: int = MESSAGE_LIMIT,
    ) -> None:  # fmt: skip
        """Listen and start the player.

        patience: seconds to wait for a message; search: take the next free port if this one is taken.
        Raises UnityEnvironmentException, or UnityWorkerInUseException if the port is taken.
        """
        self._patience = patience
        self._phase = ConnectionPhase.NOT_CONNECTED
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
            except BaseException:  # a Ctrl-C too: free the port
                self._server.close()
                raise

    @property
    def port(self) -> int:
        """The port on which the player connects."""
        return self._server.port

    def handshake(self, handshake_reply: bytes) -> PlayerMessage:
        """Return a player's first message and answer it; its second call waits for the first command.

        A caller that disconnects in between was no player: the wait goes on.
        """
        until = time.monotonic() + self._patience
        while True:
            message = self._decoded(self._wait(until))
            self._phase = ConnectionPhase.CONNECTED
            self._server.answer(handshake_reply)
            second = self._wait(time.monotonic() + self._patience)
            if second is not Interruption.DISCONNECTED or time.monotonic() >= until:
                self._decoded(second)
                return message
            self._phase = ConnectionPhase.NOT_CONNECTED
            self._server.reset_caller()
            self._server.note_rejected("it disconnected after the handshake")

    def check_process(self) -> None:
        """Raise UnityEnvironmentException in a process that was forked from the one that opened the connection."""
        self._server.check_process()

    def command(self, message: bytes) -> PlayerMessage:
        """Send a command and return the player's next message.

        Raises UnityCommunicatorStoppedException if it stops, UnityTimeOutException if no message comes in time,
        UnityEnvironmentException if its process ended, UnityCommunicationException if its message cannot be decoded.
        """
        if self._phase is ConnectionPhase.CONNECTED:
            self._phase = ConnectionPhase.RESETTING
        self._server.answer(message)
        reply = self._receive()
        self._phase = ConnectionPhase.RUNNING
        return reply

    def close(self, patience: float) -> None:
        """Send the closing message, and end the player if it does not end by itself in so many seconds.

        Before its first command a player does not quit when the trainer closes but goes on without one: it is ended at
        once. In a forked process this does nothing: the player belongs to the parent.
        """
        if self._server.is_inherited:
            return
        self._server.dismiss()
        try:
            if self._player is not None:
                before_reset = self._phase in (ConnectionPhase.NOT_CONNECTED, ConnectionPhase.CONNECTED)
                self._player.stop(0.0 if before_reset else patience)
        finally:
            self._server.close()

    def _receive(self) -> PlayerMessage:
        """Wait for the player's next message."""
        return self._decoded(self._wait(time.monotonic() + self._patience))

    def _wait(self, until: float) -> bytes | Interruption:
        """Return the player's next message; until: a time of the monotonic clock."""
        while (message := self._server.receive(POLL_INTERVAL)) is None:
            if self._player is not None and self._player.poll() is not None:
                message = self._server.receive(0)  # its last message
                if message is None:
                    wanted_window = self._phase is ConnectionPhase.NOT_CONNECTED and not self._hidden
                    raise UnityEnvironmentException(why_exited(self._player, wanted_window=wanted_window))
                break
            if time.monotonic() >= until:
                raise UnityTimeOutException(self._silence(self._phase))
        return message

    def _decoded(self, message: bytes | Interruption) -> PlayerMessage:
        """Return a decoded message; raises if it is the player's last, or an interruption."""
        if message is Interruption.DISCONNECTED:
            self._check_ended(TIME_TO_END)
            raise UnityCommunicatorStoppedException("The player disconnected: it was closed, or its scene was stopped.")
        if isinstance(message, Interruption):
            raise UnityCommunicationException(self._silence(ConnectionPhase.REJECTED))
        decoded = read_message(message)
        if decoded.status != WELL:
            raise UnityCommunicatorStoppedException(
                f"The player has stopped: {decoded.reason}" if decoded.reason else "The player has stopped."
            )
        return decoded

    def _check_ended(self, seconds: float) -> None:
        """Raise UnityEnvironmentException if the player ends in so many seconds with another status than 0."""
        until = time.monotonic() + seconds
        while self._player is not None and time.monotonic() < until:
            if status := self._player.poll():
                raise UnityEnvironmentException(why_exited(self._player))
            if status == 0:
                return
            time.sleep(0.01)

    def _silence(self, phase: ConnectionPhase) -> str:
        cause = why_silent(
            phase, seconds=self._patience, editor=self._player is None, player=self._player, limit=self._server.limit
        )
        if phase is ConnectionPhase.NOT_CONNECTED and self._server.rejected_caller:
            return f"A caller on port {self.port} is no player: {self._server.rejected_caller}. {cause}"
        return cause


def _listen(port: int, worker: int, search: bool, address: str, limit: int) -> ExchangeServer:
    """Return a server on this port, or on the next free one."""
    for candidate in range(port, min(port + PORTS_TRIED, 65536) if search else port + 1):
        with suppress(OSError):
            return ExchangeServer(
                candidate, address=address, limit=limit, closing_message=closing(), is_last=is_last,
                why_not_player=why_not_player,
            )  # fmt: skip
    raise UnityWorkerInUseException(worker, f"port {port} is taken by {who_holds(port) or 'a program of another user'}")
