"""From a file and flags to run options, with every mistake found at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from mlagents.algorithms.settings import HyperparamSettings
from mlagents.envs.settings import EngineSettings, EnvironmentSettings
from mlagents.nn.settings import NetworkSettings
from mlagents.plugins.catalog import Catalog, PluginError
from mlagents.plugins.signals import find_signal, signal_names
from mlagents.rewards.settings import SIGNALS, RewardSignalSettings
from mlagents.run.settings import CheckpointSettings, TorchSettings
from mlagents.schema import INT32, PORTS, STEPS
from mlagents.settings.mistakes import SettingsError, near
from mlagents.settings.offline import without_effect
from mlagents.settings.old_formats import old_file, old_keys
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents.settings.parameter_reader import read_parameter
from mlagents.settings.section_reader import SectionReader, quote
from mlagents.settings.yaml_file import Document, Path_, read
from mlagents_envs.names import nearest

_TOP: dict[str, type[BaseModel]] = {
    "env_settings": EnvironmentSettings,
    "engine_settings": EngineSettings,
    "checkpoint_settings": CheckpointSettings,
    "torch_settings": TorchSettings,
}
_READ_BEFORE = ("hyperparameters", "reward_signals")  # a section that failed is noted, and left out
_DEFAULT_TRAINER: str = TrainerSettings.model_fields["trainer_type"].default


def load(
    file: str | Mapping[str, Any] | None, flags: Mapping[str, Mapping[str, Any]]
) -> tuple[RunOptions, list[str]]:
    """Return the options that flags over file over defaults give, and warnings.

    file: its name, or what it would hold. flags: section -> key -> value, as given on the command line.
    Raises SettingsError with every mistake.
    """
    document = read(file) if isinstance(file, str) else Document("config", copy.deepcopy(dict(file or {})))
    reader = Reader(document, flags)
    options = reader.options()
    if reader.mistakes or options is None:
        raise SettingsError(reader.mistakes, reader.warnings)
    options.remember_places({path: f"{file}:{line}" for path, (line, _) in document.places.items()})
    return options, [str(warning) for warning in sorted(set(reader.warnings))]


class Reader(SectionReader):
    """Walks a whole document, section by section."""

    def __init__(self, document: Document, flags: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(document, flags)
        self.catalog = Catalog(self.plugins())

    def options(self) -> RunOptions | None:
        """Return the whole tree, or None if there were mistakes."""
        raw, known = dict(self.document.values), list(RunOptions.model_fields)
        if (old := old_file(self.document.file, raw, known)) is not None:
            self.mistake(*old)
            return None
        raw = self._without_old_keys(raw, known)
        self.drop_unknown(raw, known, (), lenient=False)
        read: dict[str, Any] = {}
        for name, kind in _TOP.items():
            given = self.mapping(raw.get(name), (name,))
            read[name] = self.section(kind, {**given, **self.flags.get(name, {})}, (name,))
        if isinstance(raw.get("plugins"), dict):
            self.mistake(("plugins",), "must be a list of files or modules")
        read["plugins"] = self.plugins()
        for broken in self.catalog.broken_files():
            self.mistake(("plugins",), str(broken))
        read["debug"] = self.flags.get("", {}).get("debug", raw.get("debug", False))
        default = self.mapping(raw.get("default_settings"), ("default_settings",))
        read["default_settings"] = self.trainer(default, ("default_settings",)) if default else None
        behaviors = self.mapping(raw.get("behaviors"), ("behaviors",))
        read["behaviors"] = {
            name: self.trainer(self._merged(default, self.mapping(given, ("behaviors", name))), ("behaviors", name))
            for name, given in behaviors.items()
        }
        parameters = self.mapping(raw.get("environment_parameters"), ("environment_parameters",))
        read["environment_parameters"] = {
            name: read_parameter(self, given, ("environment_parameters", name)) for name, given in parameters.items()
        } or None
        self._check_together(read)
        return None if self.mistakes else self.section(RunOptions, read, ())

    def plugins(self) -> list[str]:
        """Return the files and modules of plug-ins, those of the command line first."""
        given = self.document.values.get("plugins") or []
        written = given if isinstance(given, list) else [] if isinstance(given, dict) else [given]
        return list(dict.fromkeys([*self.flags.get("", {}).get("plugins", []), *map(str, written)]))

    def kind(self, name: str, path: Path_) -> type[HyperparamSettings] | None:
        """Return the settings of a trainer, or None after noting why it cannot be used."""
        try:
            found = self.catalog.find(name)
        except PluginError as error:
            self.mistake((*path, "trainer_type"), str(error))
            return None
        for sentence in self.catalog.shadowed(name):
            self.warn((*path, "trainer_type"), sentence)
        if found is None:
            names = self.catalog.names()
            self.mistake(
                (*path, "trainer_type"), f"'{name}' is no known trainer{near(name, names)} Known: {', '.join(names)}"
            )
        return None if found is None else found.settings

    def trainer(self, raw: dict[str, Any], path: Path_) -> TrainerSettings | None:
        """Return how one behavior is trained, None after noting mistakes."""
        raw = dict(raw)
        if "framework" in raw:
            self.warn((*path, "framework"), "has no effect: everything is trained with PyTorch")
            del raw["framework"]
        name = str(raw.get("trainer_type", _DEFAULT_TRAINER))
        kind = self.kind(name, path)
        beside = "hyperparameters" in raw
        if kind is not None or beside:
            given = self.mapping(raw.pop("hyperparameters", None), (*path, "hyperparameters"))
            if "trainer_type" not in raw and beside:
                self.mistake((*path, "hyperparameters"), "needs a trainer_type beside it")
            if (likely := kind or self._likely_settings(name)) is not None:
                raw["hyperparameters"] = self.section(likely, given, (*path, "hyperparameters"))
        if "reward_signals" in raw:
            raw["reward_signals"] = self.signals(raw["reward_signals"], (*path, "reward_signals"))
        if self.flags.get("network_settings"):
            networks = self.mapping(raw.get("network_settings"), (*path, "network_settings"))
            raw["network_settings"] = {**networks, **self.flags["network_settings"]}
        play = raw.get("self_play")
        if isinstance(play, dict) and "team_change" not in play and isinstance(play.get("save_steps"), int):
            raw["self_play"] = {**play, "team_change": min(max(5 * play["save_steps"], 1), STEPS)}
        raw = {key: value for key, value in raw.items() if value is not None or key not in _READ_BEFORE}
        settings = self.section(TrainerSettings, raw, path)
        return None if settings is None or kind is None else self._consistent(settings, path)

    def signals(self, raw: Any, path: Path_) -> dict[str, Any] | None:
        """Return the reward signals, each with its own settings."""
        read: dict[str, Any] = {}
        for name, given in self.mapping(raw, path).items():
            here = (*path, name)
            kind = self.signal(name, here)
            likely = kind or self._likely_signal(name)
            signal = dict(self.mapping(given, here))
            if signal.get("encoding_size") is not None:
                self.warn((*here, "encoding_size"), "is deprecated: write hidden_units into network_settings")
            if "network_settings" in signal:
                networks = self.mapping(signal["network_settings"], (*here, "network_settings"))
                signal["network_settings"] = self.section(NetworkSettings, networks, (*here, "network_settings"))
                if networks.get("critic_only"):
                    self.mistake(
                        (*here, "network_settings", "critic_only"),
                        "belongs into the behavior's own network_settings: it is the policy that does not see them",
                    )
                if name in SIGNALS and networks.get("memory") is not None:
                    self.warn((*here, "network_settings", "memory"), "has no effect: reward signals remember nothing")
            checked = self.section(likely, signal, here) if likely else None
            if checked is not None and signal.get("encoding_size") is not None and "network_settings" not in signal:
                network = NetworkSettings(hidden_units=signal["encoding_size"])
                checked = checked.model_copy(update={"network_settings": network})
            read[name] = checked if kind is not None else None
        return None if None in read.values() else read

    def signal(self, name: str, path: Path_) -> type[RewardSignalSettings] | None:
        """Return the settings of a reward signal, or None after noting why it cannot be used."""
        try:
            found = find_signal(self.catalog, name)
        except PluginError as error:
            self.mistake(path, str(error))
            return None
        if found is None:
            names = signal_names(self.catalog)
            self.mistake(path, f"is no known reward signal{near(name, names)} Known: {', '.join(names)}")
            return None
        return found.settings

    def _likely_signal(self, name: str) -> type[RewardSignalSettings] | None:
        """Return the settings of the reward signal whose name is nearest; None if that cannot be known."""
        close = nearest(name, signal_names(self.catalog))
        try:
            found = find_signal(self.catalog, close[0]) if close else None
        except PluginError:
            return None
        return None if found is None else found.settings

    def _merged(self, default: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """Return a behavior's keys over the defaults'; another trainer takes only the hyperparameters it knows."""
        merged = _deep(default, own)
        name = str(merged.get("trainer_type", _DEFAULT_TRAINER))
        both = all(isinstance(given.get("hyperparameters"), dict) for given in (default, merged))
        if both and name != str(default.get("trainer_type", _DEFAULT_TRAINER)):
            own_keys, kind = own.get("hyperparameters") or {}, self._likely_settings(name)
            merged["hyperparameters"] = {
                key: value
                for key, value in merged["hyperparameters"].items()
                if key in own_keys or (kind is not None and key in kind.model_fields)
            }
        return merged

    def _likely_settings(self, name: str) -> type[HyperparamSettings] | None:
        """Return what a trainer takes, or the one whose name is nearest; None if that cannot be known."""
        try:
            found = self.catalog.find(name)
            if found is None and (close := nearest(name, self.catalog.names())):
                found = self.catalog.find(close[0])
        except PluginError:  # it is noted where the behavior is read
            return None
        return None if found is None else found.settings

    def _consistent(self, settings: TrainerSettings, path: Path_) -> TrainerSettings:
        """Check what must fit together in one behavior; settle what follows from something else."""
        memory = settings.network_settings.memory
        if memory is not None and memory.sequence_length > settings.hyperparameters.batch_size:
            self.mistake(
                (*path, "network_settings", "memory", "sequence_length"),
                f"is {memory.sequence_length}; must not be more than batch_size, "
                f"which is {settings.hyperparameters.batch_size}",
            )
        hidden = settings.network_settings.critic_only
        if hidden and getattr(settings.hyperparameters, "shared_critic", False):
            self.mistake(
                (*path, "network_settings", "critic_only"),
                f"names {', '.join(hidden)}, but hyperparameters.shared_critic is true: a critic on the policy's own "
                "body sees no more than the policy; set one of them back",
            )
        if settings.init_path is not None and not settings.init_path.endswith(".pt"):
            self.mistake((*path, "init_path"), f"is {quote(settings.init_path)}; must be a checkpoint that ends in .pt")
        for ineffective, why in without_effect(settings):
            self.warn((*path, *ineffective), why)
        stop = settings.stop_when
        for key in ("evaluation", "stop_when") if settings.self_play is not None else ():
            if getattr(settings, key) is not None:
                self.warn(
                    (*path, key),
                    "goes by the mean reward, which is about 0 where a policy plays against itself for win or loss: "
                    "look at Self-play/ELO",
                )
        if settings.evaluation is not None and stop is not None and "episodes" in stop.model_fields_set:
            self.warn((*path, "stop_when", "episodes"), "has no effect beside evaluation, whose own episodes count")
        if settings.even_checkpoints:
            if settings.keep_checkpoints < 1:
                self.mistake((*path, "even_checkpoints"), "needs keep_checkpoints of at least 1")
            else:
                interval = max(settings.max_steps // settings.keep_checkpoints, 1)
                return settings.model_copy(update={"checkpoint_interval": interval})
        return settings

    def _without_old_keys(self, raw: dict[str, Any], known: list[str]) -> dict[str, Any]:
        """Return the file without sections of before 1.0, each of which is a mistake."""
        old = dict(old_keys(self.document.file, raw, known))
        for path, message in old.items():
            self.mistake(path, message)
        raw = {name: given for name, given in raw.items() if (name,) not in old}
        if isinstance(raw.get("behaviors"), dict):
            kept = {name: given for name, given in raw["behaviors"].items() if ("behaviors", name) not in old}
            raw["behaviors"] = kept
        return raw

    def _check_together(self, read: Mapping[str, Any]) -> None:
        """Note numbers that are within their range, but not those that are counted from them."""
        env = read["env_settings"]
        if env is None:
            return
        others = env.num_envs - 1
        evaluated = {path: each.evaluation for path, each in _trained(read) if each.evaluation is not None}
        for path, evaluation in evaluated.items():
            if evaluation.seed == env.seed:
                self.warn(
                    (*path, "evaluation", "seed"),
                    f"is {env.seed}, as env_settings.seed: evaluations begin with the episodes of training",
                )
        after = others + bool(evaluated)  # ports after the first
        if "base_port" in env.model_fields_set and env.base_port + after > PORTS:
            whose = "the build of evaluations" if evaluated else f"the last of num_envs {env.num_envs}"
            self.mistake(
                ("env_settings", "base_port"),
                f"is {env.base_port}, so {whose} would have port {env.base_port + after}; must be at most "
                f"{PORTS - after}",
            )
        parameters = (read["environment_parameters"] or {}).values()
        lessons = sum(len(parameter.curriculum) for parameter in parameters if parameter is not None)
        if env.seed > INT32 - max(others, lessons):
            self.mistake(
                ("env_settings", "seed"),
                f"is {env.seed}, from which those of environments and samplers are counted on; "
                f"must be at most {INT32 - max(others, lessons)}",
            )


def _trained(read: Mapping[str, Any]) -> Iterator[tuple[Path_, TrainerSettings]]:
    """Yield the place and the settings of every behavior that could be read, and of those for all others."""
    if read["default_settings"] is not None:
        yield ("default_settings",), read["default_settings"]
    for name, settings in read["behaviors"].items():
        if settings is not None:
            yield ("behaviors", name), settings


def _deep(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _deep(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
