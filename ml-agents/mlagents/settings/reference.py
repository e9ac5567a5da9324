"""Every setting as Markdown: `python -m mlagents.settings.reference` writes what stands in docs/settings.md.

Built-in trainers only, so that the page is the same wherever it is made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from mlagents.algorithms.settings import BCSettings, POCASettings, PPOSettings, SACSettings
from mlagents.demonstrations.settings import DemonstrationSettings, SourceSettings
from mlagents.envs.settings import (
    CompletionCriteria,
    ConstantParameters,
    EngineSettings,
    EnvironmentSettings,
    GaussianParameters,
    Lesson,
    MultiRangeUniformParameters,
    SamplerSettings,
    UniformParameters,
)
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.plugins.catalog import BUILTIN
from mlagents.rewards.settings import CuriositySettings, GAILSettings, RewardSignalSettings, RNDSettings
from mlagents.run.settings import CheckpointSettings, TorchSettings
from mlagents.selfplay.settings import OpponentSettings, SelfPlaySettings
from mlagents.settings.json_schema import Schema, schema_of
from mlagents.settings.mistakes import number
from mlagents.settings.options import (
    BehavioralCloningSettings,
    EvaluationSettings,
    RunOptions,
    StopSettings,
    TrainerSettings,
)
from mlagents.settings.support import unsupported

BAR = r"\|"  # inside a cell
PREFACE = """# Settings

What a configuration of `mlagents-learn` may say. Flags win over the file, and the file over the defaults; the
default `null` stands for nothing at all. A section with nothing below its key has all its defaults. An editor shows all
of this, and what plug-ins add to it, with `mlagents-learn --schema`; `mlagents-plugin explain NAME` says what a trainer
takes.

