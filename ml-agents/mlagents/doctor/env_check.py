"""Checks of a configuration and of its environment, which is stepped a few times with random actions."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlagents.doctor.machine import Finding, Level, ok, problem, warning
from mlagents.envs.pool import behavior_name
from mlagents.envs.registry import env_maker, split
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.options import RunOptions
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.exception import UnityEnvironmentException, UnityException
from mlagents_envs.ticks import order_ends
from mlagents_envs.wire.builds import find_player, lacks_data, wrong_file
from mlagents_envs.wire.diagnosis import behaviors_differ

STEPS = 50


def check_run(file: str | None, flags: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the mistakes of a configuration, and the findings of its environment if it has one.

    flags: section -> key -> value, as given on the command line; they win over the file.
    """
    try:
        options, warnings = load(file, flags)
        yield from (warning(text) for text in warnings)
    except SettingsError as error:
        yield from (warning(text) for text in error.warnings)
        yield from (problem(str(mistake)) for mistake in error.mistakes)
        if file is not None:
            yield from check_run(None, flags)  # the environment can be tried without the file
        return
    if file is not None:
        yield ok(f"{file} can be read")
    path = options.env_settings.env_path
    if path is None:
        return
    if not split(path)[0]:
        build = check_build(path)
        yield from build
        if any(finding.level is Level.PROBLEM for finding in build):
            return
    yield from check_steps(options, file)


def check_build(path: str) -> list[Finding]:
    """Can this build be started here?"""
    try:
        player = find_player(path)
    except UnityEnvironmentException as error:
        return [problem(str(error))]
    if (wrong := wrong_file(player)) is not None:
        return [problem(wrong)]
    alone = lacks_data(player)  # other programs may speak the protocol too
    return [ok(f"the player is {player}"), *([warning(alone)] if alone is not None else [])]


def check_steps(options: RunOptions, file: str | None) -> Iterator[Finding]:
    """Start the environment, step it, and compare its behaviors with the file's."""
    logged: list[Finding] = []
    try:
        with remarks(logged):
            env = env_maker(options.env_settings, options.engine_settings, seed=0, logs=None)(0)
    except UnityException as error:
        yield from logged
        yield problem(str(error))
        return
    yield from logged
    try:
        yield from check_environment(env)
        if file is not None and env.behavior_specs:
            yield from check_behaviors(list(env.behavior_specs), options, file)
    finally:
        with suppress(UnityEnvironmentException):  # it is closed already if the connection failed
            env.close()


