"""Ratings, win rates, the window of snapshots and turns, against numbers worked by hand."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from mlagents.selfplay import elo
from mlagents.selfplay.ladder import Ladder
from mlagents.selfplay.settings import SelfPlaySettings
from mlagents.selfplay.turns import NOBODY, Turns, team_number
from mlagents.selfplay.weights import Weights

VECTORS = Path(__file__).parents[4] / "shared" / "spec" / "reference-vectors.json"


def ladder(seed=0, **settings):
    return Ladder(SelfPlaySettings(**settings), torch.Generator().manual_seed(seed), rating=1200.0)


def weights(value):
    return Weights({"w": torch.tensor([float(value)])}, {"epsilon": value / 10})


def filled(n, **settings):
    found = ladder(**settings)
    for i in range(n):
        found.take_snapshot(100 * i, weights(i))
    return found


def test_a_rating_gains_what_the_result_is_above_the_expected_one():
    # E = 1 / (1 + 10^(50/400)) = 1 / (1 + 1.333521) = 0.428537
    assert elo.change(1200, 1250, 1.0) == pytest.approx(0.571463, abs=1e-6)
    assert elo.change(1200, 1250, 0.5) == pytest.approx(0.071463, abs=1e-6)
    assert elo.change(1200, 1250, 0.0) == pytest.approx(-0.428537, abs=1e-6)
    assert elo.expected_result(1600, 1200) == pytest.approx(10 / 11)
    assert elo.expected_result(1200, 1600) + elo.expected_result(1600, 1200) == pytest.approx(1.0)


@pytest.mark.skipif(not VECTORS.is_file(), reason="the reference vectors are not there")
def test_the_change_is_that_of_the_official_trainers():
    vector = json.loads(VECTORS.read_text())["elo"]
    change = elo.change(vector["own"], vector["opponent"], vector["result"])
    assert change == pytest.approx(vector["change"], abs=1e-12)
    assert vector["opponent"] - change == pytest.approx(vector["opponent_after"], abs=1e-12)


def test_the_sign_of_the_last_reward_is_the_result():
    assert [elo.result_of(reward) for reward in (0.3, -2.0, 0.0, -0.0)] == [1.0, 0.0, 0.5, 0.5]


def test_who_wins_more_often_is_drawn_more_often():
    assert elo.hard_weights([0.0, 0.5, 0.9, 1.0]) == pytest.approx([1.0, 0.25, 0.01, 0.0])


def test_a_win_rate_begins_at_a_half_and_old_games_fade():
    opponent = ladder().latest
    assert opponent.win_rate == 0.5
    opponent.record(1.0)
    assert opponent.win_rate == pytest.approx(2 / 3)  # one win, and one of each to begin with
    opponent.record(0.5)
    assert opponent.win_rate == pytest.approx((0.99 + 0.5 + 1) / (0.99 + 1 + 2))
    for _ in range(2000):
        opponent.record(0.0)
    assert opponent.win_rate == pytest.approx(1 / 102, rel=1e-3)  # 100 games are remembered


def test_the_window_holds_the_newest_snapshots_with_the_ratings_of_their_time():
    found = ladder(window=3)
    for i in range(5):
        found.latest.rating = 1200.0 + i
        found.take_snapshot(10 * i, weights(i))
    assert [each.name for each in found.snapshots] == ["step 20", "step 30", "step 40"]
    assert [each.rating for each in found.snapshots] == [1202.0, 1203.0, 1204.0]
    assert [each.number for each in found.snapshots] == [2, 3, 4]


def test_everything_is_due_once_more_than_its_steps_have_passed():
    found = ladder(save_steps=10, swap_steps=20, team_change=30)
    assert not found.snapshot_is_due(10) and found.snapshot_is_due(11)
    assert not found.swap_is_due(20) and found.swap_is_due(21)
    assert not found.turn_is_due(30) and found.turn_is_due(31)
    found.take_snapshot(11, weights(0))
    found.note_swap(21)
    found.note_turn(31)
    assert not found.snapshot_is_due(21) and found.snapshot_is_due(22)
    assert not found.swap_is_due(41) and found.swap_is_due(42)
    assert not found.turn_is_due(61) and found.turn_is_due(62)


def test_the_settings_say_how_often_the_present_policy_and_fixed_opponents_play():
    assert {filled(3, play_against_latest_model_ratio=1.0).draw().name for _ in range(20)} == {"latest"}
    found = filled(3, play_against_latest_model_ratio=0.5, opponents=[{"random": True}, {"model": "a/b.onnx"}], opponents_ratio=0.2)
    drawn = Counter(found.draw().name for _ in range(4000))
    expected = {"random": 400, "b.onnx": 400, "latest": 1600, "step 0": 533, "step 100": 533, "step 200": 533}
    assert set(drawn) == set(expected)
    for name, count in expected.items():
        assert abs(drawn[name] - count) < 5 * count**0.5, name


def test_prioritized_sampling_draws_snapshots_in_proportion_to_how_hard_they_are():
    found = filled(2, play_against_latest_model_ratio=0.0, opponent_sampling="prioritized")
    for _ in range(2):
        found.snapshots[0].record(1.0)  # (1.99 + 1) / (1.99 + 2) = 0.749 against the first, a half against the second
    drawn = Counter(found.draw().name for _ in range(4000))
    easy, hard = (1 - 0.74937) ** 2, 0.25
    assert abs(drawn["step 0"] - 4000 * easy / (easy + hard)) < 150


def test_fixed_opponents_of_one_name_get_numbers():
    settings = SelfPlaySettings(opponents=[{"model": "a/x.onnx"}, {"model": "b\\x.onnx"}, {"random": True}, {"random": True}])
    found = Ladder(settings, torch.Generator(), rating=1.0)
    assert [each.name for each in found.fixed] == ["x.onnx", "x.onnx 2", "random", "random 2"]


def test_a_ladder_goes_on_from_its_state_as_if_it_had_never_stopped():
    given = {"window": 3, "opponents": [{"random": True}], "opponent_sampling": "prioritized"}
    one = filled(4, **given)
    one.snapshots[1].record(1.0)
    one.fixed[0].rating = 900.0
    one.note_swap(77)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other = ladder(seed=5, **given)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert [one.draw().name for _ in range(50)] == [other.draw().name for _ in range(50)]
    for ladder_ in (one, other):
        ladder_.take_snapshot(500, weights(9))
    numbers = [[vars(each) | {"weights": each.weights.state_dict()} for each in ladder_.snapshots] for ladder_ in (one, other)]
    assert numbers[0] == numbers[1]
    assert one.fixed[0].numbers() == other.fixed[0].numbers()
    assert [ladder_.swap_is_due(2077) for ladder_ in (one, other)] == [False, False]


def test_a_narrower_window_keeps_the_newest_of_a_state():
    narrow = ladder(window=2)
    narrow.load_state_dict(filled(4, window=4).state_dict())
    assert [each.name for each in narrow.snapshots] == ["step 200", "step 300"]


def test_teams_take_turns_in_the_order_in_which_they_appeared():
    turns = Turns()
    assert turns.learning == NOBODY
    for team in (2, 0, 1, 0):
        turns.add(team)
    seen = [turns.learning]
    for _ in range(4):
        assert turns.advance({0, 1, 2})
        seen.append(turns.learning)
    assert seen == [2, 0, 1, 2, 0]


def test_a_team_that_has_nothing_left_to_learn_is_passed_over():
    turns = Turns()
    for team in (0, 1, 2):
        turns.add(team)
    assert turns.advance({0, 2}) and turns.learning == 2
    assert turns.advance({0, 2}) and turns.learning == 0
    assert not turns.advance({0}) and turns.learning == 0


@pytest.mark.parametrize(("team", "number"), [("A?team=3", 3), ("A", 0), ("A?team=", 0), ("A?team=x", 0)])
def test_the_number_of_a_team_is_read_from_its_name(team, number):
    assert team_number(team) == number
