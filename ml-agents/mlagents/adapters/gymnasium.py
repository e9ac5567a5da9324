"""Copies of a gymnasium environment as agents of one behavior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlagents.adapters.foreign import ForeignEnv, Report, check_copies
from mlagents.adapters.foreign_calls import after_reset, after_step, as_flag, as_reward, calling
from mlagents.adapters.spaces import action_mapping, encode_observation, forbidden_actions, sensors
from mlagents_envs.base_env import ActionTuple, BehaviorSpec
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.names import nearest

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

COPIES = 8


class GymnasiumEnv(ForeignEnv):
    """One agent per copy, whose id is the copy's number. When an episode ends, the next begins in the same step.

    A termination ends an agent, a truncation interrupts it. `info["action_mask"]`, 1 = allowed, is obeyed. An episode
    without a step yet is not restarted by `reset`, so one copy follows its seed as the environment itself would.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]],
        *,
        copies: int | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        """Wrap one environment, or `copies` (8 by default) of what a function makes.

        seed: of the first copy; copy i gets seed + i.
        name: of the behavior, by default the id without namespace and version.
        Raises UnityEnvironmentException for spaces that have no counterpart.
        """
        if callable(env):
            count = check_copies(copies, COPIES, "gym")
            known = (import_module("gymnasium.error").Error, ImportError)  # `make` explains these
            with calling(f"gym:{name or 'environment'}", "making it", but=known):
                self._envs = [env() for _ in range(count)]
        elif copies in (None, 1):
            self._envs = [env]
        else:
            raise UnityEnvironmentException(
                f"gym:{name or _name(env)}: copies is {copies}, but one environment was given; "
                "give a function that makes it"
            )
        name = name or _name(self._envs[0])
        super().__init__(f"gym:{name}")
        self.behavior = f"{name}?team=0"
        self.copies = len(self._envs)
        self._sensors = sensors(self._envs[0].observation_space, self.place)
        self._actions = action_mapping(self._envs[0].action_space, self.place)
        self._spec = BehaviorSpec([sensor.spec for sensor in self._sensors], self._actions.spec)
        self._specs[self.behavior] = self._spec
        self.set_seed(seed)

    @classmethod
    def make(cls, id: str, copies: int | None = None, *, seed: int = 0) -> GymnasiumEnv:
        """Return copies of the environment of this id, 8 by default.

        id: as gymnasium has it, with the module that registers it in front where needed (`module:Name-v0`). Raises
        UnityEnvironmentException, with near ids, for an unknown one, and if the environment cannot be made.
        """
        import gymnasium

        spec = check_id(id)
        check_copies(copies, COPIES, f"gym:{id}")
        try:
            return cls(
                partial(gymnasium.make, spec, disable_env_checker=True), copies=copies, seed=seed, name=spec.name
            )
        except (gymnasium.error.Error, ImportError) as error:
            raise UnityEnvironmentException(f"gym:{id}: it cannot be made: {error}") from error

    def set_seed(self, seed: int) -> None:
        self._seeds: list[int | None] = [seed + copy for copy in range(self.copies)]
        self._fresh: list[tuple[Any, Mapping[Any, Any]] | None] = [None] * self.copies  # episodes without a step yet

    def agent_name(self, agent: int) -> str:
        """Return the name of an agent in errors."""
        return f"copy {agent}"

    def close(self) -> None:
        for env in self._envs:
            env.close()

    # inside

    def _reset_all(self) -> Mapping[str, Report]:
        report = Report(self._spec)
        for copy in range(self.copies):
            self._begin_episode(copy, report)
        return {self.behavior: report}

    def _step_all(self, actions: Mapping[str, ActionTuple]) -> Mapping[str, Report]:
        report, given = Report(self._spec), actions[self.behavior]
        for copy, env in enumerate(self._envs):
            action = self._actions.decode(given.continuous[copy], given.discrete[copy])
            place = self._place(copy)
            with calling(place, "step()"):
                result = env.step(action)
            obs, reward, ended, cut, info = after_step(result, place)
            earned, terminated = as_reward(reward, place), as_flag(ended, "terminated", place)
            self._fresh[copy] = None
            if terminated or as_flag(cut, "truncated", place):
                last = encode_observation(self._sensors, obs, place)
                report.add_terminal(copy, last, reward=earned, interrupted=not terminated)
                self._begin_episode(copy, report)
            else:
                self._add_decision(copy, report, obs=obs, info=info, reward=earned)
        return {self.behavior: report}

    def _begin_episode(self, copy: int, report: Report) -> None:
        """Begin an episode in a copy and add its first decision."""
        fresh = self._fresh[copy]
        if fresh is None:
            with calling(self._place(copy), "reset()"):
                result = self._envs[copy].reset(seed=self._seeds[copy])
            fresh = self._fresh[copy] = after_reset(result, self._place(copy))
            self._seeds[copy] = None
        self._add_decision(copy, report, obs=fresh[0], info=fresh[1], reward=0.0)

    def _add_decision(self, copy: int, report: Report, *, obs: Any, info: Mapping[str, Any], reward: float) -> None:
        place = self._place(copy)
        mask = forbidden_actions(info.get("action_mask"), self._actions.spec, place)
        report.add_decision(copy, encode_observation(self._sensors, obs, place), reward=reward, forbidden=mask)

    def _place(self, copy: int) -> str:
        return f"{self.place}, copy {copy}"


def check_id(id: str) -> EnvSpec:
    """Return what gymnasium has registered under this id; makes nothing. Raises as `GymnasiumEnv.make` does."""
    import gymnasium

    module, _, name = id.rpartition(":")
    try:
        if module:
            import_module(module)
        return gymnasium.spec(name)
    except ImportError as error:
        raise UnityEnvironmentException(f"gym:{id}: module '{module}' cannot be imported: {error}") from error
    except gymnasium.error.Error as error:
        near = nearest(name, gymnasium.registry, n=3)
        guess = f"; did you mean {' or '.join(near)}?" if near else "; gymnasium.pprint_registry() lists all"
        raise UnityEnvironmentException(f"gym:{id}: gymnasium has no such environment{guess}") from error


def _name(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.name if env.spec is not None else type(env.unwrapped).__name__
