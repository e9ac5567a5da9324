"""PettingZoo environments as a `BaseEnv`: agents of the same type with equal spaces share a behavior."""

from __future__ import annotations

import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from mlagents.adapters.foreign import ForeignEnv, Report, check_copies
from mlagents.adapters.foreign_calls import after_reset, after_step, as_flag, as_reward, calling
from mlagents.adapters.spaces import (
    ActionMapping,
    Array,
    Sensor,
    action_mapping,
    encode_observation,
    entry,
    forbidden_actions,
    sensors,
    without_mask,
)
from mlagents_envs.base_env import ActionTuple, BehaviorSpec
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.names import nearest

if TYPE_CHECKING:
    from gymnasium.spaces import Space

Makes = Callable[[], Any]  # a ParallelEnv or an AECEnv
MOST_EMPTY = 10  # episodes in a row that begin without an agent


def agent_type(agent: str) -> str:
    """Return the agent's name without its number: `piston` of `piston_3`."""
    return re.sub(r"_\d+$", "", agent)


class AgentSpaces(NamedTuple):
    """An agent's spaces, and how they map to sensors and actions."""

    behavior: str
    obs_space: Space[Any]
    action_space: Space[Any]
    sensors: list[Sensor]
    actions: ActionMapping
    masked: bool  # is an observation a dict of observation and mask?


@dataclass
class EnvironmentCopy:
    """One copy of the environment, and its agents."""

    env: Any  # a ParallelEnv
    place: str  # its name in errors
    seed: int | None = None  # of the next reset
    ids: dict[str, int] = field(default_factory=dict)  # of all agents so far, by name
    agent: dict[str, int] = field(default_factory=dict)  # ids of present agents by name, in order of decisions
    obs: dict[str, Any] = field(default_factory=dict)  # last observation of each
    spaces: dict[str, AgentSpaces] = field(default_factory=dict)
    fresh: tuple[Any, Mapping[Any, Any]] | None = None  # of an episode without a step yet


