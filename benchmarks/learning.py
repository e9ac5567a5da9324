"""Does PPO learn the example environments with Unity's published settings? Seeds, steps, seconds, and a picture.

    python benchmarks/learning.py [--seeds 1 2 3] [--sac | --plugin] [--places process kept renewed official]
                                  [--tasks 3DBall Basic PushBlock] [--players N [--kill STEP]] [--peer MLAGENTS_LEARN]
                                  [--budget STEPS] [--results DIR] [--picture docs/learning-curves.png]

Trains each environment for its budget of steps through `mlagents-learn`, reads the curves that it wrote, and plays the
exported model through onnxruntime. Places: `process` trains in this process' own environment, `kept` in players of our
own as if they were Unity builds, whose agents keep their ids over episodes as Unity's do, `renewed` in players that
give a new id to each episode, and `official` in the first kind of players with the trainers that --peer names, the
`mlagents-learn` of Unity's packages. With --kill, a player is killed at that step.
Ends with status 1 if a threshold is missed by ours.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents_envs.fidelity.check import scores, unity_policy
from mlagents_envs.player.executable import make_executable

ROOT = Path(__file__).parents[1]
REWARD = "Environment/Cumulative Reward"
OURS = (sys.executable, "-m", "mlagents")
PLACES = ("process", "kept", "renewed", "official")
STYLES = dict(zip(PLACES, ("-", "--", ":", "-."), strict=True))


@dataclass(frozen=True)
class LearningTask:
    """An environment, what must be reached, and within how many steps."""

    name: str
    threshold: float
    budget: int  # steps
    official: str  # steps that the official trainer needed
    decisions: int  # enough for every episode to end when the model is played
    config: Path
    trainer: str = "ppo"
    plugin: Path | None = None  # a file of trainers

    @property
    def title(self) -> str:
        """The environment, and the trainer where it is not PPO."""
        return self.name if self.trainer == "ppo" else f"{self.name}/{self.trainer}"


TASKS = (
    LearningTask("3DBall", 95.0, 300_000, "96k-108k", 1001, ROOT / "config" / "ppo" / "3DBall.yaml"),
    LearningTask("Basic", 0.92, 30_000, "18k", 200, ROOT / "config" / "ppo" / "Basic.yaml"),
    LearningTask("PushBlock", 4.0, 600_000, "-", 1001, ROOT / "config" / "ppo" / "PushBlock.yaml"),
)
SAC_TASKS = (
    LearningTask("3DBall", 95.0, 200_000, "-", 1001, ROOT / "config" / "sac" / "3DBall.yaml", "sac"),
    LearningTask("Basic", 0.9, 24_000, "-", 200, ROOT / "config" / "sac" / "Basic.yaml", "sac"),
)
PLUGIN = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin"
AUTHORS = ROOT / "ml-agents" / "tests" / "authors"  # trainers in a file of their own
PLUGIN_TASKS = (
    LearningTask("3DBall", 90.0, 500_000, "-", 1001, PLUGIN / "a2c" / "a2c_3DBall.yaml", "a2c"),
    LearningTask("Basic", 0.9, 12_000, "-", 200, PLUGIN / "dqn" / "dqn_basic.yaml", "dqn"),
    LearningTask("3DBall", 95.0, 100_000, "-", 1001, AUTHORS / "tanh_sac.yaml", "tanh-sac", AUTHORS / "tanh_sac.py"),
)
Curve = list[tuple[int, float]]


def environment(task: LearningTask, place: str, players: int, results: Path) -> list[str]:
    """Return the flags that name the environment."""
    if place == "process":
        return ["--env", f"builtin:{task.name}"]
    renewed = place == "renewed"
    folder = results / ("renewed" if renewed else "kept")
    make_executable(folder, task.name, arguments=["--renew-ids"] if renewed else [])
    return ["--env", str(folder / task.name), "--num-envs", str(players)]


def chosen(tasks: Sequence[LearningTask], names: Sequence[str] | None) -> list[LearningTask]:
    """Return the tasks whose environments, or trainers, are named; all without names."""
    return [task for task in tasks if names is None or {task.name, task.trainer, task.title} & set(names)]


def kill_a_player(trainer: int) -> None:
    """Kill the first player of a run, as a crash would."""
    family = psutil.Process(trainer).children(recursive=True)
    next(one for one in family if "mlagents_envs.player.serve" in one.cmdline()).kill()


def train(
    config: Path, budget: int, environment: list[str], seed: int, folder: Path, kill: int | None = None,
    trainer: tuple[str, ...] = OURS,
) -> float:  # fmt: skip
    """Train with published settings, schedules and all, into `folder`; return the seconds it took.

    The run is interrupted, as by Ctrl-C, when a behavior has had its budget of steps.
    """
    command = [
        *trainer, str(config), *environment, "--seed", str(seed),
        "--results-dir", str(folder.parent), "--run-id", folder.name, "--force",
    ]  # fmt: skip
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
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


def draw(curves: dict[LearningTask, dict[str, list[Curve]]], picture: Path) -> None:
    """Draw one panel per environment, one color per seed, and one kind of line per place."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure, panels = pyplot.subplots(1, len(curves), figsize=(10, 3.6), layout="constrained", squeeze=False)
    for panel, (task, places) in zip(panels[0], curves.items(), strict=True):
        for place, lines in places.items():
            for seed, curve in enumerate(lines, 1):
                label = f"seed {seed}" + (f", {place}" if len(places) > 1 else "")
                look = {"color": f"C{seed - 1}", "linewidth": 1.6, "alpha": 0.8}
                panel.plot(*zip(*curve, strict=True), STYLES[place], label=label, **look)
        panel.axhline(task.threshold, color="gray", linestyle=":", linewidth=1)
        panel.set(title=task.title, xlabel="steps of all agents", ylabel="mean reward of an episode")
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.legend(frameon=False, fontsize="small")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


