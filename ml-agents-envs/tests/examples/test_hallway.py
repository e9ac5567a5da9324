import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.hallway_numba import AGENT, PADS, SYMBOLS

FORWARD = 1


def begin(areas=1, seed=0):
    env = make("Hallway", areas=areas, seed=seed)
    env.reset()
    return env


def act(env, action):
    env.set_actions(env.behavior, ActionTuple(discrete=np.full((env.n, 1), action, np.int32)))
    env.step()
    return env.get_steps(env.behavior)


def send_to(env, kind):
    """Put every agent before the goal of this kind, looking at it."""
    bodies = env.state.bodies
    agent = bodies[:, AGENT]
    agent["x"], agent["z"], agent["yaw"] = bodies["x"][:, PADS[kind]], 19.0, 0.0


def test_the_right_goal_gives_one_and_the_wrong_one_takes_a_tenth():
    env = begin(areas=64)
    right = env._goal.copy()
    send_to(env, kind=0)
    act(env, FORWARD)
    _, terminal = act(env, FORWARD)
    assert len(terminal) == 64
    assert terminal.reward.tolist() == pytest.approx(np.where(right == 0, 1.0, -0.1).tolist())
    assert not terminal.interrupted.any()
    assert 0 < right.mean() < 1
    assert env.stats() == [("Goal/Correct", (right == 0).sum(), 2), ("Goal/Wrong", (right == 1).sum(), 2)]
    assert env.stats() == [("Goal/Correct", 0, 2), ("Goal/Wrong", 0, 2)]


def test_only_the_symbol_that_is_asked_for_stands_in_the_hall():
    env = begin(areas=200)
    bodies = env.state.bodies
    for kind in range(2):
        assert (bodies["on"][:, SYMBOLS[kind]] == (env._goal == kind)).all()
    o, x = (bodies["x"][env._goal == kind, SYMBOLS[kind]] for kind in range(2))
    assert np.abs(o).max() > 2.0
    assert not x.any()


def test_goals_are_on_either_side_and_never_on_the_same():
    o, x = (begin(areas=200).state.bodies["x"][:, pad] for pad in PADS)
    assert (o == -x).all()
    assert set(np.abs(o).tolist()) == {7.0}
    assert 0.3 < (o > 0).mean() < 0.7


def test_time_costs_and_is_told_with_two_older_frames():
    env = begin()
    decision, _ = act(env, 0)
    assert decision.reward[0] == pytest.approx(-6 / 3000)
    assert decision.obs[1][0].tolist() == pytest.approx([0, 0, 6 / 3000])
    decision, _ = act(env, 0)
    assert decision.obs[1][0].tolist() == pytest.approx([0, 6 / 3000, 12 / 3000])


def test_an_episode_is_interrupted_after_500_decisions_with_its_last_time_told():
    env = begin()
    for _ in range(499):
        assert len(act(env, 0)[1]) == 0
    decision, terminal = act(env, 0)
    assert terminal.interrupted.tolist() == [True]
    assert terminal.obs[1][0, 2] == 1.0
    assert decision.obs[1][0].tolist() == [0, 0, 0]


def test_goals_symbols_and_walls_are_told_apart():
    env = begin(areas=64)
    send_to(env, kind=1)
    decision, _ = act(env, 0)
    assert decision.obs[0].reshape(64, 3, 5, 7)[:, 2, 0, 1].all()  # X's goal is ahead
    for kind in range(2):
        env = begin(areas=64)
        agent, symbol = env.state.bodies[:, AGENT], env.state.bodies[:, SYMBOLS[kind]]
        agent["x"], agent["z"], agent["yaw"] = symbol["x"], symbol["z"] - 5.0, 0.0
        decision, _ = act(env, 0)
        assert (decision.obs[0].reshape(64, 3, 5, 7)[:, 2, 0, 2 + kind] == (env._goal == kind)).all()


def test_the_same_seed_gives_the_same_trajectory():
    def trajectory(seed):
        env, rng = begin(4, seed), np.random.default_rng(0)
        return np.concatenate([act(env, int(rng.integers(5)))[0].obs[0] for _ in range(40)])

    assert np.array_equal(trajectory(5), trajectory(5))
    assert not np.array_equal(trajectory(5), trajectory(6))
