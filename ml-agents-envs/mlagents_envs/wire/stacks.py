"""Stacks of images: several frames of one sensor, the oldest first, that Unity sends as PNG with a mapping.

The mapping of a frame is filled up with -1 to a multiple of 3, since a PNG has three channels, and repeated for each
frame, its channels counted on. A frame of more than three channels is several PNGs. Up to 4.0.1, a frame that is
missing because the episode is younger than the stack is a single one, whatever the frame has; it means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PER_IMAGE = 3  # channels of a PNG


def frame_mapping(channels: int) -> list[int]:
    """Return the mapping of one frame, before it is filled up; a gray one has three equal channels."""
    return [0, 0, 0] if channels == 1 else list(range(channels))


def stack_mapping(frames: int, channels: int) -> list[int]:
    """Return the mapping of a stack whose frames have so many channels each."""
    frame = frame_mapping(channels)
    frame += [-1] * (-len(frame) % PER_IMAGE)
    return [-1 if channel < 0 else channel + number * channels for number in range(frames) for channel in frame]


def fill_missing(images: list[Array], mapping: Sequence[int], channels: int) -> list[Array]:
    """Return the images of a stack with black ones for each frame that came as a single image.

    images: (3, height, width) each. mapping: for the channels of all frames. channels: of the stack.
    What is no such stack is returned as it is.
    """
    total = len(mapping) // PER_IMAGE
    lacking = total - len(images)
    if lacking <= 0 or len(mapping) % PER_IMAGE or any(len(image) != PER_IMAGE for image in images):
        return images
    for frames in range(min(channels, total), 1, -1):
        per_frame = total // frames
        if total % frames or channels % frames or per_frame == 1 or lacking % (per_frame - 1):
            continue
        missing = lacking // (per_frame - 1)
        if missing < frames and _repeats(np.asarray(mapping), frames, channels // frames) and _blank(images[:missing]):
            return [np.zeros_like(images[0])] * (missing * per_frame) + images[missing:]
    return images


def _repeats(mapping: Array, frames: int, channels: int) -> bool:
    """Is this the mapping of so many frames of so many channels each?"""
    rows = mapping.reshape(frames, -1)
    first = rows[0]
    counted = np.where(first >= 0, first + channels * np.arange(frames)[:, None], -1)
    return bool(first.max() < channels and (rows == counted).all())


def _blank(images: list[Array]) -> bool:
    """Are these the same single color? Releases before 2.0 do not make it black."""
    return all((image == images[0][0, 0, 0]).all() for image in images)
