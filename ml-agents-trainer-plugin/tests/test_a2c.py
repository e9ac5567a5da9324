"""The A2C example: it is found, it learns, and it stays as small as an example should be."""

import re
from importlib.resources import files
from pathlib import Path

import onnxruntime
import pytest
import yaml

import mlagents_trainer_plugin
from mlagents.learn import main
from mlagents.plugins.catalog import Catalog
from mlagents.settings.reading import load

CONFIG = files(mlagents_trainer_plugin) / "a2c" / "a2c_3DBall.yaml"


@pytest.fixture
def shortened(tmp_path, monkeypatch):
    """A function that writes the example's YAML with fewer steps and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(steps):
        settings = yaml.safe_load(CONFIG.read_text())
        settings["behaviors"]["3DBall"]["max_steps"] = steps
        Path("a2c.yaml").write_text(yaml.safe_dump(settings))
        return "a2c.yaml"

    return write


def test_it_is_found_by_its_entry_point():
    kind = Catalog().find("a2c")
    assert kind.origin.startswith("mlagents-trainer-plugin ")
    assert kind.trainer().__name__ == "A2CTrainer"


def test_its_configuration_is_sound_and_strict():
    options, warnings = load(str(CONFIG), {})
    assert options.behaviors["3DBall"].trainer_type == "a2c"
    assert not warnings


def test_it_learns_to_balance(shortened, capsys):
    assert main([shortened(200_000), "--env", "builtin:3DBall", "--run-id", "a2c", "--seed", "2"]) == 0
    curve = [float(score) for score in re.findall(r"Mean Reward: (\d+\.\d+)", capsys.readouterr().out)]
    assert max(curve) > 80  # random play gives 1
    model = onnxruntime.InferenceSession("results/a2c/3DBall.onnx", providers=["CPUExecutionProvider"])
    assert "deterministic_continuous_actions" in [output.name for output in model.get_outputs()]


def test_it_resumes_and_plays(shortened, capsys):
    assert main([shortened(5_000), "--env", "builtin:3DBall", "--run-id", "a2c"]) == 0
    assert main([shortened(8_000), "--env", "builtin:3DBall", "--run-id", "a2c", "--resume"]) == 0
    assert "Resuming training from step 5" in capsys.readouterr().out
