import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import NAMES, make
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException, UnknownExampleException

INSTALLED = [name for name in NAMES if name not in ("Crawler", "Walker", "Worm") or importlib.util.find_spec("mujoco")]


def play(env, decisions, action):
    """Yield decision and terminal steps of each decision."""
    env.reset()
    for _ in range(decisions):
        decision, _ = env.get_steps(env.behavior)
        env.set_actions(env.behavior, action(decision))
        env.step()
        yield env.get_steps(env.behavior)


def still(decision):
    return ActionTuple(continuous=np.zeros((len(decision), 2), np.float32))


def random_policy(seed):
    generator = np.random.default_rng(seed)
    return lambda decision: ActionTuple(continuous=generator.uniform(-1, 1, (len(decision), 2)).astype(np.float32))


@pytest.mark.parametrize("name", INSTALLED)
def test_observations_have_the_shapes_that_are_promised(name):
    env = make(name, areas=3)
    env.reset()
    agents = 0
    for behavior in env.behavior_specs:
        decision, terminal = env.get_steps(behavior)
        agents += len(decision)
        shapes = [(len(decision), *sensor.shape) for sensor in env.SPEC.observation_specs]
        assert [column.shape for column in decision.obs] == shapes
        assert all(column.dtype == np.float32 for column in decision.obs)
        assert len(terminal) == 0
    assert agents == env.n == 3 * env.PER_AREA


@pytest.mark.parametrize(
    ("name", "areas"),
    [
        ("Basic", 1), ("3DBall", 12), ("3DBallHard", 12), ("FoodCollector", 20), ("GridWorld", 9), ("Hallway", 17),
        ("PushBlock", 32), ("PushBlockCollab", 12), ("Pyramids", 16), ("SoccerTwos", 32), ("Sorter", 8), ("WallJump", 24),
        ("Visual3DBall", 8), ("VisualFoodCollector", 10),
        *((name, 10) for name in ("Crawler", "Walker", "Worm") if name in INSTALLED),
    ],
)  # fmt: skip
def test_there_are_as_many_agents_as_in_unitys_scene(name, areas):
    env = make(name)
    env.reset()
    assert sum(len(env.get_steps(behavior)[0]) for behavior in env.behavior_specs) == areas


@pytest.mark.parametrize("name", ["3DBall", "3DBallHard"])
def test_the_same_seed_gives_the_same_trajectory(name):
    def trajectory(seed):
        return np.concatenate([d.obs[0] for d, _ in play(make(name, areas=4, seed=seed), 60, random_policy(0))])

    assert np.array_equal(trajectory(5), trajectory(5))
    assert not np.array_equal(trajectory(5), trajectory(6))


def test_basic_pays_for_time_and_both_goals():
    def walk(direction):
        env, rewards = make("Basic"), []
        for decision, terminal in play(env, 20, lambda d: ActionTuple(discrete=np.full((len(d), 1), direction))):
            if len(terminal):
                return [*rewards, terminal.reward[0]], terminal
            rewards.append(decision.reward[0])
        raise AssertionError("no goal was reached")

    right, terminal = walk(2)
    assert len(right) == 7
    assert sum(right) == pytest.approx(0.93)
    assert terminal.obs[0][0].argmax() == 17
    assert not terminal.interrupted[0]
    left, terminal = walk(1)
    assert sum(left) == pytest.approx(0.1 - 0.03)
    assert terminal.obs[0][0].argmax() == 7


def test_agents_keep_their_ids_over_episodes_and_resets():
    env = make("3DBall", areas=8)
    for _ in range(2):
        ended = 0
        for decision, terminal in play(env, 60, random_policy(1)):
            assert decision.agent_id.tolist() == list(range(8))
            assert set(terminal.agent_id.tolist()) <= set(range(8))
            ended += len(terminal)
        assert ended > 8


def test_on_demand_agents_get_a_new_id_for_each_episode():
    env = make("3DBall", areas=8, renew_ids=True)
    before, ids, ended = np.arange(8), set(range(8)), 0
    for decision, terminal in play(env, 120, random_policy(1)):
        going_on = ~np.isin(before, terminal.agent_id)
        assert decision.agent_id[going_on].tolist() == before[going_on].tolist()
        assert not set(decision.agent_id[~going_on].tolist()) & ids
        before, ended = decision.agent_id, ended + len(terminal)
        ids |= set(before.tolist())
    assert ended > 8
    assert ids == set(range(8 + ended))
    env.reset()
    assert env.get_steps(env.behavior)[0].agent_id.tolist() == list(range(8 + ended, 16 + ended))


