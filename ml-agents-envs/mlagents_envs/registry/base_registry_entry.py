"""The base of registry entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from mlagents_envs.base_env import BaseEnv


class BaseRegistryEntry(ABC):
    """A named environment that can be made."""

    def __init__(self, identifier: str, expected_reward: float | None, description: str | None) -> None:
        self._identifier = identifier
        self._expected_reward = expected_reward
        self._description = description

    @property
    def identifier(self) -> str:
        """The name under which it is registered."""
        return self._identifier

    @property
    def expected_reward(self) -> float | None:
        """The mean reward of an episode that counts as solved, None if unknown."""
        return self._expected_reward

    @property
    def description(self) -> str | None:
        """What the environment is, None if unknown."""
        return self._description

    @abstractmethod
    def make(self, **kwargs: Any) -> BaseEnv:
        """Start the environment; kwargs are those of `UnityEnvironment`."""
