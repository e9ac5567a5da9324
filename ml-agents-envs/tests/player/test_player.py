from uuid import UUID

import numpy as np
import pytest

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BaseEnv,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.communicator_objects.command_pb2 import QUIT, RESET
from mlagents_envs.communicator_objects.observation_pb2 import NONE, PNG
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.examples import catalog
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import (
    UnityActionException,
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
)
from mlagents_envs.player.player import ServedPlayer
from mlagents_envs.side_channel import player_side
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.wire.packages import read_package


class Trainer:
    """Sends a list of messages in turn, then closes, and keeps what the player sent."""

    def __init__(self, *orders, seed=7, areas=1, version="1.5.0", capable=True):
        initialization = UnityMessageProto()
        initialization.header.status = 200
        first = initialization.unity_input.rl_initialization_input
        first.seed, first.num_areas, first.communication_version = seed, areas, version
        first.capabilities.concatenatedPngObservations = first.capabilities.compressedChannelMapping = capable
        self.answers = [initialization, *orders]
        self.heard = []

    def __call__(self, message, *, patience=None):
        self.heard.append(UnityMessageProto.FromString(message))
        answer = self.answers.pop(0) if self.answers else UnityMessageProto(header={"status": 400})
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    @property
    def outputs(self):
        """The outputs with agents."""
        return [message.unity_output for message in self.heard[2:] if message.HasField("unity_output")]


def order(command=0, side_channel=b"", **actions):
    message = UnityMessageProto()
    message.header.status = 200
    message.unity_input.rl_input.command = command
    message.unity_input.rl_input.side_channel = side_channel
    for name, action in actions.items():
        for continuous, discrete in zip(action.continuous.tolist(), action.discrete.tolist(), strict=True):
            agent = message.unity_input.rl_input.agent_actions[name].value.add()
            agent.continuous_actions.extend(continuous)
            agent.discrete_actions.extend(discrete)
    return message


class Square(BaseEnv):
    """Says what is written down: at each tick {behavior: (ids that ask, ids that end)}. Keeps the actions."""

    SPECS = {
        "walker?team=0": BehaviorSpec([vector_sensor(2, "place")], ActionSpec(2, ())),
        "painter?team=1": BehaviorSpec(
            [
                ObservationSpec(
                    (4, 3, 3),
                    (DimensionProperty.NONE, *[DimensionProperty.TRANSLATIONAL_EQUIVARIANCE] * 2),
                    ObservationType.GOAL_SIGNAL,
                    "canvas",
                )
            ],
            ActionSpec(1, (3, 2)),
        ),
    }

    def __init__(self, ticks):
        self.ticks = ticks
        self.tick = -1
        self.acted = []
        self.closed = False

    def reset(self):
        self.tick = 0

    def step(self):
        self.tick += 1

    def close(self):
        self.closed = True

    @property
    def behavior_specs(self):
        known = {name for tick in self.ticks[: self.tick + 1] for name in tick}
        return {name: spec for name, spec in self.SPECS.items() if name in known}

    def get_steps(self, behavior_name):
        spec = self.SPECS[behavior_name]
        ask, end = self.ticks[self.tick].get(behavior_name, ([], []))

        def common(ids):
            obs = [np.full((len(ids), *sensor.shape), 0.2, np.float32) for sensor in spec.observation_specs]
            return obs, np.ones(len(ids), np.float32), np.array(ids, np.int32)

        group = lambda ids: (np.full(len(ids), 5, np.int32), np.full(len(ids), 0.5, np.float32))  # noqa: E731
        mask = [np.arange(size) == 0 for size in spec.action_spec.discrete_branches]
        masks = [np.tile(branch, (len(ask), 1)) for branch in mask] or None
        return (
            DecisionSteps(*common(ask), masks, *group(ask)),
            TerminalSteps(*common(end)[:2], np.ones(len(end), bool), np.array(end, np.int32), *group(end)),
        )

    def set_actions(self, behavior_name, action):
        self.acted.append((self.tick, behavior_name, action))

    def set_action_for_agent(self, behavior_name, agent_id, action):
        raise NotImplementedError


def play(trainer, env, **options):
    return ServedPlayer(trainer, lambda seed, areas: env, **options).play()


def agents(output, name):
    return [(agent.id, agent.done) for agent in output.rl_output.agentInfos[name].value]


def example(name):
    return lambda seed, areas: catalog.make(name, seed=seed, areas=areas)


