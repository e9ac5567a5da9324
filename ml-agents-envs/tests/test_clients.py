"""Scripts as users write them, over environments whose agents keep their ids, in process and in another process."""

from itertools import pairwise

import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.envs.unity_aec_env import UnityAECEnv
from mlagents_envs.envs.unity_parallel_env import UnityParallelEnv
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make

BALL = "3DBall?team=0"
AGENTS = 5


@pytest.fixture(params=["in process", "over the wire"])
def ball(request, start):
    """Return a function that makes 3DBall with a few agents."""

    def made(*, renew_ids=False):
        if request.param == "in process":
            return make("3DBall", areas=AGENTS, seed=3, renew_ids=renew_ids)
        return start("3DBall", *(["--renew-ids"] if renew_ids else []), num_areas=AGENTS, seed=3)

    return made


def lean(obs):
    """Return (n, 2) actions: away from where the ball is, so that it falls soon, and for each agent at its own time."""
    return np.clip(obs[:, [4, 2]] * [[0.7, -0.7]], -1, 1).astype(np.float32)


def step(env):
    """Let all agents act, and return what they say then."""
    decision, _ = env.get_steps(BALL)
    env.set_actions(BALL, ActionTuple(lean(decision.obs[0])))
    env.step()
    return env.get_steps(BALL)


def return_of(length):
    """Return what an episode of so many decisions gives whose ball is lost."""
    return pytest.approx(0.1 * (length - 1) - 1, abs=1e-4)


def test_tables_with_a_row_for_each_agent_can_be_indexed_by_id(ball):
    env = ball()
    total, length, ended = np.zeros(AGENTS), np.zeros(AGENTS, int), np.zeros(AGENTS, int)
    for _ in range(2):
        env.reset()
        total[:], length[:] = 0, 0
        for _ in range(80):
            decision, terminal = step(env)
            length += 1
            total[terminal.agent_id] += terminal.reward
            for agent in terminal.agent_id:
                assert total[agent] == return_of(length[agent])
            ended[terminal.agent_id] += 1
            total[terminal.agent_id], length[terminal.agent_id] = 0, 0
            total[decision.agent_id] += decision.reward
            assert total == pytest.approx(0.1 * length)
    assert (ended > 4).all()


def test_after_a_reset_there_are_the_same_agents(ball):
    env = ball()
    env.reset()
    agents = env.get_steps(BALL)[0].agent_id.tolist()
    for _ in range(3):
        for _ in range(30):
            step(env)
        env.reset()
        decision, terminal = env.get_steps(BALL)
        assert decision.agent_id.tolist() == agents and len(terminal) == 0


def test_one_agent_can_be_followed_over_episodes(ball):
    env = ball()
    env.reset()
    agent, total, returns, lengths = 2, 0.0, [], [0]
    for _ in range(120):
        decision, terminal = step(env)
        lengths[-1] += 1
        if agent in terminal:
            returns.append(total + terminal[agent].reward)
            total = 0.0
            lengths.append(0)
        total += decision[agent].reward
    assert len(returns) > 4
    assert returns == [return_of(length) for length in lengths[:-1]]


def test_a_lane_follows_its_agent_over_episodes_and_resets(ball):
    env = UnityVectorEnv(ball())
    for _ in range(2):
        seen, info = env.reset()
        agents, total, length, ends = info["agent_id"].tolist(), np.zeros(AGENTS), np.zeros(AGENTS, int), 0
        assert agents == list(range(AGENTS))
        for _ in range(80):
            seen, reward, terminated, truncated, info = env.step(lean(seen))
            total, length = total + reward, length + 1
            assert info["agent_id"].tolist() == agents and not truncated.any()
            for lane in np.flatnonzero(terminated):
                assert total[lane] == return_of(length[lane])
                assert info["final_info"]["agent_id"][lane] == agents[lane]
            ends += terminated.sum()
            total[terminated], length[terminated] = 0, 0
        assert ends > 4 * AGENTS


def first_episodes(env):
    """Return the length of each agent's first episode after a reset."""
    env.reset()
    lengths = np.zeros(AGENTS, int)
    running = dict(enumerate(env.get_steps(BALL)[0].agent_id.tolist()))
    while running:
        _, terminal = step(env)
        lengths[list(running)] += 1
        running = {row: agent for row, agent in running.items() if agent not in terminal}
    return lengths.tolist()


def play_all(env):
    """Play what a parallel environment has until nobody is left, or 80 steps; return what each agent gave and how."""
    seen, _ = env.reset()
    total, length, over = dict.fromkeys(env.agents, 0.0), dict.fromkeys(env.agents, 0), []
    for _ in range(80):
        if not env.agents:
            break
        actions = {agent: lean(seen[agent][None])[0] for agent in env.agents}
        seen, rewards, terminations, truncations, _ = env.step(actions)
        for agent in actions:
            total[agent] += rewards[agent]
            length[agent] += 1
        over += [agent for agent, ended in terminations.items() if ended]
        assert not any(truncations.values())
        for agent in set(env.agents) - set(total):
            total[agent], length[agent] = 0.0, 0
    assert all(total[agent] == return_of(length[agent]) for agent in over)
    return length, over


@pytest.mark.parametrize("renew_ids", [False, True])
def test_agents_by_name_play_whole_episodes(ball, renew_ids):
    env, known = UnityParallelEnv(ball(renew_ids=renew_ids)), make("3DBall", areas=AGENTS, seed=3)
    known.reset()  # as often as the face was
    length, over = play_all(env)
    assert list(length.values())[:AGENTS] == first_episodes(known)
    assert len(over) > 4 * AGENTS if renew_ids else sorted(over) == sorted(length) == sorted(env.possible_agents)


def test_the_same_names_play_after_each_reset(ball):
    env = UnityParallelEnv(ball())
    names = list(env.possible_agents)
    for _ in range(3):
        length, over = play_all(env)
        assert list(length) == env.possible_agents == names
        assert sorted(over) == names and not env.agents


@pytest.mark.parametrize("renew_ids", [False, True])
def test_agents_in_turn_play_whole_episodes(ball, renew_ids):
    env = UnityAECEnv(ball(renew_ids=renew_ids))
    known = make("3DBall", areas=AGENTS, seed=3)
    env.reset()
    known.reset()
    names, total, length, over = list(env.agents), {}, {}, []
    for agent in env.agent_iter(AGENTS * 80):
        seen, reward, terminated, _, _ = env.last()
        total[agent] = total.get(agent, 0.0) + reward
        if terminated:
            over.append(agent)
            env.step(None)
        else:
            length[agent] = length.get(agent, 0) + 1
            env.step(lean(seen[None])[0])
    assert all(total[agent] == return_of(length[agent]) for agent in over)
    assert [length[name] for name in names] == first_episodes(known)
    assert len(over) > 2 * AGENTS if renew_ids else over and set(over) == set(names)
    assert all(ids[0] < ids[1] for ids in pairwise(int(name.rpartition("=")[2]) for name in names))
