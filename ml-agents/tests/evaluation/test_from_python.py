"""`mlagents.evaluate`: the command as a function."""

import subprocess
import sys

import pytest

import mlagents
from mlagents.errors import RunError
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityPolicyException


def test_a_program_gets_what_the_command_prints(told):
    printed = told("run", "--episodes", "6", "--stochastic")["behaviors"]["Basic"]
    found = mlagents.evaluate("run", episodes=6, deterministic=False)["Basic"]
    assert found.returns.tolist() == [each["reward"] for each in printed["every_episode"]]
    assert (found.mean_return, found.score) == (printed["reward"]["mean"],) * 2
    assert list(found.interval) == printed["reward"]["interval"]


def make_basic():
    return make("Basic", seed=5)


def make_numbered(number):
    return make("Basic", seed=5 + number)


@pytest.mark.parametrize("env", ["Basic", "builtin:Basic", make_basic, make_numbered, make("Basic", seed=5)],
                         ids=["name", "with its kind", "function", "function of a number", "environment"])  # fmt: skip
def test_an_environment_is_what_training_takes(trained, monkeypatch, env):
    monkeypatch.chdir(trained)
    assert len(mlagents.evaluate("run", env, episodes=3)["Basic"]) == 3


def test_several_environments_of_a_function_share_the_episodes(trained, monkeypatch):
    monkeypatch.chdir(trained)
    found = mlagents.evaluate("run", make_numbered, episodes=5, num_envs=2)["Basic"]
    assert found.environments.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(RunError, match="there is one Basic; give a function"):
        mlagents.evaluate("run", make("Basic"), num_envs=2)


def test_a_model_plays_alone_or_by_behavior(trained, monkeypatch):
    monkeypatch.chdir(trained)
    model = mlagents.Model("results/run/Basic.onnx")
    alone, by_name = (mlagents.evaluate(each, "Basic", episodes=2)["Basic"] for each in (model, {"Basic": model}))
    assert alone.returns.tolist() == by_name.returns.tolist()
    with pytest.raises(RunError, match="a behavior 'Basic', and there is no model of it"):
        mlagents.evaluate({"Other": model}, "Basic")
    with pytest.raises(TypeError, match="model is 3"):
        mlagents.evaluate(3, "Basic")
    with pytest.raises(UnityPolicyException, match="does not fit GridWorld"):
        mlagents.evaluate(model, "GridWorld")


def test_a_result_scores_as_its_model_does(trained, monkeypatch):
    monkeypatch.chdir(trained)
    run = mlagents.train("run.yaml", "Basic", seed=1, results_dir=None)
    own = run.evaluate(5, seed=7)["Basic"]
    model = mlagents.evaluate(run.outcome.behaviors["Basic"].model, "Basic", episodes=5, seed=7)["Basic"]
    assert own.returns.tolist() == model.returns.tolist() and own.lengths.tolist() == model.lengths.tolist()


def test_an_evaluation_needs_no_torch(trained):
    program = "import mlagents, sys; mlagents.evaluate('run', episodes=1); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=trained, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_lessons_of_the_run_hold_in_its_evaluation(trained, monkeypatch):
    monkeypatch.chdir(trained)
    pytest.importorskip("numba")
    criteria = {"behavior": "GridWorld", "measure": "progress", "threshold": 0.1}
    lessons = [{"name": "a", "value": 1.0, "completion_criteria": criteria}, {"name": "b", "value": 2.0}]
    config = {
        "behaviors": {"3DBall": {"trainer_type": "ppo", "max_steps": 200}},
        "environment_parameters": {"mass": {"curriculum": lessons}},
    }
    criteria["behavior"] = "3DBall"
    mlagents.train(config, "3DBall", seed=1, run_id="lessons")
    given = []
    monkeypatch.setattr(
        "mlagents_envs.examples.ball3d.Ball3D.set_parameters", lambda self, parameters: given.append(dict(parameters))
    )
    mlagents.evaluate("lessons", episodes=1, max_length=3)
    assert given == [{"mass": 2.0}]
