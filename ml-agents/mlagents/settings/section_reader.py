"""Reads one section of a file: from plain values to validated settings, with the place of every mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mlagents.algorithms.settings import BCSettings, POCASettings, PPOSettings, SACSettings
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.schema import LenientSettings, Settings
from mlagents.settings.mistakes import Mistake, near, number, shorten
from mlagents.settings.options import TrainerSettings
from mlagents.settings.yaml_file import Document, Path_

Section = TypeVar("Section", bound=BaseModel)
_HYPERPARAMETERS = (BCSettings, SACSettings, POCASettings, PPOSettings)
_HOMES: dict[str, str] = {  # key -> where it belongs in a behavior
    "gamma": "reward_signals.extrinsic",
    "strength": "reward_signals.extrinsic",
    **{key: "network_settings.memory" for key in MemorySettings.model_fields},
    **{key: "network_settings" for key in NetworkSettings.model_fields},
    **{key: "hyperparameters" for kind in _HYPERPARAMETERS for key in kind.model_fields},
    **{key: "the behavior itself" for key in TrainerSettings.model_fields},
}


class SectionReader:
    """Reads sections of a document; collects mistakes instead of stopping at the first.

    flags: section -> key -> value, as given on the command line; they only say where a value comes from.
    """

    def __init__(self, document: Document, flags: Mapping[str, Mapping[str, Any]]) -> None:
        self.document = document
        self.flags = flags
        self.mistakes = list(document.mistakes)
        self.warnings = list(document.warnings)

    def section(self, kind: type[Section], raw: Mapping[str, Any], path: Path_) -> Section | None:
        """Return a checked section, or None after noting what is wrong with it."""
        raw, before = dict(raw), len(self.mistakes)
        self.drop_unknown(raw, kind.model_fields, path, lenient=issubclass(kind, LenientSettings))
        for name, below in sections_of(kind).items():
            if isinstance(raw.get(name), dict):
                raw[name] = self.section(below, raw[name], (*path, name))
        for name, below in lists_of(kind).items():
            if isinstance(raw.get(name), list):
                places = [(*path, name, str(number)) for number in range(len(raw[name]))]
                given = [self.mapping(entry, place) for entry, place in zip(raw[name], places, strict=True)]
                raw[name] = [self.section(below, entry, place) for entry, place in zip(given, places, strict=True)]
                if None in raw[name]:
                    return None
        if len(self.mistakes) > before:
            raw = {key: value for key, value in raw.items() if value is not None}
        try:
            read = kind.model_validate(raw)
        except ValidationError as error:
            for problem in error.errors():
                if problem["type"] == "literal_error" and problem["loc"][0] not in raw:
                    continue  # a key that follows another, whose own value is the mistake
                if problem["type"] == "value_error" and not problem["loc"] and len(self.mistakes) > before:
                    continue  # keys that must fit together, one of which is a mistake already
                where = (*path, *(str(part) for part in problem["loc"]))
                self.mistake(where, explain(problem))
            return None
        return read if len(self.mistakes) == before else None

    def mapping(self, raw: Any, path: Path_) -> dict[str, Any]:
        """Return keys and values; empty for nothing at all, and after a mistake for anything else."""
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self.mistake(path, f"is {quote(raw)}; must be keys and values")
            return {}
        return raw

    def drop_unknown(self, raw: dict[str, Any], known: Iterable[str], path: Path_, *, lenient: bool) -> None:
        """Take unknown keys out of `raw`, each with a mistake, or a warning where Unity's tools ignore them."""
        known = list(known)
        for key in [key for key in raw if key not in known]:
            home = _HOMES.get(key) if path[:1] in (("behaviors",), ("default_settings",)) else None
            elsewhere = home is not None and home != path[-1]
            message = f"unknown key; it belongs into {home}" if elsewhere else f"unknown key{near(key, known, end='')}"
            if lenient:
                self.warn((*path, key), f"{message} (ignored)")
            else:
                self.mistake((*path, key), message)
            del raw[key]

    def mistake(self, path: Path_, message: str) -> None:
        """Note a mistake at this path of keys."""
        self.mistakes.append(self._note(path, message))

    def warn(self, path: Path_, message: str) -> None:
        """Note a warning at this path of keys."""
        self.warnings.append(self._note(path, message))

    def _note(self, path: Path_, message: str) -> Mistake:
        if len(path) > 1 and path[1] in self.flags.get(path[0], {}):
            return Mistake(0, 0, f"--{_flag(path[1])}", "", message)
        places, place = self.document.places, path
        if path[0:1] == ("behaviors",) and path not in places:
            inherited = ("default_settings", *path[2:])
            place = inherited if inherited in places else path
        while place not in places and place:
            place = place[:-1]
        line, column = places.get(place, (0, 0))
        return Mistake(line, column, self.document.file, ".".join(path), message)


def sections_of(kind: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the sections inside a section, as its annotations have them: `X`, or `X | None`."""
    return _below(kind, listed=False)


def lists_of(kind: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the lists of sections inside a section: `list[X]`."""
    return _below(kind, listed=True)


@cache
def _below(kind: type[BaseModel], *, listed: bool) -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for name, field in kind.model_fields.items():
        union = get_origin(field.annotation) in (UnionType, Union)
        choices = get_args(field.annotation) if union else (field.annotation,)
        for choice in choices:
            inner = get_args(choice)[:1] if get_origin(choice) is list else ()
            below = inner[0] if listed and inner else choice if not listed else None
            if isinstance(below, type) and issubclass(below, Settings):
                found[name] = below
    return found


def explain(problem: Any) -> str:
    """Return what is wrong with a value, what it is, and what it must be. problem: one of pydantic's errors."""
    limits = {key: number(value) for key, value in problem.get("ctx", {}).items()}
    wants = {
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be more than {gt}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
        "multiple_of": "must be a multiple of {multiple_of}",
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "list_type": "must be a list",
        "model_type": "must be keys and values",
        "literal_error": "must be one of {expected}",
    }
    kind, value = problem["type"], problem["input"]
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    want = wants[kind].format(**limits) if kind in wants else problem["msg"].lower()
    if kind == "literal_error" and isinstance(value, str):
        want += near(value, re.findall("'([^']*)'", limits["expected"]), end="")
    return f"is {quote(value)}; {want}"


def quote(value: Any) -> str:
    """Return a value as it is shown in messages."""
    return f"'{shorten(value)}'" if isinstance(value, str) else shorten(str(value))


def _flag(key: str) -> str:
    renamed = {"env_path": "env", "device": "torch-device"}
    return renamed.get(key, key.replace("_", "-"))
