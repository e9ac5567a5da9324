"""Who acts for whom, who learns, and what is counted, in runs that are taken step by step."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from duel import CHOICES, TEAMS, Duel, Match, behavior, equal, weights

from mlagents.collect.behavior import Behavior
from mlagents.selfplay.acting import RandomActing

NEVER = 10**6


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def duel(*args, **settings):
    return {"Duel": behavior(*args, **{"save_steps": 100, "swap_steps": 60, "team_change": NEVER, **settings})}


def watch(match, name="Duel"):
    """Return a list to which the observations of all rows are added that the trainer gets."""
    trainer, seen = match.behavior(name).trainer, []
    receive = trainer.receive
    trainer.receive = lambda tick: (seen.append(tick.rows.input.obs[0][:, 0].tolist()), receive(tick))[1]
    return seen


def rows_of_others(match):
    """Run a while and return the teams of all rows that the trainer got, and that was not to get them."""
    match.ticks(1)
    seen = watch(match)
    for _ in range(60):
        learning = match.league.learning
        before = len(seen)
        match.ticks(1)
        if any(team != learning for rows in seen[before:] for team in rows):
            return [team for rows in seen[before:] for team in rows if team != learning]
    assert len(seen) > 50  # all but the ticks after a turn
    return []


@pytest.mark.parametrize("length", [1, 3])
def test_only_rows_of_the_learning_team_are_learned_from(length):
    match = Match(duel(team_change=100), Duel(length=length))
    assert rows_of_others(match) == []
    assert match.env.resets > 2  # both teams learned


def test_rows_of_opponents_that_are_learned_from_are_found(monkeypatch):
    act_with = Behavior.act_with
    monkeypatch.setattr(Behavior, "act_with", lambda self, acting, team="", learn=True: act_with(self, acting, team))
    assert rows_of_others(Match(duel())) == [1.0] * 8  # the planted fault


def test_steps_episodes_and_curves_are_those_of_the_learning_team():
    match = Match(duel())
    recorded = []
    add = match.loop.recorder.add
    match.loop.recorder.add = lambda name, metrics, *how: (recorded.append(dict(metrics)), add(name, metrics, *how))
    match.ticks(11)
    trained = match.behavior()
    assert (trained.step, trained.opponent_step) == (80, 80)
    returns = np.concatenate([each["Environment/Cumulative Reward"] for each in recorded if "Environment/Cumulative Reward" in each])
    own = [np.sign(answers[TEAMS[0]] - answers[TEAMS[1]]) for answers in match.env.answers]
    assert returns.tolist() == np.concatenate(own).tolist()
    assert sum(len(each["Policy/Entropy"]) for each in recorded if "Policy/Entropy" in each) == 88
    assert len(trained.recent) == 80


def test_ratings_follow_the_results_one_by_one():
    match = Match(duel(play_against_latest_model_ratio=0.0))
    match.ticks(1)
    player = match.player()
    own = other = 1200.0
    opponent = player.opponents[TEAMS[1]]
    assert opponent.name == "step 0"
    for _ in range(6):
        match.ticks(1)
        answers = match.env.answers[-1]
        for result in (np.sign(answers[TEAMS[0]] - answers[TEAMS[1]]) / 2 + 0.5).tolist():
            change = result - 1 / (1 + 10 ** ((other - own) / 400))
            own, other = own + change, other - change
    assert player.opponents[TEAMS[1]] is opponent
    assert player.ladder.latest.rating == pytest.approx(own, abs=1e-9)
    assert opponent.rating == pytest.approx(other, abs=1e-9)
    assert own + other == pytest.approx(2400.0)
    assert match.league.ratings == {"Duel": player.ladder.latest.rating}


def test_no_rating_moves_where_the_policy_plays_against_itself():
    match = Match(duel(play_against_latest_model_ratio=1.0)).ticks(40)
    assert match.league.ratings["Duel"] == pytest.approx(1200.0, abs=1e-6)
    assert match.player().ladder.latest.games > 0


def test_opponents_stay_as_they_are_until_they_are_replaced():
    match = Match(duel(save_steps=NEVER, swap_steps=1000, play_against_latest_model_ratio=1.0))
    match.ticks(1)
    match.behavior().trainer.settings = match.behavior().trainer.settings.model_copy(update={"learning_rate": 0.1})
    seat = match.player().seat(TEAMS[1])
    before, first = weights(seat.policy), weights(match.behavior().trainer.policy)
    assert equal(before, first)
    match.ticks(100)
    assert match.behavior().newest.version > 1
    assert equal(weights(seat.policy), before) and not equal(weights(match.behavior().trainer.policy), before)
    match.ticks(30)  # 1040 steps of the opponents: the newest plays, as it was at that time
    assert not equal(weights(seat.policy), before)


def test_snapshots_are_taken_and_opponents_replaced_by_steps_of_their_own():
    match = Match(duel(save_steps=100, swap_steps=30, window=3, play_against_latest_model_ratio=0.0))
    match.ticks(1)
    player, drawn = match.player(), []
    draw = player.ladder.draw
    player.ladder.draw = lambda: drawn.append(match.behavior().opponent_step) or draw()
    match.ticks(60)
    assert match.behavior().opponent_step == match.behavior().step == 480
    assert drawn[:4] == [32, 64, 96, 128]  # more than 30 after the last
    assert [each.name for each in player.ladder.snapshots] == ["step 208", "step 312", "step 416"]


def test_another_team_learns_after_its_steps_and_everyone_begins_anew():
    match = Match(duel(team_change=100), Duel(length=4))
    match.ticks(14)
    assert match.league.learning == 1 and match.env.resets == 2  # 13 rows of 8 agents
    assert match.behavior().step == 104
    assert set(match.player().opponents) == {TEAMS[0]}
    seen = watch(match)
    match.ticks(1)
    assert seen == [] and match.behavior().step == 104  # what was under way belongs to nobody
    match.ticks(1)
    assert seen == [[1.0] * 8]


def test_rows_until_a_turn_ends_still_count():
    match = Match(duel(team_change=100), Duel(length=40))  # longer than a turn: no episode ends
    match.ticks(14)
    memory = match.behavior().trainer.memory
    assert memory.ready == 104  # in closed segments: none waits for what does not come
    segments = memory.take()
    assert len(segments.lane) == 104 and int(segments.closes.sum()) == 16  # 8 at the time horizon, 8 at the turn
    last = segments.closes.nonzero()[:, 0][-8:]
    assert segments.rows.interrupted[last].all() and not segments.rows.done.any()


def test_the_opponents_of_all_environments_are_replaced_together():
    match = Match(duel(play_against_latest_model_ratio=0.0, swap_steps=50))
    match.ticks(1)
    seat, agents = match.player().seat(TEAMS[1]), []
    act = seat.act
    seat.act = lambda input, explore=True: agents.append(len(input.mask)) or act(input, explore=explore)
    match.ticks(20)
    assert agents == [8] * 20


def test_random_play_draws_from_what_is_allowed():
    match = Match(duel(opponents=[{"random": True}], opponents_ratio=1.0)).ticks(40)
    player = match.player()
    assert player.opponents[TEAMS[1]].name == "random"
    drawn = np.bincount(np.concatenate([answers[TEAMS[1]] for answers in match.env.answers]), minlength=CHOICES)
    assert (drawn > 312 / CHOICES - 40).all()
    acting = RandomActing(match.env.behavior_specs[TEAMS[0]].action_spec, torch.Generator().manual_seed(1))
    input = match.behavior().trainer.policy.blank_input(100)
    input.mask[:, 1] = False
    assert set(acting.act(input).action.discrete[:, 0].tolist()) == {0, 2}


def test_fixed_opponents_have_curves_of_their_own():
    match = Match(duel(opponents=[{"random": True}], opponents_ratio=1.0)).ticks(1)
    found = {}
    add = match.loop.recorder.add
    match.loop.recorder.add = lambda name, metrics, *how: (found.update(metrics), add(name, metrics, *how))
    match.ticks(50)
    assert {"Self-play/ELO", "Self-play/Opponent ELO", "Self-play/Win Rate", "Self-play/Win Rate against random", "Self-play/Learning Team"} <= set(found)
    assert set(found["Self-play/Win Rate against random"].tolist()) <= {0.0, 0.5, 1.0}


def test_a_game_of_one_team_is_a_warning_and_learns_from_everything(caplog):
    match = Match(duel(), Duel(teams=TEAMS[:1])).ticks(30)
    assert "behaviors.Duel.self_play: the environment has one team, 0, so there is nobody to play against" in caplog.text
    assert match.behavior().step == 232 and match.league.ratings == {"Duel": 1200.0}


def test_three_teams_take_turns_and_share_what_a_rating_moves():
    teams = (*TEAMS, "Duel?team=2")
    match = Match(duel(team_change=50, play_against_latest_model_ratio=0.0), Duel(teams=teams))
    learned = []
    for _ in range(60):
        match.ticks(1)
        learned.append(match.league.learning)
    turns = [team for i, team in enumerate(learned) if not i or learned[i - 1] != team]
    assert turns[:5] == [0, 1, 2, 0, 1]
    assert len(match.player().opponents) == 2
    player = match.player()
    kept = {id(each): each for each in (player.ladder.latest, *player.ladder.snapshots)}.values()
    assert len(kept) > 2 and player.ladder.latest.rating != 1200.0


def test_the_memory_of_opponents_is_forgotten_when_others_take_their_place():
    memory = {"sequence_length": 8, "memory_size": 4}
    match = Match(duel("ppo", memory, swap_steps=30, play_against_latest_model_ratio=0.0), Duel(length=50))
    match.ticks(1)
    seat, given = match.player().seat(TEAMS[1]), []
    act = seat.act
    seat.act = lambda input, explore=True: given.append(input.memory.abs().sum().item()) or act(input, explore=explore)
    match.ticks(12)
    assert [value == 0.0 for value in given] == [False, False, False, False, True, False, False, False, True, False, False, False]


def test_a_behavior_without_self_play_beside_others_learns_always():
    teams = (*TEAMS, "Crowd?team=0", "Crowd?team=1")
    crowd = {**behavior(), "self_play": None}
    match = Match({**duel(team_change=50), "Crowd": crowd}, Duel(teams=teams)).ticks(21)
    assert match.behavior("Crowd").step == 2 * (21 - match.env.resets) * 8
    assert match.league.names == ["Duel"]
