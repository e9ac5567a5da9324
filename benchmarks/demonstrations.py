"""Do demonstrations in line save steps? DQN on Basic alone, with a recording, and with one made while the run is on.

    python benchmarks/demonstrations.py --demo ExpertBasic.demo [--seeds 1 2 3 4 5] [--picture docs/demonstrations.png]

Every run has the settings of `dqn_basic.yaml`, but learns from its first batch on, and keeps a model each 25 steps.
Each model then plays greedily through onnxruntime, so that exploration does not hide what was learnt. Ends with status
1 if demonstrations do not save steps in the mean over the seeds, or if their share of the batches is not the ratio.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from statistics import mean

import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents_envs.demonstration import Demonstration, read
from mlagents_envs.examples.check import scores, unity_policy
from mlagents_envs.recording import DemonstrationRecorder

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin" / "dqn" / "dqn_basic.yaml"
WAYS = ("alone", "file", "live")
STEPS, EVERY = 2000, 25  # of a run, and between the models that are kept
THRESHOLD = 0.9
RATIO = 0.5
RECORDS_PER_SECOND = 100  # of the recording that is made while the run is on
Curve = list[tuple[int, float]]  # steps, and the score of the model that was kept there


def configuration(folder: Path, way: str, demo: Path) -> Path:
    """Write what a run is to do and return the file."""
    options = yaml.safe_load(CONFIG.read_text())
    basic = options["behaviors"]["Basic"]
    basic.update(max_steps=STEPS, checkpoint_interval=EVERY, keep_checkpoints=0, summary_freq=EVERY)
    basic["hyperparameters"]["buffer_init_steps"] = 0  # else all that is learnt in the first 500 steps is hidden
    if way != "alone":
        basic["demonstrations"] = {"sources": [{way: str(demo)}], "ratio": RATIO}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{way}.yaml"
    file.write_text(yaml.safe_dump(options))
    return file


def play(shown: Demonstration, file: Path, stop: threading.Event) -> None:
    """Make a recording at a steady pace, as a player would, with what is recorded in another."""
    with DemonstrationRecorder(file, shown.behavior, shown.spec) as recorder:
        for row in range(len(shown)):
            if stop.wait(1 / RECORDS_PER_SECOND):
                return
            recorder.record(
                [column[row] for column in shown.obs], float(shown.reward[row]), shown.action.continuous[row],
                shown.action.discrete[row], mask=shown.mask[row], done=bool(shown.done[row]),
            )  # fmt: skip


def train(folder: Path, way: str, demo: Path, seed: int) -> Path:
    """Train once and return the folder of the run; a live recording begins when training does."""
    live = folder / f"player-{seed}.demo"
    file = configuration(folder, way, live if way == "live" else demo)
    command = [
        sys.executable, "-m", "mlagents", str(file), "--env", "builtin:Basic", "--seed", str(seed),
        "--results-dir", str(folder), "--run-id", f"{way}-{seed}", "--force",
    ]  # fmt: skip
    stop, player = threading.Event(), None
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if way == "live" and player is None and "Hyperparameters" in line:
            player = threading.Thread(target=play, args=(read(demo), live, stop))
            player.start()
    stop.set()
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return folder / f"{way}-{seed}"


def curve_of(run: Path) -> Curve:
    """Play every model that a run kept."""
    models = {int(re.split(r"[-.]", file.name)[1]): file for file in (run / "Basic").glob("Basic-*.onnx")}
    policies = ((step, unity_policy(models[step], "Basic")) for step in sorted(models))
    return [(step, float(scores("Basic", policy, 200, seed=0).mean())) for step, policy in policies]


def reached(curve: Curve) -> tuple[int, int]:
    """Return the steps until the threshold is first reached, and until it is reached and kept; never is twice a run."""
    first = next((step for step, score in curve if score >= THRESHOLD), 2 * STEPS)
    below = [i for i, (_, score) in enumerate(curve) if score < THRESHOLD]
    after = below[-1] + 1 if below else 0
    return first, curve[after][0] if after < len(curve) else 2 * STEPS


def wrong_shares(run: Path) -> list[float]:
    """Return the shares of demonstrations that are not the ratio, after the first rows had come."""
    board = EventAccumulator(str(run / "Basic"))
    board.Reload()
    shares = [event.value for event in board.Scalars("Replay/Demonstration Share")]
    while shares and shares[0] != RATIO and run.name.startswith("live"):  # the player had not begun, or just did
        shares.pop(0)
    return [share for share in shares if share != RATIO] if shares else [0.0]


def draw(curves: dict[str, list[Curve]], picture: Path) -> None:
    """Draw the mean of each way, and a line per seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7, 3.8), layout="constrained")
    names = {"alone": "without", "file": "with a recording", "live": "with a recording made meanwhile"}
    for color, (way, lines) in zip(("#888888", "#2f6feb", "#d9730d"), curves.items(), strict=True):
        for line in lines:
            panel.plot(*zip(*line, strict=True), color=color, linewidth=0.7, alpha=0.45)
        steps = sorted(set.intersection(*({step for step, _ in line} for line in lines)))
        middle = [mean(dict(line)[step] for line in lines) for step in steps]
        panel.plot(steps, middle, color=color, linewidth=2.2, label=f"{names[way]}, mean of {len(lines)}")
    panel.axhline(THRESHOLD, color="gray", linestyle=":", linewidth=1)
    panel.set(title="DQN on Basic", xlabel="steps", ylabel="reward of the greedy policy")
    panel.legend(frameon=False, loc="lower right")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


def main() -> int:
    """Train, print the table, draw; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, required=True, help="Unity's recording of Basic")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--picture", type=Path, help="where the curves are drawn")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return compare(flags.results or Path(folder), flags.demo.absolute(), flags.seeds, flags.picture)


def compare(results: Path, demo: Path, seeds: list[int], picture: Path | None) -> int:
    """Train every seed in every way, interleaved, and print what came of it."""
    curves: dict[str, list[Curve]] = {way: [] for way in WAYS}
    steps: dict[str, list[tuple[int, int]]] = {way: [] for way in WAYS}
    wrong = 0
    print(f"steps until the greedy policy first scores {THRESHOLD} / and keeps it; models each {EVERY} steps\n"
          f"{'seed':>4s}" + "".join(f"{way:>14s}" for way in WAYS))  # fmt: skip
    for seed in seeds:
        for way in WAYS:
            run = train(results, way, demo, seed)
            curves[way].append(curve_of(run))
            steps[way].append(reached(curves[way][-1]))
            wrong += way != "alone" and bool(wrong_shares(run))
        print(f"{seed:4d}" + "".join("{:7d} /{:5d}".format(*steps[way][-1]) for way in WAYS), flush=True)
    means = {way: [mean(column) for column in zip(*steps[way], strict=True)] for way in WAYS}
    print("mean" + "".join("{:7.0f} /{:5.0f}".format(*means[way]) for way in WAYS))
    if picture is not None:
        draw(curves, picture)
    slower = [
        way for way in WAYS[1:] if any(with_ >= alone for with_, alone in zip(means[way], means["alone"], strict=True))
    ]
    print(f"share of demonstrations in batches: {'not always ' if wrong else ''}{RATIO}")
    print("demonstrations save steps" if not slower else f"no steps are saved with {' and '.join(slower)}")
    return 1 if slower or wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
