"""From a file and flags to run options, with every mistake found at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mlagents.algorithms.settings import HyperparamSettings
from mlagents.demonstrations.settings import DemonstrationSettings, SourceSettings
from mlagents.envs.settings import (
    SAMPLERS,
    CompletionCriteria,
    EngineSettings,
    EnvironmentSettings,
    Lesson,
    ParameterSettings,
    SamplerSettings,
)
from mlagents.mistakes import Mistake, SettingsError
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.plugins import Catalog, PluginError
from mlagents.rewards.settings import SIGNALS
from mlagents.run.settings import CheckpointSettings, TorchSettings
from mlagents.schema import LenientSettings
from mlagents.settings import BehavioralCloningSettings, RunOptions, SelfPlaySettings, TrainerSettings
from mlagents.yaml_file import Document, Path_, read
from mlagents_envs.demonstration import demonstration_files

Section = TypeVar("Section", bound=BaseModel)
_SECTIONS: dict[type[BaseModel], dict[str, type[BaseModel]]] = {  # sections inside sections, read key by key
    NetworkSettings: {"memory": MemorySettings},
    TrainerSettings: {
        "network_settings": NetworkSettings,
        "self_play": SelfPlaySettings,
        "behavioral_cloning": BehavioralCloningSettings,
        "demonstrations": DemonstrationSettings,
    },
}
_LISTS: dict[type[BaseModel], dict[str, type[BaseModel]]] = {DemonstrationSettings: {"sources": SourceSettings}}
_TOP: dict[str, type[BaseModel]] = {
    "env_settings": EnvironmentSettings,
    "engine_settings": EngineSettings,
    "checkpoint_settings": CheckpointSettings,
    "torch_settings": TorchSettings,
}


def load(file: str | None, flags: Mapping[str, Mapping[str, Any]]) -> tuple[RunOptions, list[str]]:
    """Return the options that flags over file over defaults give, and warnings.

    flags: section -> key -> value, as given on the command line. Raises SettingsError with every mistake.
    """
    document = read(file) if file is not None else Document("", {})
    reader = Reader(document, flags)
    options = reader.options()
    if reader.mistakes or options is None:
        raise SettingsError(reader.mistakes)
    return options, [str(warning) for warning in sorted(set(reader.warnings))]


class Reader:
    """Walks a document section by section; collects mistakes instead of stopping at the first."""

    def __init__(self, document: Document, flags: Mapping[str, Mapping[str, Any]]) -> None:
        self.document = document
        self.flags = flags
        self.catalog = Catalog(self.plugins())
        self.mistakes = list(document.mistakes)
        self.warnings: list[Mistake] = []

    def options(self) -> RunOptions | None:
        """Return the whole tree, or None if there were mistakes."""
        raw = dict(self.document.values)
        known = list(RunOptions.model_fields)
        self._unknown(raw, known, (), lenient=False)
        read: dict[str, Any] = {}
        for name, kind in _TOP.items():
            given = self._mapping(raw.get(name), (name,))
            read[name] = self.section(kind, {**given, **self.flags.get(name, {})}, (name,))
        read["plugins"] = self.plugins()
        for broken in self.catalog.broken_files():
            self.mistake(("plugins",), str(broken))
        read["debug"] = self.flags.get("", {}).get("debug", raw.get("debug", False))
        default = self._mapping(raw.get("default_settings"), ("default_settings",))
        read["default_settings"] = self.trainer(default, ("default_settings",)) if default else None
        behaviors = self._mapping(raw.get("behaviors"), ("behaviors",))
        read["behaviors"] = {
            name: self.trainer(self._merged(default, self._mapping(given, ("behaviors", name))), ("behaviors", name))
            for name, given in behaviors.items()
        }
        parameters = self._mapping(raw.get("environment_parameters"), ("environment_parameters",))
        read["environment_parameters"] = {
            name: self.parameter(given, ("environment_parameters", name)) for name, given in parameters.items()
        } or None
        return None if self.mistakes else self.section(RunOptions, read, ())

    def plugins(self) -> list[str]:
        """Return the files and modules of plug-ins, those of the command line first."""
        given = self.document.values.get("plugins") or []
        written = [str(name) for name in (given if isinstance(given, list) else [given])]
        return list(dict.fromkeys([*self.flags.get("", {}).get("plugins", []), *written]))

    def kind(self, name: str, path: Path_) -> type[HyperparamSettings] | None:
        """Return the settings of a trainer, or None after noting why it cannot be used."""
        try:
            found = self.catalog.find(name)
        except PluginError as error:
            self.mistake((*path, "trainer_type"), str(error))
            return None
        for sentence in self.catalog.doubtful(name):
            self.warn((*path, "trainer_type"), sentence)
        if found is None:
            names = self.catalog.names()
            self.mistake(
                (*path, "trainer_type"), f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}"
            )
        return found and found.settings

    def trainer(self, raw: dict[str, Any], path: Path_) -> TrainerSettings | None:
        """Return how one behavior is trained."""
        raw = dict(raw)
        if "framework" in raw:
            self.warn((*path, "framework"), "has no effect: everything is trained with PyTorch")
            del raw["framework"]
        name = str(raw.get("trainer_type", "ppo"))
        kind = self.kind(name, path)
        if kind is None:
            pass
        elif "hyperparameters" in raw and "trainer_type" not in raw:
            self.mistake((*path, "hyperparameters"), "needs a trainer_type beside it")
            del raw["hyperparameters"]
        else:
            given = self._mapping(raw.get("hyperparameters"), (*path, "hyperparameters"))
            raw["hyperparameters"] = self.section(kind, given, (*path, "hyperparameters"))
        if "reward_signals" in raw:
            raw["reward_signals"] = self.signals(raw["reward_signals"], (*path, "reward_signals"))
        if self.flags.get("network_settings"):
            networks = self._mapping(raw.get("network_settings"), (*path, "network_settings"))
            raw["network_settings"] = {**networks, **self.flags["network_settings"]}
        play = raw.get("self_play")
        if isinstance(play, dict) and "team_change" not in play and isinstance(play.get("save_steps"), int):
            raw["self_play"] = {**play, "team_change": 5 * play["save_steps"]}
        if kind is None or raw.get("hyperparameters", 0) is None or raw.get("reward_signals", 0) is None:
            raw = {key: value for key, value in raw.items() if key not in ("hyperparameters", "reward_signals")}
        settings = self.section(TrainerSettings, raw, path)
        return None if settings is None else self._consistent(settings, raw, path)

    def signals(self, raw: Any, path: Path_) -> dict[str, Any] | None:
        """Return the reward signals, each with its own settings."""
        read: dict[str, Any] = {}
        for name, given in self._mapping(raw, path).items():
            here = (*path, name)
            if name not in SIGNALS:
                self.mistake(here, f"is no known reward signal{near(name, SIGNALS)} Known: {', '.join(SIGNALS)}")
                continue
            signal = dict(self._mapping(given, here))
            if signal.get("encoding_size") is not None:
                self.warn((*here, "encoding_size"), "is deprecated: write hidden_units into network_settings")
                signal.setdefault("network_settings", {"hidden_units": signal["encoding_size"]})
            if "network_settings" in signal:
                networks = self._mapping(signal["network_settings"], (*here, "network_settings"))
                signal["network_settings"] = self.section(NetworkSettings, networks, (*here, "network_settings"))
            read[name] = self.section(SIGNALS[name], signal, here)
        return None if None in read.values() else read

    def parameter(self, raw: Any, path: Path_) -> ParameterSettings | None:
        """Return an environment parameter: a number, a sampler, or lessons."""
        if not isinstance(raw, dict) or "curriculum" not in raw:
            value = self.sampler(raw, path)
            return None if value is None else ParameterSettings(curriculum=[Lesson(value=value, name=path[-1])])
        given, read = raw["curriculum"], []
        if not isinstance(given, list) or not given:
            self.mistake((*path, "curriculum"), "must be a list of lessons")
            return None
        for number, entry in enumerate(given):
            here = (*path, "curriculum", str(number))
            lesson = dict(self._mapping(entry, here))
            lesson["value"] = self.sampler(lesson.get("value"), (*here, "value"))
            criteria = lesson.get("completion_criteria")
            if criteria is not None:
                inside = (*here, "completion_criteria")
                lesson["completion_criteria"] = self.section(
                    CompletionCriteria, self._mapping(criteria, inside), inside
                )
            elif number < len(given) - 1:
                self.mistake(here, "completion_criteria is missing; only the last lesson has none")
            read.append(lesson["value"] and self.section(Lesson, lesson, here))
        return None if None in read else ParameterSettings(curriculum=[lesson for lesson in read if lesson])

    def sampler(self, raw: Any, path: Path_) -> SamplerSettings | None:
        """Return where values come from; a number is a constant."""
        if isinstance(raw, (int, float, str)):
            constant = self.section(SAMPLERS["constant"], {"value": raw}, path)
            return constant and SamplerSettings(sampler_type="constant", sampler_parameters=constant)
        given = self._mapping(raw, path) if raw is not None else {}
        missing = [key for key in ("sampler_type", "sampler_parameters") if key not in given]
        if missing:
            self.mistake(
                path, f"must be a number, or have sampler_type and sampler_parameters; no {missing[0]} is there"
            )
            return None
        kind = str(given["sampler_type"])
        if kind not in SAMPLERS:
            self.mistake((*path, "sampler_type"), f"'{kind}' is no sampler{near(kind, SAMPLERS)}"
                         f" Known: {', '.join(SAMPLERS)}")  # fmt: skip
            return None
        numbers = self._mapping(given["sampler_parameters"], (*path, "sampler_parameters"))
        parameters = self.section(SAMPLERS[kind], numbers, (*path, "sampler_parameters"))
        self._unknown(given, ("sampler_type", "sampler_parameters"), path, lenient=False)
        return parameters and SamplerSettings(sampler_type=kind, sampler_parameters=parameters)  # type: ignore[arg-type]

    def section(self, kind: type[Section], raw: Mapping[str, Any], path: Path_) -> Section | None:
        """Return a checked section, or None after noting what is wrong with it."""
        raw, before = dict(raw), len(self.mistakes)
        self._unknown(raw, kind.model_fields, path, lenient=issubclass(kind, LenientSettings))
        for name, below in _SECTIONS.get(kind, {}).items():
            if isinstance(raw.get(name), dict):
                raw[name] = self.section(below, raw[name], (*path, name))
        for name, below in _LISTS.get(kind, {}).items():
            if isinstance(raw.get(name), list):
                places = [(*path, name, str(number)) for number in range(len(raw[name]))]
                given = [self._mapping(entry, place) for entry, place in zip(raw[name], places, strict=True)]
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
                    continue  # keys that must fit together, of which one is told of already
                where = (*path, *(str(part) for part in problem["loc"]))
                self.mistake(where, explain(problem, where))
            return None
        return read if len(self.mistakes) == before else None

    def mistake(self, path: Path_, message: str) -> None:
        self.mistakes.append(self._note(path, message))

    def warn(self, path: Path_, message: str) -> None:
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

    def _mapping(self, raw: Any, path: Path_) -> dict[str, Any]:
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self.mistake(path, f"is {raw!r}; must be keys and values")
            return {}
        return raw

    def _unknown(self, raw: dict[str, Any], known: Iterable[str], path: Path_, *, lenient: bool) -> None:
        """Take unknown keys out of `raw`, each with a mistake, or a warning where Unity's tools ignore them."""
        for key in [key for key in raw if key not in known]:
            message = f"unknown key{near(key, known, end='')}"
            if lenient:
                self.warn((*path, key), f"{message} (ignored)")
            else:
                self.mistake((*path, key), message)
            del raw[key]

    def _merged(self, default: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """Return a behavior's keys over the defaults'; another trainer takes only the hyperparameters it knows."""
        merged = _deep(default, own)
        name = str(merged.get("trainer_type", "ppo"))
        both = all(isinstance(given.get("hyperparameters"), dict) for given in (default, merged))
        if both and name != str(default.get("trainer_type", "ppo")):
            own_keys, kind = own.get("hyperparameters") or {}, self._settings_if_any(name)
            merged["hyperparameters"] = {
                key: value
                for key, value in merged["hyperparameters"].items()
                if key in own_keys or (kind is not None and key in kind.model_fields)
            }
        return merged

    def _settings_if_any(self, name: str) -> type[HyperparamSettings] | None:
        try:
            found = self.catalog.find(name)
        except PluginError:  # it is noted where the behavior is read
            return None
        return found and found.settings

    def _consistent(self, settings: TrainerSettings, raw: dict[str, Any], path: Path_) -> TrainerSettings:
        """Check what must fit together in one behavior; settle what follows from something else."""
        memory = settings.network_settings.memory
        if memory is not None and memory.sequence_length > settings.hyperparameters.batch_size:
            self.mistake(
                (*path, "network_settings", "memory", "sequence_length"),
                f"is {memory.sequence_length}; must not be more than batch_size, "
                f"which is {settings.hyperparameters.batch_size}",
            )
        if settings.init_path is not None and not settings.init_path.endswith(".pt"):
            self.mistake((*path, "init_path"), f"is '{settings.init_path}'; must be a checkpoint that ends in .pt")
        if settings.even_checkpoints:
            if settings.keep_checkpoints < 1:
                self.mistake((*path, "even_checkpoints"), "needs keep_checkpoints of at least 1")
            else:
                interval = max(settings.max_steps // settings.keep_checkpoints, 1)
                return settings.model_copy(update={"checkpoint_interval": interval})
        return settings


def explain(problem: Any, path: Path_) -> str:
    """Return what is wrong with a value, what it is, and what it must be."""
    limits = problem.get("ctx", {})
    wants = {
        "greater_than_equal": "must be at least {ge:g}",
        "greater_than": "must be more than {gt:g}",
        "less_than_equal": "must be at most {le:g}",
        "less_than": "must be less than {lt:g}",
        "multiple_of": "must be a multiple of {multiple_of:g}",
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
    kind = problem["type"]
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(limits["error"])
    value = problem["input"]
    shown = f"'{value}'" if isinstance(value, str) else str(value)
    want = wants.get(kind)
    return f"is {shown}; {want.format(**limits) if want else problem['msg'].lower()}"


def near(name: str, known: Iterable[str], *, end: str = ".") -> str:
    """Return `, did you mean ...?` if a known name is near, else `end`."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else end


def _deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _deep(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _flag(key: str) -> str:
    renamed = {"env_path": "env", "device": "torch-device"}
    return renamed.get(key, key.replace("_", "-"))


def check_paths(options: RunOptions) -> list[str]:
    """Return a sentence for each file or folder that the options name and that is not there."""
    missing = []
    source = options.checkpoint_settings.initialize_from
    results = Path(options.checkpoint_settings.results_dir)
    if source is not None and not (results / source).is_dir():
        missing.append(f"--initialize-from: there is no run '{source}' in {results}")
    for name, settings in options.behaviors.items():
        shown = None if options.checkpoint_settings.inference else settings.demonstrations
        files = [entry.file for entry in shown.sources] if shown is not None else []
        problems = filter(None, map(_no_demonstration, files))
        missing += [f"behaviors.{name}.demonstrations: {problem}" for problem in problems]
    return missing


def _no_demonstration(path: str | None) -> str | None:
    """Return why there is no demonstration at a path, None if there is one or none is asked for."""
    try:
        if path is not None:
            demonstration_files(path)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return None
