"""Environments by name, from entries and manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mlagents_envs.names import nearest
from mlagents_envs.registry.base_registry_entry import BaseRegistryEntry
from mlagents_envs.registry.manifest import Manifest

Entries = dict[str, BaseRegistryEntry]


class UnityEnvRegistry(Mapping[str, BaseRegistryEntry]):
    """Entries by identifier; what was registered later replaces what was registered before.

    A manifest is read when a name is not found among what was registered after it, or when all names are listed.
    One that cannot be read is a warning, and counts as empty until it is registered again.
    """

    def __init__(self) -> None:
        self._sources: list[Entries | Manifest] = []  # as they were registered

    def register(self, new_entry: BaseRegistryEntry) -> None:
        """Add an environment."""
        self._sources.append({new_entry.identifier: new_entry})

    def register_from_yaml(self, path_to_yaml: str | Path) -> None:
        """Add all environments of a manifest, behind an http or file url or a path."""
        new = Manifest(path_to_yaml)
        self._sources = [
            source for source in self._sources if not isinstance(source, Manifest) or source.location != new.location
        ]
        self._sources.append(new)

    def clear(self) -> None:
        """Remove all entries and manifests."""
        self._sources.clear()

    def __getitem__(self, identifier: str) -> BaseRegistryEntry:
        for source in reversed(self._sources):
            entry = _entries(source).get(identifier)
            if entry is not None:
                return entry
        raise KeyError(self._unknown(identifier))

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def _all(self) -> Entries:
        return {name: entry for source in self._sources for name, entry in _entries(source).items()}

    def _unknown(self, identifier: str) -> str:
        names = list(self._all())
        near = nearest(str(identifier), names, n=3)
        known = f"known are {', '.join(names)}" if names else "nothing is registered"
        guess = f"did you mean {' or '.join(map(repr, near))}?" if near else known
        failures = [source.failure for source in self._sources if isinstance(source, Manifest) and source.failure]
        if failures:
            guess += f" Or register a manifest again that could not be read: {'; '.join(failures)}"
        return f"{identifier}: no such environment; {guess}"


def _entries(source: Entries | Manifest) -> Mapping[str, BaseRegistryEntry]:
    return source.entries() if isinstance(source, Manifest) else source
