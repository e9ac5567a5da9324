"""Which episodes an evaluation counts: exactly as many as were asked for, and long ones as readily as short ones."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents.errors import RunError
from mlagents.evaluation import episodes as counting
from mlagents.evaluation.episodes import OpenEpisodes, Quota
from mlagents.evaluation.play import Counts, Play
from mlagents_envs.base_env import ActionTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "collect"))
from reference import Info, Reference, batch
from scenes import ENDLESS, Lanes, Still, play
from test_kept_ids import PLAYS, message


def lengths(played, behavior="Lane"):
    return played.results()[behavior].lengths.tolist()


# how many, and which


@pytest.mark.parametrize("renew", [False, True], ids=["kept ids", "new ids"])
@pytest.mark.parametrize("episodes", [1, 2, 3, 7, 20])
def test_exactly_so_many_episodes_count_and_those_that_began_first(episodes, renew):
    played = play(Lanes([[3], [7]], renew=renew), episodes)
    # begun in each tick: lane 0 at 0, 3, 6, ..., lane 1 at 0, 7, 14, ...
    began = sorted([(3 * k, 0, 3) for k in range(30)] + [(7 * k, 1, 7) for k in range(30)])
    assert lengths(played) == [length for _, _, length in began[:episodes]]
    assert played.complete and played.ended == episodes


def test_every_episode_that_counts_is_played_to_its_end_while_others_play_on():
    env = Lanes([[2], [50]])
    assert lengths(play(env, 2)) == [2, 50]
    assert len(env.seen) == 26  # the short lane went on


def mean_of_mixed_lengths(seed):
    """Return the mean length in 30 episodes of 10 agents: half of all episodes are long, none depends on another."""
    rng = np.random.default_rng(seed)
    plan = rng.choice([2, 40], size=(10, 200)).tolist()
    return np.mean(lengths(play(Lanes(plan), 30)))


def unbiased():
    """Return whether the mean length over many evaluations is that of all episodes, 21, within four of its errors."""
    means = [mean_of_mixed_lengths(seed) for seed in range(100)]
    return abs(np.mean(means) - 21) < 4 * np.std(means) / 10


def test_short_episodes_are_not_favored():
    assert unbiased()


def test_the_test_of_bias_notices_whoever_counts_the_first_that_end(monkeypatch):
    class FirstToEnd(Quota):
        def begin(self, n):
            return np.arange(n)  # every episode may count

        def end(self, n):
            self.ended += n

    def receive(self, step, tick, quota):
        ended = honest(self, step, tick, quota)
        return ended[: max(0, len(ended) - max(0, quota.ended - quota.episodes))]

    honest = OpenEpisodes.receive
    monkeypatch.setattr(OpenEpisodes, "receive", receive)
    monkeypatch.setattr("mlagents.evaluation.play.Quota", FirstToEnd)
    monkeypatch.setattr(FirstToEnd, "complete", property(lambda self: self.ended >= self.episodes))
    assert not unbiased()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PLAYS), min_size=4, max_size=4),
            st.lists(st.integers(0, 3), min_size=16, max_size=16),
        ),
        max_size=14,
    )
)
def test_any_mix_of_ends_births_and_repeated_ids_is_read_as_the_reference_reads_it(plan):
    running, reference, serial = OpenEpisodes(1, ENDLESS), Reference(), 0
    for tick, (plays, order) in enumerate(plan):
        infos = message(list(enumerate(plays)), order, serial)
        serial += 40
        ended = running.receive(batch(infos), tick, Quota(ENDLESS))
        decisions = {agent: state.decisions for agent, state in reference.agents.items()}
        rows, returns = reference.read(infos)
        assert sorted(ended["reward"].tolist()) == pytest.approx(sorted(returns))
        assert sorted(ended["agent"].tolist()) == sorted(row.agent for row in rows if row.done)
        assert all(decisions[row.agent] == length for row in rows if row.done
                   for agent, length in zip(ended["agent"], ended["decisions"], strict=True) if agent == row.agent)  # fmt: skip
        asking = [info for info in infos if not info.done]
        assert len(running.memory) == len(asking)
        for info, remembers in zip(asking, running.memory[:, 0], strict=True):
            state = reference.agents[info.agent]
            assert remembers == (state.decisions - 1 if state.asked == info.seen else 0)
        running.remember(running.memory + 1)


def test_what_an_agent_earns_before_its_first_answer_belongs_to_no_episode():
    running = OpenEpisodes(0, ENDLESS)
    quota = Quota(5)
    running.receive(batch([Info(3, False, 9.0, 0.0)]), 1, quota)
    ended = running.receive(batch([Info(3, True, 2.0, 1.0), Info(3, False, 7.0, 2.0)]), 2, quota)
    assert ended["reward"].tolist() == [2.0]
    assert running.receive(batch([Info(3, True, 1.0, 3.0, interrupted=True)]), 3, quota)[["reward", "interrupted"]].tolist() == [(1.0, True)]


# memory


def test_a_recurrent_player_remembers_within_an_episode_and_begins_each_one_anew():
    player = Still()
    play(Lanes([[3], [5]]), 6, player=player)
    assert player.asked and all(seen == remembered for seen, remembered in player.asked)


# episodes that do not end


def test_an_episode_that_takes_too_long_is_cut_and_counts_with_what_it_earned():
    class Giving(Still):
        def act(self, obs, mask, memory):
            return ActionTuple(np.ones((len(memory), 1), np.float32)), memory

    evaluation = play(Lanes([[3], [ENDLESS]]), 4, player=Giving(), max_length=10).results()["Lane"]
    assert evaluation.lengths.tolist() == [3, 10, 3, 3]
    assert evaluation.cut.tolist() == [False, True, False, False]
    assert evaluation.returns.tolist() == [4, 10, 4, 4]  # one a decision, and one for each end
    assert not evaluation.interrupted.any()


def test_an_episode_of_just_the_longest_length_is_not_cut():
    assert not play(Lanes([[10]]), 3, max_length=10).results()["Lane"].cut.any()


def test_where_every_agent_plays_on_in_an_episode_that_was_cut_the_environment_is_reset():
    env = Lanes([[ENDLESS, ENDLESS, 4]])
    assert lengths(play(env, 5, max_length=6)) == [6, 6, 4, 4, 4]
    assert env.resets == 3


def test_agents_that_never_ask_end_the_play_with_a_sentence():
    class Empty(Lanes):
        def get_steps(self, name):
            decision, terminal = super().get_steps(name)
            return decision.__class__.empty(self.behavior_specs[name]), terminal.__class__.empty(self.behavior_specs[name])

    with pytest.raises(RunError, match=r"no agent has asked for an action within 50 steps.*Decision Requester"):
        play(Empty([[3]]), 1, patience=50)


def test_an_agent_that_vanishes_in_the_middle_makes_room_for_another_episode(monkeypatch):
    class Vanishing(Lanes):
        def get_steps(self, name):
            decision, terminal = super().get_steps(name)
            if len(self.seen) < 20:
                return decision, terminal
            stay = np.array([0])
            return type(decision)([decision.obs[0][stay]], decision.reward[stay], decision.agent_id[stay], None,
                                  decision.group_id[stay], decision.group_reward[stay]), terminal  # fmt: skip

        def set_actions(self, name, action):
            pass

    monkeypatch.setattr("mlagents.evaluation.play.SILENCE", 30)
    monkeypatch.setattr("mlagents.evaluation.play.CHECKS", 10)
    played = play(Vanishing([[3], [ENDLESS]]), 30, max_length=ENDLESS)
    assert lengths(played) == [3] * 30
    assert played.vanished == 1


# behaviors, teams, groups


def test_each_team_of_a_behavior_plays_so_many_episodes():
    env = Lanes([[2], [2], [5]], names=("Lane?team=0", "Lane?team=1"), team_of=[0, 0, 1])
    evaluation = play(env, 4).results()["Lane"]
    assert evaluation.team_ids == [0, 1]
    assert [evaluation.of_team(team).lengths.tolist() for team in (0, 1)] == [[2] * 4, [5] * 4]


def test_only_the_behavior_that_is_asked_for_is_scored_but_all_play():
    env = Lanes([[2], [5]], names=("A?team=0", "B?team=0"), team_of=[0, 1])
    players = {}
    played = Play(_pool(env), lambda name, spec, _: players.setdefault(name, Still()), Counts(3, behaviors=("B",)))
    played.run()
    assert list(played.results()) == ["B"] and len(played.results()["B"]) == 3
    assert players["A"].asked


def test_a_behavior_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(RunError, match="the environment has no behavior 'Lan'; it has Lane"):
        play(Lanes([[3]]), 1, behaviors=("Lan",))


def test_rewards_of_a_group_are_told_apart_and_count_for_the_score():
    env = Lanes([[4], [4], [4], [4]], group_of=[1, 1, 2, 0], group_reward=0.5)
    evaluation = play(env, 8).results()["Lane"]
    assert evaluation.returns.tolist() == [1.0] * 8
    assert evaluation.group_returns.tolist() == [0.5, 0.5, 0.5, 0.0] * 2
    assert evaluation.score == pytest.approx(1.375) and evaluation.mean_return == 1.0
    assert evaluation.success_rate(1.0) == 0.75
    first, second = evaluation.clusters[:4], evaluation.clusters[4:]
    assert first[0] == first[1] and len(set(first.tolist())) == 3
    assert not set(first.tolist()) & set(second.tolist())


# several environments


class Scripted:
    """A pool of two environments that report in a given order, however fast the other is."""

    def __init__(self, envs, order):
        self.envs, self.order = envs, iter(order)
        self.specs = envs[0].behavior_specs
        self.fresh = [True] * len(envs)

    def reset(self, parameters=None):
        for env in self.envs:
            env.reset()
        self.fresh = [True] * len(self.envs)

    def recv(self):
        from mlagents.envs.steps import StepBatch, step_batch

        self.who = next(self.order)
        parts = []
        for number in self.who:
            if not self.fresh[number]:
                self.envs[number].step()
            self.fresh[number] = False
            decision, terminal = self.envs[number].get_steps("Lane?team=0")
            parts.append(step_batch(decision, terminal, self.specs["Lane?team=0"].action_spec, number))
        if not parts:
            return {}
        halves = [(part, part.done if first else ~part.done) for first in (True, False) for part in parts]
        columns = {
            name: np.concatenate([getattr(part, name)[rows] for part, rows in halves])
            for name in ("agent", "mask", "reward", "group", "group_reward", "done", "interrupted")
        }
        obs = (np.concatenate([part.obs[0][rows] for part, rows in halves]),)
        return {"Lane?team=0": StepBatch(obs=obs, **columns)}

    def send(self, actions):
        begin = 0
        for number in self.who:
            n = len(self.envs[number].plan)
            mine = actions["Lane?team=0"].continuous[begin : begin + n]
            self.envs[number].set_actions("Lane?team=0", ActionTuple(mine))
            begin += n

    def stats(self):
        return ()


ORDERS = {
    "together": [[0, 1]] * 400,
    "in turns": [[0], [1]] * 400,
    "the first is slow": ([[1]] * 9 + [[0, 1], []]) * 400,
    "the second is slow": ([[0]] * 9 + [[1, 0]]) * 400,
}


@pytest.mark.parametrize("pace", ORDERS)
def test_each_environment_plays_its_share_however_fast_the_others_are(pace):
    class Told(Still):
        def act(self, obs, mask, memory):
            self.asked.append(len(memory))
            return ActionTuple(obs[0] / 10), memory

    envs = [Lanes([[3], [7]]), Lanes([[2], [5], [11]])]
    players = {}
    played = Play(Scripted(envs, ORDERS[pace]), lambda name, spec, number: players.setdefault(number, Told()), Counts(9, 2))
    played.run()
    evaluation = played.results()["Lane"]
    assert evaluation.environments.tolist() == [0] * 5 + [1] * 4
    assert evaluation.lengths.tolist() == [3, 7, 3, 3, 7, 2, 5, 11, 2]
    earned = [1 + sum(range(length)) / 10 for length in evaluation.lengths.tolist()]
    assert evaluation.returns.tolist() == pytest.approx(earned)  # actions go to those that asked
    assert set(players[0].asked) == {2} and set(players[1].asked) == {3}


# the end


def test_what_has_ended_is_kept_when_somebody_asks_to_stop():
    ticks = iter(range(1000))
    played = play(Lanes([[3], [7]]), 100, run=False)
    played.run(stopped=lambda: next(ticks) > 20)
    assert not played.complete
    assert 0 < len(played.results()["Lane"]) == played.ended < played.wanted == 100


@pytest.mark.parametrize(("counts", "sentence"), [({"episodes": 0}, "episodes is 0"), ({"episodes": 1, "max_length": 0}, "max_length is 0")])
def test_numbers_that_cannot_be_are_refused(counts, sentence):
    with pytest.raises(RunError, match=f"{sentence}; it must be at least 1"):
        Counts(**counts)


def test_actions_that_are_not_finite_end_the_play_with_a_sentence():
    class Lost(Still):
        def act(self, obs, mask, memory):
            return ActionTuple(np.full((len(memory), 1), np.nan, np.float32)), memory

    with pytest.raises(RunError, match="Lane: the policy's actions are not finite"):
        play(Lanes([[3]]), 1, player=Lost())


def test_an_episode_without_a_number_is_no_episode():
    assert counting.UNCOUNTED == -1 and Quota(2).begin(3).tolist() == [0, 1, -1]


def _pool(env):
    from mlagents.envs.local import LocalPool

    return LocalPool(env)
