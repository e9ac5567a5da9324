"""Are the example environments faithful? Unity's own policies and recordings, tried in them.

    python -m mlagents_envs.examples.check --reference FOLDER

FOLDER holds `onnx/3DBall.onnx` and others, trained in Unity, and `demos/Expert3DBall.demo` and others, recorded there.
Prints how each policy scores here, beside random play and Unity's benchmark, and how well our physics foretells a
recording. Ends with status 1 if a bound is missed, 2 if there is nothing to try.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps
from mlagents_envs.demonstration import read
from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import Array

Play = Callable[[DecisionSteps], ActionTuple]
EPISODES = 128  # one per area, whole


@dataclass(frozen=True)
class Trial:
    """A policy of Unity's and what it must reach."""

    name: str
    bound: float  # mean return that must be reached
    benchmark: str  # what Unity's documentation says
    decisions: int  # enough for every first episode to end


TRIALS = (
    Trial("3DBall", 99.0, "100", 1001),
    Trial("3DBallHard", 95.0, "100", 1001),
    Trial("Basic", 0.92, "0.93", 200),
)
POSITION_BOUND = 0.01  # m, median


def scores(name: str, play: Play, decisions: int, seed: int) -> Array:
    """Return the (areas,) return of the first episode of each area; those that did not end count as they stand."""
    env = make(name, areas=EPISODES, seed=seed)
    env.reset()
    total, running = np.zeros(EPISODES), np.ones(EPISODES, bool)
    decision, _ = env.get_steps(env.behavior)
    for _ in range(decisions):
        before = decision.agent_id
        env.set_actions(env.behavior, play(decision))
        env.step()
        decision, terminal = env.get_steps(env.behavior)
        ended = np.isin(before, terminal.agent_id)
        reward = decision.reward.copy()
        reward[ended] = terminal.reward
        total += np.where(running, reward, 0.0)
        running &= ~ended
        if not running.any():
            break
    return total


def unity_policy(model: Path) -> Play:
    """Return how a model of Unity's plays, deterministically; needs onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = {node.name: node.shape for node in session.get_inputs()}
    outputs = [node.name for node in session.get_outputs()]
    (answer,) = [name for name in outputs if name.startswith("deterministic_")]

    def play(decision: DecisionSteps) -> ActionTuple:
        feeds: dict[str, Any] = {f"obs_{i}": column for i, column in enumerate(decision.obs)}
        if "action_masks" in inputs:
            feeds["action_masks"] = np.ones((len(decision), inputs["action_masks"][1]), np.float32)
        (action,) = session.run([answer], feeds)
        return ActionTuple(discrete=action) if "discrete" in answer else ActionTuple(continuous=action)

    return play


def random_policy(name: str, seed: int) -> Play:
    """Return how chance plays."""
    chance = np.random.default_rng(seed)
    spec = make(name, areas=1).SPEC.action_spec

    def play(decision: DecisionSteps) -> ActionTuple:
        n = len(decision)
        continuous = chance.uniform(-1, 1, (n, spec.continuous_size)).astype(np.float32)
        discrete = chance.integers(0, spec.discrete_branches or 1, (n, spec.discrete_size), dtype=np.int32)
        return ActionTuple(continuous, discrete)

    return play


def ball_errors(demo: Path) -> dict[str, float]:
    """Return the median error of one decision's prediction from each recorded state of 3DBall.

    position in m, velocity in m/s, quaternion as it is. A recording does not tell the ball's spin: it is taken to roll
    where it lies, and not to spin where it falls.
    """
    recorded = read(demo)
    seen, then = recorded.obs[0][:-1], recorded.obs[0][1:]
    env = Ball3D(areas=len(seen))
    env.reset()
    env._state[:] = ball_states(seen)
    env.set_actions(env.behavior, ActionTuple(continuous=recorded.action.continuous[:-1]))
    env.step()
    decision, _ = env.get_steps(env.behavior)
    same = ~recorded.done[1:] & (decision.agent_id < len(seen)) & ~recorded.done[:-1]
    off = (decision.obs[0] - then)[same]
    parts = {"position": off[:, 2:5], "velocity": off[:, 5:8], "quaternion": off[:, :2]}
    return {name: float(np.median(np.linalg.norm(part, axis=1))) for name, part in parts.items()}


def ball_states(seen: Array) -> Array:
    """Return the (n, 13) states of 3DBall that (n, 8) observations tell of."""
    z, x = seen[:, 0], seen[:, 1]
    y = -x * z  # as after turning about x and then z
    w = np.sqrt(np.maximum(1 - x * x - y * y - z * z, 0))
    up = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], 1)  # of the platform
    height = (seen[:, 2:5] * up).sum(1)
    lies = np.abs(height - 3.0) < 0.05
    spin = np.where(lies[:, None], np.cross(up, seen[:, 5:8]) / 0.5, 0)
    return np.concatenate([np.stack([w, x, y, z], 1), seen[:, 2:8], spin], 1).astype(np.float32)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m mlagents_envs.examples.check",
        description="Are the example environments faithful? Try Unity's own policies and recordings in them.",
    )
    parser.add_argument("--reference", type=Path, required=True, help="folder with onnx/ and demos/ made in Unity")
    parser.add_argument("--seed", type=int, default=0, help="of the environments (default 0)")
    flags = parser.parse_args(argv)
    models = {trial: flags.reference / "onnx" / f"{trial.name}.onnx" for trial in TRIALS}
    demo = flags.reference / "demos" / "Expert3DBall.demo"
    if not demo.is_file() and not any(model.is_file() for model in models.values()):
        print(f"{flags.reference} holds neither onnx/3DBall.onnx nor demos/Expert3DBall.demo: nothing to try")
        return 2
    try:
        missed = try_policies(models, flags.seed)
    except ImportError:
        print("Playing Unity's policies needs onnxruntime: pip install onnxruntime")
        return 2
    missed += try_physics(demo)
    print("\nmissed: " + ", ".join(missed) if missed else "\nevery bound is met")
    return 1 if missed else 0


def try_policies(models: dict[Trial, Path], seed: int) -> list[str]:
    """Print how Unity's policies score, and return the names of those that miss their bound."""
    row = "{:12s} {:>16s} {:>8s} {:>13s} {:>17s} {:>9s}"
    print(row.format("environment", "Unity's policy", "bound", "random play", "Unity's benchmark", "episodes"))
    missed = []
    for trial, model in models.items():
        if not model.is_file():
            print(f"{trial.name:12s} {'no model':>16s}")
            continue
        theirs = scores(trial.name, unity_policy(model), trial.decisions, seed)
        chance = scores(trial.name, random_policy(trial.name, seed), trial.decisions, seed)
        print(row.format(trial.name, f"{theirs.mean():.3f}", f"{trial.bound:g}", f"{chance.mean():.3f}",
                         trial.benchmark, str(len(theirs))))  # fmt: skip
        missed += [trial.name] if theirs.mean() < trial.bound else []
    return missed


def try_physics(demo: Path) -> list[str]:
    """Print how well a decision is foretold, and return what misses its bound."""
    if not demo.is_file():
        return []
    errors = ball_errors(demo)
    print(f"\n3DBall, one decision foretold from each state of {demo.name}, median error:")
    print("  " + ", ".join(f"{name} {error:.4f}" for name, error in errors.items()) + f"; bound {POSITION_BOUND} m")
    return ["3DBall's physics"] if not errors["position"] <= POSITION_BOUND else []


if __name__ == "__main__":
    raise SystemExit(main())
