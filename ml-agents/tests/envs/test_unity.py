"""What a Unity build is told by a run."""

import socket
import threading
from uuid import UUID

import pytest

from mlagents.envs.unity import TrainingEnvironment, UnityMaker
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.examples.basic import Basic
from mlagents_envs.player.player import ServedPlayer
from mlagents_envs.player.trainer_connection import TrainerConnection
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Uniform
from mlagents_envs.side_channel import player_side

ENGINE = {"width": 90, "height": 80, "quality_level": 4, "time_scale": 20.0, "target_frame_rate": -1, "capture_frame_rate": 60}
PARAMETERS = {
    "mass": 3.0, "scale": Uniform(0.5, 2.0, 7), "wind": Gaussian(0.0, 2.0, 8),
    "gap": MultiRangeUniform([(0.0, 1.0), (4.0, 6.0)], 9),
}  # fmt: skip


class Recording(Basic):
    """Basic, with numbers to record."""

    def stats(self):
        return [("Eaten", 2.0, 0), ("Last", 3.0, 1)]


@pytest.fixture
def heard(monkeypatch):
    """What a player was told: messages, seed and number of areas; `play` serves one in a thread."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(UnityEnvironment, "DEFAULT_EDITOR_PORT", port)
    messages = []

    def play():
        with TrainerConnection(port) as line:

            def spy(message, /, *, patience=None):
                answer = line(message, patience=patience)
                messages.append(UnityMessageProto.FromString(answer))
                return answer

            ServedPlayer(spy, lambda seed, areas: Recording(areas=areas, seed=seed)).play()

    player = threading.Thread(target=play)
    player.start()
    yield messages
    player.join(20)
    assert not player.is_alive()


def records(message, channel: UUID):
    blob = message.unity_input.rl_input.side_channel
    return [payload for identity, payload in player_side.records(blob) if identity == channel]


def test_a_build_is_told_everything_before_its_first_episode(heard):
    env = TrainingEnvironment(UnityMaker(None, ENGINE, seed=40, num_areas=3), 0)
    env.set_parameters(PARAMETERS)
    env.reset()
    env.step()
    (behavior,) = env.behavior_specs
    assert len(env.get_steps(behavior)[0]) == 3
    env.close()
    beginning, reset = heard[0].unity_input.rl_initialization_input, heard[1]
    assert (beginning.seed, beginning.num_areas) == (40, 3)
    assert reset.unity_input.rl_input.command == 1
    told = {}
    for payload in records(reset, player_side.ENGINE_CONFIGURATION):
        told |= player_side.read_engine(payload)
    assert told == ENGINE
    parameters = dict(player_side.read_parameter(payload) for payload in records(reset, player_side.ENVIRONMENT_PARAMETERS))
    assert parameters == PARAMETERS


def test_numbers_of_the_scene_are_handed_over_once(heard):
    env = TrainingEnvironment(UnityMaker(None, ENGINE), 0)
    env.reset()
    assert sorted(env.stats()) == [("Eaten", 2.0, 0), ("Last", 3.0, 1)]
    assert list(env.stats()) == []
    env.close()


def test_a_worker_has_a_seed_and_a_port_of_its_own(monkeypatch):
    given = []
    monkeypatch.setattr(UnityEnvironment, "__init__", lambda self, *all: given.append(all))
    UnityMaker("game", ENGINE, seed=5, base_port=6000, no_graphics_monitor=True)(2)
    path, worker, port, seed, hidden, monitor = given[0][:6]
    assert (path, worker, port, seed, hidden, monitor) == ("game", 2, 6000, 7, False, True)
