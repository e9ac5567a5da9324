"""`training_status.json`: which checkpoints there are, for Unity's tools and for a resumed run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlagents.errors import CheckpointError
from mlagents.run.atomic import write_text_atomically

log = logging.getLogger(__name__)
FORMAT = "0.3.0"
_ENTRY = {"steps": (int, "a whole number"), "file_path": (str, "text")}  # what every checkpoint's entry needs


class Status:
    """What is known of a run, by behavior and environment parameter; written after each change."""

    def __init__(self, path: Path, versions: dict[str, str], *, read_only: bool = False) -> None:
        """read_only: changes are kept in memory, and the file stays as it is."""
        self.path = path
        self.metadata = {"stats_format_version": FORMAT, **versions}
        self._read_only = read_only
        self._known: dict[str, Any] = {}

    def load(self) -> None:
        """Take up what an earlier run left; a missing file is a warning.

        Raises CheckpointError, with the place of what is wrong, for a file that is no status.
        """
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            log.warning(f"{self.path} is not there: earlier checkpoints are not counted.")
            return
        except (ValueError, OSError, RecursionError) as error:
            raise self._wrong(f"it cannot be read: {error}") from error
        if not isinstance(known, dict) or not isinstance(known.get("metadata"), dict):
            raise CheckpointError(
                f"{self.path}: Metadata not found, resuming from an incompatible version of ML-Agents."
            )
        old = known.pop("metadata")
        self._check(known)
        for name in ("mlagents_version", "torch_version"):
            if old.get(name) != self.metadata.get(name):
                log.warning(
                    f"This run was begun with {name} {old.get(name)} and goes on with {self.metadata.get(name)}."
                )
        self._known = known

    def get(self, name: str, key: str, default: Any) -> Any:
        """Return what is known of a behavior or parameter under a key."""
        return self._known.get(name, {}).get(key, default)

    def lessons(self, parameters: Iterable[str]) -> dict[str, int]:
        """Return the lesson that each environment parameter was in; raises CheckpointError for what is no number."""
        found = {name: self.get(name, "lesson_num", 0) for name in parameters}
        for name, lesson in found.items():
            if not isinstance(lesson, int) or isinstance(lesson, bool):
                raise self._wrong(f"{name}.lesson_num is {lesson!r:.80}; it must be a whole number")
        return found

    def set(self, name: str, **values: Any) -> None:
        """Note values and write the file."""
        self._known.setdefault(name, {}).update(values)
        self.write()

    def write(self) -> None:
        """Write the file, whole or not at all; nothing where it is read only. Raises OSError."""
        if self._read_only:
            return
        text = json.dumps({**self._known, "metadata": self.metadata}, indent=4)
        write_text_atomically(self.path, text)

    def _check(self, known: dict[str, Any]) -> None:
        """Raise CheckpointError for an entry of another type than runs write."""
        for name, values in known.items():
            if not isinstance(values, dict):
                raise self._wrong(f"{name} is {values!r:.80}; it must be a table")
            entries = values.get("checkpoints", [])
            if not isinstance(entries, list):
                raise self._wrong(f"{name}.checkpoints is {entries!r:.80}; it must be a list")
            for number, entry in enumerate(entries):
                self._check_entry(f"{name}.checkpoints[{number}]", entry)

    def _check_entry(self, place: str, entry: Any) -> None:
        if not isinstance(entry, dict):
            raise self._wrong(f"{place} is {entry!r:.80}; it must be a table")
        for key, (kind, words) in _ENTRY.items():
            if not isinstance(entry.get(key), kind) or isinstance(entry[key], bool):
                raise self._wrong(f"{place}.{key} is {entry.get(key)!r:.80}; it must be {words}")
        others = entry.setdefault("auxillary_file_paths", [])
        if not isinstance(others, list) or not all(isinstance(path, str) for path in others):
            raise self._wrong(f"{place}.auxillary_file_paths is {others!r:.80}; it must be a list of text")

    def _wrong(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path}: {what}. Move this file away to go on without the list of earlier checkpoints."
        )
