"""Measures time: a tree of named timers for each thread, and gauges."""

from __future__ import annotations

import functools
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

FORMAT_VERSION = "0.1.0"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class TimerNode:
    """A timed block and the blocks inside it."""

    total: float = 0.0  # seconds
    count: int = 0
    is_parallel: bool = False  # merged from others that ran at the same time
    children: dict[str, TimerNode] = field(default_factory=dict)

    def get_child(self, name: str) -> TimerNode:
        """Return the child of this name, a new one if there is none."""
        child = self.children.get(name)
        if child is None:
            child = self.children[name] = TimerNode()
        return child

    def merge(self, other: TimerNode, root_name: str | None = None, is_parallel: bool = True) -> None:
        """Add a tree to this one, or to its child `root_name`."""
        if root_name is not None:
            self.get_child(root_name).merge(other, is_parallel=is_parallel)
            return
        self.total += other.total
        self.count += other.count
        self.is_parallel = self.is_parallel or is_parallel
        for name, child in other.items():
            self.get_child(name).merge(child, is_parallel=is_parallel)

    def items(self) -> list[tuple[str, TimerNode]]:
        """Return the children as they are now: the thread that owns the tree may add some at any time."""
        return list(self.children.items())

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as `timers.json` holds it."""
        inside = self.items()
        own = self.total - sum(child.total for _, child in inside)
        node: dict[str, Any] = {"total": self.total, "count": self.count}
        if self.is_parallel:
            node["is_parallel"] = True
        node["self"] = max(own, 0.0)
        if inside:
            node["children"] = {name: child.as_dict() for name, child in inside}
        return node


@dataclass(slots=True)
class GaugeNode:
    """The last value of a number, its extremes, and how often it was set."""

    value: float
    min_value: float
    max_value: float
    count: int

    def merge(self, other: GaugeNode) -> None:
        """Add a gauge that was set later."""
        self.value = other.value
        self.min_value = min(self.min_value, other.min_value)
        self.max_value = max(self.max_value, other.max_value)
        self.count += other.count

    def as_dict(self) -> dict[str, float]:
        """Return the gauge as `timers.json` holds it."""
        return {"value": self.value, "min": self.min_value, "max": self.max_value, "count": self.count}


class TimerStack:
    """The tree of one thread, and the stack of running timers."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clear everything. Timers that run now are not counted."""
        self.start_time = time.perf_counter()
        self.root = TimerNode()
        self.stack = [self.root]
        self.gauges: dict[str, GaugeNode] = {}
        self.metadata = {
            "timer_format_version": FORMAT_VERSION,
            "start_time_seconds": str(int(time.time())),
            "python_version": platform.python_version(),
            "command_line_arguments": shlex.join(sys.argv),
        }

    def get_root(self) -> TimerNode:
        """Return the whole tree; its root is the time since the last reset."""
        self.root.total, self.root.count = time.perf_counter() - self.start_time, 1
        return self.root

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as `timers.json` holds it."""
        metadata = {**self.metadata, "end_time_seconds": str(int(time.time()))}
        gauges = {name: gauge.as_dict() for name, gauge in list(self.gauges.items())}
        return {"name": "root", "gauges": gauges, "metadata": metadata, **self.get_root().as_dict()}


_stacks: WeakKeyDictionary[threading.Thread, TimerStack] = WeakKeyDictionary()
_adding = threading.Lock()


def get_timer_stack_for_thread(thread: threading.Thread) -> TimerStack | None:
    """Return the timers of a thread, None if it never used any."""
    return _stacks.get(thread)


def _mine() -> TimerStack:
    thread = threading.current_thread()
    stack = _stacks.get(thread)
    if stack is None:
        with _adding:
            stack = _stacks[thread] = TimerStack()
    return stack


# All functions below mean the calling thread's timers unless they are given others.


@contextmanager
def hierarchical_timer(name: str, timer_stack: TimerStack | None = None) -> Iterator[TimerNode]:
    """Time the block as a child of the innermost running timer."""
    stack = (timer_stack or _mine()).stack
    node = stack[-1].get_child(name)
    stack.append(node)
    start = time.perf_counter()
    try:
        yield node
    finally:
        node.total += time.perf_counter() - start
        node.count += 1
        stack.pop()


def timed(function: Callable[P, R]) -> Callable[P, R]:
    """Time each call under the function's qualified name."""

    @functools.wraps(function)
    def counted(*args: P.args, **kwargs: P.kwargs) -> R:
        with hierarchical_timer(function.__qualname__):
            return function(*args, **kwargs)

    return counted


def set_gauge(name: str, value: float, *, timer_stack: TimerStack | None = None) -> None:
    """Set the value of a gauge."""
    merge_gauges({name: GaugeNode(value, value, value, 1)}, timer_stack)


def merge_gauges(gauges: Mapping[str, GaugeNode], timer_stack: TimerStack | None = None) -> None:
    """Add gauges that were counted elsewhere, as if they had been set here now."""
    known = (timer_stack or _mine()).gauges
    for name, gauge in gauges.items():
        if name in known:
            known[name].merge(gauge)
        else:
            known[name] = GaugeNode(gauge.value, gauge.min_value, gauge.max_value, gauge.count)


def add_metadata(key: str, value: str, *, timer_stack: TimerStack | None = None) -> None:
    """Add a key to the metadata."""
    (timer_stack or _mine()).metadata[key] = value


def get_timer_tree(timer_stack: TimerStack | None = None) -> dict[str, Any]:
    """Return timers, gauges and metadata as `timers.json` holds them."""
    return (timer_stack or _mine()).as_dict()


def get_timer_root(timer_stack: TimerStack | None = None) -> TimerNode:
    """Return the root of the tree, which can be pickled and merged into another."""
    return (timer_stack or _mine()).get_root()


def reset_timers(timer_stack: TimerStack | None = None) -> None:
    """Clear everything."""
    (timer_stack or _mine()).reset()
