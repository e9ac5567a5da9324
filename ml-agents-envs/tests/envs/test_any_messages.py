"""The faces over whatever messages there may be, beside a slow, obvious account of them."""

import pytest
from hypothesis import event, given, settings

from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_gym_env import UnityToGymWrapper
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv

from .messages import BEHAVIORS, MessageEnv, account, scripts

ANY = settings(max_examples=100, deadline=None)


def name_of(episode):
    return f"{episode.behavior}?agent_id={episode.agent}"


def first_episodes(messages, last):
    """Return what a PettingZoo face tells up to a tick: the first episode of each name."""
    first = {}
    for episode in account(messages):
        if episode.asked_at[0] <= last:
            first.setdefault(name_of(episode), episode)
    return first


def earned(episode, after, until):
    """Return what came in the ticks (after, until] of an episode. Each info but the first has a reward."""
    return sum(reward for reward, tick in zip(episode.rewards, episode.ticks[1:], strict=True) if after < tick <= until)


def check_answers(source, messages, until, answer_of):
    """answer_of: (question, its tick) -> what it must have been answered."""
    for tick, message in enumerate(messages[:until]):
        for info in message:
            if info.kind == "D":
                assert source.answers[info.number] == answer_of(info, tick), info


def is_live(episodes, info, tick):
    """Is this a question of one of these episodes, which goes on after its message?"""
    return any(
        (episode.behavior, episode.agent) == (info.behavior, info.agent)
        and tick in episode.asked_at
        and episode.ended_at != tick
        for episode in episodes
    )


@ANY
@given(scripts())
def test_the_parallel_face_tells_of_the_first_episode_of_each_name(lives):
    source = MessageEnv(lives)
    env = UnityParallelEnv(source)
    for messages in lives[1:]:
        seen, infos = env.reset()
        joined, returns, groups, ends = dict.fromkeys(env.agents), dict.fromkeys(env.agents, 0.0), {}, {}
        groups = dict.fromkeys(env.agents, 0.0)
        assert all(info["group_reward"] == 0 for info in infos.values())
        while env.agents and source.tick < len(messages) - 1:
            actions = {agent: [number_of(seen[agent])] for agent in env.agents}
            seen, rewards, terminations, truncations, infos = env.step(actions)
            for agent, reward in rewards.items():
                joined.setdefault(agent)
                returns[agent] = returns.get(agent, 0.0) + reward
                groups[agent] = groups.get(agent, 0.0) + infos[agent]["group_reward"]
                if terminations[agent] or truncations[agent]:
                    assert agent not in ends and agent not in env.agents
                    ends[agent] = (number_of(seen[agent]), truncations[agent])
        episodes = first_episodes(messages, source.tick)
        assert set(joined) == set(episodes) and set(joined) <= set(env.possible_agents)
        for name, episode in episodes.items():
            expected = earned(episode, -1, source.tick)
            assert (returns[name], groups[name]) == pytest.approx((expected, 10 * expected))
            over = episode.ended_at is not None and episode.ended_at <= source.tick
            assert ends.get(name) == ((episode.seen[-1], episode.interrupted) if over else None)
        check_answers(source, messages, source.tick, lambda info, tick, episodes=episodes: (
            info.number if is_live(episodes.values(), info, tick) else 0))  # fmt: skip


@ANY
@given(scripts())
def test_the_face_of_agents_in_turn_tells_the_same(lives):
    source = MessageEnv(lives)
    env = UnityAECEnv(source)
    for messages in lives[1:]:
        env.reset()
        returns, ends = {}, {}
        while env.agents:
            agent = env.agent_selection
            seen, reward, terminated, truncated, _ = env.last()
            returns[agent] = returns.get(agent, 0.0) + reward
            if terminated or truncated:
                ends[agent] = (number_of(seen), truncated)
            elif source.tick == len(messages) - 1:
                break
            env.step(None if terminated or truncated else [number_of(seen)])
        for agent in env.agents:  # those who did not come to their turn any more
            returns[agent] = returns.get(agent, 0.0)
        episodes = first_episodes(messages, source.tick)
        assert set(returns) == set(episodes)
        for name, episode in episodes.items():
            if env.agents and name in env.agents[env.agents.index(env.agent_selection) + 1 :]:
                continue
            assert returns[name] == pytest.approx(earned(episode, -1, source.tick))
            over = episode.ended_at is not None and episode.ended_at <= source.tick
            assert ends.get(name) == ((episode.seen[-1], episode.interrupted) if over else None)


