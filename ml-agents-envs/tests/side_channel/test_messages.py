"""Values in payloads, and payloads in records: written, read again, and damaged."""

import struct
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagents_envs.exception import UnityEnvironmentException, UnitySideChannelException
from mlagents_envs.side_channel import IncomingMessage, OutgoingMessage
from mlagents_envs.side_channel.framing import frame, records
from mlagents_envs.side_channel.identifiers import ENGINE_CONFIGURATION, STATISTICS, TRAINING_ANALYTICS

READINGS = ("bool", "int32", "float32", "float32_list", "string")
INT32 = st.integers(-(2**31), 2**31 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
ASCII = st.text(st.characters(max_codepoint=127))
VALUES = st.one_of(
    st.tuples(st.just("bool"), st.booleans()),
    st.tuples(st.just("int32"), INT32),
    st.tuples(st.just("float32"), FLOAT32),
    st.tuples(st.just("float32_list"), st.lists(FLOAT32)),
    st.tuples(st.just("string"), ASCII),
)


def written(values):
    message = OutgoingMessage()
    for kind, value in values:
        getattr(message, f"write_{kind}")(value)
    return bytes(message.buffer)


@given(st.lists(VALUES))
def test_what_is_written_is_read_again(values):
    message = IncomingMessage(written(values))
    assert [getattr(message, f"read_{kind}")() for kind, _ in values] == [value for _, value in values]


def test_the_bytes_are_those_of_the_protocol():
    values = [("bool", True), ("int32", -2), ("float32", 1.5), ("float32_list", [0.5]), ("string", "ab")]
    expected = "01 feffffff 0000c03f 01000000 0000003f 02000000 6162"
    assert written(values) == bytes.fromhex(expected)


def test_numbers_of_numpy_are_numbers():
    message = OutgoingMessage()
    message.write_int32(np.int64(3))
    message.write_float32(np.float32(0.5))
    message.write_float32_list(np.array([1.0, 2.0]))
    assert message.buffer == written([("int32", 3), ("float32", 0.5), ("float32_list", [1.0, 2.0])])


def test_past_the_last_value_readings_return_their_defaults():
    message = IncomingMessage(b"")
    assert [getattr(message, f"read_{kind}")() for kind in READINGS] == [False, 0, 0.0, [], ""]
    given = [True, 7, 0.5, [1.0], "x"]
    assert [getattr(message, f"read_{kind}")(value) for kind, value in zip(READINGS, given, strict=True)] == given


def test_reading_can_begin_anywhere_and_raw_bytes_are_the_whole():
    message = IncomingMessage(b"xx" + written([("int32", 5)]), 2)
    assert message.read_int32() == 5
    assert message.get_raw_bytes() == bytearray(b"xx\5\0\0\0")


@pytest.mark.parametrize(
    ("kind", "payload", "sentence"),
    [
        ("int32", b"\1\2\3", "byte 0: an int32 takes 4 bytes and 3 are left"),
        ("float32", b"\1", "a float32 takes 4 bytes and 1 are left"),
        ("float32_list", struct.pack("<if", 2**31 - 1, 1.0), "byte 4: 2147483647 float32 are announced and 4 bytes"),
        ("float32_list", struct.pack("<if", -1, 1.0), "-1 float32 are announced"),
        ("float32_list", struct.pack("<if", 2, 1.0), "2 float32 are announced and 4 bytes are left"),
        ("string", struct.pack("<i", 2**31 - 1) + b"a", "2147483647 letters are announced and 1 bytes"),
        ("string", struct.pack("<i", -5) + b"abcde", "-5 letters are announced"),
        ("string", struct.pack("<i", 2) + "é".encode(), r"byte 4: the string b'\\xc3\\xa9' is not ASCII"),
        ("string", b"\1\0", "the length of a string takes 4 bytes and 2 are left"),
    ],
)
def test_a_payload_that_breaks_off_or_lies_gets_a_sentence(kind, payload, sentence):
    with pytest.raises(UnitySideChannelException, match=sentence):
        getattr(IncomingMessage(payload), f"read_{kind}")()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int32", 2**31), ("int32", 0.5), ("float32", 1e39), ("float32", "x"), ("float32_list", [1.0, None])],
)
def test_a_value_that_does_not_fit_gets_a_sentence_and_writes_nothing(kind, value):
    message = OutgoingMessage()
    message.write_bool(True)
    with pytest.raises(UnitySideChannelException, match=r"cannot be sent.*side channels carry int32 and float32"):
        getattr(message, f"write_{kind}")(value)
    assert message.buffer == b"\1"


def test_text_that_is_not_ascii_cannot_be_written():
    with pytest.raises(UnicodeEncodeError, match=r"position 2: side channels carry ASCII only"):
        OutgoingMessage().write_string("größe")


def test_raw_bytes_replace_what_was_written_and_say_so(caplog):
    message = OutgoingMessage()
    message.set_raw_bytes(b"abc")
    assert not caplog.records
    message.set_raw_bytes(b"xy")
    assert message.buffer == b"xy"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "a message of 3 bytes is replaced by 2 raw bytes")
    ]


def test_a_record_begins_with_the_id_in_the_byte_order_of_net():
    expected = "2c3451e9 7e4f ea11 b238784f4387d1f7 03000000"
    assert frame(ENGINE_CONFIGURATION, b"abc") == bytes.fromhex(expected) + b"abc"


def test_ids_made_from_names_are_the_known_ones():
    assert UUID("a1d8f7b7-cec8-50f9-b78b-d3e165a78520") == STATISTICS
    assert UUID("b664a4a9-d86f-5a5f-95cb-e8353a7e8356") == TRAINING_ANALYTICS


@given(st.lists(st.tuples(st.uuids(), st.binary(max_size=50))))
def test_records_are_found_again_in_their_order(pairs):
    assert records(b"".join(frame(channel, payload) for channel, payload in pairs)) == pairs


@given(st.tuples(st.uuids(), st.binary(max_size=50)), st.data())
def test_a_record_that_breaks_off_is_refused(record, data):
    whole = frame(*record)
    with pytest.raises(UnityEnvironmentException, match="versions of the player and of this package"):
        records(whole + whole[: data.draw(st.integers(1, len(whole) - 1))])


@pytest.mark.parametrize("size", [-1, 5, 2**31 - 1])
def test_a_wrong_length_names_the_channel(size):
    blob = ENGINE_CONFIGURATION.bytes_le + struct.pack("<i", size) + b"abcd"
    with pytest.raises(UnityEnvironmentException, match=f"{ENGINE_CONFIGURATION}: a payload of {size} bytes.* 4 are"):
        records(blob)
