"""Stacks of images as Unity's StackingSensor sends them: a ring of frames, some of which may not be there yet."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlagents_envs.base_env import ActionSpec
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.codec import AgentReader
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.packages import read_package
from mlagents_envs.wire.specs import behavior_spec, brain_parameters

HEIGHT, WIDTH = 3, 4


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def frame_pictures(planes, mapping):
    """Return the PNGs of one frame; mapping: which of its channels each channel of the pictures shows."""
    pixels = [np.zeros((HEIGHT, WIDTH), np.uint8) if channel < 0 else planes[channel] for channel in mapping]
    return [png(np.dstack(pixels[first : first + 3])) for first in range(0, len(pixels), 3)]


def stacked_mapping(frames, channels, frame_mapping):
    padded = (len(frame_mapping) + 2) // 3 * 3
    mapping = []
    for i in range(frames):
        for j in range(padded):
            used = j < len(frame_mapping) and frame_mapping[j] >= 0
            mapping.append(frame_mapping[j] + channels * i if used else -1)
    return mapping


def stack(frames, channels, missing, *, seed=0, empty=0, one_each=False, frame_mapping=None):
    """Return (bytes, mapping, what is seen) of a stack whose first frames are missing.

    empty: color of the single image that stands for a missing frame; one_each: as many images as a frame has.
    """
    if frame_mapping is None:
        frame_mapping = [0, 0, 0] if channels == 1 else list(range(channels))
    padded = frame_mapping + [-1] * (-len(frame_mapping) % 3)
    pixels = np.random.default_rng(seed).integers(1, 256, (frames, channels, HEIGHT, WIDTH), np.uint8)
    nothing = png(np.full((HEIGHT, WIDTH, 3), empty, np.uint8))
    parts = [nothing] * missing * (len(padded) // 3 if one_each else 1)
    for frame in range(missing, frames):
        parts += frame_pictures(pixels[frame], padded)
    pixels[:missing] = empty if len(padded) == 3 else 0
    seen = pixels.reshape(frames * channels, HEIGHT, WIDTH).astype(np.float32) / np.float32(255)
    return b"".join(parts), stacked_mapping(frames, channels, frame_mapping), seen


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 6), st.integers(1, 13), st.integers(0, 99), st.booleans())
def test_a_stack_is_read_with_black_frames_for_those_that_are_missing(data, frames, channels, seed, one_each):
    missing = data.draw(st.integers(0, frames - 1))
    raw, mapping, seen = stack(frames, channels, missing, seed=seed, one_each=one_each)
    got = decode_png(raw, (frames * channels, HEIGHT, WIDTH), mapping)
    assert np.allclose(got, seen, atol=1e-6)


@pytest.mark.parametrize(("frames", "missing"), [(2, 1), (4, 3), (3, 2)])
def test_an_empty_frame_that_is_not_black_means_nothing_either(frames, missing):
    raw, mapping, seen = stack(frames, 4, missing, empty=205)
    assert np.allclose(decode_png(raw, (frames * 4, HEIGHT, WIDTH), mapping), seen, atol=1e-6)


def test_a_gray_stack_averages_the_three_channels_of_each_frame():
    raw, mapping, seen = stack(3, 1, 1)
    assert mapping == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert np.allclose(decode_png(raw, (3, HEIGHT, WIDTH), mapping), seen, atol=1e-6)


def test_a_stack_of_a_sensor_that_has_a_mapping_of_its_own():
    raw, mapping, seen = stack(3, 2, 2, frame_mapping=[1, -1, -1, 0])
    assert mapping == [1, -1, -1, 0, -1, -1, 3, -1, -1, 2, -1, -1, 5, -1, -1, 4, -1, -1]
    assert raw.count(b"\x89PNG") == 4
    assert np.allclose(decode_png(raw, (6, HEIGHT, WIDTH), mapping), seen, atol=1e-6)


def test_a_mapping_that_fits_several_kinds_of_stack_is_read_by_its_number_of_images():
    # 36 channels in a row are six frames of six, four of nine, three of twelve ...
    for frames, channels in ((6, 6), (4, 9), (3, 12), (2, 18)):
        for missing in range(frames):
            raw, mapping, seen = stack(frames, channels, missing)
            assert mapping == list(range(36))
            assert np.allclose(decode_png(raw, (36, HEIGHT, WIDTH), mapping), seen, atol=1e-6)


def test_a_stack_in_a_message_of_a_package_with_channels_last():
    raw, mapping, seen = stack(2, 4, 1)
    listed = UnityRLOutputProto.ListAgentInfoProto()
    observation = listed.value.add().observations.add(
        shape=[HEIGHT, WIDTH, 8], dimension_properties=[2, 2, 1], compression_type=1, compressed_data=raw,
        compressed_channel_mapping=mapping,
    )  # fmt: skip
    assert observation.compressed_data.count(b"\x89PNG") == 3
    described = behavior_spec(brain_parameters("B", ActionSpec(1, ())), listed.value[0])
    reader = AgentReader("B", described, read_package("2.0.1"))
    assert np.allclose(reader.read(listed.SerializeToString())[0].obs[0][0], seen, atol=1e-6)


def test_a_first_image_that_shows_something_is_no_missing_frame():
    pixels = np.random.default_rng(0).integers(1, 256, (3, HEIGHT, WIDTH, 3), np.uint8)
    raw = b"".join(png(picture) for picture in pixels)
    with pytest.raises(UnityObservationException, match="a mapping is for 12 channels; the images have 9"):
        decode_png(raw, (8, HEIGHT, WIDTH), stacked_mapping(2, 4, [0, 1, 2, 3]))


@pytest.mark.parametrize(
    ("channels", "mapping"),
    [
        (8, [0, 1, 2, 3, -1, -1, 4, 5, 6, 7, -1]),  # not whole images
        (8, [0, 1, 2, 3, -1, -1, 4, 5, 7, 6, -1, -1]),  # the frames differ
        (8, [0, 1, 2, 3, -1, -1, 4, 5, 6, -1, 7, -1]),
        (7, [0, 1, 2, 3, -1, -1, 4, 5, 6, -1, -1, -1]),
        (8, [4, 5, 6, 7, -1, -1, 0, 1, 2, 3, -1, -1]),
    ],
)
def test_too_few_images_for_a_mapping_of_no_stack_are_refused(channels, mapping):
    raw, _, _ = stack(2, 4, 1)
    with pytest.raises(UnityObservationException, match=f"a mapping is for {len(mapping)} channels; the images have 9"):
        decode_png(raw, (channels, HEIGHT, WIDTH), mapping)


def test_even_the_newest_frame_cannot_be_missing():
    raw = png(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) * 2
    with pytest.raises(UnityObservationException, match="a mapping is for 12 channels; the images have 6"):
        decode_png(raw, (8, HEIGHT, WIDTH), stacked_mapping(2, 4, [0, 1, 2, 3]))
