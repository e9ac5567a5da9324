import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.soccer_numba import BALL
from mlagents_envs.exception import UnityEnvironmentException

BLUE, PURPLE = "SoccerTwos?team=0", "SoccerTwos?team=1"
STILL, FORWARD = (0, 0, 0), (1, 0, 0)
RIGHT = np.pi / 2  # yaw of who looks along x
FORMATION = ((-5.0, 4.0, RIGHT), (-5.0, -4.0, RIGHT), (5.0, -4.0, -RIGHT), (5.0, 4.0, -RIGHT))


def begin(areas=1, seed=0, **parameters):
    env = make("SoccerTwos", areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def put(env, *players, ball=(0.0, 0.0), speed=(0.0, 0.0)):
    """Put players, (x, z, yaw) at rest, and the ball with a speed on every field; others stand in formation."""
    bodies = env.state.bodies
    for k, (x, z, yaw) in enumerate((*players, *FORMATION[len(players) :])):
        for name, value in zip(("x", "z", "yaw", "vx", "vz"), (x, z, yaw, 0.0, 0.0), strict=True):
            bodies[name][:, k] = value
    for name, value in zip(("x", "z", "vx", "vz"), (*ball, *speed), strict=True):
        bodies[name][:, BALL] = value


def act(env, blue=STILL, purple=STILL):
    """Let all of a team do the same; return the steps of blue and of purple."""
    for behavior, action in ((BLUE, blue), (PURPLE, purple)):
        env.set_actions(behavior, ActionTuple(discrete=np.tile(np.array(action, np.int32), (2 * env.areas, 1))))
    env.step()
    return env.get_steps(BLUE), env.get_steps(PURPLE)


def test_there_are_two_teams_of_two_on_each_field_and_each_is_a_group():
    env = begin(areas=3)
    assert list(env.behavior_specs) == [BLUE, PURPLE]
    assert env.get_steps(BLUE)[0].group_id.tolist() == [1, 1, 3, 3, 5, 5]
    assert env.get_steps(PURPLE)[0].group_id.tolist() == [2, 2, 4, 4, 6, 6]
    assert env.get_steps(BLUE)[0].agent_id.tolist() == [0, 1, 4, 5, 8, 9]


@pytest.mark.parametrize(("side", "scorer", "conceder"), [(1, 0, 1), (-1, 1, 0)])
def test_a_goal_pays_its_scorers_less_the_time_and_costs_the_others_one(side, scorer, conceder):
    env = begin()
    put(env, ball=(side * 14.5, 0.0), speed=(side * 10.0, 0.0))
    env.state.clock[0] = 1000
    # 14.5 + 0.196 + 0.192 + 0.188 + ..: beyond the line at 15.127 after the fourth step
    seen = act(env)
    for team, expected in ((scorer, 1 - 1004 / 5000), (conceder, -1.0)):
        terminal = seen[team][1]
        assert terminal.group_reward == pytest.approx([expected] * 2)
        assert terminal.reward.tolist() == [0.0, 0.0]
        assert not terminal.interrupted.any()
    assert all(len(decision) == 2 and not decision.group_reward.any() for decision, _ in seen)
    assert env.state.clock[0] == 0


def test_the_ball_beside_the_goal_bounces_off_the_cut_corner():
    env = begin()
    put(env, ball=(12.0, 5.0), speed=(20.0, 0.0))
    for _ in range(4):
        (_, ended), _ = act(env)
        assert len(ended) == 0
    ball = env.state.bodies[0, BALL]
    assert ball["vx"] < 5.0
    assert ball["vz"] < -3.0  # turned towards the middle


def test_after_five_thousand_steps_both_groups_are_interrupted_without_reward():
    env = begin(areas=2)
    put(env)
    env.state.clock[:] = (4990, 0)
    for _, ended in act(env):
        assert len(ended) == 0
    for (_, ended), group in zip(act(env), (1, 2), strict=True):
        assert ended.group_id.tolist() == [group] * 2
        assert ended.interrupted.all()
        assert not ended.group_reward.any()


def ball_speed_after_a_touch(action):
    env = begin()
    put(env, (-1.3, 0.0, RIGHT))
    env.state.bodies["vx"][0, 0] = 12.0
    act(env, blue=action)
    return float(env.state.bodies["vx"][0, BALL])


def test_who_touches_the_ball_while_going_forward_kicks_it_by_a_third_of_40_metres_a_second():
    turned = ball_speed_after_a_touch((2, 0, 0))  # backwards: 2 m/s less a step than forward does more
    kicked = ball_speed_after_a_touch(FORWARD)
    assert turned > 8.0
    assert 13.3 * 0.98**5 < kicked - turned < 13.4 + 4 * 2 * 1.8


def test_touching_the_ball_pays_once_per_touch_and_only_if_that_is_asked_for():
    for touch, expected in ((0.0, 0.0), (0.5, 0.1)):
        env = begin(ball_touch=touch)
        put(env, (-1.13, 0.0, RIGHT))
        env.state.bodies["vx"][0, 0] = 2.0
        (decision, _), (other, _) = act(env)
        assert decision.reward.tolist() == pytest.approx([expected, 0.0])
        assert not other.reward.any()


def test_both_teams_see_their_side_of_the_same_situation():
    env = begin()
    put(env, (-6.0, 2.0, RIGHT), (-3.0, -3.0, 1.0), (6.0, -2.0, -RIGHT), (3.0, 3.0, 1.0 + np.pi))
    blue, purple = (team[0] for team in act(env))
    for mine, theirs in zip(blue.obs, purple.obs, strict=True):
        assert np.allclose(mine[:, -24:], theirs[:, -24:], atol=1e-4)
        assert mine.any()


def test_ahead_is_the_ball_and_behind_the_own_goal():
    env = begin()
    put(env, (-5.0, 0.0, RIGHT))
    (blue, _), _ = act(env)
    ahead, behind = blue.obs[0][0].reshape(3, 11, 8)[2, 0], blue.obs[1][0].reshape(3, 3, 8)[2, 0]
    # the thrown ball, half a metre above the other one's middle, stops 1.124 from it
    assert ahead.tolist() == pytest.approx([1, 0, 0, 0, 0, 0, 0, (5 - np.sqrt(1.124**2 - 0.25)) / 20], abs=1e-4)
    assert behind.tolist() == pytest.approx([0, 1, 0, 0, 0, 0, 0, (17.372 - 5 - 0.5) / 20], abs=1e-3)


def test_a_player_tells_its_mate_from_opponents():
    env = begin()
    put(env, (-5.0, 0.0, 0.0), (-5.0, 4.0, 0.0), (5.0, 0.0, 0.0), (5.0, 4.0, 0.0), ball=(0.0, -5.0))
    (blue, _), (purple, _) = act(env)
    for team in (blue, purple):
        ahead = team.obs[0][0].reshape(3, 11, 8)[2, 0]
        assert ahead[4] == 1.0
    put(env, (0.0, -3.0, 0.0), (-9.0, 0.0, 0.0), (0.0, 3.0, np.pi), (9.0, 0.0, 0.0), ball=(12.0, 0.0))
    (blue, _), (purple, _) = act(env)
    for team in (blue, purple):
        ahead = team.obs[0][0].reshape(3, 11, 8)[2, 0]
        assert ahead[5] == 1.0


def test_an_episode_begins_on_the_own_half_with_eyes_on_the_other_one():
    env = begin(areas=300)
    players = env.state.bodies[:, :BALL]
    assert (np.abs(players["x"][:, :2] + 8.19) <= 5.0).all()
    assert (np.abs(players["x"][:, 2:] - 8.19) <= 5.0).all()
    assert players["x"].std(axis=0).min() > 2.5
    assert np.abs(players["z"]) == pytest.approx(1.2)
    degrees = np.degrees(players["yaw"])
    assert (np.abs(degrees[:, :2] - 90) <= 10).all()
    assert (np.abs(degrees[:, 2:] + 90) <= 10).all()
    ball = env.state.bodies[:, BALL]
    assert max(np.abs(ball["x"]).max(), np.abs(ball["z"]).max()) <= 2.5
    seen = env.get_steps(BLUE)[0].obs[0].reshape(-1, 3, 88)
    assert not seen[:, :2].any()
    assert seen[:, 2].any(axis=1).all()


def trajectory(areas, seed, decisions=60):
    env, rng = begin(areas, seed), np.random.default_rng(0)
    seen = []
    for actions in rng.integers(0, 3, (decisions, 2, 20, 3)):
        for behavior, action in zip((BLUE, PURPLE), actions, strict=True):
            env.set_actions(behavior, ActionTuple(discrete=action[: 2 * areas].astype(np.int32)))
        env.step()
        seen.append(env.get_steps(PURPLE)[0].obs[0])
    return np.stack(seen)


def test_the_same_seed_gives_the_same_trajectory_however_many_fields_there_are():
    one, again, other = trajectory(3, 5), trajectory(3, 5), trajectory(3, 6)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, trajectory(5, 5)[:, :6])


def test_nobody_leaves_the_field_however_hard_the_ball_is_hit():
    env, rng = begin(areas=16), np.random.default_rng(1)
    for actions in rng.integers(0, 3, (300, 2, 32, 3)):
        actions[:, :, 0] = 1  # all run forward
        for behavior, action in zip((BLUE, PURPLE), actions, strict=True):
            env.set_actions(behavior, ActionTuple(discrete=action.astype(np.int32)))
        env.step()
        bodies = env.state.bodies[:, : BALL + 1]
        assert np.abs(bodies["x"]).max() < 17.4
        assert np.abs(bodies["z"]).max() < 7.5


def test_an_impossible_parameter_gets_a_sentence():
    with pytest.raises(
        UnityEnvironmentException, match="SoccerTwos: environment parameter ball_touch is 2; it must be"
    ):
        begin(ball_touch=2.0)
