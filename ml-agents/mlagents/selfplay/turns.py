"""Which team learns. Teams of a number learn together, whatever their behaviors are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

NOBODY = -1  # in the place of a team's number


class Turns:
    """The team that learns, and those that wait for their turn, the next one first."""

    def __init__(self) -> None:
        self.learning = NOBODY
        self.waiting: list[int] = []
        self.taken = 0  # how many turns there were

    def add(self, team: int) -> None:
        """Take a team in; the first one learns."""
        if self.learning == NOBODY:
            self.learning = team
        elif team != self.learning and team not in self.waiting:
            self.waiting.append(team)

    def advance(self, able: Collection[int]) -> bool:
        """Let the next of these teams learn; return whether it is another one."""
        following = next((team for team in self.waiting if team in able), None)
        if following is None:
            return False
        self.waiting.remove(following)
        self.waiting.append(self.learning)
        self.learning = following
        self.taken += 1
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return plain containers."""
        return {"learning": self.learning, "waiting": list(self.waiting), "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave, unless more turns were taken here already."""
        if int(state["taken"]) >= self.taken:
            self.learning, self.taken = int(state["learning"]), int(state["taken"])
            self.waiting = [int(team) for team in state["waiting"]]


def team_number(team: str) -> int:
    """Return the number of `name?team=id`, 0 where none is named."""
    _, _, text = team.partition("?team=")
    return int(text) if text.isdecimal() else 0
