import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.examples.engine.planar import PlanarState, body
from mlagents_envs.examples.engine.planar_numba import lift, push, steer, step, walk
from mlagents_envs.examples.engine.rng_numba import uniform

DT, GRAVITY, FRICTION = 0.02, 9.81, 0.6


def area(*bodies, moving=1):
    return PlanarState.of(1, bodies, moving=moving)


def go(state, steps=1, *, gravity=GRAVITY, each=lambda bodies: None):
    """Take physics steps and return how often each pair touched."""
    times = np.zeros(state.touched.shape, int)
    for _ in range(steps):
        each(state.bodies[0])
        step(state.bodies[0], state.touched, state.contacts, np.float32(gravity), np.float32(FRICTION))
        times += state.touched
    return times


def forward(bodies):
    push(bodies[0], np.float32(2.0), np.float32(0.0))


def test_a_pushed_body_with_drag_and_friction_reaches_the_speed_at_which_both_take_what_is_given():
    # v = (v + 2 - 2 mu g dt) (1 - d dt)
    state = area(body(mass=25.0, drag=2.0, friction=0.6))
    go(state, 400, each=forward)
    assert state.bodies["vz"][0, 0] == pytest.approx((2 - 2 * 0.6 * 9.81 * DT) * 0.96 / 0.04, rel=1e-4)


def test_a_body_without_drag_stops_by_friction_alone_as_if_held_at_two_points():
    state = area(body(mass=1.0, friction=0.3))
    state.bodies["vx"] = 1.0
    go(state, 1)
    assert state.bodies["vx"][0, 0] == pytest.approx(1 - 2 * 0.3 * 9.81 * DT, rel=1e-5)
    go(state, 20)
    assert state.bodies["vx"][0, 0] == 0.0


def test_what_lies_stays_as_long_as_the_ground_holds_it_harder_than_it_is_pushed():
    # a step's push is 10 kg of 3 m/s, friction can take 2 mu g dt = 0.235 m/s from a block, 23.5 or 35.3 kg m/s
    def went(mass):
        state = area(body(mass=10.0, drag=4.0), body(0.0, 1.51, half=(1.0, 1.0), mass=mass, friction=0.6), moving=2)
        go(state, 50, each=lambda bodies: push(bodies[0], np.float32(3.0), np.float32(0.0)))
        return float(state.bodies["z"][0, 1]) - 1.51

    assert went(100.0) > 0.3
    assert went(150.0) < 0.05


def test_what_has_begun_to_slide_slows_by_sliding_friction_and_what_has_not_stays():
    state = area(body(mass=1.0, friction=0.1))
    state.bodies["stiction"] = 1.0
    state.bodies["vx"] = 0.3  # below 2 g dt
    go(state)
    assert state.bodies["vx"][0, 0] == 0.0
    state.bodies["vx"] = 0.5
    go(state)
    assert state.bodies["vx"][0, 0] == pytest.approx(0.5 - 2 * 0.1 * 9.81 * DT, rel=1e-5)


def test_a_wall_stops_who_walks_at_it_and_lets_pass_who_walks_along():
    state = area(body(mass=25.0, drag=2.0), body(0.0, 3.0, half=(5.0, 0.5)))
    state.bodies["vx"][0, 0] = 1.0
    times = go(state, 100, each=forward)
    assert times[0, 1] > 80
    assert state.bodies["z"][0, 0] == pytest.approx(2.0, abs=0.01)  # its side at the wall's
    assert state.bodies["x"][0, 0] > 0.05


def test_bodies_at_rest_keep_a_skin_between_them():
    state = area(body(mass=25.0, drag=2.0), body(0.0, 3.0, half=(5.0, 0.5)))
    go(state, 200, each=forward)
    assert 0.0 < 2.0 - state.bodies["z"][0, 0] < 0.01


def test_what_is_squeezed_against_a_wall_keeps_its_skin():
    state = area(
        body(mass=10.0, drag=4.0),
        body(0.0, 2.0, half=(1.0, 1.0), mass=10.0, drag=0.5),
        body(0.0, 4.0, half=(5.0, 0.5)),
        moving=2,
    )
    go(state, 50, each=forward)
    agent, block = state.bodies["z"][0, :2]
    assert 0.0 < block - agent - 1.5 < 0.01
    assert 0.0 < 3.5 - block - 1.0 < 0.01


@pytest.mark.parametrize("kind", ["disc", "box"])
def test_a_collision_keeps_momentum_and_parts_the_bodies(kind):
    shape = {"round": kind == "disc", "half": (0.5, 0.5)}
    state = area(body(mass=3.0, **shape), body(0.0, 1.5, mass=1.0, **shape), moving=2)
    state.bodies["vz"][0] = [4.0, 0.0]
    go(state, 20)
    one, other = state.bodies["vz"][0]
    assert 3 * one + other == pytest.approx(12.0, rel=1e-4)
    assert other >= one - 1e-5
    assert state.bodies["z"][0, 1] - state.bodies["z"][0, 0] >= 1.0


def test_a_ball_that_bounces_leaves_with_its_share_of_the_speed_above_the_resting_one():
    state = area(body(mass=3.0, round=True, bounce=0.8), body(0.0, 2.0, half=(5.0, 0.5)))
    state.bodies["vz"][0, 0] = 10.0
    go(state, 20)
    assert state.bodies["vz"][0, 0] == pytest.approx(-0.8 * (10.0 - 2.0), rel=1e-4)


