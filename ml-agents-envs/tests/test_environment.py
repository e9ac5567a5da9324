"""`UnityEnvironment` against a real player in another process, and what it takes."""

import os
import socket
import uuid
from importlib.util import find_spec

import numpy as np
import psutil
import pytest

from mlagents_envs.base_env import ActionTuple, BehaviorMapping
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.examples.catalog import NAMES, make
from mlagents_envs.examples.paced import PacedEnv
from mlagents_envs.exception import (
    UnityActionException,
    UnityEnvironmentException,
    UnityWorkerInUseException,
)
from mlagents_envs.samplers import MultiRangeUniform, Uniform
from mlagents_envs.side_channel import (
    DefaultTrainingAnalyticsSideChannel,
    IncomingMessage,
    OutgoingMessage,
    SideChannel,
)
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel

BALL = "3DBall?team=0"
INSTALLED = [name for name in NAMES if name not in ("Crawler", "Walker", "Worm") or find_spec("mujoco")]


@pytest.mark.parametrize(("name", "seed"), [("3DBall", 3), ("3DBallHard", 4), ("Basic", 5)])
def test_a_player_says_step_for_step_what_the_same_seed_says_in_process(start, name, seed):
    env, twin = start(name, seed=seed), make(name, seed=seed)
    env.reset()
    twin.reset()
    assert dict(env.behavior_specs) == dict(twin.behavior_specs)
    assert isinstance(env.behavior_specs, BehaviorMapping)
    (behavior,) = env.behavior_specs
    rng = np.random.default_rng(0)
    spec, ended = env.behavior_specs[behavior].action_spec, 0
    for _ in range(250):
        for mine, its in zip(env.get_steps(behavior), twin.get_steps(behavior), strict=True):
            for column in ("agent_id", "reward", "group_id", "group_reward"):
                assert np.array_equal(getattr(mine, column), getattr(its, column)), column
            assert all(np.array_equal(a, b) for a, b in zip(mine.obs, its.obs, strict=True))
        ended += len(mine)
        assert np.array_equal(mine.interrupted, its.interrupted)
        n = len(env.get_steps(behavior)[0])
        discrete = rng.integers(0, 3, (n, spec.discrete_size))
        action = ActionTuple(rng.uniform(-1, 1, (n, spec.continuous_size)), discrete)
        for each in (env, twin):
            each.set_actions(behavior, action)
            each.step()
    assert ended > 0


@pytest.mark.parametrize("name", INSTALLED)
def test_every_example_says_the_same_through_a_player(start, name):
    env, twin = start(name, seed=3), make(name, seed=3)
    env.reset()
    twin.reset()
    rng, spec = np.random.default_rng(0), twin.SPEC.action_spec
    seen = set()
    for _ in range(25):
        for behavior in env.behavior_specs:
            seen.add(behavior)
            for mine, its in zip(env.get_steps(behavior), twin.get_steps(behavior), strict=True):
                for column in ("agent_id", "reward", "group_id", "group_reward"):
                    assert np.array_equal(getattr(mine, column), getattr(its, column)), column
                assert all(np.array_equal(a, b) for a, b in zip(mine.obs, its.obs, strict=True))
            mask, its_mask = env.get_steps(behavior)[0].action_mask, twin.get_steps(behavior)[0].action_mask
            if its_mask is not None:
                assert all(np.array_equal(a, b) for a, b in zip(mask, its_mask, strict=True))
            if n := len(env.get_steps(behavior)[0]):
                continuous = rng.uniform(-1, 1, (n, spec.continuous_size))
                discrete = rng.integers(0, spec.discrete_branches or 1, (n, spec.discrete_size))
                for each in (env, twin):
                    each.set_actions(behavior, ActionTuple(continuous, discrete))
        for each in (env, twin):
            each.step()
    assert seen == {name for name in twin.behavior_specs}


