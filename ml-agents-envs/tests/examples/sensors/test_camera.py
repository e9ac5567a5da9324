import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("numba")

from mlagents_envs.examples.drawing import shapes
from mlagents_envs.examples.sensors.camera import CameraSensor, canvas
from mlagents_envs.examples.sensors.camera_numba import (
    agent_cube,
    box,
    clear,
    develop,
    rectangle,
    rotation,
    sphere,
    upright,
)
from mlagents_envs.watch.painter import Camera
from mlagents_envs.watch.painter_numba import trace
from mlagents_envs.wire.images import decode_png, encode_png

F = np.float32
SKY, RED, GREEN = (10, 20, 30), (200, 0, 0), (0, 200, 0)
FOCAL = 42 / np.tan(np.radians(30))  # pixels per m at a depth of 1 m


def point(*place):
    return tuple(F(value) for value in place)


def ahead(x=0.0, y=0.0, z=0.0, yaw=0.0):
    """Return the view of a camera that looks level."""
    return (point(x, y, z), *upright(F(yaw)))


LEVEL = upright(F(0))
VIEW = ahead()


def blank(height=84, width=84):
    made = canvas(CameraSensor(height, width))
    clear(made, SKY)
    return made


def shows(made, color):
    """Return where a picture has a hue, (h, w) bool."""
    image = made.image.astype(int)
    return (image[np.argmax(color)] > 60) & (image.sum(axis=0) == image[np.argmax(color)])


def test_a_ball_is_seen_where_it_is_and_as_large_as_its_distance_makes_it():
    made = blank()
    sphere(made, VIEW, point(1.0, 0.5, 8.0), F(0.5), RED)
    rows, columns = np.nonzero(shows(made, RED))
    assert columns.mean() + 0.5 == pytest.approx(42 + FOCAL * 1.0 / 8.0, abs=0.5)
    assert rows.mean() + 0.5 == pytest.approx(42 - FOCAL * 0.5 / 8.0, abs=0.5)
    assert len(rows) == pytest.approx(np.pi * (FOCAL * 0.5 / 8.0) ** 2, rel=0.1)


def test_x_is_right_y_is_up_and_a_camera_that_turns_right_sees_things_move_left():
    def middle(view):
        made = blank()
        sphere(made, view, point(1.0, 1.0, 8.0), F(0.5), RED)
        return np.argwhere(shows(made, RED)).mean(axis=0)

    straight, turned = middle(VIEW), middle(ahead(yaw=0.2))
    assert straight[0] < 41 and straight[1] > 42
    assert turned[1] == pytest.approx(straight[1] - FOCAL * np.tan(0.2), abs=1.0)


@pytest.mark.parametrize("first_is_near", [True, False])
def test_what_is_nearer_hides_what_is_behind_whatever_is_painted_first(first_is_near):
    made = blank()
    near = lambda: sphere(made, VIEW, point(0, 0, 5), F(0.5), RED)  # noqa: E731
    far = lambda: box(made, VIEW, point(0, 0, 9), LEVEL, point(0.4, 0.4, 0.4), GREEN)  # noqa: E731
    for paint in (near, far) if first_is_near else (far, near):
        paint()
    assert shows(made, RED).any() and not shows(made, GREEN).any()


def test_surfaces_are_seen_from_outside_only():
    made = blank()
    box(made, VIEW, point(0, 0, 1), LEVEL, point(3, 3, 3), RED)
    sphere(made, VIEW, point(0, 0, 1), F(3), RED)
    rectangle(made, VIEW, point(0, 0, 5), point(0, 0, 1), point(1, 0, 0), point(0, 1, 0), RED)
    assert not shows(made, RED).any()
    rectangle(made, VIEW, point(0, 0, 5), point(0, 0, -1), point(1, 0, 0), point(0, 1, 0), RED)
    assert shows(made, RED).sum() == pytest.approx((2 * FOCAL / 5) ** 2, rel=0.1)


def test_the_floor_reaches_to_the_horizon_and_begins_before_the_camera():
    made = blank()
    rectangle(made, VIEW, point(0, -1, 0), point(0, 1, 0), point(10_000, 0, 0), point(0, 0, 10_000), GREEN)
    assert shows(made, GREEN)[42:].all()
    assert not shows(made, GREEN)[:42].any()


def test_what_is_nearer_than_the_near_plane_or_behind_is_not_seen():
    made = blank()
    for z in (0.25, -0.5, -8.0):
        rectangle(made, VIEW, point(0, 0, z), point(0, 0, -1), point(1, 0, 0), point(0, 1, 0), RED)
        sphere(made, VIEW, point(0, 0, z), F(0.04), RED)
    assert not shows(made, RED).any()
    sphere(made, VIEW, point(0, 0, 0.36), F(0.1), RED)  # its front is cut off
    assert not shows(made, RED)[42, 42]
    sphere(made, VIEW, point(0, 0, 0.4), F(0.04), RED)
    assert shows(made, RED)[42, 42]


