import math

import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.nn import conditioning
from mlagents.nn.body import NetworkBody
from mlagents.nn.conditioning import GoalLayer
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.settings import NetworkSettings


def unchanged(layer, x, goal):
    """Return what a goal layer says, row by row."""
    rows = [row @ layer.matrix(own[None])[0] + layer.bias for row, own in zip(x, goal, strict=True)]
    return torch.stack(rows)


@pytest.mark.parametrize("goals", [1, 2, 50])
def test_rows_that_share_a_goal_share_its_weights(goals):
    layer, x = GoalLayer(5, 8, 3), torch.randn(50, 5)
    goal = torch.randn(goals, 3)[torch.arange(50) % goals]
    want = unchanged(layer, x, goal)
    assert torch.allclose(layer(x, goal), want, atol=1e-6)
    grad_out = torch.randn(50, 8)
    got = torch.autograd.grad((layer(x, goal) * grad_out).sum(), list(layer.parameters()))
    for mine, theirs in zip(got, torch.autograd.grad((want * grad_out).sum(), list(layer.parameters())), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_many_goals_pass_in_parts_while_nothing_is_learnt(monkeypatch):
    monkeypatch.setattr(conditioning, "AT_ONCE", 16)
    layer, x, goal = GoalLayer(5, 8, 3), torch.randn(50, 5), torch.randn(50, 3)
    with torch.no_grad():
        assert torch.allclose(layer(x, goal), unchanged(layer, x, goal), atol=1e-6)


def test_a_goal_layer_has_the_layers_of_unitys_trainers():
    layer = GoalLayer(5, 8, 3)
    assert sum(p.numel() for p in layer.parameters()) == (3 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 5 * 8 + 8
    assert layer.weights.weight.abs().max() <= math.sqrt(1 / (5 * 8))
    assert not layer.weights.bias.any()
    assert not layer.bias.any()


@pytest.mark.parametrize(("layers", "conditioned"), [(1, 0), (2, 1), (3, 2), (0, 0)])
def test_only_the_last_layer_is_steered(layers, conditioned, sensors):
    settings = NetworkSettings(hidden_units=16, num_layers=layers)
    body = NetworkBody([sensors.vector(4), sensors.vector(2, "Goal", goal=True)], settings)
    assert len(body.layers) == conditioned
    assert isinstance(body.conditioned, GoalLayer)
    assert not body.is_mlp


def test_a_goal_changes_the_answer_also_through_its_own_network(sensors):
    body = NetworkBody(
        [sensors.vector(4), sensors.vector(2, "Goal", goal=True)], NetworkSettings(hidden_units=16, num_layers=1)
    )
    head, x = linear(16, 2, 1.0), torch.randn(1, 6)
    seen, meant = x[:, :4], torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    one, other = (body(PolicyInput.of((seen, goal[None])), head) for goal in meant)
    assert not torch.allclose(one, other, atol=1e-3)
    weights = body.conditioned.matrix(meant)
    assert not torch.allclose(weights[0], weights[1], atol=1e-3)


def test_without_conditioning_a_goal_is_seen_like_anything_else(sensors):
    goal = [sensors.vector(4), sensors.vector(2, "Goal", goal=True)]
    body = NetworkBody(goal, NetworkSettings(hidden_units=16, goal_conditioning_type="none"))
    assert body.conditioned is None
    assert body.is_mlp
    assert len(body.layers) == 2


@pytest.mark.parametrize("pictured", [False, True])
def test_gradients_reach_every_parameter(pictured, sensors):
    goal = sensors.image(1, 20, 20, name="Goal", goal=True) if pictured else sensors.vector(2, "Goal", goal=True)
    body = NetworkBody([sensors.image(3, 20, 20), goal, sensors.vector(3)], NetworkSettings(hidden_units=16))
    obs = (torch.rand(5, 3, 20, 20), torch.rand(5, *goal.shape), torch.randn(5, 3))
    assert body.goal(body.encode(obs)).shape == (5, 16 if pictured else 2)
    body(PolicyInput.of(obs), linear(16, 2, 1.0)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in body.parameters())


def test_a_set_cannot_be_a_goal(sensors):
    several = [sensors.entities(4, 3, "Wishes", goal=True), sensors.vector(2)]
    with pytest.raises(UnsupportedNetwork, match="sensor 'Wishes' is a goal signal of variable length"):
        NetworkBody(several, NetworkSettings())
    NetworkBody(several, NetworkSettings(goal_conditioning_type="none"))
