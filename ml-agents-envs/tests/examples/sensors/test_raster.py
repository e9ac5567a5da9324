import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from mlagents_envs.examples.sensors.raster import Painter, box

WHITE, RED, GREEN, BLACK = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0)


def painted(shapes, things, *, view=(0.0, 0.0, 4.0), height=4, width=4):
    """Return the (3, height, width) picture of one area."""
    painter = Painter(shapes, BLACK, height=height, width=width)
    things, views = np.array([things], np.float32), np.array([view], np.float32)
    many = np.array([things.shape[1]])
    return painter.paint(things, many, views=views, wanted=np.ones(1, bool))[0]


def test_a_pixel_takes_the_color_of_what_lies_under_its_middle():
    # four meters on four pixels: middles lie at -1.5, -.5, .5 and 1.5
    picture = painted([[box(2.0, 1.2, RED)]], [[0, 0, 0, 1]])
    assert picture[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert not picture[1:].any()
    assert not painted([[box(0.9, 0.9, RED)]], [[0, 0, 0, 1]]).any()


def test_x_is_right_and_z_is_up():
    picture = painted([[box(1.0, 1.0, WHITE)]], [[0, 1.5, 0.5, 1]])
    assert np.argwhere(picture[0]).tolist() == [[1, 3]]


def test_a_thing_can_be_larger_than_its_shape():
    assert painted([[box(1.0, 1.0, WHITE)]], [[0, 0, 0, 4]]).all()


def test_the_camera_stands_where_the_view_says():
    picture = painted([[box(1.0, 1.0, WHITE)]], [[0, 10.5, 20.5, 1]], view=(10.0, 20.0, 4.0))
    assert np.argwhere(picture[0]).tolist() == [[1, 2]]


def test_a_wide_picture_sees_farther_to_the_sides():
    picture = painted([[box(1.0, 1.0, WHITE)]], [[0, 3.5, 0.5, 1]], width=8)
    assert np.argwhere(picture[0]).tolist() == [[1, 7]]


def test_what_comes_later_covers_what_came_before():
    picture = painted([[box(4.0, 4.0, RED)], [box(1.0, 1.0, GREEN)]], [[0, 0, 0, 1], [1, 0.5, 0.5, 1]])
    assert picture[:, 1, 2].tolist() == [0, 1, 0]
    assert picture[:, 1, 1].tolist() == [1, 0, 0]


def test_a_box_turns_clockwise_as_unity_turns_about_y():
    forward = painted([[box(0.4, 4.0, WHITE, degrees=45)]], [[0, 0, 0, 1]], height=9, width=9)
    assert np.argwhere(forward[0]).tolist() == [[k, 8 - k] for k in range(1, 8)]


def test_areas_that_are_not_wanted_are_left_out_and_views_may_differ():
    painter = Painter([[box(1.0, 1.0, WHITE)]], BLACK, height=4, width=4)
    things, many = np.array([[[0, 0, 0, 1]]] * 3, np.float32), np.array([1, 0, 1])
    views = np.array([[0.5, 0.5, 4], [0, 0, 4], [0, 0, 1]], np.float32)
    near, nothing, _ = painter.paint(things, many, views=views, wanted=np.array([True, True, False]))
    assert np.argwhere(near[0]).tolist() == [[2, 1]]
    assert not nothing.any()


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0.2, 3.0), st.floats(0.2, 3.0), st.floats(-90, 90), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)
)  # fmt: skip
def test_boxes_and_shadows_equal_a_look_at_every_pixel(width, depth, degrees, x, z):
    size, shift = 31, (0.7, -0.4)
    middles = (np.arange(size) + 0.5) / size * 4 - 2
    at = np.stack(np.meshgrid(middles, -middles), axis=-1)

    def inside(margin, by):
        turn = np.radians(degrees)
        off = at - (x, z) - np.array(by)
        right, ahead = off @ (np.cos(turn), -np.sin(turn)), off @ (np.sin(turn), np.cos(turn))
        return (abs(right) <= width / 2 + margin) & (abs(ahead) <= depth / 2 + margin)

    part = box(width, depth, WHITE, degrees=degrees)
    for shape, steps in ((part, [0.0]), (part.shadow(shift, WHITE), np.linspace(0, 1, 200))):
        got = painted([[shape]], [[0, x, z, 1]], height=size, width=size)[0] > 0
        surely, perhaps = (
            np.any([inside(margin, np.multiply(shift, step)) for step in steps], axis=0) for margin in (-0.01, 0.01)
        )
        assert not (surely & ~got).any()
        assert not (got & ~perhaps).any()
