"""What a hostile player can make us use: whatever it sends, no more than a few times the bytes that it sends."""

import io
import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.exception import UnityException, UnitySideChannelException
from mlagents_envs.side_channel import float_properties_channel, raw_bytes_channel, stats_side_channel
from mlagents_envs.side_channel.float_properties_channel import FloatPropertiesChannel
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage
from mlagents_envs.side_channel.raw_bytes_channel import RawBytesChannel
from mlagents_envs.side_channel.side_channel_manager import SideChannelManager
from mlagents_envs.side_channel.stats_side_channel import StatsSideChannel
from mlagents_envs.wire.codec import AgentReader, first_agent, read_message
from mlagents_envs.wire.fields import VARINT, block, varint
from mlagents_envs.wire.specs import behavior_spec

SIZE = 8 * 2**20  # bytes of a message
FACTOR = 4  # times the bytes of the message, which is there already
BASE = 20 * 2**20  # bytes that any message may take: `FREE` rows, and what is loaded when it is first needed


def png(height=84, width=84):
    out = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def spec(*shapes, branches=()):
    sensors = [
        ObservationSpec(shape, (DimensionProperty.NONE,) * len(shape), ObservationType.DEFAULT, "s") for shape in shapes
    ]
    return BehaviorSpec(sensors, ActionSpec(1, branches))


