"""The old doors to the wire, for programs that exchange messages themselves."""

import socket
import threading

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec
from mlagents_envs.communicator_objects.unity_input_pb2 import UnityInputProto
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityTimeOutException, UnityWorkerInUseException
from mlagents_envs.mock_communicator import MockCommunicator
from mlagents_envs.player.player import ServedPlayer
from mlagents_envs.player.trainer_connection import TrainerConnection
from mlagents_envs.rpc_communicator import RpcCommunicator
from mlagents_envs.rpc_utils import behavior_spec_from_proto, process_pixels, steps_from_proto
from mlagents_envs.wire.images import encode_png


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reset():
    inputs = UnityInputProto()
    inputs.rl_input.command = 1
    return inputs


def test_messages_are_exchanged_with_a_player():
    communicator = RpcCommunicator(worker_id=1, base_port=free_port() - 1, timeout_wait=20)

    def play():
        with TrainerConnection(communicator.base_port + 1) as connection:
            ServedPlayer(connection, lambda seed, areas: make("Basic", seed=seed)).play()

    player = threading.Thread(target=play)
    player.start()
    handshake_reply = UnityInputProto()
    handshake_reply.rl_initialization_input.communication_version = "1.5.0"
    hello = communicator.initialize(handshake_reply)
    assert hello.rl_initialization_output.communication_version == "1.5.0"
    output = communicator.exchange(reset())
    (name,) = output.rl_output.agentInfos
    agents = output.rl_output.agentInfos[name].value
    spec = behavior_spec_from_proto(output.rl_initialization_output.brain_parameters[0], agents[0])
    decision, terminal = steps_from_proto(agents, spec)
    assert spec.action_spec == ActionSpec(0, (3,))
    assert (len(decision), len(terminal)) == (1, 0)
    assert decision.obs[0].tolist() == [[float(place == 10) for place in range(20)]]
    communicator.close()
    player.join(20)
    assert not player.is_alive()


def test_a_player_that_quits_is_answered_at_once():
    communicator, answers = RpcCommunicator(base_port=free_port(), timeout_wait=20), []

    def play():
        with TrainerConnection(communicator.base_port) as connection:
            for status, patience in ((200, 20), (200, None), (400, None)):
                message = UnityMessageProto(header={"status": status}).SerializeToString()
                answers.append(UnityMessageProto.FromString(connection(message, patience=patience)).header.status)

    player = threading.Thread(target=play, daemon=True)
    player.start()
    communicator.initialize(UnityInputProto())
    assert communicator.exchange(reset()) is None
    player.join(20)
    assert answers == [200, 200, 400]
    communicator.close()


def test_a_player_that_does_not_come_is_asked_for_now_and_then():
    communicator, asked = RpcCommunicator(base_port=free_port(), timeout_wait=1), []
    with pytest.raises(UnityTimeOutException, match="did not connect for 1 s"):
        communicator.initialize(UnityInputProto(), lambda: asked.append(1))
    assert len(asked) >= 9
    communicator.close()


def test_what_the_callback_raises_is_passed_on():
    communicator = RpcCommunicator(base_port=free_port(), timeout_wait=20)

    def gone():
        raise ProcessLookupError

    with pytest.raises(ProcessLookupError):
        communicator.initialize(UnityInputProto(), gone)
    communicator.close()


def test_a_taken_port_is_an_error():
    first = RpcCommunicator(base_port=free_port())
    with pytest.raises(UnityWorkerInUseException):
        RpcCommunicator(base_port=first.base_port)
    first.close()


@pytest.mark.parametrize("discrete", [True, False])
def test_the_mock_says_what_it_was_made_for(discrete):
    mock = MockCommunicator(discrete_action=discrete, visual_inputs=1, num_agents=4, brain_name="Mock", vec_obs_size=5)
    first = mock.initialize(UnityInputProto())
    parameters = first.rl_initialization_output.brain_parameters[0]
    again = mock.exchange(UnityInputProto())
    agents = again.rl_output.agentInfos["Mock"].value
    spec = behavior_spec_from_proto(parameters, agents[0])
    decision, terminal = steps_from_proto(agents, spec)
    assert (len(decision), len(terminal)) == (3, 1)
    assert [sensor.shape for sensor in spec.observation_specs] == [(3, 30, 40), (5,)]
    assert spec.action_spec == (ActionSpec(0, (2,)) if discrete else ActionSpec(2, ()))
    assert decision.obs[1][0].tolist() == [0, 1, 2, 3, 4]
    mock.close()
    assert mock.has_been_closed


def test_pixels_are_unpacked():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5)) / np.float32(255)
    assert np.allclose(process_pixels(encode_png(image), 3, 4, 5), image, atol=1e-6)
    assert process_pixels(encode_png(image), 1, 4, 5, [0, 0, 0]).shape == (1, 4, 5)
