"""`training_status.json`: which checkpoints there are, for Unity's tools and for a resumed run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from mlagents.run.atomic import write_text_atomically
from mlagents.run.errors import CheckpointError

log = logging.getLogger(__name__)
FORMAT = "0.3.0"


class Status:
    """What is known of a run, by behavior and environment parameter; written after each change."""

    def __init__(self, path: Path, versions: dict[str, str]) -> None:
        self.path = path
        self.metadata = {"stats_format_version": FORMAT, **versions}
        self._known: dict[str, Any] = {}

    def load(self) -> None:
        """Take up what an earlier run left; a missing file is a warning, one that is no status an error."""
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            log.warning(f"{self.path} is not there: earlier checkpoints are not counted.")
            return
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{self.path} cannot be read: {error}") from error
        old = known.pop("metadata", None) if isinstance(known, dict) else None
        if old is None:
            raise CheckpointError(
                f"{self.path}: Metadata not found, resuming from an incompatible version of ML-Agents."
            )
        for name in ("mlagents_version", "torch_version"):
            if old.get(name) != self.metadata.get(name):
                log.warning(
                    f"This run was begun with {name} {old.get(name)} and goes on with {self.metadata.get(name)}."
                )
        self._known = known

    def get(self, name: str, key: str, default: Any) -> Any:
        return self._known.get(name, {}).get(key, default)

    def set(self, name: str, **values: Any) -> None:
        """Note values and write the file."""
        self._known.setdefault(name, {}).update(values)
        self.write()

    def write(self) -> None:
        text = json.dumps({**self._known, "metadata": self.metadata}, indent=4)
        write_text_atomically(self.path, text)
