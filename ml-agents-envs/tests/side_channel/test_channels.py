"""The channels of Python against the player's half."""

import struct
from uuid import UUID, uuid4

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import given
from hypothesis import strategies as st

import mlagents_envs
from mlagents_envs.communicator_objects.training_analytics_pb2 import TrainingEnvironmentInitialized
from mlagents_envs.exception import (
    UnityCommunicationException,
    UnityEnvironmentException,
    UnityException,
    UnitySideChannelException,
)
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Uniform
from mlagents_envs.side_channel import (
    DefaultTrainingAnalyticsSideChannel,
    IncomingMessage,
    OutgoingMessage,
    SideChannel,
    player_side,
)
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfig, EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel
from mlagents_envs.side_channel.float_properties_channel import FloatPropertiesChannel
from mlagents_envs.side_channel.raw_bytes_channel import RawBytesChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.side_channel.stats_side_channel import StatsAggregationMethod, StatsSideChannel

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(0, width=32, allow_infinity=False)
SEED = st.integers(0, 2**31 - 1)
ASCII = st.text(st.characters(max_codepoint=127))
INTERVAL = st.tuples(FLOAT32, FLOAT32).map(lambda ends: (min(ends), max(ends)))
INT32 = st.integers(-(2**31), 2**31 - 1)
VALUE = st.one_of(
    FLOAT32,
    st.builds(lambda ends, seed: Uniform(*ends, seed), INTERVAL, SEED),
    st.builds(Gaussian, FLOAT32, POSITIVE, SEED),
    st.builds(MultiRangeUniform, st.lists(INTERVAL, min_size=1), SEED),
)


def sent(channel):
    """Return the payloads that an exchange would carry for a channel."""
    got = player_side.records(SideChannelManager([channel]).generate_side_channel_messages())
    assert all(identifier == channel.channel_id for identifier, _ in got)
    return [payload for _, payload in got]


class Diary(SideChannel):
    """Writes down what arrives."""

    def __init__(self, identifier=None):
        super().__init__(identifier or uuid4())
        self.read = []

    def on_message_received(self, msg):
        self.read.append(msg.read_string())


def text(word):
    message = OutgoingMessage()
    message.write_string(word)
    return message


# bringing and collecting


def test_messages_leave_channel_by_channel_in_order_and_once():
    first, second = Diary(), Diary()
    manager = SideChannelManager([first, second])
    for channel, word in ((second, "c"), (first, "a"), (first, "b")):
        channel.queue_message_to_send(text(word))
    got = player_side.records(manager.generate_side_channel_messages())
    assert [(identifier, IncomingMessage(payload).read_string()) for identifier, payload in got] == [
        (first.channel_id, "a"), (first.channel_id, "b"), (second.channel_id, "c"),
    ]  # fmt: skip
    assert manager.generate_side_channel_messages() == b""


def test_messages_arrive_in_order():
    first, second = Diary(), Diary()
    blob = b"".join(
        player_side.frame(to.channel_id, text(word).buffer) for to, word in [(second, "x"), (first, "y"), (second, "z")]
    )
    SideChannelManager([first, second]).process_side_channel_message(blob)
    assert (first.read, second.read) == (["y"], ["x", "z"])


def test_a_queued_message_does_not_change_afterwards():
    channel, message = Diary(), text("a")
    channel.queue_message_to_send(message)
    message.write_string("b")
    assert channel.message_queue == [text("a").buffer]


def test_two_channels_of_one_id_are_refused():
    identifier = uuid4()
    with pytest.raises(UnityEnvironmentException, match=f"Diary and RawBytesChannel both have the id {identifier}"):
        SideChannelManager([Diary(identifier), RawBytesChannel(identifier)])


