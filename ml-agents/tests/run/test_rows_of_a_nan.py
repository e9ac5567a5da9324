"""The file of rows in which a NaN was met: few, and the same NaN comes of them again."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from author_runs import AUTHORS

from mlagents.build import make_trainer
from mlagents.data.finite import NotFinite
from mlagents.errors import RunError
from mlagents.learn import main
from mlagents.run import lastrows
from mlagents.run.history import History
from mlagents.run.lastrows import LastRows, few, few_weights
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.basic import Basic

CONFIG = """
behaviors:
  NAME:
    trainer_type: TRAINER
    hyperparameters: {batch_size: BATCH, buffer_size: 700}
    network_settings: {hidden_units: 8, num_layers: 1}
    reward_signals: {extrinsic: {gamma: 0.9}SIGNAL}
    max_steps: 3000
    time_horizon: 4
env_settings: {num_areas: 8}
"""
FILE = "results/run/{}/not-finite.npz"


def run(name, trainer, batch, signal=""):
    """Train until it fails; return the settings of the run, and what it left."""
    text = CONFIG.replace("NAME", name).replace("TRAINER", trainer).replace("BATCH", str(batch))
    text = text.replace("SIGNAL", signal and f", {signal}: {{gamma: 0.9, strength: 1.0}}")
    Path("run.yaml").write_text(text)
    flags = ["--plugin", str(AUTHORS / "fragile.py"), "--env", f"builtin:{name}", "--run-id", "run", "--seed", "1"]
    assert main(["run.yaml", *flags]) == 2
    options, _ = load("results/run/configuration.yaml", {})
    return options, LastRows.read(FILE.format(name))


@pytest.mark.parametrize(
    ("trainer", "batch", "signal", "table", "what"),
    [
        ("fragileonpolicy", 600, "", "Batch", "the loss 'strange' is nan"),
        ("fragileoffpolicy", 600, "", "Transition", "the loss of a step of FragileOffPolicy is nan"),
        ("ppo", 32, "fragile", "SignalRows", "the reward signal 'fragile' gives NaN"),
        ("fragileoffpolicy", 600, "fragile", "SignalRows", "the reward signal 'fragile' gives NaN"),
    ],
)
def test_a_trainer_that_learns_from_the_rows_again_meets_the_same_nan(
    tmp_path, monkeypatch, trainer, batch, signal, table, what
):
    monkeypatch.chdir(tmp_path)
    options, rows = run("Basic", trainer, batch, signal)
    assert (rows.about["table"], len(rows) <= 256) == (table, True)
    assert what in rows.about["sentence"]
    assert rows.columns["rows.reward"].max() > 0.5  # the row that did it is among the few
    again = make_trainer(options, options.behaviors["Basic"], Basic.SPEC, "Basic")
    with pytest.raises(NotFinite, match=re.escape(what)):
        rows.learn_again(again)
    for name, parameter in again.policy.named_parameters():
        assert np.array_equal(parameter.detach(), rows.weights[f"Policy/{name}"])


def test_numbers_too_large_for_an_optimizer_are_met_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    decide = Ball3D._decide

    def large(env, action):
        obs, reward, *rest = decide(env, action)
        obs[0][:] *= np.float32(1e14)  # what is allowed
        return obs, reward * np.float32(1e14), *rest

    monkeypatch.setattr(Ball3D, "_decide", large)
    options, rows = run("3DBall", "ppo", 64)
    what = "the gradient of the critic's 'body.layers.0.weight' holds numbers as large as"
    assert what in str(rows)
    with pytest.raises(NotFinite, match=what):
        rows.learn_again(make_trainer(options, options.behaviors["3DBall"], Ball3D.SPEC, "3DBall"))


def test_rows_are_few_and_hold_what_is_wrong():
    columns = {"obs": np.arange(5000.0), "reward": np.arange(5000)}
    kept = few(columns, wrong=[3, 4000])
    assert len(kept["obs"]) == len(kept["reward"]) == 256
    assert kept["obs"].tolist() == [3, 4000, *range(4746, 5000)]
    assert len(few({"obs": np.zeros((2, 3))})["obs"]) == 2


@pytest.mark.parametrize(("side", "most"), [(84, 99), (2000, 1)])
def test_of_images_there_are_fewer_rows(side, most):
    columns = {"obs": np.zeros((300, 3, side, side), np.float32 if side == 84 else np.uint8)}
    kept = few(columns, wrong=[7])
    assert len(kept["obs"]) == most
    assert sum(column.nbytes for column in kept.values()) <= max(8 << 20, 3 * side * side)


def test_large_networks_are_left_out():
    state = {"Policy": {"w": torch.zeros(4)}, "Adam": {"state": {}, "param_groups": []}, "alpha": torch.zeros(1)}
    assert few_weights(state).keys() == {"Policy/w", "alpha"}
    assert few_weights({"Policy": {"w": torch.zeros(9 << 20)}}) == {}


@pytest.mark.parametrize(("agents", "ticks"), [(2, 32), (40, 12), (600, 1)])
def test_the_history_holds_the_answers_to_each_row_and_no_more_rows_than_it_may(step, agents, ticks):
    history, each = History(agents), list(range(agents))
    for tick in range(300):
        history.add(step(each, [tick] * agents))
        if tick < 299:
            history.answer(ActionTuple(np.full((agents, 1), tick, np.float32), np.zeros((agents, 0), np.int32)))
    columns = history.columns()
    assert columns["tick"].tolist() == [tick for tick in range(1 - ticks, 1) for _ in each]
    assert columns["answered"].tolist() == [True] * (ticks - 1) * agents + [False] * agents
    assert history.asking().tolist() == each
    if ticks > 1:
        assert np.array_equal(columns["obs.0"][:-agents], columns["action.continuous"][:-agents])


def test_the_command_prints_what_is_wrong_and_refuses_other_files(tmp_path, capsys):
    about = {"sentence": "B: it was \x1b NaN.", "behavior": "B", "step": 7, "table": "environment", "of": 900}
    LastRows(about, {"obs.0": np.array([[1.0, np.nan]]), "done": np.array([True])}).write(tmp_path / "rows.npz")
    assert lastrows.main([str(tmp_path / "rows.npz")]) == 0
    text = capsys.readouterr().out
    assert "it was \\x1b NaN." in text and "1 of 900 rows" in text and "obs.0[0, 1] is nan" in text
    (tmp_path / "other.npz").write_bytes(b"PK of another kind")
    for wrong in ("other.npz", "missing.npz"):
        with pytest.raises(RunError, match=wrong):
            LastRows.read(tmp_path / wrong)
        assert lastrows.main([str(tmp_path / wrong)]) == 2
        assert wrong in capsys.readouterr().err


@pytest.fixture
def step():
    from collect.test_collector import step

    return step
