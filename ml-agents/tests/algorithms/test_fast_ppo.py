from importlib import import_module

import numpy as np
import pytest
import torch

from mlagents.algorithms import fast_ppo, flat
from mlagents.algorithms.fast_ppo import Losses, Minibatch, _parameters, applies
from mlagents.algorithms.flat import FlatParameters
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.data.experience import Experience, PolicyInput
from mlagents.nn import walk
from mlagents.nn.body import NetworkBody
from mlagents.nn.policy import Actor
from mlagents.nn.settings import NetworkSettings
from mlagents.nn.values import Critic
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

NETWORK = NetworkSettings(hidden_units=16, num_layers=2, normalize=True)


def trainer(action, signals=1):
    torch.manual_seed(3)
    spec = BehaviorSpec([vector_sensor(5, "seen")], action)
    settings = PPOSettings(batch_size=32, num_epoch=2, learning_rate=1e-2, beta=0.05)
    rewards = [Extrinsic(gamma=0.9, strength=1.0) for _ in range(signals)]
    return PPOTrainer(TrainerSetup(spec, NETWORK, rewards, 1000), settings)


def batch(made, n=100, sizes=(5,)):
    torch.manual_seed(5)
    size = sum(made.policy.branches)
    mask = torch.rand(n, size) < 0.7
    first = 0
    for branch in made.policy.branches:
        mask[:, first] = True
        first += branch
    made.policy.observe(tuple(torch.randn(50, size) * 3 for size in sizes))
    asked = PolicyInput(tuple(torch.randn(n, size) * 3 for size in sizes), mask, torch.zeros(n, 0))
    output = made.policy.act(asked)
    with torch.no_grad():  # as if the policy had changed since: some ratios are clipped
        made.policy.head.bias += 0.3 * torch.randn_like(made.policy.head.bias)
        made.policy.log_sigma += 0.2
    number, flag = torch.zeros(n), torch.zeros(n, dtype=torch.bool)
    rows = Experience(asked, output, number, number.long(), number, flag, flag)
    return Batch(rows, torch.randn(n), torch.randn(n, len(made.signals)))


SPACES = {
    "continuous": ActionSpec.create_continuous(3),
    "one branch": ActionSpec.create_discrete((4,)),
    "unequal branches": ActionSpec.create_discrete((2, 5, 3)),
    "hybrid": ActionSpec.create_hybrid(2, (3, 2)),
}


@pytest.mark.parametrize("space", SPACES)
def test_the_walk_by_hand_equals_autograd(space):
    saved, reference = trainer(SPACES[space]), trainer(SPACES[space])
    rows, same_rows = batch(saved), batch(reference)
    torch.manual_seed(7)
    got = saved.descend(rows)
    torch.manual_seed(7)
    want = OnPolicyTrainer.descend(reference, same_rows)
    assert got == pytest.approx(want, rel=1e-3, abs=1e-5)
    for mine, theirs in zip(saved.policy.parameters(), reference.policy.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3)
    for mine, theirs in zip(saved.critic.parameters(), reference.critic.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3)


@pytest.fixture(params=["numba", "numpy"])
def arithmetic(request, monkeypatch):
    """One and the other implementation of the kernels."""
    if request.param == "numba":
        pytest.importorskip("numba")
    module = import_module(f"mlagents.nn.kernels_{request.param}")
    for user in (fast_ppo, flat, walk):
        monkeypatch.setattr(user, "kernels", lambda: module)


