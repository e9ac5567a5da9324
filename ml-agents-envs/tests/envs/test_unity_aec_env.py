import warnings

import numpy as np
import pytest
from pettingzoo.test import api_test

from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_gym_env import UnityGymException
from mlagents_envs.examples.catalog import make

GUARD, SCOUT = "Guard?team=0", "Scout?team=0"


def pass_api_test(env, cycles):
    with warnings.catch_warnings():
        # its remarks are about names, infinite bounds and dicts; what it demands, it asserts
        warnings.simplefilter("ignore", UserWarning)
        api_test(env, cycles)


@pytest.mark.parametrize(("name", "areas"), [("3DBall", 3), ("Basic", 3), ("Basic", 1)])
def test_pettingzoos_own_test_passes_on_examples(name, areas):
    pass_api_test(UnityAECEnv(make(name, areas=areas)), 100)


@pytest.mark.parametrize("end", [30, 10**9])
def test_pettingzoos_own_test_passes_where_agents_of_many_kinds_come_and_go(village, end):
    pass_api_test(UnityAECEnv(village(end)), 60)


def test_agents_answer_in_turn_and_then_the_world_steps(make_scripted, make_seat):
    world = make_scripted(make_seat(GUARD), make_seat(GUARD))
    env = UnityAECEnv(world)
    first, second = env.agents
    assert env.agent_selection == first
    env.step([1, 0])
    assert env.agent_selection == second and not world.heard
    env.step([1, 2])
    assert world.heard[-1][2].discrete.tolist() == [[1, 0], [1, 2]]
    assert env.agent_selection == first
    seen, reward, terminated, truncated, info = env.last()
    assert seen is env.observe(first)
    assert seen["observation"].tolist() == [0, 1, 1]
    assert (reward, terminated, truncated, info["group_reward"]) == (1, False, False, 1)


def test_the_dead_go_first_and_answer_none(make_scripted, make_seat):
    env = UnityAECEnv(make_scripted(make_seat(GUARD, life=9), make_seat(GUARD, life=1)))
    stays, ends = env.agents
    env.step([0, 0])
    env.step([0, 0])
    assert env.agent_selection == ends
    assert env.last()[1:4] == (1, True, False)
    env.step(None)
    assert env.agent_selection == stays
    assert ends not in env.agents and len(env.agents) == 2


def test_rewards_of_several_rounds_add_up_until_the_agent_answers(make_scripted, make_seat):
    env = UnityAECEnv(make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, life=90)))
    first, second = env.agents
    for _ in range(3):
        env.step([0, 0])
    assert env._cumulative_rewards == {first: 0, second: 1}


def test_mistakes_get_a_sentence(make_scripted, make_seat):
    env = UnityAECEnv(make_scripted(make_seat(SCOUT), end=1))
    with pytest.raises(UnityGymException, match="no action"):
        env.step(np.zeros(2))
    env = UnityAECEnv(make_scripted(make_seat(SCOUT), end=1))
    env.step((np.zeros(2), 0))
    env.step(None)
    with pytest.raises(UnityGymException, match=r"no agent lives: call reset\(\)"):
        env.step(None)
    env.reset(seed=1)
    assert not any(env.truncations.values())


def test_random_play_through_the_iterator_ends(village):
    env = UnityAECEnv(village(end=25), seed=1)
    lives = 0
    for agent in env.agent_iter():
        *_, terminated, truncated, _ = env.last()
        lives += terminated or truncated
        env.step(None if terminated or truncated else env.action_space(agent).sample())
    assert lives == len(env.possible_agents) > 10