def test_the_handshake_is_that_of_unity():
    trainer = Trainer()
    assert play(trainer, Square([])) == "the trainer closed, with status 400"
    greeting, parked = trainer.heard
    hello = greeting.unity_output.rl_initialization_output
    assert greeting.header.status == 200
    assert (hello.name, hello.communication_version) == ("AcademySingleton", "1.5.0")
    assert hello.package_version == "4.0.1"
    assert [value for _, value in hello.capabilities.ListFields()] == [True] * 7
    assert parked == UnityMessageProto(header={"status": 200})


@pytest.mark.parametrize(("num_areas", "areas"), [(1, None), (0, None), (4, 4)])
def test_the_trainer_chooses_the_seed_and_more_than_one_area(num_areas, areas):
    made = []

    def make(*chosen):
        made.append(chosen)
        return Square([])

    ServedPlayer(Trainer(seed=11, areas=num_areas), make).play()
    assert made == [(11, areas)]


@pytest.mark.parametrize(("name", "areas"), [("3DBall", 1), ("3DBallHard", 5), ("Basic", 1)])
def test_an_example_behind_the_wire_is_the_same_as_in_process(name, areas):
    env = catalog.make(name, seed=7, areas=areas if areas > 1 else None)
    env.reset()
    behavior, spec, rng = env.behavior, env.SPEC.action_spec, np.random.default_rng(0)
    orders, expected = [order(RESET)], [env.get_steps(behavior)]
    for _ in range(60):
        continuous = rng.uniform(-1, 1, (env.areas, spec.continuous_size)).astype(np.float32)
        action = ActionTuple(continuous, rng.integers(0, 3, (env.areas, spec.discrete_size)).astype(np.int32))
        orders.append(order(**{behavior: action}))
        env.set_actions(behavior, action)
        env.step()
        expected.append(env.get_steps(behavior))
    trainer = Trainer(*orders, areas=areas)
    ServedPlayer(trainer, example(name)).play()
    assert len(trainer.outputs) == len(expected)
    for output, (decision, terminal) in zip(trainer.outputs, expected, strict=True):
        infos = output.rl_output.agentInfos[behavior].value
        assert [agent.id for agent in infos] == [*terminal.agent_id, *decision.agent_id]
        assert [agent.reward for agent in infos] == [*terminal.reward, *decision.reward]
        seen = [[list(sensor.float_data.data) for sensor in agent.observations] for agent in infos]
        assert seen == [
            [column[row].tolist() for column in steps.obs]
            for steps in (terminal, decision)
            for row in range(len(steps))
        ]
    assert any(len(terminal) for _, terminal in expected)


def test_a_behavior_is_introduced_with_its_first_agent_and_never_again():
    walker, painter = Square.SPECS
    env = Square([{walker: ([1, 2], [])}, {walker: ([1], [2]), painter: ([3], [])}, {painter: ([3], [])}])
    walk, paint = ActionTuple(continuous=np.ones((2, 2))), ActionTuple(np.ones((1, 1)), np.array([[2, 1]]))
    trainer = Trainer(
        order(RESET), order(**{walker: walk}), order(**{painter: paint, walker: ActionTuple(continuous=np.ones((1, 2)))}),
        order(RESET),
    )  # fmt: skip
    play(trainer, env)
    parameters = [output.rl_initialization_output.brain_parameters for output in trainer.outputs]
    introduced = [[brain.brain_name for brain in each] for each in parameters]
    assert introduced == [[walker], [painter], [], []]
    assert agents(trainer.outputs[1], walker) == [(2, True), (1, False)]
    assert agents(trainer.outputs[2], walker) == []
    assert set(trainer.outputs[2].rl_output.agentInfos) == {walker, painter}  # every behavior that was ever there
    (brain,) = trainer.outputs[1].rl_initialization_output.brain_parameters
    assert (brain.action_spec.num_continuous_actions, list(brain.action_spec.discrete_branch_sizes)) == (1, [3, 2])


def test_only_those_that_ask_get_actions_and_an_answer_that_is_missing_is_zeros():
    walker, painter = Square.SPECS
    env = Square([{walker: ([1], []), painter: ([2, 3], [])}, {walker: ([], [1])}, {walker: ([4], [])}])
    walk = ActionTuple(continuous=np.array([[0.5, -0.5]]))
    trainer = Trainer(order(RESET), order(**{walker: walk}), order(), order(RESET))
    play(trainer, env)
    assert [(tick, name) for tick, name, _ in env.acted] == [(0, walker), (0, painter)]
    assert env.acted[0][2].continuous.tolist() == [[0.5, -0.5]]
    assert env.acted[1][2].discrete.tolist() == [[0, 0], [0, 0]]


