"""Which games count, who has won them, and that everyone plays everyone on both sides."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from duel import SPEC, TEAMS, Duel

from mlagents.envs.local import LocalPool
from mlagents.errors import RunError
from mlagents.tournament.entrants import Entrant, RandomPlayer, find_entrants
from mlagents.tournament.games import Games, Tally
from mlagents.tournament.round_robin import round_robin
from mlagents_envs.base_env import ActionSpec, ActionTuple, DecisionSteps, TerminalSteps
from mlagents_envs.exception import UnityObservationException


class Always:
    """Names the same number always."""

    memory_size = 0

    def __init__(self, number):
        self.number = number

    def act(self, obs, mask, memory):
        n = len(mask)
        return ActionTuple(np.zeros((n, 0), np.float32), np.full((n, 1), self.number, np.int32)), memory


class Counts(Always):
    """Names as its number how often it has answered before in an episode, which it remembers."""

    memory_size = 2

    def __init__(self):
        self.seen = []

    def act(self, obs, mask, memory):
        self.seen.append(memory[:, 0].tolist())
        action = ActionTuple(np.zeros((len(mask), 0), np.float32), memory[:, :1].astype(np.int32))
        return action, memory + 1


def always(number):
    return lambda behavior, spec, seed: Always(number)


def play(*sides, env=None, games=12, max_length=100):
    return Games(LocalPool(env or Duel(areas=5)), sides, games, seed=1, max_length=max_length).play({})


class Teams(Duel):
    """A duel of two agents each, who share what they win; the second one of a side ends some steps before the first."""

    def __init__(self, *, early=0, limit=False, **options):
        super().__init__(**options)
        self.early, self.limit = early, limit

    def get_steps(self, name):
        n, side = self.areas, self.teams.index(name)
        ids = np.arange(2 * n, dtype=np.int32) + 100 * side
        group = (np.repeat(np.arange(n), 2) + 1 + 50 * side).astype(np.int32)
        second = np.tile([False, True], n)
        plays = np.ones(2 * n, bool) if self.time < self.length - self.early else ~second
        begins = self.time == 0
        zeros = np.zeros(2 * n, np.float32)
        seen = np.ones((2 * n, 3), np.float32)
        decision = DecisionSteps([seen[plays]], zeros[plays], ids[plays], None, group[plays], zeros[plays])
        ends = np.zeros(2 * n, bool)
        if self.early and self.time == self.length - self.early:
            ends = second
        elif self.ended and begins:
            ends = ~second if self.early else np.ones(2 * n, bool)
        if not ends.any():
            return decision, TerminalSteps.empty(SPEC)
        shared = np.zeros(2 * n, np.float32)
        if self.ended:
            mine, theirs = (self.actions[team].reshape(n, -1)[:, 0] for team in (name, self.teams[1 - side]))
            shared = np.repeat(np.sign(mine - theirs), 2).astype(np.float32)
        own = np.where(second, -5.0, 0.0).astype(np.float32)[ends]  # of the one that ends early
        limit = np.full(int(ends.sum()), self.limit)
        return decision, TerminalSteps([seen[ends]], own * bool(self.early), limit, ids[ends], group[ends], shared[ends])


def test_the_last_reward_says_who_won():
    assert play(always(2), always(1)) == Tally(12, 0, 0)
    assert play(always(0), always(1)) == Tally(0, 0, 12)
    assert play(always(1), always(1)) == Tally(0, 12, 0)


@pytest.mark.parametrize("games", [1, 4, 5, 13])
def test_exactly_so_many_games_count(games):
    assert play(always(2), always(1), games=games).games == games


def test_mates_play_one_game_together():
    assert play(always(2), always(0), env=Teams(areas=3, length=2), games=7) == Tally(7, 0, 0)


def test_of_mates_the_last_one_says_who_won():
    assert play(always(2), always(0), env=Teams(areas=3, length=5, early=2), games=6) == Tally(6, 0, 0)


def test_a_game_that_a_limit_of_steps_ends_is_drawn():
    assert play(always(2), always(0), env=Teams(areas=3, length=2, limit=True), games=6) == Tally(0, 6, 0)


def test_a_game_that_is_too_long_is_drawn_and_others_begin():
    env = Duel(areas=4, length=50)
    assert play(always(2), always(0), env=env, games=8, max_length=10) == Tally(0, 8, 0)
    assert env.resets == 2


def test_players_remember_within_an_episode_only():
    counting = Counts()
    play(lambda *_: counting, always(1), env=Duel(areas=2, length=3), games=4)
    assert counting.seen[:5] == [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1]]


@pytest.mark.parametrize("teams", [TEAMS[:1], (*TEAMS, "Duel?team=2")])
def test_a_game_of_another_number_of_teams_is_refused(teams):
    with pytest.raises(RunError, match=f"needs an environment of two teams, and this one has {len(teams)}"):
        play(always(2), always(1), env=Duel(teams=teams))


def test_sides_with_names_of_their_own_play_too():
    made = []

    def maker(behavior, spec, seed):
        made.append(behavior)
        return Always(2 if behavior == "High" else 1)

    assert play(maker, maker, env=Duel(teams=("High?team=0", "Low?team=1"))) == Tally(12, 0, 0)
    assert made == ["High", "Low"]


def test_numbers_that_are_none_end_a_tournament_with_a_sentence():
    class Broken(Duel):
        def get_steps(self, name):
            decision, terminal = super().get_steps(name)
            if len(terminal):
                terminal.reward[0] = np.nan
            return decision, terminal

    with pytest.raises(UnityObservationException, match=r"Duel\?team=0.*reward"):
        play(always(2), always(1), env=Broken())


def test_everyone_plays_everyone_on_both_sides():
    class Uneven(Duel):
        """The side of team 0 wins all that is drawn."""

        def get_steps(self, name):
            decision, terminal = super().get_steps(name)
            if name == TEAMS[0]:
                terminal.reward[terminal.reward == 0] = 1.0
            return decision, terminal

    entrants = [Entrant(f"always {number}", always(number), None) for number in (0, 1, 1)]
    pool, shown = LocalPool(Uneven(areas=5)), []
    found = round_robin(
        pool, entrants, 11, parameters={}, seed=1, max_length=9, progress=lambda *numbers: shown.append(numbers)
    )
    assert found.complete
    assert found.tally(0, 1) == found.tally(0, 2) == Tally(0, 0, 11)
    assert found.tally(1, 2) == Tally(6, 0, 5) and found.tally(2, 1) == Tally(5, 0, 6)  # 6 games on the better side
    assert found.total(1) == Tally(17, 0, 5)
    assert shown == [(6, 33), (11, 33), (17, 33), (22, 33), (28, 33), (33, 33)]
    ratings, _ = found.ratings()
    assert ratings[0] < ratings[2] < ratings[1]


def test_a_tournament_that_is_stopped_keeps_what_has_ended():
    entrants = [Entrant(f"always {number}", always(number), None) for number in (0, 1)]
    asked = iter([False] * 8 + [True] * 100)
    found = round_robin(
        LocalPool(Duel(areas=1)), entrants, 100, parameters={}, seed=1, max_length=9, stopped=lambda: next(asked)
    )
    assert not found.complete and 0 < found.tally(0, 1).games < 50


def test_random_play_takes_every_action_that_is_allowed_and_no_other():
    player = RandomPlayer(ActionSpec(2, (3, 2)), seed=1)
    mask = np.ones((3000, 5), bool)
    mask[:, 1] = False
    action, _ = player.act((), mask, np.zeros((3000, 0), np.float32))
    assert np.bincount(action.discrete[:, 0], minlength=3).tolist() == pytest.approx([1500, 0, 1500], abs=150)
    assert np.bincount(action.discrete[:, 1]).tolist() == pytest.approx([1500, 1500], abs=150)
    assert -1 <= action.continuous.min() < -0.99 and 0.99 < action.continuous.max() <= 1
    assert player.act((), mask[:0], np.zeros((0, 0), np.float32))[0].discrete.shape == (0, 2)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["random"], "needs two who take part at least"),
        (["random", "random"], "random is given twice"),
        (["random", "gone.onnx"], "gone.onnx: there is no such model"),
        (["random", "gone@best"], "'gone' is no .onnx file, no folder, and no run in results"),
    ],
)
def test_who_cannot_take_part_is_named(names, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=sentence):
        find_entrants(names, results_dir=Path("results"), deterministic=False)