@pytest.mark.parametrize("name", INSTALLED)
def test_both_numberings_tell_of_the_same_episodes(name):
    kept, renewed = make(name, areas=2, seed=3), make(name, areas=2, seed=3, renew_ids=True)
    kept.reset()
    renewed.reset()
    generators, spec = [np.random.default_rng(0) for _ in range(2)], kept.SPEC.action_spec
    for _ in range(150):
        for env, generator in zip((kept, renewed), generators, strict=True):
            for behavior in env.behavior_specs:
                n = len(env.get_steps(behavior)[0])
                continuous = generator.uniform(-1, 1, (n, spec.continuous_size)).astype(np.float32)
                discrete = generator.integers(0, spec.discrete_branches or 1, (n, spec.discrete_size), np.int32)
                env.set_actions(behavior, ActionTuple(continuous, discrete))
            env.step()
        for behavior in kept.behavior_specs:
            for one, other in zip(kept.get_steps(behavior), renewed.get_steps(behavior), strict=True):
                assert len(one) == len(other)
                assert np.array_equal(one.reward, other.reward)
                assert all(np.array_equal(*columns) for columns in zip(one.obs, other.obs, strict=True))


def test_the_last_observation_is_that_of_the_lost_ball():
    for _, terminal in play(make("3DBall", areas=8), 120, random_policy(1)):
        for row in range(len(terminal)):
            x, y, z = terminal.obs[0][row, 2:5]
            assert y < -2 or abs(x) > 3 or abs(z) > 3
            assert terminal.reward[row] == -1
            assert not terminal.interrupted[row]


def test_a_full_episode_is_interrupted_after_a_thousand_decisions_of_a_tenth_each():
    env = make("3DBall", areas=1)
    env.reset()
    env.state[0, :4] = [1, 0, 0, 0]
    env.state[0, 4:7] = [0, 3, 0]
    total = 0.0
    decisions = 0
    terminal = ()
    while not len(terminal):
        decisions += 1
        env.set_actions(env.behavior, still(env.get_steps(env.behavior)[0]))
        env.step()
        decision, terminal = env.get_steps(env.behavior)
        total += float(terminal.reward[0] if len(terminal) else decision.reward[0])
    assert decisions == 1000
    assert terminal.interrupted[0]
    assert total == pytest.approx(100.0, abs=1e-3)


def test_compiled_and_plain_physics_agree():
    pytest.importorskip("numba")
    quick, plain = make("3DBall", areas=32, seed=1), make("3DBall", areas=32, seed=1)
    plain._kernel = importlib.import_module("mlagents_envs.examples.ball3d_numpy")
    assert quick._kernel is not plain._kernel
    for (one, its_end), (other, others_end) in zip(
        play(quick, 200, random_policy(2)), play(plain, 200, random_policy(2)), strict=True
    ):
        assert its_end.agent_id.tolist() == others_end.agent_id.tolist()
        assert np.allclose(one.obs[0], other.obs[0], atol=1e-3)


def fall(parameters):
    """Let a ball fall for one decision; return its height."""
    env = make("3DBall", areas=1)
    env.set_parameters(parameters)
    env.reset()
    env.set_actions(env.behavior, still([0]))
    env.step()
    return float(env.get_steps(env.behavior)[0].obs[0][0, 3])


def test_gravity_is_obeyed():
    # v after step k is k g dt, so the height after five steps is 4 - 15 g dt^2
    assert fall({}) == pytest.approx(4 - 15 * 9.81 * 0.02**2, abs=1e-4)
    assert fall({"gravity": 4.0}) == pytest.approx(4 - 15 * 4.0 * 0.02**2, abs=1e-4)


def resting_height(scale):
    env = make("3DBall", areas=1)
    env.set_parameters({"scale": scale})
    env.reset()
    env.state[0, :4], env.state[0, 4:7] = [1, 0, 0, 0], [0, 4, 0]
    for _ in range(60):
        env.set_actions(env.behavior, still([0]))
        env.step()
    return float(env.get_steps(env.behavior)[0].obs[0][0, 3])


def test_the_balls_scale_is_obeyed():
    assert resting_height(1.0) == pytest.approx(2.5 + 0.5, abs=0.01)
    assert resting_height(2.0) == pytest.approx(2.5 + 1.0, abs=0.01)


def test_a_sampled_scale_is_drawn_anew_for_each_episode():
    asked = []

    def sampler(n):
        asked.append(n)
        return np.full(n, 1.0)

    env = make("3DBall", areas=8)
    env.set_parameters({"scale": sampler})
    ended = sum(len(terminal) for _, terminal in play(env, 60, random_policy(1)))
    assert sum(asked) >= 8 + ended


