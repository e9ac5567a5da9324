"""`mlagents-plugin`: which trainers there are, whose they are, what they take, and why one cannot be used."""

from __future__ import annotations

import argparse
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from mlagents.plugins import Catalog, Kind

MISTAKE = 2  # exit status
EPILOG = """examples:
  mlagents-plugin list
  mlagents-plugin explain ppo
  mlagents-plugin explain gentle --plugin my_trainer.py"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if the trainer that is asked for cannot be used."""
    flags = make_parser().parse_args(argv)
    from mlagents.plugins import Catalog  # here, so that --help is quick

    catalog = Catalog(flags.plugins)
    lines, status = listed(catalog) if flags.command == "list" else explained(catalog, flags.name)
    for line in lines:
        print(line, file=sys.stderr if status else sys.stdout)
    return status


def make_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="mlagents-plugin",
        description="Look at the trainers that a configuration may name.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--plugin", dest="plugins", action="append", default=[], metavar="FILE.py", help="a file or module to look into"
    )
    commands.add_parser("list", parents=[shared], help="say the name and the origin of every trainer")
    explain = commands.add_parser("explain", parents=[shared], help="say what a trainer is and takes")
    explain.add_argument("name", metavar="NAME", help="what a configuration says as trainer_type")
    return parser


def listed(catalog: Catalog) -> tuple[list[str], int]:
    """Return a line for each trainer; those that cannot be used say why."""
    from mlagents.plugins import is_built

    lines = catalog.broken_files()
    names = catalog.names()
    width = max(len(name) for name in names)
    for name in names:
        said = _origin(catalog, name) if is_built(name) else "mlagents, its settings only: it is not built yet"
        lines.append(f"{name:{width}}  {said}")
    return lines, 0


def _origin(catalog: Catalog, name: str) -> str:
    from mlagents.plugins import PluginError

    try:
        found = catalog.find(name)
    except PluginError as error:
        return f"cannot be used: {error}"
    return found.origin if found else "cannot be used: nobody has it"


def explained(catalog: Catalog, name: str) -> tuple[list[str], int]:
    """Return what a trainer is, where it stands, and its settings; or why it cannot be used, with the traceback."""
    from mlagents.plugins import PluginError, is_built
    from mlagents.reading import near

    try:
        found = catalog.find(name)
    except PluginError as error:
        trace = traceback.format_exception(error.__cause__) if error.__cause__ else []
        return [str(error), "", *"".join(trace).splitlines()], 1
    if found is None:
        names = catalog.names()
        return [f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}"], MISTAKE
    lines = [f"{name}, of {found.origin}"]
    if is_built(name):
        lines += _described(found)
    return [*lines, "", "hyperparameters:", *(f"  {line}" for line in settings_table(found.settings))], 0


def _described(kind: Kind) -> Iterator[str]:
    trainer = kind.trainer()
    yield f"  {(inspect.getdoc(trainer) or 'without a docstring').splitlines()[0]}"
    yield f"  {inspect.getsourcefile(trainer)}, class {trainer.__name__}"


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
        f"{signs[name]} {getattr(limit, name):g}"
        for limit in info.metadata
        for name in signs
        if hasattr(limit, name)
    ]  # fmt: skip
    return " ".join([words, *limits])


def _default(info: FieldInfo) -> str:
    return "must be given" if info.is_required() else f"{info.default}"


if __name__ == "__main__":
    raise SystemExit(main())