def test_a_channel_nobody_knows_is_warned_of_once(caplog):
    known = Diary()
    manager = SideChannelManager([known])
    strange, stranger = UUID(int=7), UUID(int=8)
    for _ in range(2):
        for identifier in (strange, known.channel_id, stranger):
            manager.process_side_channel_message(player_side.frame(identifier, text("x").buffer))
    assert known.read == ["x", "x"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert [str(strange) in caplog.messages[0], str(stranger) in caplog.messages[1]] == [True, True]


def test_bytes_that_break_off_bring_no_message_at_all():
    channel = Diary()
    blob = player_side.frame(channel.channel_id, text("x").buffer)
    with pytest.raises(UnityEnvironmentException, match="17 bytes are left where a header takes 20"):
        SideChannelManager([channel]).process_side_channel_message(blob + blob[:17])
    assert channel.read == []


def test_a_payload_that_cannot_be_read_names_its_channel():
    channel = Diary()
    with pytest.raises(UnitySideChannelException, match="Diary: byte 0: the length of a string takes 4 bytes"):
        SideChannelManager([channel]).process_side_channel_message(player_side.frame(channel.channel_id, b"x"))


@pytest.mark.parametrize(
    "kind", [EngineConfigurationChannel, EnvironmentParametersChannel, DefaultTrainingAnalyticsSideChannel]
)
def test_channels_that_only_send_refuse_what_arrives(kind):
    channel = kind()
    with pytest.raises(UnityCommunicationException, match=f"{kind.__name__}: the player sent"):
        SideChannelManager([channel]).process_side_channel_message(player_side.frame(channel.channel_id, b""))


CHANNELS = (EngineConfigurationChannel, EnvironmentParametersChannel, FloatPropertiesChannel, StatsSideChannel)
IDENTIFIERS = [kind().channel_id for kind in CHANNELS]


@given(st.binary() | st.lists(st.tuples(st.sampled_from(IDENTIFIERS), st.binary())))
def test_no_bytes_do_worse_than_an_exception_of_the_package(data):
    blob = data if isinstance(data, bytes) else b"".join(player_side.frame(*record) for record in data)
    manager = SideChannelManager([kind() for kind in CHANNELS])
    try:
        manager.process_side_channel_message(blob)
    except UnityException as error:
        assert str(error)


HEADS = st.binary() | st.builds(
    lambda *numbers: struct.pack("<iiii", 0, *numbers), st.integers(-1, 2), INT32, st.integers(-1, 3)
)


READINGS = (player_side.read_parameter, player_side.read_engine, player_side.read_float_property)


@given(st.sampled_from(READINGS), HEADS, st.binary(max_size=20))
def test_the_player_reads_any_bytes_or_refuses_them_and_can_draw_what_it_read(read, head, rest):
    try:
        got = read(head + rest)
    except UnitySideChannelException as error:
        assert str(error)
    else:
        if isinstance(got, tuple) and callable(got[1]):
            assert got[1](3).shape == (3,)


# each channel


@given(st.dictionaries(ASCII, VALUE))
def test_the_player_reads_the_parameters_that_were_set(parameters):
    channel = EnvironmentParametersChannel()
    channel.set_parameters(parameters)
    assert dict(map(player_side.read_parameter, sent(channel))) == parameters


def test_a_sampler_draws_the_same_on_both_sides():
    channel = EnvironmentParametersChannel()
    channel.set_parameters({"a": MultiRangeUniform([(0, 1), (5, 7)], 3), "b": Gaussian(1, 2, 4), "c": Uniform(1, 2, 5)})
    own = MultiRangeUniform([(0, 1), (5, 7)], 3), Gaussian(1, 2, 4), Uniform(1, 2, 5)
    for payload, sampler in zip(sent(channel), own, strict=True):
        assert player_side.read_parameter(payload)[1](5).tolist() == sampler(5).tolist()


def test_parameters_have_the_bytes_of_the_protocol():
    channel = EnvironmentParametersChannel()
    channel.set_float_parameter("a", 1.5)
    channel.set_uniform_sampler_parameters("a", 1.0, 2.0, -1)
    channel.set_gaussian_sampler_parameters("a", 1.0, 2.0, 3)
    channel.set_multirangeuniform_sampler_parameters("a", [(1.0, 2.0), (3.0, 4.0)], 3)
    assert sent(channel) == [
        struct.pack("<i1sif", 1, b"a", 0, 1.5),
        struct.pack("<i1siiiff", 1, b"a", 1, -1, 0, 1.0, 2.0),
        struct.pack("<i1siiiff", 1, b"a", 1, 3, 1, 1.0, 2.0),
        struct.pack("<i1siiii4f", 1, b"a", 1, 3, 2, 4, 1.0, 2.0, 3.0, 4.0),
    ]


def test_a_negative_seed_draws_too():
    channel = EnvironmentParametersChannel()
    channel.set_uniform_sampler_parameters("a", 1.0, 2.0, -1)
    (payload,) = sent(channel)
    assert 1.0 <= player_side.read_parameter(payload)[1](1)[0] <= 2.0


def test_what_is_no_interval_and_what_is_no_seed_is_not_sent():
    channel = EnvironmentParametersChannel()
    with pytest.raises(UnitySideChannelException, match=r"a: \(1, 2, 3\) is no interval"):
        channel.set_multirangeuniform_sampler_parameters("a", [(0, 1), (1, 2, 3)], 0)
    with pytest.raises(UnitySideChannelException, match="2147483648 cannot be sent"):
        channel.set_parameters({"a": Uniform(0, 1, 2**31)})
    assert sent(channel) == []


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        (struct.pack("<i", 2), "2 is no ParameterKind; known are 0 FLOAT, 1 SAMPLER"),
        (struct.pack("<iii", 1, 0, 3), "3 is no SamplerKind"),
        (struct.pack("<iiiff", 1, 0, 0, 2.0, 1.0), r"from UNIFORM \[2.0, 1.0\]"),
        (struct.pack("<iiiff", 1, 0, 1, 0.0, -1.0), "from GAUSSIAN"),
        (struct.pack("<iiiff", 1, 0, 1, float("nan"), 1.0), "from GAUSSIAN"),
        (struct.pack("<iiii3f", 1, 0, 2, 3, 1.0, 2.0, 3.0), "from MULTIRANGEUNIFORM"),
        (struct.pack("<iiii", 1, 0, 2, 0), r"from MULTIRANGEUNIFORM \[\]"),
    ],
)
def test_a_parameter_that_means_nothing_gets_a_sentence(tail, sentence):
    with pytest.raises(UnitySideChannelException, match=f"environment parameter 'a': .*{sentence}"):
        player_side.read_parameter(struct.pack("<i1s", 1, b"a") + tail)


