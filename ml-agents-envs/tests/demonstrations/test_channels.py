"""Images of every release come out with their channels first, or with a warning where nobody can tell."""

import logging

import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.demonstrations.file import read
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.wire.images import encode_png
from mlagents_envs.wire.stacks import stack_mapping

from .conftest import header, pieces, record, write_file

NONE, MOVES, UNSPECIFIED = DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.UNSPECIFIED
LAST, FIRST = (2, 2, 1), (1, 2, 2)  # the properties of each shape, as Unity numbers them


def image(channels=3, seed=0):
    """Return (channels, 4, 5) numbers that a PNG can hold."""
    return (np.random.default_rng(seed).integers(0, 256, (channels, 4, 5)) / np.float32(255)).astype(np.float32)


def made(path, shape, properties, *numbers):
    records = [record([(shape, properties, seen, "Camera")], discrete=[0]) for seen in numbers]
    return write_file(path, header(branches=(3,)), records)


def warnings(caplog):
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


@pytest.mark.parametrize("images", ["auto", "channels_first", "channels_last"])
@pytest.mark.parametrize("properties", [(), LAST])
@pytest.mark.parametrize("png", [True, False])
def test_shapes_with_channels_last_are_turned_in_the_specification_and_the_numbers(tmp_path, png, properties, images, caplog):
    seen = image()
    demonstration = read(
        made(tmp_path / "a.demo", (4, 5, 3), properties, encode_png(seen) if png else seen.transpose(1, 2, 0)), images=images
    )
    assert demonstration.spec.observation_specs == [ObservationSpec((3, 4, 5), (NONE, MOVES, MOVES), ObservationType.DEFAULT, "Camera")]
    assert np.array_equal(demonstration.obs[0][0], seen)
    assert warnings(caplog) == []


@pytest.mark.parametrize("images", ["auto", "channels_first", "channels_last"])
def test_a_png_below_channels_first_is_taken_as_it_is(tmp_path, images, caplog):
    demonstration = read(made(tmp_path / "a.demo", (3, 4, 5), FIRST, encode_png(image())), images=images)
    assert np.array_equal(demonstration.obs[0][0], image())
    assert warnings(caplog) == []


def test_a_stack_whose_first_frame_is_missing_is_read(tmp_path):
    black, frame = encode_png(np.zeros((3, 4, 5), np.float32)), image(4)
    sensor = ((8, 4, 5), FIRST, black + encode_png(frame), "Stack", stack_mapping(2, 4))
    seen = read(write_file(tmp_path / "a.demo", header(branches=(3,)), [record([sensor])])).obs[0][0]
    assert np.array_equal(seen, np.concatenate([np.zeros_like(frame), frame]))


@pytest.mark.parametrize("properties", [FIRST, (0, 0, 0)])
def test_numbers_below_channels_first_are_read_as_the_setting_says(tmp_path, properties, caplog):
    first = made(tmp_path / "first.demo", (3, 4, 5), properties, image())
    last = made(tmp_path / "last.demo", (3, 4, 5), properties, image().transpose(1, 2, 0))
    for file, images in ((first, "channels_first"), (last, "channels_last")):
        assert np.array_equal(read(file, images=images).obs[0][0], image())
    assert warnings(caplog) == []
    assert not np.array_equal(read(last, images="channels_first").obs[0][0], image())
    assert np.array_equal(read(first).obs[0][0], image())
    (message,) = warnings(caplog)
    for words in ("first.demo: sensor 0 'Camera' of shape (3, 4, 5)", "`images: channels_last`", "`images: channels_first`"):
        assert words in message


def test_the_warning_comes_once_a_file_however_it_grows(tmp_path, caplog):
    file = made(tmp_path / "a.demo", (3, 4, 5), FIRST, *[image(seed=k) for k in range(6)])
    assert sum(len(part) for part in pieces(file, (0.3, 0.6, 0.9))) == 6
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("shape", "properties"),
    [((1, 4, 5), FIRST), ((3, 1, 1), FIRST), ((20,), (1,)), ((4, 5), (4, 1)), ((4, 5, 1), LAST), ((4, 5, 3), LAST), ((4, 5, 3), ())],
)  # fmt: skip
def test_nothing_is_doubted_where_there_is_but_one_order(tmp_path, shape, properties, caplog):
    read(made(tmp_path / "a.demo", shape, properties, np.zeros(shape)))
    assert warnings(caplog) == []


def test_one_channel_is_the_same_in_either_order(tmp_path):
    file = made(tmp_path / "a.demo", (1, 4, 5), FIRST, image(1))
    assert all(np.array_equal(read(file, images=images).obs[0][0], image(1)) for images in ("channels_first", "channels_last"))


@pytest.mark.parametrize("properties", [(NONE, MOVES, MOVES), (UNSPECIFIED,) * 3, ()])
def test_what_we_record_has_its_channels_first(tmp_path, properties):
    spec = BehaviorSpec([ObservationSpec((3, 4, 5), properties, ObservationType.DEFAULT, "Camera")], ActionSpec(0, (3,)))
    with DemonstrationRecorder(tmp_path / "a.demo", "B", spec) as recorder:
        recorder.record([image()], 0.0)
    again = read(tmp_path / "a.demo")
    assert np.array_equal(again.obs[0][0], image())
    assert again.spec.observation_specs[0].shape == (3, 4, 5)
    assert again.spec.observation_specs[0].dimension_property == (properties or (UNSPECIFIED,) * 3)


def test_a_png_of_another_size_is_refused_with_its_place(tmp_path):
    file = made(tmp_path / "a.demo", (3, 5, 4), FIRST, encode_png(image()))
    with pytest.raises(DemonstrationException, match=r"a\.demo: record 0 has sensor 0 'Camera' of shape \(3, 5, 4\) that cannot"):
        read(file)
