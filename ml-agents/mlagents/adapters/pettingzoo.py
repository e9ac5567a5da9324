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
from mlagents.adapters.spaces import Actions, Array, Sensor, actions, entry, forbidden, see, sensors, without_mask
from mlagents_envs.base_env import ActionTuple, BehaviorSpec
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.names import nearest

if TYPE_CHECKING:
    from gymnasium.spaces import Space

Makes = Callable[[], Any]  # a ParallelEnv or an AECEnv
MOST_EMPTY = 10  # episodes in a row that begin without an agent


def agent_type(agent: str) -> str:
    """Return what stands before the number of an agent: `piston` of `piston_3`."""
    return re.sub(r"_\d+$", "", agent)


class Body(NamedTuple):
    """What an agent of certain spaces sees and does."""

    behavior: str
    seen: Space[Any]
    acts: Space[Any]
    sensors: list[Sensor]
    actions: Actions
    masked: bool  # is an observation a dict of observation and mask?


@dataclass
class World:
    """One copy of the environment, and who lives in it."""

    env: Any  # a ParallelEnv
    place: str  # how it is called in errors
    seed: int | None = None  # of the next reset
    ids: dict[str, int] = field(default_factory=dict)  # of all agents that ever were, by name
    agent: dict[str, int] = field(default_factory=dict)  # the living by name, in the order in which they asked
    seen: dict[str, Any] = field(default_factory=dict)  # what each of them last saw
    body: dict[str, Body] = field(default_factory=dict)
    fresh: tuple[Any, Mapping[Any, Any]] | None = None  # an episode that nobody has played yet


