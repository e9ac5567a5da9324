import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.drawing import about_y
from mlagents_envs.examples.engine.rotations import turn
from mlagents_envs.examples.locomotion import FIELD, LIMIT, REACH, STEPS

BODIES = ("Crawler", "Walker", "Worm")


@pytest.fixture(params=BODIES)
def name(request):
    return request.param


def begin(name, areas=2, seed=0):
    env = make(name, areas=areas, seed=seed)
    env.reset()
    return env


def act(env, action):
    shape = (env.n, env.SPEC.action_spec.continuous_size)
    env.set_actions(env.behavior, ActionTuple(np.broadcast_to(np.asarray(action, np.float32), shape)))
    env.step()
    return env.get_steps(env.behavior)


def flail(env, decisions, seed=0):
    """Play at random; yield the steps."""
    rng = np.random.default_rng(seed)
    for _ in range(decisions):
        yield act(env, rng.uniform(-1, 1, (env.n, env.SPEC.action_spec.continuous_size)))


def face(env, degrees):
    """Turn every body's target to lie this far to the right of where its root looks, 10 m off."""
    way = about_y(np.radians(np.full(env.n, degrees, np.float32)))
    ahead = turn(way, turn(env.ragdolls.rotation[:, 0], np.tile([0.0, 0.0, 10.0], (env.n, 1))))
    env.target[:] = env.ragdolls.position[:, 0] + ahead
    env.target[:, 1] = 0.5


def test_random_play_keeps_every_number_finite_and_mujoco_silent(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    env = begin(name, areas=10)
    for decision, terminal in flail(env, 150):
        for steps in (decision, terminal):
            assert all(np.isfinite(column).all() for column in steps.obs)
            assert (steps.reward <= STEPS).all() and (steps.reward >= -1).all()
    assert capfd.readouterr() == ("", "")
    assert not list(Path().iterdir())  # MuJoCo writes its warnings into a file


def test_the_same_seed_gives_the_same_trajectory(name):
    one, other = (list(flail(begin(name, areas=3, seed=7), 30)) for _ in range(2))
    for (a, _), (b, _) in zip(one, other, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.obs, b.obs, strict=True))
        assert np.array_equal(a.reward, b.reward)


