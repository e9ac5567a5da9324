"""What both of PettingZoo's faces of a `BaseEnv` share: agents by name, and what each was last told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionStep, TerminalStep
from mlagents_envs.envs.faces import PATIENCE, UnityGymException, begin
from mlagents_envs.envs.spaces import (
    action_columns,
    action_space,
    allowed,
    observation,
    observation_space,
    sample_mask,
)

try:
    from pettingzoo import AECEnv, ParallelEnv
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'this face needs PettingZoo, which cannot be imported: pip install "mlagents-envs[pettingzoo]"', name=error.name
    ) from error

__all__ = ["AECEnv", "ParallelEnv", "UnityPettingzooBaseEnv"]

ID = "?agent_id="


class UnityPettingzooBaseEnv:
    """Agents are named `<behavior>?agent_id=<id>`. An id is never used twice, so whoever is born gets a new name.

    `possible_agents` holds all who lived since the last reset, in order of birth, and grows. All living agents act in
    each step. One that did not ask then keeps its observation, earns 0, has `infos[agent]["asks"]` False, and what it
    answers next is not sent.

    An agent with only discrete actions sees {"observation", "action_mask"}, 1 = allowed, as in PettingZoo's classic
    games; hybrid agents find the mask in `infos[agent]["action_mask"]`, because no space holds the None that
    `action_space(agent).sample` wants for the continuous half. Several sensors make a dict of their names. `infos` also
    has "behavior_name", "group_id" and "group_reward".
    """

    def __init__(self, env: BaseEnv, seed: int | None = None, *, metadata: dict[str, Any] | None = None) -> None:
        """Take over the environment and reset it; it is closed with this one. seed: of all spaces."""
        self.metadata = {"name": "unity_ml-agents", "render_modes": [], "is_parallelizable": True, **(metadata or {})}
        self.render_mode: str | None = None
        self._env = env
        self._seed = seed
        self._spaces: dict[str, tuple[spaces.Space[Any], spaces.Space[Any]]] = {}  # of observations and actions
        self.agents: list[str] = []
        self.possible_agents: list[str] = []
        self.rewards: dict[str, float] = {}
        self.terminations: dict[str, bool] = {}
        self.truncations: dict[str, bool] = {}
        self.infos: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, Any] = {}
        self._begin(None)

    # spaces

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of this agent, the same object for all agents of a behavior."""
        return self._spaces_of(agent.partition(ID)[0])[0]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of this agent, the same object for all agents of a behavior."""
        return self._spaces_of(agent.partition(ID)[0])[1]

    @property
    def observation_spaces(self) -> dict[str, spaces.Space[Any]]:
        """The spaces of all possible agents."""
        return {agent: self.observation_space(agent) for agent in self.possible_agents}

    @property
    def action_spaces(self) -> dict[str, spaces.Space[Any]]:
        """The spaces of all possible agents."""
        return {agent: self.action_space(agent) for agent in self.possible_agents}

    @property
    def side_channel(self) -> dict[str, Any]:
        """The environment's side channels by the name of their class; none where it has no such thing."""
        channels = getattr(getattr(self._env, "_side_channel_manager", None), "_side_channels_dict", {})
        return {type(channel).__name__: channel for channel in channels.values()}

    def render(self) -> None:
        """Show nothing: a Unity build has its own window."""

    def close(self) -> None:
        self._env.close()

    # what the two faces do with it

    def _begin(self, seed: int | None) -> None:
        """Reset the environment and step it until somebody asks."""
        begin(self._env, seed)
        self.agents, self.possible_agents, self.infos, self._seen = [], [], {}, {}
        for _ in range(PATIENCE):
            self._listen()
            if self.agents:
                return
            self._env.step()
        raise UnityGymException(f"no agent asked for an action in {PATIENCE} steps: does the scene have one?")

    def _advance(self, actions: Mapping[str, Any]) -> None:
        """Send what the agents that ask answer, step, and listen."""
        for behavior, spec in self._env.behavior_specs.items():
            decision, _ = self._env.get_steps(behavior)
            if len(decision):
                names = [_name(behavior, agent) for agent in decision]
                self._env.set_actions(behavior, _columns(spec, names, actions))
        self._env.step()
        self._listen()

    def _listen(self) -> None:
        """Tell the living what happened, and add the newborn; `agents` still holds those who ended just now."""
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._seen = {agent: self._seen[agent] for agent in self.agents}
        self.infos = {agent: {**self.infos[agent], "asks": False, "group_reward": 0.0} for agent in self.agents}
        for behavior, spec in self._env.behavior_specs.items():
            decision, terminal = self._env.get_steps(behavior)
            for end in terminal.values():
                name = _name(behavior, end.agent_id)
                if name in self.rewards:  # others came and went without ever asking
                    self._tell(name, behavior, spec, end)
                    self.truncations[name] = end.interrupted
                    self.terminations[name] = not end.interrupted
            for step in decision.values():
                name = _name(behavior, step.agent_id)
                if name not in self.rewards:
                    self.agents.append(name)
                    self.possible_agents.append(name)
                    self.terminations[name] = self.truncations[name] = False
                self._tell(name, behavior, spec, step)

    def _living(self) -> list[str]:
        return [agent for agent in self.agents if not (self.terminations[agent] or self.truncations[agent])]

    # inside

    def _tell(self, name: str, behavior: str, spec: BehaviorSpec, step: DecisionStep | TerminalStep) -> None:
        asks = isinstance(step, DecisionStep)
        info = {"behavior_name": behavior, "group_id": step.group_id, "group_reward": step.group_reward, "asks": asks}
        seen: Any = observation(spec, step.obs)
        if spec.action_spec.discrete_size:
            branches = allowed(spec.action_spec, step.action_mask if isinstance(step, DecisionStep) else None)
            mask = sample_mask(spec.action_spec, branches)
            if spec.action_spec.continuous_size:
                info["action_mask"] = mask
            else:
                seen = {"observation": seen, "action_mask": mask}
        self._seen[name], self.infos[name], self.rewards[name] = seen, info, step.reward

    def _spaces_of(self, behavior: str) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
        if behavior not in self._spaces:
            if behavior not in self._env.behavior_specs:
                raise UnityGymException(
                    f"there is no behavior '{behavior}'; the environment has {', '.join(self._env.behavior_specs)}"
                )
            spec = self._env.behavior_specs[behavior]
            seen, acts = observation_space(spec), action_space(spec.action_spec)
            if spec.action_spec.is_discrete():
                seen = spaces.Dict(
                    {"observation": seen, "action_mask": _mask_space(spec.action_spec.discrete_branches)}
                )
            seen.seed(self._seed)
            acts.seed(self._seed)
            self._spaces[behavior] = seen, acts
        return self._spaces[behavior]


def _name(behavior: str, agent: int) -> str:
    return f"{behavior}{ID}{agent}"


def _mask_space(branches: Iterable[int]) -> spaces.Space[Any]:
    masks = [spaces.Box(0, 1, (size,), np.int8) for size in branches]
    return masks[0] if len(masks) == 1 else spaces.Tuple(masks)


def _columns(spec: BehaviorSpec, names: list[str], actions: Mapping[str, Any]) -> ActionTuple:
    """Return what these agents answer, in this order."""
    if missing := [name for name in names if actions.get(name) is None]:
        raise UnityGymException(f"{missing[0]}: it lives, but there is no action for it among {list(actions)}")
    rows = [action_columns(spec.action_spec, actions[name], n=1, who=name) for name in names]
    return ActionTuple(np.concatenate([row.continuous for row in rows]), np.concatenate([row.discrete for row in rows]))
