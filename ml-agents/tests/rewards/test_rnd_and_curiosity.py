"""Reward for what is new: numbers worked by hand, and a corridor that is not learned without it."""

import math

import pytest
import torch
from tiny_tasks import TINY, Corridor, Loop, batch, fill, make, signal, signal_maker, through_a_file

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.curiosity import Curiosity
from mlagents.rewards.rnd import RND
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SILU = 1 / (1 + math.exp(-1))  # of 1
LINE = BehaviorSpec([vector_sensor(1, "x")], ActionSpec(1, (3,)))
KINDS = [ActionSpec.create_continuous(2), ActionSpec.create_discrete((3, 2)), ActionSpec(1, (2,))]


def identity(body):
    """Let features be silu(x)."""
    fill(body, 0.0)
    with torch.no_grad():
        body.layers[0].weight.fill_(1.0)


def test_rnd_pays_the_squared_error_of_the_next_observation():
    rnd = signal(RND, LINE, network_settings=TINY)
    identity(rnd.target)
    fill(rnd.predictor, 0.0)
    rows = batch([0.0, 0.0], [1.0, 0.0])
    assert rnd.evaluate(rows).tolist() == pytest.approx([SILU**2, 0.0])
    assert rnd.update(rows) == {"Losses/RND Loss": pytest.approx(SILU**2 / 2)}


def test_the_target_of_rnd_stays_and_the_predictor_comes_to_it():
    rnd = signal(RND, LINE, network_settings=NetworkSettings(hidden_units=8), learning_rate=0.01)
    target = [parameter.clone() for parameter in rnd.target.parameters()]
    rows = batch([0.0, 0.0], [1.0, -1.0])
    first = rnd.evaluate(rows).sum()
    for _ in range(200):
        rnd.update(rows)
    assert rnd.evaluate(rows).sum() < 0.01 * first
    assert all(torch.equal(one, other) for one, other in zip(target, rnd.target.parameters(), strict=True))


def test_what_rnd_sees_is_scaled_alike_for_both_networks_and_only_updates_move_the_scale():
    rnd = signal(RND, LINE, network_settings=NetworkSettings(hidden_units=4, normalize=True))
    rows = batch([0.0] * 3, [4.0, 6.0, 8.0])
    assert rnd.target.normalizer is rnd.predictor.normalizer
    rnd.evaluate(rows)
    assert rnd.target.normalizer.normalization_steps == 1
    rnd.update(rows)
    assert rnd.target.normalizer.normalization_steps == 4
    assert rnd.target.normalizer.running_mean.item() == pytest.approx((4 + 6 + 8) / 4)


def by_hand():
    """phi = silu(x); 0.5 is foretold as features, 0 as the number, and all three choices alike."""
    curiosity = signal(Curiosity, LINE, network_settings=TINY)
    fill(curiosity.network, 0.0)
    identity(curiosity.network.encoder)
    with torch.no_grad():
        curiosity.network.forward_model[-1].bias.fill_(0.5)
    return curiosity


def test_curiosity_pays_half_the_squared_error_of_the_features_once_it_has_learned():
    curiosity, rows = by_hand(), batch([0.0, 0.0], [1.0, 0.0], [[2.0], [0.0]], [[0], [1]])
    assert curiosity.evaluate(rows).tolist() == [0.0, 0.0]
    curiosity.network.has_learned.fill_(True)
    assert curiosity.evaluate(rows).tolist() == pytest.approx([(SILU - 0.5) ** 2 / 2, 0.125])


def test_a_curious_reward_times_its_strength_is_one_at_most():
    curiosity = by_hand()
    curiosity.network.has_learned.fill_(True)
    rows = batch([0.0], [0.0], [[0.0]], [[0]])
    curiosity.strength = 16.0
    assert curiosity.evaluate(rows).tolist() == [1 / 16]
    curiosity.strength = 0.0
    assert curiosity.evaluate(rows).tolist() == [0.125]


