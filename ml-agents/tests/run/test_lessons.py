"""Why a lesson has not changed: the value measured, what it must reach, and over how many episodes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.envs.settings import SAMPLERS, CompletionCriteria, Lesson, ParameterSettings, SamplerSettings
from mlagents.errors import RunError
from mlagents.run.curriculum import Curriculum
from mlagents.run.lessons import explain, from_json


def lessons(**criteria):
    value = SamplerSettings(sampler_type="constant", sampler_parameters=SAMPLERS["constant"](value=1))
    first = Lesson(name="easy", value=value, completion_criteria=CompletionCriteria(behavior="B", **criteria))
    return ParameterSettings(curriculum=[first, Lesson(name="hard", value=value)])


def standing(progress, returns=(), advances=0, **criteria):
    course = Curriculum({"p": lessons(**criteria)})
    course.add_returns("B", returns)
    for _ in range(advances):
        course.advance(progress)
    (found,) = course.standings(progress)
    return found


def test_too_few_episodes_are_counted():
    found = standing({"B": 0.1}, [0.5] * 12, threshold=0.6, min_lesson_length=100)
    assert str(found) == (
        "'p' is in lesson 1 of 2, 'easy': 12 of 100 episodes of 'B' have ended; "
        "then its mean reward must be above 0.6"
    )
    assert found.metrics() == {
        "Environment/Lesson Episodes/p": 12.0,
        "Environment/Lesson Threshold/p": 0.6,
        "Environment/Lesson Measure/p": 0.5,
    }


def test_the_mean_reward_is_named_with_what_it_must_reach():
    found = standing({"B": 0.1}, [0.25, 0.75], threshold=0.6, signal_smoothing=False)
    assert str(found) == (
        "'p' is in lesson 1 of 2, 'easy': the mean reward of 'B' is 0.75 over 1 episodes and must be above 0.6"
    )


def test_a_smoothed_mean_is_the_one_that_is_compared_and_looking_does_not_change_it():
    course = Curriculum({"p": lessons(threshold=0.9, min_lesson_length=1)})
    course.add_returns("B", [1.0])
    course.advance({"B": 0.0})
    values = [course.standings({"B": 0.0})[0].value for _ in range(3)]
    assert values == [0.75] * 3
    assert course.advance({"B": 0.0}).parameters  # 0.9375


def test_the_share_of_steps_is_named():
    text = str(standing({"B": 0.31}, measure="progress", threshold=0.5))
    assert text.endswith("'easy': the share of max_steps of 'B' is 0.31 and must be above 0.5")


def test_a_behavior_that_never_appears_is_named():
    text = str(standing({"Other": 0.9}, threshold=0.5))
    assert text.endswith("'easy', which ends by the reward of 'B', but no agent of that has appeared")


def test_no_episode_is_no_value():
    found = standing({"B": 0.1}, threshold=0.5)
    assert found.value is None and "no episode of 'B' has ended" in str(found)
    assert "Environment/Lesson Measure/p" not in found.metrics()


def test_the_last_lesson_waits_for_nothing():
    course = Curriculum({"p": lessons(measure="progress", threshold=0.5)})
    course.advance({"B": 0.6})
    assert course.standings({"B": 0.6}) == []


def test_a_standing_survives_its_file():
    found = standing({"B": 0.1}, [0.5], threshold=0.6)
    assert from_json(json.loads(json.dumps(found.to_json()))) == found
    assert from_json({"lesson": 1}) is None and from_json(None) is None


CONFIG = """
behaviors:
  3DBall:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 128}
    network_settings: {hidden_units: 8}
    max_steps: 3000
    summary_freq: 500
environment_parameters:
  scale:
    curriculum:
      - name: easy
        completion_criteria: {behavior: 3DBall, threshold: 10000, min_lesson_length: 3, signal_smoothing: false}
        value: 1
      - name: hard
        value: 2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    (folder / "c.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "mlagents", "c.yaml", "--env", "builtin:3DBall", "--run-id", "slow"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_shows_it_in_its_log_its_curves_and_afterwards(run):
    folder, done = run
    lines = re.findall(r"'scale' is in lesson 1 of 2, 'easy': the mean reward of '3DBall' is \S+ over 3 episodes", done.stdout)
    assert len(lines) >= 3
    board = EventAccumulator(str(folder / "results/slow/3DBall"))
    board.Reload()
    assert board.Scalars("Environment/Lesson Threshold/scale")[-1].value == 10000
    assert board.Scalars("Environment/Lesson Measure/scale")[-1].value < 100
    again = subprocess.run(
        [sys.executable, "-m", "mlagents", "--explain-lessons", "slow"], cwd=folder, capture_output=True, text=True
    )
    assert again.returncode == 0 and lines[-1] in again.stdout and "must be above 10000" in again.stdout


def test_a_run_that_is_not_there_is_a_sentence_with_a_suggestion(run):
    with pytest.raises(RunError, match=r"no run 'slo' has saved anything yet; did you mean 'slow'\?"):
        explain(run[0] / "results", "slo")
    done = subprocess.run(
        [sys.executable, "-m", "mlagents", "--explain-lessons", "slo"], cwd=run[0], capture_output=True, text=True
    )
    assert done.returncode == 2 and "did you mean 'slow'" in done.stderr and "Traceback" not in done.stderr


def test_a_run_without_lessons_has_none(tmp_path):
    status = tmp_path / "run/run_logs/training_status.json"
    status.parent.mkdir(parents=True)
    status.write_text(json.dumps({"B": {"checkpoints": []}, "metadata": {}}))
    assert explain(tmp_path, "run") == ["Run 'run' has no environment parameters, and so no lessons."]
    status.write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        explain(tmp_path, "run")


def test_a_lesson_of_which_nothing_is_known_is_named(tmp_path):
    status = Path(tmp_path) / "run/run_logs/training_status.json"
    status.parent.mkdir(parents=True)
    status.write_text(json.dumps({"p": {"lesson_num": 1}, "metadata": {}}))
    assert explain(tmp_path, "run") == ["'p' is in lesson 2: its last one, or nothing is known of it yet."]
