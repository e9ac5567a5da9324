"""Images as each release of Unity's package sends them, written by protobuf, number after number."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

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
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.codec import AgentReader
from mlagents_envs.wire.encode import AgentWriter
from mlagents_envs.wire.packages import read_package
from mlagents_envs.wire.specs import behavior_spec, brain_parameters

LAST = ["0.16.0", "1.0.8", "1.8.1", "1.9.1", "2.0.1", "2.2.1-exp.1", "2.3.0-exp.3"]  # shapes are (H, W, C)
SCRAMBLED = ["3.0.0-exp.1", "3.0.0", "4.0.0"]  # shapes are (C, H, W), numbers (H, W, C)
PLAIN = ["4.0.1", "4.0.2", "4.1.0", "5.0.0"]
ACTIONS = ActionSpec(1, ())


def properties_of(version):
    """What a visual sensor of this release says of its dimensions."""
    if version in ("0.16.0", "1.0.8", "1.8.1", "1.9.1"):
        return []
    return [2, 2, 1] if version in LAST else [1, 2, 2]


def write_image(observation, image, version, *, png=False):
    """Write a (channels, height, width) image of whole 255ths as Unity does; gray ones have equal channels in a PNG."""
    channels, height, width = image.shape
    observation.shape.extend((height, width, channels) if version in LAST else (channels, height, width))
    observation.dimension_properties.extend(properties_of(version))
    if png:
        observation.compression_type = 1
        observation.compressed_data = pictures(image)
    elif version in LAST or version in SCRAMBLED:
        for y in range(height):
            for x in range(width):
                observation.float_data.data.extend(float(image[c, y, x]) for c in range(channels))
    else:
        for c in range(channels):
            for y in range(height):
                observation.float_data.data.extend(float(image[c, y, x]) for x in range(width))


def pictures(image):
    planes = [np.rint(plane * 255).astype(np.uint8) for plane in image]
    planes = planes * 3 if len(planes) == 1 else planes + [np.zeros_like(planes[0])] * (-len(planes) % 3)
    out = io.BytesIO()
    for first in range(0, len(planes), 3):
        Image.fromarray(np.dstack(planes[first : first + 3])).save(out, "PNG")
    return out.getvalue()


def readers(listed, version):
    """Return a reader that may walk compiled, and one that may not, for what the first of these agents shows."""
    described = behavior_spec(brain_parameters("B", ACTIONS), listed.value[0])
    both = [AgentReader("B", described, read_package(version)) for _ in range(2)]
    assert (both[0]._walk is not None) is (find_spec("numba") is not None)
    both[1]._walk = None
    return both


def noise(*shape, seed=0):
    return (np.random.default_rng(seed).integers(0, 256, shape) / 255).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("2.0.1", (2, 0, 1)), ("2.3.0-exp.3", (2, 3, 0)), ("3.0.0-exp.1", (3, 0, 0)), ("4.0.0", (4, 0, 0)),
        (" 4.0.1 ", (4, 0, 1)), ("1.9", (1, 9, 0)), ("2.0.0.dev0", (2, 0, 0)), ("10.20.30f1", (10, 20, 30)),
        ("", None), ("4", None), ("v4.0.1", None), ("exp.1", None), ("-1.0.0", None), ("\u0664.\u0660.\u0661", None),
        ("1" * 5000 + ".0.0", None), ("1." + "2" * 5000, None),
    ],
)  # fmt: skip
def test_a_version_is_read_or_not_known(text, release):
    package = read_package(text)
    assert (package.version, package.release) == (text, release)


def test_a_package_is_named_in_sentences():
    assert str(read_package("2.0.1")) == "com.unity.ml-agents 2.0.1"
    assert str(read_package("")) == "com.unity.ml-agents of unknown version"


@pytest.mark.parametrize("png", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("version", [*LAST, *SCRAMBLED, *PLAIN])
def test_an_image_of_every_release_is_read_with_channels_first(version, channels, png):
    image = noise(channels, 4, 5)
    listed = UnityRLOutputProto.ListAgentInfoProto()
    write_image(listed.value.add(id=1).observations.add(name="camera"), image, version, png=png)
    for reader in readers(listed, version):
        (sensor,) = reader.spec.observation_specs
        assert (sensor.shape, sensor.name) == ((channels, 4, 5), "camera")
        assert sensor.dimension_property == (
            DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
            DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
        )  # fmt: skip
        seen = reader.read(listed.SerializeToString())[0].obs[0]
        assert seen.flags.c_contiguous
        assert np.array_equal(seen[0], image)


@pytest.mark.parametrize("version", ["2.0.1", "3.0.0", "4.0.1", "1.0.8"])
def test_sizes_that_could_be_either_do_not_decide(version):
    image = noise(3, 3, 3)
    listed = UnityRLOutputProto.ListAgentInfoProto()
    write_image(listed.value.add().observations.add(), image, version)
    for reader in readers(listed, version):
        assert np.array_equal(reader.read(listed.SerializeToString())[0].obs[0][0], image)


@pytest.mark.parametrize(
    ("version", "properties", "channels_last"),
    [
        ("", [2, 2, 1], True), ("", [1, 2, 2], False), ("", [], False), ("garbage", [2, 2, 1], True),
        ("4.0.1", [2, 2, 1], True), ("2.0.1", [1, 2, 2], False), ("2.0.1", [], True), ("2.0.1", [0, 0, 0], True),
        ("2.0.1", [1, 1, 1], False), ("4.0.1", [], False),
    ],
)  # fmt: skip
def test_a_sensors_own_properties_decide_before_its_package(version, properties, channels_last):
    agent = AgentInfoProto()
    agent.observations.add(shape=[4, 5, 3], dimension_properties=properties)
    agent.observations[0].float_data.data.extend(range(60))
    listed = UnityRLOutputProto.ListAgentInfoProto(value=[agent])
    numbers = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    for reader in readers(listed, version):
        seen = reader.read(listed.SerializeToString())[0].obs[0][0]
        assert np.array_equal(seen, numbers.transpose(2, 0, 1) if channels_last else numbers)
        assert reader.spec.observation_specs[0].shape == seen.shape


def test_scrambled_numbers_of_a_sensor_that_calls_its_channels_last_are_put_right_twice():
    # such a release takes the sizes as (C, H, W) whatever they mean: number [a, b, c] lies at [b, c, a]
    agent = AgentInfoProto()
    agent.observations.add(shape=[4, 5, 3], dimension_properties=[2, 2, 1])
    numbers = np.arange(60, dtype=np.float32).reshape(4, 5, 3)  # (height, width, channels)
    agent.observations[0].float_data.data.extend(
        float(numbers[a, b, c]) for b in range(5) for c in range(3) for a in range(4)
    )
    listed = UnityRLOutputProto.ListAgentInfoProto(value=[agent])
    for reader in readers(listed, "3.0.0"):
        assert np.array_equal(reader.read(listed.SerializeToString())[0].obs[0][0], numbers.transpose(2, 0, 1))


def test_a_package_whose_version_is_not_known_leaves_a_warning_about_images_only():
    image = ObservationSpec((4, 5, 3), (DimensionProperty(2), DimensionProperty(2), DimensionProperty(1)), ObservationType.DEFAULT, "eye")
    vector = ObservationSpec((4,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "nose")
    warning = read_package("x").warning(image)
    assert warning == (
        "the player's package version 'x' is not known; sensor 'eye' of shape (4, 5, 3) is read as "
        "(height, width, channels), since its dimension properties are (2, 2, 1)"
    )
    assert "as (channels, height, width), since" in read_package("").warning(image._replace(dimension_property=(DimensionProperty(0),) * 3))
    assert read_package("x").warning(vector) is None
    assert read_package("2.0.1").warning(image) is None


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_any_mix_of_sensors_agents_and_packages_is_read_number_for_number(data):
    version = data.draw(st.sampled_from([*LAST, *SCRAMBLED, *PLAIN]))
    kinds = data.draw(st.lists(st.sampled_from(["vector", "entities", "image"]), max_size=4))
    sizes = st.integers(1, 5)
    shapes = {"vector": st.tuples(sizes), "entities": st.tuples(sizes, sizes), "image": st.tuples(sizes, sizes, sizes)}
    drawn = [data.draw(shapes[kind]) for kind in kinds]
    n = data.draw(st.integers(1, 6))
    listed = UnityRLOutputProto.ListAgentInfoProto()
    expected = [np.zeros((n, *shape), np.float32) for shape in drawn]
    done = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    ids = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    later = [any(done[b] and ids[b] == ids[a] for b in range(a + 1, n)) for a in range(n) if not done[a]]
    for agent in range(n):
        info = listed.value.add(id=ids[agent], done=done[agent])
        for k, (kind, shape) in enumerate(zip(kinds, drawn, strict=True)):
            expected[k][agent] = numbers = noise(*shape, seed=100 * agent + k)
            observation = info.observations.add()
            if kind == "image":  # one sensor may be compressed for one agent and not for another
                write_image(observation, numbers, version, png=data.draw(st.booleans()))
            else:
                observation.shape.extend(shape)
                observation.float_data.data.extend(float(number) for number in numbers.ravel())
    for reader in readers(listed, version):
        decision, terminal = reader.read(listed.SerializeToString())
        assert (decision.agent_id.tolist(), terminal.agent_id.tolist()) == (
            [one for one, end in zip(ids, done, strict=True) if not end],
            [one for one, end in zip(ids, done, strict=True) if end],
        )
        assert (decision.ended.tolist() if decision.ended is not None else [False] * len(decision)) == later
        for k in range(len(kinds)):
            assert np.array_equal(decision.obs[k], expected[k][~np.array(done)])
            assert np.array_equal(terminal.obs[k], expected[k][np.array(done)])


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([*LAST, *SCRAMBLED, *PLAIN, "garbage"]), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_what_our_player_writes_for_a_package_is_what_unity_would(version, channels, png, seed):
    properties = (DimensionProperty.NONE, *(DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,) * 2)
    sensor = ObservationSpec((channels, 3, 2), properties, ObservationType.DEFAULT, "camera")
    spec = BehaviorSpec([sensor], ACTIONS)
    image, nobody = noise(channels, 3, 2, seed=seed), TerminalSteps.empty(spec)
    zero, one = np.zeros(1, np.float32), np.ones(1, np.int32)
    decision = DecisionSteps([image[None]], zero, one, None, one - 1, zero)
    raw = AgentWriter(spec, [0] if png else [], package=read_package(version)).write(decision, nobody)
    (got,) = UnityRLOutputProto.ListAgentInfoProto.FromString(raw).value[0].observations
    expected = AgentInfoProto().observations.add(name="camera")
    write_image(expected, image, version, png=png)
    assert got == expected


def test_a_release_without_dimension_properties_sends_none_of_any_sensor():
    sensor = ObservationSpec((4,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "vector")
    assert read_package("1.8.1").sent(sensor)[0].dimension_property == ()
    assert read_package("2.0.1").sent(sensor)[0].dimension_property == (DimensionProperty.NONE,)


def refused(version, change):
    listed = UnityRLOutputProto.ListAgentInfoProto()
    write_image(listed.value.add(id=7).observations.add(name="camera"), noise(3, 4, 5), version)
    both = readers(listed, version)
    change(listed.value[0].observations[0])
    for reader in both:
        with pytest.raises(UnityObservationException) as error:
            reader.read(listed.SerializeToString())
    return str(error.value)


def test_an_image_that_cannot_be_read_names_behavior_sensor_what_came_and_package():
    assert refused("2.0.1", lambda seen: seen.shape.__setitem__(0, 9)) == (
        "B: agent 7, observation 0 ('camera'): its shape is (9, 5, 3), that of its sensor (4, 5, 3) "
        "(com.unity.ml-agents 2.0.1)"
    )
    assert refused("3.0.0", lambda seen: seen.float_data.data.append(1)) == (
        "B: agent 7, observation 0 ('camera'): it has 61 numbers; its shape is (3, 4, 5) (com.unity.ml-agents 3.0.0)"
    )

    def break_picture(seen):
        seen.compression_type, seen.compressed_data = 1, b"JFIF and more"

    assert refused("4.0.1", break_picture) == (
        "B: agent 7, observation 0 ('camera'): a compressed observation is no PNG image: it begins with "
        "b'JFIF and' (com.unity.ml-agents 4.0.1)"
    )
    assert "it is compressed in the way 7; only 1, PNG, is known" in refused("4.0.1", lambda seen: setattr(seen, "compression_type", 7))
