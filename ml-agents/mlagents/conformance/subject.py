"""The trainer that is checked: how one is made, and which kinds of actions it is asked to learn."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from mlagents.algorithms.capabilities import Capabilities, Needs
from mlagents.algorithms.making import construct
from mlagents.algorithms.settings import HyperparamSettings, OffPolicyHyperparamSettings
from mlagents.algorithms.trainer import Trainer, TrainerSetup
from mlagents.nn.settings import NetworkSettings
from mlagents.plugins.catalog import Catalog, Kind, is_built
from mlagents.rewards.signal import Extrinsic
from mlagents.settings.mistakes import Mistake, SettingsError, near
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec

ON_POLICY = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3}
OFF_POLICY = {
    "batch_size": 32, "buffer_size": 4000, "buffer_init_steps": 64, "learning_rate": 3e-3, "steps_per_update": 8.0,
    "tau": 0.05,
}  # fmt: skip
PATIENCE = 3000  # rows that a check waits for a trainer to learn at all
MAX_STEPS = 40_000  # where schedules end: no check takes half as many rows, so none learns at a rate of nothing


@dataclass(frozen=True)
class Space:
    """A kind of actions, and its name in a report."""

    name: str
    actions: ActionSpec


ONE_BRANCH = Space("one branch", ActionSpec.create_discrete((3,)))
TWO_BRANCHES = Space("two branches", ActionSpec.create_discrete((3, 2)))
THREE_BRANCHES = Space("three branches", ActionSpec.create_discrete((2, 4, 3)))
CONTINUOUS = Space("continuous", ActionSpec.create_continuous(2))
HYBRID = Space("hybrid", ActionSpec(1, (3, 2)))
CHOICES = (ONE_BRANCH, TWO_BRANCHES, THREE_BRANCHES)
ALL = (*CHOICES, CONTINUOUS, HYBRID)
KINDS = (TWO_BRANCHES, CONTINUOUS, HYBRID)
NO_MATTER = Space("", ActionSpec(0, ()))  # for checks to which actions do not matter


@dataclass(frozen=True)
class Subject:
    """A trainer under its name, with small batches and large steps, so that tiny tasks are learnt in seconds."""

    kind: Kind
    given: Mapping[str, Any] = field(default_factory=dict)  # hyperparameters that replace the kit's own
    seed: int = 0

    @property
    def capabilities(self) -> Capabilities:
        """What the trainer says it can learn."""
        said: Capabilities = getattr(self.kind.trainer(), "capabilities", Capabilities())
        return said

    @property
    def folder(self) -> Path:
        """Where the trainer's file lies."""
        return Path(inspect.getsourcefile(self.kind.trainer()) or ".").absolute().parent

    def lacks(self, actions: ActionSpec) -> str | None:
        """Return what the trainer says it does not take of these actions, None if it takes them."""
        return self.capabilities.lacks(Needs.of_actions(actions))

    def settings(self) -> HyperparamSettings:
        """Return the trainer's defaults, then those of the kit that it has and admits, then what was given."""
        kind = self.kind.settings
        mine: Mapping[str, float] = OFF_POLICY if issubclass(kind, OffPolicyHyperparamSettings) else ON_POLICY
        chosen = dict(self.given)
        for name, value in {**mine, "save_replay_buffer": True}.items():
            if name in kind.model_fields and name not in chosen and _admits(kind, {**chosen, name: value}):
                chosen[name] = value
        return kind(**chosen)

    def warm_up(self) -> int:
        """Return the rows that come home before it first learns, as its settings say it; PATIENCE at most."""
        settings = self.settings()
        rows = settings.buffer_size
        if isinstance(settings, OffPolicyHyperparamSettings):
            rows = max(settings.batch_size, settings.buffer_init_steps)
        return min(rows, PATIENCE)

    def trainer(
        self, spec: BehaviorSpec, *, gamma: float = 0.9, normalize: bool = False, deterministic: bool = False,
        seed: int = 0,
    ) -> Trainer:  # fmt: skip
        """Return a new trainer. seed: which of several; torch's numbers go on from there."""
        generator = torch.Generator().manual_seed(1000 * self.seed + seed)
        said = {"hidden_units": 32, "normalize": normalize, "deterministic": deterministic}
        signals: list[Any] = [Extrinsic(gamma=gamma, strength=1.0)]
        setup = TrainerSetup(spec, NetworkSettings.model_validate(said), signals, MAX_STEPS, generator=generator)
        return construct(self.kind.trainer(), setup, self.settings())


def find_subject(catalog: Catalog, name: str, *, config: str | Path | None = None, seed: int = 0) -> Subject:
    """Return the trainer of this name; raises PluginError if it cannot be loaded, SettingsError if there is none."""
    kind = catalog.find(name)
    if kind is None:
        names = catalog.names()
        raise _mistake(f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}")
    if not is_built(name):
        raise _mistake(f"'{name}' has settings only: there is no trainer to check yet")
    given = {} if config is None else _hyperparameters(catalog, name, str(config))
    return Subject(kind, given, seed)


def _hyperparameters(catalog: Catalog, name: str, config: str) -> dict[str, Any]:
    """Return what a YAML file says for the first behavior of this trainer."""
    options, _ = load(config, {"": {"plugins": list(catalog.files)}})
    entries = [*options.behaviors.values(), options.default_settings]
    for entry in entries:
        if entry is not None and entry.trainer_type == name:
            said = entry.hyperparameters
            return {key: getattr(said, key) for key in said.model_fields_set}
    raise _mistake(f"none of them has the trainer_type '{name}'", where=config, key="behaviors")


def _mistake(message: str, *, where: str = "", key: str = "") -> SettingsError:
    return SettingsError([Mistake(0, 0, where, key, message)])


def _admits(kind: type[HyperparamSettings], given: Mapping[str, Any]) -> bool:
    """Would these settings be taken, but for those that are missing?"""
    try:
        kind(**given)
    except ValidationError as error:
        return all(problem["type"] == "missing" for problem in error.errors())
    return True
