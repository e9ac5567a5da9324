import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.examples.engine.planar import PlanarState, body
from mlagents_envs.examples.sensors.gridsensor import GridSensor, grid
from mlagents_envs.examples.sensors.gridsensor_numba import survey

SENSOR = GridSensor("Grid", 3, 10, 10)
AHEAD = GridSensor("Grid", 3, 10, 10, ahead=5.0)


def see(*others, sensor=SENSOR, agent=None, channels=None, spread=1.0):
    """Return what an agent, at the origin if none is given, sees, (tags, across, along)."""
    state = PlanarState.of(1, [body(tag=0) if agent is None else agent, *others], moving=1)
    seen = np.zeros(sensor.shape, np.float32)
    survey(state.bodies[0], 0, grid(sensor, channels=channels), np.float32(spread), seen)
    return seen


def cells(seen, tag):
    """Return the cells that show a tag, as (m to the right, m ahead) of the field's middle."""
    places, along = np.nonzero(seen[tag])
    return {((9 - place) - 4.5, k - 4.5) for place, k in zip(places, along, strict=True)}


def slowly(others, sensor, agent):
    """Return the same by trying every cell with every body: overlap by its corners' projections, nearest by bounds."""
    c, s = np.cos(agent["yaw"]), np.sin(agent["yaw"])
    middle = np.array([agent["x"] + s * sensor.ahead, agent["z"] + c * sensor.ahead])
    turn = np.array([[c, s], [-s, c]])  # of a vector as the agent lies to one as the world does
    square = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])
    seen = np.zeros(sensor.shape, np.float32)
    for i in range(sensor.across):
        for k in range(sensor.along):
            cell = np.array([i - (sensor.across - 1) / 2, k - (sensor.along - 1) / 2])
            best = np.inf
            for other in others:
                at, yaw = np.array([other["x"], other["z"]]) - middle, other["yaw"]
                own = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
                corners = at + (square * [other["half_x"], other["half_z"]]) @ own.T
                around = turn @ cell + 0.5 * square @ turn.T
                axes = [turn[:, 0], turn[:, 1], own[:, 0], own[:, 1]]
                spans = [
                    ((corners @ axis).min(), (corners @ axis).max(), (around @ axis).min(), (around @ axis).max())
                    for axis in axes
                ]
                if all(low <= top and bottom <= high for low, high, bottom, top in spans):
                    far = np.sum(np.clip(turn @ cell, corners.min(0), corners.max(0)) ** 2)
                    if far < best:
                        best = far
                        seen[:, sensor.across - 1 - i, k] = np.eye(sensor.tags)[other["tag"]]
    return seen


def test_a_small_thing_fills_its_cell_alone():
    seen = see(body(2.5, 3.5, half=(0.2, 0.2), tag=1))
    assert cells(seen, 1) == {(2.5, 3.5)}
    assert seen.sum() == 1


def test_what_is_to_the_right_has_a_low_row_and_what_is_ahead_a_high_column():
    seen = see(body(4.5, -3.5, half=(0.2, 0.2), tag=2))
    assert np.argwhere(seen).tolist() == [[2, 0, 1]]


def test_the_field_turns_with_the_agent():
    # looks along x: what is at x = 3.5 is ahead, what is at z = -2.5 is to the right
    seen = see(body(3.5, -2.5, half=(0.2, 0.2), tag=1), agent=body(yaw=np.pi / 2, tag=0))
    assert cells(seen, 1) == {(2.5, 3.5)}


def test_a_field_can_lie_ahead_of_the_agent():
    seen = see(body(7.5, 0.5, half=(0.2, 0.2), tag=1), sensor=AHEAD, agent=body(yaw=np.pi / 2, tag=0))
    assert cells(seen, 1) == {(-0.5, 2.5)}


