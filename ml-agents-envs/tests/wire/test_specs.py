import pytest

from mlagents_envs.base_env import ActionSpec, DimensionProperty, ObservationType
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.space_type_pb2 import continuous, discrete
from mlagents_envs.exception import UnityActionException, UnityObservationException
from mlagents_envs.wire.specs import action_spec, behavior_spec, brain_parameters


def test_a_behavior_is_described_and_understood():
    spec = ActionSpec(2, (3, 4))
    agent = AgentInfoProto()
    agent.observations.add(shape=[20, 4], dimension_properties=[4, 1], observation_type=1, name="others")
    agent.observations.add(shape=[8], name="self")
    understood = behavior_spec(brain_parameters("B?team=0", spec), agent)
    assert understood.action_spec == spec
    others, own = understood.observation_specs
    assert (others.shape, others.name, others.observation_type) == ((20, 4), "others", ObservationType.GOAL_SIGNAL)
    assert others.dimension_property == (DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE)
    assert own.dimension_property == (DimensionProperty.UNSPECIFIED,)


@pytest.mark.parametrize(
    ("kind", "sizes", "spec"), [(continuous, [2], ActionSpec(2, ())), (discrete, [3, 2], ActionSpec(0, (3, 2)))]
)
def test_old_players_say_their_actions_in_the_deprecated_fields(kind, sizes, spec):
    parameters = BrainParametersProto(vector_action_size_deprecated=sizes, vector_action_space_type_deprecated=kind)
    assert action_spec(parameters) == spec


@pytest.mark.parametrize("shape", [[0], [-1], [2**31 - 1, 2**31 - 1, 3], [1] * 5])
def test_a_sensor_that_cannot_be_gets_a_sentence(shape):
    agent = AgentInfoProto()
    agent.observations.add(shape=shape, name="odd")
    with pytest.raises(UnityObservationException, match="sensor 'odd' has the shape"):
        behavior_spec(BrainParametersProto(), agent)


def test_a_kind_of_observation_that_nobody_knows_gets_a_sentence():
    agent = AgentInfoProto()
    agent.observations.add(shape=[1], name="odd", observation_type=9)
    with pytest.raises(UnityObservationException, match="sensor 'odd'"):
        behavior_spec(BrainParametersProto(), agent)


@pytest.mark.parametrize(("count", "branches"), [(-1, []), (2**30, []), (0, [0]), (0, [2**31 - 1, 2])])
def test_actions_that_cannot_be_get_a_sentence(count, branches):
    parameters = BrainParametersProto(brain_name="B")
    parameters.action_spec.num_continuous_actions = count
    parameters.action_spec.num_discrete_actions = len(branches)
    parameters.action_spec.discrete_branch_sizes.extend(branches)
    with pytest.raises(UnityActionException, match="B: its actions have the sizes"):
        action_spec(parameters)
