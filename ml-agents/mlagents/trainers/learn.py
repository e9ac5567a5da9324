"""What programs import of the command: `main`, `parse_command_line` and `run_cli`, as earlier releases had them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlagents import cli
from mlagents.learn import main, one_thread_each, run_cli, warn

if TYPE_CHECKING:
    from mlagents.settings.options import RunOptions

__all__ = ["main", "parse_command_line", "run_cli"]


def parse_command_line(argv: Sequence[str] | None = None) -> RunOptions:
    """Return the options that flags over file over defaults give, after saying what is suspicious in them.

    argv: without the program's name; None takes that of the process. Raises SettingsError with every mistake.
    """
    one_thread_each()  # before numpy is loaded
    options, warnings = cli.parse_command_line(argv)
    warn(warnings)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