class PettingZooEnv(ForeignEnv):
    """One agent per agent of each copy. When all have gone, the next episode begins in the same step.

    A termination ends an agent, a truncation interrupts it, as does vanishing without either. Masks, 1 = allowed, are
    obeyed in observations of {"observation", "action_mask"} and in infos. Rewards are each agent's own. Agents of a
    type whose spaces differ make behaviors `type`, `type_2` and so on. An episode that nobody has played yet is not
    begun again by `reset`.
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
        """Take over a ParallelEnv, an AECEnv that can be played in parallel, or as many as a function is to make.

        copies: one if not said.
        seed: of the first copy; those of the others follow one by one.
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
        self._ids = 0  # that were given
        self._worlds = [
            World(_parallel(made, self.place), f"{self.place}, copy {copy}") for copy, made in enumerate(envs)
        ]
        self.set_seed(seed)
        for world in self._worlds:
            for agent in getattr(world.env, "possible_agents", ()):  # those of other environments show up as they play
                self._body(world, agent)

    @classmethod
    def make(cls, module: str, copies: int | None = None, *, seed: int = 0) -> PettingZooEnv:
        """Return copies, one if not said, of what a module such as `pettingzoo.butterfly.pistonball_v6` makes.

        Raises UnityEnvironmentException if there is no such module or it makes no environment that can be used.
        """
        makes = check_module(module)
        check_copies(copies, 1, f"pettingzoo:{module}")
        try:
            return cls(makes, copies=copies, seed=seed, name=module.rpartition(".")[2])
        except ImportError as error:
            raise UnityEnvironmentException(f"pettingzoo:{module}: it cannot be made: {error}") from error

    def set_seed(self, seed: int) -> None:
        for copy, world in enumerate(self._worlds):
            world.seed, world.fresh = seed + copy, None

    def agent_name(self, agent: int) -> str:
        """Return how a sentence calls an agent."""
        found = (f"'{name}' of copy {copy}" for copy, world in enumerate(self._worlds)
                 for name, own in world.ids.items() if own == agent)  # fmt: skip
        return next(found, "of no copy")

    def close(self) -> None:
        for world in self._worlds:
            world.env.close()

    # inside

    def _begin(self) -> Mapping[str, Report]:
        reports: dict[str, Report] = {}
        for world in self._worlds:
            self._begin_in(world, reports)
        return reports

    def _play(self, answers: Mapping[str, ActionTuple]) -> Mapping[str, Report]:
        reports: dict[str, Report] = {}
        row: Counter[str] = Counter()
        for world in self._worlds:
            acts = {}
            for name in world.agent:
                body = world.body[name]
                answer, here = answers[body.behavior], row[body.behavior]
                acts[name] = body.actions.decode(answer.continuous[here], answer.discrete[here])
                row[body.behavior] += 1
            self._play_in(world, reports, acts)
        return reports

    def _begin_in(self, world: World, reports: dict[str, Report]) -> None:
        if world.fresh is None:
            world.fresh = self._new_episode(world)
        seen, infos = world.fresh
        world.agent, world.seen = {name: self._id(world, name) for name in world.env.agents}, {}
        for name in world.agent:
            self._ask(world, reports, name=name, seen=seen, info=infos.get(name, {}), reward=0.0)

    def _new_episode(self, world: World) -> tuple[Any, Mapping[Any, Any]]:
        """Return what agents see as an episode begins; one without agents is over, and the next begins."""
        for _ in range(MOST_EMPTY):
            with calling(world.place, "reset()"):
                result = world.env.reset(seed=world.seed)
            world.seed = None
            fresh = after_reset(result, world.place)
            if world.env.agents:
                return fresh
        raise UnityEnvironmentException(
            f"{world.place}: {MOST_EMPTY} episodes in a row began without an agent; let reset() fill `agents`"
        )

    def _play_in(self, world: World, reports: dict[str, Report], acts: Mapping[str, Any]) -> None:
        world.fresh = None
        with calling(world.place, "step()"):
            result = world.env.step(acts)
        seen, reward, ended, cut, infos = after_step(result, world.place)
        terminated = {name: as_flag(flag, f"terminated of '{name}'", world.place) for name, flag in ended.items()}
        truncated = {name: as_flag(flag, f"truncated of '{name}'", world.place) for name, flag in cut.items()}
        earned = {name: as_reward(given, f"{world.place}, agent '{name}'") for name, given in reward.items()}
        stay = [name for name in world.env.agents if not (terminated.get(name) or truncated.get(name))]
        for name, agent in world.agent.items():
            if name not in stay:
                body = world.body[name]
                last = self._see(body, seen.get(name, world.seen[name]), world.place)
                interrupted = not terminated.get(name)
                self._report(reports, body).ends(
                    agent, last, reward=earned.get(name, 0.0), interrupted=interrupted
                )
        world.agent = {name: self._id(world, name) for name in stay}
        for name in stay:
            got = earned.get(name, 0.0)
            self._ask(world, reports, name=name, seen=seen, info=infos.get(name, {}), reward=got)
        if not stay:
            self._begin_in(world, reports)

    def _id(self, world: World, name: str) -> int:
        """Return the id of an agent of this copy, a new one where it has none yet."""
        if name not in world.ids:
            world.ids[name], self._ids = self._ids, self._ids + 1
        return world.ids[name]

    def _ask(
        self, world: World, reports: dict[str, Report], *, name: str, seen: Any, info: Mapping[str, Any], reward: float
    ) -> None:
        """Let an agent ask; seen: what each of them sees."""
        body = self._body(world, name)
        place = f"{world.place}, agent '{name}'"
        if name not in seen:
            raise UnityEnvironmentException(f"{place}: it is among the agents, but is shown no observation")
        world.seen[name] = own = seen[name]
        mask = entry(own, "action_mask", place) if body.masked else info.get("action_mask")
        self._report(reports, body).asks(
            world.agent[name], self._see(body, own, place), reward=reward,
            forbidden=forbidden(mask, body.actions.spec, place),
        )  # fmt: skip

    def _see(self, body: Body, seen: Any, place: str) -> list[Array]:
        return see(body.sensors, entry(seen, "observation", place) if body.masked else seen, place)

    def _report(self, reports: dict[str, Report], body: Body) -> Report:
        if body.behavior not in reports:
            reports[body.behavior] = Report(self._specs[body.behavior])
        return reports[body.behavior]

    def _body(self, world: World, name: str) -> Body:
        """Return what an agent sees and does; worked out again where its spaces are others than before."""
        seen, acts = world.env.observation_space(name), world.env.action_space(name)
        body = world.body.get(name)
        if body is None or body.seen is not seen or body.acts is not acts:
            shown, masked = without_mask(seen)
            place = f"{self.place}, agent '{name}'"
            parts, can = sensors(shown, place), actions(acts, place)
            behavior = self._behavior(self._type_of(str(name)), BehaviorSpec([part.spec for part in parts], can.spec))
            body = world.body[name] = Body(behavior, seen, acts, parts, can, masked)
        return body

    def _behavior(self, kind: str, spec: BehaviorSpec) -> str:
        """Return the behavior of this type and specification, a new one where there is none."""
        name, number = kind, 1
        while self._specs.setdefault(f"{name}?team=0", spec) != spec:
            number += 1
            name = f"{kind}_{number}"
        return f"{name}?team=0"


def check_module(module: str) -> Makes:
    """Return the function that makes the environment; makes nothing. Raises as `PettingZooEnv.make` does."""
    place = f"pettingzoo:{module}"
    if not all(part.isidentifier() for part in module.split(".")):
        raise UnityEnvironmentException(f"{place}: that names no module; pettingzoo.butterfly.pistonball_v6 would")
    try:
        found = import_module(module)
    except ImportError as error:
        raise UnityEnvironmentException(f"{place}: {_why_missing(module, error)}") from error
    makes: Makes | None = getattr(found, "parallel_env", getattr(found, "env", None))
    if makes is None:
        raise UnityEnvironmentException(f"{place}: the module has neither parallel_env nor env to make one")
    return makes


def _parallel(env: Any, place: str) -> Any:
    """Return an environment in which all agents act at once."""
    if not hasattr(env, "agent_iter"):
        return env
    if not env.metadata.get("is_parallelizable"):
        raise UnityEnvironmentException(
            f"{place}: its agents act strictly in turn; only environments that can be played in parallel can be used"
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
