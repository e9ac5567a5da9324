"""The training analytics of an environment that is used without a trainer."""

from __future__ import annotations

import platform

from google.protobuf.any_pb2 import Any

import mlagents_envs
from mlagents_envs.communicator_objects.training_analytics_pb2 import TrainingEnvironmentInitialized
from mlagents_envs.side_channel.identifiers import TRAINING_ANALYTICS
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel, refuse


class DefaultTrainingAnalyticsSideChannel(SideChannel):
    """Sends versions to the player, which never answers; a trainer's own channel replaces it under the same id."""

    CHANNEL_ID = TRAINING_ANALYTICS

    def __init__(self) -> None:
        super().__init__(self.CHANNEL_ID)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Raise UnityCommunicationException: this channel only sends."""
        refuse(self)

    def environment_initialized(self) -> None:
        """Send the versions, with a custom trainer."""
        wrapped = Any()
        wrapped.Pack(
            TrainingEnvironmentInitialized(
                python_version=platform.python_version(),
                mlagents_version="Custom",
                mlagents_envs_version=mlagents_envs.__version__,
                torch_version="Unknown",
                torch_device_type="Unknown",
            )
        )
        message = OutgoingMessage()
        message.set_raw_bytes(wrapped.SerializeToString())
        self.queue_message_to_send(message)
