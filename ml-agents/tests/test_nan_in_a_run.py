"""A NaN of every kind, in every kind of trainer: noticed at once; the run ends, or goes on from its last good state."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from author_runs import AUTHORS, sample

from mlagents.algorithms import fast_ppo, flat
from mlagents.learn import main
from mlagents.run.checkpoints import load_checkpoint
from mlagents.run.lastrows import LastRows
from mlagents_envs.examples.basic import Basic

PLANTED = AUTHORS / "planted.py"
TRAINERS = {
    "ppo": "{batch_size: 32, buffer_size: 64, num_epoch: 2}",
    "plantedonpolicy": "{batch_size: 32, buffer_size: 64, num_epoch: 2}",
    "plantedoffpolicy": "{batch_size: 32, buffer_size: 1000, steps_per_update: 4}",
}
CONFIG = """
behaviors:
  Basic:
    trainer_type: TRAINER
    hyperparameters: HYPER
    network_settings: {hidden_units: 8, num_layers: 1}
    reward_signals: {extrinsic: {gamma: 0.9}, planted: {gamma: 0.9, strength: 1.0}}
    max_steps: 1200
    time_horizon: 4
    summary_freq: 500
    checkpoint_interval: 200
    on_nan: ON_NAN
env_settings: {num_areas: 4}
"""
CALL = {"signal": 6, "signal loss": 12}  # the call at which it happens; others at the 20th
SENTENCE = {  # what is said of each
    "observation": r"Basic\?team=0, environment 0, agent 1: its observation 'BasicSensor'\[3\] \(sensor 0\) is nan",
    "reward": r"Basic\?team=0, environment 0, agent 1: its reward is inf, at step",
    "signal": r"the reward signal 'planted' gives NaN, in rows of environment 0, agent \d",
    "signal loss": r"the loss of the reward signal 'planted' is nan",
    "loss": r"the loss .* is nan",
    "gradient": r"the gradient of the \w+'s '[\w.]+' holds (NaN|infinite numbers)",
    "weight": r"the (\w+)'s '[\w.]+' holds infinite numbers",
}


def plant(monkeypatch, kind, trainer, when):
    """Let a NaN of this kind come at these calls, `3 5`, or at all from the third on, `*`."""
    module = sample("planted")
    module.calls = 0
    monkeypatch.setenv("PLANT", f"{kind}:{when}")
    decide = Basic._decide

    def broken(env, action):
        obs, reward, done, interrupted, last = decide(env, action)
        if module.due("observation"):
            obs[0][1, 3] = np.nan
        if module.due("reward"):
            reward[1] = np.inf
        return obs, reward, done, interrupted, last

    monkeypatch.setattr(Basic, "_decide", broken)
    losses, step = fast_ppo.Losses.__call__, flat.FlatAdam.step

    def ruined_losses(self, batch):
        found = losses(self, batch)
        if module.due("gradient"):
            self.actor[1][0][:] = np.inf
        return (float("nan"), *found[1:]) if module.due("loss") else found

    def ruined_step(self):
        step(self)
        if module.due("weight"):
            self._flat.values[0] = np.inf

    if trainer == "ppo":
        monkeypatch.setattr(fast_ppo.Losses, "__call__", ruined_losses)
        monkeypatch.setattr(flat.FlatAdam, "step", ruined_step)
    return module


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that trains with a plant, and returns the exit status and what was printed."""
    monkeypatch.chdir(tmp_path)

    def train(kind, trainer, on_nan, when, *flags):
        module = plant(monkeypatch, kind, trainer, when)
        text = CONFIG.replace("TRAINER", trainer).replace("HYPER", TRAINERS[trainer]).replace("ON_NAN", on_nan)
        Path("basic.yaml").write_text(text)
        flags = ["--plugin", str(PLANTED), "--env", "builtin:Basic", "--run-id", "run", "--seed", "1", *flags]
        status = main(["basic.yaml", *flags])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return status, printed.out + printed.err, module.calls

    return train


def assert_all_files_are_finite():
    folder = Path("results/run/Basic")
    newest = load_checkpoint(folder / "checkpoint.pt")
    for file in folder.glob("*.pt"):
        for module, tensors in load_checkpoint(file).items():
            for name, tensor in tensors.items() if isinstance(tensors, dict) else ():
                if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                    assert torch.isfinite(tensor).all(), (file, module, name)
    for tensor in onnx.load("results/run/Basic.onnx").graph.initializer:
        assert np.isfinite(onnx.numpy_helper.to_array(tensor).astype(float)).all()
    return newest["global_step"]["_GlobalSteps__global_step"].item()


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("kind", SENTENCE)
def test_a_nan_ends_the_run_at_once_and_only_what_is_good_is_saved(run, kind, trainer):
    call = CALL.get(kind, 20)
    status, printed, calls = run(kind, trainer, "stop", str(call))
    assert status == 2
    assert re.search(SENTENCE[kind], printed), printed
    assert calls <= call + (kind == "weight")  # a weight is seen in the next loss, or when the update has ended
    saved = assert_all_files_are_finite()
    at = int(re.search(r"at step ([\d,]+)", printed)[1].replace(",", ""))
    assert at - 1000 <= saved <= at  # steps
    rows = LastRows.read("results/run/Basic/not-finite.npz")
    assert rows.about["behavior"] == "Basic" and rows.about["step"] == at
    assert 0 < len(rows) <= 256
    found = rows.not_finite()
    if kind in ("observation", "reward"):
        name = {"observation": "obs.0", "reward": "reward"}[kind]
        assert [each[0] for each in found] == [name]
        row = found[0][1][0]
        assert rows.columns["agent"][row] == 1 and rows.columns["tick"][row] == 0
        assert not np.isfinite(rows.columns[name][row]).all()
    else:
        assert not found  # rows are good; what was made of them was not
        assert (rows.weights["Policy/head.weight"].shape) == (3, 8)


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("kind", SENTENCE)
def test_with_rollback_the_run_goes_on_without_the_rows_and_ends_with_a_good_model(run, kind, trainer):
    first = CALL.get(kind, 20)
    status, printed, _ = run(kind, trainer, "rollback", f"{first} {first + (4 if kind == 'signal' else 25)}")
    assert status == 0, printed
    assert re.search(SENTENCE[kind], printed), printed
    counted = "Training goes on without such rows: 2 by now" if kind in ("observation", "reward") else "rollback 2, "
    assert counted in printed
    assert "Basic has taken its max_steps" in printed
    assert assert_all_files_are_finite() > 1200


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("kind", ["reward", "signal", "loss"])
def test_what_comes_again_and_again_ends_the_run(run, kind, trainer):
    status, printed, _ = run(kind, trainer, "rollback", "*")
    assert status == 2
    often = "So did 100 reports in a row before." if kind == "reward" else "It was put back 10 times in a row before."
    assert often in printed
    assert_all_files_are_finite()
