import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.pushblock_collab import AGENT, GOAL, LARGE, SMALL, VERY_LARGE, WALL
from mlagents_envs.examples.pushblock_collab_numba import AGENTS, FIRST_BLOCK

FORWARD = 1
BLOCKS = slice(FIRST_BLOCK, FIRST_BLOCK + 6)
FIRST = {SMALL: FIRST_BLOCK, LARGE: FIRST_BLOCK + 2, VERY_LARGE: FIRST_BLOCK + 4}  # block of each kind
COST = 5 * 0.5 / 5000  # of a decision


def begin(areas=1, seed=0):
    env = make("PushBlockCollab", areas=areas, seed=seed)
    env.reset()
    return env


def put(env, *agents, blocks=()):
    """Put agents, (x, z, yaw), and (block, x, z) on the ground in every area; other agents stand aside, other blocks go."""
    bodies = env.state.bodies
    bodies["on"][:, BLOCKS] = False
    aside = ((10.0, 11.0, 0.0), (8.0, 11.0, 0.0), (6.0, 11.0, 0.0))
    agents = (*agents, *aside[len(agents) :])
    for which, x, z, yaw in (*((k, *agent) for k, agent in enumerate(agents)), *((*block, 0.0) for block in blocks)):
        body = bodies[:, which]
        body["high"] -= body["low"]
        for name, value in {"x": x, "z": z, "yaw": yaw, "vx": 0, "vz": 0, "spin": 0, "low": 0, "climb": 0}.items():
            body[name] = value
        body["on"] = True


def act(env, *actions):
    """Let agents do this, those not named nothing; return the steps."""
    discrete = np.zeros((env.areas, AGENTS, 1), np.int32)
    discrete[:, : len(actions), 0] = actions
    env.set_actions(env.behavior, ActionTuple(discrete=discrete.reshape(-1, 1)))
    env.step()
    return env.get_steps(env.behavior)


def test_three_agents_of_an_area_are_a_group():
    decision, _ = begin(areas=2).get_steps("PushBlockCollab?team=0")
    assert decision.group_id.tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(("kind", "worth"), [(SMALL, 1), (LARGE, 2), (VERY_LARGE, 3)])
def test_a_block_in_the_goal_vanishes_and_pays_the_whole_group_what_it_is_worth(kind, worth):
    env = begin()
    which = FIRST[kind]
    half = float(env.state.bodies["half_z"][0, which])
    put(env, blocks=[(which, 0.0, -8.3 + half), (which + 1, 0.0, 5.0)])
    env.state.bodies["vz"][0, which] = -4.0
    decision, terminal = act(env)
    assert decision.group_reward == pytest.approx([worth - COST] * 3)
    assert decision.reward.tolist() == [0.0] * 3
    assert len(terminal) == 0
    assert not env.state.bodies["on"][0, which]
    decision, _ = act(env)
    assert decision.group_reward == pytest.approx([-COST] * 3)


def test_the_last_block_ends_the_episode_of_all_three_and_all_blocks_return():
    env = begin()
    put(env, blocks=[(FIRST[SMALL], 0.0, -7.95)])
    env.state.bodies["vz"][0, FIRST[SMALL]] = -4.0
    decision, terminal = act(env)
    assert terminal.agent_id.tolist() == [0, 1, 2]
    assert not terminal.interrupted.any()
    assert (terminal.group_reward > 0.999).all()
    assert decision.agent_id.tolist() == [0, 1, 2]
    assert decision.group_id.tolist() == terminal.group_id.tolist() == [1, 1, 1]
    assert not decision.group_reward.any()
    assert env.state.bodies["on"][0, BLOCKS].all()


def test_after_five_thousand_steps_the_group_is_interrupted():
    env = begin(areas=2)
    env.state.clock[:] = (4995, 4990)
    _, terminal = act(env)
    assert terminal.group_id.tolist() == [1, 1, 1]
    assert terminal.interrupted.all()
    assert terminal.group_reward == pytest.approx([-COST] * 3)


