import warnings

import numpy as np
import pytest
from pettingzoo.test import api_test, seed_test
from pettingzoo.utils.conversions import aec_to_parallel, parallel_to_aec

from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_gym_env import UnityGymException
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.paced import PacedEnv

GUARD, SCOUT = "Guard?team=0", "Scout?team=0"


def pass_api_test(env, cycles):
    with warnings.catch_warnings():
        # its remarks are about names, infinite bounds and dicts; what it demands, it asserts
        warnings.simplefilter("ignore", UserWarning)
        api_test(env, cycles)


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize(("name", "areas"), [("3DBall", 3), ("Basic", 3), ("Basic", 1)])
def test_pettingzoos_own_tests_pass_on_examples(name, areas, renew_ids):
    pass_api_test(UnityAECEnv(make(name, areas=areas, renew_ids=renew_ids)), 100)
    pass_api_test(UnityAECEnv(PacedEnv(make(name, areas=areas, renew_ids=renew_ids), 3)), 100)
    seed_test(lambda: UnityAECEnv(make(name, areas=areas, renew_ids=renew_ids)), 100)


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize("end", [30, 10**9])
def test_pettingzoos_own_tests_pass_where_agents_of_many_kinds_come_and_go(village, end, renew_ids):
    pass_api_test(UnityAECEnv(village(end=end, renew_ids=renew_ids)), 60)
    seed_test(lambda: UnityAECEnv(village(end=end, renew_ids=renew_ids)), 20)


def test_pettingzoos_conversions_work_where_ids_are_kept():
    pass_api_test(parallel_to_aec(UnityParallelEnv(make("3DBall", areas=3))), 100)
    env, episodes = aec_to_parallel(UnityAECEnv(make("3DBall", areas=3))), 0
    for _ in range(3):
        env.reset()
        while env.agents:
            _, _, terminations, _, _ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
            episodes += sum(terminations.values())
    assert episodes == 9


def test_agents_answer_in_turn_and_then_the_world_steps(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD), make_seat(GUARD))
    env = UnityAECEnv(scripted)
    first, second = env.agents
    assert env.agent_selection == first
    env.step([1, 0])
    assert env.agent_selection == second and not scripted.heard
    env.step([1, 2])
    assert scripted.heard[-1][2].discrete.tolist() == [[1, 0], [1, 2]]
    assert env.agent_selection == first
    seen, reward, terminated, truncated, info = env.last()
    assert seen is env.observe(first)
    assert seen["observation"].tolist() == [0, 1, 1]
    assert (reward, terminated, truncated, info["group_reward"]) == (1, False, False, 1)


@pytest.mark.parametrize("renew_ids", [False, True])
def test_the_dead_go_first_and_answer_none(make_scripted, make_seat, renew_ids):
    env = UnityAECEnv(make_scripted(make_seat(GUARD, life=9), make_seat(GUARD, life=1), renew_ids=renew_ids))
    stays, ends = env.agents
    env.step([0, 0])
    env.step([0, 0])
    assert env.agent_selection == ends
    assert env.last()[1:4] == (1, True, False)
    env.step(None)
    assert env.agent_selection == stays
    assert ends not in env.agents and len(env.agents) == (2 if renew_ids else 1)


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
    with pytest.raises(UnityGymException, match=r"no agent is live: call reset\(\)"):
        env.step(None)
    env.reset(seed=1)
    assert not any(env.truncations.values())


@pytest.mark.parametrize(("renew_ids", "lives"), [(False, 5), (True, 5 + 4 + 5 + 6 + 3)])
def test_random_play_through_the_iterator_ends(village, renew_ids, lives):
    env = UnityAECEnv(village(end=25, renew_ids=renew_ids), seed=1)
    for _ in range(2):
        ends = 0
        for agent in env.agent_iter():
            *_, terminated, truncated, _ = env.last()
            ends += terminated or truncated
            env.step(None if terminated or truncated else env.action_space(agent).sample())
        assert ends == len(env.possible_agents) == lives
        env.reset()


def test_an_agent_that_keeps_its_id_ends_once_and_comes_back_with_a_reset(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD, life=2), make_seat(GUARD, life=4))
    env = UnityAECEnv(scripted)
    everyone = list(env.agents)
    for _ in range(3):
        returns, ends = dict.fromkeys(everyone, 0.0), []
        for agent in env.agent_iter():
            _, reward, terminated, _, _ = env.last()
            returns[agent] += reward
            ends += [agent] if terminated else []
            env.step(None if terminated else [1, 2])
        assert ends == everyone and returns == {everyone[0]: 1 + 2, everyone[1]: 1 + 2 + 3 + 4}
        ids, answers = zip(*[(ids, action.discrete.tolist()) for _, ids, action in scripted.heard[-4:]], strict=True)
        assert list(ids) == [[0, 1]] * 4
        assert list(answers) == [[[1, 2], [1, 2]]] * 2 + [[[0, 0], [1, 2]]] * 2  # who has left does nothing
        env.reset()
        assert env.agents == env.possible_agents == everyone
