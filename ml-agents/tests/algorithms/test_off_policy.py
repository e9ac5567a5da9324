"""What every trainer inherits that learns from whatever was done before."""

import io
from dataclasses import replace

import pytest
import torch
from torch import nn

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.data.experience import PolicyInput
from mlagents.data.rollout import Tick
from mlagents.data.sequence_replay import SequenceBatch
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents.schema import Int
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_continuous(1))


class Stepping(OffPolicyHyperparamSettings):
    n_step: Int = 1


class Fitting(OffPolicyTrainer):
    """Fits its policy's head to rewards, and remembers what it was given."""

    Settings = Stepping

    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))
        self.batches = []

    def update(self, batch):
        self.batches.append(batch)
        loss = (self.policy.body(batch.input, self.policy.head) - batch.returns).pow(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"Losses/Fit": float(len(self.batches))}


def made(strength=1.0, normalize=False, **settings):
    signals = [Extrinsic(gamma=0.5, strength=strength)]
    setup = TrainerSetup(SPEC, NetworkSettings(hidden_units=4, normalize=normalize), signals, 1000)
    return Fitting(setup, Stepping(**{"batch_size": 4, "buffer_size": 100, **settings}))


@pytest.fixture
def tick(experience):
    def make(obs, reward=None, done=True, lanes=None):
        rows = experience(obs, reward, [done] * len(obs))
        lane = torch.arange(len(obs)) if lanes is None else torch.tensor(lanes)
        return Tick(rows, lane, rows.done, (rows.input.obs[0] + 1,), 0)

    return make


@pytest.mark.parametrize(("rows", "pace", "updates"), [(10, 1, 6), (10, 4, 1), (12, 4, 2), (6, 0.5, 4), (4, 1, 0)])
def test_updates_follow_rows_after_the_first_batch(tick, rows, pace, updates):
    trainer = made(steps_per_update=pace)
    trainer.receive(tick([float(i) for i in range(rows)]))
    metrics = trainer.learn(rows)
    assert trainer.updates == updates
    assert (metrics is None) == (updates == 0)


def test_warm_up_passes_without_updates_and_is_not_made_up_for(tick):
    trainer = made(buffer_init_steps=20)
    for i in range(4):
        trainer.receive(tick([float(i)] * 5))
        assert trainer.learn(5 * i) is None
    trainer.receive(tick([0.0] * 5))
    trainer.learn(25)
    assert trainer.updates == 5


def test_rows_that_still_wait_are_no_reason_to_fail(tick):
    trainer = made(n_step=3)
    trainer.receive(tick([float(i) for i in range(8)], done=False))
    assert trainer.learn(8) is None
    trainer.forget()
    assert trainer.learn(8) is not None
    assert trainer.updates == 4


def test_a_buffer_smaller_than_a_batch_is_drawn_from_all_the_same(tick):
    trainer = made(buffer_size=2)
    trainer.receive(tick([float(i) for i in range(8)]))
    trainer.learn(8)
    assert len(trainer.memory) == 2
    assert len(trainer.batches[0]) == 4


def test_a_reward_counts_by_its_signals_strength(tick):
    trainer = made(strength=3.0)
    trainer.receive(tick([1.0] * 5, [2.0] * 5))
    trainer.learn(5)
    assert set(trainer.batches[0].returns.flatten().tolist()) == {6.0}


def test_a_lost_lane_brings_its_waiting_rows(tick):
    trainer = made(n_step=3)
    for reward in (1.0, 2.0):
        trainer.receive(tick([0.0, 5.0], [reward] * 2, done=False))
    trainer.close(torch.tensor([1]))
    assert len(trainer.memory) == 2
    batch = trainer.memory.sample(30)
    assert {(r, d) for r, d in zip(batch.returns[:, 0].tolist(), batch.discount[:, 0].tolist(), strict=True)} == {
        (2.0, 0.25), (2.0, 0.5),
    }  # fmt: skip


def test_the_normalizer_sees_every_row_once(tick):
    trainer = made(normalize=True)
    for _ in range(3):
        trainer.receive(tick([4.0] * 5, done=False))
    assert trainer.policy.body.normalizer.normalization_steps == 16  # it begins at 1


def test_metrics_tell_means_schedules_and_what_episodes_gave(tick):
    trainer = made(learning_rate=0.1, learning_rate_schedule="linear")
    trainer.receive(tick([0.0] * 3, [1.0] * 3, done=False))
    trainer.receive(tick([0.0] * 3, [2.0, 3.0, 4.0]))
    metrics = trainer.learn(500)
    assert metrics["Losses/Fit"] == 1.5  # two updates, 1 and 2
    assert metrics["Policy/Learning Rate"] == pytest.approx(0.05)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert metrics["Policy/Extrinsic Reward"].tolist() == [3, 4, 5]
    trainer.receive(tick([0.0] * 3, done=False))
    assert "Policy/Extrinsic Reward" not in trainer.learn(503)


def test_a_target_follows_by_its_share_and_sees_through_the_same_normalizer():
    trainer = made(normalize=True)
    target = trainer.make_target(trainer.policy)
    assert target.body.normalizer is trainer.policy.body.normalizer
    with torch.no_grad():
        trainer.policy.head.weight.fill_(4.0)
        target.head.weight.fill_(0.0)
    trainer.soft_update(target, trainer.policy, tau=0.25)
    assert set(target.head.weight.flatten().tolist()) == {1.0}
    trainer.soft_update(target, trainer.policy, tau=1.0)
    assert torch.equal(target.head.weight, trainer.policy.head.weight)
    assert target.head.weight is not trainer.policy.head.weight
    seen = PolicyInput.of((torch.tensor([[1.0], [2.0]]),))
    assert torch.equal(target.body(seen, target.head), trainer.policy.body(seen, trainer.policy.head))


