"""The pages about SAC and memory hold to the code."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.algorithms.settings import POCASettings, SACSettings
from mlagents.learn import main
from mlagents.nn.settings import MemorySettings
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.basic import Basic

DOCS = Path(__file__).parents[2] / "docs"
SAC, MEMORY, POCA = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("sac", "memory", "poca"))


def blocks(page):
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_settings_and_defaults_of_sac_are_those_of_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", section(SAC, "Settings"), re.MULTILINE)
    defaults = {name: field.default for name, field in SACSettings.model_fields.items()}
    assert len(rows) == 9
    for name, default in rows:
        assert name == "reward_signal_steps_per_update" or yaml.safe_load(default) == defaults[name]
    assert {name for name, _ in rows} <= defaults.keys()


def test_settings_and_defaults_of_poca_are_those_of_the_page():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\S+) \|", section(POCA, "Settings"), re.MULTILINE)
    stated = {name: yaml.safe_load(default) for names, default in rows for name in re.findall(r"\w+", names)}
    given = {name: field.default for name, field in POCASettings.model_fields.items()}
    assert {name: float(value) if isinstance(given[name], float) else value for name, value in stated.items()} == given


def test_settings_and_defaults_of_memory_are_those_of_the_page():
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", MEMORY, re.MULTILINE)
    assert {name: yaml.safe_load(default) for name, default in rows} == {
        name: field.default for name, field in MemorySettings.model_fields.items()
    }
    (block,) = blocks(MEMORY)
    assert MemorySettings.model_validate(block["network_settings"]["memory"]) == MemorySettings()


@pytest.mark.parametrize(("scene", "absent"), [("3DBall", "Discrete"), ("Basic", "Continuous")])
def test_every_curve_of_the_page_is_written(scene, absent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block, _ = blocks(SAC)
    behavior = block["behaviors"]["3DBall"] | {"max_steps": 300, "summary_freq": 100}
    behavior["hyperparameters"]["batch_size"] = 16
    Path("sac.yaml").write_text(yaml.safe_dump({"behaviors": {scene: behavior}}), encoding="utf-8")
    assert main(["sac.yaml", "--env", f"builtin:{scene}", "--run-id", "run"]) == 0
    events = EventAccumulator(f"results/run/{scene}")
    events.Reload()
    tags = set(re.findall(r"`((?:Losses|Policy)/[^`]+)`", section(SAC, "Curves")))
    assert len(tags) == 7
    assert tags - set(events.Tags()["scalars"]) == {f"Policy/{absent} Entropy Coeff"}


def test_the_file_for_rlpd_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("demos").mkdir()
    with DemonstrationRecorder("demos/right.demo", "Basic", Basic.SPEC) as recorder:
        for place in range(10, 18):
            recorder.record([np.eye(20)[place]], -0.01 if place < 17 else 0.99, discrete=[2], done=place == 17)
    _, block = blocks(SAC)
    block["behaviors"]["Basic"]["max_steps"] = 200
    Path("rlpd.yaml").write_text(yaml.safe_dump(block), encoding="utf-8")
    assert main(["rlpd.yaml", "--env", "builtin:Basic", "--run-id", "run"]) == 0
    events = EventAccumulator("results/run/Basic")
    events.Reload()
    assert "Losses/Q10 Loss" in events.Tags()["scalars"]
    assert {event.value for event in events.Scalars("Replay/Demonstration Share")} == {0.5}
