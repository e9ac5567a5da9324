import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple, ObservationType
from mlagents_envs.examples.gridworld import BLUE, FLOOR, GREEN, RED, SHADE, WALL, GridWorld
from mlagents_envs.exception import UnityEnvironmentException

STAY, UP, DOWN, LEFT, RIGHT = range(5)


def begun(*, areas=1, seed=0, agent=None, plus=None, ex=None, goal=None, **parameters):
    """Return an environment at the beginning of episodes, with things where they are wanted."""
    env = GridWorld(areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    for k, cell in enumerate((agent, plus, ex)):
        if cell is not None:
            env.x[:, k], env.z[:, k] = cell
    if goal is not None:
        env.goal[:] = goal
    return env


def act(env, move):
    """Make everyone's move and return decision and terminal steps."""
    n = len(env.get_steps(env.behavior)[0])
    env.set_actions(env.behavior, ActionTuple(discrete=np.full((n, 1), move, np.int32)))
    env.step()
    return env.get_steps(env.behavior)


def color(image, row, column):
    return tuple(np.rint(image[:, row, column] * 255).astype(int).tolist())


def test_agents_see_a_picture_and_a_goal_signal():
    env = GridWorld()
    env.reset()
    decision, terminal = env.get_steps(env.behavior)
    camera, goal = env.SPEC.observation_specs
    assert env.behavior == "GridWorld?team=0"
    assert (camera.name, camera.shape, goal.name, goal.shape) == ("CameraSensor", (3, 64, 84), "VectorSensor", (2,))
    assert goal.observation_type is ObservationType.GOAL_SIGNAL
    assert [column.shape for column in decision.obs] == [(9, 3, 64, 84), (9, 2)]
    assert [column.dtype for column in decision.obs] == [np.float32, np.float32]
    assert len(terminal) == 0


@pytest.mark.parametrize(("goal", "reward"), [(0, 1.0), (1, -1.0)])
def test_the_plus_ends_the_episode_and_pays_if_it_is_the_goal(goal, reward):
    env = begun(agent=(1, 1), plus=(2, 2), ex=(4, 4), goal=goal)
    decision, terminal = act(env, UP)
    assert decision.reward[0] == pytest.approx(-0.01)
    assert len(terminal) == 0
    decision, terminal = act(env, RIGHT)
    assert terminal.reward.tolist() == [reward]
    assert not terminal.interrupted[0]
    assert terminal.obs[1].tolist() == [[1 - goal, goal]]
    assert decision.reward[0] == 0
    assert decision.agent_id[0] == terminal.agent_id[0]


def test_the_last_picture_shows_the_agent_on_its_goal_and_the_next_a_new_beginning():
    env = begun(agent=(1, 1), plus=(1, 2), ex=(4, 4), goal=0)
    decision, terminal = act(env, UP)
    ring = terminal.obs[0][0, :, 64 - 37 :, :][:, 0, :]  # a row through the northern bar of cell (1, 2)
    assert (np.rint(ring[:, 24:34].T * 255) == BLUE).all()
    assert not np.array_equal(terminal.obs[0][0], decision.obs[0][0])


@pytest.mark.parametrize(
    ("move", "to"), [(STAY, (2, 2)), (UP, (2, 3)), (DOWN, (2, 1)), (LEFT, (1, 2)), (RIGHT, (3, 2))]
)
def test_moves_lead_where_they_are_named_after(move, to):
    env = begun(agent=(2, 2), plus=(0, 0), ex=(4, 4))
    act(env, move)
    assert (env.x[0, 0], env.z[0, 0]) == to


def test_walls_stop_the_agent_and_forbid_the_move():
    env = begun(agent=(0, 4), plus=(2, 2), ex=(3, 3))
    decision, _ = act(env, UP)
    assert (env.x[0, 0], env.z[0, 0]) == (0, 4)
    assert decision.action_mask[0].tolist() == [[False, True, False, True, False]]  # not up, not left
    decision, _ = act(env, DOWN)
    assert decision.action_mask[0].tolist() == [[False, False, False, True, False]]
    assert decision.reward[0] == pytest.approx(-0.01)


def test_an_episode_is_interrupted_after_a_hundred_decisions():
    env = begun(agent=(0, 0), plus=(2, 2), ex=(4, 4))
    for _ in range(99):
        _, terminal = act(env, STAY)
        assert len(terminal) == 0
    _, terminal = act(env, STAY)
    assert terminal.interrupted.tolist() == [True]
    assert terminal.reward[0] == pytest.approx(-0.01)


def test_the_goal_in_the_last_decision_is_no_interruption():
    env = begun(agent=(0, 0), plus=(0, 1), ex=(4, 4), goal=0)
    env._clock[:] = 99
    _, terminal = act(env, UP)
    assert terminal.reward.tolist() == [1.0]
    assert not terminal.interrupted[0]


def test_the_picture_shows_walls_floor_and_things():
    # 12.8 pixels a meter: cell (x, z) has its middle in column 10 + 12.8 (x + .5) and row 64 - 12.8 (z + .5)
    env = begun(agent=(0, 0), plus=(2, 2), ex=(4, 0))
    image = act(env, STAY)[0].obs[0][0]
    assert color(image, 32, 3) == color(image, 32, 80) == WALL
    assert color(image, 32, 42) == color(image, 32, 47) == color(image, 27, 42) == GREEN
    assert color(image, 57, 67) == color(image, 54, 64) == RED
    assert color(image, 57, 71) == color(image, 5, 20) == FLOOR
    assert color(image, 57, 11) == color(image, 63, 16) == BLUE
    assert color(image, 57, 16) == SHADE  # the agent is hollow, and shades what is inside
    seen = {color(image, row, column) for row in range(64) for column in range(84)}
    assert seen == {WALL, FLOOR, SHADE, GREEN, RED, BLUE}


def test_shadows_fall_to_the_north_west_and_not_onto_walls():
    env = begun(agent=(0, 4), plus=(2, 2), ex=(0, 0))
    image = act(env, STAY)[0].obs[0][0]
    assert color(image, 26, 36) == SHADE
    assert color(image, 38, 48) == FLOOR
    assert (np.rint(image[:, :, :9].reshape(3, -1).T * 255) == WALL).all()


def test_everything_begins_on_a_cell_of_its_own_everywhere():
    env = GridWorld(areas=400, seed=1)
    env.set_parameters({"gridSize": 3, "numPlusGoals": 4, "numExGoals": 4})
    env.reset()
    cells = env.x[:, :9] * 3 + env.z[:, :9]
    assert (np.sort(cells, axis=1) == np.arange(9)).all()
    assert np.bincount(cells[:, 0], minlength=9).min() > 20  # 44 expected
    assert 150 < env.goal.sum() < 250


def test_every_goal_of_many_is_found():
    env = begun(numPlusGoals=2, numExGoals=2, agent=(0, 0), goal=1)
    for where, reward in ((2, -1.0), (3, 1.0), (4, 1.0)):
        env.x[0, :5], env.z[0, :5] = [0, 4, 4, 4, 4], [0, 0, 1, 2, 3]
        env.x[0, where], env.z[0, where], env.goal[0] = 1, 0, 1
        _, terminal = act(env, RIGHT)
        assert terminal.reward.tolist() == [reward]


def test_the_camera_sees_a_larger_grid_from_farther_away():
    env = begun(gridSize=10, agent=(9, 9), plus=(5, 5), ex=(0, 0))
    image = act(env, STAY)[0].obs[0][0]
    assert color(image, 0, 73) == color(image, 3, 68) == BLUE
    assert color(image, 32, 3) == WALL
    assert act(env, UP)[0].action_mask[0].tolist() == [[False, True, False, False, True]]


def test_parameters_may_change_from_episode_to_episode():
    env = GridWorld(areas=50)
    env.set_parameters({"gridSize": lambda n: np.linspace(3, 9, n)})
    env.reset()
    assert set(env.size) == {3, 4, 5, 6, 7, 8, 9}
    assert env.get_steps(env.behavior)[0].obs[0].shape == (50, 3, 64, 84)


def test_a_parameter_that_cannot_be_gets_a_sentence():
    env = GridWorld()
    with pytest.raises(UnityEnvironmentException, match="gridSize is 1; it must be between 2 and 20"):
        env.set_parameters({"gridSize": 1.0})
    env.set_parameters({"gridSize": 2.0, "numPlusGoals": 2.0, "numExGoals": 2.0})
    with pytest.raises(UnityEnvironmentException, match="2 numPlusGoals, 2 numExGoals and the agent do not fit"):
        env.reset()


def trajectory(seed, areas=4, decisions=150):
    env, rng = GridWorld(areas=areas, seed=seed), np.random.default_rng(0)
    env.reset()
    seen = []
    for _ in range(decisions):
        env.set_actions(env.behavior, ActionTuple(discrete=np.repeat(rng.integers(0, 5, (1, 1)), areas, axis=0)))
        env.step()
        decision, _ = env.get_steps(env.behavior)
        seen.append([*(column[0].ravel() for column in decision.obs), decision.reward[:1]])
    return np.array([np.concatenate(one) for one in seen])


def test_a_trajectory_depends_on_seed_and_area_only():
    assert np.array_equal(trajectory(5), trajectory(5))
    assert np.array_equal(trajectory(5), trajectory(5, areas=7))
    assert not np.array_equal(trajectory(5), trajectory(6))


def test_what_was_said_is_not_overwritten_by_the_next_step():
    env = begun(areas=2)
    decision, _ = env.get_steps(env.behavior)
    before = [column.copy() for column in decision.obs]
    act(env, UP)
    assert all(np.array_equal(column, copy) for column, copy in zip(decision.obs, before, strict=True))


def test_a_policy_that_was_trained_on_unitys_camera_finds_the_plus():
    runtime = pytest.importorskip("onnxruntime")
    folder = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
    model = folder / "onnx" / "GridWorldColab.onnx"
    if not model.is_file():
        pytest.skip("no policy made in Unity here")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    env = begun(areas=256, seed=20, goal=0)  # the policy observes no goal: it was trained to find the plus
    total, running = np.zeros(256), np.ones(256, bool)
    decision, _ = env.get_steps(env.behavior)
    for _ in range(100):
        allowed = (~decision.action_mask[0]).astype(np.float32)
        (move,) = session.run(["discrete_actions"], {"obs_0": decision.obs[0], "action_masks": allowed})
        before = decision.agent_id
        env.set_actions(env.behavior, ActionTuple(discrete=move))
        env.step()
        decision, terminal = env.get_steps(env.behavior)
        ended = np.isin(before, terminal.agent_id)
        reward = decision.reward.copy()
        reward[ended] = terminal.reward
        total += np.where(running, reward, 0.0)
        running &= ~ended
        if not running.any():
            break
    assert total.mean() >= 0.88
