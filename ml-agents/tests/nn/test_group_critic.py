"""The critic of a group: a set of members, of any size and in any order."""

import pytest
import torch

from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.groups import GroupCritic
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(3, "seen")], ActionSpec(1, (3, 2)))


def rows(n):
    discrete = torch.stack([torch.randint(size, (n,)) for size in (3, 2)], 1)
    return PolicyInput.of((torch.randn(n, 3),), torch.ones(n, 5, dtype=torch.bool)), Actions(torch.randn(n, 1), discrete)


@pytest.fixture
def critic():
    torch.manual_seed(1)
    made = GroupCritic(SPEC, NetworkSettings(hidden_units=16), ["extrinsic", "gail"])
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    made.count(torch.zeros(1, 4, dtype=torch.int64))
    return made


def judge(critic, input, action, members):
    """Return the values, and the baselines of all members, by row."""
    members = torch.tensor(members)
    group, place = torch.nonzero(members >= 0, as_tuple=True)
    value, baseline = critic.judge(input, action, members, group, place)
    by_row = torch.empty(len(input), 2)
    by_row[members[group, place]] = baseline
    return value, by_row


def test_the_order_of_mates_changes_nothing(critic):
    input, action = rows(4)
    value, baseline = judge(critic, input, action, [[0, 1, 2, 3]])
    other_value, other_baseline = judge(critic, input, action, [[2, 3, 0, 1]])
    assert torch.allclose(value, other_value, atol=1e-5) and torch.allclose(baseline, other_baseline, atol=1e-5)


def test_padding_changes_nothing(critic):
    input, action = rows(3)
    alone = judge(critic, input, action, [[0, 1, 2]])
    for members in ([[0, 1, 2, -1, -1]], [[-1, 0, -1, 1, 2]]):
        for mine, theirs in zip(alone, judge(critic, input, action, members), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5)
    together, _ = judge(critic, input, action, [[0, 1], [2, -1]])
    assert torch.allclose(together[0], critic.values(input, torch.tensor([[1, 0]]))[0], atol=1e-5)
    assert torch.allclose(together[1], critic(input)[2], atol=1e-5)


def test_a_baseline_depends_on_what_mates_do_but_not_on_what_the_agent_does(critic):
    input, action = rows(3)
    _, before = judge(critic, input, action, [[0, 1, 2]])
    action.continuous[1] += 1
    action.discrete[1] = (action.discrete[1] + 1) % 2
    value, after = judge(critic, input, action, [[0, 1, 2]])
    assert torch.allclose(before[1], after[1], atol=1e-6)
    assert (before[[0, 2]] - after[[0, 2]]).abs().min() > 1e-4
    assert torch.allclose(value, critic.values(input, torch.tensor([[0, 1, 2]])), atol=1e-6)


def test_the_baseline_of_an_agent_alone_is_its_value(critic):
    input, action = rows(3)
    value, baseline = judge(critic, input, action, [[0], [1], [2]])
    assert torch.allclose(value, baseline, atol=1e-6)
    assert torch.allclose(value, critic(input), atol=1e-6)


def test_where_actions_mean_nothing_every_baseline_is_the_value(critic):
    with torch.no_grad():  # f is g, and nothing of the action goes in
        critic.acting.weight.zero_()
        critic.acting.weight[:, :3] = critic.body.layers[0].weight
        critic.acting.bias.copy_(critic.body.layers[0].bias)
    input, action = rows(3)
    value, baseline = judge(critic, input, action, [[0, 1, 2]])
    assert torch.allclose(baseline, value.expand(3, 2), atol=1e-5)


def test_how_many_there_are_is_known_beside_the_largest_group_there_was(critic):
    assert critic.largest == 4
    critic.count(torch.tensor([[0, 1, -1, -1]]))
    assert critic.largest == 4
    critic.count(torch.tensor([[0, 1, 2, 3, 4, -1]]))
    assert critic.largest == 5
    assert critic.state_dict()["largest"] == 5  # a checkpoint has it
    seen, input = [], rows(1)[0]
    critic.head.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -1].tolist()))
    critic.values(input[torch.zeros(3, dtype=torch.int64)], torch.tensor([[0, 1, 2]]))
    assert seen[0] == pytest.approx([2 * 3 / 5 - 1])


def test_gradients_reach_every_weight(critic):
    input, action = rows(3)
    value, baseline = judge(critic, input, action, [[0, 1, 2]])
    (value.sum() + baseline.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in critic.parameters())


def test_any_width_will_do():
    critic = GroupCritic(SPEC, NetworkSettings(hidden_units=10), ["extrinsic"])
    assert critic(rows(2)[0]).shape == (2, 1)
