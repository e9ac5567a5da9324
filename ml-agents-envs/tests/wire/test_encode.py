import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import (
    ActionSpec,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.observation_pb2 import PNG, ObservationProto
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.codec import AgentReader
from mlagents_envs.wire.encode import AgentWriter
from mlagents_envs.wire.images import decode_png

IDS = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))


def sensor(shape, *, name="see", properties=None, kind=ObservationType.DEFAULT):
    properties = (DimensionProperty.NONE,) * len(shape) if properties is None else properties
    return ObservationSpec(shape, properties, kind, name)


SENSORS = st.builds(
    lambda shape, properties, kind, name: sensor(
        shape, name=name, properties=tuple(properties[: len(shape)]), kind=kind
    ),
    st.one_of(
        st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple),
        st.tuples(st.sampled_from([1, 3, 4, 6]), st.integers(1, 6), st.integers(1, 6)),
    ),
    st.one_of(st.just([]), st.lists(st.sampled_from(list(DimensionProperty)), min_size=3, max_size=3)),
    st.sampled_from(list(ObservationType)),
    st.sampled_from(["", "see", "Größe"]),
)
SPECS = st.builds(
    lambda sensors, continuous, branches: BehaviorSpec(sensors, ActionSpec(continuous, tuple(branches))),
    st.lists(SENSORS, max_size=3),
    st.integers(0, 2),
    st.lists(st.integers(1, 4), max_size=3),
)


def columns(spec, ids, groups, rng):
    """Return what decision and terminal steps have in common; images have 256 shades, so that PNG loses nothing."""
    n = len(ids)
    obs = [(rng.integers(0, 256, (n, *seen.shape)) / 255).astype(np.float32) for seen in spec.observation_specs]
    reward, shared = rng.normal(size=(2, n)).astype(np.float32)
    shared[: n // 2] = 0
    return obs, reward, np.array(ids, np.int32), np.array(groups, np.int32), shared


def decisions(spec, ids, groups, seed, masked=False):
    rng = np.random.default_rng(seed)
    obs, reward, agent, group, shared = columns(spec, ids, groups, rng)
    mask = [rng.random((len(ids), size)) < 0.5 for size in spec.action_spec.discrete_branches] if masked else None
    return DecisionSteps(obs, reward, agent, mask, group, shared)


def endings(spec, ids, groups, seed):
    rng = np.random.default_rng(seed)
    obs, reward, agent, group, shared = columns(spec, ids, groups, rng)
    return TerminalSteps(obs, reward, rng.random(len(ids)) < 0.5, agent, group, shared)


def parsed(raw):
    return list(UnityRLOutputProto.ListAgentInfoProto.FromString(raw).value)


def slowly(spec, steps, compressed=()):
    """Return the messages of agents, field by field; images are left out."""
    messages = []
    for row, step in enumerate(steps.values()):
        message = AgentInfoProto(reward=step.reward, id=step.agent_id, group_id=step.group_id)
        message.group_reward = step.group_reward
        if isinstance(steps, TerminalSteps):
            message.done, message.max_step_reached = True, step.interrupted
        elif steps.action_mask is not None and np.any([branch.any() for branch in steps.action_mask]):
            message.action_mask.extend(np.concatenate(step.action_mask).tolist())
        for index, (seen, column) in enumerate(zip(spec.observation_specs, steps.obs, strict=True)):
            observation = message.observations.add(
                shape=seen.shape,
                dimension_properties=[int(meaning) for meaning in seen.dimension_property],
                observation_type=seen.observation_type.value,
                name=seen.name,
            )
            if index not in compressed:
                observation.float_data.data.extend(column[row].ravel().tolist())
        messages.append(message)
    return messages


def take_images(messages, spec, compressed):
    """Remove what is compressed from messages and return it as {sensor: (n, channels, height, width)}."""
    images = {index: [] for index in compressed}
    for message in messages:
        for index in compressed:
            seen = message.observations[index]
            assert seen.compression_type == PNG
            assert not seen.compressed_channel_mapping
            images[index].append(decode_png(seen.compressed_data, spec.observation_specs[index].shape))
            for name in ("compression_type", "compressed_data"):
                seen.ClearField(name)
    return images


@settings(deadline=None, max_examples=150)
@given(st.data(), SPECS, st.integers(0, 99), st.booleans())
def test_protobuf_reads_what_was_written(data, spec, seed, masked):
    ids = data.draw(st.lists(IDS, max_size=5))
    gone = data.draw(st.lists(IDS, max_size=3))
    groups = data.draw(st.lists(st.one_of(st.just(0), IDS), min_size=8, max_size=8))
    images = [index for index, seen in enumerate(spec.observation_specs) if len(seen.shape) == 3]
    compressed = data.draw(st.lists(st.sampled_from(images), unique=True)) if images else []
    masked = masked and bool(spec.action_spec.discrete_branches)
    decision = decisions(spec, ids, groups[: len(ids)], seed, masked)
    terminal = endings(spec, gone, groups[5 : 5 + len(gone)], seed + 1)
    got = parsed(AgentWriter(spec, compressed).write(decision, terminal))
    decoded = take_images(got, spec, compressed)
    rows = [*zip(gone, range(len(gone)), strict=True)], [*zip(ids, range(len(ids)), strict=True)]
    assert [message.id for message in got] == [*gone, *ids]
    assert [message.done for message in got] == [True] * len(rows[0]) + [False] * len(rows[1])
    for index in compressed:
        expected = np.concatenate([terminal.obs[index], decision.obs[index]])
        assert np.allclose(np.array(decoded[index]).reshape(expected.shape), expected, atol=1e-6)
    if len(set(ids)) == len(ids) and len(set(gone)) == len(gone):  # steps find agents by their id
        assert got == slowly(spec, terminal, compressed) + slowly(spec, decision, compressed)


def test_ids_of_all_lengths_stay_in_their_order():
    spec = BehaviorSpec([sensor((2,))], ActionSpec(1, ()))
    ids = [2**31 - 1, 0, 127, 128, 2**14 - 1, 2**14, 2**21, 2**28 - 1, 2**28, 1, -5]
    decision = decisions(spec, ids, [0, 300, 0, 5] + [0] * 7, 0)
    got = parsed(AgentWriter(spec).write(decision, TerminalSteps.empty(spec)))
    assert got == slowly(spec, decision)


def test_protobuf_would_write_the_same_bytes():
    spec = BehaviorSpec([sensor((3,)), sensor((2, 2), name="")], ActionSpec(1, (2,)))
    decision = decisions(spec, [1, 200], [7, 0], 3, masked=True)
    decision.group_reward[:] = 1
    decision.group_id[1] = 9
    raw = AgentWriter(spec).write(decision, TerminalSteps.empty(spec))
    assert raw == UnityRLOutputProto.ListAgentInfoProto(value=slowly(spec, decision)).SerializeToString()


@settings(deadline=None, max_examples=50)
@given(SPECS, st.lists(IDS, min_size=1, max_size=4, unique=True), st.integers(0, 99), st.booleans())
def test_our_own_reader_gives_the_same_steps_again(spec, ids, seed, png):
    images = [index for index, seen in enumerate(spec.observation_specs) if len(seen.shape) == 3 and png]
    decision = decisions(spec, ids, ids, seed, masked=bool(spec.action_spec.discrete_branches))
    terminal = endings(spec, ids[1:], ids[1:], seed + 1)
    again = AgentReader("B", spec).read(AgentWriter(spec, images).write(decision, terminal))
    for given_, got in zip((decision, terminal), again, strict=True):
        for name in ("reward", "agent_id", "group_id", "group_reward"):
            assert np.array_equal(getattr(got, name), getattr(given_, name)), name
        assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(got.obs, given_.obs, strict=True))
    assert np.array_equal(again[1].interrupted, terminal.interrupted)
    for a, b in zip(again[0].action_mask or [], decision.action_mask or [], strict=True):
        assert np.array_equal(a, b)