def number_of(seen):
    return int(seen["observation"][0])


@ANY
@given(scripts(agents=1, behaviors=1))
def test_the_face_of_one_agent_tells_of_the_first_episode_after_each_reset(lives):
    source = MessageEnv(lives)
    env = UnityToGymWrapper(source)
    for messages in lives[1:]:
        seen, info = env.reset()
        assert info["group_reward"] == 0
        episode = account(messages)[0]
        assert int(seen[0]) == episode.seen[0]
        total, group_reward, over, truncated = 0.0, 0.0, False, False
        while not over and source.tick < len(messages) - 1:
            seen, reward, terminated, truncated, info = env.step(int(seen[0]))
            total, group_reward = total + reward, group_reward + info["group_reward"]
            over = terminated or truncated
        expected = earned(episode, -1, source.tick)
        assert (total, group_reward) == pytest.approx((expected, 10 * expected))
        assert (over, truncated) == (episode.ended_at == source.tick, episode.interrupted)
        assert int(seen[0]) == episode.seen[-1]
        check_answers(source, messages, source.tick, lambda info, tick, episode=episode: (
            info.number if is_live([episode], info, tick) else 0))  # fmt: skip


@ANY
@given(scripts(agents=3, behaviors=1))
def test_the_face_of_lanes_tells_of_each_episode_that_it_shows(lives):
    source = MessageEnv(lives)
    env = UnityVectorEnv(source, BEHAVIORS[0], num_envs=3)
    kept = {}
    for messages in lives[1:]:
        seen, info = env.reset()
        assert not info["group_reward"].any() and "final_obs" not in info
        episodes = account(messages)
        steps = 0
        while source.tick < len(messages) - 1:
            before, agents, steps = source.tick, info["agent_id"].tolist(), steps + 1
            running = [running_at(episodes, agent, before) for agent in agents]
            shown = [int(number) for number in seen[:, 0]]
            assert shown == [shown_last(episode, before) for episode in running]
            seen, reward, terminated, truncated, info = env.step(shown)
            over = [episode.ended_at is not None and episode.ended_at <= source.tick for episode in running]
            assert (terminated | truncated).tolist() == over
            assert reward.tolist() == [earned(episode, before, source.tick) for episode in running]
            assert info["group_reward"] == pytest.approx(10 * reward)
            for lane, episode in enumerate(running):
                if over[lane]:
                    assert int(info["final_obs"][lane][0]) == episode.seen[-1]
                    assert (info["final_info"]["agent_id"][lane], truncated[lane]) == (
                        episode.agent,
                        episode.interrupted,
                    )
            for tick in range(before, source.tick):  # others were waited for
                for question in (info for info in messages[tick] if info.kind == "D"):
                    lane = next((lane for lane, it in enumerate(running) if is_live([it], question, tick)), None)
                    assert source.answers[question.number] == (0 if lane is None else shown[lane])
        event(f"{steps} steps")
        for lane, agent in enumerate(info["agent_id"].tolist()):
            kept.setdefault(agent, lane)
    ids = {info.agent for life in lives for message in life for info in message}
    if len(ids) <= 3:  # they are kept
        assert all(kept[agent] == lane for lane, agent in enumerate(info["agent_id"].tolist()))


def running_at(episodes, agent, tick):
    """Return the episode of an agent that is under way after a tick."""
    (found,) = [
        episode
        for episode in episodes
        if episode.agent == agent and episode.asked_at[0] <= tick and not (episode.ended_at or tick + 1) <= tick
    ]
    return found


def shown_last(episode, tick):
    return [number for number, at in zip(episode.seen, episode.ticks, strict=True) if at <= tick][-1]
