"""The agents of one behavior as the lanes of a `gymnasium.vector.VectorEnv`. n is the number of lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mlagents_envs.base_env import ActionTuple, Array, BaseEnv, DecisionSteps, TerminalSteps
from mlagents_envs.envs.faces import PATIENCE, UnityGymException, begin, choose_behavior
from mlagents_envs.envs.spaces import action_columns, action_space, allowed, observation, observation_space
from mlagents_envs.ticks import ended_after_asking, order_ends

NO_AGENT = -1  # the agent of a lane that was never taken
NO_LANE = -1


class UnityVectorEnv(VectorEnv[Any, Any, Array]):
    """Agents take lanes in the order of their first decision steps. An id that returns, in its next episode or after a
    reset, is in its lane again; a new agent takes a lane that was never taken, or else one whose agent has ended.

    A step ends when every lane has a decision step. Until then, a lane that has another one repeats its action, its
    rewards add up, and an agent whose episode began during the step gets zero actions. Where all agents decide in each
    step, as is usual, there is no wait. Agents of other behaviors get zero actions.

    Episodes end as in `AutoresetMode.SAME_STEP`: the observation is that of the lane's next episode,
    `info["final_obs"]` (n,) has the last one of the ended episode, `info["_final_obs"]` (n,) where. Rewards before that
    first observation are dropped, and so is an episode that begins and ends while other lanes are waited for.

    `info` has columns: "agent_id" (n,), "group_reward" (n,), and for discrete actions "action_mask"
    (n, sum of branches) int8, 1 = allowed.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self, unity_env: BaseEnv, behavior_name: str | None = None, *, num_envs: int | None = None,
        patience: int = PATIENCE,
    ) -> None:  # fmt: skip
        """Take over the environment; it is closed with this one.

        behavior_name: may be left out if there is only one.
        num_envs: lanes; if None, the number of agents in the first step with decisions.
        patience: steps of the environment within which every lane must have a decision step.
        """
        self._env = unity_env
        self._patience = patience
        unity_env.reset()
        self.behavior_name, self.behavior_spec = choose_behavior(unity_env, behavior_name)
        self.num_envs = self._first_asking() if num_envs is None else num_envs
        self.single_observation_space = observation_space(self.behavior_spec)
        self.single_action_space = action_space(self.behavior_spec.action_spec)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._every_lane = np.arange(self.num_envs)
        self._asking = self._every_lane  # the lanes of the last decision steps, in their order
        self._began = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:  # fmt: skip
        """Begin new episodes; the seed is for environments that have `set_seed`. There are no options."""
        super().reset(seed=seed)
        begin(self._env, seed)
        if not self._began:
            self._clear()
        self._running[:] = False
        self._began = True
        self._open()
        self._read_steps()
        if not self._asked.all():
            self._advance(self.behavior_spec.action_spec.empty_action(self.num_envs))
        self._open()  # rewards before belong to no episode
        return self._see(), self._info()

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Act in all lanes. Raises UnityGymException for invalid actions, or if a lane gets no decision step."""
        if not self._began:
            raise UnityGymException(f"{self.behavior_name}: call reset() before step()")
        action = action_columns(self.behavior_spec.action_spec, actions, n=self.num_envs, who=self.behavior_name)
        self._open()
        self._advance(action)
        return self._see(), self._reward, self._terminated, self._truncated, self._info()

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environment; gymnasium's `close` calls this."""
        self._env.close()

    # internals

    def _clear(self) -> None:
        """Create empty lanes."""
        n, spec = self.num_envs, self.behavior_spec
        self._agent = np.full(n, NO_AGENT, np.int64)  # the present or last agent of each lane
        self._running = np.zeros(n, bool)  # its episode is running; between steps, all are
        self._obs: list[Array] = [np.zeros((n, *sensor.shape), np.float32) for sensor in spec.observation_specs]
        self._mask = allowed(spec.action_spec, None, n)

    def _open(self) -> None:
        """Create the columns of a step, which are returned when it ends."""
        n = self.num_envs
        self._reward, self._group_reward = np.zeros(n), np.zeros(n)
        self._terminated, self._truncated = np.zeros(n, bool), np.zeros(n, bool)
        self._asked = np.zeros(n, bool)
        self._final: dict[int, Any] = {}  # lane -> the last observation of its ended episode
        self._ended_agent = np.full(n, NO_AGENT, np.int64)

    def _advance(self, action: ActionTuple) -> None:
        """Step the environment until every lane has a decision step; new episodes get zero actions meanwhile."""
        for _ in range(self._patience):
            if self._final:
                acts = ~(self._terminated | self._truncated)[:, None]
                action = ActionTuple(action.continuous * acts, action.discrete * acts)
            self._env.set_actions(self.behavior_name, self._in_order(action))
            self._env.step()
            self._read_steps()
            if self._asked.all():
                return
        silent = np.flatnonzero(~self._asked).tolist()
        raise UnityGymException(
            f"{self.behavior_name}: lanes {silent} did not request an action in {self._patience} steps: "
            "give a smaller num_envs, or a larger patience"
        )

    def _in_order(self, action: ActionTuple) -> ActionTuple:
        lane = self._asking
        if lane is self._every_lane:
            return action
        known = (lane != NO_LANE)[:, None]
        return ActionTuple(action.continuous[lane] * known, action.discrete[lane] * known)

    def _read_steps(self) -> None:
        decision, terminal = self._env.get_steps(self.behavior_name)
        before, after = order_ends(decision, terminal)
        self._end(terminal, before)
        self._add_rewards(decision)
        self._end(terminal, after)
        mask = allowed(self.behavior_spec.action_spec, decision.action_mask, len(decision))
        lane = self._asking = self._assign_lanes(decision)
        if lane is self._every_lane:
            self._obs, self._mask = decision.obs, mask
            self._asked[:] = True
            return
        asks = lane != NO_LANE
        lane = lane[asks]
        self._obs = [_put(old, lane, new[asks]) for old, new in zip(self._obs, decision.obs, strict=True)]
        self._mask = tuple(_put(old, lane, new[asks]) for old, new in zip(self._mask, mask, strict=True))
        self._asked[lane] = True

    def _add_rewards(self, decision: DecisionSteps) -> None:
        """Add the rewards of decision steps, but not of episodes that began during this step."""
        counts = ~(self._terminated | self._truncated)
        if np.array_equal(decision.agent_id, self._agent):
            self._reward += decision.reward * counts
            self._group_reward += decision.group_reward * counts
            return
        lane = self._find(decision.agent_id)
        rows = np.flatnonzero((lane != NO_LANE) & counts[lane])
        self._reward[lane[rows]] += decision.reward[rows]
        self._group_reward[lane[rows]] += decision.group_reward[rows]

    def _end(self, terminal: TerminalSteps, rows: Array) -> None:
        """Store these ends; the loop runs once per agent that ended."""
        lanes = self._find(terminal.agent_id[rows]) if len(rows) else rows
        for row, lane in zip(rows.tolist(), lanes.tolist(), strict=True):
            if lane == NO_LANE:
                continue  # it never had a decision
            self._running[lane] = self._asked[lane] = False
            if lane in self._final:
                continue
            self._final[lane] = observation(self.behavior_spec, [column[row].copy() for column in terminal.obs])
            self._ended_agent[lane] = terminal.agent_id[row]
            self._reward[lane] += terminal.reward[row]
            self._group_reward[lane] += terminal.group_reward[row]
            self._truncated[lane] = terminal.interrupted[row]
            self._terminated[lane] = not terminal.interrupted[row]

    def _find(self, agent: Array) -> Array:
        """Return the (k,) lanes of agents, NO_LANE for those without one."""
        order = np.argsort(self._agent, kind="stable")
        place = order[np.minimum(np.searchsorted(self._agent, agent, sorter=order), self.num_envs - 1)]
        return np.where(self._agent[place] == agent, place, NO_LANE)

    def _assign_lanes(self, decision: DecisionSteps) -> Array:
        """Return the (k,) lanes of agents with decisions, NO_LANE for those whose episode is over already."""
        agent, over = decision.agent_id, ended_after_asking(decision)
        if not over.any() and np.array_equal(agent, self._agent):
            self._running[:] = True
            return self._every_lane
        lane = np.where(over, NO_LANE, self._find(agent))
        self._running[lane[lane != NO_LANE]] = True
        new = np.flatnonzero((lane == NO_LANE) & ~over)
        free = np.flatnonzero(~self._running)
        free = free[np.argsort(self._agent[free] != NO_AGENT, kind="stable")]  # first those that were never taken
        if len(new) > len(free):
            raise UnityGymException(
                f"{self.behavior_name}: agents {agent[new[len(free) :]].tolist()} find none of the {self.num_envs} "
                "lanes free: give a larger num_envs"
            )
        lane[new] = free = free[: len(new)]
        self._agent[free], self._running[free] = agent[new], True
        return self._every_lane if np.array_equal(lane, self._every_lane) else lane

    def _first_asking(self) -> int:
        """Return the number of agents in the first step with decisions."""
        for _ in range(self._patience):
            if n := int(np.sum(~ended_after_asking(self._env.get_steps(self.behavior_name)[0]))):
                return n
            self._env.step()
        raise UnityGymException(f"{self.behavior_name}: no agent requested an action in {self._patience} steps")

    def _see(self) -> Any:
        return observation(self.behavior_spec, self._obs)

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {"agent_id": self._agent.copy(), "group_reward": self._group_reward}
        if self._mask:
            info["action_mask"] = np.concatenate(self._mask, axis=1)
        if self._final:
            ended = self._ended_agent != NO_AGENT
            final = np.full(self.num_envs, None, object)
            for lane, seen in self._final.items():
                final[lane] = seen
            info.update(final_obs=final, _final_obs=ended, _final_info=ended.copy())
            info["final_info"] = {"agent_id": self._ended_agent, "_agent_id": ended.copy()}
        return info


def _put(old: Array, lane: Array, new: Array) -> Array:
    """Return `old` with the rows of these lanes replaced."""
    both: Array = old.copy()
    both[lane] = new
    return both
