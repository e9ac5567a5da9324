"""Does every file of settings in config/ run? Each one for some steps, with its warnings.

    python benchmarks/configs.py [--steps 20000] [--demonstrations DIR] [FILE.yaml ...]

A file is trained in the example scene that it is named after. Without --demonstrations, the folder of Unity's
recordings, files that need one are left out. Ends with status 1 if a run fails, or warns of anything.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from learning_tasks import CONFIG, UNITY_DEMOS, find_recordings

from mlagents_envs.examples.catalog import NAMES

ENVIRONMENTS = {"CartPole": "gym:CartPole-v1", "PyramidsRND": "builtin:Pyramids"}  # of files with another name
WARNING = re.compile(r"\[WARNING\] (.*)")


@dataclass(frozen=True)
class Attempt:
    """What became of a file."""

    status: int
    steps: int
    seconds: float
    warnings: list[str]
    last: str  # line that was printed


def environment(file: Path) -> str | None:
    """Return what `--env` names for a file of settings; None if there is no such scene."""
    name = file.stem.split("_")[0]
    return ENVIRONMENTS.get(name) or (f"builtin:{name}" if name in NAMES else None)


def shortened(file: Path, steps: int, demonstrations: Path | None, folder: Path) -> Path | None:
    """Return a copy of the settings that ends after `steps` of each behavior; None if it needs recordings."""
    text = file.read_text(encoding="utf-8")
    if UNITY_DEMOS in text and demonstrations is None:
        return None
    settings: dict[str, Any] = yaml.safe_load(text)
    for behavior in (settings.setdefault("default_settings", {}), *settings["behaviors"].values()):
        behavior["max_steps"] = steps
        behavior["summary_freq"] = max(steps // 4, 1)
        find_recordings(behavior, demonstrations)
    (copied := folder / f"{file.parent.name}-{file.name}").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return copied


def attempt(config: Path, env: str, folder: Path) -> Attempt:
    """Train a file to its end."""
    command = [sys.executable, "-m", "mlagents", str(config), "--env", env, "--seed", "1",
               "--results-dir", str(folder / "results"), "--run-id", config.stem, "--force"]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    printed = done.stdout + done.stderr
    steps = [int(step) for step in re.findall(r"Step: (\d+)\.", printed)]
    lines = [line for line in printed.splitlines() if line.strip()]
    return Attempt(
        done.returncode, max(steps, default=0), time.perf_counter() - start,
        list(dict.fromkeys(WARNING.findall(printed))), lines[-1] if lines else "",
    )  # fmt: skip


def main() -> int:
    """Run the files, print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.yaml", help="instead of all in config/")
    parser.add_argument("--steps", type=int, default=20_000, help="of each behavior")
    parser.add_argument("--demonstrations", type=Path, metavar="DIR", help="Unity's recordings")
    flags = parser.parse_args()
    wrong = 0
    print("| settings | environment | status | steps | seconds | warnings |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for file in flags.files or sorted(CONFIG.glob("*/*.yaml")):
            env = environment(file)
            config = shortened(file, flags.steps, flags.demonstrations, Path(folder)) if env else None
            title = f"{file.parent.name}/{file.name}"
            if env is None or config is None:
                why = "there is no such scene" if env is None else "it needs recordings, --demonstrations"
                print(f"| {title} | {env or '-'} | left out | - | - | {why} |", flush=True)
                continue
            came = attempt(config, env, Path(folder))
            wrong += came.status != 0 or bool(came.warnings)
            words = "; ".join(came.warnings) or ("-" if came.status == 0 else came.last)
            print(f"| {title} | {env} | {came.status} | {came.steps} | {came.seconds:.0f} | {words} |", flush=True)
    print("every file runs without a warning" if not wrong else f"{wrong} fail or warn")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
