import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple, DimensionProperty
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.sorter_numba import AGENT, FIRST_TILE, HIDDEN, SHOWN, VISITED
from mlagents_envs.exception import UnityEnvironmentException

STILL, FORWARD = (0, 0, 0), (1, 0, 0)
TIME = 5 / 5000  # cost of a decision
SLOT = 2 * np.pi / 20


def begin(areas=1, seed=0, **parameters):
    env = make("Sorter", areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    return env


def set_tiles(env, **slots):
    """Show tiles in the first room: n3=5 puts number 3 into slot 5."""
    bodies = env.state.bodies[0]
    env.tiles[0] = HIDDEN
    bodies["on"][FIRST_TILE : FIRST_TILE + 20] = False
    for name, slot in slots.items():
        tile = int(name[1:]) - 1
        env.tiles[0, tile] = SHOWN
        body = bodies[FIRST_TILE + tile]
        body["x"], body["z"], body["yaw"] = 20.5 * np.sin(slot * SLOT), 20.5 * np.cos(slot * SLOT), slot * SLOT
        body["on"] = True


def stand_before(env, slot):
    """Put the agent before a slot, looking at it."""
    agent = env.state.bodies[0, AGENT : AGENT + 1]
    agent["x"], agent["z"], agent["yaw"] = 19.0 * np.sin(slot * SLOT), 19.0 * np.cos(slot * SLOT), slot * SLOT
    agent["vx"] = agent["vz"] = 0.0


def act(env, action=STILL):
    env.set_actions(env.behavior, ActionTuple(discrete=np.tile(np.array(action, np.int32), (env.n, 1))))
    env.step()
    return env.get_steps(env.behavior)


def test_the_lowest_number_gives_one_and_is_then_told_as_visited():
    env = begin()
    set_tiles(env, n3=0, n7=10)
    stand_before(env, 0)
    decision, terminal = act(env, FORWARD)
    assert len(terminal) == 0
    assert decision.reward[0] == pytest.approx(1 - TIME)
    assert env.tiles[0, [2, 6]].tolist() == [VISITED, SHOWN]
    assert decision.obs[0][0, :2, 22].tolist() == [1.0, 0.0]


def test_a_tile_that_was_visited_can_be_touched_again():
    env = begin()
    set_tiles(env, n3=0, n7=10)
    stand_before(env, 0)
    act(env, FORWARD)
    decision, terminal = act(env, FORWARD)
    assert len(terminal) == 0
    assert decision.reward[0] == pytest.approx(-TIME)


def test_another_number_costs_one_and_ends_the_episode():
    env = begin()
    set_tiles(env, n3=0, n7=10)
    stand_before(env, 10)
    _, terminal = act(env, FORWARD)
    assert -1 - TIME <= terminal.reward[0] < -1
    assert not terminal.interrupted[0]


def test_the_last_tile_ends_the_episode_and_the_next_one_begins_in_the_middle_looking_as_before():
    env = begin()
    set_tiles(env, n3=0, n7=10)
    stand_before(env, 0)
    act(env, FORWARD)
    stand_before(env, 10)
    decision, terminal = act(env, FORWARD)
    assert 1 - TIME <= terminal.reward[0] < 1
    assert not terminal.interrupted[0]
    assert terminal.obs[0][0, :2, 22].tolist() == [1.0, 1.0]
    assert decision.obs[2][0] == pytest.approx([0, 0, 0, 0, 0, 0, np.sin(np.pi), np.cos(np.pi)], abs=1e-5)


def test_after_a_thousand_decisions_an_episode_is_interrupted():
    env = begin()
    for _ in range(999):
        _, terminal = act(env)
        assert len(terminal) == 0
    _, terminal = act(env)
    assert terminal.interrupted.tolist() == [True]


def test_tiles_are_told_in_ascending_order_with_number_and_place_and_the_rest_is_zeros():
    env = begin()
    set_tiles(env, n9=5, n4=10)
    seen = act(env)[0].obs[0][0]
    assert seen[:2, :20].argmax(axis=1).tolist() == [4, 9]
    assert seen[:2, :20].sum(axis=1).tolist() == [1.0, 1.0]
    assert seen[0, 20:22] == pytest.approx([0.0, -20.5 / 20], abs=1e-5)
    assert seen[1, 20:22] == pytest.approx([20.5 / 20, 0.0], abs=1e-5)
    assert not seen[2:].any()


def test_number_20_has_no_one_hot_left_as_in_unity():
    env = begin()
    set_tiles(env, n20=5)
    seen = act(env)[0].obs[0][0, 0]
    assert not seen[:20].any()
    assert seen[20] == pytest.approx(20.5 / 20)


def test_an_agent_knows_where_it_is_and_looks_now_and_a_decision_ago():
    env = begin()
    before = env.get_steps(env.behavior)[0].obs[2][0]
    assert before[:4].tolist() == [0.0] * 4
    agent = env.state.bodies[0, AGENT : AGENT + 1]
    agent["x"], agent["z"], agent["yaw"] = 10.0, -5.0, 0.5
    known = act(env, (0, 0, 2))[0].obs[2][0]
    assert known[:4].tolist() == before[4:].tolist()
    yaw = 0.5 + 5 * np.radians(4)
    assert known[4:] == pytest.approx([0.5, -0.25, np.sin(yaw), np.cos(yaw)], abs=1e-5)


def test_the_tiles_are_a_sensor_of_variable_size():
    entities = begin().SPEC.observation_specs[0]
    assert entities.shape == (20, 23)
    assert entities.dimension_property == (DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE)


@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_there_are_one_to_num_tiles_tiles_in_slots_of_their_own(most):
    env = begin(areas=400, num_tiles=most)
    shown = env.tiles == SHOWN
    count = shown.sum(axis=1)
    assert sorted(set(count.tolist())) == list(range(1, most + 1))
    tiles = env.state.bodies[:, FIRST_TILE : FIRST_TILE + 20]
    assert np.array_equal(tiles["on"], shown)
    for room in range(50):
        slots = np.round(tiles["yaw"][room, shown[room]] / SLOT)
        assert len(set(slots.tolist())) == count[room]
    assert shown.mean(axis=0).min() > 0  # every number comes


def test_an_impossible_number_of_tiles_gets_a_sentence():
    with pytest.raises(UnityEnvironmentException, match="Sorter: environment parameter num_tiles is 21; it must be"):
        begin(num_tiles=21.0)


def towards_the_next(decision):
    """Walk to the lowest tile that was not visited, through the middle from one far off, from the observations alone."""
    tile_obs, pose_obs = decision.obs[0], decision.obs[2]
    actions = np.zeros((len(decision), 3), np.int32)
    for row, (tiles, (x, z, ahead_x, ahead_z)) in enumerate(zip(tile_obs, pose_obs[:, 4:], strict=True)):
        to_x, to_z = tiles[tiles[:, :22].any(axis=1) & (tiles[:, 22] == 0)][0, 20:22]
        if np.hypot(x, z) > 0.75 and np.hypot(to_x, to_z) > 0.4:
            to_x, to_z = -x, -z
        off = np.arctan2(to_x * ahead_z - to_z * ahead_x, to_x * ahead_x + to_z * ahead_z)  # to the right
        actions[row] = (int(abs(off) < 0.5), 0, 0 if abs(off) < 0.18 else 2 if off > 0 else 1)
    return ActionTuple(discrete=actions)


def test_who_walks_to_the_lowest_number_each_time_sorts_them_all():
    env = begin(areas=16, seed=3, num_tiles=6)
    expected = (env.tiles == SHOWN).sum(axis=1)
    earned, running = np.zeros(16), np.ones(16, bool)
    for _ in range(400):
        env.set_actions(env.behavior, towards_the_next(env.get_steps(env.behavior)[0]))
        env.step()
        decision, terminal = env.get_steps(env.behavior)
        earned += np.where(running, decision.reward, 0)
        for agent, reward in zip(terminal.agent_id, terminal.reward, strict=True):
            if running[agent]:
                earned[agent] += reward
                running[agent] = False
        if not running.any():
            break
    assert not running.any()
    assert (earned > expected - 0.4).all()


def trajectory(areas, seed, decisions=80):
    env, rng = begin(areas, seed), np.random.default_rng(0)
    seen = []
    for actions in rng.integers(0, 3, (decisions, 5, 3)):
        actions[:, 0] = 1
        env.set_actions(env.behavior, ActionTuple(discrete=actions[:areas].astype(np.int32)))
        env.step()
        seen.append(env.get_steps(env.behavior)[0].obs[0])
    return np.stack(seen)


def test_the_same_seed_gives_the_same_trajectory_however_many_rooms_there_are():
    one, again, other = trajectory(3, 5), trajectory(3, 5), trajectory(3, 6)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, trajectory(5, 5)[:, :3])
