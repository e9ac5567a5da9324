"""The frames for the page: a short JSON object with facts, and the shapes as numbers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlagents_envs.examples.drawing import Drawing

LENGTH = struct.Struct("<I")


def encode(facts: Mapping[str, Any], drawing: Drawing) -> bytes:
    """Return a frame: four bytes with the length of the JSON that follows, padded to whole fours, then float32.

    The numbers are 13 for each box, 13 for each sphere, and 3 for each agent; the JSON has the number of each.
    """
    count = {"boxes": len(drawing.boxes), "spheres": len(drawing.spheres), "agents": len(drawing.agents)}
    text = json.dumps({**facts, "count": count}, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    numbers = (column.astype("<f4").tobytes() if column.dtype == np.float32 else column.tobytes()
               for column in (drawing.boxes, drawing.spheres, drawing.agents))  # fmt: skip
    return b"".join((LENGTH.pack(len(text)), text, *numbers))


def decode(frame: bytes) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
    """Return the facts, and boxes (k, 13), spheres (k, 13) and agents (k, 3)."""
    (length,) = LENGTH.unpack_from(frame)
    facts: dict[str, Any] = json.loads(frame[LENGTH.size : LENGTH.size + length])
    numbers = np.frombuffer(frame, "<f4", offset=LENGTH.size + length)
    count = facts["count"]
    ends = np.cumsum([13 * count["boxes"], 13 * count["spheres"]])
    boxes, spheres, agents = np.split(numbers, ends)
    return facts, [boxes.reshape(-1, 13), spheres.reshape(-1, 13), agents.reshape(-1, 3)]