def test_nobody_is_no_bytes():
    spec = BehaviorSpec([sensor((2,)), sensor((3, 4, 4))], ActionSpec(0, (3,)))
    assert AgentWriter(spec, [1]).write(DecisionSteps.empty(spec), TerminalSteps.empty(spec)) == b""


def test_a_mask_that_forbids_nothing_is_left_out():
    spec = BehaviorSpec([sensor((2,))], ActionSpec(0, (3, 2)))
    decision = decisions(spec, [1, 2], [0, 0], 0, masked=True)
    for branch in decision.action_mask:
        branch[:] = False
    assert not any(
        message.action_mask for message in parsed(AgentWriter(spec).write(decision, TerminalSteps.empty(spec)))
    )
    decision.action_mask[1][1, 0] = True
    got = parsed(AgentWriter(spec).write(decision, TerminalSteps.empty(spec)))
    assert list(got[1].action_mask) == [False, False, False, True, False]


def test_numbers_that_are_not_finite_and_negative_zeros_arrive_as_they_are():
    spec = BehaviorSpec([sensor((4,))], ActionSpec(1, ()))
    decision = decisions(spec, [1], [0], 0)
    decision.obs[0][:] = [np.nan, np.inf, -0.0, 1e-45]
    (got,) = parsed(AgentWriter(spec).write(decision, TerminalSteps.empty(spec)))
    assert np.array(got.observations[0].float_data.data, np.float32).tobytes() == decision.obs[0].tobytes()


