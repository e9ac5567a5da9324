"""`UnityEnvironment` against a player that says, over the wire, what Unity's packages say: T is an end, D asks."""

import threading

import grpc
import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple, DimensionProperty
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.command_pb2 import RESET, STEP
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.side_channel import player_side
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.wire.server import METHOD

WALK, JUMP = "Walk?team=0", "Jump?team=0"


def agent(agent_id, *, done, reward=0.0, interrupted=False):
    info = AgentInfoProto(id=agent_id, done=done, reward=reward, max_step_reached=interrupted)
    info.observations.add(shape=[1], name="place").float_data.data.append(agent_id)
    return info


def D(agent_id, reward=0.0):
    return agent(agent_id, done=False, reward=reward)


def T(agent_id, reward=0.0, interrupted=False):
    return agent(agent_id, done=True, reward=reward, interrupted=interrupted)


class Unity(threading.Thread):
    """Says messages in turn, each a dictionary of behavior -> agents, and keeps what it is answered."""

    def __init__(self, port, *messages, package="4.0.1"):
        super().__init__(daemon=True)
        self.orders = []  # what each message was answered, the second of the handshake first
        self._port = port
        self._messages = messages
        self._package = package

    def run(self):
        hello, described = UnityMessageProto(header={"status": 200}), set()
        greeting = hello.unity_output.rl_initialization_output
        greeting.name, greeting.communication_version, greeting.package_version = "AcademySingleton", "1.5.0", self._package
        greeting.capabilities.baseRLCapabilities = True
        with grpc.insecure_channel(f"localhost:{self._port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(METHOD)
            call(hello.SerializeToString(), wait_for_ready=True)
            self._say(call, UnityMessageProto(header={"status": 200}))
            for agents in self._messages:
                message = UnityMessageProto(header={"status": 200})
                message.unity_output.rl_output.SetInParent()
                for name, listed in agents.items():
                    message.unity_output.rl_output.agentInfos[name].value.extend(listed)
                    if listed and name not in described:
                        described.add(name)
                        brain = message.unity_output.rl_initialization_output.brain_parameters.add(brain_name=name)
                        brain.action_spec.num_continuous_actions = 1
                self._say(call, message)

    def _say(self, call, message):
        self.orders.append(UnityMessageProto.FromString(call(message.SerializeToString())).unity_input.rl_input)

    @property
    def answers(self):
        """For each message about agents, the actions of each behavior's agents: {behavior: [number, ...]}."""
        return [
            {name: [tuple(action.continuous_actions) for action in listed.value] for name, listed in order.agent_actions.items()}
            for order in self.orders[1:]
        ]


@pytest.fixture
def begin(free_port):
    """A function that starts a player with these messages and returns it, and the environment that listens to it."""
    begun = []

    def start(*messages, package="4.0.1", **options):
        unity = Unity(free_port, *messages, package=package)
        unity.start()
        env = UnityEnvironment(base_port=free_port, timeout_wait=30, **options)
        begun.append((unity, env))
        return unity, env

    yield start
    for unity, env in begun:
        if env._connection is not None:
            env.close()
        unity.join(30)
        assert not unity.is_alive()


def act(env, name=WALK):
    """Answer every agent of a behavior with its own id."""
    decision, _ = env.get_steps(name)
    env.set_actions(name, ActionTuple(decision.obs[0]))


def rows(steps):
    return list(zip(steps.agent_id.tolist(), steps.reward.tolist(), strict=True))


def test_a_behavior_may_begin_with_an_end(begin):
    """An agent that was enabled and disabled again before it asked."""
    unity, env = begin({WALK: [T(4, reward=2.0)]}, {WALK: [D(5)]}, {WALK: []})
    env.reset()
    decision, terminal = env.get_steps(WALK)
    assert env.behavior_specs[WALK].observation_specs[0].shape == (1,)
    assert (len(decision), rows(terminal)) == (0, [(4, 2.0)])
    env.step()
    assert rows(env.get_steps(WALK)[0]) == [(5, 0.0)]
    act(env)
    env.step()
    assert unity.answers[:2] == [{}, {WALK: [(5.0,)]}]


def test_a_message_in_which_nobody_asks_is_answered_with_no_actions(begin):
    """Between two decisions an episode ends, and every behavior that was ever there is listed."""
    unity, env = begin(
        {WALK: [D(0), D(1)], JUMP: []}, {WALK: [T(1)], JUMP: []}, {WALK: [], JUMP: [D(2)]}, {WALK: [D(0)], JUMP: []}
    )
    env.reset()
    assert list(env.behavior_specs) == [WALK]  # an empty list describes nothing
    act(env)
    env.step()
    assert (len(env.get_steps(WALK)[0]), rows(env.get_steps(WALK)[1])) == (0, [(1, 0.0)])
    env.step()
    assert [len(steps) for steps in env.get_steps(WALK)] == [0, 0]
    act(env, JUMP)
    env.step()
    assert [len(steps) for steps in env.get_steps(JUMP)] == [0, 0]
    assert unity.answers[:3] == [{WALK: [(0.0,), (1.0,)]}, {}, {JUMP: [(2.0,)]}]
    assert [order.command for order in unity.orders] == [RESET, STEP, STEP, STEP]


def test_a_reset_keeps_ids_and_rewards_and_may_be_answered_with_ends_only(begin):
    _, env = begin({WALK: [D(0), D(1)]}, {WALK: [T(1, reward=-1.0)]}, {WALK: [D(0, reward=0.5)]}, {WALK: [D(0, reward=3.0)]})
    env.reset()
    env.reset()
    assert [rows(steps) for steps in env.get_steps(WALK)] == [[], [(1, -1.0)]]
    env.step()
    assert rows(env.get_steps(WALK)[0]) == [(0, 0.5)]  # earned before the reset
    env.reset()
    assert [rows(steps) for steps in env.get_steps(WALK)] == [[(0, 3.0)], []]


def test_an_end_and_the_next_question_come_in_messages_of_their_own_with_a_reward_between(begin):
    """With a decision period, what is earned between an end and the next question lies in that question."""
    unity, env = begin({WALK: [D(0)]}, {WALK: [T(0, reward=1.0, interrupted=True)]}, {WALK: [D(0, reward=0.25)]})
    env.reset()
    act(env)
    env.step()
    assert env.get_steps(WALK)[1].interrupted.tolist() == [True]
    env.step()
    assert [rows(steps) for steps in env.get_steps(WALK)] == [[(0, 0.25)], []]
    assert unity.answers == [{WALK: [(0.0,)]}, {}]


def test_a_second_message_of_the_same_step_has_ends_only(begin):
    unity, env = begin({WALK: [D(0), D(1)]}, {WALK: [T(0), D(0), D(1)]}, {WALK: [T(1)]}, {WALK: [D(0)]})
    env.reset()
    act(env)
    for asking, ended in [([0, 1], [0]), ([], [1]), ([0], [])]:
        env.step()
        decision, terminal = env.get_steps(WALK)
        assert (decision.agent_id.tolist(), terminal.agent_id.tolist()) == (asking, ended)
        act(env)
    assert unity.answers == [{WALK: [(0.0,), (1.0,)]}, {WALK: [(0.0,), (1.0,)]}, {}]


def test_an_id_goes_on_under_another_behavior(begin):
    """An agent that changes its model; with or without an end under the old one."""
    unity, env = begin(
        {WALK: [D(0), D(1)]}, {WALK: [T(0, reward=1.0)], JUMP: [D(0), D(1, reward=2.0)]}, {WALK: [D(0)], JUMP: [T(0), D(1)]}
    )
    env.reset()
    act(env)
    env.step()
    assert [rows(steps) for steps in env.get_steps(WALK)] == [[], [(0, 1.0)]]
    assert [rows(steps) for steps in env.get_steps(JUMP)] == [[(0, 0.0), (1, 2.0)], []]
    act(env, JUMP)
    env.step()
    assert [rows(steps) for steps in env.get_steps(JUMP)] == [[(1, 0.0)], [(0, 0.0)]]
    assert unity.answers[1] == {JUMP: [(0.0,), (1.0,)]}


def test_an_agent_that_asks_and_then_ends_is_answered_in_its_place(begin):
    unity, env = begin({WALK: [D(0), D(1), D(2)]}, {WALK: [T(1), D(0), D(1), T(0), D(2), T(1)]}, {WALK: [D(0)]})
    env.reset()
    act(env)
    env.step()
    decision, terminal = env.get_steps(WALK)
    assert (decision.agent_id.tolist(), decision.ended.tolist()) == ([0, 1, 2], [True, True, False])
    assert terminal.agent_id.tolist() == [1, 0, 1]
    act(env)
    env.step()
    assert env.get_steps(WALK)[0].ended is None
    assert unity.answers[1] == {WALK: [(0.0,), (1.0,), (2.0,)]}


def test_every_question_is_answered_also_where_nothing_was_set(begin):
    """Unity throws, and stays out of step, for fewer answers than it asked for."""
    unity, env = begin({WALK: [D(0), D(1)], JUMP: [D(2)]}, {WALK: [D(0), T(0), D(1)]}, {WALK: [D(1)]})
    env.reset()
    env.set_action_for_agent(WALK, 1, ActionTuple(np.full((1, 1), 0.5, np.float32)))
    env.step()
    env.step()
    assert unity.answers == [{WALK: [(0.0,), (0.5,)], JUMP: [(0.0,)]}, {WALK: [(0.0,), (0.0,)]}]


def test_the_very_first_reset_brings_the_side_channels_bytes(begin):
    """They are read while Unity's academy is built, before any agent asks."""
    parameters = EnvironmentParametersChannel()
    unity, env = begin({WALK: [D(0)]}, {WALK: [D(0)]}, side_channels=[parameters])
    parameters.set_float_parameter("mass", 2.0)
    env.reset()
    first = unity.orders[0]
    assert first.command == RESET
    assert not first.agent_actions
    (payload,) = [payload for channel, payload in player_side.records(first.side_channel) if channel == player_side.ENVIRONMENT_PARAMETERS]
    assert player_side.read_parameter(payload) == ("mass", 2.0)
    env.step()
    assert not unity.orders[1].side_channel


# images


def image(shape, properties, numbers, kind=0):
    info = AgentInfoProto(id=3)
    seen = info.observations.add(shape=shape, dimension_properties=properties, name="eye", observation_type=kind)
    seen.float_data.data.extend(numbers)
    return info


NUMBERS = np.arange(24, dtype=np.float32)


@pytest.mark.parametrize(
    ("package", "shape", "properties", "stored"),
    [
        ("1.0.8", (2, 3, 4), (), (2, 3, 4)),
        ("2.0.1", (2, 3, 4), (2, 2, 1), (2, 3, 4)),
        ("3.0.0", (4, 2, 3), (1, 2, 2), (2, 3, 4)),
        ("4.0.0", (4, 2, 3), (1, 2, 2), (2, 3, 4)),
        ("4.0.1", (4, 2, 3), (1, 2, 2), None),
        ("", (2, 3, 4), (2, 2, 1), (2, 3, 4)),
    ],
)
def test_images_of_every_package_have_channels_first(begin, package, shape, properties, stored):
    """stored: how the numbers lie in the message, (height, width, channels), or None for channels first."""
    _, env = begin({WALK: [image(shape, properties, NUMBERS)]}, package=package)
    env.reset()
    (sensor,) = env.behavior_specs[WALK].observation_specs
    assert (sensor.shape, sensor.dimension_property) == (
        (4, 2, 3), (DimensionProperty.NONE, *(DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,) * 2)
    )  # fmt: skip
    expected = NUMBERS.reshape(4, 2, 3) if stored is None else NUMBERS.reshape(stored).transpose(2, 0, 1)
    assert np.array_equal(env.get_steps(WALK)[0].obs[0], expected[None])
    assert env.package.version == package


def test_a_package_of_unknown_version_leaves_a_warning_about_its_images(begin, caplog):
    _, env = begin({WALK: [image((2, 3, 4), (2, 2, 1), NUMBERS)]}, package="")
    env.reset()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"{WALK}: the player's package version '' is not known; sensor 'eye'")
    assert "read as (height, width, channels)" in warning


