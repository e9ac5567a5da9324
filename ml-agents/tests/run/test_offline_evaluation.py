"""Clones that are evaluated while they learn, in an environment that is played in and not trained in."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import mlagents
from mlagents.errors import RunError
from mlagents.learn import main
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.catalog import make

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import weights
from cloning import write

CLONE = {
    "trainer_type": "bc",
    "hyperparameters": {"batch_size": 10, "learning_rate": 0.01, "held_out": 0.2},
    "network_settings": {"hidden_units": 20, "num_layers": 1},
    "demonstrations": {"sources": [{"file": "basic.demo"}]},
    "max_steps": 1000,
    "summary_freq": 500,
}
EVALUATION = {"interval": 300, "episodes": 4, "max_length": 50}


@pytest.fixture(autouse=True)
def demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("basic.demo"), Basic.SPEC, [[([np.eye(20)[10 + i]], [], [2]) for i in range(7)]] * 10)


def learn(*flags, **keys):
    Path("bc.yaml").write_text(yaml.safe_dump({"behaviors": {"Basic": {**CLONE, **keys}}}))
    return main(["bc.yaml", "--run-id", "run", "--seed", "1", *flags])


def evaluations():
    return [json.loads(line) for line in Path("results/run/evaluations.jsonl").read_text().splitlines()]


def test_a_clone_plays_at_every_interval_and_learns_as_if_it_did_not(capsys):
    assert learn() == 0
    alone = weights()
    assert learn("--force", "--env", "builtin:Basic", evaluation=EVALUATION) == 0
    said = capsys.readouterr().out
    assert "builtin:Basic is not trained in: every behavior learns from demonstrations alone." in said
    assert "Basic. Step: 900. Evaluation over 4 episodes. Mean Reward: 0.93" in said
    assert [entry["step"] for entry in evaluations()] == [300, 600, 900]
    assert evaluations()[-1]["score"] == pytest.approx(0.93)
    assert Path("results/run/Basic/best.onnx").is_file()
    assert all(torch.equal(tensor, weights()["Policy"][name]) for name, tensor in alone["Policy"].items())


def test_a_clone_that_earns_enough_is_done(capsys):
    assert learn("--env", "builtin:Basic", evaluation=EVALUATION, stop_when={"reward": 0.9}, max_steps=100000) == 0
    said = capsys.readouterr().out
    assert "Basic has reached its stop_when.reward with a mean reward of 0.93" in said
    assert evaluations()[-1]["step"] <= 900


def test_without_an_environment_there_is_nothing_to_play_in(capsys):
    assert learn(evaluation=EVALUATION) == 2
    sentence = "behaviors.Basic.evaluation: there is no environment to play in: name one with --env, or leave it away"
    assert sentence in capsys.readouterr().err
    with pytest.raises(RunError, match="there is no environment to play in"):
        mlagents.train({"behaviors": {"Basic": {**CLONE, "evaluation": EVALUATION}}}, results_dir=None)


def test_a_reward_to_stop_at_has_no_effect_where_nobody_plays(capsys):
    assert learn(stop_when={"reward": 0.9}) == 0
    said = capsys.readouterr()
    assert "behaviors.Basic.stop_when: has no effect without evaluation: 'bc' plays no episode itself" in said.err
    assert "Basic has taken its max_steps" in said.out


def test_from_python_an_environment_may_be_a_function_that_makes_it(monkeypatch):
    made = []

    def one():
        made.append(make("Basic", seed=3))
        return made[-1]

    config = {"behaviors": {"Basic": {**CLONE, "evaluation": EVALUATION}}}
    clone = mlagents.train(config, one, results_dir=None, seed=1)
    assert len(made) == 3  # none of them is trained in
    assert clone.evaluate(5)["Basic"].mean_return == pytest.approx(0.93)


def test_an_environment_that_is_played_in_gets_the_parameters_of_the_file(monkeypatch):
    given = []
    monkeypatch.setattr("mlagents.envs.local.LocalPool.set_parameters", lambda self, values: given.append(dict(values)))
    config = {"behaviors": {"Basic": {**CLONE, "evaluation": EVALUATION}}, "environment_parameters": {"size": 3.0}}
    monkeypatch.setattr("mlagents.envs.registry.parameters", lambda settings: ["size"])
    mlagents.train(config, "Basic", results_dir=None, seed=1)
    assert len(given) == 3 and all(values == {"size": 3.0} for values in given)