class PettingZooEnv(ForeignEnv):
    """One agent per agent of each copy. When all have ended, the next episode begins in the same step.

    A termination ends an agent, a truncation interrupts it, as does vanishing without either. Masks, 1 = allowed, are
    read from observations of {"observation", "action_mask"} and in infos. Rewards are each agent's own. Agents of a
    type whose spaces differ make behaviors `type`, `type_2` and so on. An episode without a step yet is
    not restarted by `reset`.
    """

    def __init__(
        self,
        env: Any,
        *,
        copies: int | None = None,
        seed: int = 0,
        name: str | None = None,
        type_of: Callable[[str], str] = agent_type,
    ) -> None:
        """Wrap a ParallelEnv or a parallelizable AECEnv, or `copies` (1 by default) of what a function makes.

        seed: of the first copy; copy i gets seed + i.
        type_of: an agent's name -> that of its behavior, without the team.
        Raises UnityEnvironmentException for spaces that have no counterpart.
        """
        if callable(env):
            count = check_copies(copies, 1, "pettingzoo")
            with calling(f"pettingzoo:{name or 'environment'}", "making it", but=(ImportError,)):
                envs = [env() for _ in range(count)]
        elif copies in (None, 1):
            envs = [env]
        else:
            raise UnityEnvironmentException(
                f"pettingzoo:{name or env}: copies is {copies}, but one environment was given; "
                "give a function that makes it"
            )
        super().__init__(f"pettingzoo:{name or envs[0]}")
        self._type_of = type_of
        self._next_id = 0
        self._environments = [
            EnvironmentCopy(_parallel(made, self.place), f"{self.place}, copy {copy}") for copy, made in enumerate(envs)
        ]
        self.set_seed(seed)
        for environment in self._environments:
            for agent in getattr(environment.env, "possible_agents", ()):  # otherwise agents are found as they appear
                self._spaces(environment, agent)

    @classmethod
    def make(cls, module: str, copies: int | None = None, *, seed: int = 0) -> PettingZooEnv:
        """Return copies, one by default, of what a module such as `pettingzoo.butterfly.pistonball_v6` makes.

        Raises UnityEnvironmentException if there is no such module or it makes no environment that can be used.
        """
        makes = check_module(module)
        check_copies(copies, 1, f"pettingzoo:{module}")
        try:
            return cls(makes, copies=copies, seed=seed, name=module.rpartition(".")[2])
        except ImportError as error:
            raise UnityEnvironmentException(f"pettingzoo:{module}: it cannot be made: {error}") from error

    def set_seed(self, seed: int) -> None:
        for copy, environment in enumerate(self._environments):
            environment.seed, environment.fresh = seed + copy, None

    def agent_name(self, agent: int) -> str:
        """Return the name of an agent in errors."""
        found = (f"'{name}' of copy {copy}" for copy, environment in enumerate(self._environments)
                 for name, own in environment.ids.items() if own == agent)  # fmt: skip
        return next(found, "of no copy")

    def close(self) -> None:
        for environment in self._environments:
            environment.env.close()

    # inside

    def _reset_all(self) -> Mapping[str, Report]:
        reports: dict[str, Report] = {}
        for environment in self._environments:
            self._begin_episode(environment, reports)
        return reports

    def _step_all(self, actions: Mapping[str, ActionTuple]) -> Mapping[str, Report]:
        reports: dict[str, Report] = {}
        row: Counter[str] = Counter()
        for environment in self._environments:
            env_actions = {}
            for name in environment.agent:
                spaces = environment.spaces[name]
                given, here = actions[spaces.behavior], row[spaces.behavior]
                env_actions[name] = spaces.actions.decode(given.continuous[here], given.discrete[here])
                row[spaces.behavior] += 1
            self._step_copy(environment, reports, env_actions)
        return reports

    def _begin_episode(self, environment: EnvironmentCopy, reports: dict[str, Report]) -> None:
        if environment.fresh is None:
            environment.fresh = self._new_episode(environment)
        obs, infos = environment.fresh
        environment.agent, environment.obs = {name: self._id(environment, name) for name in environment.env.agents}, {}
        for name in environment.agent:
            self._add_decision(environment, reports, name=name, obs=obs, info=infos.get(name, {}), reward=0.0)

    def _new_episode(self, environment: EnvironmentCopy) -> tuple[Any, Mapping[Any, Any]]:
        """Return the result of `reset`; episodes without agents are skipped."""
        for _ in range(MOST_EMPTY):
            with calling(environment.place, "reset()"):
                result = environment.env.reset(seed=environment.seed)
            environment.seed = None
            fresh = after_reset(result, environment.place)
            if environment.env.agents:
                return fresh
        raise UnityEnvironmentException(
            f"{environment.place}: {MOST_EMPTY} episodes in a row began without an agent; let reset() fill `agents`"
        )

    def _step_copy(
        self, environment: EnvironmentCopy, reports: dict[str, Report], env_actions: Mapping[str, Any]
    ) -> None:
        environment.fresh = None
        with calling(environment.place, "step()"):
            result = environment.env.step(env_actions)
        obs, reward, ended, cut, infos = after_step(result, environment.place)
        terminated = {name: as_flag(flag, f"terminated of '{name}'", environment.place) for name, flag in ended.items()}
        truncated = {name: as_flag(flag, f"truncated of '{name}'", environment.place) for name, flag in cut.items()}
        earned = {name: as_reward(given, f"{environment.place}, agent '{name}'") for name, given in reward.items()}
        stay = [name for name in environment.env.agents if not (terminated.get(name) or truncated.get(name))]
        for name, agent in environment.agent.items():
            if name not in stay:
                spaces = environment.spaces[name]
                last = self._encode(spaces, obs.get(name, environment.obs[name]), environment.place)
                interrupted = not terminated.get(name)
                self._report(reports, spaces).add_terminal(
                    agent, last, reward=earned.get(name, 0.0), interrupted=interrupted
                )
        environment.agent = {name: self._id(environment, name) for name in stay}
        for name in stay:
            info, reward_now = infos.get(name, {}), earned.get(name, 0.0)
            self._add_decision(environment, reports, name=name, obs=obs, info=info, reward=reward_now)
        if not stay:
            self._begin_episode(environment, reports)

    def _id(self, environment: EnvironmentCopy, name: str) -> int:
        """Return the id of an agent of this copy, a new one where it has none yet."""
        if name not in environment.ids:
            environment.ids[name], self._next_id = self._next_id, self._next_id + 1
        return environment.ids[name]

    def _add_decision(
        self, environment: EnvironmentCopy, reports: dict[str, Report], *, name: str, obs: Any,
        info: Mapping[str, Any], reward: float,
    ) -> None:  # fmt: skip
        """Add the decision of an agent; obs: the observations of all agents of the copy."""
        spaces = self._spaces(environment, name)
        place = f"{environment.place}, agent '{name}'"
        if name not in obs:
            raise UnityEnvironmentException(
                f"{place}: it is in `agents`, but has no observation; let reset() and step() return one"
            )
        environment.obs[name] = own = obs[name]
        mask = entry(own, "action_mask", place) if spaces.masked else info.get("action_mask")
        self._report(reports, spaces).add_decision(
            environment.agent[name], self._encode(spaces, own, place), reward=reward,
            forbidden=forbidden_actions(mask, spaces.actions.spec, place),
        )  # fmt: skip

    def _encode(self, spaces: AgentSpaces, obs: Any, place: str) -> list[Array]:
        return encode_observation(spaces.sensors, entry(obs, "observation", place) if spaces.masked else obs, place)

    def _report(self, reports: dict[str, Report], spaces: AgentSpaces) -> Report:
        if spaces.behavior not in reports:
            reports[spaces.behavior] = Report(self._specs[spaces.behavior])
        return reports[spaces.behavior]

    def _spaces(self, environment: EnvironmentCopy, name: str) -> AgentSpaces:
        """Return the spaces of an agent; computed again when the environment returns other ones."""
        obs_space, action_space = environment.env.observation_space(name), environment.env.action_space(name)
        spaces = environment.spaces.get(name)
        if spaces is None or spaces.obs_space is not obs_space or spaces.action_space is not action_space:
            observed, masked = without_mask(obs_space)
            place = f"{self.place}, agent '{name}'"
            parts, mapping = sensors(observed, place), action_mapping(action_space, place)
            spec = BehaviorSpec([part.spec for part in parts], mapping.spec)
            behavior = self._behavior(self._type_of(str(name)), spec)
            spaces = AgentSpaces(behavior, obs_space, action_space, parts, mapping, masked)
            environment.spaces[name] = spaces
        return spaces

    def _behavior(self, kind: str, spec: BehaviorSpec) -> str:
        """Return the behavior of this type and specification; a new one if there is none yet."""
        name, number = kind, 1
        while self._specs.setdefault(f"{name}?team=0", spec) != spec:
            number += 1
            name = f"{kind}_{number}"
        return f"{name}?team=0"


