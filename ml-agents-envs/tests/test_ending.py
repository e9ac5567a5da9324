"""How a player and `UnityEnvironment` part, each player a real process that waits for what it is answered."""

import sys
import threading
import time

import pytest

from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityCommunicatorStoppedException, UnityEnvironmentException

PATIENCE = 60  # seconds that a test waits for what must happen
FOREVER = 3600  # seconds that nothing may take
posix = pytest.mark.skipif(sys.platform == "win32", reason="players here are scripts, and are interrupted alone")


def log_of(folder):
    return (folder / "Player-0.log").read_text("utf-8")


def in_time(action):
    """Do something in a thread of its own, and make sure that it ends."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_closing_before_the_first_reset_waits_for_nothing(start, players):
    """A goodbye to the second call of the handshake does not make Unity quit."""
    env = start("3DBall", "--fault", "inference", timeout_wait=FOREVER)
    assert len(players()) == 1
    in_time(env.close)
    assert not players()


def test_a_player_that_quits_is_answered_and_quits_by_itself(start, tmp_path, players):
    env = start("3DBall", "--fault", "quit:3", timeout_wait=PATIENCE, log_folder=str(tmp_path))
    env.reset()
    player = env._connection._player
    env.step()
    env.step()
    with pytest.raises(UnityCommunicatorStoppedException, match="The player has stopped"):
        env.step()
    assert "The trainer answered the quit message." in log_of(tmp_path)
    assert player.poll() == 0
    assert not players()
    with pytest.raises(UnityEnvironmentException, match="No Unity environment is loaded"):
        env.step()


def test_a_player_that_quits_instead_of_answering_the_first_reset_is_answered_too(start, tmp_path):
    env = start("3DBall", "--fault", "quit:0", timeout_wait=PATIENCE, log_folder=str(tmp_path))
    player = env._connection._player
    with pytest.raises(UnityCommunicatorStoppedException, match="The player has stopped"):
        env.reset()
    assert player.poll() == 0


QUITTER = """#!{python}
import sys
import grpc
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto

METHOD = "/communicator_objects.UnityToExternalProto/Exchange"
port = sys.argv[sys.argv.index("--mlagents-port") + 1]
call = grpc.insecure_channel("localhost:" + port).unary_unary(METHOD)
ready = UnityMessageProto(header={{"status": 200}})
hello = UnityMessageProto(header={{"status": 200}})
hello.unity_output.rl_initialization_output.communication_version = "1.5.0"
agents = UnityMessageProto(header={{"status": 200}})
agents.unity_output.rl_output.agentInfos["B"].value.add(id=1)
brain = agents.unity_output.rl_initialization_output.brain_parameters.add(brain_name="B")
brain.action_spec.num_continuous_actions = 1


def quit():
    last = UnityMessageProto(header={{"status": 400}}).SerializeToString()
    answer = UnityMessageProto.FromString(call(last))  # without a deadline
    sys.exit(40 if answer.header.status == 400 else 1)


call(hello.SerializeToString(), wait_for_ready=True)
{then}
quit()
"""
WAITS_FOR_ITS_FIRST_COMMAND = "waiting = call.future(ready.SerializeToString())"
WAITS_FOR_AN_ANSWER = "call(ready.SerializeToString())\nwaiting = call.future(agents.SerializeToString())"
WAS_CLOSED = (
    "call(ready.SerializeToString())\n"
    "assert UnityMessageProto.FromString(call(agents.SerializeToString())).header.status == 400"
)


@pytest.fixture
def quitter(tmp_path):
    """A function that starts a player that quits after this, and exits with 40 once its last message is answered."""

    def begin(then):
        script = tmp_path / "Player"
        script.write_text(QUITTER.format(python=sys.executable, then=then))
        script.chmod(0o755)
        env = UnityEnvironment(str(script), timeout_wait=PATIENCE)
        return env, env._connection._player

    return begin


def ended(player):
    """Return the exit status of a player that ends without anybody's doing."""

    def wait():
        while player.poll() is None:
            time.sleep(0.01)

    in_time(wait)
    return player.poll()


@posix
def test_a_player_that_quits_is_answered_while_the_trainer_does_something_else(quitter):
    """Nothing is asked of the environment until the player is gone, as while a trainer learns."""
    env, player = quitter(WAITS_FOR_AN_ANSWER)
    env.reset()
    assert ended(player) == 40
    with pytest.raises(UnityCommunicatorStoppedException, match="The player has stopped"):
        env.step()


@posix
def test_a_player_that_quits_before_it_is_reset_is_answered(quitter):
    env, player = quitter(WAITS_FOR_ITS_FIRST_COMMAND)
    assert ended(player) == 40
    with pytest.raises(UnityCommunicatorStoppedException, match="The player has stopped"):
        env.reset()


@posix
def test_a_player_that_says_goodbye_while_it_is_closed_is_answered(quitter):
    """The environment listens until the player has ended."""
    env, player = quitter(WAS_CLOSED)
    env.reset()
    in_time(env.close)
    assert player.poll() == 40
