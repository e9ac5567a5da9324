import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.walljump_numba import AGENT, BLOCK, GROUND, WALL
from mlagents_envs.exception import UnityEnvironmentException

SMALL, BIG = "SmallWallJump?team=0", "BigWallJump?team=0"
HEIGHTS = ("no_wall_height", "small_wall_height", "big_wall_height")
AHEAD, JUMP, AHEAD_JUMP, STILL = (1, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 1), (0, 0, 0, 0)
NEAR_FACE = -1.98 - 0.75  # of the wall, where z is


def begin(areas=1, seed=0, **parameters):
    env = make("WallJump", areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def before_wall(height, *, agent=(0.0, -8.0), block=(-8.0, -10.0), low=float(GROUND)):
    """Return an environment whose wall has this height, agent and block at (x, z), the agent looking at the wall."""
    env = begin(**dict.fromkeys(HEIGHTS, height))
    bodies = env.state.bodies[0]
    for which, (x, z) in ((AGENT, agent), (BLOCK, block)):
        bodies["x"][which], bodies["z"][which] = x, z
    bodies["yaw"][AGENT], bodies["low"][AGENT], bodies["high"][AGENT] = 0.0, low, low + 1.0
    return env, bodies


def act(env, actions):
    """Let every agent do this, (4,) or (areas, 4), and return all steps as (decision, terminal) of each behavior."""
    actions = np.broadcast_to(np.asarray(actions, np.int32), (env.n, 4))
    for name in (SMALL, BIG):
        env.set_actions(name, ActionTuple(discrete=actions[env.asking_rows(name)]))
    env.step()
    return [env.get_steps(name) for name in (SMALL, BIG)]


def act_alone(env, action, decisions=1):
    """Let the only agent do this and return its decision and terminal steps, None where there are none."""
    for _ in range(decisions):
        steps_by_behavior = act(env, action)
    return tuple(next((steps for steps in kind if len(steps)), None) for kind in zip(*steps_by_behavior, strict=True))


def test_the_height_of_the_wall_decides_the_behavior_in_which_an_agent_lives():
    env = begin(areas=500)
    top = env.state.bodies["high"][:, WALL]
    assert set(top.tolist()) == {0.0, 2.0, 4.0}
    assert (env._behavior_index == (top == 4.0)).all()
    assert [len(env.get_steps(name)[0]) for name in (SMALL, BIG)] == [(top < 4.0).sum(), (top == 4.0).sum()]
    assert (top == 0.0).mean() == pytest.approx(0.2, abs=0.06)
    assert (top == 2.0).mean() == pytest.approx(0.2, abs=0.06)


def test_an_end_is_told_where_the_agent_lived_and_it_may_live_on_elsewhere():
    env = begin(areas=64)
    before = {name: set(env.get_steps(name)[0].agent_id.tolist()) for name in (SMALL, BIG)}
    env.state.bodies["x"][:, AGENT] = 11.0
    (small, small_end), (big, big_end) = act(env, STILL)
    assert set(small_end.agent_id.tolist()) == before[SMALL]
    assert set(big_end.agent_id.tolist()) == before[BIG]
    assert len(small) + len(big) == 64
    assert len(small) != len(small_end)
    assert set(small.agent_id.tolist()) | set(big.agent_id.tolist()) == before[SMALL] | before[BIG] == set(range(64))
    assert set(small.agent_id.tolist()) & before[BIG] and set(big.agent_id.tolist()) & before[SMALL]


def test_standing_in_the_goal_gives_one_in_place_of_what_time_cost():
    env, _ = before_wall(0.0, agent=(6.4, 2.9))
    _, terminal = act_alone(env, STILL)
    assert terminal.reward.tolist() == [1.0]
    assert not terminal.interrupted[0]


def test_who_flies_through_the_goal_must_come_down_first():
    env, _ = before_wall(0.0, agent=(6.4, 2.9), low=3.0)
    ends = [act_alone(env, STILL)[1] for _ in range(3)]
    assert ends[0] is None
    assert [end.reward[0] for end in ends if end is not None] == [1.0]


@pytest.mark.parametrize(("agent", "block"), [((10.6, -8.0), (0.0, -6.0)), ((0.0, -12.0), (0.0, -14.6))])
def test_agent_or_block_beyond_the_edge_takes_one(agent, block):
    env, _ = before_wall(4.0, agent=agent, block=block)
    decision, terminal = act_alone(env, STILL)
    assert terminal.reward.tolist() == [-1.0]
    assert not terminal.interrupted[0]
    assert decision.reward.tolist() == [0.0]


def test_time_costs_and_is_up_after_400_decisions():
    env, _ = before_wall(4.0)
    for _ in range(399):
        decision, terminal = act_alone(env, STILL)
        assert decision.reward[0] == pytest.approx(-0.0025)
        assert terminal is None
    assert act_alone(env, STILL)[1].interrupted.tolist() == [True]


def test_a_jump_aims_at_2_75_above_its_start_and_the_agent_comes_down_quickly():
    env, bodies = before_wall(4.0)
    heights = []
    for _ in range(5):
        act_alone(env, JUMP)
        heights.append(float(bodies["low"][AGENT]) - GROUND)
    assert 2.4 < max(heights[:3]) < 2.75
    env, bodies = before_wall(4.0)
    act_alone(env, JUMP)
    act_alone(env, STILL, 5)
    assert bodies["low"][AGENT] == pytest.approx(GROUND, abs=1e-3)


def test_nobody_jumps_from_the_air():
    env, bodies = before_wall(4.0, low=2.0)
    act_alone(env, JUMP)
    assert bodies["low"][AGENT] < 1.5


@pytest.mark.parametrize(
    ("height", "action", "over"),
    [(4.0, AHEAD, False), (4.0, AHEAD_JUMP, True), (8.0, AHEAD_JUMP, False), (0.0, AHEAD, True)],
)
def test_a_small_wall_stops_who_walks_and_a_big_one_who_jumps(height, action, over):
    env, bodies = before_wall(height, agent=(0.0, -5.0))
    farthest = -5.0
    for _ in range(6):
        act_alone(env, action)
        farthest = max(farthest, float(bodies["z"][AGENT]))
    if over:
        assert farthest > 0.0
    else:
        assert farthest == pytest.approx(NEAR_FACE - 0.5, abs=0.05)


def test_a_block_is_pushed_to_the_wall_and_beyond_where_there_is_none():
    env, bodies = before_wall(4.0, agent=(0.0, -12.0), block=(0.0, -9.0))
    act_alone(env, AHEAD, 12)
    assert bodies["z"][BLOCK] == pytest.approx(NEAR_FACE - 1.5, abs=0.05)
    env, bodies = before_wall(0.0, agent=(0.0, -12.0), block=(0.0, -9.0))
    farthest = -9.0
    for _ in range(8):
        act_alone(env, AHEAD)
        farthest = max(farthest, float(bodies["z"][BLOCK]))
    assert farthest > 2.0


def test_who_stands_on_the_block_can_jump_over_a_big_wall():
    env, bodies = before_wall(8.0, agent=(0.0, -4.5), block=(0.0, NEAR_FACE - 1.5), low=2.5)
    decision, _ = act_alone(env, STILL)
    assert bodies["low"][AGENT] == pytest.approx(2.5, abs=0.01)
    assert decision.obs[2][0, -1] == 1.0
    act_alone(env, AHEAD_JUMP, 5)
    assert bodies["z"][AGENT] > -1.0


def test_the_agent_drags_the_block_below_it_and_both_keep_their_momentum():
    env, bodies = before_wall(0.0, agent=(0.0, -6.0), block=(0.0, -6.0), low=2.5)
    bodies["vx"][AGENT] = 2.0
    act_alone(env, STILL)
    agent, block = bodies["vx"][:2]
    assert block > 1.0
    # drag takes 2 of the agent and 1 of the block in a second
    assert 25 * 2.0 * 0.96**5 <= 25 * agent + 10 * block <= 25 * 2.0 * 0.98**5


def test_an_agent_feels_where_it_is_in_20_m_and_whether_it_could_jump_with_five_older_frames():
    env, _ = before_wall(4.0, agent=(4.0, -8.0))
    decision, _ = act_alone(env, STILL)
    frames = decision.obs[2].reshape(6, 4)
    assert not frames[:4].any()
    assert frames[5].tolist() == pytest.approx([0.2, 0.95 / 20, -0.2, 1.0], abs=1e-3)
    act_alone(env, JUMP)
    assert act_alone(env, STILL)[0].obs[2].reshape(6, 4)[5, 3] == 0.0


def test_rays_tell_wall_block_and_goal_apart_and_the_higher_ones_pass_over_block_and_small_wall():
    def ahead(height, **places):
        decision, _ = act_alone(before_wall(height, **places)[0], STILL)
        return [column.reshape(6, 7, 5)[5, 0].tolist() for column in decision.obs[:2]]

    nothing = [0.0, 0.0, 0.0, 1.0, 1.0]
    high, low = ahead(4.0)
    assert high == nothing
    assert low == pytest.approx([1, 0, 0, 0, (8.0 + NEAR_FACE - 0.5) / 20], abs=1e-3)
    high, low = ahead(8.0, block=(0.0, -5.5))
    assert high[0] == 1.0
    assert low[:3] == [0, 0, 1]
    assert ahead(0.0, agent=(6.4, -8.0))[1][:3] == [0, 1, 0]


def test_a_sampler_is_asked_once_for_each_episode_before_such_a_wall():
    asked = {name: [] for name in HEIGHTS}

    def sampler(name, value):
        return lambda n: asked[name].append(n) or np.full(n, value)

    env = begin(areas=100, **{name: sampler(name, 1.0 + k) for k, name in enumerate(HEIGHTS)})
    assert sum(map(sum, asked.values())) == 100
    top = env.state.bodies["high"][:, WALL]
    assert [int((top == (1.0 + k) / 2).sum()) for k in range(3)] == [asked[name][0] for name in HEIGHTS]


def test_an_impossible_parameter_gets_a_sentence():
    with pytest.raises(
        UnityEnvironmentException, match="WallJump: environment parameter big_wall_height is -1; it must"
    ):
        begin(big_wall_height=-1.0)


def test_the_same_seed_gives_the_same_trajectory_however_many_areas_there_are():
    def trajectory(areas, seed):
        env, rng, seen = begin(areas, seed), np.random.default_rng(0), []
        for actions in rng.integers(0, (3, 3, 3, 2), (80, 8, 4)):
            act(env, actions[:areas])
            seen.append(env.state.bodies[["x", "z", "low", "yaw"]][:3].copy())
        return np.stack(seen)

    one = trajectory(3, 5)
    assert (one == trajectory(3, 5)).all()
    assert (one == trajectory(6, 5)).all()
    assert not (one == trajectory(3, 6)).all()


def plan(env):
    """Return what a simple player does: look ahead; bring the block to a big wall; jump; on the far side go to the goal."""
    agent, block = env.state.bodies[:, AGENT], env.state.bodies[:, BLOCK]
    big = env._behavior_index == 1
    yaw = np.mod(agent["yaw"] + np.pi, 2 * np.pi) - np.pi
    past = agent["z"] > -1.2
    on_top = (agent["low"] > 2.3) & ~past
    to_x = np.where(big & ~past, block["x"], 6.4) - agent["x"] - 0.1 * agent["vx"]
    to_z = np.where(past, 2.9, 9.0) - agent["z"] - 0.1 * agent["vz"]
    aside = (np.abs(to_x) > 0.5) & ~on_top
    jump = ~past & np.where(big, on_top | (block["z"] > -4.4), agent["z"] > -4.5)
    actions = np.zeros((env.n, 4), np.int32)
    actions[:, 2] = np.where(aside, np.where(to_x > 0, 2, 1), 0)
    actions[:, 0] = np.where(aside | (np.abs(to_z) < 0.3), 0, np.where(to_z > 0, 1, 2))
    actions[:, 3] = jump
    turned = np.abs(yaw) > 0.3
    actions[turned] = 0
    actions[turned, 1] = np.where(yaw < 0, 2, 1)[turned]
    return actions


def returns(env, player, decisions):
    """Return the (areas,) return of each agent's first episode, and whether it began before a big wall."""
    big, total, running = env._behavior_index == 1, np.zeros(env.n), np.ones(env.n, bool)
    for _ in range(decisions):
        decisions_made, ends = zip(*act(env, player(env)), strict=True)
        for terminal in ends:
            total[terminal.agent_id] += np.where(running[terminal.agent_id], terminal.reward, 0.0)
            running[terminal.agent_id] = False
        for decision in decisions_made:
            total[decision.agent_id] += np.where(running[decision.agent_id], decision.reward, 0.0)
    assert running.mean() < 0.2
    return total, big


def test_both_tasks_can_be_solved():
    total, big = returns(begin(areas=96, seed=2), plan, 150)
    assert (total[~big] > 0.5).mean() > 0.7
    assert (total[big] > 0.5).mean() > 0.6


def test_chance_falls_off_the_platform():
    rng = np.random.default_rng(0)
    total, big = returns(begin(areas=200), lambda env: rng.integers(0, (3, 3, 3, 2), (env.n, 4)), 300)
    assert total[~big].mean() == pytest.approx(-1.05, abs=0.1)
    assert total[big].mean() == pytest.approx(-1.09, abs=0.1)