def many(unit):
    return unit * (SIZE // len(unit))


def image(data, mapping=b""):
    """Return an agent that sees an image of 3 channels."""
    seen = block(1, b"\x03\x54\x54") + varint(2 << 3 | VARINT) + b"\x01" + block(3, data)
    return block(1, block(13, seen + (block(5, mapping) if mapping else b"")))


def output(rl=b"", initialization=b""):
    return block(1, b"\x08\xc8\x01") + block(2, (block(1, rl) if rl else b"") + (block(2, initialization) if initialization else b""))


def vector(numbers):
    """Return an agent that sees a vector."""
    seen = block(1, varint(len(numbers))) + block(4, block(1, np.asarray(numbers, "<f4").tobytes()))
    return block(13, seen)


def agents(shapes, build, branches=()):
    reader = AgentReader("B", spec(*shapes, branches=branches))
    return build, reader.read


def message(build):
    return build, read_message


def described(build):
    def read(raw):
        for parameters in read_message(raw).initialization.brain_parameters[:2]:
            behavior_spec(parameters, first_agent(b""))

    return build, read


def first(build):
    return build, lambda raw: behavior_spec(BrainParametersProto(), first_agent(raw))


def side_channels(build):
    return build, SideChannelManager().process_side_channel_message


IMAGE = [(3, 84, 84)]
REFUSED = {
    "agents that carry nothing": agents(IMAGE, lambda: many(block(1, b""))),
    "agents that carry nothing, of a behavior that sees nothing": agents((), lambda: many(block(1, b"")), (100,)),
    "agents whose observation is empty": agents(IMAGE, lambda: many(block(1, block(13, b"")))),
    "agents with less than they see": agents([(2**20,)], lambda: many(block(1, vector([1.0, 2.0])))),
    "an agent of many observations": agents(IMAGE, lambda: block(1, many(block(13, b"")))),
    "an observation of many dimensions": agents(IMAGE, lambda: block(1, block(13, block(1, many(b"\x01")) + bytes(0)))),
    "many images without a mapping": agents(IMAGE, lambda: image(many(png()))),
    "many images with a long mapping": agents(IMAGE, lambda: image(many(png()), b"\x00" * (SIZE // len(png()) * 3))),
    "many images with a short mapping": agents(IMAGE, lambda: image(many(png()), b"\x00\x01\x02")),
    "a long mapping of one image": agents(IMAGE, lambda: image(png(), many(b"\xff\x01"))),
    "many behaviors": message(lambda: output(b"".join(block(2, block(1, b"%d" % n)) for n in range(SIZE // 12)))),
    "a behavior of a long name": message(lambda: output(block(2, block(1, many(b"x"))))),
    "many descriptions": described(lambda: output(initialization=many(block(5, b"")))),
    "few bytes of many descriptions": described(lambda: output(initialization=block(5, b"") * 2_000_000)),
    "a description of many texts": described(lambda: output(initialization=block(5, many(block(5, b""))))),
    "a description of many branches": described(lambda: output(initialization=block(5, block(9, b"\x10\x01" + block(3, b"\x01" * 2**21))))),
    "a first agent of many sensors": first(lambda: block(1, many(block(13, b"")))),
    "a first agent of many dimensions": first(lambda: block(1, block(13, block(1, many(b"\x01"))))),
    "a first agent of many properties": first(lambda: block(1, block(13, block(1, b"\x01") + block(8, many(b"\x01"))))),
    "side channels that end in the middle": side_channels(lambda: many(bytes(20)) + b"x"),
}  # fmt: skip
ACCEPTED = {
    "a behavior many times": message(lambda: output(many(block(2, block(1, b"name") + block(2, b""))))),
    "masks of other lengths": agents(
        [(1,)], lambda: many(block(1, block(11, bytes(1000)) + vector([1.0]))), branches=(2, 3)
    ),
    "masks of other lengths that are not packed": agents(
        [(1,)], lambda: many(block(1, (varint(11 << 3 | VARINT) + b"\x01") * 500 + vector([1.0]))), branches=(2, 3)
    ),
    "numbers": agents([(100,)], lambda: many(block(1, vector(np.ones(100))))),
    "numbers that only protobuf can read": agents(
        [(100,)], lambda: many(block(1, varint(20 << 3 | VARINT) + b"\x01" + vector(np.ones(100))))
    ),
    "agents of fields that nobody knows": agents(
        [(1,)], lambda: block(1, many(varint(99 << 3 | VARINT) + b"\x01") + vector([1.0])), branches=(2,)
    ),
    "side channels that nobody knows": side_channels(
        lambda: b"".join(number.to_bytes(16, "little") + bytes(4) for number in range(SIZE // 20))
    ),
}
CASES = REFUSED | ACCEPTED


@pytest.fixture(scope="module")
def measured():
    """Return, for each case, the sentence that the player gets and the bytes that it took to come to it."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return {case: (sentence, used) for case, sentence, used in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak between two moments")
@pytest.mark.parametrize("case", CASES)
def test_no_message_takes_more_than_a_few_times_its_bytes(measured, case):
    sentence, used = measured[case]
    assert (sentence != "accepted") == (case in REFUSED), sentence
    assert len(sentence) < 400
    assert used <= FACTOR * SIZE + BASE


def test_channels_that_nobody_knows_are_counted_and_told_a_few_times(caplog):
    manager = SideChannelManager()
    manager.process_side_channel_message(
        b"".join((number % 500).to_bytes(16, "little") + bytes(4) for number in range(1000))
    )
    assert manager.lost == 1000
    assert len(caplog.records) == 21
    assert "further ones are not logged" in caplog.text


def test_what_waits_to_be_asked_for_is_bounded(monkeypatch, caplog):
    monkeypatch.setattr(stats_side_channel, "MOST_VALUES", 3)
    monkeypatch.setattr(raw_bytes_channel, "MOST_BYTES", 3 * (10 + raw_bytes_channel.PER_MESSAGE))
    monkeypatch.setattr(float_properties_channel, "MOST_PROPERTIES", 3)
    stats, raw, properties = StatsSideChannel(), RawBytesChannel(UUID(int=1)), FloatPropertiesChannel()
    for _ in range(2):  # after being asked there is room again
        for _ in range(9):
            message = OutgoingMessage()
            message.write_string("a")
            message.write_float32(1.0)
            message.write_int32(0)
            stats.on_message_received(IncomingMessage(message.buffer))
            raw.on_message_received(IncomingMessage(bytes(10)))
        assert len(stats.get_and_reset_stats()["a"]) == len(raw.get_and_clear_received_messages()) == 3
    assert len(caplog.records) == 4
    assert "get_and_reset_stats" in caplog.text and "get_and_clear_received_messages" in caplog.text
    with pytest.raises(UnitySideChannelException, match="more than 3 properties"):
        for number in range(4):
            message = OutgoingMessage()
            message.write_string(str(number))
            message.write_float32(1.0)
            properties.on_message_received(IncomingMessage(message.buffer))


def peak():
    """Return the most memory this process had since it was last asked, in bytes."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def measure(build, use):
    """Return the sentence that a message gets, and how many bytes of memory it took."""
    raw = build()
    peak()
    before = 1024 * int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])
    try:
        use(raw)
    except UnityException as error:
        return str(error), peak() - before
    return "accepted", peak() - before


if __name__ == "__main__":
    AgentReader("B", spec((1,))).read(block(1, vector([1.0])))  # what is imported when it is needed
    for name, (build, use) in CASES.items():
        print(json.dumps([name, *measure(build, use)]))
