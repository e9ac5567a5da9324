import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.pushblock_numba import AGENT, BLOCK
from mlagents_envs.exception import UnityEnvironmentException

FORWARD = 1


def begin(areas=1, seed=0, **parameters):
    env = make("PushBlock", areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def put(env, agent, block):
    """Put agent and block of every area on the ground at (x, z), the agent looking at the goal."""
    bodies = env.state.bodies
    for which, (x, z), height in ((AGENT, agent, 1.0), (BLOCK, block, 0.75)):
        body = bodies[:, which]
        body["x"], body["z"], body["low"], body["high"] = x, z, 0.0, height
    bodies["yaw"][:, AGENT] = np.pi


def act(env, action):
    """Let every agent do this and return the steps."""
    action = np.broadcast_to(np.asarray(action, np.int32).reshape(-1, 1), (env.n, 1))
    env.set_actions(env.behavior, ActionTuple(discrete=action))
    env.step()
    return env.get_steps(env.behavior)


def test_the_block_in_the_goal_gives_five_less_the_time_and_ends_the_episode():
    env = begin()
    put(env, agent=(0.0, 0.0), block=(0.0, -4.0))
    earned, decisions, terminal = 0.0, 0, ()
    while not len(terminal):
        decision, terminal = act(env, FORWARD)
        earned += float((terminal if len(terminal) else decision).reward[0])
        decisions += 1
    assert 3 < decisions < 10
    assert 5 - decisions * 0.001 <= earned < 5 - (decisions - 1) * 0.001
    assert not terminal.interrupted[0]
    assert decision.reward[0] == 0.0


def test_the_end_is_seen_where_it_happened_and_the_next_episode_anew():
    env = begin()
    put(env, agent=(0.0, -3.0), block=(4.0, -7.36))  # the block is about to touch the goal by itself
    env.state.bodies["vz"][:, BLOCK] = -2.0
    decision, terminal = act(env, 0)
    ahead, *_ = terminal.obs[1].reshape(3, 7, 5)[2]
    assert ahead.tolist() == pytest.approx([0, 1, 0, 0, (8.35 - 3.5) / 12], abs=1e-4)
    stack = decision.obs[1].reshape(3, 35)
    assert not stack[:2].any()
    assert stack[2].any()


def test_a_decision_without_the_goal_costs_a_thousandth():
    decision, terminal = act(begin(areas=4), 0)
    assert decision.reward == pytest.approx(-0.001)
    assert len(terminal) == 0


def test_an_episode_is_interrupted_after_a_thousand_decisions():
    env = begin()
    for _ in range(999):
        _, terminal = act(env, 0)
        assert len(terminal) == 0
    _, terminal = act(env, 0)
    assert terminal.interrupted.tolist() == [True]


def test_the_higher_sensor_sees_the_walls_only_and_nothing_while_the_agent_falls():
    env = begin(areas=64)
    high = env.get_steps(env.behavior)[0].obs[0].reshape(64, 3, 7, 5)
    assert high[:, 2, :, 3].all()
    for _ in range(4):
        decision, _ = act(env, 0)
    high, low = (column.reshape(64, 3, 7, 5)[:, 2] for column in decision.obs)
    assert high[..., 2].mean() > 0.1
    assert not high[..., :2].any()
    assert (low[..., :3].mean((0, 1)) > 0.02).all()


def test_the_lower_sensor_meets_a_wall_half_a_metre_before_the_higher_one():
    env = begin()
    put(env, agent=(0.0, 6.0), block=(5.0, -5.0))
    env.state.bodies["yaw"][:, AGENT] = 0.0  # looks at the wall whose side is at 12.5
    decision, _ = act(env, 0)
    high, low = (column.reshape(3, 7, 5)[2, 0, 4] * 12 for column in decision.obs)
    assert low == pytest.approx(6.0, abs=1e-3)
    assert high == pytest.approx(6.5, abs=0.02)


def test_things_begin_with_room_around_them_and_before_the_goal():
    env = begin(areas=500)
    agent, block = env.state.bodies[:, AGENT], env.state.bodies[:, BLOCK]
    for body in (agent, block):
        assert (np.abs(body["x"]) <= 6.25).all()
        assert ((body["z"] >= -5.85) & (body["z"] <= 6.25)).all()
        assert body["x"].std() > 3.0
    apart = np.maximum(np.abs(agent["x"] - block["x"]), np.abs(agent["z"] - block["z"]))
    assert apart.min() >= 3.5


def trajectory(env, decisions=60):
    rng = np.random.default_rng(0)
    return np.concatenate(
        [act(env, rng.integers(0, 7, (decisions, 64))[k, : env.n])[0].obs[1] for k in range(decisions)]
    )


def test_the_same_seed_gives_the_same_trajectory_however_many_areas_there_are():
    one, again, other = trajectory(begin(3, seed=5)), trajectory(begin(3, seed=5)), trajectory(begin(3, seed=6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    more = trajectory(begin(5, seed=5)).reshape(-1, 5, 105)
    assert np.array_equal(one.reshape(-1, 3, 105), more[:, :3])


@pytest.mark.parametrize(
    ("parameters", "column", "expected"),
    [
        ({}, "half_x", 1.0),
        ({"block_scale": 3.0}, "half_z", 1.5),
        ({"block_drag": 2.0}, "drag", 2.0),
        ({}, "friction", 0.3),
        ({"dynamic_friction": 1.0}, "friction", 0.8),
        ({"static_friction": 1.0}, "stiction", 0.8),
    ],
)
def test_parameters_are_obeyed(parameters, column, expected):
    assert begin(**parameters).state.bodies[column][0, BLOCK] == pytest.approx(expected)


def test_a_sampler_is_asked_once_for_each_episode_that_begins():
    asked = []
    env = begin(areas=8, block_scale=lambda n: asked.append(n) or np.full(n, 1.0))
    put(env, agent=(0.0, -5.9), block=(0.0, -7.9))
    _, terminal = act(env, FORWARD)
    assert asked == [8, len(terminal)] == [8, 8]


def test_an_impossible_parameter_gets_a_sentence():
    with pytest.raises(
        UnityEnvironmentException, match="PushBlock: environment parameter block_scale is 9; it must be"
    ):
        begin(block_scale=9.0)
