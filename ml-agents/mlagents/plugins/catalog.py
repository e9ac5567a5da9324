"""Trainers and stats writers by name: built in, installed as plug-ins, or in a file.

A plug-in is loaded when its name is used, and not before; the built-in trainers' settings need no torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from mlagents.algorithms.settings import BCSettings, HyperparamSettings, POCASettings, PPOSettings, SACSettings

TRAINERS = "mlagents.trainer_type"  # group of entry points; the name is Unity's
WRITERS = "mlagents.stats_writer"  # likewise
BUILTIN: dict[str, type[HyperparamSettings]] = {
    "ppo": PPOSettings,
    "sac": SACSettings,
    "poca": POCASettings,
    "bc": BCSettings,
}
OURS = Path(__file__).parents[1]  # the folder of this package
_CLASSES = {
    "ppo": ("mlagents.algorithms.ppo", "PPOTrainer"),
    "sac": ("mlagents.algorithms.sac", "SACTrainer"),
    "poca": ("mlagents.algorithms.poca", "POCATrainer"),
    "bc": ("mlagents.algorithms.bc", "BCTrainer"),
}


class PluginError(Exception):
    """A plug-in cannot be used; the text gives its name, its origin and the cause."""


@dataclass(frozen=True)
class Kind:
    """A trainer that can be named in a configuration."""

    name: str
    origin: str  # the package or file that defines it
    settings: type[HyperparamSettings]
    trainer: Callable[[], Any]  # returns the class; loads torch


@dataclass(frozen=True)
class PluginSource:
    """An entry point or a file that may define trainers, not loaded yet."""

    key: str  # unique; one origin may have several sources
    origin: str
    names: tuple[str, ...]  # declared names; a function may return others
    load: Callable[[], Mapping[str, Any]]  # name -> trainer class, or (trainer class, settings class)


@dataclass
class Catalog:
    """All trainers that a run may name.

    files: what `--plugin` and the YAML's `plugins` say, `FILE.py` or `package.module`.
    """

    files: Sequence[str] = ()
    _loaded: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False)  # key of a source -> what it holds
    _failed: dict[str, PluginError] = field(default_factory=dict, init=False)

    def names(self) -> list[str]:
        """Return all names; installed plug-ins are not loaded, files are, because they declare no names."""
        announced = [name for source in self._sources() for name in source.names or self._held(source)]
        found = [name for held in self._loaded.values() for name in held]
        return list(dict.fromkeys([*BUILTIN, *announced, *found]))

    def find(self, name: str) -> Kind | None:
        """Return the trainer of this name, None if there is none; raises PluginError if it cannot be used."""
        if name in BUILTIN:
            return Kind(name, "mlagents", BUILTIN[name], lambda: _built_in(name))
        holders = [source for source in self._sources() if name in source.names or self._gives(source, name)]
        if not holders:  # a function may return names that its entry point does not declare
            holders = [source for source in self._sources() if name in self._held(source)]
        if len(holders) > 1:
            both = " and ".join(source.origin for source in holders)
            raise PluginError(f"'{name}' comes from {both}; uninstall one of them")
        return self._kind(name, holders[0]) if holders else None

    def shadowed(self, name: str) -> list[str]:
        """Return a sentence for each plug-in that has the name of a built-in trainer."""
        return [
            f"'{name}' is built in; that of {source.origin} is not used"
            for source in self._sources()
            if name in BUILTIN and (name in source.names or self._gives(source, name))
        ]

    def broken_files(self) -> list[PluginError]:
        """Return the errors of files that cannot be loaded."""
        files = [source for source in self._sources() if not source.names]
        return [self._failed[source.key] for source in files if not self._held(source) and self._fails(source)]

    def _gives(self, source: PluginSource, name: str) -> bool:
        """Does a file define this trainer? All files are loaded, because they declare no names."""
        return not source.names and name in self._held(source)

    def _fails(self, source: PluginSource) -> bool:
        return source.key in self._failed

    def _kind(self, name: str, source: PluginSource) -> Kind:
        held = self._held(source)
        if self._fails(source):
            failed = self._failed[source.key]
            raise PluginError(f"'{name}' comes from {failed}") from failed.__cause__
        if name not in held:
            has = ", ".join(held) or "none"
            raise PluginError(f"'{name}' comes from {source.origin}, which has no such trainer; it has {has}")
        trainer, settings = _checked(name, held[name], source.origin)
        return Kind(name, source.origin, settings, lambda: trainer)

    def _held(self, source: PluginSource) -> Mapping[str, Any]:
        """Load a plug-in, once; a plug-in that fails has no trainers."""
        if source.key not in self._loaded:
            try:
                self._loaded[source.key] = source.load()
            except PluginError as error:
                self._loaded[source.key] = {}
                self._failed[source.key] = error
        return self._loaded[source.key]

    def _sources(self) -> list[PluginSource]:
        installed = [
            PluginSource(f"{each.name} = {each.value}", origin_of(each), (each.name,), partial(_entered, each))
            for each in entry_points(group=TRAINERS)
        ]
        return [*installed, *(PluginSource(file, file, (), partial(_filed, file)) for file in self.files)]


def writers(options: Any) -> tuple[list[Any], list[str]]:
    """Return the stats writers of all plug-ins for these run options, and a sentence for each that failed."""
    found: list[Any] = []
    failed: list[str] = []
    for entry in entry_points(group=WRITERS):
        _add_writers(entry, options, found, failed)
    return found, failed


def _add_writers(entry: EntryPoint, options: Any, found: list[Any], failed: list[str]) -> None:
    try:
        found += guarded(origin_of(entry), lambda: list(entry.load()(options)))
    except PluginError as error:
        failed.append(f"statistics are not written by {error}")


def _built_in(name: str) -> Any:
    module, kind = _CLASSES[name]
    return getattr(importlib.import_module(module), kind)


def origin_of(entry: EntryPoint) -> str:
    """Return whose plug-in this is, in words."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _entered(entry: EntryPoint) -> Mapping[str, Any]:
    """Return what an entry point names: a trainer class, or a function in the shape of Unity's tutorial."""
    target = guarded(origin_of(entry), entry.load)
    if isinstance(target, type):
        return {entry.name: target}
    trainers, settings = guarded(origin_of(entry), lambda: _pair(target()))
    return {name: (trainer, settings.get(name)) for name, trainer in trainers.items()}


