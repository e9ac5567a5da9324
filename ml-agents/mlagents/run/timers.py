"""Where the time of a run went, and its last numbers: `timers.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlagents.run.atomic import write_text_atomically


@dataclass
class Node:
    """A named stretch of work and what happened inside it."""

    total: float = 0.0  # seconds
    count: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return seconds and counts, `self` being the time that no child took."""
        own = self.total - sum(child.total for child in self.children.values())
        entry: dict[str, Any] = {"total": self.total, "count": self.count, "self": max(own, 0.0)}
        if self.children:
            entry["children"] = {name: child.as_dict() for name, child in self.children.items()}
        return entry


class Timers:
    """A tree of timers, gauges, and facts about the run."""

    def __init__(self, metadata: dict[str, str]) -> None:
        self._start = time.perf_counter()
        self._root = Node(count=1)
        self._here = self._root
        self._gauges: dict[str, dict[str, float]] = {}
        self.metadata = {
            "timer_format_version": "0.1.0", "start_time_seconds": str(int(time.time())), **metadata,
        }  # fmt: skip

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Count what happens inside as a child of the timer that runs."""
        parent = self._here
        node = self._here = parent.children.setdefault(name, Node())
        start = time.perf_counter()
        try:
            yield
        finally:
            node.total += time.perf_counter() - start
            node.count += 1
            self._here = parent

    def gauge(self, name: str, value: float) -> None:
        """Keep the last value of a number, its extremes, and how often it was set."""
        known = self._gauges.setdefault(name, {"value": value, "min": value, "max": value, "count": 0})
        known["value"], known["count"] = value, known["count"] + 1
        known["min"], known["max"] = min(known["min"], value), max(known["max"], value)

    def as_dict(self) -> dict[str, Any]:
        """Return the whole tree as `timers.json` has it."""
        self._root.total = time.perf_counter() - self._start
        metadata = {**self.metadata, "end_time_seconds": str(int(time.time()))}
        return {"name": "root", "gauges": self._gauges, "metadata": metadata, **self._root.as_dict()}

    def write(self, path: Path) -> None:
        """Write `timers.json`, whole or not at all; raises OSError."""
        write_text_atomically(path, json.dumps(self.as_dict(), indent=4))
