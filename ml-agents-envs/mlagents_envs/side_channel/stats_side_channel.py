"""Statistics that a scene records about itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mlagents_envs.exception import UnitySideChannelException
from mlagents_envs.side_channel.identifiers import STATISTICS, StatsAggregationMethod
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.side_channel import SideChannel

StatList = list[tuple[float, StatsAggregationMethod]]
EnvironmentStats = Mapping[str, StatList]

__all__ = ["EnvironmentStats", "StatList", "StatsAggregationMethod", "StatsSideChannel"]


log = logging.getLogger(__name__)
MOST_VALUES = 2**20  # that wait to be fetched


class StatsSideChannel(SideChannel):
    """Keeps received statistics until they are fetched, up to a number; Python never sends."""

    def __init__(self) -> None:
        super().__init__(STATISTICS)
        self._stats: dict[str, StatList] = {}
        self._waiting = 0  # values

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Keep one value; an unknown aggregation raises UnitySideChannelException."""
        key, value, number = msg.read_string(), msg.read_float32(), msg.read_int32()
        try:
            method = StatsAggregationMethod(number)
        except ValueError as error:
            known = ", ".join(f"{method.value} {method.name}" for method in StatsAggregationMethod)
            raise UnitySideChannelException(f"{key}: {number} is no aggregation; known are {known}") from error
        self._waiting += 1
        if self._waiting > MOST_VALUES:
            if self._waiting == MOST_VALUES + 1:
                log.warning(
                    "StatsSideChannel: %d values wait, and further ones are dropped; call get_and_reset_stats",
                    MOST_VALUES,
                )
            return
        self._stats.setdefault(key, []).append((value, method))

    def get_and_reset_stats(self) -> EnvironmentStats:
        """Return the values since the last call, by name, in the order of arrival."""
        stats, self._stats, self._waiting = self._stats, {}, 0
        return stats
