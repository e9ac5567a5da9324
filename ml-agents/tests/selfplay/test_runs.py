"""Whole runs with self-play: it learns, with every trainer; sides that differ; opponents from files; and mistakes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mlagents

sys.path.insert(0, str(Path(__file__).parents[1]))
from duel import CHOICES, TEAMS, Duel, Match, behavior, weights

from mlagents.errors import RunError
from mlagents.learn import main

SIDES = ("High?team=0", "Low?team=1")
SOCCER = Path(__file__).parents[4] / "shared" / "reference" / "onnx" / "SoccerTwos.onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def best_choice(policy, team=0):
    seen = torch.tensor([[float(team), 0.0, 1.0]])
    input = policy.blank_input(1)
    return int(policy.act(type(input)((seen,), input.mask, input.memory), explore=False).action.discrete)


@pytest.mark.parametrize(("trainer", "steps"), [("ppo", 3000), ("poca", 1500), ("sac", 1500), ("dqn", 1500)])
def test_the_rating_rises_while_a_policy_learns_to_beat_its_earlier_selves(trainer, steps):
    settings = {"save_steps": 300, "swap_steps": 100, "team_change": 1000, "play_against_latest_model_ratio": 0.2, "opponents": [{"random": True}]}
    config = {"behaviors": {"Duel": behavior(trainer, max_steps=steps, **settings)}}
    result = mlagents.train(config, Duel(), seed=1, results_dir=None)
    curve = result.metrics["Self-play/ELO"]
    assert curve[-1] > curve[0] > 1190 and curve[-1] > 1215
    assert result.metrics["Self-play/Win Rate against random"][-1] > 0.6
    assert {best_choice(result.policy, team) for team in (0, 1)} == {CHOICES - 1}


def test_sides_of_an_asymmetric_game_take_turns_and_both_learn():
    settings = {"save_steps": 200, "swap_steps": 100, "team_change": 400, "play_against_latest_model_ratio": 0.5}
    match = Match({name: behavior("ppo", max_steps=1500, **settings) for name in ("High", "Low")}, Duel(teams=SIDES))
    learned, frozen_kept = [], True
    while not match.loop.finished():
        others = {name: weights(match.behavior(name).trainer.policy) for name in match.loop.behaviors}
        learning = match.league.learning
        match.ticks(1)
        learned.append(learning)
        waiting = {0: "Low", 1: "High"}.get(learning)
        if waiting and match.league.learning == learning:
            now = weights(match.behavior(waiting).trainer.policy)
            frozen_kept &= all(torch.equal(now[key], others[waiting][key]) for key in now)
    turns = [team for i, team in enumerate(learned) if team >= 0 and (not i or learned[i - 1] != team)]
    assert turns[:4] == [0, 1, 0, 1]
    assert frozen_kept  # who does not learn stays as it is
    for name, team in (("High", 0), ("Low", 1)):
        assert 1500 < match.behavior(name).step <= 1508
        assert best_choice(match.behavior(name).trainer.policy, team) == CHOICES - 1
    players = [match.player(name) for name in ("High", "Low")]
    assert all(len(player.ladder.snapshots) > 3 for player in players)


def test_a_side_that_has_taken_its_steps_leaves_the_turns_to_the_other():
    short = behavior("ppo", max_steps=200, save_steps=100, team_change=300)
    long = behavior("ppo", max_steps=2000, save_steps=100, team_change=300)
    match = Match({"High": short, "Low": long}, Duel(teams=SIDES))
    match.ticks(28)
    assert match.behavior("High").step == 208 and match.league.learning == 1
    match.ticks(300)
    assert match.loop.finished() and match.behavior("High").step == 208 and match.behavior("Low").step > 2000
    assert match.env.resets == 2


def test_what_one_side_wins_the_other_sides_opponent_loses():
    settings = {"save_steps": 10**6, "swap_steps": 10**6, "team_change": 10**6, "play_against_latest_model_ratio": 1.0}
    match = Match({name: behavior("ppo", **settings) for name in ("High", "Low")}, Duel(teams=SIDES)).ticks(40)
    ratings = match.league.ratings
    assert ratings["High"] != 1200.0 and ratings["High"] + ratings["Low"] == pytest.approx(2400.0)
    assert match.player("High").ladder.latest.games == 0.0
    assert match.player("Low").ladder.latest.games > 50  # of High against it


def test_models_from_files_play(tmp_path):
    trained = mlagents.train({"behaviors": {"Duel": {**behavior(max_steps=600), "self_play": None}}}, Duel(), seed=1, results_dir=None)
    trained.save("before.onnx")
    memory = {"sequence_length": 8, "memory_size": 4}
    recurrent = mlagents.train({"behaviors": {"Duel": {**behavior("ppo", memory, max_steps=100), "self_play": None}}}, Duel(), seed=1, results_dir=None)
    recurrent.save("recurrent.onnx")
    settings = {"opponents": [{"model": "before.onnx"}, {"model": "recurrent.onnx"}, {"random": True}], "opponents_ratio": 0.9, "swap_steps": 30, "team_change": 200}
    match = Match({"Duel": behavior("ppo", **settings)}, Duel(length=3)).ticks(1)
    played = set()
    for _ in range(80):
        played |= {opponent.name for opponent in match.player().opponents.values()}
        match.ticks(1)
    assert played >= {"before.onnx", "recurrent.onnx", "random"}
    assert match.env.resets > 2
    games = {opponent.name: opponent.games for opponent in match.player().ladder.fixed}
    assert all(count > 0 for count in games.values()), games


def test_a_dqn_snapshot_explores_as_the_policy_did_then():
    made = behavior("dqn", save_steps=200, swap_steps=10**6, team_change=10**6, play_against_latest_model_ratio=0.0)
    made["hyperparameters"] |= {"exploration_initial_eps": 0.9, "exploration_final_eps": 0.1, "exploration_steps": 1000}
    match = Match({"Duel": made}).ticks(120)
    kept = [opponent.weights.numbers["epsilon"] for opponent in match.player().ladder.snapshots]
    assert kept[0] == 0.0  # before it began to learn
    assert kept[1:] == sorted(kept[1:], reverse=True) and kept[1] > 0.7 and kept[-1] < 0.3
    player = match.player()
    player.seat(TEAMS[1]).seat_copy(player.ladder.snapshots[1].weights)
    assert player.seat(TEAMS[1]).policy.epsilon == kept[1]
    assert match.behavior().trainer.policy.epsilon == pytest.approx(0.1, abs=0.05)


def test_opponents_of_several_processes_are_replaced_together():
    config = {"behaviors": {"Duel": behavior("ppo", max_steps=400, save_steps=100, swap_steps=60, team_change=150)}}
    result = mlagents.train(config, Duel, num_envs=2, seed=1, results_dir=None)
    assert result.outcome.behaviors["Duel"].step > 400
    assert np.isfinite(result.metrics["Self-play/ELO"]).all()


def test_a_lesson_ends_by_the_rating_of_a_run():
    lessons = {"curriculum": [
        {"name": "easy", "value": 1.0, "completion_criteria": {"behavior": "Duel", "measure": "Elo", "threshold": 1203.0}},
        {"name": "hard", "value": 2.0},
    ]}  # fmt: skip
    env = Duel()
    settings = {"save_steps": 200, "swap_steps": 100, "play_against_latest_model_ratio": 0.0}
    match = Match({"Duel": behavior("ppo", **settings)}, env, parameters={"level": lessons})
    for _ in range(400):
        before = match.league.ratings.get("Duel", 0.0)
        match.ticks(1)
        if env.parameters["level"] == 2.0:
            break
        assert match.league.ratings["Duel"] <= 1203.0
    assert env.parameters["level"] == 2.0 and before <= 1203.0 < match.league.ratings["Duel"]


YAML = "behaviors:\n  SoccerTwos:\n    trainer_type: ppo\n    self_play: {opponents: [%s]}\n"


@pytest.mark.parametrize(
    ("opponent", "sentence"),
    [
        ("{model: gone.onnx}", "behaviors.SoccerTwos.self_play.opponents.0.model: there is no file gone.onnx"),
        ("{model: text.onnx}", "behaviors.SoccerTwos.self_play.opponents.0.model: text.onnx"),
        ("{}", "soccer.yaml:4:29: behaviors.SoccerTwos.self_play.opponents.0: must have one of model: FILE.onnx and random: true"),
        ("{random: true, model: a.onnx}", "must have one of model: FILE.onnx and random: true"),
        ("{models: a.onnx}", "behaviors.SoccerTwos.self_play.opponents.0.models: unknown key, did you mean 'model'?"),
    ],
)
def test_a_mistake_in_opponents_is_a_sentence_before_anything_begins(opponent, sentence, capsys):
    Path("soccer.yaml").write_text(YAML % opponent)
    Path("text.onnx").write_text("no model")
    assert main(["soccer.yaml", "--env", "builtin:SoccerTwos"]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("results").exists()


@pytest.mark.skipif(not SOCCER.is_file(), reason="Unity's models are not there")
def test_unitys_model_plays_in_its_scene_and_is_refused_elsewhere(capsys):
    Path("soccer.yaml").write_text(YAML % f"{{model: {SOCCER}}}" + "    max_steps: 100\n")
    assert main(["soccer.yaml", "--env", "builtin:SoccerTwos", "--num-areas", "1", "--run-id", "run"]) == 0
    Path("basic.yaml").write_text((YAML % f"{{model: {SOCCER}}}").replace("SoccerTwos", "Basic", 1))
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "other"]) == 2
    assert "does not fit" in capsys.readouterr().err
    with pytest.raises(RunError, match=r"SoccerTwos\.onnx does not fit Duel"):
        Match({"Duel": behavior("ppo", opponents=[{"model": str(SOCCER)}])}, run_id="third").ticks(1)


def test_random_play_is_even(folder):
    match = Match({"Duel": behavior("ppo", opponents=[{"random": True}], opponents_ratio=1.0, swap_steps=10**6)}, Duel(areas=200)).ticks(20)
    counts = np.bincount(np.concatenate([answers[TEAMS[1]] for answers in match.env.answers]), minlength=CHOICES)
    assert abs(counts - counts.sum() / CHOICES).max() < 150
