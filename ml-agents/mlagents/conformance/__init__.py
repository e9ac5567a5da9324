"""Does a trainer do what a trainer must? Each check raises a Fault where it does not.

A plug-in's own test file needs no more than this:

    @pytest.mark.parametrize("check", checks("a2c"), ids=str)
    def test_conforms(check):
        check()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents.conformance.fault import Fault, NotTaken

if TYPE_CHECKING:
    from mlagents.conformance.check import Check

__all__ = ["Fault", "NotTaken", "checks"]


def checks(name: str, *, plugins: Sequence[str] = (), config: str | Path | None = None, seed: int = 0) -> list[Check]:
    """Return every check of a trainer, none of them done yet; calling one does it.

    plugins: files or modules to find the trainer in. config: a YAML file whose hyperparameters replace the kit's own.
    Raises PluginError or SettingsError if the trainer or its hyperparameters cannot be used.
    """
    from mlagents.conformance.kit import checks_of  # here, so that the command's help is quick: these load torch
    from mlagents.conformance.subject import find_subject
    from mlagents.plugins.catalog import Catalog

    return checks_of(find_subject(Catalog(plugins), name, config=config, seed=seed))
