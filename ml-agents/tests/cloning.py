"""Demonstrations of tiny tasks, and cloners of them."""

import numpy as np
from tiny_tasks import make

from mlagents.algorithms.bc import BCTrainer
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor

RATES = {"learning_rate": 3e-3, "learning_rate_schedule": "constant", "batch_size": 32}


def write(path, spec, episodes, mask=None):
    """Write episodes of (sensors, continuous, discrete) per decision; what is seen last repeats what was seen before."""
    with DemonstrationRecorder(path, "B", spec) as recorder:
        for episode in episodes:
            led = np.zeros(spec.action_spec.continuous_size), np.zeros(spec.action_spec.discrete_size, int)
            for seen, continuous, discrete in episode:
                recorder.record(seen, 0.0, *led, mask=mask)
                led = np.asarray(continuous, float), np.asarray(discrete, int)
            recorder.record(episode[-1][0], 0.0, *led, done=True)
    return path


def echoes(env, rows=200, decisions=4, rights=None):
    """Return episodes of an expert of `Echo`; rights: shuffles what it did among all rows."""
    seen, continuous, discrete = [], [], []
    for _ in range(rows):
        seen.append([env.obs()[0].numpy()])
        right = env.expert()
        continuous.append(right.continuous[0].numpy())
        discrete.append(right.discrete[0].numpy())
        env.step(right)
    order = range(rows) if rights is None else rights.permutation(rows)
    table = [(seen[i], continuous[order[i]], discrete[order[i]]) for i in range(rows)]
    return [table[i : i + decisions] for i in range(0, rows, decisions)]


def cloner_of(path, spec, seed=1, network=None, kind=BCTrainer, **given):
    """Return a trainer of what a file holds."""
    shown = DemonstrationSettings(sources=[{"file": str(path)}])
    trainer = make(kind, spec, [], seed=seed, network=network, shown=shown, **{**RATES, **given})
    trainer.path = path
    return trainer


def learn(trainer, rows, step=0):
    """Let a trainer take gradient steps; return what it recorded at the end of each epoch."""
    epochs = []
    while step < rows:
        metrics = trainer.learn(step)
        step += trainer.learned_rows
        if "Losses/Held-Out Loss" in metrics:
            epochs.append(metrics)
    return epochs


RECALL = BehaviorSpec([vector_sensor(4, "sign")], ActionSpec.create_discrete((4,)))


def recall(episodes, seed, decisions=6):
    """Return episodes of one who always chooses what was seen a decision before."""
    signs = np.random.default_rng(seed).integers(4, size=(episodes, decisions))
    return [[([np.eye(4)[now]], [], [before]) for before, now in zip([0, *row], row, strict=False)] for row in signs]
