"""The base of all side channels: an id, and messages that wait for the next reset or step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn
from uuid import UUID

from mlagents_envs.exception import UnityCommunicationException
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage


class SideChannel(ABC):
    """One kind of message between Python and the player, identified by the same id on both sides."""

    def __init__(self, channel_id: UUID) -> None:
        self._channel_id = channel_id
        self.message_queue: list[bytearray] = []  # payloads that are sent with the next reset or step

    @property
    def channel_id(self) -> UUID:
        """The id of the channel."""
        return self._channel_id

    def queue_message_to_send(self, msg: OutgoingMessage) -> None:
        """Send the message with the next reset or step."""
        self.message_queue.append(bytearray(msg.buffer))

    @abstractmethod
    def on_message_received(self, msg: IncomingMessage) -> None:
        """Handle one message of the player."""


def refuse(channel: SideChannel) -> NoReturn:
    """Raise UnityCommunicationException for a message on a channel that only sends."""
    raise UnityCommunicationException(
        f"{type(channel).__name__}: the player sent a message on a channel on which only Python sends; "
        f"give the player's channel another id than {channel.channel_id}"
    )
