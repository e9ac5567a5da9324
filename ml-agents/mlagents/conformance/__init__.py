"""Conformance checks for trainers. A check that fails raises ConformanceError.

The test file of a plug-in needs only:

    @pytest.mark.parametrize("check", checks("a2c"), ids=str)
    def test_conforms(check):
        check()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents.conformance.errors import ConformanceError, NotApplicable

if TYPE_CHECKING:
    from mlagents.conformance.check import Check

__all__ = ["ConformanceError", "NotApplicable", "checks"]


def checks(name: str, *, plugins: Sequence[str] = (), config: str | Path | None = None, seed: int = 0) -> list[Check]:
    """Return all checks of a trainer. Calling a check runs it.

    plugins: files or modules that define the trainer. config: a YAML file whose hyperparameters replace the defaults of
    the checks. Raises PluginError or SettingsError if the trainer or its hyperparameters cannot be used.
    """
    from mlagents.conformance.kit import checks_of  # these load torch, which the command's help must not
    from mlagents.conformance.subject import find_subject
    from mlagents.plugins.catalog import Catalog

    return checks_of(find_subject(Catalog(plugins), name, config=config, seed=seed))