def test_an_impossible_parameter_gets_a_sentence_and_an_unknown_one_is_ignored_as_in_unity():
    env = make("3DBall")
    with pytest.raises(
        UnityEnvironmentException, match="3DBall: environment parameter scale is -1; it must be between"
    ):
        env.set_parameters({"scale": -1.0})
    env.set_parameters({"wind": 3.0})


def test_hard_sees_nine_frames_newest_last_and_forgets_at_the_end():
    env = make("3DBallHard", areas=1, seed=4)
    env.reset()
    first = env.get_steps(env.behavior)[0].obs[0]
    assert not first[0, :24].any()
    assert first[0, 25] == 4.0
    env.set_actions(env.behavior, still([0]))
    env.step()
    second = env.get_steps(env.behavior)[0].obs[0]
    assert np.array_equal(second[0, 21:24], first[0, 24:27])


def test_one_agent_can_be_answered_alone():
    env = make("3DBall", areas=2)
    env.reset()
    env.set_action_for_agent(env.behavior, 1, ActionTuple(continuous=np.array([[1.0, 0.0]], np.float32)))
    before = env.get_steps(env.behavior)[0].obs[0].copy()
    env.step()
    after = env.get_steps(env.behavior)[0].obs[0]
    assert after[0, 0] == before[0, 0]
    assert after[1, 0] != before[1, 0]


def test_wrong_use_is_answered_with_a_sentence():
    env = make("3DBall", areas=2)
    with pytest.raises(UnityEnvironmentException, match="reset"):
        env.get_steps(env.behavior)
    env.reset()
    with pytest.raises(UnityActionException, match=r"continuous actions have shape \(3, 2\); 2 agents need \(2, 2\)"):
        env.set_actions(env.behavior, ActionTuple(continuous=np.zeros((3, 2), np.float32)))
    with pytest.raises(UnityActionException, match="has no behavior 'Ball'"):
        env.get_steps("Ball")
    with pytest.raises(IndexError, match="agent 7 did not request"):
        env.set_action_for_agent(env.behavior, 7, ActionTuple(continuous=np.zeros((1, 2), np.float32)))
    with pytest.raises(UnknownExampleException, match="did you mean '3DBall'"):
        make("3DBal")
    with pytest.raises(UnityEnvironmentException, match="at least 1"):
        make("Basic", areas=0)


def test_the_names_are_known_without_loading_physics():
    program = "import sys, mlagents_envs.examples.catalog; print('numba' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize(
    ("name", "needs", "extra"),
    [("Hallway", "numba", "examples"), ("Visual3DBall", "numba", "examples"), ("PushBlock", "numba", "examples"), ("Worm", "mujoco", "locomotion")],
)
def test_an_example_says_which_package_it_needs_where_that_is_missing(name, needs, extra):
    program = f"""
import sys
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityEnvironmentException

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "{needs}":
            raise ModuleNotFoundError("No module named '{needs}'", name="{needs}")

sys.meta_path.insert(0, Missing())
try:
    make("{name}")
except UnityEnvironmentException as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"builtin:{name}: {needs} is not installed" in done.stdout
    assert f"pip install 'mlagents-envs[{extra}]'" in done.stdout


PROGRAM = """
import hashlib, sys
import numpy as np
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make

env, rng, digest = make(sys.argv[1], areas=6, seed=9), np.random.default_rng(1), hashlib.sha256()
env.reset()
for _ in range(400):
    for behavior in env.behavior_specs:
        decision, _ = env.get_steps(behavior)
        for column in (*decision.obs, decision.reward):
            digest.update(np.ascontiguousarray(column).tobytes())
        if len(decision):
            branches, spec = env.SPEC.action_spec.discrete_branches, env.SPEC.action_spec
            continuous = rng.uniform(-1, 1, (len(decision), spec.continuous_size))
            discrete = rng.integers(0, branches or 1, (len(decision), spec.discrete_size))
            env.set_actions(behavior, ActionTuple(continuous, discrete))
    env.step()
print(digest.hexdigest())
"""


@pytest.mark.parametrize("name", ["PushBlockCollab", "WallJump"])
def test_the_run_that_compiles_and_later_ones_are_the_same(tmp_path, name):
    pytest.importorskip("numba")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, name]
    first, later = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
        for _ in range(2)
    )
    assert any(tmp_path.rglob("*.nbi"))
    assert first[0].startswith("[INFO] Compiling with numba: ") and len(first) == 2
    assert later == first[1:]
