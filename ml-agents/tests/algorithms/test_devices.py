"""Nothing is made on torch's default device: trainers say where their tensors lie.

`meta` stands for a device that is not the trainer's: a tensor that lands there cannot be computed with.
"""

import contextlib

import numpy as np
import pytest
import torch
from author_runs import make, novelty, sample, train

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.sac import SACTrainer
from mlagents.conformance.subject import CONTINUOUS, HYBRID, ONE_BRANCH, TWO_BRANCHES
from mlagents.conformance.tasks import CopyTask
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.nn.settings import MemorySettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.demonstrations.file import Demonstration
from mlagents_envs.demonstrations.recording import write


@contextlib.contextmanager
def another_default():
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(before)


def plugin(package, name):
    return lambda: getattr(pytest.importorskip(f"mlagents_trainer_plugin.{package}.{package}_trainer"), name)


def two_signals(spec):
    return [Extrinsic(gamma=0.9, strength=1.0), novelty(spec)]


MEMORY = {"memory": MemorySettings(sequence_length=8, memory_size=8)}
TRAINERS = {
    "ppo, choices": (lambda: PPOTrainer, TWO_BRANCHES, {}),
    "ppo, continuous": (lambda: PPOTrainer, CONTINUOUS, {"network": {"normalize": True}}),
    "ppo, hybrid": (lambda: PPOTrainer, HYBRID, {"max_grad_norm": 0.5}),
    "ppo, shared critic": (lambda: PPOTrainer, HYBRID, {"shared_critic": True}),
    "ppo, memory": (lambda: PPOTrainer, CONTINUOUS, {"network": MEMORY}),
    "ppo, novelty": (lambda: PPOTrainer, ONE_BRANCH, {"signals": two_signals}),
    "a2c": (plugin("a2c", "A2CTrainer"), CONTINUOUS, {}),
    "dqn": (plugin("dqn", "DQNTrainer"), TWO_BRANCHES, {"n_step": 3, "network": {"normalize": True}}),
    "dqn, saved": (plugin("dqn", "DQNTrainer"), ONE_BRANCH, {"save_replay_buffer": True}),
    "sac, continuous": (lambda: SACTrainer, CONTINUOUS, {"network": {"normalize": True}}),
    "sac, hybrid": (lambda: SACTrainer, HYBRID, {}),
    "sac, novelty": (lambda: SACTrainer, CONTINUOUS, {"signals": two_signals}),
    "tanh-sac": (lambda: sample("tanh_sac").TanhSACTrainer, CONTINUOUS, {"network": {"normalize": True}}),
    "gru": (lambda: sample("gru").GRUTrainer, TWO_BRANCHES, {}),
    "layer norm": (lambda: sample("layer_norm").LayerNormTrainer, CONTINUOUS, {}),
    "own critic": (lambda: sample("layer_norm").OwnCriticTrainer, ONE_BRANCH, {}),
}


@pytest.mark.parametrize("name", TRAINERS)
def test_a_trainer_collects_and_learns_on_its_own_device(name):
    kind, space, options = TRAINERS[name]
    task, options = CopyTask(space.actions, length=6.0), dict(options)
    with another_default():
        if "signals" in options:
            options["signals"] = options["signals"](task.spec)
        trainer = make(kind(), task.spec, **options)
        before = [p.detach().clone() for p in trainer.policy.parameters()]
        behavior, metrics = train(trainer, task, 700, irregular=True)
        behavior.drop()
        state = behavior.state_dict()
        behavior.load_state_dict(state, keep_step=True)
        train(trainer, task, 400, behavior=behavior, seed=2)
    assert metrics
    assert any(not torch.equal(old, new) for old, new in zip(before, trainer.policy.parameters(), strict=True))
    assert {tensor.device.type for tensor in tensors(state)} == {"cpu"}


def tensors(state):
    """Yield the tensors of a state."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict):
        for part in state.values():
            yield from tensors(part)
    elif isinstance(state, list | tuple):
        for part in state:
            yield from tensors(part)


def demonstrated(folder, task, n=40):
    """Write a recording of the task's right choices, and return the settings that name it."""
    state = task.reset(n, np.random.default_rng(0))
    write(folder / "a.demo", Demonstration(
        name="try", behavior="B", spec=task.spec, obs=task.observe(state), reward=np.ones(n, np.float32),
        done=np.arange(n) == n - 1, interrupted=np.zeros(n, bool), mask=task.allowed(state),
        action=ActionTuple(np.zeros((n, 0), np.float32), state[:, :1].astype(np.int32)),
    ))  # fmt: skip
    return DemonstrationSettings(sources=[{"file": str(folder / "a.demo")}], bc_init_steps=3)


def test_demonstrations_lie_on_the_trainers_device(tmp_path):
    kind, task = plugin("dqn", "DQNTrainer")(), CopyTask(ONE_BRANCH.actions)
    given = demonstrated(tmp_path, task)
    with another_default():
        trainer = make(kind, task.spec, demonstrations=given, n_step=2)
        _, metrics = train(trainer, task, 600)
    assert metrics[-1]["Replay/Demonstration Rows"] > 30
