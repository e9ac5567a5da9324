"""The trainer under test: how it is built, and the action spaces it is checked with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from mlagents.algorithms.capabilities import Capabilities, Needs
from mlagents.algorithms.making import construct
from mlagents.algorithms.settings import HyperparamSettings, OfflineHyperparamSettings, OffPolicyHyperparamSettings
from mlagents.algorithms.trainer import Trainer, TrainerSetup
from mlagents.conformance.errors import NotApplicable
from mlagents.nn.settings import NetworkSettings
from mlagents.plugins.catalog import Catalog, Kind
from mlagents.rewards.signal import Extrinsic, RewardSignal
from mlagents.settings.mistakes import Mistake, SettingsError, near
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec

ON_POLICY = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3}
OFF_POLICY = {
    "batch_size": 32, "buffer_size": 4000, "buffer_init_steps": 64, "learning_rate": 3e-3, "steps_per_update": 8.0,
    "tau": 0.05,
}  # fmt: skip
MEMORY = {"memory_size": 16, "sequence_length": 2}  # sequences that are shorter than the episodes of RecallTask
MAX_WARM_UP = 3000  # rows that a check waits for the first update
MAX_STEPS = 40_000  # end of schedules: more than twice the rows of any check, so no learning rate decays to 0


@dataclass(frozen=True)
class Space:
    """An action space, and its name in a report."""

    name: str
    actions: ActionSpec


ONE_BRANCH = Space("one branch", ActionSpec.create_discrete((3,)))
TWO_BRANCHES = Space("two branches", ActionSpec.create_discrete((3, 2)))
THREE_BRANCHES = Space("three branches", ActionSpec.create_discrete((2, 4, 3)))
CONTINUOUS = Space("continuous", ActionSpec.create_continuous(2))
HYBRID = Space("hybrid", ActionSpec(1, (3, 2)))
DISCRETE_SPACES = (ONE_BRANCH, TWO_BRANCHES, THREE_BRANCHES)
SPACES = (*DISCRETE_SPACES, CONTINUOUS, HYBRID)
MAIN_SPACES = (TWO_BRANCHES, CONTINUOUS, HYBRID)
ANY_SPACE = Space("", ActionSpec(0, ()))  # for checks that do not use actions


@dataclass(frozen=True)
class Subject:
    """A trainer with small batches and a high learning rate, so that tiny tasks are learned in seconds."""

    kind: Kind
    overrides: Mapping[str, Any] = field(default_factory=dict)  # hyperparameters that replace the defaults above
    seed: int = 0
    recurrent: bool = False  # its networks have `network_settings.memory`

    def with_memory(self) -> Subject:
        """Return it with recurrent networks; raises NotApplicable if it cannot have them."""
        if not self.capabilities.memory:
            raise NotApplicable("its `capabilities` exclude recurrent networks")
        return replace(self, recurrent=True)

    @property
    def capabilities(self) -> Capabilities:
        """The trainer's declared capabilities."""
        capabilities: Capabilities = getattr(self.kind.trainer(), "capabilities", Capabilities())
        return capabilities

    @property
    def folder(self) -> Path:
        """The folder of the trainer's source file."""
        return Path(inspect.getsourcefile(self.kind.trainer()) or ".").absolute().parent

    def lacks(self, actions: ActionSpec) -> str | None:
        """Return what `capabilities` excludes of this action space, None if nothing."""
        return self.capabilities.lacks(Needs.of_actions(actions))

    def settings(self) -> HyperparamSettings:
        """Return the trainer's defaults, then ON_POLICY or OFF_POLICY where it has and allows them, then overrides."""
        kind = self.kind.settings
        small: Mapping[str, float] = OFF_POLICY if issubclass(kind, OffPolicyHyperparamSettings) else ON_POLICY
        chosen = dict(self.overrides)
        for name, value in {**small, "save_replay_buffer": True}.items():
            if name in kind.model_fields and name not in chosen and _allows(kind, {**chosen, name: value}):
                chosen[name] = value
        return kind(**chosen)

    def warm_up(self) -> int:
        """Return the rows before the first update according to the settings, at most MAX_WARM_UP."""
        settings = self.settings()
        rows: int = getattr(settings, "buffer_size", settings.batch_size)
        if isinstance(settings, OffPolicyHyperparamSettings):
            rows = max(settings.batch_size, settings.buffer_init_steps)
        return min(rows, MAX_WARM_UP)

    def trainer(
        self, spec: BehaviorSpec, *, gamma: float = 0.9, normalize: bool = False, deterministic: bool = False,
        seed: int = 0, signals: Sequence[RewardSignal] | None = None,
    ) -> Trainer:  # fmt: skip
        """Return a new trainer. seed: added to the subject's own; signals: instead of the environment's reward."""
        generator = torch.Generator().manual_seed(1000 * self.seed + seed)
        network: dict[str, Any] = {"hidden_units": 32, "normalize": normalize, "deterministic": deterministic}
        if self.recurrent:
            network["memory"] = MEMORY
        if signals is None:
            signals = [Extrinsic(gamma=gamma, strength=1.0)]
        setup = TrainerSetup(spec, NetworkSettings.model_validate(network), signals, MAX_STEPS, generator=generator)
        trainer: Trainer = construct(self.kind.trainer(), setup, self.settings())
        return trainer


def find_subject(catalog: Catalog, name: str, *, config: str | Path | None = None, seed: int = 0) -> Subject:
    """Return the trainer of this name; raises PluginError if it cannot be loaded, SettingsError if there is none."""
    kind = catalog.find(name)
    if kind is None:
        names = catalog.names()
        raise _mistake(f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}")
    if issubclass(kind.settings, OfflineHyperparamSettings):
        raise _mistake(f"'{name}' learns from demonstrations alone; the checks are for trainers that learn from agents")
    overrides = {} if config is None else _hyperparameters(catalog, name, str(config))
    return Subject(kind, overrides, seed)


def _hyperparameters(catalog: Catalog, name: str, config: str) -> dict[str, Any]:
    """Return the hyperparameters of the first behavior of a YAML file that has this trainer_type."""
    options, _ = load(config, {"": {"plugins": list(catalog.files)}})
    entries = [*options.behaviors.values(), options.default_settings]
    for entry in entries:
        if entry is not None and entry.trainer_type == name:
            given = entry.hyperparameters
            return {key: getattr(given, key) for key in given.model_fields_set}
    message = f"no behavior has the trainer_type '{name}'; give one of them this trainer_type"
    raise _mistake(message, where=config, key="behaviors")


def _mistake(message: str, *, where: str = "", key: str = "") -> SettingsError:
    return SettingsError([Mistake(0, 0, where, key, message)])


def _allows(kind: type[HyperparamSettings], values: Mapping[str, Any]) -> bool:
    """Are these settings valid, apart from missing ones?"""
    try:
        kind(**values)
    except ValidationError as error:
        return all(problem["type"] == "missing" for problem in error.errors())
    return True
