"""All side channels of an environment, and the bytes that are exchanged with each reset or step."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID

from mlagents_envs.exception import UnityEnvironmentException, UnitySideChannelException
from mlagents_envs.side_channel.framing import frame, read_records
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.side_channel import SideChannel

log = logging.getLogger(__name__)
MOST_WARNINGS = 20  # about ids of unknown channels, of which there may be any number


class SideChannelManager:
    """Dispatches messages to their channels and collects the messages to send.

    Raises UnityEnvironmentException if two channels have the same id.
    """

    def __init__(self, side_channels: Iterable[SideChannel] | None = None) -> None:
        self._side_channels_dict: dict[UUID, SideChannel] = {}
        self._unknown: set[UUID] = set()  # ids that were warned of, up to a number
        self._lost = 0
        for channel in side_channels or ():
            other = self._side_channels_dict.get(channel.channel_id)
            if other is not None:
                raise UnityEnvironmentException(
                    f"side_channels: {type(other).__name__} and {type(channel).__name__} both have the id "
                    f"{channel.channel_id}; give one of them another"
                )
            self._side_channels_dict[channel.channel_id] = channel

    @property
    def channels(self) -> tuple[SideChannel, ...]:
        """The channels, in their given order."""
        return tuple(self._side_channels_dict.values())

    @property
    def lost(self) -> int:
        """The number of messages for unknown channels, which are dropped."""
        return self._lost

    def process_side_channel_message(self, data: bytes) -> None:
        """Dispatch each message to its channel, in the order of arrival; warn once for each unknown id.

        Raises UnityEnvironmentException, before any message is dispatched, for bytes that are no records;
        UnitySideChannelException, naming the channel, for a payload that it cannot read.
        """
        for identifier, payload in read_records(data):
            channel = self._side_channels_dict.get(identifier)
            if channel is None:
                self._warn_of(identifier)
                continue
            try:
                channel.on_message_received(IncomingMessage(payload))
            except UnitySideChannelException as error:
                raise UnitySideChannelException(f"{type(channel).__name__}: {error}") from error

    def generate_side_channel_messages(self) -> bytearray:
        """Return all queued messages, channel by channel in their given order, and empty the queues."""
        blob = bytearray()
        for channel in self._side_channels_dict.values():
            for payload in channel.message_queue:
                blob += frame(channel.channel_id, payload)
            channel.message_queue.clear()
        return blob

    def _warn_of(self, identifier: UUID) -> None:
        self._lost += 1
        if identifier in self._unknown or len(self._unknown) >= MOST_WARNINGS:
            return
        self._unknown.add(identifier)
        log.warning("side channel %s: the player sends on this unknown channel; its messages are dropped", identifier)
        if len(self._unknown) == MOST_WARNINGS:
            log.warning("side channels: %d ids are unknown by now; further ones are not logged", MOST_WARNINGS)
