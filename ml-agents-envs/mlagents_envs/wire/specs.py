"""Converts Unity's description of a behavior to `BehaviorSpec` and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.communicator_objects.space_type_pb2 import continuous as CONTINUOUS
from mlagents_envs.exception import UnityActionException, UnityObservationException

MOST_DIMENSIONS = 4
MOST_NUMBERS = 2**26  # of all observations of one agent
MOST_CHOICES = 2**20  # continuous actions, or choices of all branches together
MOST_BRANCHES = 1024
LONGEST_NAME = 1024  # letters


def behavior_spec(parameters: BrainParametersProto, agent: AgentInfoProto) -> BehaviorSpec:
    """Return the spec of a behavior, from its parameters and its first agent's observations.

    Raises UnityObservationException or UnityActionException for sizes beyond the limits above.
    """
    sensors = [observation_spec(seen) for seen in agent.observations]
    numbers = sum(math.prod(sensor.shape) for sensor in sensors)
    if numbers > MOST_NUMBERS:
        raise UnityObservationException(
            f"its {len(sensors)} sensors have {numbers} numbers; {MOST_NUMBERS} are the most"
        )
    return BehaviorSpec(sensors, action_spec(parameters))


def observation_spec(observation: ObservationProto) -> ObservationSpec:
    """Return the spec of a sensor; raises UnityObservationException for an impossible shape or type."""
    if len(observation.name) > LONGEST_NAME:
        raise UnityObservationException(f"the name of a sensor has {len(observation.name)} letters")
    shape = tuple(observation.shape[: MOST_DIMENSIONS + 1])
    if len(shape) > MOST_DIMENSIONS or any(size < 1 for size in shape) or math.prod(shape) > MOST_NUMBERS:
        raise UnityObservationException(
            f"sensor '{observation.name}' has the shape {shape}; up to {MOST_DIMENSIONS} sizes from 1 are possible"
        )
    if len(observation.dimension_properties) > MOST_DIMENSIONS:
        raise UnityObservationException(
            f"sensor '{observation.name}' has {len(observation.dimension_properties)} dimension properties; its shape "
            f"is {shape}"
        )
    try:
        known = tuple(DimensionProperty(value) for value in observation.dimension_properties)
        kind = ObservationType(observation.observation_type)
    except ValueError as error:
        raise UnityObservationException(f"sensor '{observation.name}': {error}") from error
    return ObservationSpec(shape, known or (DimensionProperty.UNSPECIFIED,) * len(shape), kind, observation.name)


def action_spec(parameters: BrainParametersProto) -> ActionSpec:
    """Return the action spec; players older than protocol 1.3 send it in the deprecated fields only."""
    sent = parameters.action_spec
    if sent.num_continuous_actions or sent.num_discrete_actions:
        spec = ActionSpec(sent.num_continuous_actions, tuple(sent.discrete_branch_sizes[: MOST_BRANCHES + 1]))
    else:
        sizes = tuple(parameters.vector_action_size_deprecated[: MOST_BRANCHES + 1])
        continuous = parameters.vector_action_space_type_deprecated == CONTINUOUS
        spec = ActionSpec(sizes[0] if sizes else 0, ()) if continuous else ActionSpec(0, sizes)
    _check(parameters.brain_name, [spec.continuous_size], smallest=0)
    _check(parameters.brain_name, spec.discrete_branches, smallest=1)
    return spec


def _check(behavior: str, sizes: Sequence[int], smallest: int) -> None:
    if len(sizes) > MOST_BRANCHES or any(size < smallest for size in sizes) or sum(sizes) > MOST_CHOICES:
        raise UnityActionException(
            f"{behavior}: its actions have the sizes {list(sizes[:10])}; up to {MOST_BRANCHES} sizes from {smallest}, "
            f"together up to {MOST_CHOICES}, are possible"
        )


def brain_parameters(name: str, spec: ActionSpec) -> BrainParametersProto:
    """Return Unity's description of a behavior that is trained."""
    parameters = BrainParametersProto(brain_name=name, is_training=True)
    parameters.action_spec.num_continuous_actions = spec.continuous_size
    parameters.action_spec.num_discrete_actions = spec.discrete_size
    parameters.action_spec.discrete_branch_sizes.extend(spec.discrete_branches)
    return parameters
