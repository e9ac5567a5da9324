"""Curricula: when a lesson ends, what environments get then, and that a resumed run goes on in its lesson."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest

import mlagents
from mlagents.envs.settings import SAMPLERS, CompletionCriteria, Lesson, ParameterSettings, SamplerSettings
from mlagents.errors import RunError
from mlagents.run.curriculum import Changes, Curriculum
from mlagents_envs.base_env import ActionSpec, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.samplers import Uniform

SPEC = BehaviorSpec([vector_sensor(2, "seen")], ActionSpec.create_continuous(1))


def value(number):
    constant = SAMPLERS["constant"](value=number)
    return SamplerSettings(sampler_type="constant", sampler_parameters=constant)


def lessons(*criteria):
    """Lessons of the values 0, 1, 2, ...; one more than there are criteria."""
    return ParameterSettings(
        curriculum=[
            Lesson(name=f"L{i}", value=value(i), completion_criteria=CompletionCriteria(behavior="B", **c) if c else None)
            for i, c in enumerate([*criteria, None])
        ]
    )


def curriculum(*criteria, **options):
    return Curriculum({"p": lessons(*criteria)}, **options)


def test_a_parameter_begins_with_its_first_lesson_and_ends_with_its_last():
    course = curriculum({"measure": "progress", "threshold": 0.5}, {"measure": "progress", "threshold": 0.75})
    assert course.parameters == {"p": 0.0} and course.lessons == {"p": 0} and not course.finished
    assert course.advance({"B": 0.5}) == Changes({}, False)  # at the threshold is not above it
    assert course.advance({"B": 0.51}) == Changes({"p": 1.0}, False)
    assert course.advance({"B": 0.7}) == Changes({}, False)
    assert course.advance({"B": 0.9}) == Changes({"p": 2.0}, False)
    assert course.finished and course.advance({"B": 1.0}) == Changes({}, False)
    assert course.parameters == {"p": 2.0} and course.lessons == {"p": 2}


def test_a_lesson_at_most_begins_at_a_time():
    course = curriculum(*[{"measure": "progress", "threshold": 0.1}] * 2)
    assert [course.advance({"B": 0.9}).parameters for _ in range(3)] == [{"p": 1.0}, {"p": 2.0}, {}]


def test_a_behavior_that_is_not_there_ends_no_lesson():
    course = curriculum({"measure": "progress", "threshold": 0.1})
    assert course.advance({"Other": 0.9}) == Changes({}, False)


def test_the_mean_return_is_of_the_last_episodes_and_of_enough_of_them():
    course = curriculum({"threshold": 0.5, "min_lesson_length": 3, "signal_smoothing": False})
    course.add_returns("B", [9.0, 9.0])
    assert not course.advance({"B": 0.0}).parameters  # two episodes are too few
    course.add_returns("B", [0.0, 0.0, 1.0])
    assert not course.advance({"B": 0.0}).parameters  # the mean of the last three is 1/3
    course.add_returns("B", [1.0])
    course.add_returns("Other", [-9.0] * 5)
    assert course.advance({"B": 0.0}).parameters == {"p": 1.0}


def test_without_an_episode_no_reward_is_above_anything():
    course = curriculum({"threshold": -5.0})
    assert not course.advance({"B": 0.0}).parameters


def test_a_smoothed_mean_takes_three_quarters_of_the_new_one_from_0_on():
    course = curriculum({"threshold": 0.9, "min_lesson_length": 1})
    course.add_returns("B", [1.0])
    # 0.75, then 0.25 * 0.75 + 0.75 = 0.9375
    assert [bool(course.advance({"B": 0.0}).parameters) for _ in range(2)] == [False, True]


def test_episodes_of_the_lesson_before_count_no_more():
    course = curriculum(*[{"threshold": 0.5, "min_lesson_length": 2, "signal_smoothing": False}] * 2)
    course.add_returns("B", [1.0, 1.0])
    assert course.advance({"B": 0.0}).parameters == {"p": 1.0}
    course.add_returns("B", [1.0])
    assert not course.advance({"B": 0.0}).parameters
    course.add_returns("B", [1.0])
    assert course.advance({"B": 0.0}).parameters == {"p": 2.0}


def test_only_parameters_that_change_are_named_and_one_that_wants_a_reset_is_enough():
    course = Curriculum({
        "a": lessons({"measure": "progress", "threshold": 0.1}),
        "b": lessons({"measure": "progress", "threshold": 0.1, "require_reset": True}),
        "c": lessons({"measure": "progress", "threshold": 0.9}),
        "d": lessons(),
    })  # fmt: skip
    assert course.advance({"B": 0.5}) == Changes({"a": 1.0, "b": 1.0}, True)
    assert course.parameters == {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0}


def test_a_new_lesson_is_logged_in_the_words_of_unitys_trainers_and_noted(caplog):
    uniform = SamplerSettings(sampler_type="uniform", sampler_parameters=SAMPLERS["uniform"](min_value=1, max_value=2))
    first = lessons({"measure": "progress", "threshold": 0.1}).curriculum[0]
    noted = []
    course = Curriculum(
        {"p": ParameterSettings(curriculum=[first, Lesson(name="wide", value=uniform)])}, seed=4,
        note=lambda *what: noted.append(what),
    )  # fmt: skip
    with caplog.at_level(logging.INFO):
        changes = course.advance({"B": 0.5})
    assert changes.parameters == {"p": Uniform(1, 2, 5)}  # the constant before it has 4
    assert caplog.messages == ["Parameter 'p' is in lesson 'wide' and has value 'Uniform sampler: min=1.0, max=2.0'."]
    assert noted == [("p", {"lesson_num": 1})]


@pytest.mark.parametrize(("kept", "lesson", "warned"), [(1, 1, False), (7, 2, True), (-1, 2, True)])
def test_a_resumed_curriculum_begins_where_it_was(caplog, kept, lesson, warned):
    course = curriculum(*[{"measure": "progress", "threshold": 0.9}] * 2, begun={"p": kept})
    assert course.lessons == {"p": lesson}
    assert bool(caplog.records) is warned


# in a run


class Shows(BaseEnv):
    """One agent whose episodes last four steps; it sees the parameter `level` and how often there was a reset."""

    def __init__(self, worker=0):
        self.level = self.resets = self.steps = self.episode = 0

    @property
    def behavior_specs(self):
        return {"Shows": SPEC}

    def set_parameters(self, parameters):
        self.coming = parameters["level"]

    def reset(self):
        self.resets += 1
        self._begin()

    def _begin(self):
        self.level, self.steps = self.coming, 0
        self.ended = False

    def step(self):
        self.steps += 1
        self.ended = self.steps % 4 == 0
        if self.ended:
            self.level = self.coming

    def get_steps(self, name):
        row, one = np.array([[self.level, self.resets]], np.float32), np.ones(1, np.float32)
        id, group = np.zeros(1, np.int32), np.zeros(1, np.int32)
        decision = DecisionSteps([row], one, id, None, group, np.zeros(1, np.float32))
        if not self.ended:
            return decision, TerminalSteps.empty(SPEC)
        return decision, TerminalSteps([row], one, np.zeros(1, bool), id, group, np.zeros(1, np.float32))

    def set_actions(self, name, action):
        pass

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def close(self):
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config(measure="progress", threshold=0.5, steps=200, **criteria):
    first = {"name": "easy", "value": 0.0,
             "completion_criteria": {"behavior": "Shows", "measure": measure, "threshold": threshold, **criteria}}  # fmt: skip
    return {
        "behaviors": {
            "Shows": {
                "trainer_type": "ppo",
                "hyperparameters": {"batch_size": 16, "buffer_size": 64},
                "network_settings": {"hidden_units": 8, "num_layers": 1},
                "max_steps": steps,
                "time_horizon": 8,
                "summary_freq": 50,
            }
        },
        "environment_parameters": {"level": {"curriculum": [first, {"name": "hard", "value": 5.0}]}},
    }


def seen_by(monkeypatch):
    """Return the list into which observations of learnt rows go."""
    rows = []
    from mlagents.algorithms.ppo import PPOTrainer

    receive = PPOTrainer.receive
    monkeypatch.setattr(PPOTrainer, "receive", lambda self, tick: (rows.extend(tick.rows.input.obs[0].tolist()), receive(self, tick))[1])  # fmt: skip
    return rows


def test_the_next_lesson_reaches_the_environment_without_a_reset(monkeypatch):
    rows = seen_by(monkeypatch)
    result = mlagents.train(config(), Shows, seed=1, results_dir=None)
    levels = [level for level, _ in rows]
    change = levels.index(5.0)
    assert 100 < change < 110 and levels == [0.0] * change + [5.0] * (len(levels) - change)
    assert {resets for _, resets in rows} == {1.0}
    assert result.metrics["Environment/Lesson Number/level"].tolist() == [0, 0, 1, 1]


def test_a_lesson_that_wants_a_reset_begins_episodes_anew_and_drops_what_was_unfinished(monkeypatch):
    rows = seen_by(monkeypatch)
    episodes = []

    class Look(mlagents.Callback):
        def on_episode(self, progress):
            episodes.append(progress.length)

    mlagents.train(config(require_reset=True, threshold=0.51), Shows, seed=1, results_dir=None, callbacks=[Look()])
    assert {(level, resets) for level, resets in rows} == {(0.0, 1.0), (5.0, 2.0)}
    assert set(episodes) == {3}  # the one that the reset cut short is none
    assert sum(1 for level, _ in rows if level == 0.0) == 103  # step 103 is in the midst of an episode


@pytest.mark.parametrize("num_envs", [1, 2])
def test_the_next_lesson_reaches_every_worker(num_envs):
    seen = []
    options = config(measure="reward", threshold=2.0, min_lesson_length=6, steps=400)
    result = mlagents.train(options, Shows, seed=1, results_dir=None, num_envs=num_envs,
                            callbacks=[lambda progress: seen.append(progress.metrics["Environment/Lesson Number/level"])])  # fmt: skip
    assert seen[-1] == 1 and result.outcome.behaviors["Shows"].finished


def test_a_run_goes_on_in_the_lesson_that_it_was_in(caplog):
    mlagents.train(config(), Shows, seed=1, run_id="run")
    status = Path("results/run/run_logs/training_status.json")
    assert json.loads(status.read_text())["level"]["lesson_num"] == 1
    levels = []

    def make():
        env = Shows()
        set_parameters = env.set_parameters
        env.set_parameters = lambda parameters: (levels.append(parameters["level"]), set_parameters(parameters))
        return env

    mlagents.train(config(steps=300), make, run_id="run", resume=True)
    assert levels == [5.0]
    mlagents.train(config(steps=300), make, run_id="run", force=True)  # begins anew
    assert levels == [5.0, 0.0, 5.0]
    text = status.read_text().replace('"lesson_num": 1', '"lesson_num": "x"')
    status.write_text(text)
    with pytest.raises(RunError, match=re.escape("level.lesson_num is 'x'; it must be a whole number")):
        mlagents.train(config(steps=400), make, run_id="run", resume=True)


def test_a_lesson_that_ends_by_the_rating_of_a_behavior_without_one_is_refused():
    sentence = "environment_parameters.level: lesson 'easy' ends by the Elo of 'Shows', which has no self_play and so no rating"
    with pytest.raises(RunError, match=re.escape(sentence)):
        mlagents.train(config(measure="Elo"), Shows, results_dir=None)


def test_a_lesson_ends_when_the_rating_is_above_its_threshold():
    course = curriculum({"measure": "Elo", "threshold": 1210.0, "min_lesson_length": 2})
    assert course.advance({"B": 0.5}, {"B": 1300.0}) == Changes({}, False)  # no episode has ended
    course.add_returns("B", [0.0, 0.0])
    assert course.advance({"B": 0.5}) == course.advance({"B": 0.5}, {"B": 1210.0}) == Changes({}, False)
    (standing,) = course.standings({"B": 0.5}, {"B": 1203.46})
    assert str(standing).endswith("the Elo of 'B' is 1203.5 and must be above 1210")
    assert course.advance({"B": 0.5}, {"B": 1210.5}) == Changes({"p": 1.0}, False)  # not smoothed