def test_a_hit_beside_the_middle_turns_what_can_be_turned():
    state = area(body(mass=1.0), body(0.8, 2.0, half=(1.0, 0.5), mass=1.0, turns=True), moving=2)
    state.bodies["vz"][0, 0] = 5.0
    go(state, 15)
    assert state.bodies["spin"][0, 1] > 0.1  # its left side is hit from behind: it turns to the right
    assert state.bodies["spin"][0, 0] == 0.0


def test_who_walks_into_a_light_pinned_body_goes_through_it_slowed():
    free, pinned = (
        area(
            body(mass=25.0, drag=2.0),
            body(0.0, 3.0 + far, half=(2.0, 2.0), mass=1.0, turns=True, pinned=True),
            moving=2,
        )
        for far in (100.0, 0.0)
    )
    for state in (free, pinned):
        state.bodies["vz"][0, 0] = 30.0
        go(state, 5)
    assert 0.7 < pinned.bodies["vz"][0, 0] / free.bodies["vz"][0, 0] < 0.95
    assert pinned.bodies["z"][0, 0] > 1.5
    assert (pinned.bodies["x"][0, 1], pinned.bodies["z"][0, 1]) == (0.0, 3.0)


def test_what_is_not_solid_is_touched_and_stops_nobody():
    state = area(body(mass=25.0), body(0.0, 3.0, solid=False))
    state.bodies["vz"][0, 0] = 10.0
    times = go(state, 20)
    assert times[0, 1] > 5
    assert state.bodies["vz"][0, 0] == 10.0


def test_a_body_that_meets_nobody_by_itself_moves_when_struck_and_goes_through_its_like():
    state = area(body(mass=25.0), body(0.0, 1.2, mass=2.0), body(0.0, 2.5, mass=2.0))
    state.bodies["vz"][0, 0] = 10.0
    go(state, 4)
    agent, struck, other = state.bodies["vz"][0]
    assert struck >= agent > 8.0
    assert other == 0.0


def test_what_is_not_there_is_not_touched():
    state = area(body(mass=25.0), body(0.0, 3.0))
    state.bodies["on"][0, 1] = False
    state.bodies["vz"][0, 0] = 10.0
    assert not go(state, 20).any()


def test_a_lifted_body_falls_without_friction_and_stands_a_step_after_it_is_through_the_floor():
    state = area(body(mass=25.0, drag=2.0, friction=0.6))
    lift(state.bodies[0, 0], np.float32(1.5))
    heights, speeds = [], []
    for _ in range(36):
        go(state, each=forward)
        heights.append(float(state.bodies["low"][0, 0]))
        speeds.append(float(state.bodies["climb"][0, 0]))
    assert speeds[4] == pytest.approx(-0.8694, abs=1e-4)  # as recorded in Unity, as is the next
    assert speeds[33] == pytest.approx(-3.5335, abs=1e-4)
    assert (heights[34], speeds[34]) == (0.0, 0.0)
    assert heights[32] > 0.0


def test_turned_boxes_touch_with_their_corners():
    apart, near = (area(body(mass=1.0), body(0.0, z, yaw=np.pi / 4)) for z in (1.25, 1.2))
    assert not go(apart).any()  # half a side and half a diagonal are 1.207
    assert go(near)[0, 1]


@pytest.mark.parametrize(
    ("action", "velocity", "yaw"),
    [
        (0, (0, 0), 0),
        (1, (0, 2), 0),
        (2, (0, -2), 0),
        (3, (0, 0), 0.1),
        (4, (0, 0), -0.1),
        (5, (-1.5, 0), 0),
        (6, (1.5, 0), 0),
    ],
)
def test_agents_obey_seven_actions(action, velocity, yaw):
    agent = area(body(mass=1.0)).bodies[0, 0]
    walk(agent, action, np.float32(2.0), np.float32(0.1))
    assert (agent["vx"], agent["vz"]) == pytest.approx(velocity, abs=1e-6)
    assert agent["yaw"] == pytest.approx(yaw)


@pytest.mark.parametrize(
    ("action", "velocity", "yaw"),
    [
        ((0, 0, 0), (0, 0), 0),
        ((1, 0, 0), (0, 2), 0),
        ((2, 0, 0), (0, -2), 0),
        ((1, 1, 0), (0.6, 0), 0),  # aside instead of forward
        ((0, 2, 0), (-0.6, 0), 0),
        ((0, 0, 1), (0, 0), -0.1),
        ((1, 0, 2), (2 * np.sin(0.1), 2 * np.cos(0.1)), 0.1),
    ],
)
def test_agents_obey_three_branches(action, velocity, yaw):
    agent = area(body(mass=1.0)).bodies[0, 0]
    steer(agent, np.array(action, np.int32), np.float32(2.0), np.float32(0.6), np.float32(0.1))
    assert (agent["vx"], agent["vz"]) == pytest.approx(velocity, abs=1e-6)
    assert agent["yaw"] == pytest.approx(yaw)


def test_random_numbers_fill_their_range_and_belong_to_an_area():
    few, many = (PlanarState.of(areas, [body()], moving=1) for areas in (2, 5))
    few.seed(3)
    many.seed(3)
    drawn = [uniform(few.rng, 1, -2.0, 6.0) for _ in range(2000)]
    assert drawn == [uniform(many.rng, 1, -2.0, 6.0) for _ in range(2000)]
    assert -2.0 <= min(drawn) < -1.9
    assert 5.9 < max(drawn) < 6.0
    assert np.mean(drawn) == pytest.approx(2.0, abs=0.2)
