"""The `environment_parameters` of a file: numbers, samplers and curricula."""

from __future__ import annotations

from typing import Any

from mlagents.envs.settings import SAMPLERS, CompletionCriteria, Lesson, ParameterSettings, SamplerSettings
from mlagents.settings.mistakes import near
from mlagents.settings.section_reader import SectionReader
from mlagents.settings.yaml_file import Path_
from mlagents_envs.names import nearest


def read_parameter(reader: SectionReader, raw: Any, path: Path_) -> ParameterSettings | None:
    """Return an environment parameter, which is a number, a sampler, or lessons; None after noting mistakes."""
    if not isinstance(raw, dict) or "curriculum" not in raw:
        value = read_sampler(reader, raw, path)
        return None if value is None else ParameterSettings(curriculum=[Lesson(value=value, name=path[-1])])
    lessons = raw["curriculum"]
    if not isinstance(lessons, list) or not lessons:
        reader.mistake((*path, "curriculum"), "must be a list of lessons")
        return None
    read = []
    for position, entry in enumerate(lessons):
        last = position == len(lessons) - 1
        read.append(_read_lesson(reader, entry, (*path, "curriculum", str(position)), last=last))
    return None if None in read else ParameterSettings(curriculum=[lesson for lesson in read if lesson])


def _read_lesson(reader: SectionReader, entry: Any, path: Path_, *, last: bool) -> Lesson | None:
    lesson = dict(reader.mapping(entry, path))
    if len(lesson) == 1 and isinstance(next(iter(lesson.values())), dict):  # as Unity's upgrade tool writes it
        ((name, inside),) = lesson.items()
        if name not in Lesson.model_fields:
            lesson, path = {"name": name, **inside}, (*path, name)
    lesson["value"] = read_sampler(reader, lesson.get("value"), (*path, "value"))
    criteria = lesson.get("completion_criteria")
    if criteria is not None:
        below = (*path, "completion_criteria")
        lesson["completion_criteria"] = reader.section(CompletionCriteria, reader.mapping(criteria, below), below)
    elif not last:
        reader.mistake(path, "completion_criteria is missing; only the last lesson has none")
    return lesson["value"] and reader.section(Lesson, lesson, path)


def read_sampler(reader: SectionReader, raw: Any, path: Path_) -> SamplerSettings | None:
    """Return where values come from; a number is a constant. None after noting mistakes."""
    if isinstance(raw, (int, float, str)):
        constant = reader.section(SAMPLERS["constant"], {"value": raw}, path)
        if constant is None:
            return None
        return SamplerSettings.model_validate({"sampler_type": "constant", "sampler_parameters": constant})
    given = dict(reader.mapping(raw, path)) if raw is not None else {}
    missing = [key for key in ("sampler_type", "sampler_parameters") if key not in given]
    if missing:
        reader.mistake(
            path, f"must be a number, or have sampler_type and sampler_parameters; no {missing[0]} is there"
        )
        return None
    name = str(given["sampler_type"])
    if name not in SAMPLERS:
        reader.mistake(
            (*path, "sampler_type"), f"'{name}' is no sampler{near(name, SAMPLERS)} Known: {', '.join(SAMPLERS)}"
        )
    likely = [name] if name in SAMPLERS else nearest(name, SAMPLERS)
    inside = (*path, "sampler_parameters")
    values = reader.mapping(given["sampler_parameters"], inside)
    parameters = reader.section(SAMPLERS[likely[0]], values, inside) if likely else None
    reader.drop_unknown(given, ("sampler_type", "sampler_parameters"), path, lenient=False)
    if parameters is None or name not in SAMPLERS:
        return None
    return SamplerSettings.model_validate({"sampler_type": name, "sampler_parameters": parameters})
