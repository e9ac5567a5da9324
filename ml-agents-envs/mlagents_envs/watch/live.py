"""The loop of the live page: steps an example at the pace that the page sets."""

from __future__ import annotations

import math
import time
from typing import Any

from mlagents_envs.examples.look.look import Press
from mlagents_envs.watch.demo import DemoRecording
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.server import Command, Server
from mlagents_envs.watch.stage import Stage

RATE = 30.0  # frames a second at most
IDLE = 0.05  # s to wait for a command before checking for a waiting page
SLOWEST, FASTEST = 1 / 16, 1024.0
MOST_STEPS = 1000  # requested and not made yet
SAME = {"arrowup": "up", "arrowdown": "down", "arrowleft": "left", "arrowright": "right",
        "w": "up", "s": "down", "a": "left", "d": "right", " ": "space"}  # fmt: skip


class Live:
    """Besides those of `Stage` it applies `pause` (bool), `step` (decisions), `speed` (a factor) and `keys` (held)."""

    def __init__(
        self, play: Play, stage: Stage, server: Server, *, keyboard: bool = False, demo: DemoRecording | None = None
    ) -> None:
        """keyboard: keys drive the picked agent. demo: records the picked agent, which then stays picked."""
        self._play, self._stage, self._server, self._demo = play, stage, server, demo
        self._keyboard = keyboard
        self._held: dict[str, Press] = {}
        self._tapped: dict[str, Press] = {}  # since the last decision, perhaps released already
        self.paused, self.speed, self.decisions = False, 1.0, 0
        self._steps = 0  # decisions to be made although it is paused
        self._news = False  # has anything changed since the last frame?
        self._due = self._frame_due = time.monotonic()
        stage.may_pick = demo is None
        stage.returns.begin()

    def run(self, *, decisions: float = math.inf) -> None:
        """Run until interrupted, or for this many decisions."""
        self._show()
        while self.decisions < decisions:
            self.turn()

    def turn(self) -> None:
        """Make a decision if it is due, or wait shortly for a command."""
        now = time.monotonic()
        idle = self.paused and not self._steps
        patience = IDLE if idle else max(0.0, min(IDLE, self._due - now))
        commands = self._server.commands(patience=patience)
        for command in commands:
            self._apply(command)
            self._news = True
        now = time.monotonic()
        if self._steps or (not self.paused and now >= self._due):
            self._steps = max(0, self._steps - 1)
            seconds = self._stage.look.seconds / self.speed
            self._due = now + seconds if now - self._due > seconds else self._due + seconds  # no catching up
            self._decide()
            self._news = True
        if self._news and self._server.waiting and (now >= self._frame_due or self.paused):
            self._frame_due = now + 1 / RATE
            self._show()

    def _decide(self) -> None:
        driven = self._stage.picked if self._keyboard else -1
        if self._demo is not None:
            self._demo.before()
        action = self._play.decide(driven=driven, presses=tuple(self._pressed().values()))
        self._tapped.clear()
        self._stage.returns.follow()
        if self._demo is not None:
            self._demo.after(action)
        self.decisions += 1

    def _apply(self, command: Command) -> None:
        self._stage.apply(command)
        pause, step, speed, keys = (command.get(name) for name in ("pause", "step", "speed", "keys"))
        if isinstance(pause, bool):
            self.paused = pause
        if type(step) is int and 0 < step <= 1000:
            self.paused, self._steps = True, min(self._steps + step, MOST_STEPS)
        if isinstance(speed, int | float) and not isinstance(speed, bool) and SLOWEST <= speed <= FASTEST:
            self.speed, self._due = float(speed), time.monotonic()
        if isinstance(keys, list) and self._keyboard:
            names = [SAME.get(str(key).lower(), str(key).lower()) for key in keys]
            self._held = {name: self._stage.look.keys[name] for name in names if name in self._stage.look.keys}
            self._tapped |= self._held

    def _pressed(self) -> dict[str, Press]:
        """Return the keys for the next decision, with those pressed only between two decisions."""
        return self._tapped | self._held

    def _show(self) -> None:
        facts: dict[str, Any] = {
            "mode": "playing",
            "paused": self.paused,
            "speed": self.speed,
            "interval": self._stage.look.seconds / self.speed,
            "decisions": self.decisions,
            "keys": list(self._stage.look.keys) if self._keyboard else [],
            "held": list(self._pressed()),
        }
        if self._demo is not None:
            facts["recorded"] = self._demo.records
        self._server.show(self._stage.frame(facts, self._play.action))
        self._news = False
