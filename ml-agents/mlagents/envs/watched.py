"""A pool whose one environment is shown in a browser while somebody looks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mlagents.envs.local import LocalPool
from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.watch.browser import open_page
from mlagents_envs.watch.onlooker import Onlooker

log = logging.getLogger(__name__)


class WatchedPool(LocalPool):
    """Steps an example as `LocalPool` does, with an onlooker beside it."""

    def __init__(self, example: ExampleEnv, onlooker: Onlooker) -> None:
        super().__init__(example)
        self._onlooker = onlooker

    @classmethod
    def of(cls, env: BaseEnv, *, title: str) -> WatchedPool:
        """Open the page; raises UnityEnvironmentException for what cannot be shown, or if no port is free."""
        if not isinstance(env, ExampleEnv):
            raise UnityEnvironmentException(f"{title}: only example environments can be watched; leave --watch away")
        onlooker = Onlooker(env, title=title)
        where = "" if open_page(onlooker.address) else "; open that address in a browser of this machine"
        log.info(f"Watch at {onlooker.address}{where}.")
        return cls(env, onlooker)

    def reset(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Begin new episodes, and a new picture."""
        super().reset(parameters)
        self._onlooker.begin()

    def recv(self) -> Mapping[str, StepBatch]:
        """Step, and show the step to whoever looks."""
        fresh = self._fresh
        steps = super().recv()
        if not fresh:
            self._onlooker.look()
        return steps

    def close(self) -> None:
        """Take the page away, then close the environment."""
        self._onlooker.close()
        super().close()
