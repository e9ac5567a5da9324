"""Bytes of any meaning, both ways."""

from __future__ import annotations

import logging
from uuid import UUID

from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel

log = logging.getLogger(__name__)
MOST_BYTES = 2**28  # that wait to be fetched
PER_MESSAGE = 64  # bytes that keeping one takes


class RawBytesChannel(SideChannel):
    """Keeps received messages until they are fetched, up to a number of bytes."""

    def __init__(self, channel_id: UUID) -> None:
        super().__init__(channel_id)
        self._received: list[bytearray] = []
        self._waiting = 0  # bytes
        self._full = False

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Keep the bytes, or drop them with a warning if too many wait."""
        size = len(msg.buffer) + PER_MESSAGE
        if self._waiting + size > MOST_BYTES:
            if not self._full:
                log.warning(
                    "RawBytesChannel %s: %d bytes wait, more are dropped; call get_and_clear_received_messages",
                    self.channel_id, self._waiting,
                )  # fmt: skip
            self._full = True
            return
        self._waiting += size
        self._received.append(msg.get_raw_bytes())

    def get_and_clear_received_messages(self) -> list[bytearray]:
        """Return the messages since the last call, in the order of arrival."""
        received, self._received = self._received, []
        self._waiting, self._full = 0, False
        return received

    def send_raw_data(self, data: bytes | bytearray) -> None:
        """Send bytes with the next reset or step."""
        message = OutgoingMessage()
        message.set_raw_bytes(data)
        self.queue_message_to_send(message)
