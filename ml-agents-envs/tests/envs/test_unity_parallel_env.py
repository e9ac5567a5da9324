import warnings

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.test import parallel_api_test, parallel_seed_test
from pettingzoo.utils import BaseParallelWrapper

from mlagents_envs.envs.unity_gym_env import UnityGymException
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.paced import PacedEnv

GUARD, SCOUT, GUIDE = "Guard?team=0", "Scout?team=0", "Guide?team=1"


def zeros(env):
    return {agent: np.zeros(2, int) for agent in env.agents}


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize(("name", "areas"), [("3DBall", 3), ("Basic", 3), ("Basic", 1)])
def test_pettingzoos_own_tests_pass_on_examples(name, areas, renew_ids):
    parallel_api_test(UnityParallelEnv(make(name, areas=areas, renew_ids=renew_ids)), 150)
    parallel_seed_test(lambda: UnityParallelEnv(make(name, areas=areas, renew_ids=renew_ids)), 150)


@pytest.mark.parametrize("renew_ids", [False, True])
def test_pettingzoos_own_tests_pass_where_ends_come_between_decisions(renew_ids):
    def env():
        return UnityParallelEnv(PacedEnv(make("3DBall", areas=3, renew_ids=renew_ids), 4))

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Agent was given|Live agent was not given")  # as below
        parallel_api_test(env(), 150)
    parallel_seed_test(env, 150)


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize("end", [40, 10**9])
def test_pettingzoos_own_tests_pass_where_agents_of_many_kinds_come_and_go(village, end, renew_ids):
    with warnings.catch_warnings():
        # agents join without having been there before, which PettingZoo allows and remarks
        warnings.filterwarnings("ignore", "Agent was given|Live agent was not given")
        parallel_api_test(UnityParallelEnv(village(end=end, renew_ids=renew_ids)), 120)
    parallel_seed_test(lambda: UnityParallelEnv(village(end=end, renew_ids=renew_ids)), 5)


def test_agents_are_named_after_their_behavior_and_id(make_scripted, make_seat):
    env = UnityParallelEnv(make_scripted(make_seat(GUARD, life=2), make_seat(SCOUT)))
    seen, infos = env.reset()
    assert env.agents == env.possible_agents == list(seen) == list(infos)
    assert [agent.partition("=")[0] for agent in env.agents] == ["Guard?team", "Scout?team"]
    assert [agent.partition("agent_id=")[2] for agent in env.agents] == ["0", "1"]
    assert infos[env.agents[0]] == {"behavior_name": GUARD, "group_id": 1, "group_reward": 0, "asks": True}


def test_where_ids_are_renewed_an_agent_that_ends_is_followed_by_one_of_another_name(make_scripted, make_seat):
    seats = make_seat(GUARD, life=2), make_seat(GUARD, life=2, interrupted=True)
    env = UnityParallelEnv(make_scripted(*seats, renew_ids=True))
    env.reset()
    before = env.agents
    assert env.possible_agents == before == [f"Guard?team=0?agent_id={id}" for id in (2, 3)]  # not those of before
    env.step(zeros(env))
    seen, rewards, terminations, truncations, infos = env.step(zeros(env))
    assert set(env.agents).isdisjoint(before)
    assert env.possible_agents == before + env.agents
    for column in (seen, rewards, terminations, truncations, infos):
        assert list(column) == before + env.agents
    assert [terminations[agent] for agent in before] == [True, False]
    assert [truncations[agent] for agent in before] == [False, True]
    assert not any(terminations[agent] or truncations[agent] for agent in env.agents)
    assert [seen[agent]["observation"][1] for agent in env.possible_agents] == [2, 2, 0, 0]
    assert env.observation_space(env.agents[0]) is env.observation_space(before[0])


