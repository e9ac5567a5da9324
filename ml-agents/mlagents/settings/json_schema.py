"""The YAML file as a JSON Schema, with which editors complete, explain and check it: `mlagents-learn --schema`.

It says what `reading` accepts, trainers of plug-ins included. It cannot compare two values, so it lets pass a sampler
whose smallest value is above its largest, a memory longer than a batch, and a lesson in between that never ends. It is
stricter in one thing: numbers and truth values are not quoted, and are spelled as in YAML 1.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from mlagents.algorithms.settings import HyperparamSettings
from mlagents.demonstrations.settings import PLACES, DemonstrationSettings, SourceSettings
from mlagents.envs.settings import SAMPLERS, CompletionCriteria, Lesson, ParameterSettings, SamplerSettings
from mlagents.plugins.catalog import Catalog, PluginError
from mlagents.plugins.signals import find_signal, signal_names
from mlagents.rewards.settings import SIGNALS, RewardSignalSettings
from mlagents.schema import LenientSettings, Settings
from mlagents.selfplay.settings import OpponentSettings
from mlagents.settings.options import BehavioralCloningSettings, RunOptions, StopSettings, TrainerSettings

if TYPE_CHECKING:
    from pydantic_core.core_schema import ModelSchema

Schema = dict[str, Any]
Path_ = tuple[str, ...]  # the keys that lead to a section of a behavior
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DEFAULT_TRAINER = TrainerSettings.model_fields["trainer_type"].default
_LIMITS = {  # of pydantic, which leaves its own words where a validator stands before a range
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_OWN_TRAINER: Schema = {"required": ["trainer_type"]}
_INHERITED: dict[Path_, type[BaseModel]] = {  # sections of a behavior of which default_settings may hold a half
    ("behavioral_cloning",): BehavioralCloningSettings,
    ("demonstrations",): DemonstrationSettings,
    ("stop_when",): StopSettings,
    **{("reward_signals", name): kind for name, kind in SIGNALS.items()},
}
_OURS: list[type[BaseModel]] = [
    RunOptions, TrainerSettings, HyperparamSettings, SourceSettings, OpponentSettings, ParameterSettings, Lesson,
    CompletionCriteria, SamplerSettings, *SAMPLERS.values(), *_INHERITED.values(),
]  # fmt: skip


def json_schema(catalog: Catalog) -> Schema:
    """Return the schema of a file that may name the trainers of a catalog; loads all of them.

    Those that cannot be used are left out, and `$comment` says why.
    """
    trainers, left_out = usable(catalog)
    schema = schema_of(trainers, signals_of(catalog))
    return {"$schema": DRAFT, "$comment": f"Left out: {'; '.join(left_out)}", **schema} if left_out else schema


def usable(catalog: Catalog) -> tuple[dict[str, type[HyperparamSettings]], list[str]]:
    """Return the settings of every trainer that a file may name, and a sentence for each that cannot be used."""
    trainers: dict[str, type[HyperparamSettings]] = {}
    left_out = [str(broken) for broken in catalog.broken_files()]
    seen: set[str] = set()
    while new := [name for name in catalog.names() if name not in seen]:  # what is loaded may announce more names
        seen.update(new)
        for name in new:
            found = _settings_of(catalog, name)
            if isinstance(found, str):
                left_out.append(found)
            else:
                trainers[name] = found
    return trainers, left_out


def _settings_of(catalog: Catalog, name: str) -> type[HyperparamSettings] | str:
    """Return what a trainer takes, or why it cannot be used."""
    try:
        found = catalog.find(name)
    except PluginError as error:
        return str(error)
    return found.settings if found is not None else f"'{name}' is no known trainer"


def signals_of(catalog: Catalog) -> dict[str, type[RewardSignalSettings]]:
    """Return the settings of every reward signal that a file may name and that can be used."""
    found = {}
    for name in signal_names(catalog):
        with suppress(PluginError):
            kind = find_signal(catalog, name)
            if kind is not None and _can_be_described(kind.settings):
                found[name] = kind.settings
    return found


def schema_of(
    trainers: Mapping[str, type[HyperparamSettings]], signals: Mapping[str, type[RewardSignalSettings]] = SIGNALS
) -> Schema:
    """Return the schema of a file that may name these trainers, of which `ppo` is one, and these reward signals."""
    described = [kind for kind in trainers.values() if _can_be_described(kind)]
    parts = _Parts.of([*_OURS, *signals.values(), *described])
    hyperparameters = {
        name: {"properties": {"hyperparameters": parts.reference(kind) if kind in described else {}}}
        for name, kind in trainers.items()
    }
    for kind in described:
        parts[kind]["additionalProperties"] = issubclass(kind, LenientSettings)
    for part in map(parts.__getitem__, [*_INHERITED.values(), *described]):
        part.pop("required", None)  # default_settings may say it; see _needs
    if HyperparamSettings not in described:
        del parts.definitions[parts.names[HyperparamSettings]]  # each trainer has its own
    _write_behavior(parts, hyperparameters, signals)
    _write_parameters(parts)
    _write_source(parts)
    _write_opponent(parts)
    return _file(parts, hyperparameters, list(_needs(trainers)))


def _can_be_described(kind: type[Settings]) -> bool:
    """May settings be written as a schema? Plug-ins may use types that only Python knows."""
    try:
        kind.model_json_schema()
    except PydanticInvalidForJsonSchema:
        return False
    return True


class _Sections(GenerateJsonSchema):
    """Describes sections as `reading` takes them: text may be a number; a key with nothing below it is all defaults."""

    def model_schema(self, schema: ModelSchema) -> Schema:
        described = super().model_schema(schema)
        if not issubclass(schema["cls"], Settings):
            return described
        if not described.get("required"):
            described["type"] = ["object", "null"]
        described["properties"] = {
            key: _tolerant({**value, **_limits(schema["cls"], key), "title": key})
            for key, value in described.get("properties", {}).items()
        }
        return described


def _limits(kind: type[BaseModel], key: str) -> Schema:
    """Return the range of a setting in pydantic's words; some versions do not describe it where null may stand."""
    field = kind.model_fields.get(key)
    limits = field.metadata if field is not None else []
    return {word: getattr(limit, word) for limit in limits for word in _LIMITS if hasattr(limit, word)}


