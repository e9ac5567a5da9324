import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.frames import decode
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import IdlePolicy
from mlagents_envs.watch.stage import MOST_AREAS, Stage


def stage(name="3DBall", **options):
    env = make(name, **options)
    play = Play(env, {behavior: IdlePolicy(env.SPEC) for behavior in env.BEHAVIORS})
    return play, Stage(env, title="A title")


def test_all_areas_are_shown_at_first():
    _, made = stage(areas=3)
    facts, (boxes, spheres, agents) = decode(made.frame({"mode": "playing"}))
    assert (len(boxes), len(spheres), len(agents)) == (6, 3, 3)
    assert facts["title"] == "A title" and facts["mode"] == "playing"
    assert (facts["areas"], facts["area"], facts["first"], facts["picked"]) == (3, -1, 0, 0)


def test_one_area_can_be_looked_at():
    _, made = stage(areas=3)
    made.apply({"area": 2})
    facts, (_, _, agents) = decode(made.frame({}))
    assert (facts["area"], facts["first"], facts["picked"], len(agents)) == (2, 2, 2, 1)
    made.apply({"area": -1})
    assert len(decode(made.frame({}))[1][2]) == 3


def test_more_areas_than_one_can_see_are_not_sent():
    _, made = stage(areas=MOST_AREAS + 5)
    assert len(decode(made.frame({}))[1][2]) == MOST_AREAS
    made.apply({"area": MOST_AREAS + 4})
    assert decode(made.frame({}))[0]["first"] == MOST_AREAS + 4


def test_the_agent_that_is_picked_is_told_about():
    play, made = stage(areas=2)
    made.apply({"pick": 1})
    for _ in range(3):
        play.decide()
        made.returns.follow()
    action = ActionTuple(continuous=np.array([[0, 0], [0.5, -1]]))
    agent = decode(made.frame({}, action))[0]["agent"]
    assert agent == {"step": "3", "reward": "0.1", "return": "0.300", "action": "+0.50 -1.00"}


def test_the_behavior_is_told_where_there_are_several():
    pytest.importorskip("numba")
    _, made = stage("SoccerTwos", areas=2)
    made.apply({"pick": 6})
    facts = decode(made.frame({}))[0]
    assert facts["agent"]["behavior"] == "SoccerTwos?team=1"
    assert (facts["per_area"], facts["picked"]) == (4, 6)


@pytest.mark.parametrize(
    "command", [{"area": 7}, {"area": "x"}, {"pick": -1}, {"pick": 3}, {"pick": None}, {"dance": 1}, {}]
)
def test_invalid_commands_are_ignored(command):
    _, made = stage(areas=3)
    made.apply(command)
    assert (made.area, made.picked) == (-1, 0)


def test_an_agent_that_must_stay_picked_stays():
    _, made = stage(areas=3)
    made.may_pick = False
    made.apply({"pick": 2})
    made.apply({"area": 1})
    assert (made.area, made.picked) == (1, 0)
