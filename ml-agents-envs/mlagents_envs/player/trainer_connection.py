"""A player's connection to the trainer, which listens on this machine."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import grpc

from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityException,
    UnityTimeOutException,
)
from mlagents_envs.wire.server import METHOD

OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # the trainer is on this machine: never through a proxy
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class Exchange(Protocol):
    """Sends a message to the trainer and returns the reply."""

    def __call__(self, message: bytes, /, *, patience: float | None = None) -> bytes:
        """patience: seconds within which the reply must come, None for any time."""


class TrainerConnection:
    """A connection to the trainer at a port, made at the first call."""

    def __init__(self, port: int) -> None:
        self._where = f"localhost:{port}"
        self._channel = grpc.insecure_channel(self._where, options=OPTIONS)
        self._call = self._channel.unary_unary(METHOD)

    def __enter__(self) -> TrainerConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self._channel.close()

    def __call__(self, message: bytes, /, *, patience: float | None = None) -> bytes:
        """Send a message and return the reply; with patience, wait for a trainer that does not listen yet.

        Raises UnityTimeOutException if no reply comes in time, UnityCommunicatorStoppedException if the trainer
        disconnects, UnityCommunicationException if it refuses the message.
        """
        try:
            answer: bytes = self._call(message, timeout=patience, wait_for_ready=patience is not None)
        except grpc.RpcError as error:
            raise self._why(error.code(), error.details(), patience) from error
        return answer

    def _why(self, code: grpc.StatusCode, details: str, patience: float | None) -> UnityException:
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return UnityTimeOutException(
                f"{self._where}: no trainer answered in {patience:g} s; start one first, and give its port "
                "with --mlagents-port"
            )
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            return UnityCommunicatorStoppedException(f"{self._where}: the trainer disconnected")
        return UnityCommunicationException(f"{self._where}: the trainer refused a message: {code.name}, {details}")
