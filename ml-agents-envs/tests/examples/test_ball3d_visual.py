from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("numba")

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.ball3d_visual import Visual3DBall
from mlagents_envs.examples.paced import PacedEnv

ROOT = Path(__file__).parents[3]
FOCAL = 42 / np.tan(np.radians(30))  # pixels per m at a depth of 1 m
EYE = np.array([0.0, 7.0, -8.0])
DOWN = np.radians(30)
UP, FORWARD = np.array([0, np.cos(DOWN), np.sin(DOWN)]), np.array([0, -np.sin(DOWN), np.cos(DOWN)])


def begun(*, areas=1, seed=0, tilt=None, ball=None, cls=Visual3DBall, **parameters):
    """Return an environment at the beginning of episodes; tilt: (x, z) components of the platform's quaternion."""
    env = cls(areas=areas, seed=seed)
    env.set_parameters(parameters)
    env.reset()
    if tilt is not None:
        x, z = tilt
        env.state[:, :4] = [np.sqrt(1 - x * x - z * z), x, 0, z]
    if ball is not None:
        env.state[:, 4:7] = ball
    return env


def act(env, action):
    """Take a decision, (n, 2) or two numbers for all, and return decision and terminal steps."""
    env.set_actions(env.behavior, ActionTuple(continuous=np.broadcast_to(np.float32(action), (env.n, 2))))
    env.step()
    return env.get_steps(env.behavior)


def newest(obs):
    """Return the newest picture of each agent, (n, h, w, 3) levels."""
    return np.rint(obs[:, 9:].transpose(0, 2, 3, 1) * 255).astype(int)


def red(picture):
    return (picture[..., 0] > 2.5 * picture[..., 1]) & (picture[..., 0] > 2.5 * picture[..., 2])


def orange(picture):
    return (picture[..., 0] > picture[..., 1]) & (picture[..., 1] > 2 * picture[..., 2]) & (picture[..., 0] > 60)


def seen_at(picture, height):
    """Return x and z of a ball at this height by where its pixels are."""
    row, column = np.argwhere(red(picture)).mean(axis=0) + 0.5
    ray = np.array([1.0, 0, 0]) * (column - 42) / FOCAL + UP * (42 - row) / FOCAL + FORWARD
    return (EYE + ray * (height - EYE[1]) / ray[1])[[0, 2]]


def test_eight_agents_see_four_pictures_of_84_by_84():
    env = begun(areas=None)
    (sensor,) = env.SPEC.observation_specs
    assert env.behavior == "Visual3DBall?team=0"
    assert (sensor.name, sensor.shape) == ("StackingSensor_size4_CameraSensor", (12, 84, 84))
    decision, _ = env.get_steps(env.behavior)
    assert decision.obs[0].shape == (8, 12, 84, 84)
    assert decision.obs[0].dtype == np.float32


def test_the_published_settings_are_for_its_behavior():
    settings = yaml.safe_load((ROOT / "config" / "ppo" / "Visual3DBall.yaml").read_text(encoding="utf-8"))
    assert list(settings["behaviors"]) == [name.partition("?")[0] for name in Visual3DBall.BEHAVIORS]


def test_the_physics_is_that_of_3dball():
    plain, env = begun(areas=8, seed=3, cls=Ball3D, scale=1.5), begun(areas=8, seed=3, scale=1.5)
    rng, ended = np.random.default_rng(0), 0
    for _ in range(80):
        action = rng.uniform(-1, 1, (8, 2))
        for expected, got in zip(act(plain, action), act(env, action), strict=True):
            assert np.array_equal(expected.reward, got.reward)
            assert np.array_equal(expected.agent_id, got.agent_id)
        assert np.array_equal(plain.state, env.state)
        ended += len(got)
    assert ended > 8


def test_a_picture_shows_the_ball_where_it_is():
    env, rng, looked = begun(areas=40, seed=1), np.random.default_rng(0), 0
    for _ in range(12):
        decision, _ = act(env, rng.uniform(-1, 1, (40, 2)))
        for picture, state in zip(newest(decision.obs[0]), env.state, strict=True):
            if red(picture).sum() > 30:  # not behind the platform
                assert seen_at(picture, state[5]) == pytest.approx(state[[4, 6]], abs=0.2)
                looked += 1
    assert looked > 400


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_ball_is_seen_as_large_as_it_is(scale):
    env = begun(tilt=(0, 0), ball=(0, 6, 0), scale=scale)
    picture = newest(act(env, 0)[0].obs[0])[0]
    depth = FORWARD @ (env.state[0, 4:7] - EYE)
    assert red(picture).sum() == pytest.approx(np.pi * (FOCAL * 0.5 * scale / depth) ** 2, rel=0.15)  # an ellipse