@pytest.mark.parametrize("name", ["3DBall", "GridWorld"])
def test_a_player_whose_agents_decide_now_and_then_is_the_same_as_in_process(start, name):
    env, twin = start(name, "--period", "5", seed=3), PacedEnv(make(name, seed=3), 5)
    env.reset()
    twin.reset()
    rng, ends_alone, together = np.random.default_rng(0), 0, 0
    for _ in range(120):
        asking, ended = 0, 0
        for behavior, spec in env.behavior_specs.items():
            pairs = list(zip(env.get_steps(behavior), twin.get_steps(behavior), strict=True))
            for mine, its in pairs:
                for column in ("agent_id", "reward", "group_id", "group_reward"):
                    assert np.array_equal(getattr(mine, column), getattr(its, column)), column
                assert all(np.array_equal(a, b) for a, b in zip(mine.obs, its.obs, strict=True))
            n = len(pairs[0][0])
            asking, ended = asking + n, ended + len(pairs[1][0])
            action = ActionTuple(
                rng.uniform(-1, 1, (n, spec.action_spec.continuous_size)),
                rng.integers(0, spec.action_spec.discrete_branches or 1, (n, spec.action_spec.discrete_size)),
            )
            for each in (env, twin):
                each.set_actions(behavior, action)
        ends_alone += ended > 0 and asking == 0
        together += ended > 0 and asking > 0
        for each in (env, twin):
            each.step()
    assert ends_alone > 0
    assert together > 0


def test_it_closes_at_the_end_of_a_with_block_also_after_a_failure(builds, players):
    with UnityEnvironment(builds()) as env:
        env.reset()
        assert len(players()) == 1
    assert not players()
    with pytest.raises(ZeroDivisionError), UnityEnvironment(builds()) as env:
        1 / 0  # noqa: B018
    assert not players()
    with UnityEnvironment(builds()) as env:
        env.close()


def test_the_first_step_is_a_reset(start):
    env = start()
    assert len(env.behavior_specs) == 0
    env.step()
    decision, terminal = env.get_steps(BALL)
    assert (len(decision), len(terminal)) == (12, 0)


def test_agents_that_nobody_answers_do_nothing(start):
    env, twin = start(seed=1), make("3DBall", seed=1)
    for each in (env, twin):
        each.reset()
        each.step()
    assert np.array_equal(env.get_steps(BALL)[0].obs[0], twin.get_steps(BALL)[0].obs[0])


def test_one_agent_can_be_answered_alone(start):
    env, twin = start(seed=1), make("3DBall", seed=1)
    for each in (env, twin):
        each.reset()
        each.set_action_for_agent(BALL, 7, ActionTuple(np.ones((1, 2), np.float32)))
        each.step()
    assert np.array_equal(env.get_steps(BALL)[0].obs[0], twin.get_steps(BALL)[0].obs[0])
    with pytest.raises(IndexError, match="agent 99"):
        env.set_action_for_agent(BALL, 99, ActionTuple(np.ones((1, 2), np.float32)))


def test_wrong_names_and_shapes_get_a_sentence(start):
    env = start()
    with pytest.raises(UnityActionException, match="none before the first reset"):
        env.get_steps(BALL)
    env.reset()
    with pytest.raises(UnityActionException, match=r"no behavior 'Ball'; there is '3DBall\?team=0'"):
        env.set_actions("Ball", ActionTuple(np.ones((12, 2))))
    with pytest.raises(UnityActionException, match="12 agents need"):
        env.set_actions(BALL, ActionTuple(np.ones((11, 2))))
    env.step()  # nothing of it harmed the conversation


def test_parameters_sent_with_a_reset_hold_from_it_on(start):
    parameters = EnvironmentParametersChannel()
    env, twin = start(seed=2, side_channels=[EngineConfigurationChannel(), parameters]), make("3DBall", seed=2)
    parameters.set_float_parameter("scale", 3.0)
    parameters.set_float_parameter("gravity", 2.0)
    twin.set_parameters({"scale": 3.0, "gravity": 2.0})
    for each in (env, twin):
        each.reset()
        for _ in range(20):
            each.step()
    assert np.array_equal(env.get_steps(BALL)[0].obs[0], twin.get_steps(BALL)[0].obs[0])


