"""Curves and scores of `learning.py`: kept as JSON, printed as a table, drawn.

python benchmarks/learning_results.py [DIR]      print the table of docs/results, or of DIR, and draw its curves
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from learning_tasks import ROOT, TASKS, LearningTask

KEPT = ROOT / "docs" / "results"
Curve = list[tuple[int, float]]
STYLES = {"process": "-", "kept": "--", "renewed": ":", "official": "-."}


@dataclass(frozen=True)
class Result:
    """What one run of a task came to."""

    title: str
    place: str
    seed: int
    budget: int  # steps
    seconds: float
    curve: Curve  # step, mean reward of an episode
    played: float  # mean return of the exported model; not a number where it was not played

    def reached(self, threshold: float) -> int | None:
        """At which step the curve was first at the threshold."""
        return next((step for step, reward in self.curve if reward >= threshold), None)

    def missed(self, task: LearningTask) -> bool:
        """Whether the task asked for something that was not reached."""
        return task.threshold is not None and (self.reached(task.threshold) is None or self.played < task.threshold)


def keep(results: Sequence[Result], folder: Path) -> None:
    """Write results, a file for each task; those of the same place and seed that are kept already are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        fresh = {(result.place, result.seed): result for result in results if result.title == task.title}
        if fresh:
            runs = {(result.place, result.seed): result for result in kept(task, folder)} | fresh
            rows = (json.dumps(asdict(run)) for _, run in sorted(runs.items()))
            (folder / f"{task.file}.json").write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


def kept(task: LearningTask, folder: Path) -> list[Result]:
    """Return the results of a task that a folder has."""
    file = folder / f"{task.file}.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return [Result(**{**row, "curve": [tuple(point) for point in row["curve"]]}) for row in rows]


HEADER = ("| environment | place | seed | threshold | reached at | budget | last | seconds | model scores |\n"
          "|---|---|---|---|---|---|---|---|---|")  # fmt: skip


def row(task: LearningTask, result: Result) -> str:
    """Return a row of the table."""
    reached = "-" if task.threshold is None else result.reached(task.threshold) or "never"
    threshold = "-" if task.threshold is None else f"{task.threshold:g}"
    last = f"{result.curve[-1][1]:.2f}" if result.curve else "-"
    cells = (task.title, result.place, result.seed, threshold, reached, result.budget, last,
             f"{result.seconds:.0f}", f"{result.played:.2f}")  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def draw(runs: Sequence[tuple[LearningTask, list[Result]]], picture: Path) -> None:
    """Draw a panel for each task, a color for each seed, a kind of line for each place."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, MaxNLocator

    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(10 if columns > 1 else 5, 3.2 * rows), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(runs) :]:
        panel.set_axis_off()
    for panel, (task, results) in zip(panels.flat, runs, strict=False):
        places = {result.place for result in results}
        for result in results:
            label = f"seed {result.seed}" + (f", {result.place}" if len(places) > 1 else "")
            look = {"color": f"C{result.seed - 1}", "linewidth": 1.6, "alpha": 0.8}
            panel.plot(*zip(*result.curve, strict=True), STYLES[result.place], label=label, **look)
        if task.threshold is not None:
            panel.axhline(task.threshold, color="gray", linestyle=":", linewidth=1)
        panel.set(title=task.title, xlabel="steps of all agents", ylabel="mean reward of an episode")
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.legend(frameon=False, fontsize="small")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Print the table of what is kept, and draw it, a picture for each group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=KEPT, metavar="DIR")
    folder = parser.parse_args().folder
    runs = [(task, results) for task in TASKS if (results := kept(task, folder))]
    print(HEADER)
    for task, results in runs:
        for result in results:
            print(row(task, result))
    for group in dict.fromkeys(task.group for task, _ in runs):
        draw([(task, results) for task, results in runs if task.group == group], folder / f"{group}.png")


if __name__ == "__main__":
    main()
