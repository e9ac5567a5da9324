"""`UnityEnvironment` against players that break, each a real process."""

import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityCommunicatorStoppedException,
    UnityEnvironmentException,
    UnityException,
    UnityTimeOutException,
)
from mlagents_envs.player.player import Scene
from mlagents_envs.side_channel import player_side
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel
from mlagents_envs.wire.codec import read_message
from mlagents_envs.wire.fields import block


def test_a_player_that_ends_at_once_is_quoted(start):
    with pytest.raises(UnityEnvironmentException, match=r"(?s)ended with status 3.*It ends at once"):
        start("3DBall", "--fault", "exit")


def test_a_player_that_never_connects_is_waited_for_so_long(start, players):
    with pytest.raises(UnityTimeOutException, match=r"did not connect for 1 s.*Behavior Type is Default"):
        start("3DBall", "--fault", "mute", timeout_wait=1)
    assert not players()


def test_a_player_of_another_protocol_is_refused(start, players):
    with pytest.raises(UnityEnvironmentException, match=r"communication version 2\.0\.0, and this package 1\.5\.0"):
        start("3DBall", "--fault", "version")
    assert not players()


def test_a_scene_in_which_nobody_asks_for_a_decision_gets_a_sentence(start, players):
    env = start("3DBall", "--fault", "silent", timeout_wait=5)
    with pytest.raises(UnityTimeOutException, match=r"no agent requests a decision.*Decision Requester"):
        env.reset()
    assert not players()


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        ("crash:5", UnityEnvironmentException, r"(?s)ended with status 7.*Crash!!! As requested"),
        ("hang:5", UnityTimeOutException, "sent steps before and has sent nothing for 5 s"),
        ("garbage:5", UnityCommunicationException, "no message of the protocol"),
    ],
)
def test_a_player_that_breaks_in_the_middle_gets_a_sentence_and_is_cleared_away(start, fault, error, sentence, players):
    env = start("3DBall", "--fault", fault, timeout_wait=5)
    env.reset()
    with pytest.raises(error, match=sentence):
        for _ in range(10):
            env.step()
    assert not players()
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        env.step()


def test_a_message_beyond_the_limit_ends_that_player_only(builds, players):
    class Small(UnityEnvironment):
        MESSAGE_LIMIT = 2**20

    env = Small(builds("3DBall", "--fault", "oversize:3:2"), timeout_wait=20)
    env.reset()
    with pytest.raises(UnityCommunicationException, match="larger than the limit of 1 MiB"):
        for _ in range(10):
            env.step()
    assert not players()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_player_that_is_killed_while_it_waits_did_not_stop_by_itself(start, players):
    env = start()
    env.reset()
    (player,) = players()
    player.kill()
    time.sleep(0.5)  # until the connection is known to be lost
    with pytest.raises(UnityEnvironmentException, match="was ended by signal SIGKILL"):
        env.step()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_player_that_is_killed_or_stalled_gets_a_sentence(start, number, players):
    env = start(timeout_wait=5)
    env.reset()
    (player,) = players()
    player.send_signal(number)
    sentence = "was ended by signal SIGKILL" if number == signal.SIGKILL else f"kill -CONT {player.pid}"
    with pytest.raises(UnityException, match=sentence):
        for _ in range(3):
            env.step()
    assert not players()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_player_ends_with_a_program_that_is_killed(builds, free_port):
    program = (
        "import time\nfrom mlagents_envs.environment import UnityEnvironment\n"
        f"env = UnityEnvironment({builds()!r}, base_port={free_port})\nenv.reset()\n"
        "print(env._connection._player.pid, flush=True)\ntime.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    player = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    process.stdout.close()
    assert not psutil.wait_procs([player], timeout=5)[1]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", free_port))


def test_a_program_that_forgets_to_close_leaves_no_player(builds):
    program = (
        "from mlagents_envs.environment import UnityEnvironment\n"
        f"env = UnityEnvironment({builds()!r})\nenv.reset()\nprint(env._connection._player.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not psutil.pid_exists(int(done.stdout))
    assert done.stderr == ""


def test_an_editor_is_waited_for_and_named(monkeypatch, caplog, free_port):
    caplog.set_level("INFO", "mlagents_envs")
    monkeypatch.setattr(UnityEnvironment, "DEFAULT_EDITOR_PORT", free_port)
    with pytest.raises(UnityTimeOutException, match=r"No player connected for 1 s\. Press Play in the Unity Editor"):
        UnityEnvironment(timeout_wait=1)
    assert f"Listening on port {UnityEnvironment.DEFAULT_EDITOR_PORT}. Start training by pressing" in caplog.text


def test_an_editor_that_stops_is_not_taken_for_a_failure(monkeypatch, tmp_path, free_port):
    port = free_port
    monkeypatch.setattr(UnityEnvironment, "DEFAULT_EDITOR_PORT", port)
    command = [sys.executable, "-m", "mlagents_envs.player.serve", "Basic", "--mlagents-port", str(port)]
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
    """Messages with behaviors, agents and side channels, each mutated at random."""
    scene = Scene(make("Basic", areas=3, seed=0))
    scene.apply(UnityRLInputProto(command=1))
    first, whole = scene.report(), scene.report()
    whole += block(2, block(1, block(3, player_side.frame(player_side.STATISTICS, player_side.stat("a", 1.0)))))
    rng = np.random.default_rng(0)

    class Hostile:
        def __init__(self, *_, **__):
            self.raw = first

        def handshake(self, _):
            message = UnityMessageProto()
            message.header.status = 200
            message.unity_output.rl_initialization_output.communication_version = "1.5.0"
            return read_message(message.SerializeToString())

        def command(self, _):
            return read_message(self.raw)

        def check_process(self):
            pass

        def close(self, _):
            pass

    monkeypatch.setattr("mlagents_envs.environment.PlayerConnection", Hostile)
    ended = 0
    env = None
    for _ in range(10_000):
        if env is None or env._connection is None:
            env = UnityEnvironment("none", side_channels=[StatsSideChannel()])
            env.reset()
        env._connection.raw = mutated(first if rng.random() < 0.3 else whole, rng)
        try:
            env.step()
            for name in env.behavior_specs:
                env.get_steps(name)
        except UnityException as error:
            assert str(error)
            ended += 1
    assert 1000 < ended < 9900


def mutated(raw, rng):
    """Return a message with bytes changed, lost, repeated or added."""
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        at, kind, size = rng.integers(len(raw) + 1), rng.integers(5), rng.integers(1, 9)
        if kind == 0:
            del raw[at : at + size]
        elif kind == 1:
            raw[at:at] = rng.bytes(size)
        elif kind == 2:
            raw[at:at] = raw[at : at + 8 * size]
        elif kind == 3 and rng.random() < 0.2:
            del raw[at:]
        elif at < len(raw):
            raw[at] = rng.integers(256)
    return bytes(raw)
