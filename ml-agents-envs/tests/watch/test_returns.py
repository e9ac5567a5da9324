import numpy as np
import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import RandomPolicy
from mlagents_envs.watch.returns import Curve, Returns


def test_a_curve_keeps_every_return_until_it_is_full():
    curve = Curve(4)
    curve.add([1.0, 2.0])
    curve.add([3.0])
    assert curve.points == [1.0, 2.0, 3.0]


def test_a_full_curve_halves_its_points_and_then_waits_for_twice_as_many():
    curve = Curve(4)
    curve.add([1.0, 3.0, 5.0, 7.0])
    assert curve.points == [2.0, 6.0]
    curve.add([10.0])
    assert curve.points == [2.0, 6.0]
    curve.add([20.0])
    assert curve.points == [2.0, 6.0, 15.0]


@pytest.mark.parametrize("many", [1, 17, 1000])
def test_a_curve_has_few_points_of_equal_weight(many):
    curve = Curve(8)
    curve.add([float(k) for k in range(many)])
    assert len(curve.points) < 8
    counted = len(curve.points) * curve._each
    assert np.mean(curve.points) == pytest.approx(np.mean(range(counted)))


@pytest.mark.parametrize("renew_ids", [False, True])
@pytest.mark.parametrize("name", ["3DBall", "Basic", "WallJump", "SoccerTwos", "PushBlockCollab"])
def test_returns_are_those_of_an_agents_whole_episode(name, renew_ids):
    # the slow way: a sum per agent id, from its first question to its end
    if name not in ("3DBall", "Basic"):
        pytest.importorskip("numba")
    env = make(name, areas=3, seed=3, renew_ids=renew_ids)
    play = Play(env, {behavior: RandomPolicy(env.SPEC, seed=k) for k, behavior in enumerate(env.BEHAVIORS)})
    returns, ended = Returns(env), []
    running = {agent: (0.0, 0) for name in env.BEHAVIORS for agent in env.get_steps(name)[0]}  # return and length
    for _ in range(150):
        play.decide()
        returns.follow()
        decisions, ends = zip(*map(env.get_steps, env.BEHAVIORS), strict=True)
        for terminal in ends:
            ended += [running.pop(agent)[0] + reward for agent, reward in rewards(terminal)]
        for decision in decisions:
            for agent, reward in rewards(decision):
                total, length = running.get(agent, (0.0, -1))
                running[agent] = total + reward, length + 1
    assert returns.episodes == len(ended)
    assert sorted(returns.curve.points) == pytest.approx(sorted(ended), abs=1e-4)
    for behavior in env.BEHAVIORS:
        rows, (decision, _) = env.asking_rows(behavior), env.get_steps(behavior)
        totals, lengths = np.array([running[agent] for agent in decision]).reshape(-1, 2).T
        assert returns.total[rows] == pytest.approx(totals, abs=1e-4)
        assert returns.length[rows].tolist() == lengths.tolist()
        assert [returns.last(row) for row in rows] == [reward for _, reward in rewards(decision)]


def rewards(steps):
    return zip(steps.agent_id.tolist(), (steps.reward + steps.group_reward).tolist(), strict=True)


def test_a_reset_begins_anew():
    env = make("3DBall", areas=2)
    play = Play(env, {env.behavior: RandomPolicy(env.SPEC)})
    returns = Returns(env)
    play.decide()
    returns.follow()
    assert returns.total.any() and returns.length.tolist() == [1, 1]
    env.reset()
    returns.begin()
    assert not returns.total.any() and not returns.length.any() and returns.episodes == 0
