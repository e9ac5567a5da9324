"""The page about behavioral cloning holds to the code."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from cloning import write
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.algorithms.settings import BCSettings
from mlagents.learn import main
from mlagents.settings.offline import without_effect
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

PAGE = (Path(__file__).parents[2] / "docs" / "bc.md").read_text(encoding="utf-8")


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def config():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return yaml.safe_load(block)


def test_settings_and_defaults_are_those_of_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", section("Settings"), re.MULTILINE)
    assert {name: yaml.safe_load(default) for name, default in rows} == {
        name: field.default for name, field in BCSettings.model_fields.items()
    }


def test_what_the_page_says_has_no_effect_has_none():
    behavior = config()["behaviors"]["3DBall"] | {
        "time_horizon": 5, "threaded": True, "reward_signals": {"extrinsic": {"gamma": 0.5}}, "self_play": None,
    }  # fmt: skip
    behavior["demonstrations"] |= {"ratio": 0.1}
    options, _ = load({"behaviors": {"B": behavior}}, {})
    found = {key[0] for key, _ in without_effect(options.behaviors["B"])}
    assert found == {"time_horizon", "threaded", "reward_signals", "demonstrations"}
    assert all(f"`{key}" in section("Settings") for key in found)


@pytest.mark.parametrize("actions", [ActionSpec(2, ()), ActionSpec(0, (3,))], ids=["continuous", "discrete"])
def test_every_curve_of_the_page_is_written(actions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec, rng = BehaviorSpec([vector_sensor(8, "ball")], actions), np.random.default_rng(0)
    numbers, choices = np.zeros(actions.continuous_size), [1] * actions.discrete_size
    episodes = [[([rng.normal(size=8)], numbers, choices) for _ in range(6)] for _ in range(4)]
    write(Path("Expert3DBall.demo"), spec, episodes)
    settings = config()
    settings["behaviors"]["3DBall"] |= {"max_steps": 300, "summary_freq": 100}
    settings["behaviors"]["3DBall"]["hyperparameters"] |= {"batch_size": 16, "held_out": 0.25}
    Path("3DBall.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    assert main(["3DBall.yaml", "--run-id", "clone"]) == 0
    events = EventAccumulator("results/clone/3DBall")
    events.Reload()
    shown = set(re.findall(r"`((?:Losses|Policy|Imitation)/[^`]+)`", section("Curves")))
    written = set(events.Tags()["scalars"])
    assert len(shown) == 9 and written <= shown
    kind = "Accuracy" if actions.continuous_size else "Error|Sigma"
    assert shown - written == {tag for tag in shown if re.search(kind, tag)}
