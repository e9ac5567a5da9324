"""Numbers that are not finite: stopped where they enter, and never saved."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mlagents.envs.finite import refuse_faults
from mlagents.envs.local import LocalPool
from mlagents.learn import main
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.finite import LARGEST, unusable

CONFIG = """
behaviors:
  NAME:
    trainer_type: TRAINER
    hyperparameters: {batch_size: 32, buffer_size: 256, learning_rate: RATE}
    network_settings: {hidden_units: 16, num_layers: 1, normalize: true}
    max_steps: 3000
    time_horizon: 16
    checkpoint_interval: 400
"""
ENVIRONMENT = """
import gymnasium, numpy as np
class Bad(gymnasium.Env):
    observation_space = gymnasium.spaces.Dict({
        "near": gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
        "far": gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)})
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    made = 0
    def __init__(self):
        self.copy, Bad.made, self.steps = Bad.made, Bad.made + 1, 0
    def see(self, x=0.0):
        return {"near": np.zeros(2, np.float32), "far": np.array([0, x, 0], np.float32)}
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.see(), {}
    def step(self, action):
        self.steps += 1
        bad = VALUE if self.copy % 8 == 2 and self.steps == 150 else 0.0
        return self.see(bad if WHAT == "obs" else 0.0), bad if WHAT == "reward" else 1.0, self.steps % 20 == 0, False, {}
gymnasium.register("MODULE-v0", Bad)
"""


def checkpoints():
    for file in Path("results/run").rglob("*.pt"):
        state = torch.load(file, weights_only=True)
        assert all(torch.isfinite(tensor).all() for tensor in state["Policy"].values() if tensor.is_floating_point())
    return json.loads(Path("results/run/run_logs/training_status.json").read_text())


@pytest.mark.parametrize("num_envs", ["1", "2"])
@pytest.mark.parametrize("what", ["obs", "reward"])
@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "-1e20"])
def test_a_number_of_an_environment_is_stopped_where_it_enters(tmp_path, monkeypatch, capsys, value, what, num_envs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"bad_{what}_{num_envs}_{value.strip('-)').replace('float(', '')}".replace("'", "")
    text = ENVIRONMENT.replace("VALUE", value).replace("WHAT", repr(what)).replace("MODULE", module)
    Path(f"{module}.py").write_text(text)
    Path("bad.yaml").write_text(CONFIG.replace("NAME", module).replace("TRAINER", "ppo").replace("RATE", "3.0e-4"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{__import__('os').environ.get('PYTHONPATH', '')}")
    status = main(["bad.yaml", "--env", f"gym:{module}:{module}-v0", "--run-id", "run", "--num-envs", num_envs])
    output = capsys.readouterr()
    told = output.out + output.err
    assert status == 2
    assert "Traceback" not in told
    shown = {"float('nan')": "nan", "float('inf')": "inf", "-1e20": "-1e+20"}[value]
    sensor = "observation 'far'[1] (sensor 0)" if what == "obs" else "reward"
    assert re.search(rf"{module}\?team=0, environment [01], agent 2 \(copy 2\)", told)
    assert f"its {sensor} is {shown}" in told
    assert checkpoints()[module]["checkpoints"]  # what was learnt before is saved


@pytest.mark.parametrize("rate", ["1.0e10", "1.0e+30"])
def test_a_step_too_large_is_stopped_and_the_last_good_checkpoint_stays_the_newest(tmp_path, monkeypatch, capsys, rate):
    monkeypatch.chdir(tmp_path)
    Path("basic.yaml").write_text(CONFIG.replace("NAME", "3DBall").replace("TRAINER", "ppo").replace("RATE", rate))
    status = main(["basic.yaml", "--env", "builtin:3DBall", "--run-id", "run", "--seed", "1"])
    output = capsys.readouterr()
    told = output.out + output.err
    assert status == 2
    assert "Traceback" not in told
    assert "3DBall: learning went to infinity at step" in told
    assert "Try a smaller learning_rate" in told
    assert "exported model" not in told
    for file in Path("results/run").rglob("*.pt"):
        assert torch.isfinite(torch.load(file, weights_only=True)["Policy"]["head.weight"]).all()


PLUGIN = """
import torch
from mlagents.api import OnPolicyHyperparamSettings, OnPolicyTrainer
class Broken(OnPolicyTrainer):
    Settings = OnPolicyHyperparamSettings
    def loss(self, batch):
        log_prob, _ = self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        value = self.values(batch)
        self.calls = getattr(self, "calls", 0) + 1
        bad = float("nan") if self.calls > 30 else 0.0
        return {"policy": -(log_prob.sum(1) * batch.advantage).mean(), "strange": value.mean() * bad}
def get_type_and_setting():
    return {"broken": Broken}, {"broken": OnPolicyHyperparamSettings}
"""


def test_the_loss_of_a_plug_in_that_is_nan_is_named_and_saves_nothing_ruined(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text(PLUGIN)
    text = CONFIG.replace("NAME", "3DBall").replace("TRAINER", "broken").replace("RATE", "1.0e-3")
    Path("broken.yaml").write_text(text)
    status = main(["broken.yaml", "--plugin", "broken.py", "--env", "builtin:3DBall", "--run-id", "run", "--seed", "1"])
    output = capsys.readouterr()
    told = output.out + output.err
    assert status == 2
    assert "Traceback" not in told
    assert "the loss 'strange' is nan" in told
    newest = Path("results/run/3DBall/checkpoint.pt")
    assert re.search(rf"its last good state, of step [\d,]+, is kept in {newest}\.", told)
    assert torch.isfinite(torch.load(newest, weights_only=True)["Policy"]["head.weight"]).all()
    assert Path("results/run/3DBall.onnx").exists()  # the model of the last good one


def test_a_number_can_be_used_up_to_a_limit():
    column = np.zeros((4, 3), np.float32)
    assert unusable(column) is None
    for value in (np.nan, np.inf, -np.inf, 1e16, -1e20):
        column[2, 1] = value
        assert unusable(column) == (2, 1)
    column[2, 1] = LARGEST / 10
    assert unusable(column) is None
    assert unusable(np.full((1000, 1000), 1e12, np.float32)) is None  # their squares overflow only together
    assert unusable(np.zeros((2, 0), np.float32)) is None
    assert unusable(np.array([255], np.uint8)) is None


def test_a_row_of_an_example_that_computes_nan_is_marked():
    from mlagents_envs.examples.basic import Basic

    basic = Basic(areas=2)
    pool = LocalPool(basic)
    pool.reset()
    pool.recv()
    decide = basic._decide

    def broken(action):
        obs, reward, *rest = decide(action)
        reward[1] = np.nan
        return obs, reward, *rest

    basic._decide = broken
    pool.send({basic.behavior: basic.SPEC.action_spec.empty_action(2)})
    step = pool.recv()[basic.behavior]
    assert [str(fault) for fault in step.faults] == ["environment 0, agent 1: its reward is nan"]
    with pytest.raises(UnityObservationException, match=r"Basic\?team=0, .* its reward is nan\. Numbers must be finite"):
        refuse_faults(step, basic.behavior)
