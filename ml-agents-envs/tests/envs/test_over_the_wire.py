"""The faces of a player in another process."""

import warnings

import numpy as np
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test

from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_gym_env import UnityToGymWrapper
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make


def test_gymnasiums_own_check_passes(start):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(infinity|not having a spec|action_mask).*")
        check_env(UnityToGymWrapper(start("Basic")))


def test_pettingzoos_own_checks_pass(start):
    parallel_api_test(UnityParallelEnv(start("3DBall", num_areas=3)), num_cycles=100)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(recommend|infinity|unbounded).*")
        api_test(UnityAECEnv(start("3DBall", num_areas=3)), num_cycles=100)


def test_lanes_of_a_player_are_those_of_the_same_scene_in_process(start):
    far, near = UnityVectorEnv(start("3DBall", seed=4)), UnityVectorEnv(make("3DBall", seed=4))
    assert np.array_equal(far.reset()[0], near.reset()[0])
    for _ in range(100):
        action = near.action_space.sample()
        for mine, its in zip(far.step(action)[:4], near.step(action)[:4], strict=True):
            assert np.array_equal(mine, its)
    far.close()
