"""Signals that learn see every kind of observation: vectors, images, buffers of entities, and goals."""

import math

import numpy as np
import pytest
import torch
from tiny_tasks import batch, signal

from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.curiosity import Curiosity
from mlagents.rewards.gail import GAIL
from mlagents.rewards.rnd import RND
from mlagents_envs.base_env import (
    ActionSpec,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor

NONE, MOVES, MANY = (
    DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip
SENSORS = [
    vector_sensor(2, "vector"),
    ObservationSpec((3, 20, 20), (NONE, MOVES, MOVES), ObservationType.DEFAULT, "image"),
    ObservationSpec((4, 3), (MANY, NONE), ObservationType.DEFAULT, "buffer"),
    ObservationSpec((2,), (NONE,), ObservationType.GOAL_SIGNAL, "goal"),
]
SPEC = BehaviorSpec(SENSORS, ActionSpec(1, (2,)))
NETWORK = NetworkSettings(hidden_units=8, num_layers=1, normalize=True)


def seen(n, seed):
    draws = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(n, *sensor.shape, generator=draws) for sensor in SENSORS)


def rows(n=6):
    return batch(seen(n, 1), seen(n, 2), [[0.1]] * n, [[1]] * n)


@pytest.fixture
def demo(tmp_path):
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        for obs in zip(*(column.numpy() for column in seen(8, 3)), strict=True):
            recorder.record(list(obs), 0.0, np.full(1, 0.3), [0])
    return str(tmp_path / "a.demo")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(Curiosity, {}), (RND, {}), (GAIL, {}), (GAIL, {"use_actions": True, "use_vail": True})],
)
@pytest.mark.parametrize("sensor", range(len(SENSORS)))
def test_a_change_of_any_sensor_changes_the_reward(demo, kind, settings, sensor):
    given = {"demo_path": demo, **settings} if kind is GAIL else settings
    made = signal(kind, SPEC, network_settings=NETWORK, **given)
    first = rows()
    assert all(math.isfinite(value) for value in made.update(first).values())
    with torch.no_grad():
        before = made.evaluate(first)
        other = rows()
        for input in (other.rows.input, other.next_input):
            input.obs[sensor].mul_(0.5)
        assert before.shape == (6,)
        assert (made.evaluate(other) - before).abs().max() > 1e-7


@pytest.mark.parametrize(("kind", "sees"), [(Curiosity, True), (RND, True), (GAIL, False)])
@pytest.mark.parametrize("sensor", range(len(SENSORS)))
def test_what_only_the_critic_sees_is_curious_and_novel_but_cannot_be_imitated(demo, kind, sees, sensor):
    given = {"demo_path": demo, "use_actions": True} if kind is GAIL else {}
    made = signal(kind, SPEC, network_settings=NETWORK, critic_only=(SENSORS[sensor].name,), **given)
    made.update(rows())
    other = rows()
    with torch.no_grad():
        before = made.evaluate(rows())
        for input in (other.rows.input, other.next_input):
            input.obs[sensor].mul_(0.5)
        assert bool((made.evaluate(other) != before).any()) is sees
    if not sees:
        assert all(math.isfinite(value) for value in made.update(other).values())


def test_the_penalty_reaches_the_weights_behind_every_sensor(demo):
    gail = signal(GAIL, SPEC, network_settings=NETWORK, demo_path=demo, use_actions=True)
    zeros = (torch.zeros(6, 1), torch.zeros(6, 1, dtype=torch.int64), torch.zeros(6, dtype=torch.bool))
    inputs = [
        gail.discriminator.inputs(seen(6, i), type(rows().env_action)(*zeros[:2]), zeros[2]) for i in (1, 2)
    ]  # fmt: skip
    gail.penalty(*inputs).backward()
    for name, weight in gail.discriminator.named_parameters():
        if name != "head.bias" and "bias" not in name:
            assert weight.grad is not None and (weight.grad != 0).any(), name