def test_of_two_things_in_a_cell_the_nearer_counts_in_whatever_order_they_come():
    near, far = body(2.3, 2.3, half=(0.1, 0.1), tag=1), body(2.8, 2.8, half=(0.1, 0.1), tag=2)
    for others in ((near, far), (far, near)):
        seen = see(*others)
        assert cells(seen, 1) == {(2.5, 2.5)}
        assert not cells(seen, 2)


def test_the_agent_itself_what_is_away_and_what_has_no_known_tag_are_not_seen():
    gone = body(1.5, 1.5, tag=1)
    gone["on"] = False
    assert not see(gone, body(2.5, 2.5), body(3.5, 3.5, tag=2), channels=[0, 1, -1]).any()


def test_tags_of_the_scene_are_told_in_the_places_that_the_sensor_has_for_them():
    seen = see(body(2.5, 2.5, half=(0.2, 0.2), tag=4), channels=[-1, -1, -1, 1, 2])
    assert cells(seen, 2) == {(2.5, 2.5)}


def test_what_is_above_or_below_the_middle_of_the_agent_is_not_seen():
    assert not see(body(2.5, 2.5, heights=(0.6, 2.0), tag=1)).any()
    assert not see(body(2.5, 2.5, heights=(-1.0, 0.4), tag=1)).any()
    assert see(body(2.5, 2.5, heights=(0.4, 0.6), tag=1)).any()


def test_a_ball_is_as_wide_as_it_is_at_the_agents_height():
    # radius 1 with its middle 0.8 higher: 0.6 wide there, so that from 1.5 it does not reach the cell that ends at 0.85
    ball = {"half": (1.0, 1.0), "round": True, "tag": 1}
    assert (0.5, 2.5) in cells(see(body(1.9, 2.5, heights=(-0.5, 1.5), **ball)), 1)
    assert (0.5, 2.5) not in cells(see(body(1.9, 2.5, heights=(0.3, 2.3), **ball)), 1)
    assert not see(body(1.9, 2.5, heights=(0.6, 2.6), **ball)).any()


def test_a_ball_leaves_out_the_corners_of_its_square():
    seen = cells(see(body(1.0, 1.0, half=(1.3, 1.3), heights=(-0.8, 1.8), round=True, tag=1)), 1)
    assert {(2.5, 1.5), (1.5, 2.5)} <= seen
    assert (2.5, 2.5) not in seen  # its corner is 1.41 away


def test_cells_spread_with_the_agents_scale_and_keep_their_width():
    small = body(3.0, 5.0, half=(0.1, 0.1), tag=1)
    assert cells(see(small, spread=2.0), 1) == {(1.5, 2.5)}
    between = body(4.0, 5.0, half=(0.1, 0.1), tag=1)  # cells are from 2.5 to 3.5 and from 4.5 to 5.5
    assert not see(between, spread=2.0).any()


@pytest.mark.parametrize("sensor", [SENSOR, AHEAD, GridSensor("Grid", 3, 7, 12, ahead=2.0)])
def test_boxes_are_seen_as_by_trying_every_cell(sensor):
    rng = np.random.default_rng(3)
    for _ in range(10):
        agent = body(*rng.uniform(-3, 3, 2), yaw=rng.uniform(-7, 7), tag=0)
        others = [
            body(
                *rng.uniform(-9, 9, 2),
                yaw=rng.uniform(-7, 7),
                half=tuple(rng.uniform(0.2, 3, 2)),
                tag=int(tag),
            )
            for tag in rng.integers(0, 3, 8)
        ]
        expected = slowly(others, sensor, agent)
        assert expected.any()
        differ = (see(*others, sensor=sensor, agent=agent) != expected).any(0).mean()
        assert differ < 0.01  # a cell that is touched by a hair may fall either way


def test_a_sensor_is_named_and_shaped_as_in_unity():
    spec = GridSensor("GridSensor", 5, 40, 30).spec
    assert (spec.name, spec.shape) == ("GridSensor-OneHot", (5, 40, 30))
