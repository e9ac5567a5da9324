"""Has a behavior stopped exploring? Its learning curve tells; it is reported once, with what may help.

The lowest point of a curve is where a policy ends that tries nothing new: each episode runs into its time limit, or
fails at once, and all earn the same. Nothing is learned from returns that are all the same, so it stays there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlagents.run.recorder import StatsSummary

POINTS = 3  # that lie at the lowest, in a row
EPISODES = 20  # that ended in them, at least
SHARE, NEVER_SHARE = 0.05, 0.1  # of max_steps that they span, at least; the second where the curve never rose
NEAR, NEAR_AT_FLOOR = 0.05, 0.25  # of the curve's range: what is near the lowest; the second with no entropy left
SAME = 0.01  # of the size of the returns: what is all the same
FLOOR = 0.05  # of the entropy at first: what is none left
FALL = 3.0  # nats below the entropy at first, likewise: a deviation of a twentieth, where entropy may be negative
WAYS = {  # what may help, by the setting that it concerns
    "beta": "raise beta ({value:g} here), the weight of the entropy",
    "init_entcoef": "raise init_entcoef ({value:g} here), the weight of the entropy at the start",
    "exploration_final_eps": "raise exploration_final_eps ({value:g} here), the share of random choices",
    "learning_rate": "lower learning_rate ({value:g} here)",
    "batch_size": "raise batch_size and buffer_size ({value:g} rows a step here)",
}
CURIOSITY = "add a reward signal that explores, curiosity or rnd"
SEED = "or try another --seed: of runs with the same settings, some get stuck"


@dataclass(frozen=True)
class Point:
    """A point of the learning curve, in which episodes ended."""

    step: int
    reward: float  # mean return of its episodes
    spread: float = math.nan  # their standard deviation; NaN: unknown
    episodes: float = math.inf  # how many; infinite: unknown, but many
    entropy: float = math.nan  # mean of the policy's; NaN: unknown


@dataclass(frozen=True)
class Stuck:
    """The end of a curve that lies at its lowest."""

    first: Point  # of the whole curve
    since: Point  # from which on it lies there
    now: Point
    best: Point | None  # the highest before; None: the curve never rose


def stuck(points: Sequence[Point], max_steps: int) -> Stuck | None:
    """Return the end of a curve that lies at its lowest and does not move; None if it moves, or is higher.

    At its lowest: within a twentieth of the curve's range, and so is the spread of the episodes; or within a quarter
    of it, where the policy has no entropy left. A curve that never rose: all episodes since the first point earned the
    same. The end must be long enough: 3 points, 20 episodes, a twentieth of max_steps, a tenth if it never rose.
    """
    if len(points) < POINTS:
        return None
    first, lowest, best = points[0], min(p.reward for p in points), max(points, key=lambda p: p.reward)
    reach = best.reward - lowest
    same = SAME * max(abs(lowest), abs(best.reward))
    end: list[Point] = []  # the newest first
    for point in reversed(points):
        floor = has_no_entropy(point, first)
        near = same if reach <= same else (NEAR_AT_FLOOR if floor else NEAR) * reach
        if point.reward - lowest > near or (point.spread > near and not floor):  # NaN is not larger
            break
        end.append(point)
    never = len(end) == len(points)
    if len(end) < POINTS or sum(point.episodes for point in end) < EPISODES:
        return None
    share = NEVER_SHARE if never and not has_no_entropy(end[0], first) else SHARE
    if end[0].step - end[-1].step < share * max_steps:
        return None
    return Stuck(first, end[-1], end[0], None if never else best)


def has_no_entropy(point: Point, first: Point) -> bool:
    """Is the policy's entropy as good as gone, beside that of the first point? False where it is unknown."""
    return 0 <= point.entropy <= FLOOR * first.entropy or point.entropy <= first.entropy - FALL


def sentence(name: str, found: Stuck, settings: Mapping[str, Any], signals: Sequence[str]) -> str:
    """Return what is known of a behavior that is stuck, and what may help.

    settings: its hyperparameters; signals: the names of its reward signals.
    """
    first, since, now, best = found.first, found.since, found.now, found.best
    before = "no episode has earned more" if best is None else f"it was {best.reward:.3g} at step {best.step:,}"
    measured = f"its mean reward has been {now.reward:.3g}, the lowest of this run, since step {since.step:,}; {before}"
    if not math.isnan(now.entropy + first.entropy):
        measured += f"; its entropy is {now.entropy:.3g}, and was {first.entropy:.3g} at first"
    ways = [text.format(value=settings[key]) for key, text in WAYS.items() if key in settings]
    ways += [CURIOSITY] if set(signals) <= {"extrinsic"} else []
    return (
        f"{name} seems to have stopped exploring, at step {now.step:,}: {measured}. What may help: "
        f"{'; '.join([*ways, SEED])}."
    )


class ExplorationWatch:
    """Gathers a behavior's learning curve, and says once that it has stopped exploring."""

    def __init__(self, name: str, max_steps: int, settings: Mapping[str, Any], signals: Sequence[str]) -> None:
        """settings: the behavior's hyperparameters; signals: the names of its reward signals."""
        self.name = name
        self.max_steps = max_steps
        self._settings, self._signals = settings, signals
        self._points: list[Point] = []
        self._lessons: Mapping[str, int] = {}
        self._done = False

    def add(self, step: int, values: Mapping[str, StatsSummary], lessons: Mapping[str, int]) -> str | None:
        """Take a summary; return a sentence the first time that the behavior is stuck, else None.

        lessons: those of the curriculum; another lesson begins another curve.
        """
        returns, entropy = values.get("Environment/Cumulative Reward"), values.get("Policy/Entropy")
        if self._done or returns is None:
            return None
        if lessons != self._lessons:
            self._points, self._lessons = [], dict(lessons)
        at = Point(step, returns.mean, returns.std, returns.num, math.nan if entropy is None else entropy.mean)
        self._points.append(at)
        found = stuck(self._points, self.max_steps)
        self._done = found is not None
        return None if found is None else sentence(self.name, found, self._settings, self._signals)
