import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.drawing import choose, look_of, steer
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.players import Chance, Still


def still(name, **options):
    env = make(name, **options)
    return Play(env, {behavior: Still(env.SPEC) for behavior in env.BEHAVIORS})


def test_players_decide_what_happens():
    def walk(decision):
        return ActionTuple(discrete=np.full((len(decision), 1), 2, np.int32))

    env = make("Basic", areas=3)
    play = Play(env, {env.behavior: walk})
    play.decide()
    play.decide()
    assert env._place.tolist() == [12] * 3


def test_keys_drive_one_agent_and_leave_the_others():
    play = still("Basic", areas=3)
    right = look_of(play.example).keys["right"]
    action = play.decide(driven=1, presses=[right])
    assert action.discrete[:, 0].tolist() == [0, 2, 0]
    assert play.example._place.tolist() == [10, 11, 10]


def test_opposite_keys_cancel_on_an_axis():
    play = still("3DBall", areas=2)
    assert play.decide(driven=0, presses=[steer(0, 1.0), steer(0, -1.0), steer(1, -1.0)]).continuous.tolist() == [
        [0, -1],
        [0, 0],
    ]


def test_a_key_does_not_do_what_is_forbidden():
    pytest.importorskip("numba")
    play = still("GridWorld", areas=1, seed=4)
    env = play.example
    env._x[0, 0] = 0  # at the western wall
    env._say(env._see(np.ones(1, bool)), np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert play.decide(driven=0, presses=[look_of(env).keys["left"]]).discrete.tolist() == [[0]]


def test_keys_take_the_place_of_a_player():
    env = make("3DBall", areas=2)
    play = Play(env, {env.behavior: Chance(env.SPEC)})
    action = play.decide(driven=1)
    assert action.continuous[0].any() and not action.continuous[1].any()


def test_any_agent_of_any_team_can_be_driven():
    pytest.importorskip("numba")
    play = still("SoccerTwos", areas=2)
    for row in range(8):
        action = play.decide(driven=row, presses=[choose(0, 1), choose(2, 2)])
        assert action.discrete[row].tolist() == [1, 0, 2]
        assert not np.delete(action.discrete, row, axis=0).any()
