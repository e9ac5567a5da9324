"""Cloners with memory and with every kind of observation, and what a resume keeps of them."""

import numpy as np
import pytest
import torch
from cloning import RECALL, cloner_of, learn, recall
from tiny_tasks import through_a_file

from mlagents.algorithms.fit import fit_of
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import vector_sensor


@pytest.mark.parametrize(("memory", "right"), [("lstm", (0.95, 1)), ("gru", (0.95, 1)), (None, (0.2, 0.6))])
def test_who_remembers_is_cloned_by_who_can_remember(cloner, memory, right):
    cell = None if memory is None else MemorySettings(memory_size=32, sequence_length=6, memory_type=memory)
    network = NetworkSettings(hidden_units=32, num_layers=1, memory=cell)
    trainer = cloner(RECALL, recall(60, 0), network=network, held_out=0.2, learning_rate=0.01)
    epochs = learn(trainer, 15000)
    best = max(metrics["Imitation/Held-Out Accuracy of Branch 0"] for metrics in epochs)
    assert right[0] <= best <= right[1]


def test_held_out_episodes_are_walked_from_their_first_decision_to_their_last(cloner):
    network = NetworkSettings(hidden_units=8, num_layers=1, memory=MemorySettings(memory_size=8, sequence_length=2))
    trainer = cloner(RECALL, recall(10, 0), network=network, held_out=0.3)
    split, policy = trainer._split, trainer.learner
    total, after = 0.0, None
    for i in range(len(split.measured)):
        row = split.measured[i : i + 1]
        memory = torch.zeros(1, 8) if i % 6 == 0 else after
        output = policy(type(row.input)(row.input.obs, row.input.mask, memory))
        total -= output[0].log_prob(row.output.action).sum().item()
        after = output[1].detach()
    fits = [fit_of(policy, rows, episodes) for rows, episodes in split.measured_blocks(6)]
    assert len(fits) == 3
    assert sum(fit.surprise.item() for fit in fits) == pytest.approx(total, rel=1e-5)


MOVES, MANY, NONE = (
    DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE,
)  # fmt: skip
SENSORS = {
    "image": ObservationSpec((3, 20, 20), (NONE, MOVES, MOVES), ObservationType.DEFAULT, "image"),
    "entities": ObservationSpec((4, 3), (MANY, NONE), ObservationType.DEFAULT, "entities"),
    "goal": ObservationSpec((2,), (NONE,), ObservationType.GOAL_SIGNAL, "goal"),
}


@pytest.mark.parametrize("kind", SENSORS)
def test_every_kind_of_observation_is_learned_from(cloner, kind):
    spec = BehaviorSpec([vector_sensor(2, "vector"), SENSORS[kind]], ActionSpec(1, (2,)))
    rng, shown = np.random.default_rng(0), []
    for _ in range(16):
        side = int(rng.integers(2))
        sensor = np.full(SENSORS[kind].shape, 1.0 - 2 * side, np.float32)  # it alone tells what to do
        shown.append([([rng.normal(size=2), sensor], [side - 0.5], [side])] * 4)
    trainer = cloner(spec, shown, held_out=0.25, learning_rate=0.01)
    last = learn(trainer, 4000)[-1]
    assert last["Imitation/Held-Out Accuracy of Branch 0"] == 1.0 and last["Imitation/Held-Out Absolute Error"] < 0.1


@pytest.mark.parametrize("memory", [None, MemorySettings(memory_size=8, sequence_length=3)])
@pytest.mark.parametrize("steps", [3, 7])  # of a gradient, before it is saved: in the middle of an epoch
def test_a_cloner_that_resumed_is_one_that_never_stopped(cloner, memory, steps):
    network = NetworkSettings(hidden_units=8, num_layers=1, memory=memory, normalize=True)
    one = cloner(RECALL, recall(20, 0), network=network, held_out=0.3, batch_size=16)
    step = 0
    for _ in range(steps):
        one.learn(step)
        step += one.learned_rows
    other = cloner_of(one.path, RECALL, seed=8, network=network, held_out=0.3, batch_size=16)
    other.load_state_dict(through_a_file(one.state_dict()))
    other.generator.set_state(one.generator.get_state())
    recorded = [learn(trainer, step + 600, step) for trainer in (one, other)]
    assert recorded[0] == recorded[1] and len(recorded[0]) > 3
    ours, theirs = (trainer.state_dict() for trainer in (one, other))
    assert str(ours) == str(theirs)
    for name in ("Policy", "Learner"):
        assert all(torch.equal(tensor, theirs[name][key]) for key, tensor in ours[name].items())


def test_other_demonstrations_at_a_resume_begin_a_new_epoch_with_a_warning(cloner, caplog):
    one = cloner(RECALL, recall(20, 0))
    learn(one, 300)
    other = cloner(RECALL, recall(30, 1))
    other.load_state_dict(through_a_file(one.state_dict()))
    assert "The demonstrations, or held_out, are others than before" in caplog.text
    assert torch.equal(other.learner.head.weight, one.learner.head.weight)
    assert other.progress.best is None and len(learn(other, 400)) > 0
