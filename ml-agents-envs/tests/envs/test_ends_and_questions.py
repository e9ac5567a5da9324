"""What the faces make of messages that hold ends and questions of the same agents; T0 is an end of agent 0, D0 a question."""

import numpy as np
import pytest

from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_gym_env import UnityToGymWrapper
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv

from .messages import BEHAVIORS, Info, MessageEnv, numbered, written

CAT, DOG = (f"{behavior}?agent_id=" for behavior in BEHAVIORS)


def by_gym(source):
    """Return the (reward, ended) of each step of one episode, and the numbers of what was seen."""
    env = UnityToGymWrapper(source)
    seen, steps = [int(env.reset()[0][0])], []
    while not steps or not steps[-1][1]:
        obs, reward, terminated, _, _ = env.step(0)
        seen.append(int(obs[0]))
        steps.append((reward, terminated))
    return steps, seen


def by_parallel(source):
    env = UnityParallelEnv(source)
    (seen, _), steps = env.reset(), []
    (agent,) = env.agents
    seen = [int(seen[agent]["observation"][0])]
    while env.agents:
        obs, rewards, terminations, _, _ = env.step({agent: [0]})
        seen.append(int(obs[agent]["observation"][0]))
        steps.append((rewards[agent], terminations[agent]))
    return steps, seen


def by_turns(source):
    env = UnityAECEnv(source)
    env.reset()
    agent, steps, seen = env.agent_selection, [], []
    while agent in env.agents:
        obs, reward, terminated, _, _ = env.last()
        steps += [(reward, terminated)]
        seen.append(int(obs["observation"][0]))
        env.step(None if terminated else [0])
    return steps[1:], seen


def by_lane(source):
    env = UnityVectorEnv(source, num_envs=1)
    (obs, _), steps = env.reset(), []
    seen = [int(obs[0, 0])]
    while not steps or not steps[-1][1]:
        obs, reward, terminated, _, info = env.step([0])
        seen.append(int(info["final_obs"][0][0] if terminated[0] else obs[0, 0]))
        steps.append((reward[0], bool(terminated[0])))
    return steps, seen


@pytest.fixture(params=[by_gym, by_parallel, by_turns, by_lane])
def episode(request):
    """A function that plays what is written, and returns (reward, ended) of each step, and the numbers of what was seen."""
    return lambda *messages: request.param(MessageEnv([written("D9"), written(*messages)]))


def test_an_end_and_the_next_question_of_an_agent_are_told_apart(episode):
    assert episode("D0", "D0", "T0 D0", "D0") == ([(2.25, False), (3.25, True)], [1, 2, 3])


def test_an_end_may_come_before_the_next_question(episode):
    assert episode("D0", "T0", "D0", "D0") == ([(2.25, True)], [1, 2])


def test_a_reset_may_begin_with_ends_alone_whose_rewards_belong_to_nobody(episode):
    assert episode("T0 T0", "T0", "D0", "D0", "T0 D0") == ([(5.25, False), (6.25, True)], [4, 5, 6])


def test_a_question_may_be_followed_by_the_end_of_its_episode(episode):
    # the second question still brings what came of the first answer
    assert episode("D0", "D0 T0", "D0", "D0") == ([(2.25 + 3.25, True)], [1, 3])


def test_an_episode_that_ends_in_the_message_in_which_it_begins_is_left_out(episode):
    assert episode("D0", "T0 D0 T0", "D0", "D0") == ([(2.25, True)], [1, 2])
    assert episode("D0 T0", "D0 T0", "D0", "T0", "D0") == ([(6.25, True)], [5, 6])


def test_ends_of_agents_that_never_asked_are_left_out(episode):
    assert episode("T5 D0", "T6 D0", "T0 T0 T7 D0", "D0") == ([(4.25, False), (5.25, True)], [2, 4, 5])


def test_two_agents_that_ask_in_turn_are_too_many_for_one_environment():
    source = MessageEnv([written("D0"), written("D0", "D1")])
    env = UnityToGymWrapper(source)
    env.reset()
    with pytest.raises(UnityGymException, match=r"agents 0 and 1 both request actions, but a gymnasium\.Env has one: use UnityVec"):
        env.step(0)


def test_a_lane_whose_agent_never_asks_again_gets_a_sentence():
    env = UnityVectorEnv(MessageEnv([written("D0 D1"), written("D0 D1", *["T0 D1", *["D1"] * 9])]), patience=5)
    env.reset()
    with pytest.raises(UnityGymException, match=r"lanes \[0\] did not request an action in 5 steps"):
        env.step([0, 0])


def test_an_agent_that_ends_and_never_asks_again_leaves():
    env = UnityParallelEnv(MessageEnv([written("D0 D1"), written("D0 D1", "T0 D1", "D1", "D1")]))
    env.reset()
    _, rewards, terminations, _, _ = env.step({CAT + "0": [1], CAT + "1": [1]})
    assert (rewards[CAT + "0"], terminations[CAT + "0"], env.agents) == (3.25, True, [CAT + "1"])
    assert list(env.step({CAT + "1": [1]})[0]) == [CAT + "1"]


def test_an_agent_with_an_id_that_was_never_seen_joins_in_mid_run():
    source = MessageEnv([written("D0"), written("D0", "T0 D0", "D0 D7", "D0 D7", "D0 D7")])
    env = UnityParallelEnv(source)
    env.reset()
    env.step({CAT + "0": [1]})
    assert env.agents == []  # so a game that goes on is to be reset
    source = MessageEnv([written("D0 D1"), written("D0 D1", "T0 D0 D1", "D0 D1 D7", "D0 D1 D7")])
    env = UnityParallelEnv(source)
    env.reset()
    env.step({CAT + "0": [5], CAT + "1": [6]})
    _, rewards, *_ = env.step({CAT + "1": [6]})
    assert env.agents == [CAT + "1", CAT + "7"] and rewards[CAT + "7"] == 0
    env.step({CAT + "1": [6], CAT + "7": [7]})
    answers = [source.answers[info.number] for message in source.lives[1][:3] for info in message if info.kind == "D"]
    assert answers == [5, 6, 0, 6, 0, 6, 7]


def test_an_agent_that_goes_on_under_another_behavior_has_another_name_there():
    cat, dog = BEHAVIORS
    life = numbered([[
        [Info("D", 0, cat), Info("D", 1, cat)],
        [Info("T", 0, cat), Info("D", 0, dog), Info("D", 1, cat)],
        [Info("T", 0, dog), Info("D", 0, cat), Info("T", 1, cat)],
    ]])[0]  # fmt: skip
    env = UnityParallelEnv(MessageEnv([life, life]))
    env.reset()
    seen, _, terminations, *_ = env.step({CAT + "0": [1], CAT + "1": [1]})
    assert env.agents == [CAT + "1", DOG + "0"] and terminations[CAT + "0"]
    assert env.observation_space(DOG + "0").contains(seen[DOG + "0"])
    _, _, terminations, *_ = env.step({DOG + "0": [1], CAT + "1": [1]})
    assert terminations == {CAT + "1": True, DOG + "0": True} and env.agents == []
    env.reset()
    assert env.possible_agents == [CAT + "0", CAT + "1", DOG + "0"]


def test_group_rewards_of_a_question_and_the_end_after_it_are_added():
    env = UnityVectorEnv(MessageEnv([written("D0"), written("D0", "D0 T0", "D0")]))
    env.reset()
    *_, info = env.step([0])
    assert info["group_reward"] == pytest.approx(10 * np.array([2.25 + 3.25]))
