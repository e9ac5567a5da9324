"""Do demonstrations save steps, and does the alignment of actions and observations matter? DQN on two scenes.

    python benchmarks/demonstrations.py --demo ExpertBasic.demo [--seeds 1 2 3 4 5] [--picture docs/demonstrations.png]
    python benchmarks/demonstrations.py --scene PushBlock --demo ExpertPushBlock.demo
        [--picture docs/demonstrations-pairing.png] [--table benchmarks/curves/demonstrations-PushBlock.csv]

Basic is trained without demonstrations, with a recording, and with one that is recorded during the run. PushBlock is
trained without, with a recording as Unity records, and with the same one read with `align: old`; and by imitation only,
with both alignments. Every model that a run keeps is evaluated greedily through onnxruntime.

Ends with status 1 if demonstrations do not save steps on Basic in the mean over the seeds, if the right pairing is not
the better one on PushBlock, or if the share of demonstrations in the batches is not the ratio.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents_envs.demonstrations.file import Demonstration, read
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.fidelity.check import scores, unity_policy

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin" / "dqn" / "dqn_basic.yaml"
RATIO = 0.5
RECORDS_PER_SECOND = 100  # of the recording that is made while the run is on
LAST = 5  # models whose mean is a run's final score
AT_A_TICK = 100  # gradient steps that imitate, between two looks at the environment
Curve = list[tuple[int, float]]  # steps, and the score of the model that was kept there


@dataclass(frozen=True)
class Way:
    """How a scene is learned: with which words about its source of demonstrations, or without any."""

    label: str
    source: Mapping[str, str] | None = None  # beside the path, which is put where it says DEMO


@dataclass(frozen=True)
class Setup:
    """An example, how it is learned, and how models are scored. The first way is without demonstrations."""

    ways: Mapping[str, Way]
    settings: Mapping[str, Any]  # of the behavior
    steps: int  # of a run
    every: int  # steps between the models that are kept
    threshold: float
    areas: int  # in which a model plays
    decisions: int  # until every episode has ended
    imitation: int = 0  # gradient steps of runs that only imitate
    imitated: Mapping[str, str] = field(default_factory=dict)  # a way that only imitates -> whose source it has
    agents: int = 1  # of the example as it is trained
    better: Mapping[str, str] = field(default_factory=dict)  # a way -> one that must score less at the end


BASIC = yaml.safe_load(CONFIG.read_text())["behaviors"]["Basic"]
BASIC["hyperparameters"]["buffer_init_steps"] = 0  # else all that is learned in the first 500 steps is hidden
PUSHBLOCK = {
    "trainer_type": "dqn",
    "hyperparameters": {
        "batch_size": 64, "buffer_size": 100_000, "buffer_init_steps": 1000, "steps_per_update": 4,
        "learning_rate": 5.0e-4, "n_step": 3, "tau": 0.005, "exploration_initial_eps": 0.5,
        "exploration_final_eps": 0.05, "exploration_steps": 20_000,
    },
    "network_settings": {"hidden_units": 128, "num_layers": 2},
    "reward_signals": {"extrinsic": {"gamma": 0.99, "strength": 1.0}},
}  # fmt: skip
SCENES = {
    "Basic": Setup(
        {
            "alone": Way("without"),
            "file": Way("with a recording", {"file": "DEMO"}),
            "live": Way("with a recording made meanwhile", {"live": "DEMO"}),
        },
        BASIC, steps=2000, every=25, threshold=0.9, areas=128, decisions=200,
    ),
    "PushBlock": Setup(
        {
            "alone": Way("without"),
            "unity": Way("each action with what it was taken from", {"file": "DEMO", "align": "unity"}),
            "old": Way("each action a record too late", {"file": "DEMO", "align": "old"}),
        },
        PUSHBLOCK, steps=60_000, every=2000, threshold=4.5, areas=64, decisions=1001,
        imitation=2000, imitated={"only unity": "unity", "only old": "old"}, agents=32,
        better={"unity": "old", "only unity": "only old"},
    ),
}  # fmt: skip


def configuration(folder: Path, name: str, scene: Setup, way: str, demo: Path) -> Path:
    """Write what a run is to do and return the file."""
    settings = yaml.safe_load(yaml.safe_dump(dict(scene.settings)))
    settings.update(
        max_steps=scene.steps, checkpoint_interval=scene.every, keep_checkpoints=0, summary_freq=scene.every
    )
    source = scene.ways[scene.imitated.get(way, way)].source
    if source is not None:
        words = {key: str(demo) if value == "DEMO" else value for key, value in source.items()}
        settings["demonstrations"] = {"sources": [words], "ratio": RATIO}
    if way in scene.imitated:
        ticks = -(-scene.imitation // AT_A_TICK)
        settings["demonstrations"]["bc_init_steps"] = scene.imitation
        settings["hyperparameters"]["buffer_init_steps"] = 10**9  # nothing else is learned
        settings.update(max_steps=ticks * scene.agents, checkpoint_interval=10**9)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{way.replace(' ', '-')}.yaml"
    file.write_text(yaml.safe_dump({"behaviors": {name: settings}}))
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


def train(folder: Path, name: str, scene: Setup, way: str, demo: Path, seed: int) -> Path:
    """Train once and return the folder of the run; a live recording begins when training does."""
    live, run = folder / f"player-{seed}.demo", f"{way.replace(' ', '-')}-{seed}"
    file = configuration(folder, name, scene, way, live if way == "live" else demo)
    command = [
        sys.executable, "-m", "mlagents", str(file), "--env", f"builtin:{name}", "--seed", str(seed),
        "--results-dir", str(folder), "--run-id", run, "--force",
    ]  # fmt: skip
    stop, player = threading.Event(), None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if way == "live" and player is None and "Hyperparameters" in line:
                player = threading.Thread(target=play, args=(read(demo), live, stop))
                player.start()
    stop.set()
    if player is not None:
        player.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return folder / run


def curve_of(run: Path, name: str, scene: Setup) -> Curve:
    """Play every model that a run kept."""
    models = {int(re.split(r"[-.]", file.name)[1]): file for file in (run / name).glob(f"{name}-*.onnx")}
    policies = ((step, unity_policy(models[step], name)) for step in sorted(models))
    return [
        (step, float(scores(name, policy, scene.decisions, seed=0, areas=scene.areas).mean()))
        for step, policy in policies
    ]


def imitated_score(run: Path, name: str, scene: Setup) -> float:
    """Return the score of the model of a run that only imitated; ends the program if it did something else."""
    kept = torch.load(run / name / "checkpoint.pt", weights_only=True)
    if (kept["updates"], kept["demonstrations"]["imitated"]) != (0, scene.imitation):
        raise SystemExit(f"{run} was to imitate {scene.imitation} times and to learn nothing else")
    return curve_of(run, name, scene)[-1][1]


def reached(curve: Curve, scene: Setup) -> tuple[int, int]:
    """Return the steps until the threshold is first reached, and until it is reached and kept; never is twice a run."""
    first = next((step for step, score in curve if score >= scene.threshold), 2 * scene.steps)
    below = [i for i, (_, score) in enumerate(curve) if score < scene.threshold]
    after = below[-1] + 1 if below else 0
    return first, curve[after][0] if after < len(curve) else 2 * scene.steps


def final(curve: Curve) -> float:
    """Return the mean score of the last models."""
    return mean(score for _, score in curve[-LAST:])


def wrong_shares(run: Path, name: str) -> list[float]:
    """Return the shares of demonstrations that are not the ratio, after the first rows had come."""
    board = EventAccumulator(str(run / name))
    board.Reload()
    shares = [event.value for event in board.Scalars("Replay/Demonstration Share")]
    while shares and shares[0] != RATIO and run.name.startswith("live"):  # the player had not begun, or just did
        shares.pop(0)
    return [share for share in shares if share != RATIO] if shares else [0.0]


def draw(curves: Mapping[str, list[Curve]], name: str, scene: Setup, picture: Path) -> None:
    """Draw the mean of each way, and a line per seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7, 3.8), layout="constrained")
    for color, (way, lines) in zip(("#888888", "#2f6feb", "#d9730d"), curves.items(), strict=True):
        for line in lines:
            panel.plot(*zip(*line, strict=True), color=color, linewidth=0.7, alpha=0.45)
        steps = sorted(set.intersection(*({step for step, _ in line} for line in lines)))
        middle = [mean(dict(line)[step] for line in lines) for step in steps]
        panel.plot(steps, middle, color=color, linewidth=2.2, label=f"{scene.ways[way].label}, mean of {len(lines)}")
    panel.axhline(scene.threshold, color="gray", linestyle=":", linewidth=1)
    panel.set(title=f"DQN on {name}", xlabel="steps", ylabel="reward of the greedy policy")
    panel.legend(frameon=False, loc="lower right")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


