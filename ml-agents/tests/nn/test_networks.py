import copy
import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn import distributions, fast
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.normalize import Normalizer
from mlagents.nn.policy import Actor
from mlagents.nn.settings import NetworkSettings
from mlagents.nn.values import Critic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import vector_sensor

SENSORS = [vector_sensor(3, "near"), vector_sensor(2, "far")]


def vectors(name):
    shared = Path(os.environ.get("MLAGENTS_SPEC", Path(__file__).parents[4] / "shared" / "spec"))
    file = shared / "reference-vectors.json"
    if not file.is_file():
        pytest.skip("no reference vectors here")
    return json.loads(file.read_text())[name]


def actor(action, **settings):
    return Actor(BehaviorSpec(SENSORS, action), NetworkSettings(hidden_units=16, **settings))


def asked(n, allowed=None, size=0):
    mask = torch.ones(n, size, dtype=torch.bool) if allowed is None else allowed
    return PolicyInput((torch.randn(n, 3), torch.randn(n, 2)), mask, torch.zeros(n, 0))


def test_the_walk_in_numpy_equals_autograd():
    body, head = NetworkBody(SENSORS, NetworkSettings(hidden_units=16, num_layers=3)), linear(16, 4, 1.0)
    parameters = [*body.parameters(), *head.parameters()]
    x = torch.randn(9, 5, requires_grad=True)
    grad_out = torch.randn(9, 4)
    quick = body(PolicyInput.of((x[:, :3], x[:, 3:])), head)
    got = torch.autograd.grad((quick * grad_out).sum(), [x, *parameters])
    slow = body.reference(x, head)
    want = torch.autograd.grad((slow * grad_out).sum(), [x, *parameters])
    assert torch.allclose(quick, slow, atol=1e-6)
    for mine, theirs in zip(got, want, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_walk_without_gradients_says_the_same():
    body, head = NetworkBody(SENSORS, NetworkSettings(hidden_units=16)), linear(16, 4, 1.0)
    x = torch.randn(9, 5)
    with torch.no_grad():
        quick = body(PolicyInput.of((x[:, :3], x[:, 3:])), head)
    assert torch.allclose(quick, body.reference(x, head), atol=1e-6)


def test_the_gaussian_in_numpy_equals_autograd():
    mean, log_sigma, action = torch.randn(6, 3), torch.randn(1, 3), torch.randn(6, 3)
    results = []
    for function in (fast.gaussian, slow_gaussian):
        m, s = mean.clone().requires_grad_(), log_sigma.clone().requires_grad_()
        log_prob, entropy = function(m, s, action)
        (log_prob.pow(2).sum() + 3 * entropy.sum()).backward()
        results.append((log_prob.detach(), entropy.detach(), m.grad, s.grad))
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def slow_gaussian(mean, log_sigma, action):
    sigma = log_sigma.exp()
    return distributions.gaussian_log_prob(mean, sigma, action), distributions.gaussian_entropy(sigma)


def test_the_normalizer_equals_the_numbers_of_the_official_trainers():
    known = vectors("normalizer")
    normalizer = Normalizer(2)
    for batch in (known["batch1"], known["batch2"]):
        normalizer.update(torch.tensor(batch))
    assert normalizer.normalization_steps.item() == known["steps"]
    assert normalizer.running_mean.tolist() == pytest.approx(known["mean"])
    assert normalizer.running_variance.tolist() == pytest.approx(known["variance_sum"])
    assert normalizer(torch.tensor(known["query"])).flatten().tolist() == pytest.approx(known["output"][0], abs=1e-5)


def test_the_gaussian_equals_the_numbers_of_the_official_trainers():
    known = vectors("gaussian")
    mean, sigma, action = (torch.tensor(known[name]) for name in ("mean", "std", "action"))
    assert torch.allclose(
        distributions.gaussian_log_prob(mean, sigma, action), torch.tensor(known["log_prob"]), atol=1e-4
    )
    assert distributions.gaussian_entropy(sigma).tolist() == pytest.approx(
        [row[0] for row in known["entropy"]], abs=1e-5
    )
    told = actor(ActionSpec.create_continuous(2)).env_action(Actions(action, torch.zeros(2, 0)))
    assert torch.allclose(told.continuous, torch.tensor(known["env_action"]), atol=1e-5)


def test_the_categorical_equals_the_numbers_of_the_official_trainers():
    known = vectors("categorical")
    for logits, mask, probs, logs, entropy in zip(
        *(known[name] for name in ("logits", "mask", "probs", "all_log_prob", "entropy")), strict=True
    ):
        kept = distributions.masked(torch.tensor(logits), torch.tensor(mask).bool())
        (probs,) = distributions.probabilities(kept, (kept.shape[1],))
        assert probs[0].tolist() == pytest.approx(probs[0], abs=1e-5)
        for choice, log in enumerate(logs[0]):
            got = distributions.categorical_log_prob([probs], torch.tensor([[choice]]))
            assert got.item() == pytest.approx(log, abs=1e-4)
        assert distributions.categorical_entropy([probs]).item() == pytest.approx(entropy[0][0], abs=1e-5)


def test_a_forbidden_action_is_never_taken():
    policy = actor(ActionSpec.create_discrete((2, 3)))
    allowed = torch.tensor([[True, False, False, True, False]]).expand(500, 5)
    for explore in (True, False):
        choice = policy.act(asked(500, allowed), explore=explore).action.discrete
        assert choice.unique(dim=0).tolist() == [[0, 1]]


def test_each_branch_is_drawn_by_its_own_chances():
    policy = actor(ActionSpec.create_discrete((2, 3)))
    choice = policy.act(asked(2000, size=5)).action.discrete
    assert choice.max(0).values.tolist() == [1, 2]
    assert torch.bincount(choice[:, 1]).min() > 400


def test_hybrid_actions_have_a_log_probability_per_dimension_and_branch():
    policy = actor(ActionSpec.create_hybrid(2, (3, 2)))
    output = policy.act(asked(5, size=5))
    assert output.action.continuous.shape == (5, 2)
    assert output.action.discrete.shape == (5, 2)
    assert output.log_prob.shape == (5, 4)
    assert output.entropy.shape == (5,)


@pytest.mark.parametrize(
    "action", [ActionSpec.create_continuous(2), ActionSpec.create_discrete((3, 2)), ActionSpec.create_hybrid(1, (4,))]
)
def test_what_was_answered_is_judged_the_same_afterwards(action):
    policy = actor(action, normalize=True)
    question = asked(6, size=sum(action.discrete_branches))
    output = policy.act(question)
    log_prob, entropy = policy.evaluate(question, output.action)
    assert torch.allclose(log_prob, output.log_prob, atol=1e-5)
    assert torch.allclose(entropy, output.entropy, atol=1e-5)


def test_without_exploring_the_answer_is_always_the_same():
    policy = actor(ActionSpec.create_hybrid(2, (3,)))
    question = asked(6, size=3)
    first, second = (policy.act(question, explore=False).action for _ in range(2))
    assert torch.equal(first.continuous, second.continuous)
    assert torch.equal(first.discrete, second.discrete)


def test_a_deterministic_policy_never_explores():
    policy = actor(ActionSpec.create_continuous(2), deterministic=True)
    question = asked(6)
    assert torch.equal(policy.act(question).action.continuous, policy.act(question).action.continuous)


def test_agents_do_not_influence_each_other():
    policy = actor(ActionSpec.create_continuous(2))
    question = asked(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    together = policy.act(question, explore=False).action.continuous
    assert torch.allclose(policy.act(question[order], explore=False).action.continuous, together[order], atol=1e-6)


def test_nobody_can_be_asked():
    output = actor(ActionSpec.create_hybrid(2, (3,))).act(asked(0, size=3))
    assert output.action.continuous.shape == (0, 2)
    assert output.action.discrete.shape == (0, 1)


def test_the_critic_has_a_head_for_each_signal_and_shares_the_normalizer():
    policy = actor(ActionSpec.create_continuous(2), normalize=True)
    settings = NetworkSettings(hidden_units=16, normalize=True)
    critic = Critic(policy.spec, settings, ["extrinsic", "curiosity"], beside=policy.body)
    assert critic(PolicyInput.of((torch.randn(4, 3), torch.randn(4, 2)))).shape == (4, 2)
    assert critic.body.normalizer is policy.body.normalizer
    assert critic.body.layers[0] is not policy.body.layers[0]


def test_what_cannot_be_encoded_is_refused_by_name():
    matrix = ObservationSpec((8, 4), (DimensionProperty.NONE,) * 2, ObservationType.DEFAULT, "Table")
    sentence = r"sensor 'Table' has shape \(8, 4\), and its axes say NONE, NONE: nothing encodes that; make it a vector"
    with pytest.raises(UnsupportedNetwork, match=sentence):
        Actor(BehaviorSpec([matrix], ActionSpec.create_continuous(1)), NetworkSettings())
    with pytest.raises(UnsupportedNetwork, match="see nothing"):
        Actor(BehaviorSpec([], ActionSpec.create_continuous(1)), NetworkSettings())
    with pytest.raises(UnsupportedNetwork, match="takes no actions"):
        actor(ActionSpec(0, ()))


def test_a_copied_network_goes_its_own_way():
    policy = actor(ActionSpec.create_continuous(2))
    question = asked(4)
    before = policy.act(question, explore=False).action.continuous
    twin = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 1.0
    assert torch.equal(policy.act(question, explore=False).action.continuous, before)
    assert not torch.allclose(twin.act(question, explore=False).action.continuous, before)
    twin.double().float()
    assert not torch.allclose(twin.act(question, explore=False).action.continuous, before)


class Halved(nn.Linear):
    def forward(self, x):
        return 0.5 * super().forward(x)


def replace_a_layer(body, head):
    body.layers[0] = Halved(3, 8)


def change_a_class(body, head):
    body.layers[1].__class__ = Halved


def hook_in(body, head):
    body.layers[1].register_forward_hook(lambda layer, x, y: y + 1)


def replace_a_parameter(body, head):
    head.weight = nn.Parameter(torch.randn(2, 8))


def move_a_parameter(body, head):
    body.layers[0].weight.data = 3 * body.layers[0].weight.data


def patch_a_method(body, head):
    head.forward = lambda x: torch.ones(len(x), 2)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    "change", [replace_a_layer, change_a_class, hook_in, replace_a_parameter, move_a_parameter, patch_a_method]
)
def test_what_an_author_changes_in_a_network_is_never_passed_over(change, grad):
    spec = [vector_sensor(3, "seen")]
    body, head = NetworkBody(spec, NetworkSettings(hidden_units=8, num_layers=2)), nn.Linear(8, 2)
    obs = (torch.randn(5, 3),)
    with torch.set_grad_enabled(grad):
        before = body(PolicyInput.of(obs), head)
        change(body, head)
        after = body(PolicyInput.of(obs), head)
        assert torch.allclose(after, body.reference(obs[0], head), atol=1e-6)
        assert not torch.allclose(after, before, atol=1e-3)