This page is made by `python -m mlagents.settings.reference`."""


@dataclass(frozen=True)
class Section:
    """A part of the file: where it stands, what it takes, and a file that asks for it, if it may not be obeyed yet."""

    heading: str
    kind: type[BaseModel]
    about: str = ""  # text after the section's own sentence
    file: Mapping[str, Any] = field(default_factory=dict)


def _behavior(**settings: Any) -> dict[str, Any]:
    return {"behaviors": {"NAME": settings}}


BEHAVIOR = "behaviors.NAME"
PARAMETER = "environment_parameters.NAME"
_LESSON = {"name": "NAME", "value": {"sampler_type": "constant", "sampler_parameters": {}}}
SECTIONS = [
    Section("The file", RunOptions),
    Section(
        BEHAVIOR,
        TrainerSettings,
        "`default_settings` takes the same keys; a behavior takes from there what it does not say itself, and another "
        "trainer only the hyperparameters that it knows. `hyperparameters` need a `trainer_type` beside them or there.",
    ),
    Section(f"{BEHAVIOR}.hyperparameters, ppo", PPOSettings, file=_behavior(trainer_type="ppo")),
    Section(f"{BEHAVIOR}.hyperparameters, sac", SACSettings, file=_behavior(trainer_type="sac")),
    Section(f"{BEHAVIOR}.hyperparameters, poca", POCASettings, file=_behavior(trainer_type="poca")),
    Section(
        f"{BEHAVIOR}.hyperparameters, bc",
        BCSettings,
        "`demonstrations` stand beside them, with a `file` in every one of `sources`; no environment is started. "
        "`patience` needs `held_out` above 0.",
        file=_behavior(trainer_type="bc"),
    ),
    Section(f"{BEHAVIOR}.network_settings", NetworkSettings),
    Section(
        f"{BEHAVIOR}.network_settings.memory",
        MemorySettings,
        "`sequence_length` must not be more than `batch_size`.",
        _behavior(network_settings={"memory": {}}),
    ),
    Section(f"{BEHAVIOR}.reward_signals.extrinsic", RewardSignalSettings),
    Section(
        f"{BEHAVIOR}.reward_signals.curiosity", CuriositySettings, file=_behavior(reward_signals={"curiosity": {}})
    ),
    Section(f"{BEHAVIOR}.reward_signals.gail", GAILSettings, file=_behavior(reward_signals={"gail": {}})),
    Section(f"{BEHAVIOR}.reward_signals.rnd", RNDSettings, file=_behavior(reward_signals={"rnd": {}})),
    Section(f"{BEHAVIOR}.demonstrations", DemonstrationSettings),
    Section(f"{BEHAVIOR}.demonstrations.sources", SourceSettings),
    Section(
        f"{BEHAVIOR}.evaluation",
        EvaluationSettings,
        "[Evaluation](evaluation.md#while-a-run-trains) says how it is played.",
        _behavior(evaluation={}),
    ),
    Section(f"{BEHAVIOR}.stop_when", StopSettings, file=_behavior(stop_when={"reward": 0.0})),
    Section(
        f"{BEHAVIOR}.self_play",
        SelfPlaySettings,
        "What each is for, and how to read the curves, is in [self-play.md](self-play.md).",
        _behavior(self_play={}),
    ),
    Section(f"{BEHAVIOR}.self_play.opponents", OpponentSettings, "A list of these."),
    Section(
        f"{BEHAVIOR}.behavioral_cloning",
        BehavioralCloningSettings,
        file=_behavior(behavioral_cloning={"demo_path": "PATH"}),
    ),
    Section("env_settings", EnvironmentSettings),
    Section("engine_settings", EngineSettings),
    Section(PARAMETER, SamplerSettings, "A number stands for a constant; instead of a sampler may stand a curriculum."),
    Section("sampler_parameters, constant", ConstantParameters),
    Section("sampler_parameters, uniform", UniformParameters),
    Section("sampler_parameters, gaussian", GaussianParameters),
    Section("sampler_parameters, multirangeuniform", MultiRangeUniformParameters),
    Section(
        f"{PARAMETER}.curriculum",
        Lesson,
        "A list of these.",
        {"environment_parameters": {"NAME": {"curriculum": [_LESSON, _LESSON]}}},
    ),
    Section(
        f"{PARAMETER}.curriculum.completion_criteria",
        CompletionCriteria,
        "Every lesson but the last has them. The threshold of `progress` lies between 0 and 1.",
    ),
    Section("checkpoint_settings", CheckpointSettings),
    Section("torch_settings", TorchSettings, file={"torch_settings": {"device": "cuda"}}),
]


def reference() -> str:
    """Return the page."""
    schema = schema_of(BUILTIN)
    paragraphs = [PREFACE]
    for section in SECTIONS:
        part = schema if section.kind is RunOptions else schema["$defs"][section.kind.__name__]
        paragraphs += _paragraphs(section, part)
    return "\n\n".join(paragraphs) + "\n"


def _paragraphs(section: Section, part: Schema) -> Iterator[str]:
    yield f"## {section.heading}"
    refused = part.get("additionalProperties") is False
    strangers = "Unknown keys are refused." if refused else "Unknown keys are ignored with a warning."
    yield " ".join(filter(None, [part["description"], section.about, strangers]))
    for sentence in unsupported(RunOptions.model_validate(section.file)):
        yield f"**Not obeyed yet**: {sentence.partition(': ')[2]}."
    rows = [_row(key, value, section.kind) for key, value in part["properties"].items()]
    yield "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def _row(key: str, value: Schema, kind: type[BaseModel]) -> str:
    known = kind.model_fields.get(key)  # none for a key that is only tolerated
    meaning = str(value.get("description") or (known and known.description) or "")
    default = f"`{_spelled(value['default'])}`" if "default" in value else ""
    if known is not None and known.is_required():
        default = "must be given"
    return f"| {' | '.join(cell.replace('|', BAR) for cell in (f'`{key}`', words(value), default, meaning))} |"


def _spelled(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def words(value: Mapping[str, Any]) -> str:
    """Return in words what a value may be: its type and its range."""
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "$ref" in value or value.get("properties"):
        return "keys and values"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(words(choice) for choice in value["anyOf"] if choice != {"type": "null"}))
    kinds = value.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds:
        return f"list of {words(value['items'])}"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "object": "keys and values",
    }
    text = next((name for kind, name in names.items() if kind in kinds), "anything")
    return ", ".join(filter(None, [text, span(value)]))


def span(value: Mapping[str, Any]) -> str:
    """Return the range of a number in words, empty if it has none."""
    if "minimum" in value and "maximum" in value:
        return f"{number(value['minimum'])} to {number(value['maximum'])}"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
        "multipleOf": "a multiple of",
    }
    return ", ".join(f"{text} {number(value[limit])}" for limit, text in limits.items() if limit in value)


if __name__ == "__main__":
    sys.stdout.buffer.write(reference().encode("utf-8"))  # whatever the terminal's encoding
