"""What all side channels have in common: an id, and messages that wait for the next exchange."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn
from uuid import UUID

from mlagents_envs.exception import UnityCommunicationException
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage


class SideChannel(ABC):
    """One kind of message between Python and the player; both know it under the same id."""

    def __init__(self, channel_id: UUID) -> None:
        self._channel_id = channel_id
        self.message_queue: list[bytearray] = []  # payloads that leave with the next reset or step

    @property
    def channel_id(self) -> UUID:
        return self._channel_id

    def queue_message_to_send(self, msg: OutgoingMessage) -> None:
        """Send what was written so far with the next reset or step."""
        self.message_queue.append(bytearray(msg.buffer))

    @abstractmethod
    def on_message_received(self, msg: IncomingMessage) -> None:
        """Take one message of the player."""


def refuse(channel: SideChannel) -> NoReturn:
    """Raise what a message on a channel that only sends deserves."""
    raise UnityCommunicationException(
        f"{type(channel).__name__}: the player sent a message on a channel that only Python speaks on; "
        f"give the player's channel another id than {channel.channel_id}"
    )
