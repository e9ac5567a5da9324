"""What is kept of evaluations, the best, and when they end a run: enough."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import mlagents
from mlagents.evaluation.settings import StopSettings
from mlagents.learn import main
from mlagents.run.outcome import Ended
from mlagents.run.stopping import Target

sys.path.insert(0, str(Path(__file__).parent))
from evaluated import EVALUATION, config, entries, equal, scores_by_plan, state, train


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# the best


def test_the_best_is_kept_whatever_is_rotated_out(monkeypatch):
    scores_by_plan(monkeypatch, [0.1, 0.9, 0.9, 0.3, 0.2, 0.1, 0.0])
    seen = {}

    class Watch(mlagents.Callback):
        def on_checkpoint(self, progress):
            seen[progress.step] = state(progress.weights)

    given = config(1450, evaluation=EVALUATION, checkpoint_interval=200, keep_checkpoints=1)
    result = mlagents.train(given, "Basic", seed=1, run_id="run", callbacks=[Watch()])
    found = entries()
    assert [entry["best"] for entry in found] == [True, True, False, False, False, False, False]
    best = found[1]["step"]
    assert equal(state("results/run/Basic/best.pt"), seen[best])
    assert not Path(f"results/run/Basic/Basic-{best}.pt").exists()
    assert len(list(Path("results/run/Basic").glob("Basic-*.pt"))) == 1
    assert result.outcome.behaviors["Basic"].best == Path("results/run/Basic/best.pt")
    seen_obs = np.eye(20, dtype=np.float32)
    given = config(1, init_path="results/run/Basic/best.pt")
    again = mlagents.train(given, "Basic", seed=1, results_dir=None)
    kept = mlagents.Model("results/run/Basic/best.onnx").act(seen_obs, deterministic=True).discrete
    assert (again.model.act(seen_obs, deterministic=True).discrete == kept).all()


def test_a_resumed_run_keeps_the_best_until_something_is_better(monkeypatch):
    scores_by_plan(monkeypatch, [0.5, 0.7, 0.6, 0.65, 0.8])
    train(steps=450)
    before = Path("results/run/Basic/best.pt").read_bytes()
    train(steps=850, resume=True)
    assert [entry["best"] for entry in entries()] == [True, True, False, False]
    assert Path("results/run/Basic/best.pt").read_bytes() == before
    train(steps=1050, resume=True)
    assert [entry["best"] for entry in entries()][-1] is True
    assert Path("results/run/Basic/best.pt").read_bytes() != before


def test_a_run_that_is_begun_anew_forgets_the_best(monkeypatch):
    scores_by_plan(monkeypatch, [0.9, 0.1])
    train(steps=250)
    assert Path("results/run/Basic/best.pt").exists()
    train(steps=250, force=True)
    assert [entry["score"] for entry in entries()] == [0.1] and entries()[0]["best"]
    train(steps=150, force=True)
    assert not list(Path("results/run").rglob("best.*")) and not Path("results/run/evaluations.jsonl").exists()


def test_without_keep_best_nothing_is_kept():
    train(evaluation={**EVALUATION, "keep_best": False})
    assert entries() and not any(entry["best"] for entry in entries())
    assert not list(Path("results/run").rglob("best.*"))


def test_what_was_earned_in_other_lessons_is_not_compared(monkeypatch):
    pytest.importorskip("numba")
    scores_by_plan(monkeypatch, [0.9, 0.1, 0.2])
    criteria = {"behavior": "3DBall", "measure": "progress", "threshold": 0.5}
    lessons = [{"name": "a", "value": 1.0, "completion_criteria": criteria}, {"name": "b", "value": 2.0}]
    parameters = {"mass": {"curriculum": lessons}}
    stop = {"reward": 0.15}
    evaluation = {**EVALUATION, "interval": 400}
    result = train("3DBall", behavior="3DBall", steps=2000, evaluation=evaluation, environment_parameters=parameters, stop_when=stop)
    assert [(entry["lessons"]["mass"], entry["best"]) for entry in entries()] == [(0, True), (0, False), (1, True)]
    assert result.outcome.behaviors["3DBall"].reached == 0.2  # and 0.9 in the first lesson was no end


# enough


def test_a_run_ends_well_once_an_evaluation_earns_enough(monkeypatch, capsys):
    scores_by_plan(monkeypatch, [0.1, 0.5, 0.9])
    Path("a.yaml").write_text(yaml.safe_dump(config(10**6, evaluation=EVALUATION, stop_when={"reward": 0.5})))
    assert main(["a.yaml", "--env", "builtin:Basic", "--run-id", "run", "--seed", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    step = entries()[-1]["step"]
    assert f"[INFO] Basic earns 0.500 in its evaluation at step {step:,}: stop_when.reward is 0.5." in lines
    assert "Basic has reached its stop_when.reward with a mean reward of 0.500." in lines
    assert f"  What was best in its evaluations is {Path('results/run/Basic/best.pt')}, and the model beside it." in lines
    assert len(entries()) == 2 and Path("results/run/Basic.onnx").exists()
    assert main(["a.yaml", "--env", "builtin:Basic", "--run-id", "run", "--resume"]) == 0  # nothing is left to do
    assert len(entries()) == 2
    Path("a.yaml").write_text(yaml.safe_dump(config(10**6, evaluation=EVALUATION, stop_when={"reward": 0.8})))
    assert main(["a.yaml", "--env", "builtin:Basic", "--run-id", "run", "--resume"]) == 0
    assert [entry["score"] for entry in entries()] == [0.1, 0.5, 0.9]


def test_without_evaluations_the_episodes_of_training_are_measured():
    result = train(evaluation=None, steps=10**6, stop_when={"reward": 0.0, "episodes": 20})
    basic = result.outcome.behaviors["Basic"]
    assert result.outcome.ended is Ended.FINISHED and basic.finished and basic.reached >= 0.0
    assert basic.episodes >= 20 and basic.step < 10**5
    assert basic.model.exists()


def test_a_target_waits_for_as_many_episodes_as_it_asks_for():
    noted = []
    target = Target(StopSettings(reward=1.0, episodes=3), evaluated=False, note=noted.append)
    for returns, reached in (([5.0], None), ([5.0], None), ([-10.0], None), ([2.0, 2.0], None), ([0.0, 1.0], 1.0), ([0.0], 1.0)):
        target.add_returns(returns, "A", 1)
        assert target.reached == reached
    assert noted == [1.0]
    target.add_evaluation(9.0, "A", 1)
    assert target.reached == 1.0


@pytest.mark.parametrize(("reached", "kept"), [(1.0, 1.0), (0.9, None), ("x", None), (True, None), (None, None)])
def test_a_target_that_a_resumed_run_had_reached_stays_reached_unless_it_was_raised(reached, kept):
    assert Target(StopSettings(reward=1.0), evaluated=False, reached=reached).reached == kept
