"""Bytes of any meaning, both ways."""

from __future__ import annotations

from uuid import UUID

from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel


class RawBytesChannel(SideChannel):
    """Keeps what arrives until somebody asks for it."""

    def __init__(self, channel_id: UUID) -> None:
        super().__init__(channel_id)
        self._received: list[bytearray] = []

    def on_message_received(self, msg: IncomingMessage) -> None:
        self._received.append(msg.get_raw_bytes())

    def get_and_clear_received_messages(self) -> list[bytearray]:
        """Return what came since the last asking, in the order of arrival."""
        received, self._received = self._received, []
        return received

    def send_raw_data(self, data: bytes | bytearray) -> None:
        message = OutgoingMessage()
        message.set_raw_bytes(data)
        self.queue_message_to_send(message)
