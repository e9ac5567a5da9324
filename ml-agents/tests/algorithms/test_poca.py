"""MA-POCA: credit worked by hand, groups that learn what agents alone do not, and all that a run needs."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from group_steps import Says, ends, message
from tiny_tasks import make

from mlagents.algorithms import poca
from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.objectives import clipped_error
from mlagents.algorithms.on_policy import OnPolicyTrainer
from mlagents.algorithms.poca import POCATrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.collect.behavior import Behavior
from mlagents.conformance.group_task import SacrificeEnv
from mlagents.data.finite import NotFinite
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.rewards.signal import Extrinsic, RewardSignal
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_continuous(1))


class Known(torch.nn.Module):
    """A critic whose value is ten times the mean of what members see, and whose baselines are what they see."""

    def __init__(self, signals):
        super().__init__()
        self.signals, self.unused = signals, torch.nn.Parameter(torch.zeros(1))

    def forward(self, input):
        return input.obs[0].expand(-1, self.signals)

    def count(self, members):
        pass

    def values(self, input, members):
        there = (members >= 0)[:, :, None]
        seen = torch.where(there, input.obs[0][members.clamp(min=0)], 0.0)
        return (10 * seen.sum(1) / there.sum(1)).repeat(1, self.signals)

    def judge(self, input, action, members, group, place):
        return self.values(input, members), self(input)[members[group, place]]


class ByHand(POCATrainer):
    def make_critic(self, setup):
        return Known(len(self.signals))


def targets(messages, gamma=0.5, lambd=0.5, horizon=64, signals=None):
    """Return the returns of all rows by what their agents saw, and the metrics."""
    trainer = make(ByHand, SPEC, signals or [lambda _: Extrinsic(gamma=gamma, strength=1.0)], lambd=lambd)
    behavior = Behavior(trainer, time_horizon=horizon)
    for each in messages:
        behavior.receive(message(*each))
        behavior.act()
    batch, metrics = trainer.targets(trainer.memory.take())
    seen = batch.input.obs[0][:, 0].tolist()
    return dict(zip(seen, batch.returns[:, 0].tolist(), strict=True)), batch, metrics


def test_a_member_that_died_gets_what_its_group_earns_later():
    # steps: {1, 2}, {3}, {4}; V = 15, 30, 40; the group earns 1 + 2, then 4, then 8
    # R2 = 8;  R1 = 4 + .5 (.5 * 40 + .5 * 8) = 16;  R0 = 1 + 2 + .5 (.5 * 30 + .5 * 16) = 14.5
    returns, batch, _ = targets([
        [Says(1, 1), Says(2, 2)],
        [ends(1, 9, reward=1.0), Says(2, 3, reward=2.0)],
        [Says(2, 4, reward=4.0)],
        [ends(2, 9, shared=8.0)],
    ])  # fmt: skip
    assert returns == {1: 14.5, 2: 14.5, 3: 16.0, 4: 8.0}
    gain = batch.returns[:, 0] - batch.baseline[:, 0]
    assert sorted(gain.tolist()) == [4.0, 12.5, 13.0, 13.5]
    assert torch.allclose(batch.advantage, (gain - gain.mean()) / gain.std(correction=0), atol=1e-6)


def test_an_end_that_travels_ahead_earns_as_much():
    together = targets([
        [Says(1, 1), Says(2, 2)],
        [ends(1, 9, reward=1.0, shared=1.0), Says(2, 3, reward=2.0, shared=3.0)],
        [ends(2, 9, shared=8.0)],
    ])[0]  # fmt: skip
    apart = targets([
        [Says(1, 1), Says(2, 2)],
        [ends(1, 9, reward=1.0, shared=1.0)],
        [Says(2, 3, reward=2.0, shared=3.0)],
        [ends(2, 9, shared=8.0)],
    ])[0]  # fmt: skip
    # R1 = 8;  R0 = 1 + 2 + 3 + .5 (.5 * 30 + .5 * 8) = 15.5
    assert together == apart == {1: 15.5, 2: 15.5, 3: 8.0}


def test_at_the_time_horizon_the_value_of_those_who_live_stands_for_the_rest():
    # steps: {1, 2}, {3}; then 6 is seen and goes on: R1 = .5 * 60 = 30;  R0 = .5 (.5 * 30 + .5 * 30) = 15
    messages = [[Says(1, 1), Says(2, 2)], [ends(1, 9), Says(2, 3)], [Says(2, 6)]]
    assert targets(messages, horizon=2)[0] == {1: 15.0, 2: 15.0, 3: 30.0}


@pytest.mark.parametrize(
    ("first", "second", "after"), [(False, False, 0.0), (True, False, 80.0), (False, True, 40.0), (True, True, 60.0)]
)
def test_a_group_goes_on_beyond_an_interruption(first, second, after):
    last = [ends(1, 8, interrupted=first), ends(2, 4, interrupted=second)]
    assert targets([[Says(1, 1), Says(2, 2)], last])[0] == {1: 0.5 * after, 2: 0.5 * after}


def test_a_newcomer_is_valued_and_earns_with_the_others():
    # steps: {1}, {3, 5}; V = 10, 40; R1 = 2 + 1;  R0 = .5 (.5 * 40 + .5 * 3) = 10.75
    returns, *_ = targets([[Says(1, 1)], [Says(1, 3), Says(2, 5)], [ends(1, 9, reward=2.0), ends(2, 9, reward=1.0)]])
    assert returns == {1: 10.75, 3: 3.0, 5: 3.0}


def test_a_step_in_which_half_of_the_members_are_asked_counts_half():
    # {1, 2} at once, then {3} while 2 goes on: share 1/2, so gamma and lambda are .25 ** .5 = .5 there
    # R2 = 0;  R1 = 4 + .5 (.5 * V2 + .5 * R2), V2 = 10 (7 + 5) / 2 = 60 -> 19;  V1 = 10 (3 + 2) / 2 = 25
    # R0 = 1 + .25 (.75 * 25 + .25 * 19) = 6.875
    returns, *_ = targets([
        [Says(1, 1), Says(2, 2)],
        [Says(1, 3, reward=1.0)],
        [Says(1, 7), Says(2, 5, reward=4.0)],
        [ends(1, 9), ends(2, 9)],
    ], gamma=0.25, lambd=0.25)  # fmt: skip
    assert returns == {1: 6.875, 2: 6.875, 3: 19.0, 7: 0.0, 5: 0.0}


class Counts(RewardSignal):
    """One for every row, beyond the end too."""

    ignores_done = True

    def __init__(self):
        self.name, self.gamma, self.strength = "count", 0.5, 1.0

    def evaluate(self, batch):
        return torch.ones(len(batch))


def test_every_signal_is_earned_together_with_a_discount_of_its_own():
    signals = [lambda _: Extrinsic(gamma=0.5, strength=1.0), lambda _: Counts()]
    _, batch, metrics = targets([[Says(1, 1), Says(2, 2)], [ends(1, 9, shared=3.0), ends(2, 7, shared=3.0)]], signals=signals)
    assert batch.returns.tolist() == [[3.0, 2.0 + 0.5 * 80]] * 2
    assert metrics["Policy/Extrinsic Reward"].tolist() == [3.0, 3.0]
    assert metrics["Policy/Count Baseline Estimate"] == 1.5


def test_agents_in_no_group_are_alone_with_their_rewards():
    # two agents, each terminated with its own reward; V of one is not that of the other
    alone = [
        [Says(1, 1, group=0), Says(2, 2, group=0)],
        [ends(1, 9, group=0, reward=1.0), Says(2, 3, group=0)],
        [ends(2, 9, group=0, reward=2.0)],
    ]  # fmt: skip
    assert targets(alone)[0] == {1: 1.0, 2: 0.5 * (0.5 * 30 + 0.5 * 2), 3: 2.0}


def trained(kind, actions, rows, *, env=None, behavior=None, horizon=16, **options):
    env = env or SacrificeEnv(actions, 16, seed=1)
    if behavior is None:
        options = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3, **options}
        behavior = Behavior(make(kind, env.spec, **options), time_horizon=horizon)
    step, until, metrics = env.reset(), behavior.step + rows, {}
    while behavior.step < until:
        behavior.receive(step)
        metrics |= behavior.learn() or {}
        step = env.step(behavior.act()[0])
    return behavior, env, metrics


DISCRETE = ActionSpec.create_discrete((3,))


@pytest.mark.parametrize("actions", [DISCRETE, ActionSpec(1, (2,))], ids=["discrete", "hybrid"])
def test_a_group_learns_that_one_of_it_must_end(actions):
    _, env, metrics = trained(POCATrainer, actions, 5000)
    assert np.mean(env.opened[-200:]) > 0.9 and np.mean(env.left[-200:]) < 0.1
    assert {"Losses/Policy Loss", "Losses/Value Loss", "Losses/Baseline Loss", "Policy/Extrinsic Value Estimate",
            "Policy/Extrinsic Baseline Estimate", "Policy/Extrinsic Reward", "Policy/Learning Rate", "Policy/Epsilon",
            "Policy/Beta"} == set(metrics)  # fmt: skip


def test_agents_that_learn_alone_learn_to_stay():
    _, env, _ = trained(PPOTrainer, DISCRETE, 5000)
    assert np.mean(env.opened[-200:]) < 0.1


def test_with_memory_a_group_learns_too():
    memory = NetworkSettings(hidden_units=16, num_layers=1, memory=MemorySettings(memory_size=8, sequence_length=4))
    _, env, _ = trained(POCATrainer, DISCRETE, 5000, network=memory)
    assert np.mean(env.opened[-200:]) > 0.9


def test_a_resumed_trainer_equals_one_that_never_stopped():
    memory = NetworkSettings(hidden_units=8, normalize=True, memory=MemorySettings(memory_size=4, sequence_length=3))
    behavior, *_ = trained(POCATrainer, ActionSpec(1, (2,)), 700, network=memory)
    behavior.drop()
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    assert {"Optimizer:critic", "Optimizer:adam", "Policy"} <= set(behavior.state_dict())
    file.seek(0)
    resumed, *_ = trained(POCATrainer, ActionSpec(1, (2,)), 300, network=memory, seed=5)
    resumed.drop()
    resumed.load_state_dict(torch.load(file, weights_only=True), keep_step=True)
    for each in (behavior, resumed):
        each.generator.manual_seed(3)
        trained(None, None, 700, env=SacrificeEnv(ActionSpec(1, (2,)), 16, seed=7), behavior=each)
    for part in ("Policy", "Optimizer:critic"):
        mine, theirs = resumed.state_dict()[part], behavior.state_dict()[part]
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert resumed.trainer.critic.largest == 4


def test_a_minibatch_and_the_whole_rollout_are_judged_alike(monkeypatch):
    found = []

    class Watching(POCATrainer):
        def loss(self, batch):
            value, baseline = self.judge(batch)
            if not found:  # nothing has been learned yet
                found.append((baseline, batch.baseline))
                found.append((value, self.critic.values(self.rollout.rows.input, self.rollout.groups.members)[
                    self.rollout.groups.step[batch.row]]))  # fmt: skip
            return super().loss(batch)

    monkeypatch.setattr(poca, "AT_ONCE", 7)
    trained(Watching, DISCRETE, 600)
    assert len(found) == 2
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in found)


class Hesitant(POCATrainer):
    """Takes no rows of one tick, as for a reward signal that makes NaN of them."""

    refuses = -1

    def receive(self, tick):
        self.refuses -= 1
        if self.refuses == 0:
            raise NotFinite("no")
        super().receive(tick)


@pytest.mark.parametrize("refused", range(2, 8))
def test_a_tick_that_is_not_taken_leaves_no_rows_behind(refused):
    behavior = Behavior(make(Hesitant, SPEC, buffer_size=10**6), time_horizon=3)
    behavior.trainer.refuses, taken = refused, 0
    for turn in range(8):
        over = turn == 4
        says = [Says(agent, turn, ends=over) for agent in (1, 2)] + [Says(agent, turn) for agent in (1, 2)] * over
        try:
            behavior.receive(message(*says))
            taken += 2 * (turn > 0)
        except NotFinite:
            assert turn == refused
        behavior.act()
    memory = behavior.trainer.memory
    behavior._close("", next(iter(behavior._collectors.values())).close_everyone())
    assert len(memory.take().rows) == taken == 12
    assert not memory._parts


class Averaging(OnPolicyTrainer):
    """An author's trainer: looks at the mates of each row."""

    capabilities = Capabilities(groups=True)
    looked: list = []

    def loss(self, batch):
        mates, there = self.mates(batch)
        assert mates.input.obs[0].shape == (len(batch), 3, 2) and mates.output.action.discrete.shape[:2] == (len(batch), 3)
        self.looked.append((batch.input.obs[1][:, None].expand(-1, 3, -1)[there] - mates.input.obs[1][there]).abs().max())
        self.looked.append(there.sum(1).float().mean())
        log_prob, _ = self.evaluate(batch)
        return {"policy": -(log_prob.sum(1) * batch.advantage).mean(), "value": self.values(batch).pow(2).mean()}


