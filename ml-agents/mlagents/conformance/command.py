"""`mlagents-plugin check`: does a trainer do what a trainer must? Light: it stands in a parser that must be quick."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlagents.conformance.runner import Result
    from mlagents.plugins.catalog import Catalog

FAULTY, MISTAKE = 1, 2  # exit status
PROCESSES = 2


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add `check` to the commands of a parser. shared: has `--plugin`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check", parents=[shared], help="try whether a trainer acts, learns, resumes and is exported as it must"
    )
    parser.add_argument("name", metavar="NAME", help="what a configuration says as trainer_type")
    parser.add_argument(
        "--config", metavar="FILE.yaml", help="take the hyperparameters that this file gives the trainer"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--only", default="", metavar="WORD", help="do the checks with this in their sentences only")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="begin with other random numbers (0)")
    return parser


def run(catalog: Catalog, flags: argparse.Namespace) -> int:
    """Do the checks, say what came of each, and return the exit status: 1 if there was a fault, 2 for a mistake."""
    from mlagents.conformance.runner import Order, results, summary
    from mlagents.plugins.catalog import PluginError
    from mlagents.settings.mistakes import SettingsError

    order = Order(flags.name, tuple(catalog.files), flags.config, flags.seed, flags.only)
    begin = time.perf_counter()
    try:
        if not order.checks():
            return _mistake(f"--only: no check has '{flags.only}' in its sentence")
        found = []
        for result in results(order, processes=min(PROCESSES, os.cpu_count() or 1)):
            print(_line(result), flush=True)
            found.append(result)
    except PluginError as error:
        print(error, file=sys.stderr)
        return FAULTY
    except SettingsError as error:
        return _mistake(str(error))
    print(f"\n{flags.name}: {summary(found)}, in {time.perf_counter() - begin:.0f} s")
    faulty = any(result.verdict == "FAULT" for result in found)
    if flags.json is not None:
        report = {"trainer": flags.name, "seed": flags.seed, "faulty": faulty, "results": [asdict(r) for r in found]}
        try:
            flags.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            return _mistake(f"--json: {flags.json} cannot be written: {error.strerror}")
    return FAULTY if faulty else 0


def _line(result: Result) -> str:
    said = f": {result.said}" if result.said else ""
    return f"{result.verdict:9}  {result.seconds:5.1f} s  {result.check}{said}"


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return MISTAKE
