"""Configurations of before 1.0 become those of today."""

import re
from pathlib import Path

import pytest
import yaml

from mlagents.learn import main as learn
from mlagents.settings.reading import load
from mlagents.trainers.upgrade_config import main

ROOT = Path(__file__).parents[2]
OLD = """
default:
  trainer: ppo
  batch_size: 1024
  beta: 5.0e-3
  buffer_size: 10240
  hidden_units: 128
  learning_rate_schedule: linear
  max_steps: 5.0e5
  memory_size: 128
  normalize: false
  num_layers: 2
  sequence_length: 64
  summary_path: ppo
  use_recurrent: false
  reward_signals: {extrinsic: {strength: 1.0, gamma: 0.9}}
Basic:
  batch_size: 16
  max_steps: 300
Wall:
  trainer: sac
  tau: 0.01
  use_recurrent: true
  memory_size: 64
"""
CURRICULUM = """
Wall:
  measure: progress
  thresholds: [0.1, 0.3]
  min_lesson_length: 100
  parameters: {height: [1.5, 2, 4], mass: [1, 2, 3]}
"""
SAMPLER = """
resampling-interval: 5000
mass: {sampler-type: uniform, min_value: 0.5, max_value: 10}
gravity: {sampler-type: multirange_uniform, intervals: [[7, 10], [15, 20]], seed: 3}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])
    for name, text in (("old", OLD), ("Wall", CURRICULUM), ("sampler", SAMPLER)):
        Path(f"{name}.yaml").write_text(text)


def test_a_section_per_behavior_becomes_sections_of_behaviors(folder, capsys):
    assert main(["old.yaml", "new.yaml"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "old.yaml: Basic.summary_path: has no successor, so it is left out",
        "old.yaml: Wall.beta: has no successor, so it is left out",
        "old.yaml: Wall.summary_path: has no successor, so it is left out",
    ]
    options, warnings = load("new.yaml", {})
    basic, wall = options.behaviors["Basic"], options.behaviors["Wall"]
    assert warnings == []
    assert (basic.trainer_type, basic.max_steps, basic.hyperparameters.batch_size) == ("ppo", 300, 16)
    assert (basic.hyperparameters.buffer_size, basic.network_settings.memory) == (10240, None)
    assert basic.reward_signals["extrinsic"].gamma == 0.9
    assert (wall.trainer_type, wall.hyperparameters.tau, wall.max_steps) == ("sac", 0.01, 500_000)
    assert (wall.network_settings.memory.memory_size, wall.network_settings.memory.sequence_length) == (64, 64)


def test_what_is_written_trains(folder):
    Path("old.yaml").write_text(OLD[: OLD.index("Wall")])
    assert main(["old.yaml", "new.yaml"]) == 0
    assert learn(["new.yaml", "--env", "builtin:Basic", "--run-id", "run"]) == 0


def test_lessons_and_samplers_become_environment_parameters(folder):
    assert main(["old.yaml", "--curriculum", "Wall.yaml", "--sampler", "sampler.yaml", "new.yaml"]) == 0
    parameters = load("new.yaml", {})[0].environment_parameters
    lessons = parameters["height"].curriculum
    assert [lesson.value.sampler_parameters.value for lesson in lessons] == [1.5, 2, 4]
    assert [lesson.name for lesson in lessons] == ["Lesson0", "Lesson1", "Lesson2"]
    criteria = lessons[1].completion_criteria
    assert (criteria.behavior, criteria.measure, criteria.threshold) == ("Wall", "progress", 0.3)
    assert (criteria.min_lesson_length, criteria.signal_smoothing, lessons[2].completion_criteria) == (100, False, None)
    sampled = {name: parameters[name].curriculum[0].value for name in ("mass", "gravity")}
    assert sampled["mass"].sampler_type == "uniform", "a sampler wins over lessons, as in Unity's tool"
    assert sampled["mass"].sampler_parameters.max_value == 10
    assert sampled["gravity"].sampler_type == "multirangeuniform"
    assert sampled["gravity"].sampler_parameters.intervals == [[7, 10], [15, 20]]


def test_a_curriculum_without_a_behavior_is_that_of_its_files_name(folder):
    Path("Wall.yaml").write_text(yaml.safe_dump(yaml.safe_load(CURRICULUM)["Wall"]))
    assert main(["old.yaml", "--curriculum", "Wall.yaml", "new.yaml"]) == 0
    criteria = load("new.yaml", {})[0].environment_parameters["mass"].curriculum[0].completion_criteria
    assert criteria.behavior == "Wall"


def test_sections_of_between_0_16_and_1_0_are_moved(folder):
    text = {"behaviors": {"Wall": {}}, "curriculum": yaml.safe_load(CURRICULUM), "parameter_randomization": yaml.safe_load(SAMPLER)}
    Path("old.yaml").write_text(yaml.safe_dump(text))
    assert main(["old.yaml", "new.yaml"]) == 0
    options, _ = load("new.yaml", {})
    assert list(options.behaviors) == ["Wall"]
    assert sorted(options.environment_parameters) == ["gravity", "height", "mass"]


def test_defaults_alone_become_default_settings(folder):
    Path("old.yaml").write_text(OLD[: OLD.index("Basic")])
    assert main(["old.yaml", "new.yaml"]) == 0
    assert load("new.yaml", {})[0].for_behavior("Any").reward_signals["extrinsic"].gamma == 0.9


def test_nothing_is_overwritten_and_mistakes_are_sentences(folder, capsys):
    Path("new.yaml").write_text("mine")
    assert main(["old.yaml", "new.yaml"]) == 2
    assert Path("new.yaml").read_text() == "mine"
    assert main(["nowhere.yaml", "other.yaml"]) == 2
    assert main(["old.yaml", "no/folder/new.yaml"]) == 2
    Path("wrong.yaml").write_text("Ball:\n  trainer: ppo\n  batch_size: -1\n")
    assert main(["wrong.yaml", "other.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "new.yaml: is there already; name another file"
    assert lines[1].startswith("nowhere.yaml: no such file")
    assert lines[2] == "no/folder/new.yaml: cannot be written: No such file or directory"
    assert lines[3] == "other.yaml:5:7: behaviors.Ball.hyperparameters.batch_size: is -1; must be at least 1"


def test_the_example_of_the_page_is_what_the_tool_writes(folder):
    page = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    section = page.split("## An old configuration\n")[1].split("\n## ")[0]
    before, after = re.findall("```yaml\n(.*?)```", section, re.DOTALL)
    Path("page.yaml").write_text(before)
    assert main(["page.yaml", "new.yaml"]) == 0
    assert yaml.safe_load(Path("new.yaml").read_text()) == yaml.safe_load(after)