def test_sampled_parameters_are_the_same_behind_the_wire_and_in_process(start):
    parameters = EnvironmentParametersChannel()
    env, twin = start(seed=2, side_channels=[parameters]), make("3DBall", seed=2)
    sampled = {"scale": Uniform(0.5, 2.0, seed=5), "gravity": MultiRangeUniform([(2.0, 4.0), (8.0, 16.0)], seed=6)}
    parameters.set_parameters(sampled)
    twin.set_parameters(sampled)
    for each in (env, twin):
        each.reset()
    for _ in range(60):
        for each in (env, twin):
            each.set_actions(BALL, ActionTuple(np.ones((12, 2), np.float32)))
            each.step()
        assert np.array_equal(env.get_steps(BALL)[0].obs[0], twin.get_steps(BALL)[0].obs[0])


def test_the_analytics_channel_joins_the_callers_list_once(start, free_port):
    channels = []
    start(side_channels=channels)
    assert [type(channel) for channel in channels] == [DefaultTrainingAnalyticsSideChannel]
    start(side_channels=channels, base_port=free_port)
    assert len(channels) == 1


def test_channels_of_ones_own_may_speak_without_being_understood(start):
    class Own(SideChannel):
        def __init__(self):
            super().__init__(uuid.UUID("12345678-1234-1234-1234-123456789012"))

        def on_message_received(self, msg: IncomingMessage) -> None:
            raise AssertionError("nobody answers")

    own = Own()
    env = start(side_channels=[own])
    message = OutgoingMessage()
    message.write_string("hello")
    own.queue_message_to_send(message)
    env.reset()
    env.step()
    assert own.message_queue == []


def test_the_number_of_areas_reaches_the_player(start):
    env = start(num_areas=5)
    env.reset()
    assert len(env.get_steps(BALL)[0]) == 5


def test_it_says_what_it_is_connected_to(start, caplog):
    caplog.set_level("INFO", "mlagents_envs")
    env = start()
    assert "Connected to Unity environment with package version" in caplog.text
    assert env.academy_capabilities.multiAgentGroups


def test_players_find_free_ports_and_close_quickly(start, players):
    several = [start() for _ in range(3)]
    ports = {env._connection.port for env in several}
    assert len(ports) == 3
    before = players()
    assert len(before) == 3
    for env in several:
        env.close()
    _, alive = psutil.wait_procs(before, timeout=1)
    assert not alive
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        several[0].step()
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        several[0].close()


def test_a_port_that_was_asked_for_and_is_taken_is_named_with_its_holder(builds, players):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(UnityWorkerInUseException, match=rf"worker 2: port {port} is taken by .*{os.getpid()}"):
            UnityEnvironment(builds(), worker_id=2, base_port=port - 2)
    assert not players()


def test_a_worker_number_needs_a_build():
    with pytest.raises(UnityEnvironmentException, match="worker_id is 3"):
        UnityEnvironment(worker_id=3)


def test_a_build_that_is_not_there_gets_a_sentence(tmp_path):
    with pytest.raises(UnityEnvironmentException, match="Nowhere"):
        UnityEnvironment(str(tmp_path / "Nowhere"))


def test_a_player_writes_its_log_where_it_is_told(start, tmp_path):
    env = start(log_folder=str(tmp_path / "logs"))
    env.reset()
    assert "3DBall, served" in (tmp_path / "logs" / "Player-0.log").read_text()


def test_a_log_folder_that_cannot_be_made_gets_a_sentence(builds, players, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnityEnvironmentException, match=r"Player-3\.log: the log of the player cannot be written there"):
        UnityEnvironment(builds(), worker_id=3, log_folder=str(tmp_path / "file" / "logs"))
    assert not players()


@pytest.mark.parametrize(("address", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_listening_to_the_network_is_said_aloud(builds, caplog, address, warned):
    class Open(UnityEnvironment):
        LISTEN_ADDRESS = address

    env = Open(builds())
    env.reset()
    env.close()
    assert ("any program that reaches this address" in caplog.text) is warned