def test_an_author_can_look_at_mates():
    Averaging.looked.clear()
    trained(Averaging, DISCRETE, 600)
    assert max(Averaging.looked[::2]) == 0.0  # mates see the same time
    assert 0.5 < np.mean(Averaging.looked[1::2]) < 3.0


def test_mates_of_a_trainer_without_groups_are_refused():
    class Wrong(Averaging):
        capabilities = Capabilities()

    with pytest.raises(TrainerError, match=r"Wrong.mates: declare capabilities = Capabilities\(groups=True"):
        trained(Wrong, DISCRETE, 600)


def test_group_rewards_are_no_news_to_a_trainer_that_learns_from_groups(caplog):
    trained(POCATrainer, DISCRETE, 600)
    assert "rewarded as a group" not in caplog.text
    trained(PPOTrainer, DISCRETE, 600)
    assert caplog.text.count("rewarded as a group") == 1


def test_the_baseline_goes_only_so_far_in_one_update():
    old, target = torch.zeros(2, 1), torch.ones(2, 1)
    baseline = torch.tensor([[0.1], [0.5]], requires_grad=True)
    error = clipped_error(baseline, old, target, 0.2)
    assert error.item() == pytest.approx((0.9**2 + 0.8**2) / 2)
    error.backward()
    assert baseline.grad.flatten().tolist() == pytest.approx([-0.9, 0.0])