def test_masks_and_groups_are_told():
    _, painter = Square.SPECS
    trainer = Trainer(order(RESET))
    play(trainer, Square([{painter: ([2], [1])}]))
    ended, asks = trainer.outputs[0].rl_output.agentInfos[painter].value
    assert list(asks.action_mask) == [True, False, False, True, False]
    assert not ended.action_mask
    assert ended.max_step_reached
    assert (asks.group_id, asks.group_reward) == (5, 0.5)


def test_a_tick_in_which_nobody_speaks_is_not_told():
    walker, _ = Square.SPECS
    env = Square([{walker: ([], [])}, {}, {walker: ([1], [])}])
    trainer = Trainer(order(RESET))
    play(trainer, env)
    assert [agents(output, walker) for output in trainer.outputs] == [[(1, False)]]


@pytest.mark.parametrize(("asked", "capable", "sent"), [(True, True, PNG), (True, False, NONE), (False, True, NONE)])
def test_images_are_compressed_if_that_is_wanted_and_the_trainer_can_read_it(asked, capable, sent):
    _, painter = Square.SPECS
    trainer = Trainer(order(RESET), capable=capable)
    play(trainer, Square([{painter: ([2], [])}]), png=asked)
    (agent,) = trainer.outputs[0].rl_output.agentInfos[painter].value
    assert agent.observations[0].compression_type == sent
    assert bool(agent.observations[0].float_data.data) == (sent == NONE)


@pytest.mark.parametrize(
    ("package", "shape", "properties", "where"),
    [("2.0.1", [3, 3, 4], [2, 2, 1], 5), ("3.0.0", [4, 3, 3], [1, 2, 2], 5), ("4.0.1", [4, 3, 3], [1, 2, 2], 10)],
)
def test_images_are_sent_as_the_package_does(package, shape, properties, where):
    """where: the place of the number of channel 1, row 0, column 1."""

    class Town(Square):
        def get_steps(self, behavior_name):
            decision, terminal = super().get_steps(behavior_name)
            decision.obs[0][:, 1, 0, 1] = 1.0
            return decision, terminal

    _, painter = Square.SPECS
    trainer = Trainer(order(RESET))
    play(trainer, Town([{painter: ([2], [])}]), package=read_package(package))
    assert trainer.heard[0].unity_output.rl_initialization_output.package_version == package
    seen = trainer.outputs[0].rl_output.agentInfos[painter].value[0].observations[0]
    assert (list(seen.shape), list(seen.dimension_properties)) == (shape, properties)
    assert list(seen.float_data.data).index(1.0) == where


def test_only_a_stack_of_images_has_a_mapping():
    _, painter = Square.SPECS
    for stacks, mapping in (({}, []), ({"canvas": 2}, [0, 1, -1, 2, 3, -1])):
        trainer = Trainer(order(RESET))
        play(trainer, Square([{painter: ([2], [])}]), png=True, stacks=stacks)
        seen = trainer.outputs[0].rl_output.agentInfos[painter].value[0].observations[0]
        assert list(seen.compressed_channel_mapping) == mapping


def test_an_example_says_itself_which_of_its_images_are_stacks():
    pytest.importorskip("numba")
    trainer = Trainer(order(RESET), order())
    ServedPlayer(trainer, example("Visual3DBall"), png=True).play()
    for output, missing in zip(trainer.outputs, (3, 2), strict=True):
        seen = output.rl_output.agentInfos["Visual3DBall?team=0"].value[0].observations[0]
        assert list(seen.compressed_channel_mapping) == list(range(12))
        images = seen.compressed_data.split(b"\x89PNG")[1:]
        assert len(images) == 4
        assert len(set(images[:missing])) == 1 and len(set(images)) == 5 - missing


