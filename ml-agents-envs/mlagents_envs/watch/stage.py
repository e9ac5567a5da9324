"""The view of an example: which areas are shown, which agent is picked, and the frames for the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.examples.look.look import draw, look_of
from mlagents_envs.printable import printable
from mlagents_envs.watch.frames import encode
from mlagents_envs.watch.returns import Returns
from mlagents_envs.watch.server import Command

MOST_AREAS = 32  # that are shown at once


class Stage:
    """Applies the page's commands `area` (a number, -1 for all) and `pick` (an agent's row)."""

    def __init__(self, example: ExampleEnv, *, title: str) -> None:
        """Raises UnityEnvironmentException for an example that cannot be drawn."""
        self.example = example
        self.look = look_of(example)
        self.title = printable(title)
        self.returns = Returns(example)
        self.area = -1  # the one that is shown, -1 for all
        self.picked = 0  # the row of an agent
        self.may_pick = True

    def apply(self, command: Command) -> None:
        """Apply a command; invalid values are ignored, since the page may belong to an older run."""
        area, row = command.get("area"), command.get("pick")
        if type(area) is int and -1 <= area < self.example.areas:
            self.area = area
            if area >= 0 and self.may_pick and self.picked // self.example.PER_AREA != area:
                self.picked = area * self.example.PER_AREA
        if type(row) is int and 0 <= row < self.example.n and self.may_pick:
            self.picked = row

    def shown(self) -> range:
        """Return the areas that are shown."""
        return range(min(self.example.areas, MOST_AREAS)) if self.area < 0 else range(self.area, self.area + 1)

    def frame(self, facts: dict[str, Any], action: ActionTuple | None = None) -> bytes:
        """Return a frame of what is shown now. action: the last one of all rows, if that is known."""
        example, returns, shown = self.example, self.returns, self.shown()
        per_area = example.PER_AREA
        row = self.picked
        agent: dict[str, str] = {"behavior": printable(_behavior(example, row))} if len(example.BEHAVIORS) > 1 else {}
        agent |= {
            "step": str(returns.length[row]),
            "reward": f"{returns.last(row):.4g}",
            "return": f"{returns.total[row]:.3f}",
        }
        if action is not None:
            agent["action"] = _words(action, row)
        return encode(
            {
                "title": self.title,
                "areas": example.areas,
                "per_area": per_area,
                "area": self.area,
                "shown": len(shown),
                "first": shown.start * per_area,  # row of the first agent that is drawn
                "picked": row,
                "may_pick": self.may_pick,
                "agent": agent,
                "episodes": returns.episodes,
                "curve": [round(point, 4) for point in returns.curve.points],
                "view": [self.look.yaw, self.look.pitch],
                **facts,
            },
            draw(example, shown),
        )


def _behavior(example: ExampleEnv, row: int) -> str:
    return example.behavior_of(row) or "no agent"


def _words(action: ActionTuple, row: int) -> str:
    """Return an action as text: continuous values, then choices."""
    values = [f"{value:+.2f}" for value in np.asarray(action.continuous)[row].tolist()]
    return " ".join([*values, *(str(choice) for choice in np.asarray(action.discrete)[row].tolist())])