def _tolerant(part: Schema) -> Schema:
    """Return a value's schema that lets numbers be text, as one list of types where that says it all."""
    part = {_LIMITS.get(word, word): value for word, value in part.items()}
    match part.get("allOf"):
        case [{"$ref": _} as reference]:  # as older pydantic puts words beside a reference
            del part["allOf"]
            part |= reference
    if isinstance(part.get("items"), dict):
        part["items"] = _tolerant(part["items"])
    if part.get("type") == "string" and not part.keys() & {"enum", "const", "format"}:
        part["type"] = ["string", "number"]
    if isinstance(part.get("default"), dict):
        del part["default"]  # that of a section stands at each of its keys
    if str(part.get("description")).startswith("Deprecated"):
        part["deprecated"] = True
    match part.pop("anyOf", []):
        case [{"type": _, **rest} as value, {"type": "null"}] if not rest.keys() & {"enum", "const"}:
            kind = _tolerant(value)["type"]
            part = {**_tolerant(value), **part, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}
        case [_, *_] as choices:
            part["anyOf"] = [_tolerant(choice) for choice in choices]
    return part


@dataclass(frozen=True)
class _Parts:
    """The sections of the file, each described once and referred to wherever it may stand."""

    definitions: dict[str, Schema]
    names: dict[type[BaseModel], str]  # of definitions

    @classmethod
    def of(cls, models: Sequence[type[BaseModel]]) -> _Parts:
        """Describe these models and whatever stands below them."""
        distinct = list(dict.fromkeys(models))
        references, whole = models_json_schema(
            [(model, "validation") for model in distinct],
            ref_template="#/$defs/{model}",
            schema_generator=_Sections,
        )
        names = {model: references[model, "validation"]["$ref"].rpartition("/")[2] for model in distinct}
        return cls(whole["$defs"], names)

    def __getitem__(self, model: type[BaseModel]) -> Schema:
        return self.definitions[self.names[model]]

    def reference(self, model: type[BaseModel]) -> Schema:
        return {"$ref": f"#/$defs/{self.names[model]}"}


def _write_behavior(
    parts: _Parts, hyperparameters: Mapping[str, Schema], signals: Mapping[str, type[RewardSignalSettings]]
) -> None:
    """Let a behavior name these trainers, each with its own hyperparameters, and reward signals with theirs."""
    part = parts[TrainerSettings]
    keys = part["properties"]
    keys["trainer_type"] |= {"type": "string", "enum": list(hyperparameters)}
    del keys["hyperparameters"]["$ref"]  # it depends on trainer_type
    keys["hyperparameters"]["type"] = ["object", "null"]
    keys["reward_signals"] |= {
        "type": ["object", "null"],
        "properties": {
            name: {"title": name, "description": parts[kind]["description"], **parts.reference(kind)}
            for name, kind in signals.items()
        },
        "additionalProperties": False,
    }
    keys["init_path"]["pattern"] = r"\.pt$"
    keys["framework"] = {
        "title": "framework",
        "description": "Deprecated: has no effect.",
        "deprecated": True,
    }
    spread = {"required": ["even_checkpoints"], "properties": {"even_checkpoints": {"const": True}}}
    part["allOf"] = [
        *({"if": _names(trainer), "then": own} for trainer, own in hyperparameters.items()),
        {"if": spread, "then": {"properties": {"keep_checkpoints": {"minimum": 1}}}},
    ]


