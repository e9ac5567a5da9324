"""Evaluations while a run trains: they find what the command finds, keep the best, and leave training as it is."""

import json
import logging
import random
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mlagents
from mlagents.errors import CheckpointError, RunError
from mlagents.learn import main
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.evaluating import EvaluationFile, global_rng_kept
from mlagents.run.outcome import Ended
from mlagents.settings.mistakes import SettingsError
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.catalog import make
from mlagents_envs.exception import UnityException
from mlagents_envs.player.executable import make_executable

sys.path.insert(0, str(Path(__file__).parent))
from evaluated import EVALUATION, config, entries, equal, logged, scores_by_plan, state, train

NEEDS_GYM = pytest.mark.skipif(find_spec("gymnasium") is None, reason="gymnasium is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# training stays as it is


class Careless(Basic):
    """Draws where its episodes begin from the random numbers of the whole process."""

    def _begin(self):
        random.random(), np.random.rand(), torch.rand(1)
        self._noise = np.float32(random.random() + np.random.rand() + torch.rand(1).item())
        return super()._begin()

    def _decide(self, action):
        obs, reward, *rest = super()._decide(action)
        return (obs, reward + self._noise + np.float32(np.random.rand() + random.random()), *rest)


def make_careless(number):
    return Careless(seed=number)


def make_basic(number):
    return make("Basic", seed=number)


WORLDS = {
    "in process": ("Basic", "Basic", {}), "processes": ("Basic", "Basic", {"num_envs": 2}),
    "function": (make_basic, "Basic", {}), "global numbers": (make_careless, "Basic", {}),
    "sac": ("Basic", "Basic", {"trainer_type": "sac", "hyperparameters": {"batch_size": 32, "buffer_init_steps": 50}}),
    "player": ("builds/Basic", "Basic", {}), "gymnasium": ("gym:CartPole-v1", "CartPole", {"num_areas": 2}),
}  # fmt: skip


@pytest.mark.parametrize("world", [pytest.param(w, marks=NEEDS_GYM) if w == "gymnasium" else w for w in WORLDS])
def test_training_is_equal_bit_by_bit_with_and_without_evaluations(world):
    env, behavior, more = WORLDS[world]
    if world == "player":
        make_executable(Path("builds"), "Basic")
    results = {}
    for run_id, evaluation in (("with", EVALUATION), ("without", None)):
        random.seed(5), np.random.seed(5), torch.manual_seed(5)
        results[run_id] = train(env, run_id=run_id, behavior=behavior, evaluation=evaluation, **more)
    if world != "processes":  # whoever reports first is taken first: two runs differ anyway
        checkpoints = [state(f"results/{run_id}/{behavior}/checkpoint.pt") for run_id in results]
        assert equal(*checkpoints)
        curves = [result.metrics["Environment/Cumulative Reward"].tolist() for result in results.values()]
        assert curves[0] == curves[1] and set(results["with"].metrics) == set(results["without"].metrics)
    assert [entry["step"] // 200 for entry in entries("with")] == [1, 2, 3]
    assert not Path("results/without/evaluations.jsonl").exists()
    assert not Path(f"results/without/{behavior}/best.pt").exists()


def test_samplers_of_environment_parameters_draw_the_same_with_evaluations():
    pytest.importorskip("numba")
    mass = {"mass": {"sampler_type": "uniform", "sampler_parameters": {"min_value": 0.5, "max_value": 10.0}}}
    for run_id, evaluation in (("with", EVALUATION), ("without", None)):
        train("3DBall", run_id=run_id, behavior="3DBall", evaluation=evaluation, environment_parameters=mass, steps=2000)
    assert entries("with")
    assert equal(*(state(f"results/{run_id}/3DBall/checkpoint.pt") for run_id in ("with", "without")))


def test_global_random_numbers_are_put_back_whatever_happens():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(ValueError), global_rng_kept():
        random.random(), np.random.rand(), torch.rand(1)
        raise ValueError
    drawn = (random.random(), np.random.rand(), torch.rand(1).item())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())


# what is found, and where it is told


def test_an_evaluation_finds_what_the_command_finds_for_its_checkpoint(capsys):
    from mlagents.evaluation_tool import main as evaluate

    deterministic = {**EVALUATION, "deterministic": True, "interval": 300, "episodes": 4}
    train(evaluation=deterministic, steps=700)
    for entry in entries():
        capsys.readouterr()
        words = ["run", "--env", "builtin:Basic", "--checkpoint", str(entry["step"]), "--episodes", "4", "--max-length", "60"]
        if not Path(f"results/run/Basic/Basic-{entry['step']}.onnx").exists():
            continue
        assert evaluate([*words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["behaviors"]["Basic"]
        assert (found["reward"]["mean"], found["length"]["mean"]) == pytest.approx((entry["score"], entry["length"]))
    assert len(entries()) == 2


def test_results_go_to_the_console_to_tensorboard_and_to_a_file(caplog):
    logging.getLogger("mlagents").propagate = True
    with caplog.at_level("INFO", "mlagents"):
        result = train()
    found = entries()
    assert result.evaluations == found and [entry["episodes"] for entry in found] == [3] * 3
    first = found[0]
    assert first.keys() >= {"behavior", "step", "score", "std", "interval", "median", "min", "max", "length", "cut", "seed", "best"}
    line = next(r.getMessage() for r in caplog.records if "Evaluation over" in r.getMessage())
    assert line.startswith(f"Basic. Step: {first['step']}. Evaluation over 3 episodes. Mean Reward: {first['score']:.3f} (")
    board = EventAccumulator("results/run/Basic")
    board.Reload()
    shown = [(event.step, event.value) for event in board.Scalars("Evaluation/Cumulative Reward")]
    assert shown == [(entry["step"], pytest.approx(entry["score"], rel=1e-6)) for entry in found]
    assert [event.value for event in board.Scalars("Evaluation/Episode Length")] == pytest.approx([e["length"] for e in found])
    assert {"Evaluation/Reward Lower Bound", "Evaluation/Reward Upper Bound"} <= set(board.Tags()["scalars"])
    assert len(result.metrics["step"]) == 3  # a row a summary, and none for an evaluation


def test_writers_of_plug_ins_get_evaluations_too():
    seen = []

    class Writer:
        def write_stats(self, category, values, step):
            seen.append((category, step, sorted(values)))

    from mlagents.build import make_session
    from mlagents.settings.reading import load

    flags = {"env_settings": {"env_path": "builtin:Basic", "seed": 1}}
    make_session(load(config(evaluation=EVALUATION), flags)[0], more_writers=[Writer()]).run()
    apart = [(step, names) for _, step, names in seen if names and all(name.startswith("Evaluation/") for name in names)]
    assert [step for step, _ in apart] == [entry["step"] for entry in entries("ppo")]


def test_every_evaluation_plays_the_same_episodes_in_an_environment_of_its_own():
    made = []

    def numbered(number):
        made.append(number)
        return make("Basic", seed=number)

    train(numbered)
    assert made == [0, 1, 1, 1]
    train(numbered, run_id="two", evaluation={**EVALUATION, "interval": 10**6})
    assert made[4:] == [0]


def test_a_build_gets_one_player_more_on_the_next_worker_id():
    make_executable(Path("builds"), "Basic")
    train("builds/Basic", num_envs=2)
    logs = sorted(file.name for file in Path("results/run/run_logs").glob("Player-*.log"))
    assert logs == ["Player-0.log", "Player-1.log", "Player-2.log"]
    assert len(entries()) >= 3


def test_all_behaviors_of_a_scene_play_in_the_evaluation_of_one():
    pytest.importorskip("numba")
    given = {"default_settings": {"trainer_type": "ppo", "max_steps": 700}, "behaviors": {
        "SmallWallJump": {"trainer_type": "ppo", "max_steps": 700, "evaluation": {**EVALUATION, "interval": 300}},
        "BigWallJump": {"trainer_type": "ppo", "max_steps": 700},
    }}  # fmt: skip
    mlagents.train(given, "WallJump", seed=1, run_id="run")
    assert {entry["behavior"] for entry in entries()} == {"SmallWallJump"}


# what goes wrong


def test_an_evaluation_whose_environment_breaks_is_tried_again_and_costs_no_training():
    made = []

    def numbered(number):
        made.append(number)
        if len(made) == 2:
            raise UnityException("it broke.")
        return make("Basic", seed=number)

    with logged() as errors:
        result = train(numbered)
    (error,) = errors
    assert error.startswith("Basic: the evaluation at step 20") and "failed: it broke. Training goes on" in error
    assert len(entries()) == 2 and result.outcome.ended is Ended.FINISHED


def test_a_player_of_evaluations_that_crashes_is_started_again_at_the_next():
    make_executable(Path("builds"), "Basic", arguments=("--fault", "crash:150"))
    with logged() as errors:
        config_ = config(1000, evaluation={**EVALUATION, "max_length": 40, "episodes": 8})
        config_["env_settings"] = {"restarts_rate_limit_n": -1, "max_lifetime_restarts": -1}
        mlagents.train(config_, "builds/Basic", seed=1, run_id="run")
    failed = [error for error in errors if "the evaluation at step" in error]
    assert failed and all("ended with status 7" in error for error in failed)
    assert len(failed) + len(entries()) == 5


def test_a_run_that_is_stopped_does_not_wait_for_its_evaluation():
    class Stop(mlagents.Callback):
        def on_episode(self, progress):
            return progress.step > 150

    endless = {**EVALUATION, "interval": 1, "episodes": 10**6}
    from mlagents.build import make_session
    from mlagents.settings.reading import load

    flags = {"env_settings": {"env_path": "builtin:Basic", "seed": 1}, "checkpoint_settings": {"run_id": "run"}}
    session = make_session(load(config(evaluation=endless), flags)[0])
    ticks = iter(range(50))
    step = Basic.step
    try:
        Basic.step = lambda env: (next(ticks, None) is None and session.stop(), step(env))
        assert session.run().ended is Ended.STOPPED
    finally:
        Basic.step = step
    assert entries() == []


def test_a_folder_that_cannot_be_written_costs_no_training(monkeypatch):

    def full(*_):
        raise OSError(28, "No space left on device", "evaluations.jsonl")

    monkeypatch.setattr(EvaluationFile, "add", full)
    with logged() as errors:
        assert train().outcome.ended is Ended.FINISHED
    assert len(errors) == 3 and "could not be written" in errors[0]


def test_what_could_not_be_kept_is_not_called_the_best(monkeypatch):
    scores_by_plan(monkeypatch, [0.9, 0.1, 0.05])
    save, full = Checkpoints.save_best, [True]

    def save_best(self, state, export):
        if full.pop():
            full.append(False)
            raise CheckpointError("the disk is full")
        full.append(False)
        save(self, state, export)

    monkeypatch.setattr(Checkpoints, "save_best", save_best)
    with logged() as errors:
        train()
    assert [entry["best"] for entry in entries()] == [False, True, False]
    assert "is the best so far, but it could not be kept: the disk is full" in errors[0]


def test_lines_that_are_no_evaluations_are_left_out():
    Path("e.jsonl").write_text('{"behavior": "A", "step": 1}\n{"beha\n[1]\n{"behavior": "B"}\n')
    file = EvaluationFile(Path("e.jsonl"))
    assert file.entries() == [{"behavior": "A", "step": 1}, {"behavior": "B"}]
    assert file.entries("B") == [{"behavior": "B"}]
    file.forget("A")
    assert file.entries() == [{"behavior": "B"}]
    file.forget("B")
    assert not Path("e.jsonl").exists()


def test_a_single_environment_cannot_be_evaluated_apart():
    with pytest.raises(RunError, match=r"behaviors.Basic.evaluation: .*there is one Basic; give a function that makes one"):
        train(make("Basic", seed=5))
    assert not Path("results").exists()


def test_the_editor_cannot_be_evaluated_apart(capsys):
    Path("a.yaml").write_text(yaml.safe_dump(config(evaluation=EVALUATION)))
    assert main(["a.yaml", "--run-id", "run"]) == 2
    assert "behaviors.Basic.evaluation: is played in a second environment, and there is one Editor" in capsys.readouterr().err


MISTAKES = {
    "interval": ({"evaluation": {"interval": 0}}, "evaluation.interval: is 0; must be at least 1"),
    "episodes": ({"evaluation": {"episodes": "many"}}, "evaluation.episodes: is 'many'; must be a whole number"),
    "unknown": ({"evaluation": {"intervall": 3}}, "evaluation.intervall: unknown key, did you mean 'interval'?"),
    "no reward": ({"stop_when": {"episodes": 3}}, "stop_when.reward: is missing"),
    "text": ({"stop_when": {"reward": "high"}}, "stop_when.reward: is 'high'; must be a number"),
    "section": ({"evaluation": 3}, "evaluation: is 3; must be keys and values"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_has_its_place_and_a_way_out(mistake):
    given, sentence = MISTAKES[mistake]
    with pytest.raises(SettingsError, match=f"behaviors.Basic.{sentence}".replace("?", r"\?")):
        mlagents.train(config(**given), "Basic", results_dir=None)


WARNINGS = {
    "self-play": ({"evaluation": {}, "self_play": {}}, "evaluation: goes by the mean reward, which is about 0 where a policy plays against itself"),
    "no effect": ({"evaluation": {}, "stop_when": {"reward": 1.0, "episodes": 5}}, "stop_when.episodes: has no effect beside evaluation"),
    "the same seed": ({"evaluation": {"seed": 1}}, "evaluation.seed: is 1, as env_settings.seed: evaluations begin with the episodes of training"),
}  # fmt: skip


@pytest.mark.parametrize("warning", WARNINGS)
def test_what_is_likely_not_meant_is_a_warning(warning):
    from mlagents.settings.reading import load

    given, sentence = WARNINGS[warning]
    _, warnings = load(config(**given), {"env_settings": {"seed": 1}})
    assert any(sentence in each for each in warnings), warnings


def test_settings_are_saved_where_they_were_given_and_only_there():
    saved = yaml.safe_load((train().outcome.settings).read_text())["behaviors"]["Basic"]
    assert saved["evaluation"]["interval"] == 200 and "stop_when" not in saved
    saved = yaml.safe_load((train(evaluation=None, run_id="plain").outcome.settings).read_text())["behaviors"]["Basic"]
    assert not {"evaluation", "stop_when"} & saved.keys()
