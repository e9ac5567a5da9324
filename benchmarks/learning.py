"""Does PPO learn the example environments with Unity's published settings? Seeds, steps, seconds, and a picture.

    python benchmarks/learning.py [--seeds 1 2 3] [--plugin] [--players N [--kill STEP]] [--results DIR]
                                  [--picture docs/learning-curves.png]

Trains each environment for its budget of steps through `mlagents-learn`, reads the curves that it wrote, and plays the
exported model through onnxruntime. With --players, the environments are not in process: so many players of our own are
trained in as if they were Unity builds; with --kill, one of them is killed at that step.
Ends with status 1 if a threshold is missed.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents_envs.examples.check import scores, unity_policy
from mlagents_envs.examples.executable import make_executable

ROOT = Path(__file__).parents[1]
REWARD = "Environment/Cumulative Reward"


@dataclass(frozen=True)
class Task:
    """An environment, what must be reached, and within how many steps."""

    name: str
    threshold: float
    budget: int  # steps
    official: str  # steps that the official trainer needed
    decisions: int  # enough for every episode to end when the model is played
    config: Path


TASKS = (
    Task("3DBall", 95.0, 300_000, "96k-108k", 1001, ROOT / "config" / "ppo" / "3DBall.yaml"),
    Task("Basic", 0.92, 30_000, "18k", 200, ROOT / "config" / "ppo" / "Basic.yaml"),
    Task("PushBlock", 4.0, 600_000, "-", 1001, ROOT / "config" / "ppo" / "PushBlock.yaml"),
)
PLUGIN = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin"
PLUGIN_TASKS = (
    Task("3DBall", 90.0, 500_000, "-", 1001, PLUGIN / "a2c" / "a2c_3DBall.yaml"),
    Task("Basic", 0.9, 12_000, "-", 200, PLUGIN / "dqn" / "dqn_basic.yaml"),
)
Curve = list[tuple[int, float]]


def environment(task: Task, players: int, results: Path) -> list[str]:
    """Return the flags that name the environment; players: 0 for one in process."""
    if not players:
        return ["--env", f"builtin:{task.name}"]
    make_executable(results / "builds", task.name)
    return ["--env", str(results / "builds" / task.name), "--num-envs", str(players)]


def kill_a_player(trainer: int) -> None:
    """Kill the first player of a run, as a crash would."""
    family = psutil.Process(trainer).children(recursive=True)
    next(one for one in family if "mlagents_envs.examples.serve" in one.cmdline()).kill()


def train(config: Path, budget: int, environment: list[str], seed: int, folder: Path, kill: int | None = None) -> float:
    """Train with published settings, schedules and all, into `folder`; return the seconds it took.

    The run is told to stop, as by Ctrl-C, when a behavior has had its budget of steps.
    """
    command = [
        sys.executable, "-m", "mlagents", str(config), *environment, "--seed", str(seed),
        "--results-dir", str(folder.parent), "--run-id", folder.name, "--force",
    ]  # fmt: skip
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        step = re.search(r"Step: (\d+)\.", line)
        if step and kill is not None and int(step[1]) >= kill:
            kill_a_player(process.pid)
            kill = None
        if step and int(step[1]) >= budget and process.poll() is None:
            process.send_signal(signal.SIGINT)
            break
    process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return time.perf_counter() - start


def read_curve(folder: Path, budget: int) -> Curve:
    """Return the mean reward of an episode over the steps, from the TensorBoard file of a behavior."""
    board = EventAccumulator(str(folder))
    board.Reload()
    return [(event.step, event.value) for event in board.Scalars(REWARD) if event.step <= budget]


def draw(curves: dict[Task, list[Curve]], picture: Path) -> None:
    """Draw one panel per environment, one line per seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure, panels = pyplot.subplots(1, len(curves), figsize=(10, 3.6), layout="constrained")
    for panel, (task, lines) in zip(panels, curves.items(), strict=True):
        for seed, curve in enumerate(lines, 1):
            panel.plot(*zip(*curve, strict=True), label=f"seed {seed}", linewidth=1.6)
        panel.axhline(task.threshold, color="gray", linestyle=":", linewidth=1)
        panel.set(title=task.name, xlabel="steps of all agents", ylabel="mean reward of an episode")
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.legend(frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


def main() -> int:
    """Train, print the table, draw; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--plugin", action="store_true", help="train the trainers of ml-agents-trainer-plugin instead")
    parser.add_argument("--players", type=int, default=0, metavar="N", help="train in so many players of our own")
    parser.add_argument("--kill", type=int, metavar="STEP", help="kill one of the players at this step")
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--picture", type=Path, help="where the curves are drawn")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tasks = PLUGIN_TASKS if flags.plugin else TASKS
        return compare(tasks, flags.seeds, flags.players, flags.kill, flags.results or Path(folder), flags.picture)


def compare(
    tasks: tuple[Task, ...], seeds: list[int], players: int, kill: int | None, results: Path, picture: Path | None
) -> int:
    """Train every task with every seed and print what came of it."""
    print(f"{'environment':12s} {'seed':>4s} {'threshold':>9s} {'reached at':>10s} {'official':>9s} "
          f"{'budget':>8s} {'last':>7s} {'seconds':>7s} {'exported model':>14s}")  # fmt: skip
    missed, curves = 0, {}
    for task in tasks:
        for seed in seeds:
            folder = results / f"{task.name}-{seed}"
            seconds = train(task.config, task.budget, environment(task, players, results), seed, folder, kill)
            curve, model = read_curve(folder / task.name, task.budget), folder / f"{task.name}.onnx"
            curves.setdefault(task, []).append(curve)
            reached = next((step for step, reward in curve if reward >= task.threshold), None)
            played = scores(task.name, unity_policy(model, task.name), task.decisions, seed=100 + seed).mean()
            missed += reached is None or played < task.threshold
            print(f"{task.name:12s} {seed:4d} {task.threshold:9g} {reached or 'never':>10} {task.official:>9s} "
                  f"{task.budget:8d} {curve[-1][1]:7.2f} {seconds:7.1f} {played:14.2f}", flush=True)  # fmt: skip
    if picture is not None:
        draw(curves, picture)
    print("every threshold is reached" if not missed else f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
