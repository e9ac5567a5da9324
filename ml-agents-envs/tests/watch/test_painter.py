import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.examples.drawing import Drawing, about_y, floor, shapes
from mlagents_envs.watch.painter import camera_on, paint

RED, GREEN, WHITE = (0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.9, 0.9, 0.9)


def is_red(picture):
    red, green, blue = np.moveaxis(picture.astype(int), 2, 0)
    return (red > 2 * green) & (red > 2 * blue) & (red > 60)


def is_green(picture):
    return is_red(picture[:, :, [1, 0, 2]])


def from_above(drawing, width=120, height=80):
    return paint(drawing, camera_on(drawing, yaw=0.0, pitch=89.0, width=width, height=height))


def box(x, y, z, color, size=(1, 1, 1), yaw=0.0):
    return shapes((x, y, z), size=size, color=color, quaternion=about_y(yaw))


def test_a_picture_has_the_size_that_is_asked_for():
    picture = from_above(Drawing(floor(4, 4)), width=90, height=60)
    assert picture.shape == (60, 90, 3) and picture.dtype == np.uint8


def test_x_is_right_and_z_is_up_when_seen_from_above():
    picture = from_above(
        Drawing(np.concatenate([floor(12, 12, color=WHITE), box(4, 0.5, 0, RED), box(0, 0.5, 4, GREEN)]))
    )
    (red_row, red_column), (green_row, green_column) = (
        np.argwhere(found).mean(axis=0) for found in (is_red(picture), is_green(picture))
    )
    assert red_column > green_column + 15 and green_row < red_row - 15
    assert red_row == pytest.approx(40, abs=4) and green_column == pytest.approx(60, abs=4)


def test_what_is_nearer_hides_what_is_behind():
    near, far = box(0, 3.0, 0, RED, size=(2, 1, 2)), box(0, 0.5, 0, GREEN, size=(1, 1, 1))
    ground = floor(10, 10, color=WHITE)
    assert not is_green(from_above(Drawing(np.concatenate([ground, far, near])))).any()
    assert not is_green(from_above(Drawing(np.concatenate([ground, near, far])))).any()
    assert is_green(from_above(Drawing(np.concatenate([ground, far])))).any()


def test_everything_is_in_the_picture():
    corners = [box(x, 0, z, RED, size=(0.5, 0.5, 0.5)) for x in (-9, 9) for z in (-4, 4)]
    for yaw, pitch in [(0, 30), (45, 50), (-100, 10), (180, 80)]:
        drawing = Drawing(np.concatenate(corners))
        red = is_red(paint(drawing, camera_on(drawing, yaw=yaw, pitch=pitch, width=160, height=100)))
        assert red.any()
        assert not red[[0, -1]].any() and not red[:, [0, -1]].any()


def test_a_turned_box_covers_its_diagonal():
    def width(yaw):
        drawing = Drawing(np.concatenate([floor(10, 10, color=WHITE), box(0, 0.5, 0, RED, size=(3, 1, 3), yaw=yaw)]))
        return np.ptp(np.argwhere(is_red(from_above(drawing)))[:, 1]) + 1

    assert width(np.pi / 4) / width(0.0) == pytest.approx(2**0.5, rel=0.12)


def test_a_sphere_is_round():
    drawing = Drawing(floor(10, 10, color=WHITE), shapes((0, 2, 0), size=(4, 4, 4), color=RED))
    red = is_red(from_above(drawing, width=300, height=200))
    rows, columns = (np.ptp(part) + 1 for part in np.argwhere(red).T)
    assert rows == pytest.approx(columns, rel=0.08)
    assert red.sum() / (rows * columns) == pytest.approx(np.pi / 4, rel=0.05)


def test_things_throw_shadows_away_from_the_sun():
    ground = floor(12, 12, color=WHITE)
    without = from_above(Drawing(ground)).astype(int)
    beside = from_above(Drawing(np.concatenate([ground, box(0, 1.5, 0, RED, size=(1, 3, 1))]))).astype(int)
    dark = (without.sum(2) - beside.sum(2) > 60) & ~is_red(beside)
    assert dark.sum() > 20
    row, column = np.argwhere(dark).mean(axis=0)
    assert column > 60 and row < 40  # the sun stands at the left, and nearer than the scene


def test_lit_ground_does_not_shade_itself():
    picture = from_above(Drawing(floor(12, 12, color=WHITE)))[20:60, 45:75].astype(int)
    assert np.ptp(picture.reshape(-1, 3), axis=0).max() <= 2


def test_edges_are_smooth():
    drawing = Drawing(box(0, 0, 0, RED, size=(3, 3, 3), yaw=0.3))
    picture = paint(drawing, camera_on(drawing, yaw=20, pitch=35, width=120, height=80))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100  # faces, background, and what lies between
