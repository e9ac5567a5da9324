"""What players say, read as columns: by the compiled walk, by protobuf, and as broken as it can be."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.exception import UnityCommunicationException, UnityException, UnityObservationException
from mlagents_envs.wire.codec import AgentReader, first_agent, read_message
from mlagents_envs.wire.fields import LENGTH, VARINT, block, varint
from mlagents_envs.wire.packages import read_package

NAME = "B?team=0"


def sensor(*shape, name="seen"):
    return ObservationSpec(shape, (DimensionProperty.NONE,) * len(shape), ObservationType.DEFAULT, name)


def spec_of(*shapes, continuous=1, branches=(2, 3)):
    return BehaviorSpec([sensor(*shape) for shape in shapes], ActionSpec(continuous, branches))


def agents(spec, n, seed=0):
    """Return n agents as a player says them, with random numbers."""
    rng = np.random.default_rng(seed)
    listed = UnityRLOutputProto.ListAgentInfoProto()
    for _ in range(n):
        agent = listed.value.add(
            reward=rng.normal(), done=bool(rng.random() < 0.3), max_step_reached=bool(rng.random() < 0.3),
            id=int(rng.integers(0, 2**31)), group_id=int(rng.integers(0, 3)), group_reward=rng.normal(),
        )  # fmt: skip
        if rng.random() < 0.5:
            agent.action_mask.extend((rng.random(sum(spec.action_spec.discrete_branches)) < 0.5).tolist())
        for seen in spec.observation_specs:
            observation = agent.observations.add(shape=seen.shape, name=seen.name)
            observation.float_data.data.extend(rng.normal(size=int(np.prod(seen.shape))).tolist())
    return listed


def readers(spec):
    """Return a reader for each way of reading."""
    fast, slow = AgentReader(NAME, spec), AgentReader(NAME, spec)
    assert (fast._walk is not None) is (find_spec("numba") is not None)
    slow._walk = None
    return fast, slow


def assert_reads(spec, listed, decision, terminal):
    """Compare steps with the messages they were made from."""
    for steps, infos in ((decision, [a for a in listed.value if not a.done]), (terminal, [a for a in listed.value if a.done])):
        assert steps.agent_id.tolist() == [info.id for info in infos]
        assert steps.reward.tolist() == [info.reward for info in infos]
        assert steps.group_id.tolist() == [info.group_id for info in infos]
        assert steps.group_reward.tolist() == [info.group_reward for info in infos]
        for number, seen in enumerate(spec.observation_specs):
            expected = [np.array(info.observations[number].float_data.data, np.float32) for info in infos]
            assert steps.obs[number].dtype == np.float32
            assert np.array_equal(steps.obs[number], np.array(expected, np.float32).reshape(-1, *seen.shape))
    assert terminal.interrupted.tolist() == [info.max_step_reached for info in listed.value if info.done]
    total = sum(spec.action_spec.discrete_branches)
    forbidden = [list(info.action_mask) or [False] * total for info in listed.value if not info.done]
    if spec.action_spec.discrete_branches and len(decision):
        assert np.concatenate(decision.action_mask, axis=1).tolist() == forbidden
        assert [mask.shape[1] for mask in decision.action_mask] == list(spec.action_spec.discrete_branches)
    else:
        assert decision.action_mask is None


shapes = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 9)),
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=60)
@given(shapes, st.integers(0, 7), st.integers(0, 2), st.lists(st.integers(1, 4), max_size=3), st.integers(0, 999))
def test_both_ways_of_reading_say_what_the_player_said(shapes, n, continuous, branches, seed):
    spec = spec_of(*shapes, continuous=continuous, branches=tuple(branches))
    listed = agents(spec, n, seed)
    for reader in readers(spec):
        assert_reads(spec, listed, *reader.read(listed.SerializeToString()))


def test_a_whole_message_is_taken_apart():
    spec = spec_of((4,))
    message = UnityMessageProto()
    message.header.status = 200
    output = message.unity_output
    output.rl_output.agentInfos[NAME].CopyFrom(agents(spec, 3))
    output.rl_output.agentInfos["Other?team=1"].CopyFrom(agents(spec, 2))
    output.rl_output.side_channel = b"abc"
    output.rl_initialization_output.brain_parameters.add(brain_name=NAME)
    decoded = read_message(message.SerializeToString())
    assert (decoded.status, decoded.side_channel) == (200, b"abc")
    assert [bytes(raw) for raw in decoded.agents.values()] == [
        output.rl_output.agentInfos[name].SerializeToString() for name in decoded.agents
    ]
    assert decoded.initialization.brain_parameters[0].brain_name == NAME
    assert first_agent(decoded.agents[NAME]) == output.rl_output.agentInfos[NAME].value[0]


def test_a_closing_message_has_no_content():
    message = UnityMessageProto()
    message.header.status = 400
    decoded = read_message(message.SerializeToString())
    assert decoded.status == 400
    assert not decoded.agents


def test_numbers_that_are_not_packed_are_read_too():
    spec = spec_of((2,), branches=(2,))
    loose = b"".join(varint(1 << 3 | 5) + np.float32(x).tobytes() for x in (1.5, 2.5))
    observation = block(1, b"\x02") + block(4, loose)
    agent = varint(11 << 3 | VARINT) + b"\x01" + varint(11 << 3 | VARINT) + b"\x00" + block(13, observation)
    for reader in readers(spec):
        decision, _ = reader.read(block(1, agent))
        assert decision.obs[0].tolist() == [[1.5, 2.5]]
        assert decision.action_mask[0].tolist() == [[True, False]]


def test_a_mask_of_another_length_forbids_nothing():
    spec = spec_of((1,), branches=(3,))
    listed = agents(spec, 1)
    listed.value[0].done = False
    del listed.value[0].action_mask[:]
    listed.value[0].action_mask.extend([True, True])
    for reader in readers(spec):
        assert not reader.read(listed.SerializeToString())[0].action_mask[0].any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda o: o.shape.append(1), r"agent 7, observation 0 \('seen'\): its shape is \(3, 1\), that of its sensor \(3,\)"),
        (lambda o: o.float_data.data.append(1), r"it has 4 numbers; its shape is \(3,\)"),
        (lambda o: o.ClearField("float_data"), r"it has 0 numbers; its shape is \(3,\)"),
        (lambda o: setattr(o, "compression_type", 1), r"it is an image, but its shape is \(3,\)"),
    ],
)
def test_an_observation_that_is_not_its_sensors_gets_a_sentence(change, sentence):
    spec = spec_of((3,))
    listed = agents(spec, 1)
    listed.value[0].id = 7
    change(listed.value[0].observations[0])
    for reader in readers(spec):
        with pytest.raises(UnityObservationException, match=sentence):
            reader.read(listed.SerializeToString())


def test_an_agent_with_other_sensors_gets_a_sentence():
    listed = agents(spec_of((3,)), 1)
    listed.value[0].id = 7
    for reader in readers(spec_of((3,), (2,))):
        with pytest.raises(UnityObservationException, match="agent 7 sends 1 observations, 2 are expected"):
            reader.read(listed.SerializeToString())


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_with_their_agent(number):
    spec = spec_of((3,), (2,))
    listed = agents(spec, 3)
    listed.value[1].id = 42
    listed.value[1].observations[1].float_data.data[0] = number
    for reader in readers(spec):
        with pytest.raises(UnityObservationException, match="agent 42: its observation 'seen' is not finite"):
            reader.read(listed.SerializeToString())
    listed = agents(spec, 2)
    listed.value[0].id, listed.value[0].reward = 41, number
    with pytest.raises(UnityObservationException, match="agent 41: its reward is not finite"):
        AgentReader(NAME, spec).read(listed.SerializeToString())


def test_a_reader_whose_owner_looks_for_nan_itself_passes_it_on():
    spec = spec_of((3,))
    listed = agents(spec, 1)
    listed.value[0].done = False
    listed.value[0].reward = np.nan
    listed.value[0].observations[0].float_data.data[0] = np.inf
    decision, _ = AgentReader(NAME, spec, refuses_nan=False).read(listed.SerializeToString())
    assert np.isnan(decision.reward[0]) and np.isinf(decision.obs[0][0, 0])


def test_large_numbers_whose_sum_is_not_finite_are_fine():
    spec = spec_of((2,))
    listed = agents(spec, 1)
    listed.value[0].done = False
    listed.value[0].observations[0].float_data.data[:] = [3e38, 3e38]
    assert AgentReader(NAME, spec).read(listed.SerializeToString())[0].obs[0].max() == np.float32(3e38)


def test_a_few_bytes_cannot_ask_for_all_memory():
    spec = spec_of((3, 8000, 8000))  # within what a sensor may be
    for reader in readers(spec):
        with pytest.raises(UnityObservationException, match="agent 0 sends 0 observations, 1 are expected"):
            reader.read(block(1, b"") * 100_000)
        with pytest.raises(UnityObservationException, match="numbers to observe"):
            reader.read(block(1, block(13, bytes(100))) * 100_000)


@pytest.mark.parametrize("raw", [b"\x0a", b"\xff" * 30, b"GET / HTTP/1.1\r\n", block(1, b"\x0a\x05abc"), varint(LENGTH)])
def test_what_is_no_message_gets_a_sentence(raw):
    with pytest.raises(UnityCommunicationException, match="no message of the protocol"):
        read_message(raw)


def test_mutated_messages_are_read_or_refused_and_nothing_else():
    spec = spec_of((4,), (3, 5, 6))
    message = UnityMessageProto()
    message.header.status = 200
    listed = agents(spec, 5)
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 6, 3), np.uint8)).save(picture, "PNG")
    for agent in listed.value[3:]:
        agent.observations[1].compression_type = 1
        agent.observations[1].compressed_data = picture.getvalue()
    for images in (False, True):
        output = message.unity_output.rl_output.agentInfos[NAME]
        output.CopyFrom(listed)
        del output.value[3 if not images else 5 :]
        whole = message.SerializeToString()
        reader = AgentReader(NAME, spec, read_package("3.0.0"))  # whose images are put right
        rng = np.random.default_rng(1)
        refused = 0
        for _ in range(5000):
            raw = bytearray(whole)
            kind = rng.integers(4)
            if kind == 0:
                raw = raw[: rng.integers(len(raw))]
            elif kind == 1:
                at = rng.integers(len(raw))
                raw[at:at] = rng.bytes(rng.integers(1, 9))
            elif kind == 2:
                at = rng.integers(len(raw))
                del raw[at : at + rng.integers(1, 9)]
            for _ in range(rng.integers(1, 4)):
                if raw:
                    raw[rng.integers(len(raw))] = rng.integers(256)
            try:
                for listed_raw in read_message(bytes(raw)).agents.values():
                    first_agent(listed_raw)
                    decision, terminal = reader.read(listed_raw)
                    assert decision.obs[0].shape == (len(decision), 4)
                    assert terminal.obs[1].shape == (len(terminal), 3, 5, 6)
            except UnityException:
                refused += 1
        assert refused > 500
