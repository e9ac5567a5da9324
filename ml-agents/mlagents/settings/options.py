"""The YAML as one tree, composed of the settings that stand beside the code that obeys them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, PrivateAttr, SerializeAsAny

from mlagents.algorithms.settings import (
    BehavioralCloningSettings,
    HyperparamSettings,
    OfflineHyperparamSettings,
    PPOSettings,
)
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.envs.settings import EngineSettings, EnvironmentSettings, ParameterSettings
from mlagents.evaluation.settings import EvaluationSettings, StopSettings
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.rewards.settings import RewardSignalSettings
from mlagents.run.settings import CheckpointSettings, TorchSettings
from mlagents.schema import COUNT, STEPS, Int, Settings
from mlagents.selfplay.settings import SelfPlaySettings

OURS = {  # keys that Unity's tools do not know, by section
    "": ("plugins",),
    "env_settings": ("listen", "max_message_mib", "watch"),
    "checkpoint_settings": ("episodes",),
}
OURS_IN_BEHAVIORS = {  # likewise, in a behavior and in its sections
    "on_nan": "stop", "max_grad_norm": 0.0, "memory_type": "lstm", "critic_only": [],
    "opponent_sampling": "uniform", "opponents": [],
    "opponents_ratio": SelfPlaySettings.model_fields["opponents_ratio"].default,
    "critics": 2, "target_critics": 2, "critic_layer_norm": False,
}  # fmt: skip
OURS_IF_GIVEN = ("demonstrations", "evaluation", "stop_when")  # sections of a behavior
UNLESS_GIVEN = ("num_areas", "base_port")  # a scene has its own number of areas, and each build takes a free port
ONE_TIME = ("resume", "load_model", "force", "train_model", "inference")

__all__ = [
    "BehavioralCloningSettings", "CheckpointSettings", "DemonstrationSettings", "EngineSettings",
    "EnvironmentSettings", "EvaluationSettings", "HyperparamSettings", "MemorySettings", "NetworkSettings",
    "RewardSignalSettings", "RunOptions", "StopSettings", "TorchSettings", "TrainerSettings",
]  # fmt: skip


class TrainerSettings(Settings):
    """How one behavior is trained."""

    trainer_type: str = "ppo"
    """The trainer's name."""
    hyperparameters: SerializeAsAny[HyperparamSettings] = PPOSettings()
    """The trainer's own numbers."""
    checkpoint_interval: Int = Field(500000, ge=1, le=STEPS)
    """Steps between checkpoints."""
    network_settings: NetworkSettings = NetworkSettings()
    """The networks of policy and critic."""
    reward_signals: dict[str, SerializeAsAny[RewardSignalSettings]] = {"extrinsic": RewardSignalSettings()}
    """Where reward comes from."""
    init_path: str | None = None
    """A checkpoint to begin with."""
    keep_checkpoints: Int = Field(5, ge=-COUNT, le=COUNT)
    """Checkpoints that are kept; 0 or less keeps all."""
    even_checkpoints: bool = False
    """Spread the kept checkpoints over the run, whatever checkpoint_interval says."""
    max_steps: Int = Field(500000, ge=1, le=STEPS)
    """Steps of all agents together after which training ends."""
    time_horizon: Int = Field(64, ge=1, le=STEPS)
    """Steps after which an agent's experience is cut into a segment."""
    summary_freq: Int = Field(50000, ge=1, le=STEPS)
    """Steps between points of the learning curve."""
    on_nan: Literal["stop", "rollback"] = "stop"
    """When a number is NaN or infinite: save the last good state and end, or go on from there without the rows."""
    threaded: bool = False
    """Let the environment move while the trainer learns."""
    self_play: SelfPlaySettings | None = None
    """Present: agents play against earlier selves."""
    behavioral_cloning: BehavioralCloningSettings | None = None
    """Present: agents imitate demonstrations too."""
    demonstrations: DemonstrationSettings | None = None
    """Present: off-policy trainers learn from what others did too; bc learns from nothing else."""
    evaluation: EvaluationSettings | None = None
    """Present: now and then it is evaluated apart from training, and the best is kept."""
    stop_when: StopSettings | None = None
    """Present: training ends before max_steps once enough is earned."""

    @property
    def offline(self) -> bool:
        """Is it learned from demonstrations alone, without an environment?"""
        return isinstance(self.hyperparameters, OfflineHyperparamSettings)


