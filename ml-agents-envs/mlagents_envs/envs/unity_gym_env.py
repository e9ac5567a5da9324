"""An environment with one agent as a `gymnasium.Env`."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mlagents_envs.base_env import ActionTuple, Array, BaseEnv, DecisionSteps, TerminalSteps
from mlagents_envs.envs.faces import PATIENCE, UnityGymException, begin, choose_behavior
from mlagents_envs.envs.spaces import action_columns, action_space, allowed, sample_mask
from mlagents_envs.ticks import ended_after_asking, order_ends

__all__ = ["ActionFlattener", "UnityGymException", "UnityToGymWrapper"]


_ONE_AGENT = "but a gymnasium.Env has one: use UnityVectorEnv, or make the environment with one agent"


class UnityToGymWrapper(gymnasium.Env[Any, Any]):
    """One agent of the only behavior. An episode that a limit ended is truncated, any other end terminates it.

    The agent may keep its id over episodes or get a new one. Rewards before the first observation of an episode are
    dropped.

    Images (sensors of rank 3) stay channels first; vectors (rank 1) are concatenated and come last; sensors of rank
    2 are left out. The first of these is the observation, or with `allow_multiple_obs` the tuple of all.

    `info["action_mask"]` has what `action_space.sample(mask=...)` takes, 1 = allowed, wherever there are discrete
    actions; `info["group_reward"]` the reward of the agent's group; `info["step"]` the row behind
    the answer, a DecisionSteps or TerminalSteps, which `steps` holds too.
    """

    metadata = {
        "render_modes": ["rgb_array"],
        "render_fps": 10,  # most scenes decide in every fifth of 50 physics steps a second
    }

    def __init__(
        self,
        unity_env: BaseEnv,
        uint8_visual: bool = False,
        flatten_branched: bool = False,
        allow_multiple_obs: bool = False,
        action_space_seed: int | None = None,
        *,
        render_mode: str | None = None,
    ) -> None:
        """Take over the environment; it is closed with this one.

        uint8_visual: images are 0..255 uint8 instead of 0..1 float32.
        flatten_branched: several branches become one Discrete, the last branch fastest.
        render_mode: "rgb_array" lets `render` return the first image that the agent last saw.
        Raises UnityGymException for several behaviors or agents, and where there is nothing to see or to show.
        """
        self._env = unity_env
        self.name, self.group_spec = choose_behavior(unity_env)
        shapes = [sensor.shape for sensor in self.group_spec.observation_specs]
        self._images = [index for index, shape in enumerate(shapes) if len(shape) == 3]
        self._vectors = [index for index, shape in enumerate(shapes) if len(shape) == 1]
        self.uint8_visual = uint8_visual
        self.render_mode = self._possible(render_mode)
        self._allow_multiple_obs = allow_multiple_obs
        self.observation_space = self._observation_space()

        spec = self.group_spec.action_spec
        self.action_size = spec.continuous_size or spec.discrete_size
        flat = flatten_branched and spec.is_discrete() and spec.discrete_size > 1
        self._flattener = ActionFlattener(spec.discrete_branches) if flat else None
        self.action_space = self._flattener.action_space if self._flattener else action_space(spec)
        self.action_space.seed(action_space_seed)

        self.visual_obs: Array | None = None  # (channels, height, width) float32, of the last observation
        self.game_over = False
        self.steps: DecisionSteps | TerminalSteps
        self._agent = 0  # id of the agent in this episode
        self._start(None)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:  # fmt: skip
        """Begin a new episode; the seed is for environments that have `set_seed`. There are no options."""
        super().reset(seed=seed)
        return self._start(seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Act, and step until the agent requests its next action or its episode ends.

        Raises UnityGymException after an end, and for an action that the space does not contain.
        """
        if self.game_over:
            raise UnityGymException(f"{self.name}: the episode has ended: call reset() before step()")
        self._env.set_actions(self.name, self._columns(action))
        self._env.step()
        steps, reward, group_reward = self._follow()
        seen, info = self._see(steps), self._info(steps, group_reward)
        if isinstance(steps, DecisionSteps):
            return seen, reward, False, False, info
        self.game_over = True
        interrupted = bool(steps.interrupted[0])
        return seen, reward, not interrupted, interrupted, info

    def render(self) -> Any:
        """Return the first image of the last observation as (height, width, 3) uint8 in mode "rgb_array", else None.

        More than three channels are stacked images, of which the last three are the newest; one or two are gray.
        """
        if self.render_mode is None or self.visual_obs is None:
            return None
        channels = self.visual_obs[-3:] if len(self.visual_obs) >= 3 else self.visual_obs[[-1, -1, -1]]
        return _bytes(np.moveaxis(channels, 0, -1))

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    # internals

    def _start(self, seed: int | None) -> tuple[Any, dict[str, Any]]:
        begin(self._env, seed)
        self.game_over = False
        steps = self._first_decision()
        self._agent = int(steps.agent_id[0])
        return self._see(steps), self._info(steps, 0.0)

    def _first_decision(self) -> DecisionSteps:
        """Return the first decision step of an episode, stepping until there is one."""
        for _ in range(PATIENCE):
            decision, _ = self._read_steps()
            if len(decision) and not ended_after_asking(decision)[0]:
                return decision
            self._env.step()
        raise self._no_decision()

    def _follow(self) -> tuple[DecisionSteps | TerminalSteps, float, float]:
        """Return the agent's next decision or terminal step, with the rewards of it and its group until then."""
        reward = group_reward = 0.0
        for _ in range(PATIENCE):
            decision, terminal = self._read_steps()
            before, after = (rows[terminal.agent_id[rows] == self._agent] for rows in order_ends(decision, terminal))
            asks = len(decision) and not len(before)
            if asks and decision.agent_id[0] != self._agent:
                raise UnityGymException(
                    f"{self.name}: agents {self._agent} and {decision.agent_id[0]} both request actions, {_ONE_AGENT}"
                )
            if asks:
                reward, group_reward = float(decision.reward[0]), float(decision.group_reward[0])
            if len(ends := before if len(before) else after):
                last = _row(terminal, int(ends[0]))
                return last, reward + float(last.reward[0]), group_reward + float(last.group_reward[0])
            if asks:
                return decision, reward, group_reward
            self._env.step()
        raise self._no_decision()

    def _read_steps(self) -> tuple[DecisionSteps, TerminalSteps]:
        decision, terminal = self._env.get_steps(self.name)
        if len(decision) > 1:
            raise UnityGymException(f"{self.name}: {len(decision)} agents request actions, {_ONE_AGENT}")
        return decision, terminal

    def _no_decision(self) -> UnityGymException:
        return UnityGymException(
            f"{self.name}: no agent requested an action in {PATIENCE} steps: does the scene have one?"
        )

    def _columns(self, action: Any) -> ActionTuple:
        spec = self.group_spec.action_spec
        if self._flattener is not None:
            if not self.action_space.contains(action):
                raise UnityGymException(f"{self.name}: {action!r} is no action; give one of {self.action_space}")
            action = self._flattener.lookup_action(int(action))
        return action_columns(spec, action, n=1, who=self.name)

    def _info(self, steps: DecisionSteps | TerminalSteps, group_reward: float) -> dict[str, Any]:
        self.steps = steps
        info: dict[str, Any] = {"step": _without_id(steps), "group_reward": group_reward}
        spec = self.group_spec.action_spec
        if isinstance(steps, DecisionSteps) and spec.discrete_size:
            masks = steps.action_mask
            branches = allowed(spec, None if masks is None else [branch[0] for branch in masks])
            flat = self._flattener is not None
            info["action_mask"] = reduce(np.multiply.outer, branches).ravel() if flat else sample_mask(spec, branches)
        return info

    def _see(self, steps: DecisionSteps | TerminalSteps) -> Any:
        images = [steps.obs[index][0] for index in self._images]
        if images:
            self.visual_obs = images[0]
        seen = [_bytes(image) for image in images] if self.uint8_visual else images
        if self._vectors:
            seen.append(np.concatenate([steps.obs[index][0] for index in self._vectors]))
        return tuple(seen) if self._allow_multiple_obs else seen[0]

    def _observation_space(self) -> spaces.Space[Any]:
        shapes = [sensor.shape for sensor in self.group_spec.observation_specs]
        high, kind = (255, np.uint8) if self.uint8_visual else (1, np.float32)
        boxes: list[spaces.Space[Any]] = [spaces.Box(0, high, shapes[index], kind) for index in self._images]
        if self._vectors:
            size = sum(shapes[index][0] for index in self._vectors)
            boxes.append(spaces.Box(-np.inf, np.inf, (size,), np.float32))
        if not boxes:
            raise UnityGymException(f"{self.name}: there is no sensor of rank 1 or 3 among the shapes {shapes}")
        if self.uint8_visual and not self._images:
            gymnasium.logger.warn(f"{self.name}: uint8_visual has no effect, for there is no image")
        if len(boxes) > 1 and not self._allow_multiple_obs:
            gymnasium.logger.warn(f"{self.name}: only the first of {len(boxes)} observations is used; "
                                  "allow_multiple_obs=True gives all")  # fmt: skip
        return spaces.Tuple(boxes) if self._allow_multiple_obs else boxes[0]

    def _possible(self, render_mode: str | None) -> str | None:
        if render_mode not in (None, "rgb_array"):
            raise UnityGymException(f"render_mode is {render_mode!r}; it must be 'rgb_array' or None")
        if render_mode is not None and not self._images:
            raise UnityGymException(
                f"{self.name}: render_mode is {render_mode!r}, but there is no image to show: omit it"
            )
        return render_mode


