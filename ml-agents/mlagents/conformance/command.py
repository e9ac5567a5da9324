"""`mlagents-plugin check`. Importing this must stay quick: it loads no torch."""

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

FAILED, USAGE_ERROR = 1, 2  # exit status
PROCESSES = 2


def add_parser(commands: Any, shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add `check` to the commands of a parser. shared: has `--plugin`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check", parents=[shared], help="check that a trainer acts, learns, resumes and is exported correctly"
    )
    parser.add_argument("name", metavar="NAME", help="its trainer_type")
    parser.add_argument(
        "--config", metavar="FILE.yaml", help="use the hyperparameters that this file gives the trainer"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file too")
    parser.add_argument("--only", default="", metavar="WORD", help="run only checks with this in their names")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random numbers (0)")
    return parser


def run(catalog: Catalog, flags: argparse.Namespace) -> int:
    """Run the checks, print the results, and return the exit status: 1 if a check failed, 2 for a wrong argument."""
    from mlagents.conformance.runner import CheckRequest, run_checks, summary
    from mlagents.plugins.catalog import PluginError
    from mlagents.settings.mistakes import SettingsError

    request = CheckRequest(flags.name, tuple(catalog.files), flags.config, flags.seed, flags.only)
    begin = time.perf_counter()
    try:
        if not request.checks():
            return _usage_error(f"--only: no check has '{flags.only}' in its name")
        results = []
        for result in run_checks(request, processes=min(PROCESSES, os.cpu_count() or 1)):
            print(_line(result), flush=True)
            results.append(result)
    except PluginError as error:
        print(error, file=sys.stderr)
        return FAILED
    except SettingsError as error:
        return _usage_error(str(error))
    print(f"\n{flags.name}: {summary(results)}, in {time.perf_counter() - begin:.0f} s")
    failed = any(result.verdict == "FAILED" for result in results)
    if flags.json is not None:
        report = {"trainer": flags.name, "seed": flags.seed, "failed": failed, "results": [asdict(r) for r in results]}
        try:
            flags.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            return _usage_error(f"--json: {flags.json} cannot be written: {error.strerror}")
    return FAILED if failed else 0


def _line(result: Result) -> str:
    detail = f": {result.detail}" if result.detail else ""
    return f"{result.verdict:7}  {result.seconds:5.1f} s  {result.check}{detail}"


def _usage_error(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return USAGE_ERROR
