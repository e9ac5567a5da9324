"""`python -m mlagents.trainers.upgrade_config`: a configuration of before 1.0, in the form of today."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.plugins.catalog import BUILTIN
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.old_formats import is_curriculum
from mlagents.settings.options import TrainerSettings
from mlagents.settings.reading import load
from mlagents.settings.yaml_file import read
from mlagents_envs.output import command

MISTAKE = 2  # exit status
Values = dict[str, Any]
_KINDS = {"multirange_uniform": "multirangeuniform"}  # samplers whose name has changed
_MEMORY = ("use_recurrent", *MemorySettings.model_fields)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; the arguments are those of Unity's tool of this name."""
    parser = argparse.ArgumentParser(
        prog="python -m mlagents.trainers.upgrade_config",
        description="Write a configuration of ML-Agents before 1.0 in the form of today.",
    )
    parser.add_argument("old", metavar="OLD.yaml", help="with a section per behavior, or with `behaviors` already")
    parser.add_argument("new", metavar="NEW.yaml", help="the file that is written; it must not be there")
    parser.add_argument("--curriculum", metavar="FILE.yaml", help="lessons that had a file of their own")
    parser.add_argument("--sampler", metavar="FILE.yaml", help="samplers that had a file of their own")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    flags = make_parser().parse_args(argv)
    if Path(flags.new).exists():
        print(f"{flags.new}: is there already; name another file", file=sys.stderr)
        return MISTAKE
    try:
        files = [read(file).values if file is not None else {} for file in (flags.old, flags.curriculum, flags.sampler)]
        if is_curriculum(files[1]):  # of one behavior, which the file is named for
            files[1] = {Path(flags.curriculum).stem: files[1]}
        new, left_out = upgrade(*files)
        Path(flags.new).write_text(yaml.safe_dump(new, sort_keys=False, allow_unicode=True), encoding="utf-8")
        for key in left_out:
            print(f"{flags.old}: {key}: has no successor, so it is left out", file=sys.stderr)
        print(f"{flags.new} is written.")
        _, warnings = load(flags.new, {})
    except OSError as error:
        print(f"{flags.new}: cannot be written: {error.strerror}", file=sys.stderr)
        return MISTAKE
    except SettingsError as error:
        print(error, file=sys.stderr)
        return MISTAKE
    for warning in warnings:
        print(f"[WARNING] {warning}", file=sys.stderr)
    return 0


def upgrade(old: Values, curriculum: Values | None = None, sampler: Values | None = None) -> tuple[Values, list[str]]:
    """Return a configuration in the form of today, and the keys that have no successor.

    curriculum, sampler: what had files of their own until release 0.16.
    """
    rest = dict(old)
    samplers = {**_section(rest.pop("parameter_randomization", {})), **(sampler or {})}
    lessons = {**_section(rest.pop("curriculum", {})), **(curriculum or {})}
    left_out: list[str] = []
    new = rest
    if "behaviors" not in old:
        default = _section(rest.pop("default", {}))
        new = {"behaviors": {}}
        for name, given in (rest or {"default": {}}).items():
            new["behaviors"][name], strangers = upgrade_behavior({**default, **_section(given)})
            left_out += [f"{name}.{key}" for key in strangers]
        if not rest:  # nothing but defaults
            new = {"default_settings": new["behaviors"]["default"]}
    parameters = {**_curricula(lessons), **{name: value for name, value in _samplers(samplers)}}
    if parameters:
        new["environment_parameters"] = {**_section(new.get("environment_parameters")), **parameters}
    return new, left_out


def upgrade_behavior(flat: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """Return one behavior's sections, and the keys that have no successor. flat: its keys over the defaults'."""
    given = {key: value for key, value in flat.items() if value is not None}
    trainer = str(given.pop("trainer", "ppo"))
    known = BUILTIN.get(trainer, BUILTIN["ppo"]).model_fields
    recurrent = {key: given.pop(key) for key in _MEMORY if key in given}
    network = {key: given.pop(key) for key in NetworkSettings.model_fields if key in given}
    if recurrent.pop("use_recurrent", False):
        network["memory"] = recurrent
    new: Values = {"trainer_type": trainer}
    new["hyperparameters"] = {key: given.pop(key) for key in list(given) if key in known}
    new["network_settings"] = network
    new |= {key: given.pop(key) for key in list(given) if key in TrainerSettings.model_fields}
    return {key: value for key, value in new.items() if value != {}}, list(given)


def _samplers(old: Values) -> Iterator[tuple[str, Values]]:
    for name, given in old.items():
        if name == "resampling-interval":
            continue
        numbers = dict(_section(given))
        kind = str(numbers.pop("sampler-type", numbers.pop("sampler_type", "uniform")))
        yield name, {"sampler_type": _KINDS.get(kind, kind), "sampler_parameters": numbers}


def _curricula(old: Values) -> Values:
    """Return a curriculum per parameter. old: by behavior; thresholds, and a value of each parameter per lesson."""
    found: Values = {}
    for behavior, given in old.items():
        if not is_curriculum(given):
            continue
        criteria = {
            "behavior": behavior,
            "measure": given.get("measure", "reward"),
            "min_lesson_length": given.get("min_lesson_length", 1),
            "signal_smoothing": given.get("signal_smoothing", False),
        }
        for name, values in _section(given["parameters"]).items():
            lessons: list[Values] = [{"name": f"Lesson{i}", "value": value} for i, value in enumerate(values)]
            for lesson, threshold in zip(lessons[:-1], given["thresholds"], strict=False):
                lesson["completion_criteria"] = {**criteria, "threshold": threshold}
            found[name] = {"curriculum": lessons}
    return found


def _section(given: Any) -> Values:
    return given if isinstance(given, dict) else {}


if __name__ == "__main__":
    raise SystemExit(main())
