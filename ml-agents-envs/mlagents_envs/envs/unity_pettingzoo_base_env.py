"""The base of both PettingZoo wrappers of a `BaseEnv`: agents by name, and the last step of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from mlagents_envs.base_env import ActionTuple, Array, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.envs.faces import PATIENCE, UnityGymException, begin
from mlagents_envs.envs.spaces import (
    action_columns,
    action_space,
    allowed,
    observation,
    observation_space,
    sample_mask,
)
from mlagents_envs.ticks import ended_after_asking, order_ends

try:
    from pettingzoo import AECEnv, ParallelEnv
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'this needs PettingZoo, which cannot be imported: pip install "mlagents-envs[pettingzoo]"', name=error.name
    ) from error

__all__ = ["AECEnv", "ParallelEnv", "UnityPettingzooBaseEnv"]

ID = "?agent_id="


class UnityPettingzooBaseEnv:
    """Agents are named `<behavior>?agent_id=<id>`, each with one episode between two resets, as PettingZoo requires.

    Unity's agents keep their ids. One whose episode ends is reported a last time and leaves `agents` until the next
    `reset`; until then its decisions get zero actions. When all have left, `agents` is empty, and `reset` brings the
    same names back. So each agent has one episode between two resets: for a scene that continues by itself, or that is
    slow to reset, `UnityVectorEnv` is better. Where ids are new in each episode, an agent that ends is followed by one
    of another name, which joins at once. An agent under another behavior has another name too.

    `possible_agents` grows with each agent that joins. It is cleared by a reset that brings none of them back; else it
    keeps all that joined since the last reset. All live agents act in each step. One without a decision step then keeps
    its observation, gets the reward 0, has `infos[agent]["asks"]` False, and its next action is not sent. Rewards
    before an agent's first observation are dropped.

    An agent with only discrete actions observes {"observation", "action_mask"}, 1 = allowed, as in PettingZoo's classic
    games; hybrid agents have the mask in `infos[agent]["action_mask"]`, because no space holds the None that
    `action_space(agent).sample` needs for the continuous half. Several sensors make a dict of their names. `infos` also
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
        self._joined: dict[str, None] = {}  # since the last reset, in order
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
        """The environment's side channels by the name of their class, empty if it has none."""
        channels = getattr(self._env, "side_channels", ())
        return {type(channel).__name__: channel for channel in channels}

    def render(self) -> None:
        """Do nothing: a Unity build has its own window."""

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    # for the two wrappers

    def _begin(self, seed: int | None) -> None:
        """Reset the environment and step it until an agent requests an action."""
        begin(self._env, seed)
        before, self._joined = self._joined, {}
        self.agents, self.infos, self._seen = [], {}, {}
        for _ in range(PATIENCE):
            self._read_steps()
            if self.agents:
                break
            self._env.step()
        else:
            raise UnityGymException(f"no agent requested an action in {PATIENCE} steps: does the scene have one?")
        ids_are_kept = {_id(name) for name in before} & {_id(name) for name in self.agents}
        self.possible_agents = list({**before, **self._joined} if ids_are_kept else self._joined)

    def _advance(self, actions: Mapping[str, Any]) -> None:
        """Set the actions of agents with decisions, zeros for those that have left, step, and read the steps."""
        living = set(self._live_agents())
        for behavior, spec in self._env.behavior_specs.items():
            decision, _ = self._env.get_steps(behavior)
            if len(decision):
                names = [_name(behavior, agent) for agent in decision]
                self._env.set_actions(behavior, _columns(spec, names, living, actions))
        self._env.step()
        self._read_steps()

    def _read_steps(self) -> None:
        """Update all live agents and let new ones join; `agents` still has those that ended in this step."""
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._seen = {agent: self._seen[agent] for agent in self.agents}
        self.infos = {agent: {**self.infos[agent], "asks": False, "group_reward": 0.0} for agent in self.agents}
        for behavior, spec in self._env.behavior_specs.items():
            decision, terminal = self._env.get_steps(behavior)
            before, after = order_ends(decision, terminal)
            self._end(behavior, spec, terminal, before)
            self._add_decisions(behavior, spec, decision)
            self._end(behavior, spec, terminal, after)

    def _add_decisions(self, behavior: str, spec: BehaviorSpec, decision: DecisionSteps) -> None:
        over = ended_after_asking(decision).tolist()
        for row, agent in enumerate(decision.agent_id.tolist()):
            name = _name(behavior, agent)
            joins = name not in self._joined and not over[row]
            if joins:
                self._join(name)
            if joins or self._is_live(name):
                self._update(name, behavior, spec, decision, row)
            if joins:  # a reward before its first action
                self.rewards[name] = self.infos[name]["group_reward"] = 0.0

    def _join(self, name: str) -> None:
        self._joined[name] = None
        self.agents.append(name)
        if name not in self.possible_agents:
            self.possible_agents.append(name)
        self.terminations[name] = self.truncations[name] = False

    def _end(self, behavior: str, spec: BehaviorSpec, terminal: TerminalSteps, rows: Array) -> None:
        for row in rows.tolist():
            name = _name(behavior, int(terminal.agent_id[row]))
            if self._is_live(name):  # others have left, or never had a decision
                self._update(name, behavior, spec, terminal, row)
                self.truncations[name] = bool(terminal.interrupted[row])
                self.terminations[name] = not self.truncations[name]

    def _is_live(self, name: str) -> bool:
        return name in self.terminations and not (self.terminations[name] or self.truncations[name])

    def _live_agents(self) -> list[str]:
        return [agent for agent in self.agents if self._is_live(agent)]

    # internals

    def _update(
        self, name: str, behavior: str, spec: BehaviorSpec, steps: DecisionSteps | TerminalSteps, row: int
    ) -> None:  # fmt: skip
        """Store an agent's observation, and add its rewards to those already stored in this step."""
        asks = isinstance(steps, DecisionSteps)
        before = self.infos.get(name, {}).get("group_reward", 0.0)
        info = {"behavior_name": behavior, "group_id": int(steps.group_id[row]), "asks": asks}
        info["group_reward"] = before + float(steps.group_reward[row])
        seen: Any = observation(spec, [column[row] for column in steps.obs])
        if spec.action_spec.discrete_size:
            masks = steps.action_mask if isinstance(steps, DecisionSteps) else None
            branches = allowed(spec.action_spec, None if masks is None else [branch[row] for branch in masks])
            mask = sample_mask(spec.action_spec, branches)
            if spec.action_spec.continuous_size:
                info["action_mask"] = mask
            else:
                seen = {"observation": seen, "action_mask": mask}
        self._seen[name], self.infos[name] = seen, info
        self.rewards[name] = self.rewards.get(name, 0.0) + float(steps.reward[row])

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


def _id(name: str) -> str:
    return name.rpartition(ID)[2]


def _mask_space(branches: Iterable[int]) -> spaces.Space[Any]:
    masks = [spaces.Box(0, 1, (size,), np.int8) for size in branches]
    return masks[0] if len(masks) == 1 else spaces.Tuple(masks)


def _columns(
    spec: BehaviorSpec, names: list[str], living: Collection[str], actions: Mapping[str, Any]
) -> ActionTuple:  # fmt: skip
    """Return the actions of these agents, in this order."""
    if missing := [name for name in names if name in living and actions.get(name) is None]:
        raise UnityGymException(f"{missing[0]}: the agent is live, but has no action among {list(actions)}")
    nothing = spec.action_spec.empty_action(1)
    rows = [
        action_columns(spec.action_spec, actions[name], n=1, who=name) if name in living else nothing for name in names
    ]
    return ActionTuple(np.concatenate([row.continuous for row in rows]), np.concatenate([row.discrete for row in rows]))
