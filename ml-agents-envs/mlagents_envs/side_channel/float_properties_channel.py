"""Named numbers that both sides may set; newer scenes read environment parameters instead."""

from __future__ import annotations

from uuid import UUID

from mlagents_envs.exception import UnitySideChannelException
from mlagents_envs.side_channel.identifiers import FLOAT_PROPERTIES
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel

MOST_PROPERTIES = 2**16


class FloatPropertiesChannel(SideChannel):
    """Keeps the last value that either side set."""

    def __init__(self, channel_id: UUID | None = None) -> None:
        super().__init__(FLOAT_PROPERTIES if channel_id is None else channel_id)
        self._properties: dict[str, float] = {}

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Keep a number; raises UnitySideChannelException if the player sets too many properties."""
        key = msg.read_string()
        if key not in self._properties and len(self._properties) >= MOST_PROPERTIES:
            raise UnitySideChannelException(f"the player sets more than {MOST_PROPERTIES} properties")
        self._properties[key] = msg.read_float32()

    def set_property(self, key: str, value: float) -> None:
        """Keep a number and send it to the player."""
        message = OutgoingMessage()
        message.write_string(key)
        message.write_float32(value)
        self._properties[key] = value
        self.queue_message_to_send(message)

    def get_property(self, key: str) -> float | None:
        """Return a number, None if it was never set."""
        return self._properties.get(key)

    def list_properties(self) -> list[str]:
        """Return the names of all properties."""
        return list(self._properties)

    def get_property_dict_copy(self) -> dict[str, float]:
        """Return all properties by name."""
        return dict(self._properties)
