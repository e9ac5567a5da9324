"""SAC that remembers: sequences from a replay buffer, critics with cells of their own, and what must be remembered."""

from dataclasses import replace

import pytest
import torch
from recall import SPEC, Recall, train
from tiny_tasks import through_a_file

from mlagents.algorithms.making import construct
from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import SACSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.conformance.persistence import difference
from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.sequence_replay import SequenceBatch, SequenceBuffer
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.export.export import build, check
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.nn.values import CriticMemory
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor

SPACES = {
    "continuous": ActionSpec.create_continuous(2),
    "one branch": ActionSpec.create_discrete((3,)),
    "two branches": ActionSpec.create_discrete((3, 2)),
    "hybrid": ActionSpec(1, (3, 2)),
}
TINY = {"batch_size": 64, "buffer_size": 4000, "learning_rate": 5e-3, "steps_per_update": 16, "init_entcoef": 0.05,
        "buffer_init_steps": 200, "tau": 0.05}  # fmt: skip
HALF = MemorySettings(sequence_length=2, memory_size=16)  # of an episode: the cue lies in the sequence before


def make(memory, *, spec=SPEC, seed=0, signals=1, demonstrations=None, **settings):
    network = NetworkSettings(hidden_units=16, num_layers=1, memory=memory)
    rewards = [Extrinsic(gamma=0.5, strength=1.0) for _ in range(signals)]
    setup = TrainerSetup(
        spec, network, rewards, 10**6, demonstrations, generator=torch.Generator().manual_seed(seed)
    )
    return construct(SACTrainer, setup, SACSettings(**{**TINY, **settings}))


def trained(trainer, rows=6000):
    return train(Behavior(trainer, time_horizon=3), Recall(), rows)


@pytest.mark.parametrize(("kind", "pace"), [("lstm", 16), ("gru", 8)])
def test_a_cue_is_remembered_from_one_sequence_to_the_next(kind, pace):
    assert trained(make(HALF.model_copy(update={"memory_type": kind}), steps_per_update=pace)) > 0.9


def with_memory(change):
    """Return a buffer's `sample` with another memory in its rows."""
    sample = SequenceBuffer.sample

    def changed(self, n):
        batch = sample(self, n)
        input = replace(batch.input, memory=change(batch.input.memory))
        return replace(batch, rows=replace(batch.rows, input=input))

    return changed


@pytest.mark.parametrize("change", [torch.zeros_like, lambda memory: memory.roll(1, 0)], ids=["zeros", "of another row"])
def test_a_sequence_that_begins_with_a_wrong_memory_teaches_nothing(monkeypatch, change):
    monkeypatch.setattr(SequenceBuffer, "sample", with_memory(change))
    assert trained(make(HALF)) < 0.7


def test_critics_that_begin_a_sequence_with_zeros_teach_nothing(monkeypatch):
    along = CriticMemory.along

    def from_zeros(self, body, input, sequence, extra=None):
        return along(self, body, replace(input, memory=torch.zeros_like(input.memory)), sequence, extra)

    monkeypatch.setattr(CriticMemory, "along", from_zeros)
    assert trained(make(HALF)) < 0.7


def test_without_memory_nobody_can_know():
    assert 0.4 < trained(make(None), 3000) < 0.6


def batch(trainer, lengths, seed=0):
    """Return sequences of these lengths, their rows shuffled but in order within each."""
    g, policy = torch.Generator().manual_seed(seed), trainer.policy
    n, size, branches = sum(lengths), policy.continuous, policy.branches
    mask = torch.rand(n, sum(branches), generator=g) < 0.6
    for first in [sum(branches[:i]) for i in range(len(branches))]:
        mask[:, first] = True
    seen = policy.spec.observation_specs[0].shape[0]
    inputs = [
        PolicyInput((torch.randn(n, seen, generator=g),), mask, torch.randn(n, policy.memory_size, generator=g).tanh())
        for _ in range(2)
    ]
    action = Actions(torch.rand(n, size, generator=g) * 1.8 - 0.9, torch.zeros(n, len(branches), dtype=torch.int64))
    flags, none = torch.zeros(n, dtype=torch.bool), torch.zeros(n)
    output = PolicyOutput(action, torch.zeros(n, size + len(branches)), none, inputs[1].memory)
    rows = Experience(inputs[0], output, none, none.long(), none, flags, flags)
    signals = len(trainer.signals)
    returns, discount = torch.randn(n, signals, generator=g), torch.full((n, signals), 0.9)
    sequence = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    order = torch.randperm(n, generator=g)
    for i in range(len(lengths)):
        own = sequence[order] == i
        order[own] = order[own].sort().values
    return SequenceBatch(rows, inputs[1], returns, discount, flags, sequence)[order]


