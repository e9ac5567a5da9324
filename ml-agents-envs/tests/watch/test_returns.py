import numpy as np
import pytest

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.players import Chance
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


@pytest.mark.parametrize("name", ["3DBall", "Basic", "WallJump", "SoccerTwos", "PushBlockCollab"])
def test_returns_are_those_of_an_agents_whole_life(name):
    # the slow way: a sum per agent id
    if name not in ("3DBall", "Basic"):
        pytest.importorskip("numba")
    env = make(name, areas=3, seed=3)
    play = Play(env, {behavior: Chance(env.SPEC, seed=k) for k, behavior in enumerate(env.BEHAVIORS)})
    returns, alive, ended = Returns(env), {}, []
    for _ in range(150):
        play.decide()
        returns.follow()
        for behavior in env.BEHAVIORS:
            decision, terminal = env.get_steps(behavior)
            for steps in (terminal, decision):
                for agent, reward in zip(
                    steps.agent_id.tolist(), (steps.reward + steps.group_reward).tolist(), strict=True
                ):
                    alive[agent] = alive.get(agent, 0.0) + reward
            ended += [alive.pop(agent) for agent in terminal.agent_id.tolist()]
    assert returns.episodes == len(ended)
    assert sorted(returns.curve.points) == pytest.approx(sorted(ended), abs=1e-4)
    assert returns.total == pytest.approx([alive[agent] for agent in env._agent.tolist()], abs=1e-4)
    row = env.n - 1
    (last,) = [float((d.reward + d.group_reward)[d.agent_id == env._agent[row]][0])
               for d, _ in map(env.get_steps, env.BEHAVIORS) if env._agent[row] in d.agent_id]  # fmt: skip
    assert returns.last(row) == last


def test_a_reset_begins_anew():
    env = make("3DBall", areas=2)
    play = Play(env, {env.behavior: Chance(env.SPEC)})
    returns = Returns(env)
    play.decide()
    returns.follow()
    assert returns.total.any() and returns.length.tolist() == [1, 1]
    env.reset()
    returns.begin()
    assert not returns.total.any() and not returns.length.any() and returns.episodes == 0
