import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.examples.engine.planar import PlanarState, body
from mlagents_envs.examples.sensors.rays import RaySensor, rays
from mlagents_envs.examples.sensors.rays_numba import cast, cast_next

ONE = RaySensor("Ray", 2, 0, 90.0, 10.0)
FAN = RaySensor("Ray", 2, 1, 90.0, 10.0)
SEVEN = RaySensor("Ray", 2, 3, 60.0, 10.0)
NOTHING = [0.0, 0.0, 1.0, 1.0]


def see(*bodies, sensor=ONE, channels=None):
    """Return what each ray of an agent at the origin tells, (rays, tags + 2)."""
    state = PlanarState.of(1, [body(), *bodies], moving=1)
    seen = np.full(sensor.size, 7.0, np.float32)
    cast(state.bodies[0], 0, rays(sensor, channels=channels), seen)
    return seen.reshape(-1, sensor.tags + 2)


def test_a_ray_tells_the_tag_and_the_share_of_its_length_that_its_ball_went():
    # the box begins at 4, the ball's middle is then half a metre before it
    assert see(body(0.0, 5.0, half=(1.0, 1.0), tag=1))[0].tolist() == pytest.approx([0, 1, 0, 0.35])


def test_nothing_and_what_is_too_far_is_a_miss():
    assert see()[0].tolist() == NOTHING
    assert see(body(0.0, 12.0, tag=1))[0].tolist() == NOTHING


def test_what_has_no_tag_that_the_sensor_knows_is_told_without_one():
    assert see(body(0.0, 5.0))[0].tolist() == pytest.approx([0, 0, 0, 0.4])
    assert see(body(0.0, 5.0, tag=0), channels=[-1, 0])[0].tolist() == pytest.approx([0, 0, 0, 0.4])
    assert see(body(0.0, 5.0, tag=1), channels=[-1, 0])[0].tolist() == pytest.approx([1, 0, 0, 0.4])


def test_the_nearest_counts():
    near, far = body(0.0, 4.0, tag=0), body(0.0, 7.0, tag=1)
    assert see(far, near).tolist() == see(near, far).tolist() == [pytest.approx([1, 0, 0, 0.3])]


def test_rays_go_ahead_then_right_then_left():
    seen = see(body(0.0, 5.0, tag=0), body(6.0, 0.0, tag=1), body(-7.0, 0.0, tag=1), sensor=FAN)
    assert seen[:, 3] == pytest.approx([0.4, 0.5, 0.6])
    assert seen[:, :2].tolist() == [[1, 0], [0, 1], [0, 1]]


def test_a_sensor_that_faces_backwards_has_the_agents_left_on_its_right():
    behind = RaySensor("Ray", 2, 1, 90.0, 10.0, facing=180.0)
    seen = see(body(0.0, -5.0, tag=0), body(6.0, 0.0, tag=1), body(-7.0, 0.0, tag=1), sensor=behind)
    assert seen[:, 3] == pytest.approx([0.4, 0.6, 0.5])


def test_what_a_ball_overlaps_where_it_starts_is_ignored_and_what_it_nearly_touches_is_not():
    assert see(body(0.0, 0.9, tag=0))[0].tolist() == NOTHING
    assert see(body(0.0, 1.002, tag=0))[0, 3] == pytest.approx(0.0002, abs=1e-5)


def test_a_ball_that_passes_within_its_radius_hits():
    assert see(body(0.99, 5.0, tag=0))[0, 0] == 1.0
    assert see(body(1.01, 5.0, tag=0))[0].tolist() == NOTHING


def test_a_level_ball_above_an_edge_touches_it_later():
    # 0.3 above the edge, half a metre from it: the middle is 0.4 before it, as in the triangle 3 4 5
    low = body(0.0, 5.0, heights=(-1.0, 0.2), tag=0)
    assert see(low)[0, 3] == pytest.approx(0.41)
    assert see(body(0.0, 5.0, heights=(-1.0, -0.01), tag=0))[0].tolist() == NOTHING


