"""SAC: its losses by hand, and what it learns in tiny worlds."""

import math

import pytest
import torch

from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import SACSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.replay import Transition
from mlagents.export.export import build, check
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPACES = {
    "continuous": ActionSpec.create_continuous(2),
    "one branch": ActionSpec.create_discrete((3,)),
    "two branches": ActionSpec.create_discrete((3, 2)),
    "hybrid": ActionSpec(1, (3, 2)),
}


def make(actions, signals=1, **settings):
    spec = BehaviorSpec([vector_sensor(3, "seen")], actions)
    rewards = [Extrinsic(gamma=0.9, strength=1.0) for _ in range(signals)]
    network = NetworkSettings(hidden_units=8, normalize=True)
    return SACTrainer(TrainerSetup(spec, network, rewards, 1000), SACSettings(**{"batch_size": 6, **settings}))


def batch(actions, n=6, signals=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    none, flags = torch.zeros(n, 0), torch.zeros(n, dtype=torch.bool)
    mask = torch.rand(n, sum(actions.discrete_branches), generator=g) < 0.7
    start = 0
    for size in actions.discrete_branches:
        mask[:, start] = True
        start += size
    inputs = [PolicyInput((torch.randn(n, 3, generator=g),), mask, none) for _ in range(2)]
    continuous = torch.rand(n, actions.continuous_size, generator=g) * 1.8 - 0.9
    discrete = torch.zeros(n, len(actions.discrete_branches), dtype=torch.int64)
    size = actions.continuous_size + len(actions.discrete_branches)
    output = PolicyOutput(Actions(continuous, discrete), torch.zeros(n, size), torch.zeros(n), none)
    rows = Experience(inputs[0], output, torch.zeros(n), torch.zeros(n), torch.zeros(n), flags, flags)
    returns = torch.randn(n, signals, generator=g)
    return Transition(rows, inputs[1], returns, torch.full((n, signals), 0.9), flags)


@torch.no_grad()
def by_hand(trainer, rows, sample, temperature):
    """The losses row by row, branch by branch, signal by signal."""
    n, signals, branches = len(rows), len(trainer.signals), trainer.policy.branches
    starts = [sum(branches[:i]) for i in range(len(branches))]
    now = [q(rows.input, sample.continuous) for q in (trainer.q1, trainer.q2)]
    taken = [q(rows.input, rows.action.continuous) for q in (trainer.q1, trainer.q2)]
    after, value = trainer.target(rows.next_input), trainer.value(rows.input)
    policy, q_loss, v_loss, alpha = 0.0, [0.0, 0.0], 0.0, 0.0
    for i in range(n):
        probs = [p[i] for p in sample.probs]
        plogp = [float((p * torch.log(p + 1e-7)).sum()) for p in probs]
        logp = float(sample.log_prob[i])
        mean_q = [sum(float(now[0][i, s, k]) for s in range(signals)) / signals for k in range(now[0].shape[2])]
        policy += temperature[0] * logp
        if branches:
            policy += sum(temperature[1 + b] * plogp[b] for b in range(len(branches)))
            policy -= sum(float(probs[b][k]) * mean_q[starts[b] + k] for b in range(len(branches)) for k in range(branches[b]))
        else:
            policy -= mean_q[0]
        for s in range(signals):
            y = float(rows.returns[i, s] + rows.discount[i, s] * after[i, s])
            soft = []
            for j in range(2):
                if branches:
                    chosen = [float(taken[j][i, s, starts[b] + rows.action.discrete[i, b]]) for b in range(len(branches))]
                    expected = [sum(float(probs[b][k] * now[j][i, s, starts[b] + k]) for k in range(branches[b]))
                                for b in range(len(branches))]
                    q, e = sum(chosen) / len(branches), sum(expected) / len(branches)
                else:
                    q, e = float(taken[j][i, s, 0]), float(now[j][i, s, 0])
                q_loss[j] += 0.5 * (y - q) ** 2 / signals
                soft.append(e)
            entropy = temperature[0] * logp
            if branches:
                entropy += sum(temperature[1 + b] * plogp[b] for b in range(len(branches))) / len(branches)
            v_loss += 0.5 * (float(value[i, s]) - (min(soft) - entropy)) ** 2 / signals
        if trainer.policy.continuous:
            alpha -= temperature[0] * (logp - trainer.policy.continuous)
        if branches:
            alpha -= sum(temperature[1 + b] * (plogp[b] + 0.2 * math.log(branches[b])) for b in range(len(branches))) / len(branches)
    return policy / n, [q / n for q in q_loss], v_loss / n, alpha / n


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("actions", SPACES.values(), ids=SPACES)
def test_losses_equal_a_slow_account(actions, signals):
    trainer, rows = make(actions, signals), batch(actions, signals=signals)
    with torch.no_grad():
        trainer.log_temperature.copy_(torch.linspace(-1.5, -0.2, len(trainer.log_temperature)))
    temperature = trainer.log_temperature.detach().exp()
    sample = trainer.sample(rows.input)
    q1, q2 = (q(rows.input, sample.continuous) for q in (trainer.q1, trainer.q2))
    q_losses, value_loss, _ = trainer.value_losses(rows, sample, (q1.detach(), q2.detach()), temperature, trainer.views(rows))
    policy, q_loss, v_loss, alpha = by_hand(trainer, rows, sample, temperature.tolist())
    assert trainer.policy_loss(sample, q1, temperature).item() == pytest.approx(policy, abs=1e-4)
    assert [loss.item() for loss in q_losses] == pytest.approx(q_loss, abs=1e-4)
    assert value_loss.item() == pytest.approx(v_loss, abs=1e-4)
    assert trainer.entropy_loss(sample).item() == pytest.approx(alpha, abs=1e-4)


def test_each_loss_moves_its_own_networks_only():
    actions = SPACES["hybrid"]
    trainer, rows = make(actions), batch(actions)
    sample = trainer.sample(rows.input)
    q1, q2 = (q(rows.input, sample.continuous) for q in (trainer.q1, trainer.q2))
    temperature = trainer.log_temperature.detach().exp()
    q_losses, value_loss, _ = trainer.value_losses(rows, sample, (q1.detach(), q2.detach()), temperature, trainer.views(rows))
    (q_losses[0] + q_losses[1] + value_loss + trainer.entropy_loss(sample)).backward()
    assert all(p.grad is None for p in trainer.policy.parameters())
    assert all(p.grad is None for p in trainer.target.parameters())
    assert trainer.log_temperature.grad is not None


@pytest.mark.parametrize("actions", SPACES.values(), ids=SPACES)
def test_the_exported_model_equals_the_policy(actions):
    trainer = make(actions)
    trainer.policy.observe((torch.randn(50, 3) * 2 + 1,))
    check(trainer.policy, build(trainer.policy))


def test_temperatures_are_in_checkpoints():
    trainer, fresh = make(SPACES["hybrid"]), make(SPACES["hybrid"])
    trainer.update(batch(SPACES["hybrid"]))
    fresh.load_state_dict(trainer.state_dict())
    assert torch.equal(fresh.log_temperature, trainer.log_temperature)
    assert not torch.equal(make(SPACES["hybrid"]).log_temperature, trainer.log_temperature)


def test_the_environment_gets_actions_within_its_range_also_without_exploring():
    trainer = make(SPACES["continuous"])
    with torch.no_grad():
        trainer.policy.head.bias.fill_(5.0)
    input = batch(SPACES["continuous"]).input
    for explore in (True, False):
        action = trainer.policy.env_action(trainer.policy.act(input, explore=explore).action).continuous
        assert float(action.abs().max()) <= 1.0
