import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.match3 import Match3, Match3Visual

CHECKERED = np.add.outer(2 * np.arange(9), np.arange(8)) % 4  # no line, and none is near


def begun(kind=CHECKERED, *, areas=1, seed=0, rows=9, columns=8):
    """Return an environment whose boards are as wanted, all pieces worth one point."""
    env = Match3(areas=areas, seed=seed)
    env.reset()
    env.kind[:], env.special[:], env.size[:] = kind, 0, (rows, columns)
    return env


def act(env, moves):
    """Make everyone's move and return decision and terminal steps."""
    env.set_actions(env.behavior, ActionTuple(discrete=np.reshape(moves, (-1, 1)).astype(np.int32)))
    env.step()
    return env.get_steps(env.behavior)


def rng(env, generator):
    """Return random moves, of those that are allowed."""
    allowed = ~env.get_steps(env.behavior)[0].action_mask[0]
    return (allowed * generator.random(allowed.shape)).argmax(axis=1)


def pieces(move):
    """Return the two cells of a move as (row, column)."""
    if move < 63:
        return (move // 7, move % 7), (move // 7, move % 7 + 1)
    return ((move - 63) // 8, (move - 63) % 8), ((move - 63) // 8 + 1, (move - 63) % 8)


def lines(kind):
    """Return the cells that stand in lines of three or more, by looking at all threes."""
    rows, columns = kind.shape
    threes = [[(r, c + k) for k in range(3)] for r in range(rows) for c in range(columns - 2)]
    threes += [[(r + k, c) for k in range(3)] for r in range(rows - 2) for c in range(columns)]
    return {cell for three in threes if len({kind[cell] for cell in three}) == 1 for cell in three}


def board(env, i):
    return env.kind[i, : env.size[i, 0], : env.size[i, 1]]


def test_agents_see_vectors_and_have_unitys_moves():
    env = Match3()
    env.reset()
    decision, _ = env.get_steps(env.behavior)
    assert env.behavior == "Match3VectorObs?team=0"
    assert [sensor.name for sensor in env.SPEC.observation_specs] == [
        "Match3 Sensor (cells)",
        "Match3 Sensor (special)",
    ]
    assert [column.shape for column in decision.obs] == [(4, 432), (4, 216)]
    assert decision.action_mask[0].shape == (4, 127)


def test_what_is_seen_is_the_board_row_after_row():
    env = Match3(areas=20, seed=3)
    env.reset()
    kinds, specials = env.get_steps(env.behavior)[0].obs
    for i in range(20):
        rows, columns = env.size[i]
        for seen, truth, channels in ((kinds, env.kind, 6), (specials, env.special, 3)):
            cells = seen[i].reshape(9, 8, channels)
            assert np.array_equal(cells[:rows, :columns].argmax(axis=2), truth[i, :rows, :columns])
            assert (cells.sum(axis=2) == np.outer(np.arange(9) < rows, np.arange(8) < columns)).all()


def test_the_pictures_are_the_vectors_with_channels_first():
    vector, picture = Match3(areas=6, seed=2), Match3Visual(areas=6, seed=2)
    assert picture.behavior == "Match3VisualObs?team=0"
    for env in (vector, picture):
        env.reset()
        act(env, rng(env, np.random.default_rng(0)))
    pairs = zip(vector.get_steps(vector.behavior)[0].obs, picture.get_steps(picture.behavior)[0].obs, strict=True)
    for channels, (flat, image) in zip((6, 3), pairs, strict=True):
        assert image.shape == (6, channels, 9, 8)
        assert np.array_equal(flat.reshape(6, 9, 8, channels).transpose(0, 3, 1, 2), image)


def test_boards_have_all_sizes_from_six_by_six_to_nine_by_eight():
    env = Match3(areas=300)
    env.reset()
    assert {tuple(size) for size in env.size.tolist()} == {(r, c) for r in (6, 7, 8, 9) for c in (6, 7, 8)}


def test_a_board_begins_without_lines_and_with_a_move():
    env = Match3(areas=100)
    env.reset()
    assert all(not lines(board(env, i)) for i in range(100))
    assert env._mask.any(axis=1).all()


def test_allowed_moves_are_those_that_make_a_line():
    env, generator = Match3(areas=20, seed=4), np.random.default_rng(1)
    env.reset()
    for _ in range(5):
        decision, _ = act(env, rng(env, generator))
        for i in range(20):
            for move in range(127):
                one, other = pieces(move)
                kind = board(env, i).copy()
                inside = other[0] < kind.shape[0] and other[1] < kind.shape[1]
                if inside:
                    kind[one], kind[other] = kind[other], kind[one]
                assert bool(inside and lines(kind)) != decision.action_mask[0][i, move]


@pytest.mark.parametrize(("special", "points"), [((0, 0, 0), 3), ((1, 0, 2), 6)])
def test_a_line_pays_a_hundredth_for_each_point(special, points):
    kind = CHECKERED.copy()
    kind[8, 5:8], kind[7, 7] = [5, 5, 4], 5  # swapping (7, 7) with the one above makes a line of three at the top
    env = begun(kind, areas=30)
    env.special[:, 8, 5], env.special[:, 8, 6], env.special[:, 7, 7] = special
    env._mask[:] = True
    decision, _ = act(env, [63 + 7 * 8 + 7] * 30)
    assert decision.reward.min() == pytest.approx(points / 100)  # more where new pieces happen to line up


def test_pieces_fall_and_lines_that_form_pay_too():
    kind = CHECKERED.copy()
    kind[0, :4] = [5, 5, 4, 5]  # swapping columns 2 and 3 makes three fives
    kind[1, :4] = [1, 4, 4, 3]  # two fours fall beside the four that was swapped
    env = begun(kind, areas=30)
    env._mask[:] = True
    decision, _ = act(env, [2] * 30)
    assert decision.reward.min() == pytest.approx(0.03 + 0.03)
    assert not any(lines(board(env, i)) for i in range(30))


def test_a_move_that_is_not_allowed_changes_nothing_but_counts():
    env = Match3(areas=8, seed=6)
    env.reset()
    before, clock = env.kind.copy(), env._clock.copy()
    decision, _ = act(env, env._mask.argmin(axis=1))
    assert np.array_equal(env.kind, before)
    assert not decision.reward.any()
    assert (env._clock == clock + 1).all()
    assert not act(env, [-1, 127, 10**6, -(10**6)] * 2)[0].reward.any()


def test_pieces_are_dealt_anew_where_there_is_no_move():
    env = begun()
    decision, terminal = act(env, 0)
    assert len(terminal) == 0
    assert decision.reward[0] == 0
    assert not np.array_equal(env.kind[0], CHECKERED)
    assert not decision.action_mask[0].all()


def test_an_episode_is_interrupted_after_five_hundred_moves():
    env, generator = Match3(areas=3, seed=1), np.random.default_rng(0)
    env.reset()
    for _ in range(499):
        _, terminal = act(env, rng(env, generator))
        assert len(terminal) == 0
    decision, terminal = act(env, rng(env, generator))
    assert terminal.interrupted.tolist() == [True] * 3
    assert (terminal.reward > 0).all()
    assert decision.agent_id.tolist() == terminal.agent_id.tolist()
    assert not np.array_equal(decision.obs[0], terminal.obs[0])
    assert terminal.obs[0].any()


def test_chance_scores_on_full_boards_as_unitys_documentation_says():
    env, generator = begun(areas=128, seed=3), np.random.default_rng(3)
    act(env, np.zeros(128))  # deals anew: the board that was put there has no move
    rewards = [act(env, rng(env, generator))[0].reward.mean() for _ in range(150)]
    assert np.mean(rewards) * 500 == pytest.approx(34.2, abs=0.6)


def test_three_of_ten_pieces_are_worth_more():
    env = Match3(areas=300, seed=8)
    env.reset()
    share = np.bincount(np.concatenate([env.special[i, :6, :6].ravel() for i in range(300)]), minlength=3) / 10800
    assert share == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def trajectory(seed, areas=4):
    env = Match3(areas=areas, seed=seed)
    env.reset()
    seen = []
    for _ in range(60):
        decision, _ = act(env, env._mask.argmax(axis=1))
        seen.append(np.concatenate([*(column[0] for column in decision.obs), decision.reward[:1]]))
    return np.array(seen)


def test_a_trajectory_depends_on_seed_and_area_only():
    assert np.array_equal(trajectory(5), trajectory(5))
    assert np.array_equal(trajectory(5), trajectory(5, areas=7))
    assert not np.array_equal(trajectory(5), trajectory(6))