def main() -> int:
    """Train, print the table, draw; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--plugin", action="store_true", help="train A2C, DQN and a SAC in a file instead of PPO")
    others.add_argument("--sac", action="store_true", help="train SAC instead of PPO")
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="only these environments or trainers")
    parser.add_argument("--places", nargs="+", choices=PLACES, help="where to train (default: process)")
    parser.add_argument("--players", type=int, metavar="N", help="of our own, at once; alone: --places kept")
    parser.add_argument("--kill", type=int, metavar="STEP", help="kill one of the players at this step")
    parser.add_argument("--peer", help="the mlagents-learn of Unity's own packages, for --places official")
    parser.add_argument("--budget", type=int, metavar="STEPS", help="instead of each environment's own")
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--picture", type=Path, help="where the curves are drawn")
    flags = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin deaf to it
    flags.places = flags.places or (["kept"] if flags.players else ["process"])
    if "official" in flags.places and not flags.peer:
        parser.error("--places official needs --peer, the mlagents-learn of Unity's own packages")
    tasks = chosen(PLUGIN_TASKS if flags.plugin else SAC_TASKS if flags.sac else TASKS, flags.tasks)
    if flags.budget:
        tasks = [replace(task, budget=flags.budget) for task in tasks]
    with tempfile.TemporaryDirectory() as folder:
        return compare(tasks, flags, flags.results or Path(folder))


def compare(tasks: list[LearningTask], flags: argparse.Namespace, results: Path) -> int:
    """Train every task with every seed in every place and print what came of it."""
    print(f"{'environment':15s} {'place':>8s} {'seed':>4s} {'threshold':>9s} {'reached at':>10s} {'official':>9s} "
          f"{'budget':>8s} {'last':>7s} {'seconds':>7s} {'exported model':>14s}")  # fmt: skip
    missed: int = 0
    curves: dict[LearningTask, dict[str, list[Curve]]] = {}
    for task in tasks:
        for place, seed in itertools.product(flags.places, flags.seeds):
            folder = results / f"{task.title.replace('/', '-')}-{place}-{seed}"
            trainer = (flags.peer,) if place == "official" else OURS
            env = environment(task, place, flags.players or 1, results)
            env += ["--plugin", str(task.plugin)] if task.plugin else []
            seconds = train(task.config, task.budget, env, seed, folder, flags.kill, trainer)
            curve, model = read_curve(folder / task.name, task.budget), folder / f"{task.name}.onnx"
            curves.setdefault(task, {}).setdefault(place, []).append(curve)
            reached = next((step for step, reward in curve if reward >= task.threshold), None)
            played = scores(task.name, unity_policy(model, task.name), task.decisions, seed=100 + seed).mean()
            if place != "official":
                missed += reached is None or played < task.threshold
            print(f"{task.title:15s} {place:>8s} {seed:4d} {task.threshold:9g} {reached or 'never':>10} "
                  f"{task.official:>9s} {task.budget:8d} {curve[-1][1]:7.2f} {seconds:7.1f} {played:14.2f}",
                  flush=True)  # fmt: skip
        if len(flags.places) > 1:
            print(f"{task.name}: curves of {', '.join(curves[task])} are {agreement(curves[task])}", flush=True)
    if flags.picture is not None:
        draw(curves, flags.picture)
    print("every threshold is reached" if not missed else f"{missed} missed")
    return 1 if missed else 0


def agreement(places: dict[str, list[Curve]]) -> str:
    """Return how far curves of the same seeds are apart in our places."""
    ours = [lines for place, lines in places.items() if place != "official"]
    if all(lines == ours[0] for lines in ours):
        return "the same, point by point"
    pairs = [zip(one, other, strict=False) for lines in ours[1:] for one, other in zip(ours[0], lines, strict=True)]
    return f"apart by up to {max(abs(a[1] - b[1]) for pair in pairs for a, b in pair):.3g}"


if __name__ == "__main__":
    raise SystemExit(main())
