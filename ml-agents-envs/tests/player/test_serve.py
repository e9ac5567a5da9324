import queue
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.message import DecodeError

from mlagents_envs.communicator_objects.command_pb2 import RESET
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.player.serve import main

BEHAVIOR = "Basic?team=0"
LIMIT = 4 * 2**20  # bytes of a message, as gRPC has it


class Trainer(grpc.GenericRpcHandler):
    """Listens for a player; messages come in and go out in turn."""

    def __init__(self):
        self._heard, self._answers = queue.Queue(), queue.Queue()
        self._server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", LIMIT)])
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("localhost:0")
        self._server.start()

    def service(self, call):
        if call.method == "/communicator_objects.UnityToExternalProto/Exchange":
            return grpc.unary_unary_rpc_method_handler(self._exchange)
        return None

    def _exchange(self, message, context):
        self._heard.put(message)
        return self._answers.get().SerializeToString()

    def hear(self, seconds=30):
        return UnityMessageProto.FromString(self._heard.get(timeout=seconds))

    def answer(self, status=200, **unity_input):
        self._answers.put(UnityMessageProto(header={"status": status}, unity_input=unity_input))

    def begin(self, **initialization):
        """Answer the greeting, and order a reset."""
        hello = self.hear()
        self.answer(rl_initialization_input={"communication_version": "1.5.0", "num_areas": 1, **initialization})
        self.hear()
        self.answer(rl_input={"command": RESET})
        return hello

    def hang_up(self):
        for _ in range(2):  # whoever waits is freed
            self.answer(400)
        self._server.stop(None).wait()


@pytest.fixture
def trainer():
    listening = Trainer()
    yield listening
    listening.hang_up()


@pytest.fixture
def start():
    """Start players that print to a pipe; those that still run are ended."""
    players = []

    def started(port, *arguments, name="Basic"):
        command = [sys.executable, "-m", "mlagents_envs.player.serve", name, "--mlagents-port", str(port), *arguments]
        player = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        players.append(player)
        return player

    yield started
    for player in players:
        player.kill()
        player.communicate()


def ended(player):
    """Return the exit status and what was printed."""
    printed, _ = player.communicate(timeout=30)
    return player.returncode, printed


def agents(message):
    return message.unity_output.rl_output.agentInfos[BEHAVIOR].value


def test_a_trainer_plays_and_closes(trainer, start):
    player = start(trainer.port, "-nographics", "-batchmode", "--areas", "3", "-hurry", "--speed", "2")
    trainer.begin(seed=4)
    assert [agent.id for agent in agents(trainer.hear())] == [0, 1, 2]
    trainer.answer(rl_input={"agent_actions": {BEHAVIOR: {"value": [{"discrete_actions": [2]}] * 3}}})
    assert [list(agent.observations[0].float_data.data).index(1) for agent in agents(trainer.hear())] == [11] * 3
    trainer.answer(400)
    status, printed = ended(player)
    assert status == 0
    assert f"Basic, served to the trainer at port {trainer.port}" in printed
    assert "ignored: -hurry --speed 2" in printed
    assert "the trainer closed" in printed


@pytest.mark.parametrize(("options", "asking"), [((), [0, 1]), (("--renew-ids",), [2, 3])])
def test_agents_keep_their_ids_over_episodes_unless_they_shall_renew_them(trainer, start, options, asking):
    start(trainer.port, "--areas", "2", *options)
    trainer.begin()
    trainer.hear()
    for _ in range(7):
        trainer.answer(rl_input={"agent_actions": {BEHAVIOR: {"value": [{"discrete_actions": [2]}] * 2}}})
        infos = agents(trainer.hear())
    assert [agent.id for agent in infos if agent.done] == [0, 1]
    assert [agent.id for agent in infos if not agent.done] == asking
    trainer.answer(rl_input={"command": RESET})
    assert [agent.id for agent in agents(trainer.hear())] == ([4, 5] if options else [0, 1])


def test_the_log_goes_where_it_is_wanted(trainer, start, tmp_path):
    log = tmp_path / "logs" / "Player-0.log"
    player = start(trainer.port, "-logFile", str(log))
    trainer.hear()
    trainer.answer(400)
    assert ended(player) == (0, "")
    assert "the trainer closed" in log.read_text("utf-8")


