"""The interface of Unity's package for exchanging messages with a player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from mlagents_envs.communicator_objects.unity_input_pb2 import UnityInputProto
from mlagents_envs.communicator_objects.unity_output_pb2 import UnityOutputProto

PollCallback = Callable[[], None]  # called repeatedly while waiting for a player; raises if the player is gone


class Communicator(ABC):
    """Exchanges protobuf messages. `UnityEnvironment` does not use it: it reads and writes bytes itself."""

    def __init__(self, worker_id: int = 0, base_port: int = 5005) -> None:
        self.worker_id = worker_id
        self.base_port = base_port

    @abstractmethod
    def initialize(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto:
        """Return a player's first message and answer it with `inputs`."""

    @abstractmethod
    def exchange(self, inputs: UnityInputProto, poll_callback: PollCallback | None = None) -> UnityOutputProto | None:
        """Answer the player with `inputs` and return its next message; None if it stops."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""