def _pair(given: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    trainers, settings = given
    if not isinstance(trainers, Mapping) or not isinstance(settings, Mapping):
        raise TypeError("its function must return ({name: trainer class}, {name: settings class})")
    return trainers, settings


def _filed(file: str) -> Mapping[str, Any]:
    """Return the trainers that a file or a module defines: by the names of their classes, or what these say."""
    module = guarded(file, lambda: module_of(file))
    return {
        vars(kind).get("trainer_type", re.sub("trainer$", "", name.lower())): kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and _is_trainer(kind)
    }


def _is_trainer(kind: type) -> bool:
    return hasattr(kind, "Settings") and not hasattr(kind, "ignores_done")  # a reward signal has that


def module_of(file: str) -> Any:
    """Return the module of `FILE.py` or `package.module`, loaded once; a file may import those beside it."""
    if not file.endswith(".py"):
        return importlib.import_module(file)
    path = Path(file).absolute()
    name = f"mlagents_plugin_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None or not path.is_file():
        raise FileNotFoundError("there is no such file")
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that a neighbor hides nothing that is installed
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def guarded(origin: str, work: Callable[[], Any]) -> Any:
    """Call a plug-in's code; raises PluginError with the origin, the cause and the line for any exception."""
    try:
        return work()
    except (Exception, SystemExit) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        shown = cause if isinstance(error, (ImportError, FileNotFoundError)) else f"{type(error).__name__}: {cause}"
        raise PluginError(f"{origin}, which failed to load: {shown}{_place(error)}") from error


def _place(error: BaseException) -> str:
    """Return the file and line where a plug-in failed, if it was inside one."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and OURS not in Path(file).parents and "importlib" not in file:
            place = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _checked(name: str, given: Any, origin: str) -> tuple[Any, type[HyperparamSettings]]:
    """Return the trainer and settings classes; raises PluginError for other classes."""
    trainer, settings = given if isinstance(given, tuple) else (given, None)
    settings = settings or getattr(trainer, "Settings", None)
    if not all(callable(getattr(trainer, method, None)) for method in ("receive", "learn", "state_dict")):
        raise PluginError(
            f"'{name}' comes from {origin}, but {trainer!r} is no trainer of this package: let it extend "
            "OnPolicyTrainer or OffPolicyTrainer of mlagents.api"
        )
    if not (isinstance(settings, type) and issubclass(settings, HyperparamSettings)):
        raise PluginError(
            f"'{name}' comes from {origin}, but its settings {settings!r} do not extend those of mlagents.api"
        )
    return trainer, settings

