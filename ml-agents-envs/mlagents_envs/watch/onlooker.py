"""Shows an example that other code steps, such as a training run, while a page is open."""

from __future__ import annotations

import time

from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.watch.server import Server
from mlagents_envs.watch.stage import Stage

PORT = 6007
RATE = 20.0  # frames a second at most
SHARE = 0.02  # of the time that frames may take at most; then there are fewer


class Onlooker:
    """Call `begin` after each reset and `look` after each step; without a page they cost a few additions."""

    def __init__(self, example: ExampleEnv, *, title: str, port: int = PORT) -> None:
        """Raises UnityEnvironmentException for an example that cannot be drawn, or where no port is free."""
        self._stage = Stage(example, title=title)
        self._server = Server(port, remedy="end another run that is watched, or leave --watch away")
        self._due = 0.0  # s, when the next frame may be shown
        self._decisions, self._since, self._rate = 0, time.monotonic(), 0.0
        self.address = self._server.address

    def begin(self) -> None:
        """Clear the returns: the environment was reset."""
        self._stage.returns.begin()

    def look(self) -> None:
        """Count a step, and send a frame if a page waits and one is due."""
        self._stage.returns.follow()
        self._decisions += 1
        if not self._server.waiting:
            return
        now = time.monotonic()
        if now >= self._due:
            self._show(now)
            self._due = now + max(1 / RATE, (time.monotonic() - now) / SHARE)

    def _show(self, now: float) -> None:
        for command in self._server.commands():
            self._stage.apply(command)
        if now - self._since >= 1:
            self._rate = self._decisions / (now - self._since)
            self._decisions, self._since = 0, now
        pace = f"{self._rate:,.0f} decisions a second, each of all agents" if self._rate else "Training"
        self._server.show(self._stage.frame({"mode": "training", "pace": pace}))

    def close(self) -> None:
        """Close the page and free the port."""
        self._server.close()
