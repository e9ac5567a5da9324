import numpy as np
import pytest

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.demonstrations.file import Demonstration
from mlagents_envs.demonstrations.recording import write
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.pyramids_numba import AGENT, FIRST_BRICK, FIRST_STONE, GOLD, SWITCH
from mlagents_envs.fidelity.replay import predicted_velocities

FORWARD = 1


def begin(areas=1, seed=0):
    env = make("Pyramids", areas=areas, seed=seed)
    env.reset()
    return env


def act(env, action):
    env.set_actions(env.behavior, ActionTuple(discrete=np.full((env.n, 1), action, np.int32)))
    env.step()
    return env.get_steps(env.behavior)


def put_before(env, body, away):
    """Put every agent on the ground before a body, looking at it along z."""
    bodies = env.state.bodies
    agent = bodies[:, AGENT]
    agent["x"], agent["z"], agent["yaw"] = bodies["x"][:, body], bodies["z"][:, body] - away, 0.0
    agent["low"], agent["high"], agent["climb"], agent["vx"], agent["vz"] = 0.0, 1.0, 0.0, 0.0, 0.0


def clear(env):
    """Take away all but the agent and the switch, so that the way is free."""
    env.state.bodies["on"][:, SWITCH + 1 :] = False


def press(env):
    put_before(env, SWITCH, 2.7)
    return act(env, FORWARD)


def test_the_way_from_the_switch_to_the_gold():
    env = begin(areas=8)
    clear(env)
    bodies = env.state.bodies
    decision, _ = press(env)
    assert decision.obs[3][:, 0].all()  # the switch is on
    assert bodies["on"][:, FIRST_BRICK : FIRST_BRICK + 4].all()
    assert (bodies["low"][:, GOLD] > 4.0).all()
    put_before(env, FIRST_BRICK, 3.0)
    while not env._landing.all():  # the pyramid is bumped at its foot
        act(env, FORWARD)
    for _ in range(4):
        act(env, 0)
    assert bodies["solid"][:, FIRST_BRICK:GOLD].all()
    assert not bodies["low"][:, GOLD].any()
    put_before(env, GOLD, 2.0)
    decision, terminal = act(env, FORWARD)
    while not len(terminal):
        decision, terminal = act(env, FORWARD)
    assert terminal.reward.tolist() == [2.0] * len(terminal)
    assert not terminal.interrupted.any()


def test_gold_on_top_cannot_be_touched():
    env = begin()
    clear(env)
    press(env)
    env.state.bodies["on"][:, FIRST_BRICK : FIRST_BRICK + 4] = False
    put_before(env, GOLD, 2.0)
    for _ in range(5):
        assert len(act(env, FORWARD)[1]) == 0


def test_time_costs_a_thousandth_a_decision_and_is_up_after_a_thousand():
    env = begin()
    for _ in range(999):
        decision, terminal = act(env, 0)
        assert decision.reward[0] == pytest.approx(-0.001)
        assert len(terminal) == 0
    assert act(env, 0)[1].interrupted.tolist() == [True]


def test_everything_begins_in_a_cell_of_its_own():
    env = begin(areas=50)
    bodies = env.state.bodies
    which = [AGENT, SWITCH, *range(FIRST_STONE, FIRST_BRICK, 4)]
    assert len(which) == 8
    cells = np.stack([np.round(bodies[axis][:, which] / 30.0) for axis in ("x", "z")], 2)
    assert all(len({tuple(cell) for cell in area}) == 8 for area in cells.tolist())
    assert np.ptp(bodies["yaw"][:, AGENT]) > 5.0


def test_the_agent_feels_its_own_velocity_as_it_looks_and_its_fall():
    env = begin(areas=20)
    clear(env)
    decision, _ = act(env, FORWARD)
    # five pushes of 2 against drag alone, as in the air there is no friction; as recorded in Unity
    assert decision.obs[3][:, 1:] == pytest.approx(np.tile([0.0, -0.8694, 8.8621], (20, 1)), abs=1e-3)


def test_the_switch_is_seen_as_off_and_then_as_on():
    env = begin()
    clear(env)
    put_before(env, SWITCH, 8.0)
    decision, _ = act(env, 0)
    assert decision.obs[0].reshape(7, 8)[0, :6].tolist() == [0, 0, 0, 1, 0, 0]
    press(env)
    put_before(env, SWITCH, 8.0)
    env.state.bodies["on"][:, FIRST_BRICK:] = False
    decision, _ = act(env, 0)
    assert decision.obs[0].reshape(7, 8)[0, :6].tolist() == [0, 0, 0, 0, 1, 0]


def test_the_same_seed_gives_the_same_trajectory():
    def trajectory(env):
        rng = np.random.default_rng(0)
        return np.concatenate([act(env, int(rng.integers(5)))[0].obs[0] for _ in range(40)])

    one = trajectory(begin(4, seed=5))
    assert np.array_equal(one, trajectory(begin(4, seed=5)))
    assert not np.array_equal(one, trajectory(begin(4, seed=6)))
    again = begin(4, seed=1)
    again.set_seed(5)
    again.reset()
    assert np.array_equal(one, trajectory(again))


def test_velocities_of_a_recording_are_predicted_and_those_of_other_actions_are_not(tmp_path):
    env, rng, columns, actions = begin(seed=2), np.random.default_rng(0), [], [0]
    for _ in range(80):
        columns.append(env.get_steps(env.behavior)[0].obs)
        actions.append(int(rng.integers(5)))
        act(env, actions[-1])
    n = len(columns)

    def share(actions):
        recorded = Demonstration(
            name="try", behavior=env.behavior, spec=env.SPEC, obs=tuple(np.concatenate(c) for c in zip(*columns, strict=True)),
            reward=np.zeros(n, np.float32), done=np.zeros(n, bool), interrupted=np.zeros(n, bool),
            mask=np.ones((n, 5), bool), action=ActionTuple(discrete=np.array(actions, np.int32)[:, None]),
        )  # fmt: skip
        write(tmp_path / "a.demo", recorded, overwrite=True)
        return predicted_velocities(tmp_path / "a.demo")

    assert share(actions[:n]) > 0.7
    assert share(actions[1 : n + 1]) < 0.6