def test_where_ids_are_kept_an_agent_that_ends_stays_away_until_a_reset(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD, life=2), make_seat(GUARD, life=5, interrupted=True))
    env = UnityParallelEnv(scripted)
    everyone = list(env.agents)
    first, second = everyone
    spaces_before = [env.observation_space(agent) for agent in everyone]
    for _ in range(3):
        env.reset()
        assert env.agents == env.possible_agents == everyone
        env.step({agent: [1, 1] for agent in env.agents})
        seen, rewards, terminations, truncations, _ = env.step({agent: [1, 1] for agent in env.agents})
        assert (rewards[first], terminations[first], truncations[first]) == (2, True, False)
        assert seen[first]["observation"][1] == 2
        assert env.agents == [second]
        for step in (3, 4):  # the first one plays on and asks, and is not heard of
            columns = env.step({second: [1, 1]})
            assert [list(column) for column in columns] == [[second]] * 5
            assert scripted.heard[-1][2].discrete.tolist() == [[0, 0], [1, 1]]
            assert columns[1] == {second: step}
        *_, truncations, _ = env.step({second: [1, 1]})
        assert truncations == {second: True} and env.agents == []
    assert [env.observation_space(agent) for agent in everyone] == spaces_before


def test_who_comes_late_joins_and_is_possible_after_the_next_reset(make_scripted, make_seat):
    env = UnityParallelEnv(make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, life=90, born=2)))
    first = env.agents[0]
    env.step(zeros(env))
    _, rewards, *_ = env.step(zeros(env))
    late = env.agents[1]
    assert rewards == {first: 2, late: 0}  # what came before its first observation is left out
    env.reset()
    assert env.agents == [first] and env.possible_agents == [first, late]
    env.reset()  # it did not join since
    assert env.possible_agents == [first]


def test_an_agent_under_another_behavior_has_another_name_and_the_ids_are_still_known():
    pytest.importorskip("numba")
    env = UnityParallelEnv(make("WallJump", areas=1, seed=1))
    every = set()
    for _ in range(8):
        joined = set(env.agents)
        while env.agents:
            env.step({agent: [0, 0, 1, 0] for agent in env.agents})  # to the left, off the ground
            joined.update(env.agents)
        assert joined <= set(env.possible_agents)
        env.reset()
        assert set(env.possible_agents) == joined | set(env.agents)
        every |= joined
    assert every == {"SmallWallJump?team=0?agent_id=0", "BigWallJump?team=0?agent_id=0"}


class FixedAgents(BaseParallelWrapper):
    """As wrappers for learners have it: the agents are known once and for all, and who is away sees zeros."""

    def __init__(self, env):
        super().__init__(env)
        self.fixed = list(env.possible_agents)
        self.spaces = {agent: env.observation_space(agent) for agent in self.fixed}

    def reset(self, seed=None, options=None):
        seen, infos = super().reset(seed, options)
        return self.stack(seen), infos

    def step(self, actions):
        here = dict(zip(self.fixed, actions, strict=True))
        seen, rewards, *ends, _ = super().step({agent: here[agent] for agent in self.agents})
        over = [any(end.get(agent, False) for end in ends) for agent in self.fixed]
        return self.stack(seen), [rewards.get(agent, 0.0) for agent in self.fixed], over

    def stack(self, seen):
        assert set(seen) <= set(self.fixed)
        assert all(self.env.observation_space(agent) is self.spaces[agent] for agent in seen)
        return np.stack([seen.get(agent, np.zeros(space.shape)) for agent, space in self.spaces.items()])


def test_wrappers_that_know_their_agents_once_and_for_all_work():
    env = FixedAgents(UnityParallelEnv(make("3DBall", areas=4)))
    generator, episodes = np.random.default_rng(0), np.zeros(4, int)
    for _ in range(5):
        seen = env.reset()[0]
        total, over = np.zeros(4), np.zeros(4, bool)
        while env.agents:
            assert seen.shape == (4, 8)
            seen, rewards, ended = env.step(generator.uniform(-1, 1, (4, 2)).astype(np.float32))
            assert not over[np.array(rewards) != 0].any()  # who is away earns nothing
            total, over = total + rewards, over | ended
        assert over.all() and (total > -1.01).all()
        episodes += over
    assert episodes.tolist() == [5] * 4