def test_channels_that_are_put_first_are_logged(begin, caplog):
    caplog.set_level("INFO", "mlagents_envs")
    _, env = begin({WALK: [image((2, 3, 4), (2, 2, 1), NUMBERS)]}, package="2.0.1")
    env.reset()
    assert f"{WALK}: com.unity.ml-agents 2.0.1 sends sensor 'eye' as (2, 3, 4); it is read as (4, 2, 3)" in caplog.text


@pytest.mark.parametrize(
    ("agents", "sentence"),
    [
        ([image((2, 3, 4), (2, 2, 1), NUMBERS[:5])], "observation 0 ('eye'): it has 5 numbers; its shape is (2, 3, 4)"),
        ([image((2, 3, 0), (2, 2, 1), ())], "sensor 'eye' has the shape (2, 3, 0)"),
        ([image((2, 3, 4), (2, 2, 1), NUMBERS, kind=9)], "sensor 'eye': 9 is not a valid ObservationType"),
    ],
)
def test_what_cannot_be_read_is_told_with_behavior_sensor_and_package(begin, agents, sentence):
    _, env = begin({WALK: agents}, package="2.0.1")
    with pytest.raises(UnityObservationException) as error:
        env.reset()
    assert str(error.value).startswith(WALK)
    assert sentence in str(error.value)
    assert "com.unity.ml-agents 2.0.1" in str(error.value)