@contextmanager
def remarks(logged: list[Finding]) -> Iterator[None]:
    """Add what mlagents_envs logs to the findings: the versions of a player, and warnings."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            logged.append(ok(text) if record.levelno < logging.WARNING else warning(text))

    logger, collector = logging.getLogger("mlagents_envs"), Collector(logging.INFO)
    level, spreads = logger.level, logger.propagate
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
        logger.propagate = spreads


# statistics of a few steps


@dataclass
class _BehaviorStats:
    """Statistics of the steps of one behavior."""

    asking: set[int] = field(default_factory=set)  # agents with a decision in their present episode
    asked: int = 0  # episodes with a decision
    ended: int = 0  # episodes
    silent: int = 0  # episodes that ended without a decision
    decisions: int = 0
    broken: set[str] = field(default_factory=set)  # sensors with values that are not finite

    def add(self, spec: BehaviorSpec, decision: DecisionSteps, terminal: TerminalSteps) -> None:
        """Add one step."""
        before, after = order_ends(decision, terminal)
        self._end(terminal.agent_id[before].tolist())
        begin = set(decision.agent_id.tolist()) - self.asking
        self.asked += len(begin)
        self.asking |= begin
        self._end(terminal.agent_id[after].tolist())
        self.decisions += len(decision)
        for steps in (decision, terminal):
            for sensor, column in zip(spec.observation_specs, steps.obs, strict=True):
                if not np.isfinite(column).all():
                    self.broken.add(sensor.name)

    def _end(self, agents: list[int]) -> None:
        self.ended += len(agents)
        for agent in agents:
            self.silent += agent not in self.asking
            self.asking.discard(agent)


def check_environment(env: BaseEnv, *, steps: int = STEPS) -> list[Finding]:
    """Reset, take a few random steps, and return the findings about each behavior."""
    stats: defaultdict[str, _BehaviorStats] = defaultdict(_BehaviorStats)
    rng = np.random.default_rng(0)
    taken, seconds, trouble = 0, 0.0, []
    try:
        env.reset()
        _collect(env, stats)
        for _ in range(steps):
            _act(env, rng)
            begun = time.perf_counter()
            env.step()
            seconds += time.perf_counter() - begun
            taken += 1
            _collect(env, stats)
    except (UnityException, RuntimeError) as error:  # NaN is a RuntimeError
        trouble.append(problem(str(error)))
    found = [
        finding for name, spec in env.behavior_specs.items() for finding in _behavior(name, spec, stats[name], taken)
    ]
    if taken and seconds > 0:
        decisions = sum(one.decisions for one in stats.values())
        found.append(
            ok(f"{taken} steps at {taken / seconds:,.0f} a second, with {decisions / (taken + 1):.1f} decisions each")
        )
    if not env.behavior_specs and not trouble:
        trouble.append(
            problem(
                "no behavior appeared after the reset; check that the scene has an active agent with a Decision "
                "Requester, and that its Behavior Type is Default"
            )
        )
    return found + trouble


def _collect(env: BaseEnv, stats: defaultdict[str, _BehaviorStats]) -> None:
    for name, spec in env.behavior_specs.items():
        stats[name].add(spec, *env.get_steps(name))


def _act(env: BaseEnv, rng: np.random.Generator) -> None:
    """Give every agent a random allowed action."""
    for name, spec in env.behavior_specs.items():
        decision, _ = env.get_steps(name)
        n, action = len(decision), spec.action_spec
        if n == 0:
            continue
        discrete = np.zeros((n, action.discrete_size), np.int32)
        for branch, size in enumerate(action.discrete_branches):
            scores = rng.random((n, size))
            if decision.action_mask is not None:
                scores[decision.action_mask[branch]] = -1.0
            discrete[:, branch] = scores.argmax(1)
        env.set_actions(name, ActionTuple(rng.uniform(-1, 1, (n, action.continuous_size)), discrete))


def _behavior(name: str, spec: BehaviorSpec, stats: _BehaviorStats, taken: int) -> Iterator[Finding]:
    """Yield the specification of one behavior, and its problems."""
    sensors = ", ".join(
        f"'{sensor.name}' {sensor.shape} {sensor.observation_type.name}" for sensor in spec.observation_specs
    )
    yield ok(f"{name}: sees {sensors or 'nothing'}; does {spec.action_spec}")
    if not spec.observation_specs:
        yield problem(f"{name}: its agents see nothing; give them a sensor, or vector observations")
    if not (spec.action_spec.continuous_size or spec.action_spec.discrete_size):
        yield problem(f"{name}: its agents can do nothing; give Behavior Parameters continuous or discrete actions")
    if stats.broken:
        yield problem(f"{name}: sensor {', '.join(sorted(stats.broken))} has values that are NaN or infinite")
    counts = (
        f"{name}: agents of {stats.asked} episodes asked for an action and {stats.ended} episodes ended, "
        f"in {taken} steps"
    )
    if not stats.asked:
        yield problem(f"{counts}; give its agents a Decision Requester, or call RequestDecision")
    elif stats.silent:
        yield warning(
            f"{counts}; in {stats.silent} of these no agent asked: give every agent a Decision Requester whose "
            "Decision Period is shorter than an episode"
        )
    else:
        yield ok(counts)


def check_behaviors(in_build: list[str], options: RunOptions, file: str) -> list[Finding]:
    """Compare the behaviors of the environment with those of the file."""
    if not options.behaviors:
        return [warning(f"{file} names no behavior: {', '.join(in_build)} would be trained by default_settings or PPO")]
    differences = behaviors_differ(in_build, options.behaviors)
    untrained = any(options.for_behavior(behavior_name(name)) is None for name in in_build)
    weigh = problem if untrained else warning
    return [weigh(f"{file}: {text}") for text in differences] or [ok(f"{file} names every behavior of the environment")]
