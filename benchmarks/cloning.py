"""How far does behavioral cloning come that has nothing but Unity's own recordings?

    python benchmarks/cloning.py --demonstrations DIR [--tasks 3DBall PushBlock] [--seeds 1 2 3] [--steps N]

Trains the files of config/bc without an environment, and plays each exported model in the example scene: the first
episode of each of 128 agents. DIR is the folder of Unity's recordings; `recorded` is the mean reward of an episode
there. Ends with status 1 if a threshold is missed, or a run fails.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from learning_tasks import CONFIG, LearningTask

from mlagents_envs.demonstrations.file import read
from mlagents_envs.fidelity.check import scores, unity_policy

THRESHOLDS = {"3DBall": 90.0, "PushBlock": 4.0}  # mean reward that every seed must reach; of others nothing is asked
FIT = re.compile(r": loss (-?\S+?)(?:, held-out loss (-?\S+) at step .* kept)?, after ([\d,]+) steps")
COLUMNS = (
    "scene", "records", "episodes", "recorded", "seed", "steps", "seconds", "loss", "held-out loss", "played",
    "threshold",
)  # fmt: skip


@dataclass(frozen=True)
class Clone:
    """What came of a run."""

    steps: int  # rows that gradients saw
    loss: float
    held_out: str  # smallest held-out loss, - if nothing is held out
    seconds: float
    model: Path


def tasks(names: list[str] | None) -> list[LearningTask]:
    """Return a task for each file of config/bc, of these names if there are any."""
    files = [file for file in sorted((CONFIG / "bc").glob("*.yaml")) if names is None or file.stem in names]
    return [LearningTask(file.stem, file, 0, THRESHOLDS.get(file.stem), "bc") for file in files]


def clone(config: Path, name: str, seed: int, folder: Path) -> Clone:
    """Train without an environment; raises SystemExit with what was printed if that fails."""
    command = [sys.executable, "-m", "mlagents", str(config), "--seed", str(seed), "--run-id", folder.name,
               "--results-dir", str(folder.parent), "--force"]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    fit = FIT.search(done.stdout)
    if done.returncode or fit is None:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}\n{done.stdout}{done.stderr}")
    seconds = time.perf_counter() - start
    return Clone(int(fit[3].replace(",", "")), float(fit[1]), fit[2] or "-", seconds, folder / f"{name}.onnx")


def recorded(config: Path, name: str) -> tuple[int, int, float]:
    """Return how many records and episodes a task's recording has, and the mean reward of an episode."""
    sources = yaml.safe_load(config.read_text(encoding="utf-8"))["behaviors"][name]["demonstrations"]["sources"]
    shown = read(sources[0]["file"], align=sources[0].get("align", "auto"))
    return len(shown), shown.episodes, float(shown.reward.sum()) / shown.episodes


def settings_of(task: LearningTask, folder: Path, demonstrations: Path, steps: int | None) -> Path:
    """Return a copy of a task's settings that names the recordings where they are; steps: instead of its own."""
    settings = yaml.safe_load(task.write_settings(folder, demonstrations).read_text(encoding="utf-8"))
    if steps is not None:
        settings["behaviors"][task.name]["max_steps"] = steps
    (config := folder / f"{task.name}-cloned.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def show(cells: Iterable[object]) -> None:
    """Print a row of the table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> int:
    """Train, play, and print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demonstrations", type=Path, required=True, metavar="DIR", help="Unity's recordings")
    parser.add_argument("--tasks", nargs="+", metavar="NAME", help="only these scenes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, metavar="N", help="instead of each file's max_steps")
    flags = parser.parse_args()
    missed = 0
    show(COLUMNS)
    show("---" for _ in COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks(flags.tasks):
            config = settings_of(task, Path(folder), flags.demonstrations, flags.steps)
            records, episodes, reward = recorded(config, task.name)
            for seed in flags.seeds:
                made = clone(config, task.name, seed, Path(folder) / f"{task.name}-{seed}")
                player = unity_policy(made.model, task.name)
                played = float(scores(task.name, player, task.decisions, seed=100 + seed).mean())
                missed += task.threshold is not None and played < task.threshold
                show((
                    task.name, records, episodes, f"{reward:.2f}", seed, made.steps, f"{made.seconds:.0f}",
                    f"{made.loss:.3f}", made.held_out, f"{played:.2f}", task.threshold or "-",
                ))  # fmt: skip
    print("every threshold is reached" if not missed else f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
