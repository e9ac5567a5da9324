"""A run with self-play that goes on is the run that had never stopped."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from duel import TEAMS, Duel, Match, behavior, equal, weights

from mlagents.errors import CheckpointError

RUN = Path("results/run")
SETTINGS = {"save_steps": 100, "swap_steps": 60, "team_change": 250, "window": 3}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def checkpoint(name="Duel", run=RUN):
    return torch.load(run / name / "checkpoint.pt", weights_only=True)


def resumed(behaviors, environment=None):
    """Return the run of results/run as it goes on from its files, while the first one stays open."""
    shutil.copytree("results", "again")
    return Match(behaviors, environment, results_dir="again", resume=True)


def kept(trainer, **settings):
    made = behavior(trainer, **SETTINGS, **settings)
    if trainer in ("sac", "dqn"):
        made["hyperparameters"]["save_replay_buffer"] = True
    return made


def compared(match, names):
    return {
        name: (weights(match.behavior(name).trainer.policy), match.league.state_of(name), match.behavior(name).step)
        for name in names
    }


RANDOM = [{"random": True}]


@pytest.mark.parametrize(("trainer", "fixed"), [("ppo", []), ("ppo", RANDOM), ("poca", RANDOM), ("sac", RANDOM), ("dqn", [])])
def test_a_resumed_run_is_the_same_to_the_bit(trainer, fixed):
    behaviors = {"Duel": kept(trainer, opponents=fixed, opponent_sampling="prioritized")}
    one = Match(behaviors).ticks(90)
    assert one.league.learning == 0 and one.env.resets == 3  # in its third turn
    one.loop.reset({})
    one.save()
    other = resumed(behaviors)
    for match in (one, other):
        match.ticks(60)
    assert equal(compared(one, ["Duel"]), compared(other, ["Duel"]))
    for mine, theirs in zip(one.env.answers[-50:], other.env.answers[-50:], strict=True):
        assert all((mine[team] == theirs[team]).all() for team in TEAMS)
    assert one.player().ladder.latest.rating != 1200.0


def test_everything_of_the_league_stands_where_it_stood():
    behaviors = {"Duel": kept("ppo", play_against_latest_model_ratio=0.3)}
    one = Match(behaviors).ticks(77)
    one.save()
    before = one.league.state_of("Duel")
    other = resumed(behaviors)
    for team in TEAMS:
        other.loop.trained(team)
    after = other.league.state_of("Duel")
    assert equal(before, after)
    assert before["self_play"]["player"]["ladder"]["snapshots"] and before["self_play"]["turns"]["taken"] > 0


def test_an_opponent_that_the_window_holds_no_longer_plays_on_after_a_resume():
    behaviors = {"Duel": {**kept("ppo"), "self_play": {"save_steps": 30, "swap_steps": 400, "team_change": 10**6, "window": 1, "play_against_latest_model_ratio": 0.0}}}
    one = Match(behaviors).ticks(20)
    assert one.player().opponents[TEAMS[1]].name == "step 0"
    assert one.player().ladder.snapshots[0].name != "step 0"
    one.save()
    other = resumed(behaviors).ticks(1)
    assert other.player().opponents[TEAMS[1]].numbers() == one.player().opponents[TEAMS[1]].numbers()
    assert equal(weights(other.player().seat(TEAMS[1]).policy), weights(one.player().seat(TEAMS[1]).policy))


def test_both_sides_of_an_asymmetric_game_are_saved_together():
    teams = ("High?team=0", "Low?team=1")
    behaviors = {name: kept("ppo", checkpoint_interval=300) for name in ("High", "Low")}
    one = Match(behaviors, Duel(teams=teams)).ticks(39)
    assert one.behavior("High").step == 256 and one.behavior("Low").step == 40  # Low learns
    assert not RUN.joinpath("High/checkpoint.pt").exists()
    one.ticks(34)
    assert (one.behavior("High").step, one.behavior("Low").step) == (304, 256) and one.league.learning == 0
    states = [checkpoint(name) for name in ("High", "Low")]
    assert [int(state["global_step"]["_GlobalSteps__global_step"]) for state in states] == [304, 256]
    assert states[0]["self_play"]["turns"] == states[1]["self_play"]["turns"]
    other = resumed(behaviors, Duel(teams=teams)).ticks(1)
    assert other.league.learning == 0
    rating = states[1]["self_play"]["player"]["ladder"]["latest"]["rating"]
    assert other.league.ratings["Low"] == rating


def test_another_runs_weights_begin_a_league_anew():
    behaviors = {"Duel": kept("ppo")}
    one = Match(behaviors).ticks(60)
    one.save()
    one.close()
    other = Match(behaviors, initialize_from="run", run_id="next").ticks(1)
    player = other.player()
    assert equal(weights(other.behavior().trainer.policy), checkpoint()["Policy"])
    assert [each.name for each in player.ladder.snapshots] == ["step 0"] and other.league.ratings == {"Duel": 1200.0}
    assert equal(dict(player.ladder.snapshots[0].weights.tensors), checkpoint()["Policy"])


def test_a_run_without_self_play_goes_on_with_it_from_its_present_policy():
    plain = {"Duel": {**kept("ppo"), "self_play": None}}
    one = Match(plain).ticks(20)
    one.save()
    other = resumed({"Duel": kept("ppo")}).ticks(1)
    assert [each.name for each in other.player().ladder.snapshots] == [f"step {one.behavior().step}"]


def test_the_rating_is_in_the_status_and_continues_where_a_checkpoint_has_no_league():
    behaviors = {"Duel": kept("ppo")}
    one = Match(behaviors).ticks(60)
    one.save()
    status = json.loads(RUN.joinpath("run_logs/training_status.json").read_text())
    assert status["Duel"]["elo"] == one.league.ratings["Duel"] != 1200.0
    state = checkpoint()
    del state["self_play"]
    torch.save(state, RUN / "Duel" / "checkpoint.pt")
    assert resumed(behaviors).ticks(1).league.ratings["Duel"] == status["Duel"]["elo"]


@pytest.mark.parametrize("fault", ["no ladder", "no weights", "no generator"])
def test_a_damaged_league_is_refused_with_its_file(fault):
    behaviors = {"Duel": kept("ppo")}
    Match(behaviors).ticks(30).save()
    state = checkpoint()
    player = state["self_play"]["player"]
    if fault == "no ladder":
        del player["ladder"]
    if fault == "no weights":
        del player["ladder"]["snapshots"][0]["weights"]
    if fault == "no generator":
        player["ladder"]["generator"] = torch.zeros(3)
    torch.save(state, RUN / "Duel" / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"again/run/Duel/checkpoint.pt is damaged: its self-play cannot be restored"):
        resumed(behaviors).ticks(1)


def test_playing_without_learning_lets_the_newest_policy_play_everywhere():
    behaviors = {"Duel": kept("ppo", opponents=[{"random": True}], opponents_ratio=1.0)}
    one = Match(behaviors).ticks(60)
    one.save()
    one.close()
    files = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    played = Match(behaviors, inference=True, run_id="run").ticks(30)
    assert played.league.names == [] and len(played.behavior().recent) == 100
    newest = checkpoint()["Policy"]
    assert equal(weights(played.behavior().trainer.policy), newest)
    assert {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file() and path.name != ".lock"} == {path: content for path, content in files.items() if path.name != ".lock"}


def test_teams_that_are_gone_when_a_run_goes_on_let_the_others_learn(caplog):
    behaviors = {"Duel": kept("ppo")}
    one = Match(behaviors).ticks(50)
    assert one.league.learning == 1
    one.save()
    other = resumed(behaviors, Duel(teams=TEAMS[:1])).ticks(9)
    step = other.behavior().step
    assert other.league.learning == 1 and step == one.behavior().step
    other.ticks(12)
    assert other.league.learning == 0 and other.behavior().step > step
    assert "it is team 1's turn to learn, but no agent of it has reported" in caplog.text
