"""A communicator over gRPC, for programs that exchange protobuf messages themselves."""

from __future__ import annotations

import time

from google.protobuf.message import DecodeError

from mlagents_envs.communicator import Communicator, PollCallback
from mlagents_envs.communicator_objects.header_pb2 import HeaderProto
from mlagents_envs.communicator_objects.unity_input_pb2 import UnityInputProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_output_pb2 import UnityOutputProto
from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityTimeOutException,
    UnityWorkerInUseException,
)
from mlagents_envs.wire.codec import is_last, why_no_handshake
from mlagents_envs.wire.diagnosis import ConnectionPhase, why_silent
from mlagents_envs.wire.replies import WELL, closing
from mlagents_envs.wire.server import ExchangeServer, Interruption

SLICES = 10  # of the timeout; the callback is called after each


class RpcCommunicator(Communicator):
    """Listens for one player on port base_port + worker_id; raises UnityWorkerInUseException if it is taken."""

    def __init__(self, worker_id: int = 0, base_port: int = 5005, timeout_wait: int = 30) -> None:
        """timeout_wait: seconds."""
        super().__init__(worker_id, base_port)
        self.timeout_wait = timeout_wait
        self._phase = ConnectionPhase.NOT_CONNECTED
        try:
            self._server = ExchangeServer(
                base_port + worker_id, closing_message=closing(), is_last=is_last, why_not_player=why_no_handshake
            )
        except OSError as error:
            raise UnityWorkerInUseException(worker_id) from error

    def initialize(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto:
        """Return a player's first message and answer it with `inputs`."""
        first = self._receive(poll_callback)
        self._phase = ConnectionPhase.CONNECTED
        self._send(inputs)
        self._receive(poll_callback)
        return first.unity_output

    def exchange(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto | None:
        """Answer the player with `inputs` and return its next message; None if it stops."""
        self._send(inputs)
        try:
            message = self._receive(poll_callback)
        except UnityCommunicatorStoppedException:
            return None
        self._phase = ConnectionPhase.RUNNING
        return message.unity_output if message.header.status == WELL else None

    def close(self) -> None:
        """Close the connection and free the port."""
        self._server.close()

    def _send(self, inputs: UnityInputProto) -> None:
        message = UnityMessageProto(header=HeaderProto(status=WELL), unity_input=inputs)
        self._server.answer(message.SerializeToString())

    def _receive(self, poll_callback: PollCallback | None) -> UnityMessageProto:
        until = time.monotonic() + self.timeout_wait
        while (message := self._server.receive(self.timeout_wait / SLICES)) is None:
            if poll_callback is not None:
                poll_callback()
            if time.monotonic() >= until:
                raise UnityTimeOutException(self._silence(self._phase))
        if message is Interruption.DISCONNECTED:
            raise UnityCommunicatorStoppedException("The player disconnected.")
        if isinstance(message, Interruption):
            raise UnityCommunicationException(self._silence(ConnectionPhase.REJECTED))
        try:
            return UnityMessageProto.FromString(message)
        except DecodeError as error:
            raise UnityCommunicationException(f"what arrived is no message of the protocol: {error}") from error

    def _silence(self, phase: ConnectionPhase) -> str:
        return why_silent(phase, seconds=self.timeout_wait, editor=False, player=None, limit=self._server.limit)
