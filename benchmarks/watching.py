"""The cost of --watch: the same run without it, with it, and with an open page.

    python benchmarks/watching.py [--rounds 8] [--steps 200000] [--env 3DBall]

The three take turns. Seconds, of the clock and of the trainer's process, are those between its first summary and its
last. A thread asks for frames as the page does. Printed are the medians, over the rounds, of the ratios to the run
without --watch, and the quartiles.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import yaml

ROOT = Path(__file__).parents[1]
SUMMARIES = 20  # of a run
ADDRESS = re.compile(r"Watch at http://127\.0\.0\.1:(\d+)/")
WAYS = {"not watched": ((), False), "no page open": (("--watch",), False), "a page is open": (("--watch",), True)}


def look(port: int, frames: list[int]) -> None:
    """Ask for frame after frame until the server is gone, and note their sizes."""
    line, number = http.client.HTTPConnection("127.0.0.1", port), "0"
    with suppress(OSError, http.client.HTTPException):
        while True:
            line.request("GET", f"/frame?after={number}")
            answer = line.getresponse()
            frame = answer.read()
            if answer.status == 410:
                return
            if answer.status == 200:
                number = answer.getheader("Frame", "0")
                frames.append(len(frame))


class Measurement(NamedTuple):
    """One run, between its first summary and its last."""

    cpu: float  # seconds of the trainer's process
    clock: float  # seconds
    frames: list[int]  # sizes of the frames that were sent, bytes


def train(flags: Sequence[str], env: str, watched: bool, folder: Path) -> Measurement:
    """Train once and measure; watched: a page asks for frames."""
    command = [sys.executable, "-m", "mlagents", "run.yaml", "--env", f"builtin:{env}", "--run-id", "run", "--force"]
    process = subprocess.Popen(
        [*command, *flags], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "BROWSER": "true"},
    )  # fmt: skip
    assert process.stdout is not None
    trainer, frames = psutil.Process(process.pid), list[int]()
    seen: list[tuple[float, float]] = []
    for line in process.stdout:
        if watched and (found := ADDRESS.search(line)):
            threading.Thread(target=look, args=(int(found[1]), frames), daemon=True).start()
        if "Time Elapsed" in line:
            seen.append((sum(trainer.cpu_times()[:2]), time.perf_counter()))
    assert process.wait() == 0
    (cpu, clock), (last_cpu, last_clock) = seen[0], seen[-1]
    return Measurement(last_cpu - cpu, last_clock - clock, frames)


def shown(ratios: list[float]) -> str:
    """Return the median and the middle half."""
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200_000, help="of each run")
    parser.add_argument("--env", default="3DBall", help="an example environment")
    flags = parser.parse_args()
    measured: dict[str, list[Measurement]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        options = yaml.safe_load((ROOT / "config" / "ppo" / f"{flags.env}.yaml").read_text(encoding="utf-8"))
        for behavior in options["behaviors"].values():
            behavior |= {"max_steps": flags.steps, "summary_freq": flags.steps // SUMMARIES}
        (Path(folder) / "run.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
        for _ in range(flags.rounds):
            for way, (more, watched) in WAYS.items():
                measured[way].append(train(more, flags.env, watched, Path(folder)))
    print(f"{'':16s} {'processor':>22s} {'clock':>22s} {'s':>6s} {'frames/s':>9s} {'kB each':>8s}")
    for way, runs in measured.items():
        pairs = list(zip(runs, measured["not watched"], strict=True))
        cpu, wall = [run.cpu / alone.cpu for run, alone in pairs], [run.clock / alone.clock for run, alone in pairs]
        frames = [size for run in runs for size in run.frames]
        clock = sum(run.clock for run in runs)
        size = np.mean(frames) / 1e3 if frames else 0
        columns = f"{shown(cpu):>22s} {shown(wall):>22s}"
        print(f"{way:16s} {columns} {clock / len(runs):6.1f} {len(frames) / clock:9.1f} {size:8.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
