"""The sample plug-ins of `authors/`, and small trainings of trainers that others wrote."""

from pathlib import Path

import torch

from mlagents.algorithms.making import construct
from mlagents.algorithms.settings import OnPolicyHyperparamSettings
from mlagents.algorithms.trainer import CPU, TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.conformance.task_env import TaskEnv
from mlagents.nn.settings import NetworkSettings
from mlagents.plugins.catalog import module_of
from mlagents.rewards.signal import Extrinsic, SignalSetup

AUTHORS = Path(__file__).parent / "authors"
ON_POLICY = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3, "learning_rate_schedule": "constant"}
OFF_POLICY = {"batch_size": 32, "buffer_size": 4000, "buffer_init_steps": 64, "learning_rate": 3e-3,
              "steps_per_update": 4.0}  # fmt: skip


def sample(name):
    """Return the module of a sample plug-in, loaded as a run loads it."""
    return module_of(str(AUTHORS / f"{name}.py"))


def novelty(spec, **settings):
    """Return the sample reward signal."""
    module = sample("novelty")
    given = module.NoveltySettings(**{"network_settings": NetworkSettings(hidden_units=8), **settings})
    return construct(module.NoveltySignal, SignalSetup("novelty", spec, CPU, torch.Generator()), given)


def make(kind, spec, *, signals=None, demonstrations=None, seed=0, gamma=0.9, network=None, **hyperparameters):
    """Return a trainer as a run makes it."""
    base = ON_POLICY if issubclass(kind.Settings, OnPolicyHyperparamSettings) else OFF_POLICY
    known = {name: value for name, value in base.items() if name in kind.Settings.model_fields}
    settings = kind.Settings(**{**known, **hyperparameters})
    given = NetworkSettings(**{"hidden_units": 16, "num_layers": 1, **(network or {})})
    signals = signals if signals is not None else [Extrinsic(gamma=gamma, strength=1.0)]
    generator = torch.Generator().manual_seed(seed)
    return construct(kind, TrainerSetup(spec, given, signals, 40_000, demonstrations, generator=generator), settings)


def train(trainer, task, rows, *, agents=16, seed=0, irregular=False, behavior=None, horizon=16):
    """Train until so many more rows came; return the behavior, and the metrics of every update."""
    behavior = behavior or Behavior(trainer, time_horizon=horizon)
    env, metrics, until = TaskEnv(task, agents, seed=seed, irregular=irregular), [], behavior.step + rows
    steps = env.reset()
    while behavior.step < until:
        behavior.receive(steps)
        learned = behavior.learn()
        metrics += [learned] if learned is not None else []
        steps = env.step(behavior.act()[0])
    return behavior, metrics