def test_both_losses_of_curiosity_and_their_weights_are_as_worked_by_hand():
    curiosity, rows = by_hand(), batch([0.0], [1.0], [[2.0]], [[0]])
    curiosity.optimizer = torch.optim.SGD(curiosity.network.parameters(), lr=1.0)
    assert curiosity.update(rows) == {
        "Losses/Curiosity Forward Loss": pytest.approx((SILU - 0.5) ** 2 / 2),
        "Losses/Curiosity Inverse Loss": pytest.approx(4.0 + math.log(3)),
    }
    # dL_F/dc = c - phi', times 10 * 0.2;  dL_I/d(number) = 2 (0 - 2), d/d(logits) = p - onehot, times 10 * 0.8
    assert curiosity.network.forward_model[-1].bias.item() == pytest.approx(0.5 - 2 * (0.5 - SILU))
    assert curiosity.network.inverse[-1].bias.tolist() == pytest.approx([32.0, 16 / 3, -8 / 3, -8 / 3], rel=1e-5)


@pytest.mark.parametrize("actions", KINDS)
@pytest.mark.parametrize("kind", [Curiosity, RND])
def test_what_is_seen_again_and_again_becomes_dull_and_the_new_stays_interesting(kind, actions):
    spec = BehaviorSpec([vector_sensor(2, "x"), vector_sensor(1, "y")], actions)
    made = signal(kind, spec, network_settings=NetworkSettings(hidden_units=16, normalize=True), learning_rate=0.003)
    draws = torch.Generator().manual_seed(1)

    def rows(shift, n=64):
        now, after = ((torch.randn(n, 2, generator=draws) * 0.1 + shift, torch.ones(n, 1)) for _ in range(2))
        continuous = torch.zeros(n, actions.continuous_size)
        discrete = torch.zeros(n, actions.discrete_size, dtype=torch.int64)
        return batch(now, after, continuous.tolist(), discrete.tolist())

    made.update(rows(0.0))
    first = made.evaluate(rows(0.0)).mean()
    for _ in range(300):
        metrics = made.update(rows(0.0))
    assert made.evaluate(rows(0.0)).mean() < 0.3 * first
    assert made.evaluate(rows(2.0)).mean() > 3 * made.evaluate(rows(0.0)).mean()
    assert all(math.isfinite(value) for value in metrics.values())


def explorer(*kinds, seed=3):
    spec = Corridor.spec
    network = NetworkSettings(hidden_units=32, num_layers=1)
    rates = {Curiosity: (0.97, 0.05, 1e-3), RND: (0.9, 0.2, 2e-3)}  # gamma, strength, learning rate
    signals = [lambda generator: Extrinsic(gamma=0.97, strength=1.0)] + [
        signal_maker(kind, spec, gamma=gamma, strength=strength, learning_rate=rate, network_settings=network)
        for kind, (gamma, strength, rate) in rates.items()
        if kind in kinds
    ]
    return make(
        PPOTrainer, spec, signals, seed=seed, batch_size=128, buffer_size=1280, learning_rate=3e-3,
        learning_rate_schedule="constant", beta=0.01,
    )  # fmt: skip


@pytest.mark.parametrize(("kinds", "solves"), [((), False), ((Curiosity,), True), ((RND,), True)])
def test_a_corridor_whose_only_reward_is_far_is_solved_by_who_looks_for_the_new(kinds, solves):
    loop = Loop(explorer(*kinds), Corridor(32)).run(32_000)
    ends = sum(loop.rewards[-80:]) / 80 * Corridor.LENGTH  # arrivals per agent in as many steps as the way takes
    assert (ends > 0.5) == solves, ends
    if kinds:
        tag = kinds[0].__name__.title()
        assert {f"Policy/{tag} Reward", f"Policy/{tag} Value Estimate"} <= set(loop.metrics)


@pytest.mark.parametrize("kind", [Curiosity, RND])
def test_an_explorer_that_resumed_learns_what_one_that_never_stopped_does(kind):
    loop = Loop(explorer(kind), Corridor(32)).run(2000)
    loop.trainer.forget()
    resumed = explorer(kind, seed=9)
    resumed.load_state_dict(through_a_file(loop.trainer.state_dict()))
    resumed.generator.set_state(loop.trainer.generator.get_state())
    both = [Loop(trainer, Corridor(32), step=loop.step).run(3000) for trainer in (loop.trainer, resumed)]
    one, other = (each.trainer.state_dict() for each in both)
    assert torch.equal(both[0].trainer.policy.head.weight, both[1].trainer.policy.head.weight)
    names = [name for name in one if "Signal" in name]
    assert len(names) >= 2
    for name in names:
        assert str(one[name]) == str(other[name]), name
    assert both[0].metrics.keys() == both[1].metrics.keys()
