import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.images import decode_png, encode_png


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def planes(pixels):
    return (pixels if pixels.ndim == 3 else pixels[..., None]).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_an_image_of_any_number_of_channels_survives_the_journey(channels, height, width, seed):
    image = noise(channels, height, width, seed=seed) / np.float32(255)
    mapping = [*range(channels), *[-1] * (-channels % 3)]
    assert np.allclose(decode_png(encode_png(image), image.shape, mapping), image, atol=1e-6)


def test_one_image_is_three_channels():
    pixels = noise(4, 5, 3)
    got = decode_png(png(pixels), (3, 4, 5))
    assert got.dtype == np.float32
    assert np.array_equal(got, planes(pixels))


def test_a_single_channel_is_the_mean_of_the_first_image():
    first, second = noise(4, 5, 3, seed=1), noise(4, 5, 3, seed=2)
    assert np.allclose(decode_png(png(first) + png(second), (1, 4, 5)), planes(first).mean(0, keepdims=True), atol=1e-6)


def test_images_one_after_another_are_channels_one_after_another():
    first, second = noise(4, 5, 3, seed=1), noise(4, 5, 3, seed=2)
    got = decode_png(png(first) + png(second), (4, 4, 5))
    assert np.array_equal(got, np.concatenate([planes(first), planes(second)])[:4])


def test_a_mapping_averages_drops_and_orders_channels():
    first, second = noise(4, 5, 3, seed=1), noise(4, 5, 3, seed=2)
    both = np.concatenate([planes(first), planes(second)])
    got = decode_png(png(first) + png(second), (2, 4, 5), [1, -1, -1, 0, 0, 1])
    assert np.allclose(got, [both[[3, 4]].mean(0), both[[0, 5]].mean(0)], atol=1e-6)


def test_two_frames_of_four_channels_come_as_unity_packs_them():
    frames = [noise(4, 3, 3, seed=seed) / np.float32(255) for seed in (1, 2)]
    data = b"".join(encode_png(frame) for frame in frames)
    mapping = [0, 1, 2, 3, -1, -1, 4, 5, 6, 7, -1, -1]
    assert np.allclose(decode_png(data, (8, 3, 3), mapping), np.concatenate(frames), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA"])
def test_other_kinds_of_png_are_read(mode):
    out = io.BytesIO()
    Image.fromarray(noise(4, 5, 3)).convert(mode).save(out, "PNG")
    assert decode_png(out.getvalue(), (1, 4, 5)).shape == (1, 4, 5)


def test_a_picture_that_holds_the_signature_of_another_is_still_one():
    pixels = np.frombuffer(b"\x89PNG\r\n\x1a\n" * 30, np.uint8).reshape(8, 10, 3)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=0)
    assert np.array_equal(decode_png(out.getvalue(), (3, 8, 10)), planes(pixels))


@pytest.mark.parametrize(
    ("data", "shape", "mapping", "sentence"),
    [
        (b"", (3, 4, 5), (), "no PNG"),
        (b"JFIF" * 9, (3, 4, 5), (), "no PNG"),
        (png(noise(4, 5, 3))[:-8], (3, 4, 5), (), "cut off"),
        (png(noise(4, 5, 3)), (3, 5, 4), (), "5 wide and 4 high; the sensor is 4 and 5"),
        (png(noise(4, 5, 3)), (4, 4, 5), (), "3 channels together; the sensor has 4"),
        (png(noise(4, 5, 3)), (1, 4, 5), (0, 0), "a mapping is for 2 channels; the images have 3"),
        (png(noise(4, 5, 3)), (2, 4, 5), (0, 2, 2), "does not map to 2 channels"),
        (png(noise(4, 5, 3)), (1, 4, 5), (-1, -1, -1), "does not map to 1 channels"),
        (png(noise(4, 5, 3)), (1, 4, 5), (0, 1, 1), "does not map to 1 channels"),
        (png(noise(4, 5, 3)), (3, 4, 5), (0, 1, 1), "fills 2 of 3 channels"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(data, shape, mapping, sentence):
    with pytest.raises(UnityObservationException, match=sentence):
        decode_png(data, shape, mapping)


def test_a_picture_far_larger_than_its_sensor_is_refused_before_it_is_unpacked():
    out = io.BytesIO()
    Image.new("1", (60000, 60000)).save(out, "PNG")
    with pytest.raises(UnityObservationException, match="60000"):
        decode_png(out.getvalue(), (3, 4, 5))
