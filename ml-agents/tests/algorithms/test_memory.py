"""What agents remember: a cue is seen at the first step only, and the answer is rewarded at the last."""

import io

import pytest
import torch
from recall import SPEC, Recall, train

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.data.experience import PolicyInput
from mlagents.nn.policy import Actor
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.rewards.signal import Extrinsic


def make(memory, **settings):
    network = NetworkSettings(hidden_units=16, num_layers=1, memory=memory)
    setup = TrainerSetup(SPEC, network, [Extrinsic(gamma=0.9, strength=1.0)], 60_000)
    return PPOTrainer(setup, PPOSettings(**{"batch_size": 128, "buffer_size": 512, "learning_rate": 5e-3, **settings}))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_cue_is_remembered(kind):
    memory = MemorySettings(sequence_length=4, memory_size=16, memory_type=kind)
    assert train(Behavior(make(memory), time_horizon=16), Recall(), 16_000) > 0.9


def test_without_memory_nobody_can_know():
    assert 0.4 < train(Behavior(make(None), time_horizon=16), Recall(), 8_000) < 0.6


def test_a_sequence_gives_what_stepping_an_agent_gives():
    torch.manual_seed(3)
    actor = Actor(SPEC, NetworkSettings(hidden_units=8, memory=MemorySettings(memory_size=6)))
    lengths, obs = [3, 1, 4], torch.randn(8, 2)
    sequence = torch.repeat_interleave(torch.tensor([5, 9, 2]), torch.tensor(lengths))
    input = PolicyInput((obs,), torch.ones(8, 2, dtype=torch.bool), torch.randn(8, 6))
    action = actor.act(input).action
    got, entropy = actor.evaluate_sequences(input, action, sequence)
    start = 0
    for length in lengths:
        memory = input.memory[start : start + 1]
        for row in range(start, start + length):
            one = PolicyInput((obs[row : row + 1],), input.mask[row : row + 1], memory)
            want, own = actor.evaluate(one, action[row : row + 1])
            assert torch.allclose(got[row], want[0], atol=1e-6) and torch.allclose(entropy[row], own[0], atol=1e-6)
            memory = actor.act(one).memory
        start += length
    slow, _ = super(Actor, actor).evaluate_sequences(input, action, sequence)
    assert torch.allclose(got, slow, atol=1e-6)
    got.sum().backward()
    assert actor.body.memory.cell.weight_hh.grad.abs().sum() > 0


def test_an_episode_begins_with_nothing_remembered():
    behavior, world = Behavior(make(MemorySettings(memory_size=8)), time_horizon=16), Recall()
    step = world.begin()
    for _ in range(30):
        behavior.receive(step)
        (collector,) = behavior._collectors.values()
        asking = collector._asking
        begins = asking.input.obs[0][:, 1] > 0
        assert (asking.input.memory[begins] == 0).all()
        actions, _ = behavior.act()
        step = world.step(actions)
    assert (asking.input.memory[~begins] != 0).any()


def test_a_resumed_trainer_equals_one_that_never_stopped():
    behavior, fresh = (Behavior(make(MemorySettings(sequence_length=4, memory_size=8)), time_horizon=16) for _ in "ab")
    train(behavior, Recall(), 2_000)
    behavior.drop()
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True), keep_step=True)
    for own in (behavior, fresh):
        own.generator.manual_seed(3)
        train(own, Recall(5), 2_000)
    mine, theirs = behavior.state_dict()["Policy"], fresh.state_dict()["Policy"]
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
