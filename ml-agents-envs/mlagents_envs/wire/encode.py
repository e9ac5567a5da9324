"""Encodes the messages of players: from columns to bytes.

What agents of a behavior have in common is prepared once, and their own bytes are laid over copies of it, all agents at
once. Fields come in the order of their numbers, as protobuf writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec, DecisionSteps, ObservationSpec, TerminalSteps
from mlagents_envs.communicator_objects.observation_pb2 import PNG, ObservationProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.fields import FIXED32, LENGTH, VARINT, block, varint
from mlagents_envs.wire.images import encode_png
from mlagents_envs.wire.packages import CURRENT, Package
from mlagents_envs.wire.stacks import PER_IMAGE, stack_mapping

Array = NDArray[Any]
Steps = DecisionSteps | TerminalSteps
_SHIFTS = np.arange(0, 70, 7, dtype=np.uint64)  # of the seven bits in each byte of a varint
_LONGER = np.uint64(1) << _SHIFTS[1:]  # the first number that needs 2, 3, ... bytes


class Form(NamedTuple):
    """What determines the bytes that agents have in common."""

    done: bool
    masked: bool
    agent_width: int  # bytes of the agent's id
    group_width: int  # bytes of the group's id, 0 if there is neither a group nor a group reward


class Template(NamedTuple):
    """Bytes of an agent, with zeros where its own go."""

    common: Array  # (length,) uint8
    slots: dict[str, slice]  # which bytes each column fills
    cuts: dict[int, int]  # sensor -> the byte before which its image goes


class AgentWriter:
    """Turns the steps of one behavior to bytes."""

    def __init__(
        self, spec: BehaviorSpec, compressed: Collection[int] = (), *, package: Package = CURRENT,
        stacks: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        """compressed: which sensors, counted from 0, travel as PNG. package: the release that writes them.

        stacks: sensor -> frames that it has, for those that are stacks of images, the oldest first. As in Unity, a
        compressed stack has a mapping, and its first frames, as long as they are black, are one image each.
        Raises UnityObservationException if a compressed sensor is none of (channels, height, width), or if its channels
        are no multiple of its frames.
        """
        shapes = [sensor.shape for sensor in spec.observation_specs]
        for index in compressed:
            if index not in range(len(shapes)) or len(shapes[index]) != 3:
                raise UnityObservationException(
                    f"sensor {index} cannot travel as PNG: only sensors of (channels, height, width) can, "
                    f"and the shapes are {shapes}"
                )
        self._stacks = dict(stacks or {})
        for index, frames in self._stacks.items():
            if index not in compressed or frames < 1 or shapes[index][0] % frames:
                raise UnityObservationException(
                    f"sensor {index} is no stack of {frames} frames that travels as PNG: the shapes are {shapes}, and "
                    f"sensors {sorted(compressed)} are compressed"
                )
        self._spec = spec
        self._compressed = frozenset(compressed)
        ways = [package.sent(sensor) for sensor in spec.observation_specs]
        self._sensors = [sensor for sensor, _ in ways]  # as they are sent
        self._numbers_last = [last for _, last in ways]  # uncompressed as (height, width, channels)
        self._templates: dict[Form, Template] = {}

    def write(self, decision: DecisionSteps, terminal: TerminalSteps) -> bytes:
        """Return the steps as a `ListAgentInfoProto`: agents whose episode ended, then those that ask, in their order.

        Those in `decision.ended` come before the end of theirs that follows. Raises UnityObservationException for
        observations of another shape than the specification's.
        """
        asking_columns: dict[str, Array] = {}
        if decision.action_mask and (mask := np.concatenate(decision.action_mask, axis=1)).any():
            asking_columns["mask"] = mask.astype(np.uint8)
        ended = {"interrupted": np.asarray(terminal.interrupted).astype(np.uint8)[:, None]}
        if decision.ended is None:
            return b"".join([*self._agents(terminal, ended), *self._agents(decision, asking_columns)])
        over, asking = self._agents(terminal, ended, apart=True), self._agents(decision, asking_columns, apart=True)
        parts, begin = [], 0
        for line, end in zip(asking, _ends_before(decision, terminal), strict=True):
            parts += [*over[begin:end], line]
            begin = end
        return b"".join([*parts, *over[begin:]])

    def _agents(self, steps: Steps, columns: dict[str, Array], *, apart: bool = False) -> list[bytes]:
        """Return the bytes of each agent, or of all of them in one if that is faster and not `apart`.

        columns: (n, length) uint8 of what only these steps have.
        """
        n = len(steps)
        if n == 0:
            return []
        columns |= self._columns(steps)
        alone = ~(columns["group"].any(axis=1) | columns["group_reward"].any(axis=1))
        # two widths of at most 10 in one number
        widths = _width(steps.agent_id) * 16 + np.where(alone, 0, _width(steps.group_id))
        lines = [b""] * n
        for width in set(widths.tolist()):  # mostly one
            form = Form("interrupted" in columns, "mask" in columns, *divmod(width, 16))
            rows = np.flatnonzero(widths == width)
            raw = self._fill(form, columns, rows)
            if len(rows) == n and not self._compressed and not apart:
                return [raw]
            length = len(raw) // len(rows)
            for begin, row in zip(range(0, len(raw), length), rows.tolist(), strict=True):
                line = raw[begin : begin + length]
                lines[row] = self._with_images(form, line, steps.obs, row) if self._compressed else line
        return lines

    def _columns(self, steps: Steps) -> dict[str, Array]:
        """Return the bytes of all numbers, (n, length) uint8 each; ids are as long as any id can be."""
        columns = {
            "reward": _floats(steps.reward),
            "agent": _varints(steps.agent_id),
            "group": _varints(steps.group_id),
            "group_reward": _floats(steps.group_reward),
        }
        for index, (sensor, column) in enumerate(zip(self._spec.observation_specs, steps.obs, strict=True)):
            if column.shape != (len(steps), *sensor.shape):
                raise UnityObservationException(
                    f"sensor '{sensor.name}': the observations of {len(steps)} agents have the shape {column.shape}; "
                    f"it must be {(len(steps), *sensor.shape)}"
                )
            if index not in self._compressed:
                moved = column.transpose(0, 2, 3, 1) if self._numbers_last[index] else column
                columns[_slot(index)] = _floats(moved)
        return columns

    def _fill(self, form: Form, columns: dict[str, Array], rows: Array) -> bytes:
        """Return the bytes of the agents in these rows, all of one form; images are missing."""
        template = self._template(form)
        out = np.empty((len(rows), len(template.common)), np.uint8)
        out[:] = template.common
        for name, slot in template.slots.items():
            out[:, slot] = columns[name][rows][:, : slot.stop - slot.start]
        return out.tobytes()

    def _with_images(self, form: Form, line: bytes, obs: list[Array], row: int) -> bytes:
        """Return the bytes of one agent, into which its images are put."""
        parts, begin = [], 0
        for sensor, end in self._template(form).cuts.items():
            parts += [line[begin:end], self._image(sensor, obs[sensor][row])]
            begin = end
        return block(1, b"".join([*parts, line[begin:]]))

    def _image(self, index: int, image: Array) -> bytes:
        """Return the bytes of a (channels, height, width) observation; only a stack has a mapping."""
        frames = self._stacks.get(index)
        data = encode_png(image) if frames is None else _stack(image, frames)
        mapping = [] if frames is None else stack_mapping(frames, len(image) // frames)
        before, after = _around(self._sensors[index], mapping)
        return block(13, before + varint(2 << 3 | VARINT) + varint(PNG) + block(3, data) + after)

    def _template(self, form: Form) -> Template:
        if form not in self._templates:
            spec = BehaviorSpec(self._sensors, self._spec.action_spec)
            self._templates[form] = _template(spec, self._compressed, form)
        return self._templates[form]


def _ends_before(decision: DecisionSteps, terminal: TerminalSteps) -> list[int]:
    """Return for each decision step how many ends come before it: all but those that must follow."""
    before = np.full(len(decision), len(terminal))
    if decision.ended is not None:
        rows = np.flatnonzero(decision.ended)
        before[rows] = [terminal.agent_id_to_index[agent] for agent in np.asarray(decision.agent_id)[rows].tolist()]
    fewest: list[int] = np.minimum.accumulate(before[::-1])[::-1].tolist()  # both keep their order
    return fewest


def _stack(image: Array, frames: int) -> bytes:
    """Return a stack of frames as PNGs; of those that are missing, one each."""
    parts = np.split(image, frames)
    young = next((number for number, part in enumerate(parts) if part.any()), frames)
    missing = min(young, frames - 1)  # the newest is always there
    nothing = encode_png(np.zeros((PER_IMAGE, *image.shape[1:]), np.float32)) if missing else b""
    return nothing * missing + b"".join(encode_png(part) for part in parts[missing:])


def _template(spec: BehaviorSpec, compressed: Collection[int], form: Form) -> Template:
    line = bytearray()
    slots: dict[str, slice] = {}
    cuts: dict[int, int] = {}

    def leave(name: str, length: int) -> None:
        slots[name] = slice(len(line), len(line) + length)
        line.extend(bytes(length))

    line += varint(7 << 3 | FIXED32)
    leave("reward", 4)
    if form.done:
        line += varint(8 << 3 | VARINT) + varint(1) + varint(9 << 3 | VARINT)
        leave("interrupted", 1)
    line += varint(10 << 3 | VARINT)
    leave("agent", form.agent_width)
    if form.masked:
        size = sum(spec.action_spec.discrete_branches)
        line += varint(11 << 3 | LENGTH) + varint(size)
        leave("mask", size)
    for index, sensor in enumerate(spec.observation_specs):
        if index in compressed:
            cuts[index] = len(line)
            continue
        before, after = _around(sensor, [])
        size = 4 * int(np.prod(sensor.shape))
        data = block(4, block(1, bytes(size)))
        whole = block(13, before + data + after)
        line += whole[: len(whole) - len(after) - size]
        leave(_slot(index), size)
        line += after
    if form.group_width:
        line += varint(14 << 3 | VARINT)
        leave("group", form.group_width)
        line += varint(15 << 3 | FIXED32)
        leave("group_reward", 4)
    if cuts:  # the length depends on the images
        return Template(np.frombuffer(bytes(line), np.uint8), slots, cuts)
    whole = block(1, bytes(line))
    begin = len(whole) - len(line)
    moved = {name: slice(begin + slot.start, begin + slot.stop) for name, slot in slots.items()}
    return Template(np.frombuffer(whole, np.uint8), moved, cuts)


def _around(sensor: ObservationSpec, mapping: list[int]) -> tuple[bytes, bytes]:
    """Return the bytes of a sensor, as it is sent, that come before what it saw, and those that come after."""
    after = ObservationProto(
        compressed_channel_mapping=mapping,
        dimension_properties=[int(meaning) for meaning in sensor.dimension_property],
        observation_type=sensor.observation_type.value,
        name=sensor.name,
    )
    return ObservationProto(shape=sensor.shape).SerializeToString(), after.SerializeToString()


def _slot(sensor: int) -> str:
    return f"sensor {sensor}"


def _floats(column: Array) -> Array:
    """Return the (n, length) bytes of n agents' numbers."""
    numbers: Array = np.ascontiguousarray(column, "<f4")
    return numbers.reshape(len(column), -1).view(np.uint8)


def _varints(ids: Array) -> Array:
    """Return ids as (n, 10) bytes, of which the first _width(ids) count."""
    left: Array = np.asarray(ids, np.int64).view(np.uint64)[:, None] >> _SHIFTS
    digits: Array = left & 0x7F | (left > 0x7F) * np.uint64(0x80)
    return digits.astype(np.uint8)


def _width(ids: Array) -> Array:
    """Return how many bytes each id takes; protobuf writes negative numbers as if they had 64 bits."""
    width: Array = np.searchsorted(_LONGER, np.asarray(ids, np.int64).view(np.uint64), side="right") + 1
    return width
