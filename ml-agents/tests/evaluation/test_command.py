"""`mlagents-evaluate` as a user types it: runs, files and folders, in every kind of environment."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import mlagents
from mlagents.evaluation.models import find_models
from mlagents.evaluation.settings import SEED
from mlagents.learn import main as learn

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import BASIC, everything

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))
NEEDS_GYM = pytest.mark.skipif(find_spec("gymnasium") is None, reason="gymnasium is not installed")
WHAT = {
    "run": ["run"], "last": ["run", "--checkpoint", "last"], "step": ["run", "--checkpoint", "600"],
    "path of a run": ["results/run"], "file": ["results/run/Basic.onnx"],
}  # fmt: skip
ENVIRONMENTS = {"in process": "builtin:Basic", "player": "builds/Basic"}


@pytest.mark.parametrize(
    ("run", "env", "num_envs"),
    [("run", "in process", 1), ("remembers", "in process", 2), ("remembers", "player", 1), ("run", "player", 2)],
)
def test_a_run_is_played_wherever_it_may_be_and_exactly_so_many_episodes_count(told, run, env, num_envs):
    words = [run, "--env", ENVIRONMENTS[env], "--episodes", "7", "--num-envs", str(num_envs), "--stochastic"]
    basic = told(*words)["behaviors"]["Basic"]
    episodes = basic["every_episode"]
    assert basic["episodes"] == len(episodes) == 7
    assert [each["environment"] for each in episodes] == ([0] * 7 if num_envs == 1 else [0] * 4 + [1] * 3)
    assert basic["reward"]["mean"] == pytest.approx(np.mean([each["reward"] for each in episodes]))
    assert basic["length"]["mean"] == pytest.approx(np.mean([each["length"] for each in episodes]))
    assert all(each["length"] > 0 for each in episodes)


def test_a_player_scores_exactly_as_the_same_scene_in_process(told):
    words = ["run", "--episodes", "6", "--stochastic", "--env"]
    first, second = (told(*words, env)["behaviors"] for env in ENVIRONMENTS.values())
    assert first == second


@NEEDS_GYM
def test_a_run_in_gymnasium_counts_every_step(told):
    found = told("pole", "--episodes", "20")  # the environment is the run's
    pole = found["behaviors"]["CartPole"]
    assert found["env"] == "gym:CartPole-v1" and pole["episodes"] == 20
    assert all(each["reward"] == each["length"] for each in pole["every_episode"])  # a reward of 1 for each step


@pytest.mark.parametrize("num_envs", [1, 2])
def test_the_same_seed_gives_the_same_episodes_and_another_gives_others(told, num_envs):
    words = ["remembers", "--episodes", "12", "--stochastic", "--num-envs", str(num_envs)]
    first, again = (told(*words, "--seed", "5") for _ in range(2))
    assert first == again
    other = told(*words, "--seed", "6")
    assert other["behaviors"] != first["behaviors"]


def test_without_a_seed_it_is_one_that_runs_do_not_draw(told):
    assert told("run", "--episodes", "1")["seed"] == SEED >= 10_000
    assert told("run", "--episodes", "1", "--seed", "3")["seed"] == 3


@pytest.mark.parametrize("what", WHAT)
def test_a_model_is_found_by_its_run_its_file_or_its_folder(told, what):
    found = told(*WHAT[what], "--env", "builtin:Basic", "--episodes", "2")
    assert found["behaviors"]["Basic"]["episodes"] == 2


def test_an_evaluation_changes_nothing_of_the_run(told, trained):
    before = everything()
    for env in ENVIRONMENTS.values():
        told("run", "--env", env, "--episodes", "3")
    assert everything() == before
    assert not list(Path().glob("*.log"))


def test_what_a_person_reads(evaluate):
    status, printed = evaluate("run", "--episodes", "12", "--success-threshold", "0.5", "--stochastic")
    assert status == 0
    first, behavior, reward, *rest = printed.out.splitlines()
    assert first == "run in builtin:Basic, seed 10000, actions that are drawn"
    assert behavior == "Basic: 12 episodes"
    assert reward.startswith("  reward          mean ") and " (95 % " in reward and ", median " in reward
    assert any(line.startswith("  success rate") and line.endswith(" earn more than 0.5") for line in rest)
    assert any(line.startswith("  length") for line in rest)


def test_success_is_to_earn_more_than_the_threshold(told):
    found = told("run", "--episodes", "20", "--stochastic", "--success-threshold", "0.5")
    basic = found["behaviors"]["Basic"]
    assert basic["success_rate"] == np.mean([each["reward"] > 0.5 for each in basic["every_episode"]])
    assert 0 < basic["success_rate"] < 1


def test_episodes_that_are_cut_are_told(evaluate):
    status, printed = evaluate("run", "--episodes", "3", "--max-length", "1")
    assert status == 0
    assert "  cut             3 were not over after --max-length decisions" in printed.out.splitlines()


def test_numbers_that_the_environment_records_are_told(told, evaluate, monkeypatch):
    monkeypatch.setattr("mlagents_envs.examples.basic.Basic.stats", lambda self: [("Goal", 1.0, 2)], raising=False)
    found = told("run", "--episodes", "2")
    assert found["stats"]["Goal"] >= sum(each["length"] for each in found["behaviors"]["Basic"]["every_episode"])
    assert "  Goal: " in evaluate("run", "--episodes", "2")[1].out


MISTAKES = {
    "unknown run": (["rum"], "'rum' is no .onnx file, no folder, and no run in results; did you mean 'run'?"),
    "nothing": ([""], "'' is no .onnx file"),
    "missing file": (["none.onnx"], "none.onnx: there is no such model"),
    "no model": (["run.yaml", "--env", "builtin:Basic"], "it is no model that onnxruntime can read"),
    "empty folder": (["builds", "--env", "builtin:Basic"], "builds holds no model"),
    "other inputs": (["run", "--env", "builtin:GridWorld"], "results/run has no model of behavior 'GridWorld': it has Basic"),
    "other file": (["results/run/Basic.onnx", "--env", "builtin:3DBall"], "does not fit 3DBall: its obs_0 has shape (20,)"),
    "no best": (["run", "--checkpoint", "best"], "has no best model of behavior 'Basic': the run's YAML has no `evaluation`"),
    "no step": (["run", "--checkpoint", "5"], "has no model of step 5 of behavior 'Basic': there are those of the steps 600, 7"),
    "no checkpoint": (["run", "--checkpoint", "bets"], "--checkpoint is 'bets'; it must be best, last"),
    "file of no run": (["results/run/Basic.onnx", "--checkpoint", "best"], "is no run, so it has no checkpoints"),
    "example": (["run", "--env", "builtin:Basik"], "did you mean 'Basic'?"),
    "build": (["run", "--env", "builds/None"], "--env: "),
    "behavior": (["run", "--behavior", "Basik", "--stochastic", "--episodes", "500"], "the environment has no behavior 'Basik'; it has Basic"),
    "episodes": (["run", "--episodes", "0"], "episodes is 0; it must be at least 1"),
    "number": (["run", "--num-envs", "0"], "--num-envs: is 0; must be at least 1"),
    "seed": (["run", "--seed", "-1"], "--seed: is -1"),
    "text": (["run", "--seed", "x"], "--seed: is 'x'; must be a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_and_status_2(evaluate, mistake):
    words, sentence = MISTAKES[mistake]
    if "3DBall" in " ".join(words):
        pytest.importorskip("numba")
    status, printed = evaluate(*words)
    assert (status, printed.out) == (2, "")
    assert sentence in printed.err.replace("\\", "/") and "Traceback" not in printed.err


def test_one_file_does_not_play_two_behaviors(told, evaluate, trained):
    pytest.importorskip("numba")
    run = mlagents.train({"default_settings": {"trainer_type": "ppo", "max_steps": 1}}, "WallJump", results_dir=None, seed=1)
    run.save("jumpers")
    words = ["--env", "builtin:WallJump", "--episodes", "3", "--max-length", "5"]
    assert list(told("jumpers", *words)["behaviors"]) == sorted(run.policies, reverse=True)
    one = told("jumpers", *words, "--behavior", "BigWallJump")
    assert list(one["behaviors"]) == ["BigWallJump"]
    status, printed = evaluate("jumpers/SmallWallJump.onnx", *words)
    assert status == 2 and "plays one behavior, and the environment has" in printed.err
    Path("jumpers/BigWallJump.onnx").unlink()
    status, printed = evaluate("jumpers", *words)
    assert status == 2 and "jumpers has no BigWallJump.onnx, but SmallWallJump.onnx" in printed.err


def test_the_last_model_of_a_run_that_was_begun_anew_is_its_own(evaluate, trained):
    Path("again.yaml").write_text(BASIC.replace("MAX", "900"))
    learn(["again.yaml", "--env", "builtin:Basic", "--run-id", "again", "--seed", "1"])
    Path("again.yaml").write_text(BASIC.replace("MAX", "300"))
    learn(["again.yaml", "--env", "builtin:Basic", "--run-id", "again", "--seed", "1", "--force"])
    final = mlagents.Model("results/again/Basic.onnx")
    seen = np.eye(20, dtype=np.float32)
    last = find_models("again", results_dir=Path("results")).of("Basic")
    assert "9" not in last.name
    assert (mlagents.Model(last).act(seen, deterministic=True).discrete == final.act(seen, deterministic=True).discrete).all()


UNITYS = ["3DBall", "Basic", "PushBlock", "SoccerTwos", "PushBlockCollab"]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="nothing made in Unity here")
@pytest.mark.parametrize("name", UNITYS)
def test_models_of_unitys_own_trainers_play(evaluate, name):
    pytest.importorskip("numba")
    model = REFERENCE / "onnx" / f"{name}.onnx"
    status, printed = evaluate(model, "--env", f"builtin:{name}", "--episodes", "4", "--max-length", "100", "--num-areas", "2", "--json")
    assert status == 0, printed.err
    found = json.loads(printed.out)["behaviors"][name]
    teams = found["teams"]
    assert {team: each["episodes"] for team, each in teams.items()} == dict.fromkeys(teams, 4)
    assert list(teams) == (["0", "1"] if name == "SoccerTwos" else ["0"])
    assert (found["group_reward"] is not None) == (name in ("SoccerTwos", "PushBlockCollab"))
    if name == "Basic":
        assert found["reward"]["mean"] == pytest.approx(0.93)
    if name == "PushBlockCollab":
        assert "has no deterministic actions" in printed.err
