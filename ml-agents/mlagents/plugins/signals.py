"""Reward signals by name: built in, installed as plug-ins, or in a file of trainers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from mlagents.plugins.catalog import Catalog, PluginError, guarded, module_of, origin_of
from mlagents.rewards.settings import SIGNALS, RewardSignalSettings

GROUP = "mlagents.reward_signal"  # of entry points, each of which names a class
_BUILT = {  # signals that are built in: name -> module and class
    "extrinsic": ("mlagents.rewards.signal", "Extrinsic"),
    "curiosity": ("mlagents.rewards.curiosity", "Curiosity"),
    "gail": ("mlagents.rewards.gail", "GAIL"),
    "rnd": ("mlagents.rewards.rnd", "RND"),
}


@dataclass(frozen=True)
class SignalKind:
    """A reward signal that can be named in a configuration."""

    name: str
    origin: str  # whose it is, in words
    settings: type[RewardSignalSettings]
    signal: Callable[[], Any]  # returns the class; loads torch


def signal_names(catalog: Catalog) -> list[str]:
    """Return the names of all reward signals; files are loaded for it, installed plug-ins are not."""
    installed = [entry.name for entry in entry_points(group=GROUP)]
    return list(dict.fromkeys([*SIGNALS, *installed, *(name for name, *_ in _of_files(catalog))]))


def find_signal(catalog: Catalog, name: str) -> SignalKind | None:
    """Return the reward signal of this name, None if nobody has it; raises PluginError if it cannot be used."""
    if name in SIGNALS:
        return SignalKind(name, "mlagents", SIGNALS[name], lambda: _built_in(name))
    found = [
        (origin_of(entry), lambda entry=entry: guarded(origin_of(entry), entry.load))
        for entry in entry_points(group=GROUP)
        if entry.name == name
    ]
    found += [(file, lambda kind=kind: kind) for own, file, kind in _of_files(catalog) if own == name]
    if len(found) > 1:
        raise PluginError(f"'{name}' comes from {' and '.join(origin for origin, _ in found)}; uninstall one of them")
    return _checked(name, *found[0]) if found else None


def _built_in(name: str) -> Any:
    module, kind = _BUILT[name]
    return getattr(importlib.import_module(module), kind)


def _of_files(catalog: Catalog) -> Iterator[tuple[str, str, type]]:
    """Yield the name, the file and the class of every reward signal in the catalog's files that can be loaded."""
    for file in catalog.files:
        try:
            module = guarded(file, partial(module_of, file))
        except PluginError:  # it is reported where its trainers are asked for
            continue
        for name, kind in vars(module).items():
            if isinstance(kind, type) and kind.__module__ == module.__name__ and is_signal(kind):
                given = vars(kind).get("signal_name", re.sub("(reward)?signal$|reward$", "", name.lower()))
                yield given, file, kind


def is_signal(kind: type) -> bool:
    """Is this a class of reward signals? Asked without loading torch."""
    return any(base.__module__ == "mlagents.rewards.signal" and base.__name__ == "RewardSignal" for base in kind.mro())


def _checked(name: str, origin: str, load: Callable[[], Any]) -> SignalKind:
    try:
        kind = load()
    except PluginError as error:
        raise PluginError(f"'{name}' comes from {error}") from error.__cause__
    if not isinstance(kind, type) or not is_signal(kind):
        raise PluginError(
            f"'{name}' comes from {origin}, but {kind!r} is no reward signal: let it extend RewardSignal of "
            "mlagents.api"
        )
    settings = getattr(kind, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, RewardSignalSettings)):
        raise PluginError(
            f"'{name}' comes from {origin}, but its settings {settings!r} do not extend RewardSignalSettings of "
            "mlagents.api"
        )
    return SignalKind(name, origin, settings, lambda: kind)