@given(st.builds(EngineConfig, INT32, INT32, INT32, FLOAT32, INT32, INT32))
def test_the_player_reads_the_whole_engine_configuration_in_order(config):
    channel = EngineConfigurationChannel()
    channel.set_configuration(config)
    read = [player_side.read_engine(payload) for payload in sent(channel)]
    assert [name for setting in read for name in setting] == list(EngineConfig._fields)
    assert EngineConfig(**{name: value for setting in read for name, value in setting.items()}) == config


def test_only_settings_that_are_given_are_sent():
    channel = EngineConfigurationChannel()
    channel.set_configuration_parameters(time_scale=3.0)
    channel.set_configuration_parameters(width=80, height=60)
    channel.set_configuration_parameters()
    assert sent(channel) == [struct.pack("<if", 2, 3.0), struct.pack("<iii", 0, 80, 60)]
    assert EngineConfig.default_config() == (80, 80, 1, 20.0, -1, 60)


@pytest.mark.parametrize("half", ["width", "height"])
def test_half_a_resolution_is_refused(half):
    channel = EngineConfigurationChannel()
    with pytest.raises(UnitySideChannelException, match=r"screen resolution: .*give both or neither"):
        channel.set_configuration_parameters(**{half: 80})
    assert sent(channel) == []


def test_an_unknown_engine_setting_gets_a_sentence():
    with pytest.raises(UnitySideChannelException, match="engine configuration: 5 is no EngineSetting"):
        player_side.read_engine(struct.pack("<i", 5))


def test_both_sides_set_float_properties():
    channel = FloatPropertiesChannel()
    channel.set_property("a", 0.5)
    assert [player_side.read_float_property(payload) for payload in sent(channel)] == [("a", 0.5)]
    channel.on_message_received(IncomingMessage(player_side.float_property("a", 2.0)))
    channel.on_message_received(IncomingMessage(player_side.float_property("b", 3.0)))
    assert [channel.get_property(key) for key in ("a", "b", "c")] == [2.0, 3.0, None]
    assert channel.list_properties() == ["a", "b"]
    copy = channel.get_property_dict_copy()
    copy["a"] = 9.0
    assert channel.get_property("a") == 2.0
    assert FloatPropertiesChannel(UUID(int=1)).channel_id == UUID(int=1)


@given(st.lists(st.tuples(ASCII, FLOAT32, st.sampled_from(StatsAggregationMethod))))
def test_statistics_are_kept_in_order_until_somebody_asks(stats):
    channel = StatsSideChannel()
    blob = b"".join(player_side.frame(player_side.STATISTICS, player_side.stat(*one)) for one in stats)
    SideChannelManager([channel]).process_side_channel_message(blob)
    expected = {key: [(value, method) for other, value, method in stats if other == key] for key, _, _ in stats}
    assert channel.get_and_reset_stats() == expected
    assert channel.get_and_reset_stats() == {}


def test_an_unknown_aggregation_gets_a_sentence():
    payload = player_side.stat("speed", 1.0)[:-4] + struct.pack("<i", 4)
    with pytest.raises(UnitySideChannelException, match="speed: 4 is no aggregation; known are 0 AVERAGE"):
        StatsSideChannel().on_message_received(IncomingMessage(payload))


def test_raw_bytes_go_both_ways():
    channel = RawBytesChannel(uuid4())
    channel.send_raw_data(bytearray(b"abc"))
    assert sent(channel) == [b"abc"]
    for word in (b"x", b""):
        channel.on_message_received(IncomingMessage(word))
    assert channel.get_and_clear_received_messages() == [b"x", b""]
    assert channel.get_and_clear_received_messages() == []


def test_the_player_is_told_who_drives_it():
    channel = DefaultTrainingAnalyticsSideChannel()
    channel.environment_initialized()
    (payload,) = sent(channel)
    wrapped, info = Any.FromString(payload), TrainingEnvironmentInitialized()
    assert wrapped.type_url == "type.googleapis.com/communicator_objects.TrainingEnvironmentInitialized"
    assert wrapped.Unpack(info)
    assert info.mlagents_envs_version == mlagents_envs.__version__
    assert info.python_version.count(".") == 2
    assert (info.mlagents_version, info.torch_version, info.torch_device_type) == ("Custom", "Unknown", "Unknown")
