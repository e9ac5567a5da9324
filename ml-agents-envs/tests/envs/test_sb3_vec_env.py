import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
pytest.importorskip("numba")

from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.sb3_vec_env import SB3VecEnv
from mlagents_envs.examples.catalog import make

GUARD, SCOUT, GUIDE = "Guard?team=0", "Scout?team=0", "Guide?team=1"


@pytest.mark.parametrize("renew_ids", [False, True])
def test_agents_say_what_the_environment_says(renew_ids):
    face, env = (make("3DBall", areas=5, seed=2, renew_ids=renew_ids) for _ in range(2))
    face = SB3VecEnv(face)
    env.reset()
    env.reset()  # as often as the face did
    seen = face.reset()
    rng, ends = np.random.default_rng(0), 0
    for _ in range(120):
        decision, _ = env.get_steps(env.behavior)
        assert np.array_equal(seen, decision.obs[0])
        action = rng.uniform(-1, 1, (5, 2)).astype(np.float32)
        env.set_actions(env.behavior, ActionTuple(action))
        env.step()
        seen, reward, done, infos = face.step(action)
        decision, terminal = env.get_steps(env.behavior)
        assert np.array_equal(reward[~done], decision.reward[~done])
        assert np.array_equal(reward[done], terminal.reward)
        last = [infos[lane]["terminal_observation"] for lane in np.flatnonzero(done)]
        assert np.array_equal(np.reshape(last, (-1, 8)), terminal.obs[0])
        assert [infos[lane]["TimeLimit.truncated"] for lane in np.flatnonzero(done)] == terminal.interrupted.tolist()
        assert not any("terminal_observation" in infos[lane] for lane in np.flatnonzero(~done))
        ends += len(terminal)
    assert ends > 5


def test_an_end_is_told_from_a_limit_and_the_next_episode_has_begun(make_scripted, make_seat):
    env = SB3VecEnv(make_scripted(make_seat(GUIDE, life=2), make_seat(GUIDE, life=2, interrupted=True)))
    env.reset()
    env.step(np.zeros((2, 2), np.float32))
    seen, reward, done, infos = env.step(np.zeros((2, 2), np.float32))
    assert (reward.tolist(), done.tolist()) == ([2, 2], [True, True])
    assert seen["seen"][:, 1].tolist() == [0, 0]  # the age in the next episode
    assert [info["terminal_observation"]["seen"][1] for info in infos] == [2, 2]
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]
    assert [info["group_reward"] for info in infos] == [2, 2]


def test_what_may_be_chosen_is_told_as_maskable_learners_ask(make_scripted, make_seat):
    env = SB3VecEnv(make_scripted(make_seat(GUARD, life=9), make_seat(GUARD, life=9)))
    env.reset()
    assert env.has_attr("action_masks")
    assert np.stack(env.env_method("action_masks")).all()
    env.step(np.zeros((2, 2), int))
    masks = env.env_method("action_masks")
    assert [mask.tolist() for mask in masks] == [[False, True, True, True, True]] * 2  # forbidden at odd ages
    assert len(env.env_method("action_masks", indices=1)) == 1
    assert not SB3VecEnv("3DBall").has_attr("action_masks")


def test_a_seed_of_the_learner_reaches_the_next_reset(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUIDE))
    env = SB3VecEnv(scripted)
    env.seed(7)
    env.reset()
    env.reset()
    assert scripted.seeds == [7]
    env.close()
    assert scripted.closed


@pytest.mark.parametrize(("name", "agents"), [("3DBall", 12), ("WallJump", 24), ("PushBlockCollab", 12)])
def test_a_name_means_all_agents_of_unitys_scene(name, agents):
    env = SB3VecEnv(name)
    assert env.num_envs == agents
    env.reset()
    env.step(np.array([env.action_space.sample() for _ in range(agents)]))


def test_the_agents_of_a_team_are_trained_by_name():
    assert SB3VecEnv("SoccerTwos", "SoccerTwos?team=1").num_envs == 16
    with pytest.raises(UnityGymException, match=r"are of several teams, .*: name one of them"):
        SB3VecEnv("SoccerTwos")


def test_actions_of_both_kinds_are_refused(make_scripted, make_seat):
    sentence = r"Scout\?team=0: it takes continuous and discrete actions together, for which Stable-Baselines3 has no pol"
    with pytest.raises(UnityGymException, match=sentence):
        SB3VecEnv(make_scripted(make_seat(SCOUT)))


def test_attributes_that_no_agent_has_are_refused():
    env = SB3VecEnv("Basic")
    for use in (lambda: env.get_attr("gravity"), lambda: env.set_attr("gravity", 1), lambda: env.env_method("jump")):
        with pytest.raises(AttributeError, match=r"Basic\?team=0: "):
            use()
    assert env.env_is_wrapped(VecMonitor) == [False]


def test_a_missing_package_is_named_with_its_extra():
    program = """
import sys
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *more: None if name == "stable_baselines3" else found(name, *more)
try:
    import mlagents_envs.envs.sb3_vec_env
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "mlagents-envs[sb3]"' in done.stdout


def test_ppo_learns_to_walk_to_the_large_goal_of_basic():
    env = VecMonitor(SB3VecEnv(make("Basic", areas=16)))
    learner = PPO("MlpPolicy", env, n_steps=32, batch_size=64, learning_rate=3e-3, seed=1, device="cpu")
    learner.learn(6000)
    episodes = [episode["r"] for episode in learner.ep_info_buffer]
    assert np.mean(episodes) > 0.8  # 0.93 is the best, and chance gets 0.1


@pytest.mark.parametrize("learner", [PPO, DQN])
@pytest.mark.parametrize("name", ["PushBlock", "GridWorld"])
def test_sensors_of_several_kinds_are_learnt_from(learner, name):
    options = {PPO: {"n_steps": 8}, DQN: {"learning_starts": 4, "buffer_size": 64}}[learner]
    env = SB3VecEnv(make(name, areas=2))
    learnt = learner("MultiInputPolicy", env, batch_size=8, seed=1, device="cpu", **options).learn(16)
    action, _ = learnt.predict(env.reset(), deterministic=True)
    assert action.shape == (2,)


def test_wrappers_of_stable_baselines_take_it():
    env = VecNormalize(VecMonitor(SB3VecEnv("3DBall")))
    PPO("MlpPolicy", env, n_steps=16, batch_size=64, n_epochs=1, seed=1, device="cpu").learn(200)
    assert env.ret_rms.count > 100
