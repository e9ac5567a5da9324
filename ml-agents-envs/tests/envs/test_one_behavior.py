import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.one_behavior import OneBehavior
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityActionException

BRANCHES = (3, 3, 3, 2)


def by_agent(tables):
    """Return the rows of decision or terminal steps of several behaviors, by agent."""
    return {
        agent: [np.concatenate([column[row].ravel() for column in steps.obs]), steps.reward[row]]
        for steps in tables
        for row, agent in enumerate(steps.agent_id.tolist())
    }


def test_agents_say_and_do_under_one_name_what_they_do_under_several():
    apart, together = make("WallJump", areas=6, seed=2), OneBehavior(make("WallJump", areas=6, seed=2))
    apart.reset()
    together.reset()
    assert list(together.behavior_specs) == ["WallJump"]
    rng, ended, kinds = np.random.default_rng(0), 0, set()
    for _ in range(250):
        parts = [apart.get_steps(name) for name in apart.BEHAVIORS]
        joined = together.get_steps("WallJump")
        for one, many in zip(joined, zip(*parts, strict=True), strict=True):
            mine, its = by_agent([one]), by_agent(many)
            assert mine.keys() == its.keys()
            assert all(np.array_equal(mine[agent][0], its[agent][0]) for agent in mine)
            assert all(mine[agent][1] == its[agent][1] for agent in mine)
        chosen = {agent: rng.integers(BRANCHES) for agent in range(6)}

        def acts(decision, chosen=chosen):
            return np.array([chosen[agent] for agent in decision.agent_id.tolist()], np.int32).reshape(-1, 4)

        for name, (decision, _) in zip(apart.BEHAVIORS, parts, strict=True):
            apart.set_actions(name, ActionTuple(discrete=acts(decision)))
        together.set_actions("WallJump", ActionTuple(discrete=acts(joined[0])))
        kinds.add(tuple(len(decision) for decision, _ in parts))
        ended += len(joined[1])
        apart.step()
        together.step()
    assert ended > 3 and len(kinds) > 1  # agents changed their behavior


def test_an_agent_is_answered_alone():
    env = OneBehavior(make("WallJump", areas=4, seed=1))
    env.reset()
    for agent in range(4):
        env.set_action_for_agent("WallJump", agent, ActionTuple(discrete=np.zeros((1, 4), np.int32)))
    env.step()
    with pytest.raises(IndexError, match="agent 9 did not request"):
        env.set_action_for_agent("WallJump", 9, ActionTuple(discrete=np.zeros((1, 4), np.int32)))


def test_lanes_hold_agents_that_change_their_behavior():
    env = UnityVectorEnv(OneBehavior(make("WallJump", areas=5, seed=3)))
    env.reset(seed=1)
    ends = 0
    for _ in range(150):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        ends += int((terminated | truncated).sum())
        assert sorted(info["agent_id"]) == list(range(5))
    assert ends > 3


def test_masks_are_joined():
    env = OneBehavior(make("Match3", areas=3, seed=1))
    env.reset()
    (mask,) = env.get_steps("Match3")[0].action_mask
    assert mask.shape == (3, 127)


def test_teams_and_wrong_names_and_actions_are_refused():
    with pytest.raises(UnityGymException, match=r"SoccerTwos: the behaviors SoccerTwos\?team=0, .* are of several teams"):
        OneBehavior(make("SoccerTwos", areas=1))
    env = OneBehavior(make("WallJump", areas=2))
    env.reset()
    with pytest.raises(UnityGymException, match="there is no behavior 'SmallWallJump', but 'WallJump', which is all"):
        env.get_steps("SmallWallJump")
    with pytest.raises(UnityActionException, match="WallJump: discrete actions have shape"):
        env.set_actions("WallJump", ActionTuple(discrete=np.zeros((2, 3), np.int32)))
