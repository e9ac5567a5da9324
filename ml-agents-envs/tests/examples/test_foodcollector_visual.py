from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.foodcollector import FoodCollector
from mlagents_envs.examples.foodcollector_numba import AGENTS, FIRST_FOOD, FIRST_WALL, FROZEN, OF_EACH
from mlagents_envs.examples.foodcollector_visual import VisualFoodCollector
from mlagents_envs.exception import UnityEnvironmentException

ROOT = Path(__file__).parents[3]
GOOD_FOOD, BAD_FOOD = FIRST_FOOD, FIRST_FOOD + OF_EACH  # the first of each
FOCAL = 42 / np.tan(np.radians(30))  # pixels per m at a depth of 1 m
AHEAD = 0.15  # m, of the camera before the agent's middle


def begin(areas=1, seed=0, cls=VisualFoodCollector, **parameters):
    env = cls(areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def place(bodies, which, x, z):
    height = bodies["high"][which] - bodies["low"][which]
    bodies["low"][which], bodies["high"][which] = bodies["floor"][which], bodies["floor"][which] + height
    bodies["x"][which], bodies["z"][which], bodies["on"][which] = x, z, True


def arrange(*agents, food=(), **parameters):
    """Return an environment with agents, (x, z, yaw), and (food, x, z) on the ground; other agents stand aside, other food is gone."""
    env = begin(**parameters)
    bodies = env.state.bodies[0]
    bodies["on"][FIRST_FOOD:FIRST_WALL] = False
    agents = (*agents, *((-40.0 - 2 * k, -40.0, 0.0) for k in range(len(agents), AGENTS)))
    for which, (x, z, yaw) in enumerate(agents):
        place(bodies, which, x, z)
        bodies["yaw"][which] = yaw
    for which, x, z in food:
        place(bodies, which, x, z)
    return env, bodies


def act(env, *shooting):
    """Let these agents shoot, and nobody do anything else; return the steps."""
    trigger = np.zeros((env.n, 1), np.int32)
    trigger[list(shooting)] = 1
    env.set_actions(env.behavior, ActionTuple(np.zeros((env.n, 3), np.float32), trigger))
    env.step()
    return env.get_steps(env.behavior)


def picture(env, agent=0, *shooting):
    """Return what an agent sees after a decision, (h, w, 3) levels."""
    return np.rint(act(env, *shooting)[0].obs[0][agent].transpose(1, 2, 0) * 255).astype(int)


def has(seen, hue):
    """Return the pixels of a hue."""
    red, green, blue = np.moveaxis(seen, 2, 0)
    return {
        "green": (green > 1.5 * red) & (green > 1.5 * blue),
        "red": (red > 2 * green) & (red > 2 * blue),
        "blue": (blue > 1.4 * green) & (blue > 3 * red),
        "pink": (red > 1.3 * blue) & (blue > 1.5 * green),
        "gray": (red == green) & (green == blue) & (red > 60),  # lighter than the floor
    }[hue]


def test_five_agents_with_a_camera_and_a_number_live_in_each_of_two_areas():
    env = begin(areas=None)
    camera, vector = env.SPEC.observation_specs
    assert env.behavior == "VisualFoodCollector?team=0"
    assert (camera.name, camera.shape) == ("CameraSensor", (3, 84, 84))
    assert (vector.name, vector.shape) == ("VectorSensor_size1", (1,))
    decision, _ = env.get_steps(env.behavior)
    assert [column.shape for column in decision.obs] == [(10, 3, 84, 84), (10, 1)]
    assert env.SPEC.action_spec == FoodCollector.SPEC.action_spec


def test_the_published_settings_are_for_its_behavior():
    settings = yaml.safe_load((ROOT / "config" / "ppo" / "VisualFoodCollector.yaml").read_text(encoding="utf-8"))
    assert list(settings["behaviors"]) == [name.partition("?")[0] for name in VisualFoodCollector.BEHAVIORS]


def test_the_rules_are_those_of_foodcollector():
    grid, env = begin(areas=2, seed=3, cls=FoodCollector), begin(areas=2, seed=3)
    rng, earned, frozen = np.random.default_rng(0), 0.0, 0
    for _ in range(1005):
        action = ActionTuple(rng.uniform(-1, 1, (10, 3)), rng.integers(0, 2, (10, 1)))
        for each in (grid, env):
            each.set_actions(each.behavior, action)
            each.step()
        for expected, got in zip(grid.get_steps(grid.behavior), env.get_steps(env.behavior), strict=True):
            assert np.array_equal(expected.reward, got.reward)
            assert np.array_equal(expected.agent_id, got.agent_id)
        earned += np.abs(env.get_steps(env.behavior)[0].reward).sum()
        frozen += int(env.get_steps(env.behavior)[0].obs[1].sum())
    assert np.array_equal(grid.state.bodies, env.state.bodies)
    assert earned > 10 and frozen > 20


@pytest.mark.parametrize(("food", "hue"), [(GOOD_FOOD, "green"), (BAD_FOOD, "red")])
@pytest.mark.parametrize("yaw", [0.0, 2.0, -1.0])
@pytest.mark.parametrize(("right", "ahead"), [(0.0, 6.0), (3.0, 8.0), (-4.0, 10.0)])
def test_food_is_seen_where_it_is(food, hue, yaw, right, ahead):
    x, z = right * np.cos(yaw) + ahead * np.sin(yaw), ahead * np.cos(yaw) - right * np.sin(yaw)
    env, _ = arrange((0, 0, yaw), food=[(food, x, z)])
    rows, columns = np.nonzero(has(picture(env), hue))
    depth = 0.75 * FOCAL / np.sqrt(len(rows) / np.pi)
    assert depth == pytest.approx(ahead - AHEAD, rel=0.1)
    assert (columns.mean() - 41.5) * depth / FOCAL == pytest.approx(right, abs=0.35)
    assert (41.5 - rows.mean()) * depth / FOCAL == pytest.approx(0.25, abs=0.15)  # the camera is 0.5 m up, food 0.75


def test_what_is_behind_is_not_seen_and_neither_is_what_something_hides():
    env, bodies = arrange((0, 0, 0), food=[(BAD_FOOD, 0.0, -4.0)])
    assert not has(picture(env), "red").any()
    place(bodies, BAD_FOOD, 0.0, 20.0)
    assert has(picture(env), "red").any()
    place(bodies, GOOD_FOOD, 0.0, 5.0)
    seen = picture(env)
    assert has(seen, "green").any() and not has(seen, "red").any()


def test_food_that_is_gone_is_not_seen():
    env, bodies = arrange((0, 0, 0), food=[(GOOD_FOOD, 0.0, 5.0)])
    bodies["on"][GOOD_FOOD] = False
    assert not has(picture(env), "green").any()


def test_an_agent_sees_others_but_not_itself():
    env, bodies = arrange((0, 0, 0))
    assert not has(picture(env), "blue").any()
    place(bodies, 1, 0.0, 5.0)
    assert has(picture(env), "blue").any()


def test_a_frozen_agent_is_told_and_looks_like_a_wall():
    env, bodies = arrange((0, 0, 0), (0, 5, 0))
    decision, _ = act(env, 0)
    assert decision.obs[1].tolist() == [[0], [1], [0], [0], [0]]
    assert bodies["tag"][1] == FROZEN
    seen = picture(env)
    assert not has(seen, "blue").any()
    assert has(seen, "gray")[44:48, 38:46].all()


def test_a_laser_is_seen_by_others_while_it_shoots_and_not_by_who_shoots():
    env, _ = arrange((0, 0, 0), (-10, 12, np.pi / 2))
    assert not has(picture(env, 0), "pink").any()
    across = has(picture(env, 0, 1), "pink")
    assert across.any(axis=0).all()  # it crosses the picture
    assert not has(picture(env, 1, 1), "pink").any()
    assert not has(picture(env, 0), "pink").any()


def test_a_laser_is_as_long_as_the_parameter_makes_it():
    def end(length):
        env, _ = arrange((0, 0, 0), (-10, 20, np.pi / 2), laser_length=length)
        columns = np.nonzero(has(picture(env, 0, 1), "pink"))[1]
        return (columns.max() - 41.5) * 20 / FOCAL

    assert end(0.5) == pytest.approx(0.0, abs=0.5)
    assert end(0.75) == pytest.approx(5.0, abs=0.5)
    with pytest.raises(UnityEnvironmentException, match=r"laser_length is 0; it must be between 0\.2 and 7"):
        begin(laser_length=0.0)


def test_a_frozen_agents_laser_is_not_seen():
    env, bodies = arrange((0, 0, 0), (-10, 12, np.pi / 2), (-18, 12, np.pi / 2))
    act(env, 2)
    assert bodies["tag"][1] == FROZEN
    assert not has(picture(env, 0, 1), "pink").any()


def test_a_larger_agent_looks_from_higher_up():
    def horizon(scale):
        env, _ = arrange((0, 49 - scale, 0), agent_scale=scale)
        seen = picture(env)
        return np.flatnonzero(has(seen, "gray")[:, 42])[-1]

    assert horizon(1.0) < horizon(4.0)


def test_walls_rise_from_the_floor_under_the_sky():
    env, _ = arrange((0, 30, 0))
    seen = picture(env)
    column = seen[:, 42]
    assert (seen[:30] == (119, 144, 155)).all()
    gray = np.flatnonzero(has(seen, "gray")[:, 42])
    away = 50 - 30 - AHEAD
    assert gray[0] == pytest.approx(42 - FOCAL * 2.0 / away, abs=1)  # 2 m above the camera
    assert gray[-1] == pytest.approx(42 + FOCAL * 0.5 / away, abs=1)
    assert (column[gray[-1] + 1 :] == column[-1]).all() and len(set(column[-1])) == 1


def test_who_changes_what_was_seen_changes_nothing_later():
    one, other = begin(seed=2), begin(seed=2)
    for column in one.get_steps(one.behavior)[0].obs:
        column[:] = 0.5
    for seen, expected in zip(act(one)[0].obs, act(other)[0].obs, strict=True):
        assert np.array_equal(seen, expected)


def test_a_trajectory_depends_on_seed_and_area_only():
    def trajectory(seed, areas=2):
        env, rng = begin(areas=areas, seed=seed), np.random.default_rng(1)
        seen = []
        for _ in range(30):
            steering, trigger = (np.tile(rng.uniform(-1, 1, (5, k)), (areas, 1)) for k in (3, 1))
            env.set_actions(env.behavior, ActionTuple(steering, trigger > 0))
            env.step()
            seen.append(env.get_steps(env.behavior)[0].obs[0][:5])
        return np.array(seen)

    assert np.array_equal(trajectory(5), trajectory(5))
    assert np.array_equal(trajectory(5), trajectory(5, areas=3))
    assert not np.array_equal(trajectory(5), trajectory(6))