def test_an_agent_that_asks_and_then_ends_is_told_in_that_order_and_answered():
    walker, _ = Square.SPECS

    class Town(Square):
        def get_steps(self, behavior_name):
            decision, terminal = super().get_steps(behavior_name)
            decision.ended = np.isin(decision.agent_id, terminal.agent_id)
            return decision, terminal

    env = Town([{walker: ([1, 2], [2])}, {walker: ([1], [])}])
    trainer = Trainer(order(RESET), order(**{walker: ActionTuple(continuous=np.array([[0.5, 0.0], [0.25, 0.0]]))}))
    play(trainer, env)
    assert agents(trainer.outputs[0], walker) == [(1, False), (2, False), (2, True)]
    assert env.acted[0][2].continuous.tolist() == [[0.5, 0.0], [0.25, 0.0]]


def test_parameters_are_taken_before_the_reset_that_comes_with_them():
    parameters, engine = EnvironmentParametersChannel(), EngineConfigurationChannel()
    engine.set_configuration_parameters(time_scale=20.0, width=84, height=84)
    parameters.set_float_parameter("mass", 2.5)
    parameters.set_uniform_sampler_parameters("scale", 1.0, 2.0, 5)
    side_channel = bytes(SideChannelManager([engine, parameters]).generate_side_channel_messages())
    side_channel += player_side.frame(UUID(int=12), b"nobody knows this channel")
    happened = []

    class Town(Square):
        def set_parameters(self, parameters):
            happened.append(parameters)

        def reset(self):
            happened.append("reset")
            super().reset()

    play(Trainer(order(RESET, side_channel), order()), Town([{"walker?team=0": ([1], [])}] * 2))
    (given, then) = happened
    assert then == "reset"
    assert given["mass"] == 2.5
    assert 1.0 <= given["scale"](1)[0] <= 2.0
    assert set(given) == {"mass", "scale"}


def test_what_the_environment_measures_is_told():
    class Town(Square):
        def stats(self):
            return [("goals", float(self.tick), 2), ("height", 1.5, 0)]

    trainer = Trainer(order(RESET), order())
    play(trainer, Town([{"walker?team=0": ([1], [])}] * 2))
    expected = player_side.stat("goals", 1.0, player_side.StatsAggregationMethod.SUM)
    assert player_side.records(trainer.outputs[1].rl_output.side_channel)[0] == (player_side.STATISTICS, expected)
    assert len(player_side.records(trainer.outputs[0].rl_output.side_channel)) == 2


def test_on_quit_the_player_sends_a_closing_message_and_ends_its_environment():
    env = Square([])
    trainer = Trainer(order(QUIT))
    assert play(trainer, env) == "the trainer asked to quit"
    assert trainer.heard[-1] == UnityMessageProto(header={"status": 400})
    assert env.closed


def test_a_trainer_that_hangs_up_ends_the_play():
    def exchange(message, *, patience=None):
        raise UnityCommunicatorStoppedException("the trainer disconnected")

    assert ServedPlayer(exchange, example("Basic")).play() == "the trainer disconnected"


def test_actions_that_do_not_fit_end_the_play_and_the_trainer_is_told():
    walker, _ = Square.SPECS
    trainer = Trainer(order(RESET), order(**{walker: ActionTuple(continuous=np.ones((1, 2)))}))
    env = Square([{walker: ([1, 2], [])}])
    with pytest.raises(UnityActionException, match="2 agents requested actions and 1 came"):
        play(trainer, env)
    assert trainer.heard[-1].header.status == 400
    assert "2 agents requested actions" in trainer.heard[-1].header.message
    assert env.closed


def test_a_parameter_that_the_scene_refuses_ends_the_play_and_the_trainer_is_told():
    channel = EnvironmentParametersChannel()
    channel.set_float_parameter("mass", -1.0)
    side_channel = bytes(SideChannelManager([channel]).generate_side_channel_messages())
    trainer = Trainer(order(RESET, side_channel))
    with pytest.raises(UnityEnvironmentException, match="mass is -1"):
        ServedPlayer(trainer, example("3DBall")).play()
    assert "mass is -1" in trainer.heard[-1].header.message


@pytest.mark.parametrize("version", ["2.0.0", "0.15.0", "new"])
def test_a_trainer_of_another_protocol_gets_a_sentence(version):
    trainer = Trainer(version=version)
    words = f"has communication version '{version}' and this player 1.5.0"
    with pytest.raises(UnityCommunicationException, match=words):
        ServedPlayer(trainer, example("Basic")).play()
    assert trainer.heard[-1].header.status == 400


def test_an_answer_that_is_no_message_gets_a_sentence():
    with pytest.raises(UnityCommunicationException, match="no message of the protocol"):
        ServedPlayer(Trainer(b"\xff\xff\xff"), example("Basic")).play()
