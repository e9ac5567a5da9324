"""Do the trainers learn the example environments with Unity's published settings? Seeds, steps, seconds, a picture.

    python benchmarks/learning.py [--groups ppo sac plugin memory ... | --all] [--tasks 3DBall Basic ...]
                                  [--seeds 1 2 3] [--places process kept renewed official]
                                  [--players N [--kill STEP]] [--peer MLAGENTS_LEARN] [--budget STEPS]
                                  [--demonstrations DIR] [--results DIR] [--keep docs/results] [--picture FILE.png]

Trains each environment for its budget of steps through `mlagents-learn`, reads the curves that it wrote, and plays the
exported model through onnxruntime. Places: `process` trains in this process' own environment, `kept` in players of our
own as if they were Unity builds, whose agents keep their ids over episodes as Unity's do, `renewed` in players that
give a new id to each episode, and `official` in the first kind of players with the trainers that --peer names, the
`mlagents-learn` of Unity's packages. With --kill, a player is killed at that step. Runs that --results already has are
read, not repeated, so a long table can be made in several sittings.
Ends with status 1 if a threshold is missed by ours.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
from learning_results import HEADER, STYLES, Curve, Result, draw, keep, row
from learning_tasks import ROOT, TASKS, LearningTask, chosen
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents_envs.fidelity.check import scores, unity_policy
from mlagents_envs.player.executable import make_executable

__all__ = ["ROOT", "Curve", "read_curve", "train"]
REWARD, GROUP_REWARD = "Environment/Cumulative Reward", "Environment/Group Cumulative Reward"
OURS = (sys.executable, "-m", "mlagents")
PLACES = tuple(STYLES)


def environment(task: LearningTask, place: str, players: int, results: Path) -> list[str]:
    """Return the flags that name the environment."""
    if place == "process":
        return ["--env", f"builtin:{task.name}"]
    renewed = place == "renewed"
    folder = results / ("renewed" if renewed else "kept")
    make_executable(folder, task.name, arguments=["--renew-ids"] if renewed else [])
    return ["--env", str(folder / task.name), "--num-envs", str(players)]


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
    """Return the mean reward of an episode over the steps, of groups if there are any, from a behavior's events."""
    board = EventAccumulator(str(folder))
    board.Reload()
    tag = GROUP_REWARD if GROUP_REWARD in board.Tags()["scalars"] else REWARD
    return [(event.step, event.value) for event in board.Scalars(tag) if event.step <= budget]


def play(task: LearningTask, folder: Path, seed: int) -> float:
    """Return the mean return of the model that a run exported; not a number if it exported none."""
    model = folder / f"{task.name}.onnx"
    if not model.exists():
        return math.nan
    policy = unity_policy(model, task.name)
    return float(scores(task.name, policy, task.decisions, seed=100 + seed, areas=task.areas).mean())


def learn(task: LearningTask, place: str, seed: int, flags: argparse.Namespace, results: Path) -> Result:
    """Train a task, or read the run of it that is there, and play its model."""
    folder = results / f"{task.file}-{place}-{seed}"
    seconds = math.nan
    if not (folder / f"{task.name}.onnx").exists():
        config = task.write_settings(results / "settings", flags.demonstrations)
        env = environment(task, place, flags.players or 1, results)
        env += ["--plugin", str(task.plugin)] if task.plugin else []
        trainer = (flags.peer,) if place == "official" else OURS
        seconds = train(config, task.budget, env, seed, folder, flags.kill, trainer)
    curve = read_curve(folder / task.name, task.budget)
    return Result(task.title, place, seed, task.budget, seconds, curve, play(task, folder, seed))


def main() -> int:
    """Train, print the table, draw; return the exit status."""
    groups = list(dict.fromkeys(task.group for task in TASKS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--groups", nargs="+", choices=groups, default=["ppo"], help="what to train (default: ppo)")
    parser.add_argument("--all", action="store_const", dest="groups", const=groups, help="train all groups")
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="only these environments or variants")
    parser.add_argument("--places", nargs="+", choices=PLACES, help="where to train (default: process)")
    parser.add_argument("--players", type=int, metavar="N", help="of our own, at once; alone: --places kept")
    parser.add_argument("--kill", type=int, metavar="STEP", help="kill one of the players at this step")
    parser.add_argument("--peer", help="the mlagents-learn of Unity's own packages, for --places official")
    parser.add_argument("--budget", type=int, metavar="STEPS", help="instead of each environment's own")
    parser.add_argument("--demonstrations", type=Path, metavar="DIR", help="Unity's recordings, ExpertPyramid.demo ...")
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where curves and scores are kept")
    parser.add_argument("--picture", type=Path, help="where the curves are drawn")
    flags = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin deaf to it
    flags.places = flags.places or (["kept"] if flags.players else ["process"])
    if "official" in flags.places and not flags.peer:
        parser.error("--places official needs --peer, the mlagents-learn of Unity's own packages")
    tasks = chosen(flags.groups, flags.tasks)
    if flags.budget:
        tasks = [replace(task, budget=flags.budget) for task in tasks]
    with tempfile.TemporaryDirectory() as folder:
        return compare(tasks, flags, flags.results or Path(folder))


def compare(tasks: list[LearningTask], flags: argparse.Namespace, results: Path) -> int:
    """Train every task with every seed in every place and print what came of it."""
    print(HEADER)
    missed = 0
    runs: list[tuple[LearningTask, list[Result]]] = []
    for task in tasks:
        runs.append((task, []))
        for place, seed in itertools.product(flags.places, flags.seeds):
            result = learn(task, place, seed, flags, results)
            runs[-1][1].append(result)
            missed += place != "official" and result.missed(task)
            print(row(task, result), flush=True)
            if flags.keep is not None:
                keep([result], flags.keep)
        if len(flags.places) > 1:
            print(f"{task.title}: curves of {', '.join(flags.places)} are {agreement(runs[-1][1])}", flush=True)
    if flags.picture is not None:
        draw(runs, flags.picture)
    print("every threshold is reached" if not missed else f"{missed} missed")
    return 1 if missed else 0


def agreement(results: list[Result]) -> str:
    """Return how far curves of the same seeds are apart in our places."""
    places: dict[str, list[Curve]] = {}
    for result in results:
        if result.place != "official":
            places.setdefault(result.place, []).append(result.curve)
    first, *others = places.values()
    if all(curves == first for curves in others):
        return "the same, point by point"
    pairs = [zip(one, other, strict=False) for curves in others for one, other in zip(first, curves, strict=True)]
    return f"apart by up to {max(abs(a[1] - b[1]) for pair in pairs for a, b in pair):.3g}"


if __name__ == "__main__":
    raise SystemExit(main())
