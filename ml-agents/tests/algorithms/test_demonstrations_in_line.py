"""Demonstrations in line: an exact share of every batch, kept, imitated first, and followed while they are made."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.data.experience import Actions, PolicyInput
from mlagents.data.rollout import Tick
from mlagents.demonstrations import sources
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.demonstrations.file import Demonstration
from mlagents_envs.demonstrations.recording import DemonstrationRecorder, write
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException

SPEC = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_continuous(1))


class Watching(OffPolicyTrainer):
    """Learns nothing, and keeps the batches that it was given."""

    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.batches = []

    def update(self, batch):
        self.batches.append(batch)
        return {}


def demonstration(n, first=100):
    numbers = np.arange(first, first + n, dtype=np.float32)
    done = np.zeros(n, bool)
    done[-1] = True
    return Demonstration(
        name="try", behavior="B", spec=SPEC, obs=(numbers[:, None],), reward=np.ones(n, np.float32), done=done,
        interrupted=np.zeros(n, bool), mask=np.ones((n, 0), bool),
        action=ActionTuple(np.full((n, 1), 0.25, np.float32), np.zeros((n, 0), np.int32)),
    )  # fmt: skip


@pytest.fixture
def file(tmp_path):
    write(tmp_path / "a.demo", demonstration(21))
    return str(tmp_path / "a.demo")


def made(settings=None, normalize=False, **demonstrations):
    setup = TrainerSetup(
        SPEC, NetworkSettings(hidden_units=8, num_layers=1, normalize=normalize), [Extrinsic(gamma=0.5, strength=2.0)],
        1000, DemonstrationSettings(**demonstrations),
    )  # fmt: skip
    return Watching(setup, OffPolicyHyperparamSettings(**{"batch_size": 10, "buffer_size": 100, **(settings or {})}))


@pytest.fixture
def tick(experience):
    def make(n=10):
        rows = experience([float(i) for i in range(n)], done=[True] * n)
        action = Actions(torch.zeros(n, 1), rows.output.action.discrete)
        rows = replace(rows, output=replace(rows.output, action=action, log_prob=torch.zeros(n, 1)))
        return Tick(rows, torch.arange(n), rows.done, (rows.input.obs[0],), 0)

    return make


def shown(trainer):
    return [int(batch.demonstrated.sum()) for batch in trainer.batches]


@pytest.mark.parametrize(("ratio", "size"), [(0.5, 10), (0.3, 10), (0.25, 10), (0.13, 7), (1.0, 10), (0.0, 10), (1 / 3, 10)])
def test_the_share_of_demonstrations_is_the_ratio_exactly(tick, file, ratio, size):
    trainer = made({"batch_size": size}, sources=[{"file": file}], ratio=ratio)
    trainer.receive(tick(310))
    trainer.learn(310)
    assert len(trainer.batches) == 310 - size
    assert all(len(batch.demonstrated) == size for batch in trainer.batches)
    assert all(abs(total - ratio * size * n) < 1 for n, total in enumerate(np.cumsum(shown(trainer)), 1))
    assert max(shown(trainer)) - min(shown(trainer)) <= 1


def test_rows_are_marked_as_what_they_are(tick, file):
    trainer = made(sources=[{"file": file}])
    trainer.receive(tick(50))
    trainer.learn(50)
    for batch in trainer.batches:
        seen = batch.rows.input.obs[0][:, 0]
        assert torch.equal(seen >= 100, batch.demonstrated)
        assert set(batch.returns[batch.demonstrated].flatten().tolist()) == {2.0}  # times the signal's strength
        assert torch.allclose(batch.rows.output.action.continuous[batch.demonstrated], torch.tensor(0.75))


def test_the_share_may_follow_a_schedule(tick, file):
    trainer = made(sources=[{"file": file}], ratio=1.0, ratio_schedule="linear", ratio_final=0.2, ratio_steps=100)
    trainer.receive(tick(20))
    for step in (0, 50, 100, 900):
        trainer._pending_updates = 1.0
        metrics = trainer.learn(step)
        assert metrics["Policy/Demonstration Ratio"] == pytest.approx({0: 1.0, 50: 0.6, 100: 0.2, 900: 0.2}[step])
    assert shown(trainer) == [10, 6, 2, 2]


def test_where_rows_came_from_is_recorded(tick, file):
    trainer = made(sources=[{"file": file}], ratio=0.3)
    trainer.receive(tick(12))
    metrics = trainer.learn(12)
    assert metrics["Replay/Demonstration Share"] == pytest.approx(0.3)
    assert metrics["Replay/Own Rows"] == 12
    assert metrics["Replay/Demonstration Rows"] == 20
    assert metrics[f"Replay/Rows of file:{file}"] == 20


@pytest.mark.parametrize(("protect", "kept"), [(True, set(range(100, 120))), (False, set(range(108, 120)))])
def test_protected_rows_are_never_evicted(tick, file, protect, kept):
    trainer = made({"buffer_size": 12}, sources=[{"file": file}], ratio=1.0, protect=protect)
    trainer.receive(tick(200))
    trainer.learn(200)
    assert {int(x) for batch in trainer.batches for x in batch.rows.input.obs[0].flatten()} == kept
    assert len(trainer.memory) == 12


def test_a_live_file_joins_as_it_grows(tick, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "POLL_INTERVAL", 0.0)
    trainer = made(sources=[{"live": str(tmp_path / "live.demo")}])
    trainer.receive(tick(12))
    trainer.learn(12)
    assert shown(trainer) == [0, 0]  # nothing is there yet, so all rows are its own
    with DemonstrationRecorder(tmp_path / "live.demo", "B", SPEC) as recorder:
        for number, rows in ((200, 0), (201, 0), (202, 1), (203, 2)):  # a row counts once it is known what came next
            recorder.record([np.array([number])], 1.0, np.array([0.5]), np.array([]))
            trainer.receive(tick(1))
            assert trainer.learn(13)["Replay/Demonstration Rows"] == rows
    trainer.receive(tick(1))
    assert trainer.learn(14)["Replay/Demonstration Rows"] == 3  # its recording ended
    assert shown(trainer) == [0, 0, 0, 0, 5, 5, 5]
    assert {x for batch in trainer.batches for x in batch.rows.input.obs[0].flatten().tolist() if x >= 100} <= {200, 201, 202}


def test_imitation_comes_before_the_first_update(tick, file):
    trainer = made({"learning_rate": 0.01}, normalize=True, sources=[{"file": file}], bc_init_steps=250)
    begin = trainer.policy.act(tick().rows.input, explore=False).action.continuous
    losses = []
    while not trainer.batches:
        trainer.receive(tick(20))
        metrics = trainer.learn(0)
        losses += [metrics["Losses/Imitation Loss"]] if "Losses/Imitation Loss" in metrics else []
    assert len(losses) == 3
    assert trainer.imitated == 250
    assert losses[-1] < losses[0]
    seen = torch.arange(100.0, 120.0)[:, None]
    says = trainer.policy.act(PolicyInput((seen,), torch.ones(20, 0).bool(), torch.zeros(20, 0)), explore=False)
    told = trainer.policy.env_action(says.action).continuous
    assert (told - 0.25).abs().mean() < 0.05
    assert (begin - 0.75).abs().mean() > 0.3
    assert trainer.policy.log_sigma.item() == 0.0


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_resumed_trainer_does_not_imitate_or_observe_twice(tick, file):
    trainer = made(sources=[{"file": file}], bc_init_steps=5, normalize=True)
    trainer.receive(tick(12))
    trainer.learn(12)
    resumed = made(sources=[{"file": file}], bc_init_steps=5, normalize=True)
    resumed.load_state_dict(through_a_file(trainer.state_dict()))
    resumed.receive(tick(12))
    trainer.receive(tick(12))
    assert "Losses/Imitation Loss" not in resumed.learn(24)
    trainer.learn(24)
    assert resumed.policy.body.normalizer.normalization_steps == trainer.policy.body.normalizer.normalization_steps == 45
    assert torch.equal(resumed.policy.body.normalizer.running_mean, trainer.policy.body.normalizer.running_mean)
    assert len(resumed.demonstrations) == 20


def test_a_demonstration_of_other_agents_is_refused_at_once(tmp_path):
    other = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_discrete((3,)))
    with DemonstrationRecorder(tmp_path / "b.demo", "B", other) as recorder:
        recorder.record([np.zeros(1)], 0.0, np.array([]), np.array([1]))
    with pytest.raises(DemonstrationException, match="0 continuous actions; the behavior has 1"):
        made(sources=[{"file": str(tmp_path / "b.demo")}])