def _write_parameters(parts: _Parts) -> None:
    """Let a number stand for a sampler that always gives it, and a sampler for a curriculum of one lesson."""
    parts[SamplerSettings]["properties"]["sampler_parameters"]["type"] = ["object", "null"]
    parts[SamplerSettings]["allOf"] = [
        {
            "if": {"properties": {"sampler_type": {"const": name}}},
            "then": {"properties": {"sampler_parameters": parts.reference(kind)}},
        }
        for name, kind in SAMPLERS.items()
    ]
    value = parts[Lesson]["properties"]["value"]
    del value["$ref"]
    value["anyOf"] = [{"type": "number"}, parts.reference(SamplerSettings)]
    del parts[ParameterSettings]["additionalProperties"]  # keys beside a curriculum are not looked at
    progress = {"required": ["measure"], "properties": {"measure": {"const": "progress"}}}
    share = {"properties": {"threshold": {"minimum": 0, "maximum": 1}}}
    parts[CompletionCriteria].update({"if": progress, "then": share})


def _write_source(parts: _Parts) -> None:
    """Let demonstrations come from one place each."""
    part = parts[SourceSettings]
    part["type"] = "object"
    part["oneOf"] = [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in PLACES]


def _write_opponent(parts: _Parts) -> None:
    """Let an opponent be a model or random play."""
    part = parts[OpponentSettings]
    part["type"] = "object"
    model = {"required": ["model"], "properties": {"model": {"not": {"type": "null"}}}}
    part["oneOf"] = [model, {"required": ["random"], "properties": {"random": {"const": True}}}]


@dataclass(frozen=True)
class _Need:
    """What every behavior must say, unless default_settings says it."""

    given: Schema  # fits a section that has the key
    must: Schema  # fits a section that needs not say it or does


def _needs(trainers: Mapping[str, type[HyperparamSettings]]) -> Iterator[_Need]:
    yield _Need(_OWN_TRAINER, {"dependentRequired": {"hyperparameters": ["trainer_type"]}})
    for path, kind in _INHERITED.items():
        for key in _required(kind):
            yield _Need(_says(*path, key), _where_present(path, {"required": [key]}))
    for name, settings in trainers.items():
        for key in _required(settings):
            below = {"hyperparameters": {"required": [key]}}
            must = {"if": _names(name), "then": {"required": ["hyperparameters"], "properties": below}}
            yield _Need(_says("hyperparameters", key), must)


def _file(parts: _Parts, hyperparameters: Mapping[str, Schema], needs: Sequence[_Need]) -> Schema:
    """Return the whole, in which a behavior takes what it does not say from default_settings."""
    root = parts.definitions.pop(parts.names[RunOptions])
    keys = root["properties"]
    default = keys["default_settings"]
    del default["anyOf"], default["default"]
    default.update(parts.reference(TrainerSettings), allOf=[need.must for need in needs])
    keys["behaviors"]["type"] = ["object", "null"]
    keys["plugins"]["type"] = ["array", "string", "null"]
    keys["environment_parameters"]["additionalProperties"] = {
        "description": "A number, a sampler, or a curriculum of several.",
        "anyOf": [{"type": "number"}, parts.reference(SamplerSettings), parts.reference(ParameterSettings)],
    }
    no_trainer = {"not": _OWN_TRAINER}
    inherits = [
        {"if": _default(_names(name)), "then": _every_behavior({"if": no_trainer, "then": own})}
        for name, own in hyperparameters.items()
    ]
    builtin = _every_behavior({"if": no_trainer, "then": hyperparameters[_DEFAULT_TRAINER]})
    return {
        "$schema": DRAFT,
        "title": "Settings of mlagents-learn",
        "description": root["description"],
        "type": "object",
        "properties": keys,
        "additionalProperties": False,
        "allOf": [
            *inherits,
            {"if": _default(_OWN_TRAINER), "else": builtin},
            *({"if": _default(need.given), "else": _every_behavior(need.must)} for need in needs),
        ],
        "$defs": parts.definitions,
    }


def _default(fits: Schema) -> Schema:
    return {"required": ["default_settings"], "properties": {"default_settings": {"type": "object", **fits}}}


def _every_behavior(must: Schema) -> Schema:
    return {"properties": {"behaviors": {"additionalProperties": must}}}


def _names(trainer: str) -> Schema:
    return {**_OWN_TRAINER, "properties": {"trainer_type": {"const": trainer}}}


def _says(*path: str) -> Schema:
    """Fits a section that has a value at the end of the path."""
    first, *rest = path
    return {"type": "object", "required": [first]} | ({"properties": {first: _says(*rest)}} if rest else {})


def _where_present(path: Path_, must: Schema) -> Schema:
    """Fits a section that lacks this path, or in which what stands there fits `must`."""
    for key in reversed(path):
        must = {"properties": {key: must}}
    return must


def _required(kind: type[BaseModel]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if field.is_required()]
