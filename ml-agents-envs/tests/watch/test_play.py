import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.look.look import choose, look_of, steer
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import IdlePolicy, RandomPolicy


class Walker:
    """Always takes the last of three choices, and keeps the terminal steps that it gets."""

    def __init__(self, branches=1):
        self.branches, self.ended, self.resets = branches, [], 0

    def reset(self):
        self.resets += 1

    def __call__(self, decision, terminal):
        self.ended += [terminal] if len(terminal) else []
        return ActionTuple(discrete=np.full((len(decision), self.branches), 2 if self.branches == 1 else 1, np.int32))


def still(name, **options):
    env = make(name, **options)
    return Play(env, {behavior: IdlePolicy(env.SPEC) for behavior in env.BEHAVIORS})


def test_players_decide_what_happens():
    env = make("Basic", areas=3)
    play = Play(env, {env.behavior: Walker()})
    play.decide()
    play.decide()
    assert env.position.tolist() == [12] * 3


@pytest.mark.parametrize("renew_ids", [False, True])
def test_players_are_reset_with_the_example_and_told_of_each_end_once(renew_ids):
    env = make("Basic", areas=2, renew_ids=renew_ids)
    walker = Walker()
    play = Play(env, {env.behavior: walker})
    assert walker.resets == 1
    for _ in range(15):
        play.decide()
    ends = [agent for terminal in walker.ended for agent in terminal.agent_id.tolist()]
    assert ends == ([0, 1, 2, 3] if renew_ids else [0, 1, 0, 1])


@pytest.mark.parametrize("renew_ids", [False, True])
def test_a_player_is_told_of_an_end_although_nobody_of_its_behavior_asks(renew_ids):
    pytest.importorskip("numba")
    env = make("WallJump", areas=1, renew_ids=renew_ids)
    walkers = {behavior: Walker(branches=4) for behavior in env.BEHAVIORS}
    play, alone = Play(env, walkers), 0
    for _ in range(400):
        acting = env.behavior_of(0)
        play.decide()
        alone += env.any_ended and env.behavior_of(0) != acting
    ends = sum(len(terminal) for walker in walkers.values() for terminal in walker.ended)
    assert alone and ends >= alone
    assert ends == sum(len(walker.ended) for walker in walkers.values())


def test_keys_drive_one_agent_and_leave_the_others():
    play = still("Basic", areas=3)
    right = look_of(play.example).keys["right"]
    action = play.decide(driven=1, presses=[right])
    assert action.discrete[:, 0].tolist() == [0, 2, 0]
    assert play.example.position.tolist() == [10, 11, 10]


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
    env.x[0, 0] = 0  # at the western wall
    env._request_decisions(env._see(np.ones(1, bool)), np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert play.decide(driven=0, presses=[look_of(env).keys["left"]]).discrete.tolist() == [[0]]


def test_keys_take_the_place_of_a_player():
    env = make("3DBall", areas=2)
    play = Play(env, {env.behavior: RandomPolicy(env.SPEC)})
    action = play.decide(driven=1)
    assert action.continuous[0].any() and not action.continuous[1].any()


def test_any_agent_of_any_team_can_be_driven():
    pytest.importorskip("numba")
    play = still("SoccerTwos", areas=2)
    for row in range(8):
        action = play.decide(driven=row, presses=[choose(0, 1), choose(2, 2)])
        assert action.discrete[row].tolist() == [1, 0, 2]
        assert not np.delete(action.discrete, row, axis=0).any()
