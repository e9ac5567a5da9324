import pytest
import torch

from mlagents.algorithms.base import Batch, OnPolicyTrainer, TrainerSetup
from mlagents.algorithms.by_hand import Minibatch, _Step
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import PPOSettings
from mlagents.data.experience import Experience, PolicyInput
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor


def trainer(action):
    torch.manual_seed(3)
    spec = BehaviorSpec([vector_sensor(5, "seen")], action)
    settings = PPOSettings(batch_size=32, num_epoch=2, learning_rate=1e-2, beta=0.05)
    network = NetworkSettings(hidden_units=16, num_layers=2, normalize=True)
    return PPOTrainer(TrainerSetup(spec, network, [Extrinsic(gamma=0.9, strength=1.0)], 1000), settings)


def batch(made, n=100):
    torch.manual_seed(5)
    size = sum(made.policy.branches)
    mask = torch.rand(n, size) < 0.7
    first = 0
    for branch in made.policy.branches:
        mask[:, first] = True
        first += branch
    made.policy.observe((torch.randn(50, 5) * 3,))
    asked = PolicyInput((torch.randn(n, 5) * 3,), mask, torch.zeros(n, 0))
    output = made.policy.act(asked)
    with torch.no_grad():  # as if the policy had changed since: some ratios are clipped
        made.policy.head.bias += 0.3 * torch.randn_like(made.policy.head.bias)
        made.policy.log_sigma += 0.2
    number, flag = torch.zeros(n), torch.zeros(n, dtype=torch.bool)
    rows = Experience(asked, output, number, number.long(), number, flag, flag)
    return Batch(rows, torch.randn(n), torch.randn(n, 1))


SPACES = {
    "continuous": ActionSpec.create_continuous(3),
    "one branch": ActionSpec.create_discrete((4,)),
    "unequal branches": ActionSpec.create_discrete((2, 5, 3)),
    "hybrid": ActionSpec.create_hybrid(2, (3, 2)),
}


@pytest.mark.parametrize("space", SPACES)
def test_the_walk_by_hand_equals_autograd(space):
    by_hand, reference = trainer(SPACES[space]), trainer(SPACES[space])
    rows, same_rows = batch(by_hand), batch(reference)
    torch.manual_seed(7)
    got = by_hand.descend(rows)
    torch.manual_seed(7)
    want = OnPolicyTrainer.descend(reference, same_rows)
    assert got == pytest.approx(want, rel=1e-3, abs=1e-5)
    for mine, theirs in zip(by_hand.policy.parameters(), reference.policy.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3)
    for mine, theirs in zip(by_hand.critic.parameters(), reference.critic.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3)


@pytest.mark.parametrize("space", SPACES)
def test_gradients_by_hand_equal_those_of_autograd(space):
    made = trainer(SPACES[space])
    rows = batch(made)
    sum(made.loss(rows).values()).backward()
    parameters = [p for p in (*made.policy.parameters(), *made.critic.parameters()) if p.grad is not None]
    want = [p.grad.clone() for p in parameters]
    action = rows.rows.output.action
    _Step(made)(
        Minibatch(
            made.policy.body.encode(rows.rows.input.obs).numpy(), action.continuous.numpy(), action.discrete.numpy(),
            rows.rows.input.mask.numpy(), rows.rows.output.log_prob.numpy(), rows.advantage.numpy()[:, None],
            rows.returns.numpy(),
        )
    )  # fmt: skip
    for parameter, gradient in zip(parameters, want, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-5, rtol=1e-3)


class Smooth(PPOTrainer):
    def loss(self, batch):
        return {**super().loss(batch), "smooth": 1e-3 * self.policy.head.weight.pow(2).sum()}


def test_a_loss_of_ones_own_is_descended_too():
    torch.manual_seed(3)
    spec = BehaviorSpec([vector_sensor(5, "seen")], ActionSpec.create_continuous(3))
    setup = TrainerSetup(spec, NetworkSettings(hidden_units=8), [Extrinsic(gamma=0.9, strength=1.0)], 1000)
    made = Smooth(setup, PPOSettings(batch_size=32))
    assert made.descend(batch(made))["smooth"] > 0
