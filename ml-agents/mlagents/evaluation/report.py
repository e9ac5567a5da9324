"""An evaluation as lines to read, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mlagents.evaluation.result import Evaluation
from mlagents.evaluation.statistics import Array
from mlagents_envs.printable import printable

LABEL = 16  # width of the first column
Table = dict[str, Any]


def summary(evaluation: Evaluation, threshold: float | None) -> Table:
    """Return numbers about episodes; what there is none of is None. threshold: above it, a score is a success."""
    grouped = bool(evaluation.groups.any())
    return {
        "episodes": len(evaluation),
        "reward": _spread(evaluation, evaluation.returns),
        "group_reward": _spread(evaluation, evaluation.group_returns) if grouped else None,
        "score": _spread(evaluation, evaluation.scores) if grouped else None,
        "length": _spread(evaluation, evaluation.lengths),
        "success_rate": evaluation.success_rate(threshold) if threshold is not None and len(evaluation) else None,
        "interrupted": int(evaluation.interrupted.sum()),
        "cut": int(evaluation.cut.sum()),
    }


def document(
    evaluations: Mapping[str, Evaluation], threshold: float | None, stats: Mapping[str, float], about: Mapping[str, Any]
) -> str:
    """Return everything as JSON: numbers by behavior and team, every episode, and what the environment recorded.

    about: what was played, which stands at the top.
    """
    behaviors = {
        name: {
            **summary(evaluation, threshold),
            "teams": {str(team): summary(evaluation.of_team(team), threshold) for team in evaluation.team_ids},
            "every_episode": list(_episodes(evaluation)),
        }
        for name, evaluation in evaluations.items()
    }
    return json.dumps({**about, "success_threshold": threshold, "behaviors": behaviors, "stats": stats}, indent=2)


def lines(
    evaluations: Mapping[str, Evaluation], threshold: float | None, stats: Mapping[str, float]
) -> Iterator[str]:
    """Yield what a person reads."""
    for name, evaluation in evaluations.items():
        yield from _lines(printable(name), evaluation, threshold)
        teams = evaluation.team_ids
        for team in teams if len(teams) > 1 else ():
            yield from _lines(f"{printable(name)}, team {team}", evaluation.of_team(team), threshold)
    if stats:
        yield "Recorded by the environment, in all episodes that were played:"
        for name, value in stats.items():
            yield f"  {printable(name)}: {value:g}"


def _lines(title: str, evaluation: Evaluation, threshold: float | None) -> Iterator[str]:
    numbers = summary(evaluation, threshold)
    if not len(evaluation):
        yield f"{title}: no episode has ended."
        return
    yield f"{title}: {len(evaluation)} episode{'s' if len(evaluation) > 1 else ''}"
    shown = [("reward", "reward"), ("group_reward", "group reward"), ("score", "both together"), ("length", "length")]
    for key, label in shown:
        if numbers[key] is not None:
            yield f"  {label:<{LABEL}}{_words(numbers[key])}"
    if numbers["success_rate"] is not None:
        share = numbers["success_rate"]
        yield f"  {'success rate':<{LABEL}}{share:.1%} of the episodes earn more than {threshold:g}"
    why_ended = {"interrupted": "ended by a limit of steps", "cut": "were not over after --max-length decisions"}
    for key, why in why_ended.items():
        if numbers[key]:
            yield f"  {key:<{LABEL}}{numbers[key]} {why}"


def _spread(evaluation: Evaluation, values: Array) -> Table | None:
    """Return mean, spread and the 95 % interval of the mean of (m,) values; None without any."""
    if not len(values):
        return None
    interval = evaluation.interval_of(values)
    return {
        "mean": float(values.mean()), "std": float(values.std()), "median": float(np.median(values)),
        "min": float(values.min()), "max": float(values.max()), "interval": interval and list(interval),
    }  # fmt: skip


def _words(spread: Table) -> str:
    interval = spread["interval"]
    within = "no interval of one observation" if interval is None else f"95 % {interval[0]:.3f} to {interval[1]:.3f}"
    return (
        f"mean {spread['mean']:.3f} ({within}), std {spread['std']:.3f}, median {spread['median']:.3f}, "
        f"min {spread['min']:.3f}, max {spread['max']:.3f}"
    )


def _episodes(evaluation: Evaluation) -> Iterator[Table]:
    columns = {
        "team": evaluation.teams, "environment": evaluation.environments, "agent": evaluation.agents,
        "group": evaluation.groups & 0xFFFFFFFF, "reward": evaluation.returns,
        "group_reward": evaluation.group_returns, "length": evaluation.lengths,
        "interrupted": evaluation.interrupted, "cut": evaluation.cut,
    }  # fmt: skip
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield dict(zip(columns, row, strict=True))
