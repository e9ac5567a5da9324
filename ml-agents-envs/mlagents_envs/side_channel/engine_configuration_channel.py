"""Speed and graphics settings of the player."""

from __future__ import annotations

from typing import NamedTuple

from mlagents_envs.exception import UnitySideChannelException
from mlagents_envs.side_channel.identifiers import ENGINE_CONFIGURATION, EngineSetting
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel, refuse


class EngineConfig(NamedTuple):
    """All settings of the engine."""

    width: int  # of the window, pixels
    height: int
    quality_level: int
    time_scale: float  # simulated seconds per second; the player takes at least 1
    target_frame_rate: int  # images per second, -1 = as many as possible
    capture_frame_rate: int  # images per simulated second

    @staticmethod
    def default_config() -> EngineConfig:
        """Return the settings for training."""
        return EngineConfig(80, 80, 1, 20.0, -1, 60)


class EngineConfigurationChannel(SideChannel):
    """Sets the engine; the player never answers."""

    ConfigurationType = EngineSetting

    def __init__(self) -> None:
        super().__init__(ENGINE_CONFIGURATION)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Raise UnityCommunicationException: this channel only sends."""
        refuse(self)

    def set_configuration_parameters(
        self, width: int | None = None, height: int | None = None, quality_level: int | None = None,
        time_scale: float | None = None, target_frame_rate: int | None = None, capture_frame_rate: int | None = None,
    ) -> None:  # fmt: skip
        """Send the settings that are not None; see EngineConfig for units.

        Raises UnitySideChannelException for a width without a height or the other way round.
        """
        if width is not None and height is not None:
            self._send(EngineSetting.SCREEN_RESOLUTION, width, height)
        elif width is not None or height is not None:
            raise UnitySideChannelException(
                f"screen resolution: width is {width} and height is {height}; give both or neither"
            )
        if quality_level is not None:
            self._send(EngineSetting.QUALITY_LEVEL, quality_level)
        if time_scale is not None:
            message = OutgoingMessage()
            message.write_int32(EngineSetting.TIME_SCALE)
            message.write_float32(time_scale)
            self.queue_message_to_send(message)
        if target_frame_rate is not None:
            self._send(EngineSetting.TARGET_FRAME_RATE, target_frame_rate)
        if capture_frame_rate is not None:
            self._send(EngineSetting.CAPTURE_FRAME_RATE, capture_frame_rate)

    def set_configuration(self, config: EngineConfig) -> None:
        """Send all settings."""
        self.set_configuration_parameters(**config._asdict())

    def _send(self, setting: EngineSetting, *values: int) -> None:
        message = OutgoingMessage()
        for number in (setting, *values):
            message.write_int32(number)
        self.queue_message_to_send(message)
