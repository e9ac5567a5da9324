"""Trains the example environments once, as the gallery says, and draws the curves that the gallery shows.

    python benchmarks/gallery.py [NAME ...] [--results DIR]     train these, or all of them, and keep the curves
    python benchmarks/gallery.py --draw                         draw docs/gallery/NAME-curve.png of all curves kept
    python benchmarks/gallery.py --seen [NAME ...]              draw docs/gallery/NAME.png, what agents see by a camera

A curve is kept in benchmarks/curves/NAME.csv: behavior, steps of all its agents, mean reward of an episode.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from learning import ROOT, Curve, read_curve, train
from PIL import Image

from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.policies import RandomPolicy

KEPT = ROOT / "benchmarks" / "curves"
PICTURES = ROOT / "docs" / "gallery"
SEED = 1


@dataclass(frozen=True)
class Training:
    """How an example is trained for the gallery."""

    config: str  # in config/
    budget: int  # steps
    unity: Mapping[
        str, float | None
    ]  # behavior -> what Unity's page says that it should reach, if that can be compared


TRAININGS = {
    "3DBall": Training("ppo/3DBall.yaml", 300_000, {"3DBall": 100.0}),
    "3DBallHard": Training("ppo/3DBallHard.yaml", 500_000, {"3DBallHard": 100.0}),
    "Visual3DBall": Training("ppo/Visual3DBall.yaml", 400_000, {"Visual3DBall": 100.0}),
    "Basic": Training("ppo/Basic.yaml", 30_000, {"Basic": 0.93}),
    "PushBlock": Training("ppo/PushBlock.yaml", 1_000_000, {"PushBlock": 4.5}),
    "WallJump": Training("ppo/WallJump.yaml", 10_000_000, {"SmallWallJump": 0.8, "BigWallJump": 0.8}),
    "Match3": Training("ppo/Match3.yaml", 1_500_000, {"Match3VectorObs": 38.5}),
    "GridWorld": Training("ppo/GridWorld.yaml", 300_000, {"GridWorld": 0.8}),
    "FoodCollector": Training("ppo/FoodCollector.yaml", 1_000_000, {"GridFoodCollector": None}),
    "VisualFoodCollector": Training("ppo/VisualFoodCollector.yaml", 3_000_000, {"VisualFoodCollector": None}),
    "Crawler": Training("ppo/Crawler.yaml", 2_000_000, {"Crawler": None}),
    "Worm": Training("ppo/Worm.yaml", 1_000_000, {"Worm": None}),
    "Walker": Training("ppo/Walker.yaml", 1_650_000, {"Walker": None}),
    "Pyramids": Training("ppo/Pyramids.yaml", 750_000, {"Pyramids": 1.75}),
}

SEEN = {"Visual3DBall": 9, "VisualFoodCollector": 137}  # decisions at random, after which pictures are drawn
SHOWN, SCALE, GAP = 4, 2, 4  # pictures beside each other, pixels of a pixel's edge, pixels between pictures


def learn(name: str, results: Path, budget: int | None, folder: Path) -> None:
    """Train an example and keep its curves in a folder; budget: steps, unless as many as the gallery says."""
    training = TRAININGS[name] if budget is None else replace(TRAININGS[name], budget=budget)
    config, environment = ROOT / "config" / training.config, ["--env", f"builtin:{name}"]
    seconds = train(config, training.budget, environment, SEED, results / name)
    for behavior, curve in keep(name, training, results / name, folder).items():
        (_, first), (steps, last) = curve[0], curve[-1]
        print(f"{behavior:16s} {first:8.2f} at first, {last:8.2f} after {steps:9,} steps, {seconds:5.0f} s in all",
              flush=True)  # fmt: skip


def keep(name: str, training: Training, run: Path, folder: Path) -> dict[str, Curve]:
    """Keep, and return, the curves of a run of an example, by behavior."""
    curves = {behavior: read_curve(run / behavior, training.budget) for behavior in training.unity}
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("behavior", "steps", "reward"))
        for behavior, curve in curves.items():
            table.writerows((behavior, step, f"{reward:.4g}") for step, reward in curve)
    return curves


def kept(name: str, folder: Path) -> dict[str, Curve]:
    """Return the curves of an example by behavior."""
    curves: dict[str, Curve] = {}
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            curves.setdefault(row["behavior"], []).append((int(row["steps"]), float(row["reward"])))
    return curves


def draw(name: str, folder: Path) -> None:
    """Draw an example's curves, with what Unity's page says as a dotted line; those of the gallery go to its page."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure, panel = pyplot.subplots(figsize=(4.8, 2.7), layout="constrained")
    curves = kept(name, folder)
    for behavior, curve in curves.items():
        (line,) = panel.plot(*zip(*curve, strict=True), label=behavior, linewidth=1.6)
        if (unity := TRAININGS[name].unity[behavior]) is not None:
            panel.axhline(unity, color=line.get_color(), linestyle=":", linewidth=1)
    panel.set(xlabel="steps of all agents", ylabel="mean reward of an episode")
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    if len(curves) > 1:
        panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig((PICTURES if folder == KEPT else folder) / f"{name}-curve.png", dpi=100)
    pyplot.close(figure)


def draw_seen(name: str, folder: Path) -> None:
    """Draw the pictures that the first agents see, those of a stack from the oldest on, beside each other."""
    env = make(name, seed=SEED)
    env.reset()
    policy = RandomPolicy(env.SPEC, seed=SEED)
    for _ in range(SEEN[name]):
        env.set_actions(env.behavior, policy(*env.get_steps(env.behavior)))
        env.step()
    images = env.get_steps(env.behavior)[0].obs[0]
    pictures = np.rint(images.reshape(-1, 3, *images.shape[2:])[:SHOWN] * 255).astype(np.uint8)
    pictures = np.pad(pictures, [(0, 0), (0, 0), (0, 0), (0, GAP // SCALE)], constant_values=255)
    row = np.concatenate(list(pictures.transpose(0, 2, 3, 1)), axis=1)[:, : -GAP // SCALE]
    Image.fromarray(row.repeat(SCALE, axis=0).repeat(SCALE, axis=1)).save(folder / f"{name}.png", optimize=True)


def main() -> None:
    """Train what is named, or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TRAININGS)}")
    parser.add_argument("--results", type=Path, help="where runs are kept (default: a folder that is deleted)")
    parser.add_argument("--budget", type=int, metavar="STEPS", help="instead of each example's own")
    parser.add_argument("--curves", type=Path, default=KEPT, metavar="DIR", help="where curves are kept")
    parser.add_argument("--draw", action="store_true", help="draw the curves kept, and train nothing")
    parser.add_argument("--seen", action="store_true", help="draw what agents with a camera see, and train nothing")
    flags = parser.parse_args()
    if unknown := set(flags.names) - set(TRAININGS):
        parser.error(f"{', '.join(sorted(unknown))}: not in the gallery; known: {', '.join(TRAININGS)}")
    if flags.seen:
        for name in flags.names or SEEN:
            draw_seen(name, PICTURES if flags.curves == KEPT else flags.curves)
        return
    names = flags.names or list(TRAININGS)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if not flags.draw:
                learn(name, flags.results or Path(folder), flags.budget, flags.curves)
            if (flags.curves / f"{name}.csv").exists():
                draw(name, flags.curves)


if __name__ == "__main__":
    main()