class _AnyDecision(DecisionSteps):
    """A decision step whose comparison ignores the agent's id, since an agent may get a new one."""

    def compared(self) -> list[Array]:
        return [column for column in super().compared() if column is not self.agent_id]


class _AnyTerminal(TerminalSteps):
    """A terminal step whose comparison ignores the agent's id."""

    def compared(self) -> list[Array]:
        return [column for column in super().compared() if column is not self.agent_id]


def _without_id(steps: DecisionSteps | TerminalSteps) -> DecisionSteps | TerminalSteps:
    if isinstance(steps, DecisionSteps):
        return _AnyDecision(
            steps.obs, steps.reward, steps.agent_id, steps.action_mask, steps.group_id, steps.group_reward
        )
    return _AnyTerminal(steps.obs, steps.reward, steps.interrupted, steps.agent_id, steps.group_id, steps.group_reward)


class ActionFlattener:
    """Numbers the combinations of several branches, the last branch fastest."""

    def __init__(self, branched_action_space: tuple[int, ...]) -> None:
        combinations = product(*(range(size) for size in branched_action_space))
        self.action_lookup = {number: list(choices) for number, choices in enumerate(combinations)}
        self.action_space = spaces.Discrete(len(self.action_lookup))

    def lookup_action(self, action: int) -> list[int]:
        """Return the choice in each branch."""
        return self.action_lookup[action]


def _row(steps: TerminalSteps, i: int) -> TerminalSteps:
    at = slice(i, i + 1)
    return TerminalSteps(
        [column[at] for column in steps.obs], steps.reward[at], steps.interrupted[at], steps.agent_id[at],
        steps.group_id[at], steps.group_reward[at],
    )  # fmt: skip


def _bytes(image: Array) -> Array:
    """Return numbers in 0..1 as 0..255."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
