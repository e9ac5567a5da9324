"""`UnityEnvironment` against a real player in another process, sound or faulty."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid

import numpy as np
import psutil
import pytest

from mlagents_envs.base_env import ActionTuple, BehaviorMapping
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.executable import make_executable
from mlagents_envs.examples.player import Scene
from mlagents_envs.exception import (
    UnityActionException,
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityException,
    UnityTimeOutException,
    UnityWorkerInUseException,
)
from mlagents_envs.side_channel import (
    DefaultTrainingAnalyticsSideChannel,
    IncomingMessage,
    OutgoingMessage,
    SideChannel,
    player_side,
)
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel
from mlagents_envs.wire.codec import read_message
from mlagents_envs.wire.fields import block

BALL = "3DBall?team=0"


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """A function that writes a player and returns its path, as a user gives it."""
    folder = tmp_path_factory.mktemp("builds")

    def build(name="3DBall", *arguments):
        where = folder / "_".join([name, *arguments]).replace(":", "-")
        if not where.exists():
            make_executable(where, name, arguments=arguments)
        return str(where / name)

    return build


@pytest.fixture
def start(builds):
    """A function that starts a player; all are closed at the end."""
    begun = []

    def begin(name="3DBall", *arguments, **options):
        begun.append(UnityEnvironment(builds(name, *arguments), **options))
        return begun[-1]

    yield begin
    for env in begun:
        if env._conversation is not None:
            env.close()


def players():
    return [child for child in psutil.Process().children(recursive=True) if "serve" in " ".join(child.cmdline())]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(("name", "seed"), [("3DBall", 3), ("3DBallHard", 4), ("Basic", 5)])
def test_a_player_says_step_for_step_what_the_same_seed_says_in_process(start, name, seed):
    env, twin = start(name, seed=seed), make(name, seed=seed)
    env.reset()
    twin.reset()
    assert dict(env.behavior_specs) == dict(twin.behavior_specs)
    assert isinstance(env.behavior_specs, BehaviorMapping)
    (behavior,) = env.behavior_specs
    chance = np.random.default_rng(0)
    spec, ended = env.behavior_specs[behavior].action_spec, 0
    for _ in range(250):
        for mine, its in zip(env.get_steps(behavior), twin.get_steps(behavior), strict=True):
            for column in ("agent_id", "reward", "group_id", "group_reward"):
                assert np.array_equal(getattr(mine, column), getattr(its, column)), column
            assert all(np.array_equal(a, b) for a, b in zip(mine.obs, its.obs, strict=True))
        ended += len(mine)
        assert np.array_equal(mine.interrupted, its.interrupted)
        n = len(env.get_steps(behavior)[0])
        discrete = chance.integers(0, 3, (n, spec.discrete_size))
        action = ActionTuple(chance.uniform(-1, 1, (n, spec.continuous_size)), discrete)
        for each in (env, twin):
            each.set_actions(behavior, action)
            each.step()
    assert ended > 0


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
    with pytest.raises(UnityActionException, match="12 agents take"):
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


def test_the_analytics_channel_joins_the_callers_list_once(start):
    channels = []
    start(side_channels=channels)
    assert [type(channel) for channel in channels] == [DefaultTrainingAnalyticsSideChannel]
    start(side_channels=channels, base_port=free_port())
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


def test_players_find_free_ports_and_close_quickly(start):
    several = [start() for _ in range(3)]
    ports = {env._conversation.port for env in several}
    assert len(ports) == 3
    before = players()
    assert len(before) == 3
    begin = time.monotonic()
    for env in several:
        env.close()
    assert time.monotonic() - begin < 20
    _, alive = psutil.wait_procs(before, timeout=1)
    assert not alive
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        several[0].step()
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        several[0].close()


def test_a_port_that_was_asked_for_and_is_taken_is_named_with_its_holder(builds):
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


# faults, each of a real process


def test_a_player_that_ends_at_once_is_quoted(start):
    begin = time.monotonic()
    with pytest.raises(UnityEnvironmentException, match=r"(?s)ended with status 3.*It ends at once"):
        start("3DBall", "--fault", "exit")
    assert time.monotonic() - begin < 30


def test_a_player_that_never_connects_is_waited_for_so_long(start):
    with pytest.raises(UnityTimeOutException, match=r"did not connect for 1 s.*Behavior Type is Default"):
        start("3DBall", "--fault", "mute", timeout_wait=1)
    assert not players()


def test_a_player_of_another_protocol_is_refused(start):
    with pytest.raises(UnityEnvironmentException, match=r"communication version 2\.0\.0, and this package 1\.5\.0"):
        start("3DBall", "--fault", "version")
    assert not players()


def test_a_scene_in_which_nobody_asks_for_a_decision_gets_a_sentence(start):
    env = start("3DBall", "--fault", "silent", timeout_wait=3)
    with pytest.raises(UnityTimeOutException, match=r"no agent asks for a decision.*Decision Requester"):
        env.reset()
    assert not players()


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        ("crash:5", UnityEnvironmentException, r"(?s)ended with status 7.*Crash!!! As was asked for"),
        ("hang:5", UnityTimeOutException, "answered before and has said nothing for 3 s"),
        ("garbage:5", UnityCommunicationException, "no message of the protocol"),
    ],
)
def test_a_player_that_breaks_in_the_middle_gets_a_sentence_and_is_cleared_away(start, fault, error, sentence):
    env = start("3DBall", "--fault", fault, timeout_wait=3)
    env.reset()
    with pytest.raises(error, match=sentence):
        for _ in range(10):
            env.step()
    assert not players()
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        env.step()


def test_a_message_beyond_the_limit_ends_that_player_only(builds):
    class Small(UnityEnvironment):
        MESSAGE_LIMIT = 2**20

    env = Small(builds("3DBall", "--fault", "oversize:3:2"), timeout_wait=20)
    env.reset()
    with pytest.raises(UnityCommunicationException, match="larger than the limit of 1 MiB"):
        for _ in range(10):
            env.step()
    assert not players()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_player_that_is_killed_or_stalled_gets_a_sentence(start, number):
    env = start(timeout_wait=2)
    env.reset()
    (player,) = players()
    player.send_signal(number)
    sentence = "was ended by signal SIGKILL" if number == signal.SIGKILL else f"kill -CONT {player.pid}"
    with pytest.raises(UnityException, match=sentence):
        for _ in range(3):
            env.step()
    assert not players()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_player_ends_with_a_program_that_is_killed(builds):
    program = (
        "import time\nfrom mlagents_envs.environment import UnityEnvironment\n"
        f"env = UnityEnvironment({builds()!r})\nenv.reset()\n"
        "print(env._conversation._player.pid, env._conversation.port, flush=True)\ntime.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid, port = (int(word) for word in process.stdout.readline().split())
    player = psutil.Process(pid)
    process.kill()
    process.wait()
    process.stdout.close()
    assert not psutil.wait_procs([player], timeout=5)[1]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_program_that_forgets_to_close_leaves_no_player(builds):
    program = (
        "from mlagents_envs.environment import UnityEnvironment\n"
        f"env = UnityEnvironment({builds()!r})\nenv.reset()\nprint(env._conversation._player.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not psutil.pid_exists(int(done.stdout))
    assert done.stderr == ""


def test_an_editor_is_waited_for_and_named(monkeypatch, caplog):
    caplog.set_level("INFO", "mlagents_envs")
    monkeypatch.setattr(UnityEnvironment, "DEFAULT_EDITOR_PORT", free_port())
    with pytest.raises(UnityTimeOutException, match=r"Nobody connected for 1 s\. Press Play in the Unity Editor"):
        UnityEnvironment(timeout_wait=1)
    assert f"Listening on port {UnityEnvironment.DEFAULT_EDITOR_PORT}. Start training by pressing" in caplog.text


def test_an_editor_that_stops_is_not_taken_for_a_failure(monkeypatch, tmp_path):
    port = free_port()
    monkeypatch.setattr(UnityEnvironment, "DEFAULT_EDITOR_PORT", port)
    command = [sys.executable, "-m", "mlagents_envs.examples.serve", "Basic", "--mlagents-port", str(port)]
    editor = subprocess.Popen([*command, "--patience", "30"], stdout=subprocess.DEVNULL)
    env = UnityEnvironment(timeout_wait=30)
    env.reset()
    editor.send_signal(signal.SIGINT)
    with pytest.raises(UnityCommunicatorStoppedException):
        for _ in range(20):
            env.step()
            time.sleep(0.05)
    editor.wait(20)


def test_ten_thousand_mutated_messages_end_in_a_sentence_or_in_steps(monkeypatch):
    """Everything that a player says goes through here: behaviors, agents, side channels."""
    scene = Scene(make("Basic", areas=3, seed=0))
    scene.obey(UnityRLInputProto(command=1))
    first, whole = scene.report(), scene.report()
    whole += block(2, block(1, block(3, player_side.frame(player_side.STATISTICS, player_side.stat("a", 1.0)))))
    chance = np.random.default_rng(0)

    class Hostile:
        def __init__(self, *_, **__):
            self.raw = first

        def greet(self, _):
            message = UnityMessageProto()
            message.header.status = 200
            message.unity_output.rl_initialization_output.communication_version = "1.5.0"
            return read_message(message.SerializeToString())

        def command(self, _):
            return read_message(self.raw)

        def close(self, _):
            pass

    monkeypatch.setattr("mlagents_envs.environment.Conversation", Hostile)
    ended = 0
    env = None
    for _ in range(10_000):
        if env is None or env._conversation is None:
            env = UnityEnvironment("none", side_channels=[StatsSideChannel()])
            env.reset()
        env._conversation.raw = mutated(first if chance.random() < 0.3 else whole, chance)
        try:
            env.step()
            for name in env.behavior_specs:
                env.get_steps(name)
        except UnityException as error:
            assert str(error)
            ended += 1
    assert 1000 < ended < 9900


def mutated(raw, chance):
    """Return a message with bytes changed, lost, repeated or added."""
    raw = bytearray(raw)
    for _ in range(chance.integers(1, 4)):
        at, kind, size = chance.integers(len(raw) + 1), chance.integers(5), chance.integers(1, 9)
        if kind == 0:
            del raw[at : at + size]
        elif kind == 1:
            raw[at:at] = chance.bytes(size)
        elif kind == 2:
            raw[at:at] = raw[at : at + 8 * size]
        elif kind == 3 and chance.random() < 0.2:
            del raw[at:]
        elif at < len(raw):
            raw[at] = chance.integers(256)
    return bytes(raw)
