"""`mlagents-doctor`: prints problems of an installation, a configuration or a build, and how to solve them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mlagents import __version__
from mlagents_envs.output import command

if TYPE_CHECKING:
    from mlagents.doctor.machine import Finding

DEFAULT_PORT = 5005
STYLE = {"ok": "green", "warning": "yellow", "problem": "bold red"}
WIDTH = max(map(len, STYLE)) + 2  # of the column with the verdict
EPILOG = """examples:
  mlagents-doctor                                   look at this machine
  mlagents-doctor --env builds/Walker --no-graphics start a build and step it
  mlagents-doctor walker.yaml --env builds/Walker   and compare its behaviors with a configuration

The exit status is 1 if there is a problem, else 0."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; a flag that is not given is not in the result, so that the file's value is used."""
    parser = argparse.ArgumentParser(
        prog="mlagents-doctor",
        description="Check this machine, a configuration, and an environment.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("config", nargs="?", metavar="CONFIG.yaml", help="how each behavior is trained")
    parser.add_argument("--env", metavar="PATH", help="a Unity build, or builtin:NAME; else what CONFIG.yaml says")
    parser.add_argument("--no-graphics", action="store_true", help="start the build without a window")
    parser.add_argument("--base-port", type=int, metavar="N", help=f"port of the build ({DEFAULT_PORT})")
    parser.add_argument("--timeout-wait", type=int, metavar="SECONDS", help="how long to wait for the build (60)")
    parser.add_argument(
        "--env-args", nargs=argparse.REMAINDER, metavar="ARG", help="all that follows goes to the build"
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = vars(make_parser().parse_args(argv))
    problems = 0
    try:
        for finding in examine(given):
            show(finding)
            problems += finding.level.value == "problem"
    except KeyboardInterrupt:
        print("Stopped before all checks were done.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"{problems} problem{'s' if problems > 1 else ''} found." if problems else "No problem found.")
    return 1 if problems else 0


def examine(given: dict[str, Any]) -> Iterator[Finding]:
    """Yield all findings, as they come.

    given: the flags on the command line, by name.
    """
    from mlagents.doctor.machine import attempt, check_machine

    yield from check_machine(base_port=given.get("base_port", DEFAULT_PORT), no_graphics="no_graphics" in given)
    if "config" in given or "env" in given:
        yield from attempt(partial(_check_run, given))


def _check_run(given: dict[str, Any]) -> Iterator[Finding]:
    from mlagents.doctor.env_check import check_run  # here, so that a package that is missing is a finding

    keys = {"env": "env_path", "base_port": "base_port", "timeout_wait": "timeout_wait", "env_args": "env_args"}
    flags = {
        "env_settings": {key: given[flag] for flag, key in keys.items() if flag in given},
        "engine_settings": {"no_graphics": True} if "no_graphics" in given else {},
    }
    return check_run(given.get("config"), flags)


def show(finding: Finding) -> None:
    """Print one finding on a line, its verdict in color where there is a terminal; further lines are indented."""
    verdict, text = finding.level.value, finding.text.replace("\n", "\n" + " " * WIDTH)
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        print(f"{verdict:<{WIDTH}}{text}")
        return
    line = Text.assemble((f"{verdict:<{WIDTH}}", STYLE[verdict]), text)
    Console(file=sys.stdout).print(line, soft_wrap=True)


if __name__ == "__main__":
    raise SystemExit(main())