def test_an_area_does_not_depend_on_how_many_others_there_are(name):
    few, many = begin(name, areas=1, seed=3), begin(name, areas=4, seed=3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(-1, 1, few.SPEC.action_spec.continuous_size)
        a, b = act(few, action)[0], act(many, action)[0]
        assert all(np.array_equal(x[0], y[0]) for x, y in zip(a.obs, b.obs, strict=True))


def test_an_episode_is_interrupted_at_the_step_limit(name):
    env = begin(name, areas=3)
    env._clock[1] = LIMIT - STEPS
    _, terminal = act(env, 0.0)
    assert [bool(one.interrupted) for one in terminal.values()] == [True]
    assert env._clock.tolist() == [STEPS, 0, STEPS]


def test_targets_appear_within_the_field_and_elsewhere_once_they_are_reached(name):
    env = begin(name, areas=20)
    assert (np.linalg.norm(env.target[:, [0, 2]], axis=1) <= FIELD).all()
    assert len(np.unique(env.target[:, 0])) == 20
    before = env.target.copy()
    env.target[4] = env.ragdolls.position[4, 0] + (0.0, 0.0, REACH / 2)
    act(env, 0.0)
    moved = (env.target != before).any(axis=1)
    assert moved.tolist() == [k == 4 for k in range(20)]


def test_a_target_stays_when_an_episode_ends(name):
    env = begin(name)
    env._clock[:] = LIMIT - STEPS
    before = env.target.copy()
    _, terminal = act(env, 0.0)
    assert len(terminal) == 2 and np.array_equal(env.target, before)


def test_bodies_begin_turned_by_chance_and_with_their_own_wishes(name):
    env = begin(name, areas=30)
    assert len(np.unique(env.ragdolls.rotation[:, 0, 1])) == 30
    assert ((env.wanted_speed >= env.SLOWEST) & (env.wanted_speed <= env.FASTEST)).all()
    assert len(np.unique(env.wanted_speed)) == (1 if name == "Worm" else 30)


def test_what_is_seen_does_not_depend_on_where_north_is(name):
    env = begin(name, areas=3)
    face(env, 40.0)
    env.wanted_speed[:] = env.wanted_speed[0]
    for column in env._observe():
        assert column[1:] == pytest.approx(np.stack([column[0]] * 2), abs=1e-3)


def test_a_target_ahead_is_seen_ahead(name):
    env = begin(name, areas=3)
    face(env, 40.0)
    seen = env._as_seen(env.target - env.ragdolls.position[:, 0])
    assert seen[:, 0] == pytest.approx(0, abs=1e-4)
    assert seen[:, 2] == pytest.approx(10, abs=1e-4)


def test_moving_as_wanted_earns_everything_and_standing_nothing():
    env = begin("Crawler")
    face(env, 0.0)
    env.ragdolls.velocity[:] = env._goal()[:, None]
    assert env._earn() == pytest.approx([1.0, 1.0], abs=1e-4)
    env.ragdolls.velocity[:] = 0.0
    assert env._earn() == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize(("degrees", "share"), [(0, 1.0), (90, 0.5), (180, 0.0)])
def test_a_crawler_and_a_walker_should_look_where_they_go(degrees, share):
    for name in ("Crawler", "Walker"):
        env = begin(name)
        face(env, degrees)
        env.ragdolls.velocity[:] = env._goal()[:, None]
        assert env._earn() == pytest.approx([share] * 2, abs=1e-3)


@pytest.mark.parametrize(("degrees", "share"), [(0, 1.0), (18, 0.9), (29, 1 - 29 / 180), (31, 0.0)])
def test_a_worm_should_turn_its_head_to_the_target(degrees, share):
    env = begin("Worm")
    face(env, degrees)
    env.ragdolls.velocity[:, 0] = env._goal()
    assert env._earn() == pytest.approx([share] * 2, abs=1e-3)


def test_a_crawler_that_lands_on_its_body_loses_one_and_begins_anew():
    env = begin("Crawler")
    fallen = [terminal for _, terminal in flail(env, 60) if len(terminal)]
    assert fallen and all((terminal.reward == -1).all() and not terminal.interrupted.any() for terminal in fallen)
    seen = fallen[0].obs[1][0]
    assert seen[15] == 1 or seen[16::4].any()  # what touches: the body, or one of the upper legs


def test_a_walker_may_stand_on_its_feet():
    env = begin("Walker")
    feet = [env.part_index[foot] for foot in ("footL", "footR")]
    env.ragdolls.touching[:] = False
    env.ragdolls.touching[0, feet] = True
    env.ragdolls.touching[1, env.part_index["handL"]] = True
    assert env._fallen().tolist() == [False, True]


def test_a_worm_that_falls_off_begins_anew_with_what_it_earned():
    env = begin("Worm")
    env.ragdolls._data[0].qpos[1] = -5.0
    _, terminal = act(env, 0.0)
    assert len(terminal) == 1 and terminal.reward[0] >= 0


def test_a_body_whose_numbers_are_lost_begins_anew_and_tells_nobody(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a warning into a file
    env = begin(name)
    env.ragdolls._data[0].qpos[:] = np.nan
    decision, terminal = act(env, 0.0)
    assert len(terminal) == 1 and not terminal.interrupted.any()
    for steps in (decision, terminal):
        assert all(np.isfinite(column).all() for column in (*steps.obs, steps.reward))


def test_actions_reach_the_joints_that_they_name():
    env = begin("Walker")
    action = np.full(39, -1.0)
    action[24:26] = 1.0, 0.5  # the head, about x and z
    action[26 + 2] = 1.0  # and its strength
    env._act(np.tile(action, (2, 1)))
    names = [part.name for part in env.ragdolls.parts for _ in part.joints]
    control, low, high = env.ragdolls._data[0].ctrl, env.ragdolls._low, env.ragdolls._high
    share = (control - low) / (high - low)
    assert {name: share[names.index(name)] for name in ("chest", "head", "footR")} == {
        "chest": 0,
        "head": 1,
        "footR": 0,
    }
    assert env.ragdolls.strength[0].nonzero()[0].tolist() == [env.part_index["head"]]


def test_a_crawlers_parts_are_seen_from_its_body():
    env = begin("Crawler", areas=4)
    felt = env._observe()[0].reshape(4, 9, 14)
    assert felt == pytest.approx(np.broadcast_to(felt[0], felt.shape), abs=1e-4)  # however it is turned
    assert felt[0, 0] == pytest.approx([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], abs=1e-6)
    assert felt[0, 1, :3] == pytest.approx([0.6364, -0.15, -0.6364], abs=1e-3)


def test_strong_legs_carry_a_crawler_and_weak_ones_do_not():
    env = begin("Crawler", areas=2)
    action = np.zeros((2, 20))
    action[:, :12], action[0, 12:], action[1, 12:] = 0.3, 1.0, -1.0  # half bent
    ended = [set(np.flatnonzero(env._clock == 0)) for _ in range(20) if act(env, action)]
    assert set().union(*ended) == {1}
    assert env.ragdolls.position[0, 0, 1] > 1.0


def test_mujoco_is_loaded_only_for_those_who_need_it():
    program = (
        "import sys; from mlagents_envs.examples.catalog import make; make('Basic'); print('mujoco' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