def test_silent_agents_keep_what_they_saw_and_are_not_answered(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUARD, life=90), make_seat(GUARD, period=2, life=90))
    env = UnityParallelEnv(scripted)
    env.reset()
    always, seldom = env.agents
    seen, rewards, _, _, infos = env.step(zeros(env))
    assert (infos[always]["asks"], infos[seldom]["asks"]) == (True, False)
    assert (rewards[always], rewards[seldom]) == (1, 0)
    assert seen[seldom]["observation"][1] == 0
    seen, rewards, *_ = env.step({always: [1, 1]})  # the silent one may be left out
    assert scripted.heard[-1][2].discrete.tolist() == [[1, 1]]
    assert rewards[seldom] == 2
    assert seen[seldom]["observation"][1] == 2


def test_masks_are_beside_the_observation_and_say_what_is_allowed(make_scripted, make_seat):
    env = UnityParallelEnv(make_scripted(make_seat(GUARD), make_seat(SCOUT)))
    env.reset()
    guard, scout = env.agents
    seen, *_, infos = env.step({guard: [0, 0], scout: (np.zeros(2, np.float32), 0)})
    assert [branch.tolist() for branch in seen[guard]["action_mask"]] == [[0, 1], [1, 1, 1]]
    assert env.observation_space(guard).contains(seen[guard])
    assert env.action_space(guard).sample(mask=seen[guard]["action_mask"])[0] == 1
    assert env.observation_space(scout).contains(seen[scout])
    none, discrete = infos[scout]["action_mask"]
    assert none is None and discrete.tolist() == [0, 1, 1]
    assert env.action_space(scout).sample(mask=infos[scout]["action_mask"])[1] > 0


def test_continuous_actions_are_numbers_between_minus_one_and_one(make_scripted, make_seat):
    scripted = make_scripted(make_seat(GUIDE))
    env = UnityParallelEnv(scripted, 7)
    (agent,) = env.agents
    assert env.action_space(agent) == spaces.Box(-1, 1, (2,), np.float32)
    assert sorted(env.observation_space(agent).spaces) == ["felt", "seen"]
    assert env.action_spaces == {agent: env.action_space(agent)}
    env.step({agent: [0.25, -0.5]})
    assert scripted.heard[-1][2].continuous.tolist() == [[0.25, -0.5]]
    assert np.array_equal(
        env.action_space(agent).sample(),
        UnityParallelEnv(make_scripted(make_seat(GUIDE)), 7).action_space(agent).sample(),
    )


def test_mistakes_get_a_sentence(make_scripted, make_seat):
    env = UnityParallelEnv(make_scripted(make_seat(GUARD)))
    (agent,) = env.agents
    with pytest.raises(UnityGymException, match=r"Guard\?team=0\?agent_id=0: the agent is live, but has no action among"):
        env.step({})
    with pytest.raises(UnityGymException, match=r"agent_id=0: \[2, 0\] is no action; give one of MultiDiscrete"):
        env.step({agent: [2, 0]})
    with pytest.raises(UnityGymException, match=r"no behavior 'Goat'; the environment has Guard"):
        env.action_space("Goat?agent_id=3")


def test_when_all_have_gone_steps_say_nothing_until_a_reset(village):
    scripted = village(end=2)
    env = UnityParallelEnv(scripted)
    actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    env.step(actions)
    *_, truncations, _ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    assert all(truncations.values())
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})
    env.reset(seed=4)
    assert env.agents and scripted.seeds == [4]
    env.close()
    assert scripted.closed


def test_side_channels_are_found_by_the_name_of_their_class(make_scripted, make_seat):
    class Channel:
        pass

    scripted = make_scripted(make_seat(GUARD))
    assert UnityParallelEnv(scripted).side_channel == {}
    scripted.side_channels = (Channel(),)
    assert list(UnityParallelEnv(scripted).side_channel) == ["Channel"]
