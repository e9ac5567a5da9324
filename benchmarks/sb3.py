"""Does PPO of Stable-Baselines3 learn an example scene through `SB3VecEnv`? Seeds, steps, seconds, and a curve.

    pip install stable-baselines3
    python benchmarks/sb3.py [--env 3DBall] [--seeds 1 2 3] [--budget 300000] [--threshold 95] [--curve FILE.csv]

Unity's published settings of 3DBall, with its observations normalized by VecNormalize. The curve has a point after each
rollout of 12,288 rows: the mean return of the last hundred episodes. Then every agent plays an episode without
exploring. Ends with status 1 if the threshold is missed by a seed, in the curve or in play.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import csv
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlagents_envs.examples.catalog import make

ROLLOUT = 12288  # rows, whole minibatches of 64
LONGEST = 5000  # decisions in which an episode must end


def learner(env: str, seed: int, *, rollout: int) -> Any:
    """Return PPO on all agents of a scene of Unity's own size."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

    from mlagents_envs.envs.sb3_vec_env import SB3VecEnv

    agents = VecNormalize(VecMonitor(SB3VecEnv(make(env, seed=seed))), norm_reward=False, clip_obs=5.0)
    policy = "MultiInputPolicy" if hasattr(agents.observation_space, "spaces") else "MlpPolicy"
    return PPO(
        policy, agents, n_steps=max(1, rollout // agents.num_envs), batch_size=64, n_epochs=3,
        learning_rate=lambda left: 3e-4 * left, gamma=0.99, gae_lambda=0.99, ent_coef=0.001, device="cpu", seed=seed,
        policy_kwargs={"net_arch": [128, 128], "activation_fn": torch.nn.SiLU},
    )  # fmt: skip


def train(env: str, seed: int, budget: int, rollout: int) -> tuple[Any, list[tuple[int, float]]]:
    """Return the learner and its curve: (steps, mean return) after each rollout."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Curve(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.points: list[tuple[int, float]] = []

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            if episodes := self.model.ep_info_buffer:
                self.points.append((self.num_timesteps, float(np.mean([episode["r"] for episode in episodes]))))

    curve, model = Curve(), learner(env, seed, rollout=rollout)
    model.learn(budget, callback=curve)
    return model, curve.points


def play(model: Any) -> float:
    """Return the mean return of each agent's first episode, played without exploring."""
    agents = model.get_env()
    agents.training = False
    returns: dict[int, float] = {}  # by agent
    obs = agents.reset()
    for _ in range(LONGEST):
        action, _ = model.predict(obs, deterministic=True)
        obs, _, _, infos = agents.step(action)
        for agent, info in enumerate(infos):
            if "episode" in info:
                returns.setdefault(agent, info["episode"]["r"])
        if len(returns) == agents.num_envs:
            return float(np.mean(list(returns.values())))
    return float("nan")


def main() -> int:
    """Read the flags, train each seed, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="3DBall", help="an example scene with one kind of actions")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--budget", type=int, default=300_000, metavar="STEPS")
    parser.add_argument("--rollout", type=int, default=ROLLOUT, metavar="ROWS", help="of each update")
    parser.add_argument("--threshold", type=float, default=95.0, metavar="RETURN")
    parser.add_argument("--curve", type=Path, help="where the points are kept, as CSV")
    flags = parser.parse_args()
    if find_spec("stable_baselines3") is None:
        print("stable-baselines3 is not installed: pip install stable-baselines3")
        return 2
    torch.set_num_threads(1)
    rows, missed = [], 0
    for seed in flags.seeds:
        start = time.perf_counter()
        model, points = train(flags.env, seed, flags.budget, flags.rollout)
        seconds, score = time.perf_counter() - start, play(model)
        reached = next((steps for steps, mean in points if mean >= flags.threshold), None)
        missed += reached is None or not score >= flags.threshold
        print(f"{flags.env} seed {seed}: {flags.threshold:g} reached at {reached}, {seconds:.1f} s, plays {score:.2f}")
        rows += [(flags.env, seed, steps, f"{mean:.3f}") for steps, mean in points]
    if flags.curve:
        with flags.curve.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("behavior", "seed", "steps", "reward"), *rows])
    print(f"{missed} missed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