def check_module(module: str) -> Makes:
    """Return the function that makes the environment; makes nothing. Raises as `PettingZooEnv.make` does."""
    place = f"pettingzoo:{module}"
    if not all(part.isidentifier() for part in module.split(".")):
        raise UnityEnvironmentException(
            f"{place}: that is no module name; an example is pettingzoo.butterfly.pistonball_v6"
        )
    try:
        found = import_module(module)
    except ImportError as error:
        raise UnityEnvironmentException(f"{place}: {_why_missing(module, error)}") from error
    makes: Makes | None = getattr(found, "parallel_env", getattr(found, "env", None))
    if makes is None:
        raise UnityEnvironmentException(f"{place}: the module has neither parallel_env nor env to make one")
    return makes


def _parallel(env: Any, place: str) -> Any:
    """Return the environment as one in which all agents act at once."""
    if not hasattr(env, "agent_iter"):
        return env
    if not env.metadata.get("is_parallelizable"):
        raise UnityEnvironmentException(
            f"{place}: its agents act in turn; only parallelizable environments can be used"
        )
    from pettingzoo.utils.conversions import aec_to_parallel

    return aec_to_parallel(env)


def _why_missing(module: str, error: ImportError) -> str:
    if error.name == "pettingzoo":
        return 'PettingZoo is not installed: pip install "mlagents-envs[pettingzoo]"'
    if error.name != module:
        return f"it cannot be imported: {error}"
    package, _, name = module.rpartition(".")
    path = getattr(import_module(package), "__path__", None) if package else None
    near = nearest(name, [found.name for found in pkgutil.iter_modules(path or [])], n=3)
    return "there is no such module" + (f"; did you mean {' or '.join(near)}?" if near else "")
