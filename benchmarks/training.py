"""How fast does a run train in players, learning included? Ours, and Unity's trainers beside them.

    python benchmarks/training.py [--seconds 25] [--rounds 2] [--scenes 1x12 2x12 1x64 1x256] [--peer MLAGENTS_LEARN]

3DBall with its published settings, in players of our own that stand in for Unity builds: the same ones for both. They
take turns; each run is interrupted after so many seconds, and its steps per second are read off its log from the first
summary on. The median of the rounds is shown. --peer names the `mlagents-learn` of Unity's packages.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlagents_envs.player.executable import make_executable

ROOT = Path(__file__).parents[1]
SCENES = ("1x12", "2x12", "1x64", "1x256")  # players x agents in each
OURS = (sys.executable, "-m", "mlagents")
LINE = re.compile(r"Step: (\d+)\. Time Elapsed: ([\d.]+) s")


def train(command: tuple[str, ...], players: int, agents: int, seconds: float, folder: Path) -> float:
    """Return steps per second between the first and the last summary of a run."""
    flags = ["--env", "builds/3DBall", "--num-envs", str(players), "--run-id", "run", "--force"]
    flags += ["--num-areas", str(agents)] if agents != 12 else []
    process = subprocess.Popen(
        [*command, str(ROOT / "config" / "ppo" / "3DBall.yaml"), *flags], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    seen: list[tuple[int, float]] = []
    asked = False
    for line in process.stdout:
        if found := LINE.search(line):
            seen.append((int(found[1]), float(found[2])))
            if seen[-1][1] - seen[0][1] > seconds and not asked:
                os.kill(process.pid, signal.SIGINT)
                asked = True
    process.wait()
    time.sleep(1)  # ports of the peer
    (first, begin), (last, end) = seen[0], seen[-1]
    return (last - first) / (end - begin)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=25.0, help="of each run, from its first summary on")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scenes", nargs="+", default=SCENES, metavar="PxA", help="players x agents in each")
    parser.add_argument("--peer", help="the mlagents-learn of Unity's own packages")
    flags = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    trainers = {"ours": OURS, **({"official": (flags.peer,)} if flags.peer else {})}
    print(f"{'players':>7s} {'agents':>6s} " + " ".join(f"{name:>10s}" for name in trainers) + f" {'ratio':>6s}")
    with tempfile.TemporaryDirectory() as folder:
        make_executable(Path(folder) / "builds", "3DBall")
        for scene in flags.scenes:
            players, agents = map(int, scene.split("x"))
            speeds: dict[str, list[float]] = {name: [] for name in trainers}
            for _ in range(flags.rounds):
                for name, command in trainers.items():
                    speeds[name].append(train(command, players, agents, flags.seconds, Path(folder)))
            middle = {name: statistics.median(values) for name, values in speeds.items()}
            ratio = f"{middle['ours'] / middle['official']:6.2f}" if flags.peer else ""
            shown = " ".join(f"{middle[name]:10.0f}" for name in trainers)
            print(f"{players:7d} {agents:6d} {shown} {ratio}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
