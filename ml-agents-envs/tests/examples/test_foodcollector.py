import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.foodcollector_numba import AGENTS, FIRST_FOOD, FIRST_WALL, FREE, FROZEN, OF_EACH
from mlagents_envs.exception import UnityEnvironmentException

GOOD_FOOD, BAD_FOOD = FIRST_FOOD, FIRST_FOOD + OF_EACH  # the first of each
FOOD = slice(FIRST_FOOD, FIRST_WALL)
STEERING = {"ahead": 0, "right": 1, "left_turn": 2}


def begin(areas=1, seed=0, **parameters):
    env = make("FoodCollector", areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def arrange(*agents, food=()):
    """Return an environment with agents, (x, z, yaw), and (food, x, z) on the ground; other agents stand aside, other food is gone."""
    env = begin()
    bodies = env.state.bodies[0]
    bodies["on"][FOOD] = False
    agents = (*agents, *((-40.0 - 2 * k, -40.0, 0.0) for k in range(len(agents), AGENTS)))
    for which, (x, z, yaw) in enumerate(agents):
        place(bodies, which, x, z)
        bodies["yaw"][which] = yaw
    for which, x, z in food:
        place(bodies, which, x, z)
    return env, bodies


def place(bodies, which, x, z):
    height = bodies["high"][which] - bodies["low"][which]
    bodies["low"][which], bodies["high"][which] = bodies["floor"][which], bodies["floor"][which] + height
    bodies["x"][which], bodies["z"][which], bodies["on"][which] = x, z, True


def act(env, *agents):
    """Let agents act, each a mapping of what it does, others not; return the steps."""
    steering, trigger = np.zeros((env.n, 3), np.float32), np.zeros((env.n, 1), np.int32)
    for k, does in enumerate(agents):
        for name, value in does.items():
            if name == "shoots":
                trigger[k] = value
            else:
                steering[k, STEERING[name]] = value
    env.set_actions(env.behavior, ActionTuple(steering, trigger))
    env.step()
    return env.get_steps(env.behavior)


def test_five_agents_live_in_each_of_four_areas_and_see_40_by_40_cells():
    env = make("FoodCollector")
    env.reset()
    decision, _ = env.get_steps("GridFoodCollector?team=0")
    assert decision.obs[0].shape == (20, 5, 40, 40)
    assert not decision.group_id.any()
    assert set(np.unique(decision.obs[0]).tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(("food", "reward"), [(GOOD_FOOD, 1.0), (BAD_FOOD, -1.0)])
def test_food_that_is_touched_pays_and_falls_down_elsewhere(food, reward):
    env, bodies = arrange((0.0, 0.0, 0.0), food=[(food, 0.0, 2.0)])
    decision, terminal = act(env, {"ahead": 1.0})
    while not decision.reward.any():
        decision, terminal = act(env, {"ahead": 1.0})
    assert decision.reward.tolist() == [reward, 0, 0, 0, 0]
    assert len(terminal) == 0
    assert bodies["low"][food] > 0.9
    assert np.hypot(bodies["x"][food], bodies["z"][food] - 2.0) > 1.0
    for _ in range(8):
        act(env)
    assert bodies["low"][food] == 0.5


def test_who_strikes_food_is_slowed_and_food_rolls_on_with_what_it_got():
    speeds = []
    for food in ((), [(GOOD_FOOD, 0.0, 1.6)]):
        env, bodies = arrange((0.0, 0.0, 0.0), food=food)
        bodies["vz"][0] = 10.0
        act(env)
        speeds.append(float(bodies["vz"][0]))
    assert speeds[1] < 0.75 * speeds[0]
    assert bodies["vz"][GOOD_FOOD] > 3.0


def test_food_that_rolls_stops_at_walls():
    env, bodies = arrange(food=[(GOOD_FOOD, 48.0, 0.0)])
    bodies["vx"][GOOD_FOOD], bodies["vz"][GOOD_FOOD] = 20.0, 1.0
    act(env)
    assert (bodies["x"][GOOD_FOOD], bodies["vx"][GOOD_FOOD]) == (49.25, 0.0)
    assert bodies["vz"][GOOD_FOOD] == pytest.approx(1.0, abs=1e-2)


def test_food_in_the_air_is_neither_eaten_nor_seen():
    env, bodies = arrange((0.0, 0.0, 0.0), food=[(GOOD_FOOD, 0.0, 1.3)])
    bodies["low"][GOOD_FOOD], bodies["high"][GOOD_FOOD] = 2.5, 4.0
    decision, _ = act(env)
    assert not decision.reward.any()
    assert not decision.obs[0][0, 0].any()


def test_an_agent_sees_in_cells_that_turn_with_it():
    # agent 0 looks along x: food 5 m ahead and 3 to the right, agent 1 2 m behind
    env, _ = arrange((0.0, 0.0, np.pi / 2), (-2.0, 0.0, 0.0), food=[(GOOD_FOOD, 5.0, -3.0), (BAD_FOOD, 5.0, 6.0)])
    seen = act(env)[0].obs[0][0]
    middle = [(np.argwhere(seen[tag]).mean(0) - 19.5).tolist() for tag in (0, 1, 3)]
    assert middle == [pytest.approx([-3.0, 5.0]), pytest.approx([0.0, -2.0]), pytest.approx([6.0, 5.0])]
    assert not seen[4].any()
    assert not seen[2].any()


@pytest.mark.parametrize(
    ("does", "moved"),
    [({"ahead": 1.0}, (0, 1)), ({"ahead": -1.0}, (0, -1)), ({"right": 1.0}, (1, 0)), ({"right": -5.0}, (-1, 0))],
)
def test_agents_are_pushed_as_they_steer_and_no_action_is_more_than_one(does, moved):
    env, bodies = arrange((0.0, 0.0, 0.0))
    act(env, does)
    speed = np.array([bodies["vx"][0], bodies["vz"][0]])
    # v = 0.99 (v + 2 - 2 mu g dt), and 0.95 of v above 5
    expected = 0.0
    for _ in range(5):
        expected = 0.99 * (expected * (0.95 if expected > 5 else 1.0) + 2.0 - 2 * 0.6 * 9.81 * 0.02)
    assert speed == pytest.approx(expected * np.array(moved), abs=1e-3)


def test_a_positive_turn_is_to_the_left_by_six_degrees_a_step():
    env, bodies = arrange((0.0, 0.0, 0.0))
    act(env, {"left_turn": 1.0})
    assert bodies["yaw"][0] == pytest.approx(-np.radians(30.0), abs=1e-5)


def test_a_laser_freezes_who_is_ahead_for_four_seconds():
    env, bodies = arrange((0.0, 0.0, 0.0), (1.5, 20.0, 0.0))
    decision, _ = act(env, {"shoots": 1})
    assert bodies["tag"][:2].tolist() == [FREE, FROZEN]
    assert decision.obs[0][0, 4].any()
    assert not decision.obs[0][0, 1].any()
    for _ in range(39):
        act(env, {}, {"ahead": 1.0})
        assert bodies["vz"][1] == 0.0
    for _ in range(2):
        act(env, {}, {"ahead": 1.0})
    assert bodies["vz"][1] > 0.0
    assert bodies["tag"][1] == FREE


@pytest.mark.parametrize(
    ("target", "food"),
    [
        ((0.0, 30.0), ()),  # too far
        ((3.0, 10.0), ()),  # beside the beam
        ((0.0, -10.0), ()),  # behind
        ((0.0, 2.0), ()),  # overlapped where the beam starts
        ((0.0, 10.0), [(BAD_FOOD, 2.0, 5.0)]),  # behind food, which stops the beam
    ],
)
def test_a_laser_misses(target, food):
    env, bodies = arrange((0.0, 0.0, 0.0), (*target, 0.0), food=food)
    act(env, {"shoots": 1})
    assert bodies["tag"][1] == FREE


def test_who_shoots_is_slowed():
    speeds = []
    for shoots in (0, 1):
        env, bodies = arrange((0.0, 0.0, 0.0))
        bodies["vz"][0] = 4.0
        act(env, {"shoots": shoots})
        speeds.append(float(bodies["vz"][0]))
    assert 0.0 <= speeds[1] < 4.0 * 0.75**5 < speeds[0]


def test_all_are_interrupted_after_a_thousand_decisions_and_food_stays():
    env = begin()
    for _ in range(999):
        assert len(act(env)[1]) == 0
    food = env.state.bodies[0, FOOD].copy()
    decision, terminal = act(env)
    assert terminal.interrupted.tolist() == [True] * 5
    assert terminal.obs[0].any()
    assert not np.array_equal(terminal.obs[0], decision.obs[0])
    assert np.array_equal(env.state.bodies["x"][0, FOOD], food["x"])
    assert decision.agent_id.tolist() == terminal.agent_id.tolist()


def test_scale_is_obeyed_and_spreads_the_cells_of_the_sensor():
    env = begin(agent_scale=2.0)
    bodies = env.state.bodies[0]
    assert bodies["half_x"][:AGENTS].tolist() == [1.0] * AGENTS
    for _ in range(8):
        act(env)
    assert bodies["low"][0] == 0.5
    bodies["on"][FOOD] = False
    bodies["on"][GOOD_FOOD] = True
    bodies["x"][0], bodies["z"][0], bodies["yaw"][0] = 0.0, 0.0, 0.0
    bodies["x"][GOOD_FOOD], bodies["z"][GOOD_FOOD] = 0.0, 30.0  # beyond the 20 m that an agent of scale 1 sees
    assert act(env)[0].obs[0][0, 0].any()


def test_impossible_parameters_get_a_sentence():
    for name, value in {"agent_scale": 0.1, "laser_length": 9.0}.items():
        with pytest.raises(UnityEnvironmentException, match=f"FoodCollector: environment parameter {name} is"):
            begin(**{name: value})
    env = make("FoodCollector")
    env.set_parameters({"laser_length": lambda n: np.full(n, 9.0)})
    with pytest.raises(UnityEnvironmentException, match="laser_length is 9"):
        env.reset()


def test_the_same_seed_gives_the_same_trajectory_however_many_areas_there_are():
    def trajectory(areas, seed):
        env, rng, seen = begin(areas, seed), np.random.default_rng(0), []
        for steering in rng.uniform(-1, 1, (40, 20, 4)).astype(np.float32):
            mine = steering[: env.n]
            env.set_actions(env.behavior, ActionTuple(mine[:, :3], mine[:, 3:] > 0.8))
            env.step()
            seen.append(env.get_steps(env.behavior)[0].obs[0][:5])
        return np.concatenate(seen)

    one = trajectory(1, 5)
    assert np.array_equal(one, trajectory(1, 5))
    assert np.array_equal(one, trajectory(3, 5))
    assert not np.array_equal(one, trajectory(1, 6))


def collected(player, decisions=300):
    """Return the mean reward of an agent whom a player, obs -> (n, 3), steers."""
    env, total = begin(areas=4, seed=1), 0.0
    for _ in range(decisions):
        seen = env.get_steps(env.behavior)[0].obs[0]
        env.set_actions(env.behavior, ActionTuple(player(seen), np.zeros((env.n, 1), np.int32)))
        env.step()
        total += float(env.get_steps(env.behavior)[0].reward.mean())
    return total


def nearest(seen):
    """Go to the nearest good food that is seen, else ahead."""
    cells = np.arange(40) - 19.5
    right, ahead = np.meshgrid(-cells, cells, indexing="ij")
    away = np.where(seen[:, 0] > 0, np.hypot(right, ahead), 99.0).reshape(len(seen), -1)
    which, found = away.argmin(1), away.min(1) < 99.0
    way = np.stack([ahead.ravel()[which], right.ravel()[which]], 1) / away.min(1)[:, None]
    steering = np.zeros((len(seen), 3), np.float32)
    steering[:, :2] = np.where(found[:, None], way, [1.0, 0.0])
    return steering


def test_who_goes_for_what_is_seen_collects_food_and_chance_does_not():
    rng = np.random.default_rng(0)
    assert collected(nearest) > 10.0
    assert abs(collected(lambda seen: rng.uniform(-1, 1, (len(seen), 3)).astype(np.float32))) < 2.0
