import logging

import numpy as np
import pytest

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.envs.steps import StepBatch
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_continuous(1))


class Together(PPOTrainer):
    capabilities = Capabilities(groups=True)


def step(group_reward):
    agents, numbers, flags = np.arange(2), np.zeros(2, np.float32), np.zeros(2, bool)
    group = np.full(2, group_reward, np.float32)
    return StepBatch(agents, (numbers[:, None],), np.zeros((2, 0), bool), numbers, agents, group, flags, flags)


@pytest.mark.parametrize(
    ("kind", "training", "warnings"), [(PPOTrainer, True, 1), (Together, True, 0), (PPOTrainer, False, 0)]
)
def test_group_rewards_are_warned_of_once_where_nobody_learns_as_a_group(caplog, kind, training, warnings):
    setup = TrainerSetup(SPEC, NetworkSettings(hidden_units=4), [Extrinsic(gamma=0.9, strength=1.0)], 100)
    behavior = Behavior(kind(setup, PPOSettings()), time_horizon=8, training=training)
    with caplog.at_level(logging.WARNING):
        for reward in (0.0, 0.0, 1.0, 1.0):
            behavior.receive(step(reward))
            behavior.act()
    assert len(caplog.records) == warnings
