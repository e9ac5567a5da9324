"""Scenes with images through a player that sends them as each release of Unity's package: the same as in process."""

import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple, DimensionProperty
from mlagents_envs.examples.catalog import make

pytest.importorskip("numba")


def random_action(decision, spec, rng):
    """Return random actions, of those that are allowed."""
    n = len(decision)
    discrete = rng.integers(0, spec.discrete_branches or 1, (n, spec.discrete_size))
    for branch, mask in enumerate(decision.action_mask or []):
        discrete[:, branch] = np.where(mask, -1.0, rng.random(mask.shape)).argmax(axis=1)
    return ActionTuple(rng.uniform(-1, 1, (n, spec.continuous_size)), discrete)


@pytest.mark.parametrize("png", [False, True])
@pytest.mark.parametrize("package", ["1.0.8", "2.0.1", "3.0.0", "4.0.1"])
@pytest.mark.parametrize("name", ["GridWorld", "Match3Visual", "Visual3DBall", "VisualFoodCollector"])
def test_an_image_scene_is_the_same_through_a_player_of_every_package(start, name, package, png):
    env = start(name, "--package", package, *["--png"] * png, seed=5)
    twin = make(name, seed=5)
    env.reset()
    twin.reset()
    (behavior,) = twin.behavior_specs
    assert env.package.version == package
    sensors, its = env.behavior_specs[behavior].observation_specs, twin.behavior_specs[behavior].observation_specs
    assert [sensor.shape for sensor in sensors] == [sensor.shape for sensor in its]
    if package == "1.0.8":  # only what an image must be is known
        its = [sensor if len(sensor.shape) == 3 else sensor._replace(dimension_property=(DimensionProperty.UNSPECIFIED,)) for sensor in its]
    assert sensors == its
    rng, ended = np.random.default_rng(0), 0
    for _ in range(40):
        for mine, expected in zip(env.get_steps(behavior), twin.get_steps(behavior), strict=True):
            for column in ("agent_id", "reward", "group_id", "group_reward"):
                assert np.array_equal(getattr(mine, column), getattr(expected, column)), column
            assert len(mine.obs) == len(expected.obs)
            assert all(np.array_equal(seen, saw) for seen, saw in zip(mine.obs, expected.obs, strict=True))
        decision, terminal = env.get_steps(behavior)
        ended += len(terminal)
        action = random_action(decision, twin.SPEC.action_spec, rng)
        for each in (env, twin):
            each.set_actions(behavior, action)
            each.step()
    assert ended > 0 or name not in ("GridWorld", "Visual3DBall")