def test_sides_toward_the_sun_are_lighter_and_none_is_dark():
    """The sun stands in the south-east, high: a top is lighter than the south, and the north is lit by the sky alone."""

    def brightness(normal, view):
        made = blank()
        first, second = ((1, 0, 0), (0, 0, 1)) if normal[1] else ((1, 0, 0), (0, 1, 0))
        rectangle(made, view, point(0, 0, 0), point(*normal), point(*first), point(*second), RED)
        return int(made.image[0, 42, 42])

    south, north = (brightness((0, 0, -z), ahead(z=-5.0 * z, yaw=0.0 if z > 0 else np.pi)) for z in (1, -1))
    above = (point(0, 5, 0), (F(1), F(0), F(0)), (F(0), F(0), F(1)), (F(0), F(-1), F(0)))
    top = brightness((0, 1, 0), above)
    assert top == pytest.approx(200 * (0.55 + 0.55 * 0.6428), abs=1)
    assert south == pytest.approx(200 * (0.55 + 0.55 * 0.5416), abs=1)
    assert north == 110


def test_an_agent_has_a_headband_and_a_face_on_its_forward_side():
    def seen(axes):
        made = blank()
        agent_cube(made, VIEW, point(0, 0, 4), axes, F(1), (33, 150, 243))
        red, green, blue = made.image.astype(int)
        return (red > green) & (green > 3 * blue), (blue < 20) & (red == green)

    band, face = seen(LEVEL)
    assert band.any() and not face.any()
    band, face = seen(upright(F(np.pi)))
    assert np.argwhere(band)[:, 0].mean() < np.argwhere(face)[:, 0].min()
    rows, columns = np.nonzero(face)
    assert columns.mean() == pytest.approx(41.5, abs=0.5)
    assert not face[:, 40:44].all(axis=1)[rows.min()]  # two eyes, apart


def test_an_observation_is_exactly_what_a_png_of_it_is_read_as():
    levels = np.arange(768, dtype=np.uint32).astype(np.uint8).reshape(3, 16, 16)
    seen = np.empty(levels.shape, F)
    develop(levels, seen)
    out = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0)).save(out, "PNG")
    assert np.array_equal(seen, decode_png(out.getvalue(), levels.shape))
    assert np.array_equal(seen, decode_png(encode_png(seen), levels.shape))


@pytest.mark.parametrize("place", [(1.2, 0.1, 0.6), (-0.3, -1.15, 0.2), (0.9, 0.9, 0.9), (1.5, 0.0, -0.3)])
def test_a_ball_beside_the_camera_is_seen_as_far_as_it_reaches_into_the_picture(place):
    made = blank(HEIGHT, WIDTH)
    sphere(made, VIEW, point(*place), F(1.0), RED)
    which, depth = thrown(VIEW, [], [(place, 1.0)])
    expected = (which == 0) & (depth >= 0.3)
    assert (expected.sum() > 200) == (place[2] > 0)
    assert ((made.closeness > 0) != expected).mean() < 0.005


quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
places = st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-1, 12))
sizes = st.tuples(*[st.floats(0.3, 3)] * 3)
HEIGHT, WIDTH = 48, 64


def thrown(view, boxes, balls):
    """Return which of the things, and at what depth, a ray through each pixel meets: (h, w) each; -1 for nothing."""
    drawn = [shapes(place, size=size, color=0, quaternion=(*q[1:], q[0])) for place, q, size in boxes]
    drawn += [shapes(place, size=(2 * radius,) * 3, color=0) for place, radius in balls]
    table = np.concatenate(drawn)
    table = table.view(F).reshape(len(table), -1)
    axes = (np.array(part, F) for part in view)
    camera = Camera(*axes, F(FOCAL * HEIGHT / 84), F(WIDTH), F(HEIGHT), True)
    depth, which = np.empty((HEIGHT, WIDTH), F), np.empty((HEIGHT, WIDTH), np.int32)
    trace(camera, table, np.arange(len(table)) >= len(boxes), depth, which, np.empty((HEIGHT, WIDTH, 3), F))
    return which, depth


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(places, quaternions, sizes), min_size=1, max_size=4),
    st.lists(st.tuples(places, st.floats(0.2, 2)), max_size=4), st.floats(-np.pi, np.pi),
)  # fmt: skip
def test_pictures_equal_a_ray_through_every_pixel(boxes, balls, yaw):
    boxes = [(place, np.array(q) / np.linalg.norm(q), size) for place, q, size in boxes]
    view, made = ahead(0, 0, 4, yaw), blank(HEIGHT, WIDTH)
    which, number = np.full((HEIGHT, WIDTH), -1), 0
    for number, (place, *shape) in enumerate([*boxes, *balls]):
        before = made.closeness.copy()
        if len(shape) == 2:
            box(made, view, point(*place), rotation(*point(*shape[0])), point(*np.array(shape[1]) / 2), RED)
        else:
            sphere(made, view, point(*place), F(shape[0]), RED)
        which[made.closeness != before] = number
    expected, depth = thrown(view, boxes, balls)
    cut = (expected >= 0) & (depth < 0.31)  # those rays begin nearer to the camera
    inside = ~cut
    for axis in (0, 1):  # pixels at edges may show either side
        for shift in (-1, 1):
            inside &= np.roll(expected, shift, axis) == expected
    differ = (which != expected) & ~cut
    assert not (differ & inside).any()
    assert differ.mean() < 0.02
    same = (which == expected) & (which >= 0)
    assert np.allclose(1 / made.closeness[same], depth[same], rtol=1e-3, atol=1e-3)
    assert not made.closeness[which < 0].any()