def keep(curves: Mapping[str, list[Curve]], seeds: list[int], table: Path) -> None:
    """Write every score that was measured."""
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("way", "seed", "steps", "reward"))
        for way, lines in curves.items():
            for seed, line in zip(seeds, lines, strict=True):
                rows.writerows((way, seed, step, f"{score:.4g}") for step, score in line)


def main(argv: list[str] | None = None) -> int:
    """Train, print the table, draw; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=SCENES, default="Basic")
    parser.add_argument("--demo", type=Path, required=True, help="Unity's recording of the scene")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: 1 to 5 for Basic, 1 to 3 for PushBlock")
    parser.add_argument("--steps", type=int, help="of a run, to try something")
    parser.add_argument("--imitation", type=int, help="gradient steps of runs that only imitate, likewise")
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--picture", type=Path, help="where the curves are drawn")
    parser.add_argument("--table", type=Path, help="a .csv file for every score")
    flags = parser.parse_args(argv)
    scene = SCENES[flags.scene]
    if flags.steps is not None:
        scene = replace(scene, steps=flags.steps, every=min(scene.every, flags.steps))
    if flags.imitation is not None:
        scene = replace(scene, imitation=flags.imitation)
    seeds = flags.seeds or list(range(1, 6 if flags.scene == "Basic" else 4))
    with tempfile.TemporaryDirectory() as folder:
        results = flags.results or Path(folder)
        curves, clones, right = compare(results, flags.scene, scene, flags.demo.absolute(), seeds)
    if flags.table is not None:
        keep(curves, seeds, flags.table)
    if flags.picture is not None:
        draw(curves, flags.scene, scene, flags.picture)
    return 0 if verdict(curves, clones, scene) and right else 1


def compare(
    results: Path, name: str, scene: Setup, demo: Path, seeds: list[int]
) -> tuple[dict[str, list[Curve]], dict[str, list[float]], bool]:
    """Train every seed in every way, interleaved, and print what came of it.

    Returns the curves, the scores of those that only imitated, and whether the share in the batches was the ratio.
    """
    curves: dict[str, list[Curve]] = {way: [] for way in scene.ways}
    clones: dict[str, list[float]] = {way: [] for way in scene.imitated}
    wrong = False
    print(f"steps until the greedy policy first scores {scene.threshold} / and keeps it, and the mean of its last "
          f"{LAST} models, of one each {scene.every} steps\nseed" + "".join(f"{way:>26s}" for way in scene.ways)
          + "".join(f"{way:>12s}" for way in scene.imitated), flush=True)  # fmt: skip
    for seed in seeds:
        for way in scene.ways:
            run = train(results, name, scene, way, demo, seed)
            curves[way].append(curve_of(run, name, scene))
            wrong |= way != "alone" and bool(wrong_shares(run, name))
        for way in scene.imitated:
            run = train(results, name, scene, way, demo, seed)
            clones[way].append(imitated_score(run, name, scene))
        scored = "".join(_columns(lines[-1], scene) for lines in curves.values())
        print(f"{seed:4d}{scored}" + "".join(f"{it[-1]:12.2f}" for it in clones.values()), flush=True)
    print(f"share of demonstrations in batches: {'not always ' if wrong else ''}{RATIO}")
    return curves, clones, not wrong


def _columns(curve: Curve, scene: Setup) -> str:
    first, kept = reached(curve, scene)
    return f"{first:8d} /{kept:7d} {final(curve):8.2f}"


def verdict(curves: Mapping[str, list[Curve]], clones: Mapping[str, list[float]], scene: Setup) -> bool:
    """Print the means over the seeds, and return whether they are as expected."""
    steps = {
        way: [mean(column) for column in zip(*(reached(line, scene) for line in lines), strict=True)]
        for way, lines in curves.items()
    }
    scored = {way: mean(map(final, lines)) for way, lines in curves.items()}
    scored |= {way: mean(scores) for way, scores in clones.items()}
    print("mean steps: " + ", ".join("{} {:.0f} /{:.0f}".format(way, *both) for way, both in steps.items()))
    print("mean score: " + ", ".join(f"{way} {score:.2f}" for way, score in scored.items()))
    if scene.better:
        worse = [way for way, other in scene.better.items() if scored[way] <= scored[other]]
        print("the right pairing is the better one" if not worse else f"it is not better: {', '.join(worse)}")
        return not worse
    slower = [
        way for way in curves
        if way != "alone" and any(with_ >= alone for with_, alone in zip(steps[way], steps["alone"], strict=True))
    ]  # fmt: skip
    print("demonstrations save steps" if not slower else f"no steps are saved with {' and '.join(slower)}")
    return not slower


if __name__ == "__main__":
    raise SystemExit(main())