def test_columns_may_be_views_and_of_other_types():
    spec = BehaviorSpec([sensor((2, 3))], ActionSpec(1, ()))
    plain = decisions(spec, [1, 2, 3], [0, 0, 0], 0)
    strange = DecisionSteps(
        [np.asfortranarray(plain.obs[0].astype(np.float64))], plain.reward.astype(np.float64), plain.agent_id.astype(np.int64),
        None, [0, 0, 0], plain.group_reward[::-1][::-1],
    )  # fmt: skip
    nobody = TerminalSteps.empty(spec)
    assert AgentWriter(spec).write(strange, nobody) == AgentWriter(spec).write(plain, nobody)


def test_an_entity_list_without_entities_has_no_numbers():
    spec = BehaviorSpec([sensor((0, 3)), sensor((1,))], ActionSpec(1, ()))
    decision = decisions(spec, [1, 2], [0, 0], 0)
    assert parsed(AgentWriter(spec).write(decision, TerminalSteps.empty(spec))) == [
        expect_empty(message) for message in slowly(spec, decision)
    ]


def expect_empty(message):
    message.observations[0].float_data.SetInParent()
    return message


@pytest.mark.parametrize(("frames", "channels"), [(2, 1), (3, 2), (2, 3), (3, 4), (2, 7)])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_stack_has_a_mapping_and_one_image_for_each_frame_that_is_missing(frames, channels, missing):
    spec = BehaviorSpec([sensor((frames * channels, 2, 2))], ActionSpec(1, ()))
    decision = decisions(spec, [1], [0], 0)
    decision.obs[0][:, : missing * channels] = 0
    raw = AgentWriter(spec, [0], stacks={0: frames}).write(decision, TerminalSteps.empty(spec))
    (got,) = parsed(raw)
    seen: ObservationProto = got.observations[0]
    padded = {1: [0, 0, 0], 2: [0, 1, -1], 3: [0, 1, 2], 4: [0, 1, 2, 3, -1, -1], 7: [*range(7), -1, -1]}[channels]
    assert list(seen.compressed_channel_mapping) == [
        -1 if channel < 0 else channel + channels * frame for frame in range(frames) for channel in padded
    ]
    images = seen.compressed_data.count(b"\x89PNG\r\n\x1a\n")
    assert images == missing + (frames - missing) * len(padded) // 3
    assert np.allclose(AgentReader("B", spec).read(raw)[0].obs[0], decision.obs[0], atol=1e-6)


def test_a_stack_that_is_black_still_has_its_newest_frame():
    spec = BehaviorSpec([sensor((8, 2, 2))], ActionSpec(1, ()))
    decision = decisions(spec, [1], [0], 0)
    decision.obs[0][:] = 0
    raw = AgentWriter(spec, [0], stacks={0: 2}).write(decision, TerminalSteps.empty(spec))
    assert raw.count(b"\x89PNG") == 3
    assert not AgentReader("B", spec).read(raw)[0].obs[0].any()


@pytest.mark.parametrize("stacks", [{0: 3}, {0: 0}, {1: 2}])
def test_a_stack_whose_frames_do_not_fit_gets_a_sentence(stacks):
    spec = BehaviorSpec([sensor((8, 2, 2)), sensor((4,))], ActionSpec(1, ()))
    with pytest.raises(UnityObservationException, match=r"is no stack of \d frames that travels as PNG"):
        AgentWriter(spec, [0], stacks=stacks)


def test_an_agent_that_ended_later_is_written_before_its_end():
    spec = BehaviorSpec([sensor((1,))], ActionSpec(1, ()))
    decision, terminal = decisions(spec, [5, 6, 7], [0] * 3, 0), endings(spec, [7, 6, 5, 6], [0] * 4, 1)
    decision.ended = np.array([False, True, False])
    got = [(message.id, message.done) for message in parsed(AgentWriter(spec).write(decision, terminal))]
    assert got == [(7, True), (6, True), (5, True), (5, False), (6, False), (6, True), (7, False)]


def test_observations_of_another_shape_get_a_sentence():
    spec = BehaviorSpec([sensor((2, 3))], ActionSpec(1, ()))
    decision = decisions(spec, [1, 2], [0, 0], 0)
    decision.obs[0] = decision.obs[0].reshape(2, 3, 2)
    with pytest.raises(UnityObservationException, match=r"sensor 'see'.*\(2, 3, 2\).*must be \(2, 2, 3\)"):
        AgentWriter(spec).write(decision, TerminalSteps.empty(spec))


@pytest.mark.parametrize("index", [0, 2, -1])
def test_only_images_travel_as_png(index):
    spec = BehaviorSpec([sensor((2, 3)), sensor((3, 4, 4))], ActionSpec(1, ()))
    with pytest.raises(UnityObservationException, match=f"sensor {index} cannot travel as PNG"):
        AgentWriter(spec, [index])
