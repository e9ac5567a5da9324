"""Planted faults of policies whose snapshots act otherwise than they did; a healthy twin passes."""

import pytest
import torch

from mlagents.algorithms.sac import SACTrainer
from mlagents.api import Actor, PPOTrainer
from mlagents.conformance import ConformanceError, earlier_selves
from mlagents.conformance.subject import ONE_BRANCH

SNAPSHOT = earlier_selves.an_earlier_self_acts_as_it_did_then


def cooling(attribute, kept=float):
    """Return a trainer whose policy is the less random the longer it learns; kept: what holds its temperature."""

    class Policy(Actor):
        def __init__(self, *args):
            super().__init__(*args)
            setattr(self, attribute, kept(2.0))

        def from_output(self, output, mask):
            return super().from_output(output / float(getattr(self, attribute)), mask)

    class Trainer(PPOTrainer):
        def make_policy(self, setup):
            return Policy(setup.spec, setup.network)

        def learn(self, step):
            setattr(self.policy, attribute, kept(2.0 / (1.0 + step / 1000)))
            return super().learn(step)

    return Trainer


def test_what_is_private_and_no_tensor_is_missed_by_a_snapshot(ask):
    with pytest.raises(ConformanceError, match="must act as the policy did when it was taken"):
        ask(cooling("_temperature"), SNAPSHOT, ONE_BRANCH)
    ask(cooling("temperature"), SNAPSHOT, ONE_BRANCH)


def test_a_buffer_is_kept_by_a_snapshot(ask):
    ask(cooling("temperature", lambda value: torch.nn.Parameter(torch.tensor(value), requires_grad=False)), SNAPSHOT, ONE_BRANCH)


def test_built_in_trainers_and_the_plug_ins_have_whole_snapshots(ask):
    from mlagents_trainer_plugin.dqn.dqn_trainer import DQNTrainer

    for trainer in (PPOTrainer, SACTrainer, DQNTrainer):
        ask(trainer, SNAPSHOT, ONE_BRANCH)