@pytest.mark.parametrize("degrees", [-20, -7, 0, 7, 20])
def test_the_headband_shows_how_the_platform_leans_to_the_side(degrees):
    picture = newest(act(begun(tilt=(0, np.sin(np.radians(degrees) / 2)), ball=(0, 8, 0)), 0)[0].obs[0])[0]
    columns = np.arange(30, 54)
    rows = [np.flatnonzero(orange(picture)[:, column]).mean() for column in columns]
    assert np.degrees(np.arctan(-np.polyfit(columns, rows, 1)[0] / np.cos(DOWN))) == pytest.approx(degrees, abs=3)


def test_the_headband_rises_as_the_platform_leans_away():
    def row(x):
        picture = newest(act(begun(tilt=(x, 0), ball=(0, 8, 0)), 0)[0].obs[0])[0]
        return np.argwhere(orange(picture))[:, 0].mean()

    rows = [row(x) for x in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    assert (np.diff(rows) < -0.5).all()


def test_nothing_else_is_in_the_picture():
    picture = newest(act(begun(tilt=(0, 0), ball=(0, 4, 0)), 0)[0].obs[0])[0]
    black = (picture == 0).all(axis=-1)
    assert black[:20].all() and black[:, :10].all() and black[:, -10:].all() and black[-1].sum() > 40
    assert 0.5 < black.mean() < 0.8


def test_pictures_are_stacked_from_the_oldest_to_the_newest_and_begin_black():
    env, before = begun(seed=4), None
    before = env.get_steps(env.behavior)[0].obs[0]
    assert not before[:, :9].any() and before[:, 9:].any()
    for k in range(1, 6):
        now = act(env, (0.3, -0.2))[0].obs[0]
        assert np.array_equal(now[:, :9], before[:, 3:])
        assert not np.array_equal(now[:, 9:], before[:, 9:])
        assert now[0].any(axis=(1, 2)).sum() == 3 * min(4, k + 1)
        before = now


def test_the_end_shows_the_lost_ball_after_earlier_pictures_and_then_all_is_black():
    env = begun(areas=8, seed=1, scale=lambda n: np.linspace(0.7, 1.3, n))
    before, ends, rng = env.get_steps(env.behavior)[0].obs[0], 0, np.random.default_rng(1)
    for _ in range(60):
        decision, terminal = act(env, rng.uniform(-1, 1, (8, 2)))
        for row, agent in enumerate(terminal.agent_id):
            assert np.array_equal(terminal.obs[0][row, :9], before[agent, 3:])
            assert not np.array_equal(terminal.obs[0][row, 9:], decision.obs[0][agent, 9:])
            assert not decision.obs[0][agent, :9].any()
        ends += len(terminal)
        going_on = np.setdiff1d(np.arange(8), terminal.agent_id)
        assert np.array_equal(decision.obs[0][going_on, :9], before[going_on, 3:])
        before = decision.obs[0].copy()
    assert ends > 8


@pytest.mark.parametrize(("scale", "after"), [(1.0, 3.0), (3.0, 1.0)])
def test_the_ball_is_as_large_at_the_end_as_it_was_in_its_episode(scale, after):
    env = begun(tilt=(0, 0), scale=scale)
    env.set_parameters({"scale": after})
    env.state[:, 4:10] = [2.9, 2.6, 0, 8, 0, 0]
    _, terminal = act(env, 0)
    expected = newest(act(begun(tilt=(0, 0), ball=(1.5, 4, 0), scale=scale), 0)[0].obs[0])
    assert red(newest(terminal.obs[0])).sum() == pytest.approx(red(expected).sum(), rel=0.4)


def test_a_reset_forgets_earlier_pictures():
    env = begun(areas=2)
    act(env, 0)
    env.reset()
    assert not env.get_steps(env.behavior)[0].obs[0][:, :9].any()


def test_who_changes_what_was_seen_changes_nothing_later():
    one, other = begun(areas=2, seed=2), begun(areas=2, seed=2)
    for _ in range(3):
        one.get_steps(one.behavior)[0].obs[0][:] = 0.5
        seen, expected = act(one, 0.1)[0].obs[0], act(other, 0.1)[0].obs[0]
        assert np.array_equal(seen, expected)


def test_a_trajectory_depends_on_seed_and_area_only():
    def trajectory(seed, areas=3):
        env = begun(areas=areas, seed=seed)
        return np.array([act(env, (0.5, -0.3))[0].obs[0][0] for _ in range(30)])

    assert np.array_equal(trajectory(5), trajectory(5))
    assert np.array_equal(trajectory(5), trajectory(5, areas=5))
    assert not np.array_equal(trajectory(5), trajectory(6))


def test_a_decision_period_leaves_the_stack_known():
    assert PacedEnv(begun(), 2).image_stacks == begun().image_stacks == {"StackingSensor_size4_CameraSensor": 4}
    assert PacedEnv(begun(cls=Ball3D), 2).image_stacks == {}