@pytest.mark.parametrize(
    ("kind", "agents", "moves"),
    [(SMALL, 1, True), (LARGE, 1, False), (LARGE, 2, True), (VERY_LARGE, 2, False), (VERY_LARGE, 3, True)],
)
def test_heavy_blocks_take_two_or_three_agents(kind, agents, moves):
    # a step's push is 10 kg * (3 - 0.353) m/s = 26.5 kg m/s; friction takes 3.5, 35.3 and 53.0 of the blocks' momentum
    env = begin()
    half = float(env.state.bodies["half_z"][0, FIRST[kind]])
    row = [(1.02 * (k - (agents - 1) / 2), half + 0.55, np.pi) for k in range(agents)]
    put(env, *row, blocks=[(FIRST[kind], 0.0, 0.0)])
    for _ in range(5):
        act(env, *([FORWARD] * agents))
    went = -float(env.state.bodies["z"][0, FIRST[kind]])
    assert went > 0.5 if moves else went < 0.15


def test_a_block_that_is_pushed_beside_its_middle_turns():
    env = begin()
    put(env, (0.7, 1.1, np.pi), blocks=[(FIRST[SMALL], 0.0, 0.0)])
    for _ in range(4):
        act(env, FORWARD)
    assert abs(float(env.state.bodies["yaw"][0, FIRST[SMALL]])) > 0.2


def test_the_grid_shows_what_is_ahead_up_to_twenty_metres():
    env = begin()
    put(env, (0.0, 0.0, 0.0), (-2.5, 5.5, 0.0), blocks=[(FIRST[SMALL], 0.5, 3.5), (FIRST[VERY_LARGE], 6.0, -6.0)])
    decision, _ = act(env)
    seen = decision.obs[0][0]
    # cells run from the right to the left, and from the agent away from it
    assert seen[SMALL, 9, 3] == seen[AGENT, 12, 5] == 1.0
    assert seen[WALL, 10, 12] == seen[WALL, 9, 12] == 1.0
    assert not seen[GOAL].any()
    assert not seen[VERY_LARGE].any()
    assert seen.sum(axis=0).max() == 1.0
    put(env, (0.0, 0.0, np.pi), blocks=[(FIRST[SMALL], 0.5, 3.5)])
    decision, _ = act(env)
    assert decision.obs[0][0, GOAL, :, 9:12].all()
    assert not decision.obs[0][0, SMALL].any()


def test_an_agent_feels_its_own_velocity_as_it_looks():
    env = begin()
    put(env, (0.0, 0.0, 1.0), (3.0, 5.0, 2.0), blocks=[(FIRST[SMALL], -9.0, 9.0)])
    decision, _ = act(env, FORWARD, 6)
    ahead, aside, still = decision.obs[1]
    # v = (v + 3 - 0.353) * 0.92, five times, from rest
    expected = sum((3 - 2 * 0.6 * 1.5 * 9.81 * 0.02) * 0.92**k for k in range(1, 6))
    assert ahead[:3] == pytest.approx([0, 0, expected], abs=1e-3)
    assert aside[0] > 0.6 * ahead[2]
    assert aside[1:3] == pytest.approx([0, 0], abs=1e-4)
    assert still.tolist() == [0] * 9 + [1]


def test_everything_begins_before_the_goal_and_turned_anyhow():
    env = begin(areas=200)
    things = env.state.bodies[:, : FIRST_BLOCK + 6]
    assert np.abs(things["x"]).max() <= 6.25
    assert things["z"].max() <= 6.25
    assert np.mean(things["z"] > -6.86) > 0.99  # the goal's edge is at -8.35, and 1.5 is kept free
    assert things["yaw"].std(axis=0).min() > 1.5
    apart = np.hypot(things["x"][:, 0] - things["x"][:, 1], things["z"][:, 0] - things["z"][:, 1])
    assert apart.min() > 1.9


def trajectory(areas, seed, decisions=60):
    env, rng = begin(areas, seed), np.random.default_rng(0)
    actions = rng.integers(0, 7, (decisions, 15))
    return np.stack([act_all(env, row[: 3 * areas]) for row in actions])


def act_all(env, actions):
    env.set_actions(env.behavior, ActionTuple(discrete=actions[:, None].astype(np.int32)))
    env.step()
    return env.get_steps(env.behavior)[0].obs[0]


def test_the_same_seed_gives_the_same_trajectory_however_many_areas_there_are():
    one, again, other = trajectory(3, 5), trajectory(3, 5), trajectory(3, 6)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, trajectory(5, 5)[:, :9])