class RunOptions(Settings):
    """Everything a run was asked for."""

    default_settings: TrainerSettings | None = None
    """For behaviors that have no entry of their own."""
    behaviors: dict[str, TrainerSettings] = {}
    """How each behavior is trained."""
    env_settings: EnvironmentSettings = EnvironmentSettings()
    """The environment."""
    engine_settings: EngineSettings = EngineSettings()
    """The Unity build's engine."""
    environment_parameters: dict[str, ParameterSettings] | None = None
    """Environment parameters, constant, sampled, or by lessons."""
    checkpoint_settings: CheckpointSettings = CheckpointSettings()
    """Where results go, and what a run begins from."""
    torch_settings: TorchSettings = TorchSettings()
    """How networks are computed."""
    debug: bool = False
    """Say more."""
    plugins: list[str] = []
    """Files or modules whose trainers may be named, beside those that are installed."""
    _places: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)

    def remember_places(self, places: Mapping[tuple[str, ...], str]) -> None:
        """Take where keys stand, as `file:line`, so that what comes to light later can name them."""
        self._places = dict(places)

    def place(self, *path: str) -> str:
        """Return ` in file:line` for a key of the file, empty where no file says it."""
        return f" in {self._places[path]}" if path in self._places else ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values in the order in which files are saved, so that Unity's tools read the file too.

        Keys of ours are left out at their defaults, keys that nobody gave where a value means something else than none,
        and what was asked for one time only: `resume`, `force` and `inference`.
        """
        plain = self.model_dump()
        _leave_out(plain, self, OURS)
        for key in UNLESS_GIVEN:
            if key not in self.env_settings.model_fields_set:
                del plain["env_settings"][key]
        plain["checkpoint_settings"] |= dict.fromkeys(ONE_TIME, False)
        for behavior, settings in [(plain["default_settings"], self.default_settings)] + [
            (plain["behaviors"][name], settings) for name, settings in self.behaviors.items()
        ]:
            if settings is not None:
                for key in OURS_IF_GIVEN:
                    if behavior[key] is None:
                        del behavior[key]
                given = behavior["hyperparameters"]
                play = [behavior["self_play"]] if settings.self_play is not None else []
                for section in (behavior, given, *play, *_networks(behavior)):
                    _drop_defaults(section)
                order = [key for key in settings.hyperparameters.ORDER if key in given]
                behavior["hyperparameters"] = {**{key: given[key] for key in order}, **given}
        return plain

    def to_yaml(self) -> str:
        """Return a file that, read again, gives equal options."""
        text: str = yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True)
        return text

    @property
    def offline(self) -> bool:
        """Does everything that is trained learn from demonstrations alone, so that no environment is started?"""
        return bool(self.behaviors) and all(settings.offline for settings in self.behaviors.values())

    def entries(self) -> dict[str, TrainerSettings]:
        """Return every behavior's settings by the key under which they stand, and those for all others."""
        found = {f"behaviors.{name}": settings for name, settings in self.behaviors.items()}
        return found if self.default_settings is None else {**found, "default_settings": self.default_settings}

    def for_behavior(self, name: str) -> TrainerSettings | None:
        """Return how a behavior is trained; None if nothing says so."""
        return self.behaviors.get(name, self.default_settings)


def _networks(behavior: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sections of every network of a dumped behavior, and of their memories."""
    owners = [behavior, *behavior["reward_signals"].values()]
    networks = [owner["network_settings"] for owner in owners]
    return [*networks, *(network["memory"] for network in networks if network["memory"] is not None)]


def _drop_defaults(section: dict[str, Any]) -> None:
    """Take out keys that Unity's tools do not know, where they have their defaults."""
    for key, default in OURS_IN_BEHAVIORS.items():
        if section.get(key) == default:
            del section[key]


def _leave_out(plain: dict[str, Any], settings: BaseModel, keys: Mapping[str, Sequence[str]]) -> None:
    """Take keys, by section, out of a dump where they have their defaults."""
    for section, names in keys.items():
        holder = getattr(settings, section) if section else settings
        for name in names:
            if getattr(holder, name) == type(holder).model_fields[name].default:
                del (plain[section] if section else plain)[name]
