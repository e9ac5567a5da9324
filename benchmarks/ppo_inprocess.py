"""Decisions per second of PPO on 3DBall in process, learning included, beside Stable-Baselines3.

Both use Unity's published settings (2 x 128 SiLU, batch 64, three epochs over a rollout of about 12,000 rows) and one
thread. They take turns, a slice each, so that a busy machine slows both; the ratio of the medians is the result.

    pip install stable-baselines3
    python benchmarks/ppo_inprocess.py [--agents 12 64] [--slices 5]
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import gc
import statistics
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from mlagents.build import make_trainer
from mlagents.collect.behavior import Behavior
from mlagents.envs.local import LocalPool
from mlagents.settings.reading import load
from mlagents_envs.examples.catalog import make

CONFIG = Path(__file__).parents[1] / "config" / "ppo" / "3DBall.yaml"
ROLLOUT = 12000


class Ours:
    """Our training loop in this process, without files."""

    def __init__(self, agents: int) -> None:
        options, _ = load(str(CONFIG), {})
        settings = options.behaviors["3DBall"]
        self.pool = LocalPool(make("3DBall", areas=agents, seed=1))
        self.pool.reset()
        (self.name,) = self.pool.specs
        trainer = make_trainer(options, settings, self.pool.specs[self.name], "3DBall")
        self.behavior = Behavior(trainer, time_horizon=settings.time_horizon)

    def slice(self) -> int:
        """Train until one update was made; return the decisions taken."""
        start, metrics = self.behavior.step, None
        while metrics is None:
            self.behavior.receive(self.pool.recv()[self.name])
            metrics = self.behavior.learn()
            actions, _ = self.behavior.act()
            self.pool.send({self.name: actions})
        return self.behavior.step - start


def stable_baselines(agents: int) -> Any:
    """Return PPO of Stable-Baselines3 on the same environment."""
    from stable_baselines3 import PPO

    from mlagents_envs.envs.sb3_vec_env import SB3VecEnv

    return PPO(
        "MlpPolicy", SB3VecEnv(make("3DBall", areas=agents, seed=1)), n_steps=ROLLOUT // agents, batch_size=64,
        n_epochs=3, learning_rate=3e-4, gamma=0.99, gae_lambda=0.99, ent_coef=0.001, device="cpu", seed=1,
        policy_kwargs={"net_arch": [128, 128], "activation_fn": torch.nn.SiLU},
    )  # fmt: skip


def measure(agents: int, slices: int) -> None:
    """Print decisions per second of both, and their ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    ours, peer = Ours(agents), stable_baselines(agents) if find_spec("stable_baselines3") else None
    ours.slice()  # compiles the physics
    gc.freeze()  # as a run does; it spares both
    rows = ROLLOUT // agents * agents
    speed: dict[str, list[float]] = {"ours": []} if peer is None else {"ours": [], "stable-baselines3": []}
    for _ in range(slices):
        start = time.perf_counter()
        taken = ours.slice()
        speed["ours"].append(taken / (time.perf_counter() - start))
        if peer is None:
            continue
        start = time.perf_counter()
        peer.learn(rows, reset_num_timesteps=False)
        speed["stable-baselines3"].append(rows / (time.perf_counter() - start))
    middle = {name: statistics.median(values) for name, values in speed.items()}
    for name, values in speed.items():
        spread = f"(from {min(values):.0f} to {max(values):.0f})"
        print(f"{agents:4d} agents  {name:18s} {middle[name]:8.0f} decisions/s {spread}")
    if peer is None:
        print("stable-baselines3 is not installed: there is nothing to compare with")
    else:
        print(f"{agents:4d} agents  ratio {middle['ours'] / middle['stable-baselines3']:.2f}")


def main() -> None:
    """Read the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, nargs="+", default=[12, 64])
    parser.add_argument("--slices", type=int, default=5)
    flags = parser.parse_args()
    for agents in flags.agents:
        measure(agents, flags.slices)


if __name__ == "__main__":
    main()
