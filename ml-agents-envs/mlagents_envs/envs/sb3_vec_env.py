"""The agents of one behavior as the environments of a Stable-Baselines3 `VecEnv`. n is their number."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from gymnasium import Wrapper, spaces

from mlagents_envs.base_env import Array, BaseEnv
from mlagents_envs.envs.faces import PATIENCE, UnityGymException
from mlagents_envs.envs.one_behavior import OneBehavior
from mlagents_envs.envs.unity_vector_env import UnityVectorEnv
from mlagents_envs.examples.catalog import make

if find_spec("stable_baselines3") is None:
    raise ModuleNotFoundError(
        "mlagents_envs.envs.sb3_vec_env needs stable-baselines3, which is not installed: "
        'pip install "mlagents-envs[sb3]"',
        name="stable_baselines3",
    )
from stable_baselines3.common.vec_env import VecEnv

Indices = None | int | Iterable[int]


class SB3VecEnv(VecEnv):
    """Each agent is one of n environments, as the lanes of `UnityVectorEnv` are.

    Where an episode ends, the observation is already that of the next one. `infos[i]` has then what the ended one saw
    last as "terminal_observation", and as "TimeLimit.truncated" whether a limit cut it: learners bootstrap there. What
    an agent's group was given is `infos[i]["group_reward"]`, where it is not 0.

    `env_method("action_masks")` returns one (sum of branches,) bool per agent, True = allowed, as MaskablePPO of
    sb3-contrib asks for it. A seed of the learner reaches environments that have `set_seed` with the next reset.
    """

    def __init__(
        self, env: BaseEnv | str, behavior_name: str | None = None, *, num_envs: int | None = None,
        patience: int = PATIENCE,
    ) -> None:  # fmt: skip
        """Take over the environment; it is closed with this one.

        env: the name of an example scene means all agents of Unity's own.
        behavior_name: may be left out if there is only one, and in scenes like WallJump, whose agents play several.
        num_envs: n; as many as first ask together if None.
        patience: steps of the environment in which every agent must ask.
        Raises UnityGymException where there is no such behavior, and for actions of both kinds.
        """
        if isinstance(env, str):
            example = make(env)
            env = OneBehavior(example) if behavior_name is None and len(example.BEHAVIORS) > 1 else example
        self._lanes = UnityVectorEnv(env, behavior_name, num_envs=num_envs, patience=patience)
        if isinstance(self._lanes.single_action_space, spaces.Tuple):
            raise UnityGymException(
                f"{self._lanes.behavior_name}: it takes continuous and discrete actions together, for which "
                "Stable-Baselines3 has no policy; train it with mlagents-learn"
            )
        self._actions: Any = None
        choices = sum(self._lanes.behavior_spec.action_spec.discrete_branches)
        self._masks = np.ones((self._lanes.num_envs, choices), bool)
        super().__init__(self._lanes.num_envs, self._lanes.single_observation_space, self._lanes.single_action_space)

    def reset(self) -> Any:
        """Begin new episodes everywhere, and return what all agents see: (n, *shape), or a dict of these."""
        obs, info = self._lanes.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._note_masks(info)
        return obs

    def step_async(self, actions: Array) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, Array, Array, list[dict[str, Any]]]:
        """Act; return observations, rewards (n,), dones (n,) and infos."""
        obs, reward, terminated, truncated, info = self._lanes.step(self._actions)
        self._note_masks(info)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(done).tolist():  # turns once per episode that ended
            infos[lane]["terminal_observation"] = info["final_obs"][lane]
            infos[lane]["TimeLimit.truncated"] = bool(truncated[lane])
        for lane in np.flatnonzero(info["group_reward"]).tolist():
            infos[lane]["group_reward"] = float(info["group_reward"][lane])
        return obs, reward, done, infos

    def close(self) -> None:
        """Close the environment."""
        self._lanes.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return `render_mode`, which is None, or `action_masks` where there are discrete actions, of each agent."""
        if attr_name == "render_mode":
            return [None for _ in self._get_indices(indices)]
        if attr_name == "action_masks" and self._masks.shape[1]:
            return [partial(self._mask, lane) for lane in self._get_indices(indices)]
        raise AttributeError(f"{self._lanes.behavior_name}: an agent has no attribute {attr_name!r}")

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Raises AttributeError: agents of one environment have nothing that could be set."""
        raise AttributeError(f"{self._lanes.behavior_name}: an agent has no attribute {attr_name!r} that could be set")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:  # fmt: skip
        """Call `action_masks` of each agent; there is no other method."""
        return [method(*method_args, **method_kwargs) for method in self.get_attr(method_name, indices)]

    def env_is_wrapped(self, wrapper_class: type[Wrapper[Any, Any, Any, Any]], indices: Indices = None) -> list[bool]:
        """Return False for each: no lane has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def _mask(self, lane: int) -> Array:
        row: Array = self._masks[lane]
        return row

    def _note_masks(self, info: dict[str, Any]) -> None:
        if "action_mask" in info:
            self._masks = info["action_mask"].astype(bool)