@torch.no_grad()
def stepped(trainer, rows):
    """Return what every network says of each row, one agent and one step at a time."""
    said = {name: [None] * len(rows) for name in ("q1", "q2", "q1 sampled", "value", "target", "logits")}
    sampled = 0.3 * torch.ones_like(rows.action.continuous)
    for i in rows.sequence.unique().tolist():
        places = torch.nonzero(rows.sequence == i)[:, 0].tolist()
        first = rows.input.memory[places[:1]]
        own = {name: getattr(trainer, name).memory.start(first) for name in ("q1", "q2", "value", "target")}
        memory = first
        for place in places:
            row = rows[place : place + 1]
            distribution, memory = trainer.policy(replace(row.input, memory=memory))
            parts = getattr(distribution, "discrete", distribution), getattr(distribution, "continuous", distribution)
            said["logits"][place] = parts[0].probs[0] if trainer.policy.branches else parts[1].mean
            for name in ("q1", "q2"):
                q, at = getattr(trainer, name), replace(row.input, memory=own[name])
                said[name][place] = q(at, row.action.continuous)
                if name == "q1":
                    said["q1 sampled"][place] = q(at, sampled[place : place + 1])
                _, own[name] = q.body.features(at, row.action.continuous if q.body.extra else None)
            said["value"][place] = trainer.value(replace(row.input, memory=own["value"]))
            for name in ("value", "target"):
                body = getattr(trainer, name).body
                _, own[name] = body.features(replace(row.input, memory=own[name]))
            said["target"][place] = trainer.target(replace(row.next_input, memory=own["target"]))
    return {name: torch.cat(found) for name, found in said.items()}, sampled


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("space", SPACES)
def test_every_network_along_sequences_equals_one_that_is_asked_step_by_step(space, kind):
    spec = BehaviorSpec([vector_sensor(3, "seen")], SPACES[space])
    trainer = make(MemorySettings(sequence_length=5, memory_size=6, memory_type=kind), spec=spec, signals=2)
    rows = batch(trainer, [3, 1, 5, 2])
    slow, sampled = stepped(trainer, rows)
    views, action = trainer.views(rows), rows.action.continuous
    assert torch.allclose(trainer.q1(views.q[0], action), slow["q1"], atol=1e-6)
    assert torch.allclose(trainer.q2(views.q[1], action), slow["q2"], atol=1e-6)
    assert torch.allclose(trainer.q1(views.q[0], sampled), slow["q1 sampled"], atol=1e-6)
    assert torch.allclose(trainer.value(views.value), slow["value"], atol=1e-6)
    assert torch.allclose(trainer.target(views.target), slow["target"], atol=1e-6)
    sample = trainer.sample(rows.input, rows.sequence)
    if trainer.policy.branches:
        assert torch.allclose(sample.probs[0], slow["logits"], atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_losses_are_the_means_over_real_rows(space):
    spec = BehaviorSpec([vector_sensor(3, "seen")], SPACES[space])
    trainer = make(MemorySettings(sequence_length=5, memory_size=6), spec=spec)
    rows, temperature = batch(trainer, [5, 1, 2]), trainer.log_temperature.detach().exp()
    q_losses, value_losses = torch.zeros(2), 0.0
    sample = trainer.sample(rows.input, rows.sequence)

    def losses(rows, sample):
        views = trainer.views(rows)
        now = [q(view, sample.continuous) for q, view in zip((trainer.q1, trainer.q2), views.q, strict=True)]
        found, value, _ = trainer.value_losses(rows, sample, (now[0], now[1]), temperature, views)
        return torch.stack(found), value

    for i in range(3):
        own = rows.sequence == i
        alone = sample._replace(
            continuous=sample.continuous[own], log_prob=sample.log_prob[own], probs=[p[own] for p in sample.probs],
            negative_entropy=sample.negative_entropy[own],
        )  # fmt: skip
        q, value = losses(rows[own], alone)
        q_losses, value_losses = q_losses + q * own.sum(), value_losses + value * own.sum()
    q, value = losses(rows, sample)
    assert torch.allclose(q, q_losses / 8, atol=1e-5)
    assert torch.allclose(value, value_losses / 8, atol=1e-5)


def test_gradients_flow_through_time_in_every_network_but_the_target():
    trainer = make(MemorySettings(sequence_length=5, memory_size=6))
    rows = batch(trainer, [5, 3])
    before = {name: {k: v.clone() for k, v in getattr(trainer, name).state_dict().items()}
              for name in ("policy", "q1", "q2", "value")}  # fmt: skip
    trainer.update(rows)
    for name, state in before.items():
        after = getattr(trainer, name).state_dict()
        assert not torch.equal(after["body.memory.cell.weight_hh"], state["body.memory.cell.weight_hh"]), name
        assert name == "policy" or not torch.equal(after["memory.start.weight"], state["memory.start.weight"]), name


def test_what_is_forbidden_has_no_probability_beside_memory():
    trainer = make(HALF, spec=BehaviorSpec([vector_sensor(3, "seen")], SPACES["two branches"]))
    rows = batch(trainer, [4, 2, 3])
    sample = trainer.sample(rows.input, rows.sequence)
    probs = torch.cat(sample.probs, 1)
    assert (probs[~rows.input.mask] == 0).all()
    assert (probs[rows.input.mask] > 0).all()


def test_a_resumed_trainer_equals_one_that_never_stopped():
    settings = {"save_replay_buffer": True, "buffer_size": 500}
    behavior, fresh = (Behavior(make(HALF, **settings), time_horizon=3) for _ in "ab")
    train(behavior, Recall(), 1500)
    behavior.drop()
    fresh.load_state_dict(through_a_file(behavior.state_dict()), keep_step=True)
    for own in (behavior, fresh):
        own.generator.manual_seed(3)
        train(own, Recall(5), 800)
    assert behavior.trainer.updates == fresh.trainer.updates > 100
    assert difference(behavior.state_dict(), fresh.state_dict()) is None


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("space", ["continuous", "two branches", "hybrid"])
def test_a_model_with_memory_equals_the_policy(space, kind):
    spec = BehaviorSpec([vector_sensor(3, "seen")], SPACES[space])
    policy = make(MemorySettings(memory_size=8, memory_type=kind), spec=spec, batch_size=64).policy
    model = build(policy)
    check(policy, model)
    names = {value.name for value in (*model.graph.input, *model.graph.output)}
    assert {"recurrent_in", "recurrent_out"} <= names
    assert not {node.op_type for node in model.graph.node} & {"GRU", "LSTM", "Loop", "If"}


@pytest.fixture
def shown(tmp_path):
    """A demonstration of five episodes in which the cue is answered at each step."""
    with DemonstrationRecorder(tmp_path / "a.demo", "B", SPEC) as recorder:
        for episode in range(5):
            cue = 1.0 if episode % 2 else -1.0
            for turn in range(5):
                seen = [cue, 1.0] if turn == 0 else [0.0, 0.0]
                recorder.record([seen], float(turn == 4), discrete=[int(cue > 0)], done=turn == 4)
    return DemonstrationSettings(sources=[{"file": str(tmp_path / "a.demo")}], bc_init_steps=150)


def test_demonstrations_come_in_sequences_that_begin_with_nothing_remembered(shown):
    trainer = make(MemorySettings(sequence_length=4, memory_size=16), demonstrations=shown)
    while trainer.imitated < 150:
        trainer.learn(0)
    behavior, world = Behavior(trainer, time_horizon=3), Recall()
    assert train(behavior, world, 600, since=0) > 0.9  # as it was shown, before it learned much itself
    own = trainer.memory.sample(8)
    theirs = trainer.demonstrations.sample(8)
    assert theirs.demonstrated.all() and not own.demonstrated.any()
    assert (theirs.input.memory == 0).all()
    assert theirs.sequence.bincount().max() == 4
    (mixed,) = (trainer._batch() for _ in "a")
    assert len(mixed.sequence.unique()) == 16
    assert mixed.demonstrated.float().mean() == pytest.approx(0.5, abs=0.1)
    for i in mixed.sequence.unique():
        assert len(mixed.demonstrated[mixed.sequence == i].unique()) == 1
