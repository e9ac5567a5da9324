"""An environment as PettingZoo's `AECEnv`: the live agents act in turn, then the environment steps."""

from __future__ import annotations

from typing import Any

from mlagents_envs.base_env import BaseEnv
from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.envs.unity_pettingzoo_base_env import AECEnv, UnityPettingzooBaseEnv


class UnityAECEnv(UnityPettingzooBaseEnv, AECEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Names, masks and agents without a decision: see `UnityPettingzooBaseEnv`; `last()` is of the agent in turn."""

    agent_selection: str
    _cumulative_rewards: dict[str, float]

    def __init__(self, env: BaseEnv, seed: int | None = None) -> None:
        super().__init__(env, seed)
        self._take_turns()

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin new episodes; the seed is for environments that have `set_seed`. There are no options."""
        self._begin(seed)
        self._take_turns()

    def step(self, action: Any) -> None:
        """Act for the agent in turn, with None for one that has ended; after the last one, the environment steps.

        Raises UnityGymException if no agent is live, and for an action that is not of the agent's space.
        """
        if not self.agents:
            raise UnityGymException("no agent is live: call reset() before step()")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._answers[agent] = action
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        following = next(self._turns, None)
        if following is not None:
            self.agent_selection = following
            return
        self._advance(self._answers)
        self._cumulative_rewards = {agent: self._cumulative_rewards.get(agent, 0.0) for agent in self.agents}
        self._accumulate_rewards()
        self._next_round()

    def observe(self, agent: str) -> Any:
        """Return the agent's last observation."""
        return self._seen[agent]

    # internals

    def _take_turns(self) -> None:
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self._accumulate_rewards()
        self._skip_agent_selection: str | None = None
        self._next_round()

    def _next_round(self) -> None:
        """Order the agents: those that ended first, then the live ones in the order in which they joined."""
        self._answers: dict[str, Any] = {}
        self._turns = iter(self._live_agents())
        self.agent_selection = next(self._turns, self.agents[0])
        self._deads_step_first()
