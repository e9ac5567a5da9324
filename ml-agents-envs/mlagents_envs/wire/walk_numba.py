"""Compiled: one walk over the bytes of a behavior's agents fills their columns.

Anything unusual ends the walk with False, and the caller reads with protobuf: errors and images, but also what is legal
and never sent (numbers that are not packed, fields given twice).
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


@compiled(inline="always")
def _varint(raw, at, end):
    """Return (number, where it ends); where it ends is -1 if it does not."""
    number = 0
    shift = 0
    while at < end and shift <= 63:
        byte = np.int64(raw[at])
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
    return 0, -1


@compiled()
def _field(raw, at, end):
    """Return (field number, kind, first byte or value, byte after it); the last is -1 if this is no field."""
    tag, at = _varint(raw, at, end)
    if at < 0:
        return 0, 0, 0, -1
    number, kind = tag >> 3, tag & 7
    if number < 1:
        return 0, 0, 0, -1
    if kind == VARINT:
        value, at = _varint(raw, at, end)
        return number, kind, value, at
    size = 4 if kind == FIXED32 else 8
    if kind == LENGTH:
        size, at = _varint(raw, at, end)
        if at < 0:
            return 0, 0, 0, -1
    elif kind != FIXED32 and kind != FIXED64:
        return 0, 0, 0, -1
    if size < 0 or size > end - at:
        return 0, 0, 0, -1
    return number, kind, at, at + size


@compiled()
def count(raw):
    """Return the number of agents in the (b,) uint8 list of them, -1 if it is no such list."""
    at, n = 0, 0
    while at < len(raw):
        number, kind, _, at = _field(raw, at, len(raw))
        if at < 0 or number != 1 or kind != LENGTH:
            return -1
        n += 1
    return n


@compiled()
def read(raw, shapes, sizes, agent, group, number, flag, mask, floats):
    """Fill the columns of n agents from the (b,) uint8 list of them; False if protobuf must read it.

    shapes: (sensors, 5) int64, rank and dimensions of each sensor; sizes: (sensors,) int64, its numbers per agent.
    agent, group: (n,) int32; number: (2, n) float32, reward and group reward; flag: (2, n) bool, done and interrupted;
    mask: (n, sum of branches) bool, True = forbidden; floats: sensor after sensor, (n, size) float32 each.
    All of them hold zeros before.
    """
    scalar = number.view(np.uint32)
    bytes_of = floats.view(np.uint8)
    at, row = 0, 0
    while at < len(raw):
        _, _, inside, end = _field(raw, at, len(raw))
        sensor, begins, masked = 0, 0, False
        while inside < end:
            field, kind, value, inside = _field(raw, inside, end)
            if inside < 0:
                return False
            if kind == FIXED32 and (field == 7 or field == 15):
                scalar[0 if field == 7 else 1, row] = _word(raw, value)
            elif kind == VARINT and (field == 8 or field == 9):
                flag[field - 8, row] = value != 0
            elif kind == VARINT and field == 10:
                agent[row] = value
            elif kind == VARINT and field == 14:
                group[row] = value
            elif field == 11:
                if kind != LENGTH or masked:
                    return False
                masked = True
                if inside - value == mask.shape[1]:
                    for branch in range(mask.shape[1]):
                        if raw[value + branch] > 1:
                            return False
                        mask[row, branch] = raw[value + branch] == 1
            elif field == 13:
                if kind != LENGTH or sensor >= len(sizes):
                    return False
                place = (begins + row * sizes[sensor]) * 4
                if not _observation(raw, value, inside, shapes[sensor], sizes[sensor], bytes_of, place):
                    return False
                begins += len(agent) * sizes[sensor]
                sensor += 1
            elif field >= 7:
                return False
        if sensor != len(sizes):
            return False
        at = end
        row += 1
    return True


@compiled()
def _observation(raw, at, end, shape, size, bytes_of, place):
    """Copy the numbers of one observation; False if it is compressed, or does not fit its sensor."""
    rank, begin, after = 0, -1, -1
    while at < end:
        field, kind, value, at = _field(raw, at, end)
        if at < 0:
            return False
        if field == 1:
            if kind != LENGTH or rank:
                return False
            while value < at:
                dimension, value = _varint(raw, value, at)
                if value < 0 or rank >= len(shape) - 1 or dimension != shape[1 + rank]:
                    return False
                rank += 1
        elif field == 2:
            if kind != VARINT or value != 0:
                return False
        elif field == 3:
            return False
        elif field == 4:
            if kind != LENGTH or begin >= 0:
                return False
            inner, inner_kind, begin, after = _field(raw, value, at)
            if after != at or inner != 1 or inner_kind != LENGTH:
                return False
    if rank != shape[0] or begin < 0 or after - begin != size * 4:
        return False
    for i in range(size * 4):
        bytes_of[place + i] = raw[begin + i]
    return True


@compiled(inline="always")
def _word(raw, at):
    low = np.uint32(raw[at]) | np.uint32(raw[at + 1]) << np.uint32(8)
    return low | np.uint32(raw[at + 2]) << np.uint32(16) | np.uint32(raw[at + 3]) << np.uint32(24)