def test_a_target_of_a_bare_network_shares_nothing():
    network = nn.Linear(2, 2)
    target = made().make_target(network)
    assert torch.equal(target.weight, network.weight)
    assert target.weight is not network.weight


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def feed(trainer, tick, start, stop):
    for i in range(start, stop):
        trainer.receive(tick([float(i % 7), 1.0, i / 10], [float(i % 3)] * 3, done=i % 4 == 3))
        trainer.learn(3 * i)


@pytest.mark.parametrize("pace", [1, 4, 2.5])
def test_a_trainer_resumed_with_its_memory_equals_one_that_never_stopped(tick, pace):
    settings = {
        "normalize": True, "n_step": 2, "buffer_init_steps": 20, "buffer_size": 30, "steps_per_update": pace,
        "save_replay_buffer": True,
    }  # fmt: skip
    trainer = made(**settings)
    feed(trainer, tick, 0, 17)
    trainer.forget()  # a world that begins anew has no unfinished episodes
    state = through_a_file({**trainer.state_dict(), "rng": trainer.generator.get_state()})
    feed(trainer, tick, 17, 40)
    resumed = made(**settings)
    resumed.load_state_dict(state)
    resumed.generator.set_state(state["rng"])
    feed(resumed, tick, 17, 40)
    assert resumed.updates == trainer.updates
    mine, theirs = (list(other.memory.state_dict()["columns"].values()) for other in (resumed, trainer))
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    for name, value in trainer.policy.state_dict().items():
        assert torch.equal(resumed.policy.state_dict()[name], value), name


def test_without_its_memory_a_resumed_trainer_warms_up_anew(tick):
    trainer = made(buffer_init_steps=10)
    trainer.receive(tick([0.0] * 50))
    trainer.learn(50)
    state = through_a_file(trainer.state_dict())
    assert "replay" not in state
    resumed = made(buffer_init_steps=10)
    resumed.load_state_dict(state)
    assert resumed.updates == 40
    resumed.receive(tick([0.0] * 10))
    assert resumed.learn(60) is None
    resumed.receive(tick([0.0] * 5))
    resumed.learn(65)
    assert resumed.updates == 45


def test_another_pace_after_a_resume_makes_up_for_nothing(tick):
    trainer = made(steps_per_update=10, save_replay_buffer=True)
    trainer.receive(tick([0.0] * 54))
    trainer.learn(54)
    resumed = made(steps_per_update=1, save_replay_buffer=True)
    resumed.load_state_dict(through_a_file(trainer.state_dict()))
    resumed.receive(tick([0.0] * 3))
    resumed.learn(57)
    assert resumed.updates == trainer.updates + 3


class Remembering(Fitting):
    """Learns what its policy did, along sequences."""

    capabilities = Capabilities(memory=True)

    def update(self, batch):
        self.batches.append(batch)
        log_prob, entropy = self.evaluate(batch)
        assert log_prob.shape == (len(batch), 1) and entropy.shape == (len(batch),)
        self.take_step(self.optimizer, -log_prob.mean())
        return {}


def test_an_authors_trainer_that_promises_memory_gets_whole_sequences(experience):
    network = NetworkSettings(hidden_units=4, memory=MemorySettings(memory_size=6, sequence_length=3))
    setup = TrainerSetup(SPEC, network, [Extrinsic(gamma=0.5, strength=1.0)], 1000)
    trainer = Remembering(setup, Stepping(batch_size=6, buffer_size=100, n_step=2))
    before = trainer.policy.body.memory.cell.weight_hh.clone()
    for i in range(12):
        rows = experience([float(i)] * 2, done=[i % 6 == 5] * 2)
        memory, one = torch.full((2, 6), i / 10), torch.zeros(2, 1)
        output = replace(rows.output, memory=memory + 0.1, log_prob=one, action=replace(rows.output.action, continuous=one))
        rows = replace(rows, input=replace(rows.input, memory=memory), output=output)
        trainer.receive(Tick(rows, torch.arange(2), rows.done, rows.input.obs, 0))
        trainer.learn(2 * i)
    batch = trainer.batches[-1]
    assert isinstance(batch, SequenceBatch)
    for i in batch.sequence.unique():
        seen = batch.input.obs[0][batch.sequence == i, 0]
        assert torch.equal(seen, torch.arange(seen[0], seen[0] + len(seen)))
        assert len(seen) <= 3
    assert torch.allclose(batch.input.memory, batch.input.obs[0] / 10)
    assert not torch.equal(before, trainer.policy.body.memory.cell.weight_hh)


def test_a_trainer_without_an_update_says_what_is_missing():
    setup = TrainerSetup(SPEC, NetworkSettings(hidden_units=4), [Extrinsic(gamma=0.5, strength=1.0)], 1000)
    with pytest.raises(TrainerError, match=r"OffPolicyTrainer has no update: an OffPolicyTrainer writes update"):
        OffPolicyTrainer(setup, OffPolicyHyperparamSettings(batch_size=1))
