"""Converts protobuf messages to behaviors and steps, under the names of Unity's package; see `wire`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.wire.codec import AgentReader
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.specs import behavior_spec


def behavior_spec_from_proto(brain_param_proto: BrainParametersProto, agent_info: AgentInfoProto) -> BehaviorSpec:
    """Return the spec of a behavior from its parameters and one of its agents."""
    return behavior_spec(brain_param_proto, agent_info)


def steps_from_proto(
    agent_info_list: Collection[AgentInfoProto], behavior_spec: BehaviorSpec
) -> tuple[DecisionSteps, TerminalSteps]:
    """Return the steps of agents; raises UnityObservationException if they do not fit the spec."""
    listed = UnityRLOutputProto.ListAgentInfoProto(value=agent_info_list)
    return AgentReader("agents", behavior_spec).read(listed.SerializeToString())


def process_pixels(
    image_bytes: bytes, expected_channels: int, expected_height: int, expected_width: int,
    mappings: Sequence[int] | None = None,
) -> NDArray[Any]:  # fmt: skip
    """Return the (channels, height, width) float32 that concatenated PNG images stand for."""
    return decode_png(image_bytes, (expected_channels, expected_height, expected_width), mappings or ())
