"""Acting is not learning: a snapshot answers agents while the trainer goes on."""

import pytest
import torch

from mlagents.algorithms.making import construct
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.envs.local import LocalPool
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.examples.basic import Basic


class Loop:
    """A behavior of Basic that learns every few ticks."""

    def __init__(self, *, normalize=True, seed=3):
        self.pool = LocalPool(Basic(areas=8, seed=1))
        self.pool.reset()
        ((self.team, spec),) = self.pool.specs.items()
        network = NetworkSettings(hidden_units=8, num_layers=2, normalize=normalize)
        signals = [Extrinsic(gamma=0.9, strength=1.0)]
        setup = TrainerSetup(spec, network, signals, 10000, generator=torch.Generator().manual_seed(seed))
        settings = PPOSettings(batch_size=32, buffer_size=64)
        self.behavior = Behavior(construct(PPOTrainer, setup, settings), time_horizon=4)

    def ticks(self, n):
        for _ in range(n):
            self.behavior.receive(self.pool.recv()[self.team], self.team)
            self.behavior.learn()
            self.pool.send({self.team: self.behavior.act(self.team)[0]})


def weights(policy):
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_snapshot_keeps_acting_while_the_trainer_learns_on():
    loop = Loop()
    loop.ticks(20)
    behavior = loop.behavior
    snapshot = behavior.newest.snapshot()
    assert snapshot.version == behavior.newest.version > 0
    kept, before = weights(snapshot.policy), behavior.step
    assert equal(kept, behavior.trainer.policy.state_dict())
    answered = []
    act = snapshot.policy.act
    snapshot.policy.act = lambda input, explore: answered.append(len(input.mask)) or act(input, explore=explore)
    behavior.act_with(snapshot, loop.team)
    loop.ticks(40)
    assert answered == [8] * 40 and behavior.step > before + 200  # it answers, and its rows are learned from
    assert equal(weights(snapshot.policy), kept)
    assert not equal(kept, behavior.trainer.policy.state_dict())
    assert behavior.newest.version > snapshot.version
    behavior.act_with(None, loop.team)
    loop.ticks(5)
    assert len(answered) == 40


def test_the_same_input_gets_the_same_answer_from_a_snapshot_whatever_was_learnt():
    loop = Loop()
    loop.ticks(20)
    snapshot = loop.behavior.newest.snapshot()
    input = loop.behavior.trainer.policy.blank_input(5)
    before, newest = snapshot.act(input, explore=False), loop.behavior.newest.act(input, explore=False)
    assert torch.equal(before.log_prob, newest.log_prob)
    loop.ticks(40)
    assert torch.equal(snapshot.act(input, explore=False).log_prob, before.log_prob)
    assert not torch.equal(loop.behavior.newest.act(input, explore=False).log_prob, before.log_prob)
    assert not any(parameter.requires_grad for parameter in snapshot.policy.parameters())


def test_a_snapshot_draws_from_a_generator_of_its_own():
    loop = Loop()
    loop.ticks(3)
    before = loop.behavior.generator.get_state()
    first, second = loop.behavior.newest.snapshot(), loop.behavior.newest.snapshot()
    input = loop.behavior.trainer.policy.blank_input(50)
    drawn = [acting.act(input).action.discrete for acting in (first, second)]
    assert torch.equal(*drawn)
    assert torch.equal(loop.behavior.generator.get_state(), before)
    loop.ticks(20)
    other = loop.behavior.newest.snapshot()  # of another version
    assert not torch.equal(other.policy.generator.get_state(), first.policy.generator.get_state())


def test_a_run_is_the_same_with_snapshots_that_nobody_uses():
    alone, beside = Loop(), Loop()
    alone.ticks(40)
    for _ in range(8):
        beside.ticks(5)
        beside.behavior.newest.snapshot()
    assert equal(weights(alone.behavior.trainer.policy), beside.behavior.trainer.policy.state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no other device")
def test_a_copy_on_another_device_answers_where_it_was_asked():
    loop = Loop()
    loop.ticks(10)
    copied = loop.behavior.newest.snapshot("cuda")
    assert all(parameter.is_cuda for parameter in copied.policy.parameters())
    loop.behavior.act_with(copied, loop.team)
    loop.ticks(20)
    input = loop.behavior.trainer.policy.blank_input(5)
    assert copied.act(input).log_prob.device == input.mask.device