def test_a_rising_ray_passes_over_what_is_low_and_is_longer():
    up = RaySensor("Ray", 2, 0, 90.0, 10.0, end=10.0)
    assert see(body(0.0, 6.0, heights=(0.0, 1.0), tag=0), sensor=up)[0].tolist() == NOTHING
    assert see(body(0.0, 6.0, heights=(0.0, 9.0), tag=0), sensor=up)[0, 3] == pytest.approx(0.5)


def test_a_disc_is_met_on_its_circle():
    assert see(body(0.0, 5.0, half=(1.0, 1.0), round=True, tag=0))[0, 3] == pytest.approx(0.35)
    # 0.9 beside the middle, the circle of 1.5 is met 1.2 before it
    assert see(body(0.9, 5.0, half=(1.0, 1.0), round=True, tag=0))[0, 3] == pytest.approx(0.38)


def test_it_does_not_matter_how_the_whole_world_is_turned():
    rng = np.random.default_rng(0)
    places, yaws = rng.uniform(-7, 7, (12, 2)), rng.uniform(0, 3, 12)

    def seen(turn):
        c, s = np.cos(turn), np.sin(turn)
        others = [
            body(c * x + s * z, -s * x + c * z, yaw=yaw + turn, half=(0.3, 0.7), tag=k % 2)
            for k, ((x, z), yaw) in enumerate(zip(places, yaws, strict=True))
        ]
        state = PlanarState.of(1, [body(yaw=turn), *others], moving=1)
        seen = np.zeros(SEVEN.size, np.float32)
        cast(state.bodies[0], 0, rays(SEVEN), seen)
        return seen

    assert 0 < seen(0.0).reshape(7, 4)[:, 2].sum() < 7
    assert seen(0.7) == pytest.approx(seen(0.0), abs=1e-4)


def test_an_upright_box_is_met_alike_whether_it_is_turned_by_nothing_or_by_a_whole_turn():
    straight, turned = (see(body(1.0, 5.0, half=(1.0, 0.5), yaw=yaw, tag=0), sensor=SEVEN) for yaw in (0, 2 * np.pi))
    assert turned == pytest.approx(straight, abs=1e-4)


def test_fans_that_are_cast_together_tell_what_each_tells_alone():
    up = RaySensor("Ray", 2, 3, 70.0, 10.0, end=4.0)
    state = PlanarState.of(1, [body(), *(body(x, 6.0 + x, heights=(0, 3), tag=0) for x in (-3.0, 0.0, 2.0))], moving=1)
    together, one, other = np.zeros(SEVEN.size + up.size, np.float32), *np.zeros((2, SEVEN.size), np.float32)
    cast(state.bodies[0], 0, rays(SEVEN, up), together)
    cast(state.bodies[0], 0, rays(SEVEN), one)
    cast(state.bodies[0], 0, rays(up), other)
    assert together.tolist() == [*one.tolist(), *other.tolist()]


def test_a_stack_ends_with_the_newest_frame():
    state = PlanarState.of(1, [body(), body(0.0, 5.0, tag=0)], moving=1)
    frames, ready = np.zeros(3 * ONE.size, np.float32), rays(ONE)
    cast_next(state.bodies[0], 0, ready, frames, ONE.size)
    assert frames.reshape(3, 4).tolist() == [[0] * 4, [0] * 4, pytest.approx([1, 0, 0, 0.4])]
    state.bodies["on"][0, 1] = False
    cast_next(state.bodies[0], 0, ready, frames, ONE.size)
    assert frames.reshape(3, 4).tolist() == [[0] * 4, pytest.approx([1, 0, 0, 0.4]), NOTHING]


def test_a_sensor_is_named_and_shaped_as_in_unity():
    assert FAN.spec.name == "Ray"
    stacked = RaySensor("Ray", 3, 3, 90.0, 12.0, stack=3)
    assert (stacked.spec.name, stacked.spec.shape) == ("StackingSensor_size3_Ray", (105,))