def columns(made, rows):
    action = rows.action
    return Minibatch(
        made.policy.body.encode(rows.input.obs).numpy(), action.continuous.numpy(), action.discrete.numpy(),
        rows.input.mask.numpy(), rows.log_prob.numpy(), rows.advantage.numpy(), rows.returns.numpy(),
    )  # fmt: skip


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("signals", [1, 3])
def test_gradients_by_hand_equal_those_of_autograd(arithmetic, space, signals):
    made = trainer(SPACES[space], signals)
    rows = batch(made)
    losses = made.loss(rows)
    sum(losses.values()).backward()
    parameters = [p for p in (*made.policy.parameters(), *made.critic.parameters()) if p.grad is not None]
    want = [p.grad.clone() for p in parameters]
    with FlatParameters(_parameters(made)) as memory:
        got = Losses(made, memory, made.VALUE_WEIGHT)(columns(made, rows))
        for parameter, gradient in zip(parameters, want, strict=True):
            assert torch.allclose(parameter.grad, gradient, atol=1e-5, rtol=1e-3)
    assert got == pytest.approx([loss.item() for loss in losses.values()], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("part", ["x", "old", "advantage", "returns"])
@pytest.mark.parametrize("space", ["continuous", "unequal branches"])
def test_a_number_that_is_none_is_seen_in_the_losses_or_the_gradients(arithmetic, part, space):
    made = trainer(SPACES[space])
    whole = columns(made, batch(made))
    broken = getattr(whole, part).copy()
    broken.flat[7] = np.nan
    with FlatParameters(_parameters(made)) as memory:
        losses = Losses(made, memory, made.VALUE_WEIGHT)(whole._replace(**{part: broken}))
        assert not (np.isfinite(losses).all() and np.isfinite(memory.gradients).all())


def test_parameters_have_memory_of_their_own_again_after_the_walk():
    made = trainer(ActionSpec.create_hybrid(2, (3, 2)))
    rows, owned = batch(made), [p.data_ptr() for p in made.policy.parameters()]
    before = made.policy.act(rows.input, explore=False).action.continuous
    made.descend(rows)
    assert [p.data_ptr() for p in made.policy.parameters()] == owned
    assert all(p.grad is None for p in made.policy.parameters())
    assert not torch.equal(made.policy.act(rows.input, explore=False).action.continuous, before)


def test_parameters_are_whole_after_an_authors_error():
    made = trainer(ActionSpec.create_continuous(3))
    rows, owned = batch(made), [p.data_ptr() for p in made.critic.parameters()]
    made.update_signals = lambda chosen: 1 / 0
    with pytest.raises(ZeroDivisionError):
        made.descend(rows)
    assert [p.data_ptr() for p in made.critic.parameters()] == owned


def amsgrad(made):
    made.optimizer = torch.optim.Adam(made.optimizer.param_groups[0]["params"], lr=1e-2, amsgrad=True)


def decayed(made):
    made.optimizer.param_groups[0]["weight_decay"] = 0.1


def gradient_descent(made):
    made.optimizer = torch.optim.SGD(made.optimizer.param_groups[0]["params"], lr=1e-2)


def half_a_step(made):
    usual = made.step
    made.step = lambda optimizer: (made.policy.head.weight.grad.mul_(0.5), usual(optimizer))


def hooked_optimizer(made):
    def nothing(*given):
        made.critic.head.weight.grad.zero_()

    made.optimizer.register_step_pre_hook(nothing)


@pytest.mark.parametrize("change", [amsgrad, decayed, gradient_descent, half_a_step, hooked_optimizer])
def test_an_optimizer_of_an_authors_takes_its_own_steps(change, monkeypatch):
    (made, rows), (reference, same_rows) = made_twice(change=change)
    assert applies(made)
    monkeypatch.setattr(fast_ppo, "FlatAdam", None)  # must not be made
    torch.manual_seed(7)
    made.descend(rows)
    torch.manual_seed(7)
    OnPolicyTrainer.descend(reference, same_rows)
    for mine, theirs in zip(made.critic.parameters(), reference.critic.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3)


@pytest.mark.parametrize("norm", [0.0, 0.1])
def test_steps_and_moments_are_those_of_torch(arithmetic, norm):
    (made, rows), (reference, same_rows) = made_twice()
    for one in (made, reference):
        one.settings = one.settings.model_copy(update={"max_grad_norm": norm})
    for seed in (7, 8):  # the second begins with moments
        torch.manual_seed(seed)
        made.descend(rows)
        torch.manual_seed(seed)
        OnPolicyTrainer.descend(reference, same_rows)
    mine, theirs = made.optimizer.state_dict()["state"], reference.optimizer.state_dict()["state"]
    assert mine.keys() == theirs.keys()
    for number in mine:
        assert mine[number]["step"] == theirs[number]["step"] == 12
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.allclose(mine[number][moment], theirs[number][moment], atol=1e-4, rtol=0.05)


class Smooth(PPOTrainer):
    def loss(self, batch):
        return {**super().loss(batch), "smooth": 1e-3 * self.policy.head.weight.pow(2).sum()}


def test_a_loss_of_ones_own_is_descended_too():
    torch.manual_seed(3)
    spec = BehaviorSpec([vector_sensor(5, "seen")], ActionSpec.create_continuous(3))
    setup = TrainerSetup(spec, NetworkSettings(hidden_units=8), [Extrinsic(gamma=0.9, strength=1.0)], 1000)
    made = Smooth(setup, PPOSettings(batch_size=32))
    assert made.descend(batch(made))["smooth"] > 0


class Doubled(Critic):
    def forward(self, input):
        return 2 * super().forward(input)


class OwnCritic(PPOTrainer):
    def make_critic(self, setup):
        return Doubled(setup.spec, setup.network, ["extrinsic"], beside=self.policy.body)


class Wide(Actor):
    def evaluate(self, input, action):
        log_prob, entropy = super().evaluate(input, action)
        return 0.5 * log_prob, entropy


class Shifted(NetworkBody):
    def forward(self, *inputs):
        return super().forward(*inputs) + 0.1


class Scaled(torch.nn.Linear):
    def forward(self, x):
        return 0.5 * super().forward(x)


def evaluate_differently(made):
    usual = made.policy.evaluate
    made.policy.evaluate = lambda *asked: (0.5 * usual(*asked)[0], usual(*asked)[1])


def another_actor(made):
    made.policy.__class__ = Wide


def another_body(made):
    made.critic.body.__class__ = Shifted


def another_layer(made):
    made.policy.body.layers[0].__class__ = Scaled


def another_head(made):
    made.critic.head.__class__ = Scaled


def hook_on_a_layer(made):
    made.policy.body.layers[1].register_forward_hook(lambda layer, x, y: 0.5 * y)


def hook_on_the_critic(made):
    made.critic.register_forward_hook(lambda critic, x, y: y + 1)


def hook_on_a_gradient(made):
    made.policy.head.weight.register_hook(lambda gradient: 0.1 * gradient)


def frozen_layer(made):
    made.critic.body.layers[0].requires_grad_(False)


def loss_of_the_moment(made):
    made.loss = lambda batch: {"value": made.critic(batch.rows.input).pow(2).mean()}


PARTS = [
    evaluate_differently, another_actor, another_body, another_layer, another_head, hook_on_a_layer,
    hook_on_the_critic, hook_on_a_gradient, frozen_layer, loss_of_the_moment,
]  # fmt: skip
KINDS = [Smooth, OwnCritic]


def made_twice(kind=PPOTrainer, change=lambda made: None):
    found = []
    for _ in range(2):
        unchanged = trainer(ActionSpec.create_continuous(3))
        torch.manual_seed(3)
        setup = TrainerSetup(unchanged.policy.spec, NETWORK, [Extrinsic(gamma=0.9, strength=1.0)], 1000)
        made = kind(setup, unchanged.settings)
        rows = batch(made)
        change(made)
        found.append((made, rows))
    return found


@pytest.mark.parametrize(
    ("kind", "change"),
    [pytest.param(PPOTrainer, part, id=part.__name__) for part in PARTS]
    + [pytest.param(kind, lambda made: None, id=kind.__name__) for kind in KINDS],
)
def test_whatever_an_author_overrides_is_descended_by_autograd(kind, change, monkeypatch):
    (made, rows), (reference, same_rows) = made_twice(kind, change)
    monkeypatch.setattr(fast_ppo, "descend", None)  # must not be called
    torch.manual_seed(7)
    got = made.descend(rows)
    torch.manual_seed(7)
    assert got == OnPolicyTrainer.descend(reference, same_rows)
    for mine, theirs in zip(made.critic.parameters(), reference.critic.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(made.policy.parameters(), reference.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_nothing_overridden_is_walked_by_hand():
    (made, _), _ = made_twice()
    assert applies(made)


class OwnNormalizer(PPOTrainer):
    def make_critic(self, setup):
        return Critic(setup.spec, setup.network, ["extrinsic"])


@pytest.mark.parametrize(("kind", "network"), [(PPOTrainer, {"critic_only": ["hidden"]}), (OwnNormalizer, {})])
def test_a_critic_that_sees_otherwise_than_the_policy_is_walked_by_hand(kind, network, monkeypatch):
    spec = BehaviorSpec([vector_sensor(3, "seen"), vector_sensor(2, "hidden")], ActionSpec.create_hybrid(2, (3, 2)))
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        settings = NetworkSettings(hidden_units=16, normalize=True, **network)
        setup = TrainerSetup(spec, settings, [Extrinsic(gamma=0.9, strength=1.0)], 1000)
        one = kind(setup, PPOSettings(batch_size=32, num_epoch=2, learning_rate=1e-2, beta=0.05))
        rows = batch(one, sizes=(3, 2))
        one.critic.observe((torch.randn(50, 3) * 3, torch.randn(50, 2) * 3))
        made.append((one, rows))
    (hand, rows), (reference, same_rows) = made
    assert applies(hand)
    torch.manual_seed(7)
    got = hand.descend(rows)
    torch.manual_seed(7)
    assert got == pytest.approx(OnPolicyTrainer.descend(reference, same_rows), rel=1e-3, abs=1e-5)
    for network in ("policy", "critic"):
        pairs = zip(getattr(hand, network).parameters(), getattr(reference, network).parameters(), strict=True)
        assert all(torch.allclose(mine, theirs, atol=2e-3) for mine, theirs in pairs)
