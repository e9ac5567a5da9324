"""What `learning.py` trains: environments with settings, what must be reached, and within how many steps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlagents_envs.fidelity.check import AREAS

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
PLUGIN = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin"
AUTHORS = ROOT / "ml-agents" / "tests" / "authors"  # trainers in a file of their own
UNITY_DEMOS = "Project/Assets/ML-Agents/Examples/"  # how Unity's files of settings begin the path of a recording
DECISIONS = {"Basic": 200, "Hallway": 501, "GridWorld": 101}
Changes = Mapping[str, Any]  # path of a setting, joined by dots -> its value, None where it is left out


@dataclass(frozen=True)
class LearningTask:
    """An environment with settings, what must be reached, and within how many steps."""

    name: str  # of the environment, and of its behavior
    config: Path
    budget: int  # steps
    threshold: float | None = None  # mean reward of an episode; None: a control, from which nothing is asked
    group: str = "ppo"  # what --groups names
    variant: str = ""  # what is different about it
    official: str = "-"  # steps that the official trainer needed
    plugin: Path | None = None  # a file of trainers
    changes: Changes = field(default_factory=dict, hash=False)
    areas: int = AREAS  # in which its model is played

    @property
    def decisions(self) -> int:
        """Enough for every episode to end when the model is played."""
        return DECISIONS.get(self.name, 1001)

    @property
    def title(self) -> str:
        """The environment, and how it is learned where that is not PPO alone."""
        how = self.variant or ("" if self.group == "ppo" else self.group)
        return f"{self.name}/{how}" if how else self.name

    @property
    def file(self) -> str:
        """The title as the name of a file or folder."""
        return self.title.replace("/", "-").replace(" ", "-")

    def write_settings(self, folder: Path, demonstrations: Path | None) -> Path:
        """Return a file with the settings: the configuration itself, or a changed copy in `folder`.

        Recordings that Unity's files of settings name by their place in Unity's project are looked for by their
        file names in `demonstrations`.
        """
        text = self.config.read_text(encoding="utf-8")
        if not self.changes and UNITY_DEMOS not in text:
            return self.config
        settings = yaml.safe_load(text)
        behavior = settings["behaviors"][self.name]
        for path, value in self.changes.items():
            change(behavior, path, copy.deepcopy(value))
        find_recordings(behavior, demonstrations)
        folder.mkdir(parents=True, exist_ok=True)
        (copied := folder / f"{self.file}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        return copied


def change(settings: dict[str, Any], path: str, value: object) -> None:
    """Set a value at a path, or leave the key out if the value is None."""
    *sections, key = path.split(".")
    for section in sections:
        settings = settings.setdefault(section, {})
    if value is None:
        settings.pop(key, None)
    else:
        settings[key] = value


def find_recordings(settings: dict[str, Any], folder: Path | None) -> None:
    """Replace the paths of Unity's project, in lists of sections too, by those of the files in a folder."""
    for key, value in settings.items():
        for section in value if isinstance(value, list) else [value]:
            if isinstance(section, dict):
                find_recordings(section, folder)
        if isinstance(value, str) and value.startswith(UNITY_DEMOS):
            if folder is None:
                raise SystemExit(f"{value}: name the folder of Unity's recordings with --demonstrations")
            settings[key] = str(folder / Path(value).name)


PYRAMIDS = CONFIG / "ppo" / "Pyramids.yaml"
NO_CURIOSITY: Changes = {"reward_signals.curiosity": None}
TASKS = (
    LearningTask("3DBall", CONFIG / "ppo" / "3DBall.yaml", 300_000, 95.0, official="96k-108k"),
    LearningTask("Basic", CONFIG / "ppo" / "Basic.yaml", 30_000, 0.92, official="18k"),
    LearningTask("PushBlock", CONFIG / "ppo" / "PushBlock.yaml", 600_000, 4.0),
    LearningTask("3DBall", CONFIG / "sac" / "3DBall.yaml", 200_000, 95.0, "sac"),
    LearningTask("Basic", CONFIG / "sac" / "Basic.yaml", 24_000, 0.9, "sac"),
    LearningTask("3DBallHard", CONFIG / "sac" / "3DBallHard.yaml", 200_000, 90.0, "sac"),
    LearningTask("PushBlock", CONFIG / "sac" / "PushBlock.yaml", 600_000, 4.0, "sac"),
    LearningTask("GridWorld", CONFIG / "sac" / "GridWorld.yaml", 200_000, 0.75, "sac"),
    LearningTask("3DBall", PLUGIN / "a2c" / "a2c_3DBall.yaml", 500_000, 90.0, "plugin", "a2c"),
    LearningTask("Basic", PLUGIN / "dqn" / "dqn_basic.yaml", 12_000, 0.9, "plugin", "dqn"),
    LearningTask(
        "3DBall", AUTHORS / "tanh_sac.yaml", 100_000, 95.0, "plugin", "tanh-sac", plugin=AUTHORS / "tanh_sac.py"
    ),
    LearningTask("Hallway", CONFIG / "ppo" / "Hallway.yaml", 3_000_000, 0.7, "memory", "lstm"),
    LearningTask(
        "Hallway", CONFIG / "ppo" / "Hallway.yaml", 3_000_000, None, "memory", "no memory",
        changes={"network_settings.memory": None},
    ),
    LearningTask("Pyramids", PYRAMIDS, 3_000_000, 1.5, "curiosity"),
    LearningTask("Pyramids", CONFIG / "ppo" / "PyramidsRND.yaml", 3_000_000, 1.5, "curiosity", "rnd"),
    LearningTask("Pyramids", PYRAMIDS, 3_000_000, None, "curiosity", "extrinsic alone", changes=NO_CURIOSITY),
    LearningTask("Visual3DBall", CONFIG / "ppo" / "Visual3DBall.yaml", 400_000, 90.0, "visual", areas=16),
    LearningTask(
        "VisualFoodCollector", CONFIG / "ppo" / "VisualFoodCollector.yaml", 3_000_000, 5.0, "visual", areas=4
    ),
    LearningTask("PushBlockCollab", CONFIG / "poca" / "PushBlockCollab.yaml", 15_000_000, 8.0, "poca"),
    LearningTask("Pyramids", CONFIG / "imitation" / "Pyramids.yaml", 1_000_000, 1.5, "imitation", "gail+bc"),
)  # fmt: skip


def chosen(groups: Sequence[str], names: Sequence[str] | None) -> list[LearningTask]:
    """Return the tasks of these groups whose environments, variants or titles are named; all of them without names."""
    return [
        task for task in TASKS
        if task.group in groups and (names is None or {task.name, task.variant, task.title} & set(names))
    ]  # fmt: skip
