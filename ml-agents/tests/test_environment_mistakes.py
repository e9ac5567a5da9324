"""Mistakes in a user's environment: the run saves what it learned, and ends with a sentence."""

import os
from pathlib import Path

import pytest

from mlagents.learn import main

CONFIG = """
behaviors:
  NAME:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 16, num_layers: 1}
    max_steps: 3000
    time_horizon: 16
"""
ENVIRONMENT = """
import gymnasium, numpy as np
class Breaks(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    made = 0
    def __init__(self):
        self.copy, Breaks.made, self.steps = Breaks.made, Breaks.made + 1, 0
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}
    def step(self, action):
        self.steps += 1
        if self.copy == 5 and self.steps == 60:
            raise KeyError("speed")  # here
        return np.zeros(2, np.float32), 1.0, self.steps % 20 == 0, False, {}
gymnasium.register("MODULE-v0", Breaks)
"""


@pytest.mark.parametrize("num_envs", ["1", "2"])
def test_an_exception_in_a_step_saves_the_run_and_is_a_sentence(tmp_path, monkeypatch, capsys, num_envs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"breaks_{num_envs}"
    text = ENVIRONMENT.replace("MODULE", module)
    Path(f"{module}.py").write_text(text)
    Path("run.yaml").write_text(CONFIG.replace("NAME", module))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    options = ["--num-envs", num_envs, "--max-lifetime-restarts", "0"]
    status = main(["run.yaml", "--env", f"gym:{module}:{module}-v0", "--run-id", "run", *options])
    output = capsys.readouterr()
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)
    assert status != 0
    assert "Traceback" not in output.out + output.err
    assert f"gym:{module}, copy 5: step() raised KeyError: 'speed' (" in output.out
    assert f"{module}.py:{line} in step)" in output.out
    assert list(Path("results/run").rglob("*.onnx"))