def test_a_trainer_that_is_gone_ends_the_player(trainer, start):
    player = start(trainer.port)
    trainer.begin()
    trainer.hear()
    trainer.hang_up()
    assert ended(player)[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot interrupt one process alone")
def test_a_player_that_is_interrupted_sends_a_closing_message(trainer, start):
    player = start(trainer.port)
    trainer.begin()
    trainer.hear()
    player.send_signal(signal.SIGINT)
    trainer.answer()  # nobody waits for this anymore
    assert trainer.hear().header.status == 400
    trainer.answer(400)
    status, printed = ended(player)
    assert status == 130
    assert "interrupted" in printed


def test_without_a_trainer_there_is_a_sentence_and_a_status(trainer, capsys):
    nobody = trainer.port
    trainer.hang_up()
    assert main(["Basic", "--mlagents-port", str(nobody), "--patience", "0.3"]) == 1
    assert f"localhost:{nobody}: no trainer answered in 0.3 s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["3DBal", "--mlagents-port", "1"], "did you mean '3DBall'"),
        (["Basic"], "--mlagents-port is missing"),
        (
            ["Basic", "--mlagents-port", "1", "--fault", "crush:1"],
            "--fault crush:1: no such fault; choose from exit, mute",
        ),
        (["Basic", "--mlagents-port", "1", "--fault", "crash:1:2"], "no such fault"),
        (["Basic", "--mlagents-port", "1", "--fault", "crash:soon"], "no such fault"),
        (["Basic", "--mlagents-port", "1", "-logFile", "{here}/test_serve.py/x"], "it cannot be written there"),
    ],
)
def test_mistakes_get_a_sentence(arguments, sentence, capsys):
    here = __file__.rpartition("test_serve.py")[0]
    assert main([argument.format(here=here) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_mistakes_are_told_before_anything_slow_is_loaded():
    program = (
        "import sys; from mlagents_envs.player.serve import main; main(['Basic']); "
        "sys.exit(str({'grpc', 'numpy', 'numba', 'google.protobuf'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stderr.splitlines()[-1] == "set()"


def test_help_tells_of_faults(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "oversize:N:MIB" in capsys.readouterr().out


def test_an_argument_that_begins_like_help_is_ignored_too(capsys):
    assert main(["Basic", "-hd", "-loud"]) == 2
    assert "--mlagents-port is missing" in capsys.readouterr().err


# faults


def test_a_player_can_end_at_once(capsys):
    assert main(["Basic", "--mlagents-port", "1", "--fault", "exit"]) == 3
    assert "ends at once" in capsys.readouterr().out


def test_a_player_can_stay_mute(trainer, start):
    player = start(trainer.port, "--fault", "mute")
    assert player.stdout.readline()  # it has begun
    with pytest.raises(queue.Empty):
        trainer.hear(0.5)
    assert player.poll() is None


def test_a_player_can_claim_another_version(trainer, start):
    player = start(trainer.port, "--fault", "version")
    hello = trainer.begin()
    assert hello.unity_output.rl_initialization_output.communication_version == "2.0.0"
    trainer.hang_up()
    assert ended(player)[0] == 0


def test_a_player_can_crash(trainer, start):
    player = start(trainer.port, "--fault", "crash:2")
    trainer.begin()
    for _ in range(2):
        assert agents(trainer.hear())
        trainer.answer()
    status, printed = ended(player)
    assert status == 7
    assert "Crash!!!" in printed


@pytest.mark.parametrize(("fault", "messages"), [("silent", 0), ("hang:1", 1)])
def test_a_player_can_fall_silent(trainer, start, fault, messages):
    player = start(trainer.port, "--fault", fault)
    trainer.begin()
    for _ in range(messages):
        assert agents(trainer.hear())
        trainer.answer()
    while "It sends nothing more" not in player.stdout.readline():
        time.sleep(0.01)
    with pytest.raises(queue.Empty):
        trainer.hear(0.1)
    assert player.poll() is None


def test_a_player_can_say_what_is_no_message(trainer, start):
    start(trainer.port, "--fault", "garbage:1")
    trainer.begin()
    assert agents(trainer.hear())
    trainer.answer()
    with pytest.raises(DecodeError):
        trainer.hear()


def test_a_player_can_say_too_much(trainer, start):
    player = start(trainer.port, "--fault", "oversize:1:5")
    trainer.begin()
    assert agents(trainer.hear())
    trainer.answer()
    status, printed = ended(player)
    assert status == 1
    assert "RESOURCE_EXHAUSTED" in printed


def test_a_long_message_is_still_a_message(trainer, start):
    start(trainer.port, "--fault", "oversize:0:1")
    trainer.begin()
    message = trainer.hear()
    assert message.ByteSize() > 2**20
    assert agents(message)
