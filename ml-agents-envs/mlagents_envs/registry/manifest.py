"""Manifests: YAML files with the names of environments and the urls of their builds.

environments:
  - <identifier>:
      expected_reward: <number or null>
      description: <text>
      linux_url: <url or path of a build, or null>
      darwin_url: ...
      win_url: ...
      additional_args: [<argument of the player>, ...]
      tmp_dir: <folder for unpacked archives>

A manifest behind an http url names builds behind http urls only, and no tmp_dir: it may not refer to local files.
"""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.names import nearest
from mlagents_envs.registry.download import read
from mlagents_envs.registry.location import beside, is_remote, local_path
from mlagents_envs.registry.remote_registry_entry import RemoteRegistryEntry

log = logging.getLogger(__name__)

LIMIT = 1 << 20  # bytes
TIMEOUT = 10.0  # seconds without an answer
URLS = ("linux_url", "darwin_url", "win_url")
SETTINGS = ("expected_reward", "description", *URLS, "additional_args", "tmp_dir")


class Manifest:
    """A manifest that is read once, when it is first needed; a failure is a warning, and it counts as empty."""

    def __init__(self, location: str | Path) -> None:
        location = str(location)
        self.location = location if is_remote(location) else str(local_path(location).absolute())
        self.failure = ""  # why it could not be read
        self._entries: dict[str, RemoteRegistryEntry] | None = None

    def entries(self) -> Mapping[str, RemoteRegistryEntry]:
        """Return the environments by name. Raises TypeError for an unknown setting."""
        if self._entries is None:
            try:
                self._entries = read_manifest(self.location)
            except UnityEnvironmentException as error:
                self.failure, self._entries = str(error), {}
                log.warning("no environments from this manifest: %s", error)
        return self._entries


def read_manifest(location: str) -> dict[str, RemoteRegistryEntry]:
    """Return the environments of a manifest by name, the last one of each name.

    Raises UnityEnvironmentException if it cannot be read or is no manifest, TypeError for an unknown setting.
    """
    items = _parse(location)
    if not isinstance(items, dict) or not isinstance(items.get("environments"), list):
        raise UnityEnvironmentException(f"{location} is no manifest: it has no list called 'environments'")
    entries = {}
    for number, item in enumerate(items["environments"], 1):
        if not isinstance(item, dict) or len(item) != 1 or not isinstance(next(iter(item.values())), dict):
            raise UnityEnvironmentException(
                f"{location}: environment number {number} is not one name with settings below it"
            )
        ((identifier, settings),) = item.items()
        entries[str(identifier)] = _entry(location, str(identifier), settings)
    return entries


def _parse(location: str) -> Any:
    try:
        data = (
            read(location, limit=LIMIT, timeout=TIMEOUT) if is_remote(location) else local_path(location).read_bytes()
        )
        return yaml.safe_load(data)
    except OSError as error:
        raise UnityEnvironmentException(f"{location} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnityEnvironmentException(f"{location} is no manifest: {error}") from error


def _entry(location: str, identifier: str, settings: dict[Any, Any]) -> RemoteRegistryEntry:
    place = f"{location}: environments.{identifier}"
    for name in settings:
        if name not in SETTINGS:
            near = nearest(str(name), SETTINGS)
            guess = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(SETTINGS)}"
            raise TypeError(f"{place}.{name}: no such setting; {guess}")
    reward, arguments = settings.get("expected_reward"), settings.get("additional_args") or []
    if reward is not None and not isinstance(reward, (int, float)):
        raise UnityEnvironmentException(f"{place}.expected_reward: {_short(reward)} is no number; give one, or null")
    if not isinstance(arguments, list):
        raise UnityEnvironmentException(
            f"{place}.additional_args: {_short(arguments)} is no list; begin each with '- '"
        )
    for argument in arguments:
        if not isinstance(argument, (str, int, float)):
            raise UnityEnvironmentException(f"{place}.additional_args: {_short(argument)} is no text; give texts")
    texts = {name: settings.get(name) for name in (*URLS, "description", "tmp_dir")}
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise UnityEnvironmentException(f"{place}.{name}: {_short(text)} is no text; put it into quotation marks")
    linux, darwin, windows = urls = [beside(location, url) if (url := texts[name]) else None for name in URLS]
    if is_remote(location):
        _check_remote(place, urls, texts["tmp_dir"])
    return RemoteRegistryEntry(
        identifier, None if reward is None else float(reward), texts["description"], linux, darwin, windows,
        [str(argument) for argument in arguments], texts["tmp_dir"],
    )  # fmt: skip


def _check_remote(place: str, urls: list[str | None], folder: str | None) -> None:
    for name, url in zip(URLS, urls, strict=True):
        if url is not None and not is_remote(url):
            raise UnityEnvironmentException(
                f"{place}.{name}: {url} is on this machine, which a manifest from another machine may not name; "
                "save the manifest and register the file"
            )
    if folder is not None:
        raise UnityEnvironmentException(
            f"{place}.tmp_dir: {folder} is on this machine, which a manifest from another machine may not name; "
            "save the manifest and register the file"
        )


def _short(value: object) -> str:
    """Return a short repr of a value: a few letters of YAML can expand to huge ones."""
    shown = reprlib.Repr()
    shown.maxlevel, shown.maxstring, shown.maxother = 2, 60, 60
    return shown.repr(value)
