"""`mlagents-plugin`: lists, explains and checks trainers, and writes a package for a new one."""

from __future__ import annotations

import argparse
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from mlagents import __version__
from mlagents.conformance import command as check
from mlagents.plugins.new import KINDS, NewPluginError, check_name, next_commands, write
from mlagents.settings.mistakes import number
from mlagents_envs.output import command

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from mlagents.algorithms.capabilities import Capabilities
    from mlagents.plugins.catalog import Catalog, Kind, PluginError
    from mlagents.plugins.signals import SignalKind

MISTAKE = 2  # exit status
EPILOG = """examples:
  mlagents-plugin new my-trainer
  mlagents-plugin list
  mlagents-plugin explain ppo
  mlagents-plugin explain gentle --plugin my_trainer.py
  mlagents-plugin check gentle --plugin my_trainer.py"""


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if the trainer cannot be used or fails a check."""
    flags = make_parser().parse_args(argv)
    from mlagents.plugins.catalog import Catalog  # here, so that --help is quick

    catalog = Catalog(flags.plugins)
    if flags.command == "check":
        return check.run(catalog, flags)
    if flags.command == "list":
        lines, status = listed(catalog)
    elif flags.command == "new":
        lines, status = begun(catalog, flags.name, folder=flags.folder, kind=flags.kind)
    else:
        lines, status = explained(catalog, flags.name)
    for line in lines:
        print(line, file=sys.stderr if status else sys.stdout)
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="mlagents-plugin",
        description="Look at the trainers that a configuration may name, check them, or begin one of your own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--plugin", dest="plugins", action="append", default=[], metavar="FILE.py", help="a file or module to look into"
    )
    commands.add_parser("list", parents=[shared], help="print the name and the origin of every trainer")
    explain = commands.add_parser("explain", parents=[shared], help="print what a trainer supports, and its settings")
    explain.add_argument("name", metavar="NAME", help="its trainer_type")
    check.add_parser(commands, shared)
    new = commands.add_parser("new", help="write a package with a trainer of your own that already learns")
    new.set_defaults(plugins=[])
    new.add_argument("name", metavar="NAME", help="of the trainer and of its folder: small letters, digits, - and _")
    new.add_argument("--from", dest="kind", choices=KINDS, default="on-policy", help="what it begins as")
    new.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where the folder NAME is written")
    return parser


def begun(catalog: Catalog, name: str, *, folder: Path, kind: str) -> tuple[list[str], int]:
    """Write the package of a new trainer; return its files and the next commands, or why it cannot be."""
    try:
        check_name(name, catalog.names())
        files = write(name, folder, kind=kind)
    except NewPluginError as error:
        return [str(error)], MISTAKE
    return ["Written:", *(f"  {file}" for file in files), *next_commands(name, folder)], 0


def listed(catalog: Catalog) -> tuple[list[str], int]:
    """Return a line for each trainer, then for each reward signal; those that cannot be used say why."""
    from mlagents.plugins.signals import find_signal, signal_names

    lines = [str(broken) for broken in catalog.broken_files()]
    names = catalog.names()
    width = max(len(name) for name in names)
    lines += [f"{name:{width}}  {_origin(catalog.find, name)}" for name in names]
    names = signal_names(catalog)
    width = max(len(name) for name in names)
    lines += ["", "reward signals:"]
    lines += [f"{name:{width}}  {_origin(partial(find_signal, catalog), name)}" for name in names]
    return lines, 0


def _origin(find: Callable[[str], Kind | SignalKind | None], name: str) -> str:
    from mlagents.plugins.catalog import PluginError

    try:
        found = find(name)
    except PluginError as error:
        return f"cannot be used: {error}"
    return found.origin if found else "cannot be used: nobody has it"


def explained(catalog: Catalog, name: str) -> tuple[list[str], int]:
    """Return what a trainer is, where it stands, what it can learn, and its settings.

    If it cannot be used, return why, with the traceback.
    """
    from mlagents.plugins.catalog import PluginError
    from mlagents.settings.mistakes import near
    from mlagents.settings.support import capabilities_of

    try:
        found = catalog.find(name)
    except PluginError as error:
        return failure(error), 1
    if found is None and (signal := _explained_signal(catalog, name)) is not None:
        return signal
    if found is None:
        names = catalog.names()
        broken = [line for error in catalog.broken_files() for line in ("", *failure(error))]
        return [f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}", *broken], MISTAKE
    lines = [f"{name}, of {found.origin}", *_class_lines(found.trainer())]
    lines += [f"  {line}" for line in abilities(capabilities_of(catalog, name))]
    return [*lines, "", "hyperparameters:", *(f"  {line}" for line in settings_table(found.settings))], 0


def _explained_signal(catalog: Catalog, name: str) -> tuple[list[str], int] | None:
    """Return what a reward signal is and takes, or why it cannot be used; None if there is none of this name."""
    from mlagents.plugins.catalog import PluginError
    from mlagents.plugins.signals import find_signal

    try:
        found = find_signal(catalog, name)
    except PluginError as error:
        return failure(error), 1
    if found is None:
        return None
    lines = [f"{name}, a reward signal of {found.origin}", *_class_lines(found.signal())]
    return [*lines, "", "settings:", *(f"  {line}" for line in settings_table(found.settings))], 0


def failure(error: PluginError) -> list[str]:
    """Return why a plug-in cannot be used, and the traceback of what happened inside it, if anything did."""
    trace = traceback.format_exception(error.__cause__) if error.__cause__ else []
    return [str(error), *(["", *"".join(trace).splitlines()] if trace else [])]


def _class_lines(kind: type) -> Iterator[str]:
    yield f"  {(inspect.getdoc(kind) or 'without a docstring').splitlines()[0]}"
    yield f"  {inspect.getsourcefile(kind)}, class {kind.__name__}"


def abilities(capabilities: Capabilities) -> list[str]:
    """Return in words what a trainer can learn with, and what it cannot."""
    kinds = {
        "continuous actions": capabilities.continuous,
        "discrete actions": capabilities.discrete,
        "continuous actions beside discrete ones": capabilities.hybrid,
        "recurrent networks": capabilities.memory,
        "rewards of a group": capabilities.groups,
        "demonstrations": capabilities.demonstrations,
    }
    signals = "several reward signals" if capabilities.several_signals else "one reward signal only"
    does = [words for words, able in kinds.items() if able]
    lacks = [words for words, able in kinds.items() if not able]
    return [f"learns with {', '.join([*does, signals])}", *([f"not with {', '.join(lacks)}"] if lacks else [])]


def settings_table(settings: Any) -> Iterator[str]:
    """Yield a line for each setting: name, type, default, range, and what it is for."""
    rows = [(name, _type(info), _default(info), info.description or "") for name, info in settings.model_fields.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, kind, default, purpose in rows:
        yield f"{name:{widths[0]}}  {kind:{widths[1]}}  {default:{widths[2]}}  {purpose}".rstrip()


def _type(info: FieldInfo) -> str:
    """Return a type in words, with the range that its values must lie in."""
    kind = info.annotation
    words = kind.__name__ if isinstance(kind, type) else str(kind)
    if get_origin(kind) is Literal:
        words = " or ".join(str(choice) for choice in get_args(kind))
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{signs[name]} {number(getattr(limit, name))}"
        for limit in info.metadata
        for name in signs
        if hasattr(limit, name)
    ]  # fmt: skip
    return " ".join([words, *limits])


def _default(info: FieldInfo) -> str:
    return "must be given" if info.is_required() else f"{info.default}"


if __name__ == "__main__":
    raise SystemExit(main())
