"""Environment parameters: numbers that a scene reads by name, or distributions it draws them from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlagents_envs.exception import UnitySideChannelException
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Sampler, Uniform
from mlagents_envs.side_channel.identifiers import ENVIRONMENT_PARAMETERS, ParameterKind, SamplerKind
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.side_channel import SideChannel, refuse


class EnvironmentParametersChannel(SideChannel):
    """Sets environment parameters; the last value of a key applies, and the player never answers.

    From a sampler, the player draws anew whenever the scene reads the parameter. Seeds are int32.
    """

    EnvironmentDataTypes = ParameterKind
    SamplerTypes = SamplerKind

    def __init__(self) -> None:
        super().__init__(ENVIRONMENT_PARAMETERS)

    def on_message_received(self, msg: IncomingMessage) -> None:
        """Raise UnityCommunicationException: this channel only sends."""
        refuse(self)

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Send numbers and samplers by name."""
        for key, value in parameters.items():
            if isinstance(value, Uniform):
                self.set_uniform_sampler_parameters(key, value.min_value, value.max_value, value.seed)
            elif isinstance(value, Gaussian):
                self.set_gaussian_sampler_parameters(key, value.mean, value.st_dev, value.seed)
            elif isinstance(value, MultiRangeUniform):
                self.set_multirangeuniform_sampler_parameters(key, value.intervals, value.seed)
            else:
                self.set_float_parameter(key, value)

    def set_float_parameter(self, key: str, value: float) -> None:
        """Set a number."""
        message = OutgoingMessage()
        message.write_string(key)
        message.write_int32(ParameterKind.FLOAT)
        message.write_float32(value)
        self.queue_message_to_send(message)

    def set_uniform_sampler_parameters(self, key: str, min_value: float, max_value: float, seed: int) -> None:
        """Draw from a uniform distribution."""
        message = _sampler(key, SamplerKind.UNIFORM, seed=seed)
        message.write_float32(min_value)
        message.write_float32(max_value)
        self.queue_message_to_send(message)

    def set_gaussian_sampler_parameters(self, key: str, mean: float, st_dev: float, seed: int) -> None:
        """Draw from a normal distribution."""
        message = _sampler(key, SamplerKind.GAUSSIAN, seed=seed)
        message.write_float32(mean)
        message.write_float32(st_dev)
        self.queue_message_to_send(message)

    def set_multirangeuniform_sampler_parameters(
        self, key: str, intervals: Sequence[Sequence[float]], seed: int
    ) -> None:
        """Draw uniformly from several intervals, each a pair of smallest and largest."""
        for interval in intervals:
            if len(interval) != 2:
                raise UnitySideChannelException(
                    f"environment parameter {key}: {interval} is no interval; give pairs of smallest and largest"
                )
        message = _sampler(key, SamplerKind.MULTIRANGEUNIFORM, seed=seed)
        message.write_float32_list([end for interval in intervals for end in interval])
        self.queue_message_to_send(message)


def _sampler(key: str, kind: SamplerKind, *, seed: int) -> OutgoingMessage:
    """Return a message with the fields that all samplers share."""
    message = OutgoingMessage()
    message.write_string(key)
    message.write_int32(ParameterKind.SAMPLER)
    message.write_int32(seed)
    message.write_int32(kind)
    return message
