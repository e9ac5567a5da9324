"""How often an environment that broke may be started again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

UNLIMITED = -1


class Restarts:
    """Counts the restarts of one environment, over its life and within a window of time."""

    def __init__(
        self, *, lifetime: int, within: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """lifetime: restarts ever; within: restarts in any `seconds`; -1 is without limit for both."""
        self._lifetime = lifetime
        self._within = within
        self._seconds = seconds
        self._clock = clock
        self._count = 0
        self._recent: deque[float] = deque()  # when

    def allow(self) -> bool:
        """Count one more restart if the rules allow it; return whether they do."""
        now = self._clock()
        while self._recent and now - self._recent[0] > self._seconds:
            self._recent.popleft()
        if self._lifetime != UNLIMITED and self._count >= self._lifetime:
            return False
        if self._within != UNLIMITED and len(self._recent) >= self._within:
            return False
        self._count += 1
        self._recent.append(now)
        return True
