"""Observations that are sent as PNG: images in a row, and the output channel of each of their channels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.stacks import fill_missing

Array = NDArray[Any]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SMALLEST_PNG = 8 + 25 + 12 + 12  # bytes: signature, header, and the frames of its data and its end
PER_CHANNEL = 4  # planes that a channel can be averaged from, and images that may be sent for it
_MODES = ("L", "RGB", "RGBA")


def decode_png(data: bytes, shape: Sequence[int], mapping: Sequence[int] = ()) -> Array:
    """Return the (channels, height, width) float32 from 0 to 1 that concatenated PNG images stand for.

    mapping: for each channel of all images together, the output channel that it is averaged into, -1 for none. Without
    one, a single output channel is the mean of the first image, and several are the first ones. Frames of a stack that
    are missing may be one image each (see `stacks`).
    Raises UnityObservationException if the bytes are no images, or not of that shape, or if there are more of them, or
    a longer mapping, than so many channels need: no more than these are decoded.
    """
    channels, height, width = shape
    most = PER_CHANNEL * channels
    if len(mapping) > most:
        raise UnityObservationException(f"a mapping is for {len(mapping)} channels; the sensor has {channels}")
    parts = _split(data, len(mapping) or most)
    if not mapping:
        parts = parts[:channels]  # each has a channel or more
    images = [_pixels(part, height, width) for part in parts]
    if not mapping and channels == 1:
        return _shares(images[0].mean(axis=0, dtype=np.float32, keepdims=True))
    if mapping:
        images = fill_missing(images, mapping, channels)
    planes = np.concatenate(images)
    if mapping:
        return _mapped(planes, channels, np.asarray(mapping))
    if len(planes) < channels:
        raise UnityObservationException(f"images have {len(planes)} channels together; the sensor has {channels}")
    return _shares(planes[:channels])


def encode_png(image: Array) -> bytes:
    """Return a (channels, height, width) image from 0 to 1 as PNGs of three channels each, the last filled up with 0.

    This is how Unity sends a sensor, without any mapping; a single channel is a gray picture.
    """
    planes = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if len(planes) == 1:
        planes = np.repeat(planes, 3, axis=0)
    missing = -len(planes) % 3
    planes = np.concatenate([planes, np.zeros((missing, *planes.shape[1:]), np.uint8)])
    out = io.BytesIO()
    for first in range(0, len(planes), 3):
        Image.fromarray(np.ascontiguousarray(planes[first : first + 3].transpose(1, 2, 0))).save(out, "PNG")
    return out.getvalue()


def _split(data: bytes, most: int) -> list[bytes]:
    """Return each image of `data` with what lies between it and the next: one at least, `most` at most."""
    starts = [0]
    while True:
        start = data.find(SIGNATURE, _end(data, starts[-1]))
        if start < 0:
            break
        starts.append(start)
        if len(starts) > most:
            raise UnityObservationException(f"there are more than {most} images, which is more than its channels need")
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def _end(data: bytes, start: int) -> int:
    """Return where the image that begins at `start` ends: after its chunk IEND."""
    if data[start : start + 8] != SIGNATURE:
        raise UnityObservationException(f"a compressed observation is no PNG image: it begins with {data[:8]!r}")
    at = start + 8
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + size
        if kind == b"IEND":
            return at
    raise UnityObservationException("a PNG image is cut off")


def _pixels(data: bytes, height: int, width: int) -> Array:
    """Return one image as (channels, height, width) uint8; its size is checked before a pixel is decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (width, height):
                raise UnityObservationException(
                    f"an image is {image.width} wide and {image.height} high; the sensor is {width} and {height}"
                )
            pixels = np.asarray(image if image.mode in _MODES else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnityObservationException(f"a PNG image cannot be read: {error}") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _mapped(planes: Array, channels: int, mapping: Array) -> Array:
    used = np.unique(mapping[mapping >= 0])
    if len(mapping) != len(planes):
        raise UnityObservationException(f"a mapping is for {len(mapping)} channels; the images have {len(planes)}")
    if not len(used) or used[-1] >= channels or len(used) != used[-1] + 1:
        raise UnityObservationException(f"the mapping {mapping.tolist()} does not map to {channels} channels")
    if len(used) != channels:
        raise UnityObservationException(f"the mapping {mapping.tolist()} fills {len(used)} of {channels} channels")
    kept = mapping >= 0
    if np.array_equal(mapping[kept], used):  # one to one, in order
        return _shares(planes[kept])
    return _shares(np.stack([planes[mapping == channel].mean(axis=0, dtype=np.float32) for channel in used]))


def _shares(planes: Array) -> Array:
    """Return brightness from 0 to 1."""
    shares: Array = planes / np.float32(255)
    return shares
