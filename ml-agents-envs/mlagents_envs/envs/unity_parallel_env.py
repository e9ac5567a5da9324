"""An environment as PettingZoo's `ParallelEnv`: all live agents act at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlagents_envs.base_env import BaseEnv
from mlagents_envs.envs.unity_pettingzoo_base_env import ParallelEnv, UnityPettingzooBaseEnv

Answer = tuple[
    dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
]  # observations, rewards, terminations, truncations, infos


class UnityParallelEnv(UnityPettingzooBaseEnv, ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Names, masks and agents without a decision: see `UnityPettingzooBaseEnv`."""

    def __init__(self, env: BaseEnv, seed: int | None = None) -> None:
        super().__init__(env, seed)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin new episodes and return observations and infos.

        The seed reaches environments that have `set_seed`. There are no options.
        """
        self._begin(seed)
        return dict(self._seen), dict(self.infos)

    def step(self, actions: Mapping[str, Any]) -> Answer:
        """Act with all live agents, and report on those that were live before and those that join.

        Raises UnityGymException where the action of an agent with a decision is missing or not of its space.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        self._advance(actions)
        answer = (
            dict(self._seen), dict(self.rewards), dict(self.terminations), dict(self.truncations), dict(self.infos)
        )  # fmt: skip
        self.agents = self._live_agents()
        return answer
