"""Behavioral cloning beside both templates: numbers worked by hand, experts that are imitated, and what a resume keeps."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_tasks import Echo, Loop, make, record, through_a_file
from torch import nn

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import BehavioralCloningSettings
from mlagents.data.experience import Actions
from mlagents.nn.distributions import EpsilonGreedy, Gaussian
from mlagents.nn.policy import Actor, Policy
from mlagents.rewards.signal import Extrinsic
from mlagents.settings.options import BehavioralCloningSettings as FromOptions
from mlagents_envs.exception import DemonstrationException

sys.path.insert(0, str(Path(__file__).parents[1] / "authors"))
from tanh_sac import TanhSACTrainer

RATES = {"learning_rate": 3e-3, "learning_rate_schedule": "constant", "batch_size": 64, "buffer_size": 256}


@pytest.fixture
def made(tmp_path):
    """A function that makes a trainer that clones an expert of an environment like this one."""

    def make_one(env, kind=PPOTrainer, given=RATES, seed=1, rows=200, **cloning):
        actions = env.spec.action_spec
        path = tmp_path / f"{actions.continuous_size}{actions.discrete_branches}{rows}.demo"
        if not path.exists():
            record(path, Echo(1, 5, actions.continuous_size, actions.discrete_branches), rows)
        settings = BehavioralCloningSettings(demo_path=str(path), **cloning)
        return make(
            kind, env.spec, [lambda _: Extrinsic(gamma=0.9, strength=0.0)], seed=seed, cloning=settings, **given
        )

    return make_one


def error(policy, env):
    """Return how often choices are wrong, and how far numbers are off."""
    input = policy.blank_input(env.agents)
    input.obs[0].copy_(env.obs())
    action, right = policy.env_action(policy.act(input, explore=False).action), env.expert()
    wrong = (action.discrete != right.discrete).float().mean() if action.discrete.shape[1] else 0.0
    return float(wrong), float((action.continuous - right.continuous).abs().mean()) if right.continuous.shape[
        1
    ] else 0.0


def test_the_loss_is_as_worked_by_hand(made):
    trainer = made(Echo(4, branches=(4, 2)), rows=6)
    with torch.no_grad():
        trainer.policy.head.weight.zero_()
        trainer.policy.head.bias.copy_(torch.tensor([0.3, math.log(2), 0, 0, 0, math.log(3), 0]))
    cloning = trainer.cloning
    cloning.rows = replace(cloning.rows, output=replace(cloning.rows.output, action=Actions(
        torch.tensor([[0.5], [0.1], [0.3], [0.3], [0.3], [0.3]]), torch.tensor([[0, 0], [1, 0]] + [[0, 1]] * 4)
    )))  # fmt: skip
    # of the first two rows: (0.04 + 0.04) / 2, and -(log 2/5 + log 3/4 + log 1/5 + log 3/4) / 4
    expected = 0.04 - (math.log(2 / 5) + math.log(3 / 4) + math.log(1 / 5) + math.log(3 / 4)) / 4
    assert cloning.loss(torch.tensor([0, 1])).item() == pytest.approx(expected, rel=1e-5)


def test_recorded_actions_are_those_that_the_environment_got(made):
    trainer = made(Echo(4), rows=50)
    recorded = trainer.policy.env_action(trainer.cloning.rows.output.action).continuous
    assert recorded.abs().max() <= 0.5
    assert torch.allclose(recorded[:, 0], 0.5 * trainer.cloning.rows.input.obs[0][:, 4], atol=1e-6)


@pytest.mark.parametrize(("kind", "continuous", "branches"), [
    (PPOTrainer, 0, (4,)), (PPOTrainer, 1, ()), (PPOTrainer, 2, (4, 4)), (TanhSACTrainer, 1, ()),
])  # fmt: skip
def test_an_expert_is_cloned_without_any_reward(made, kind, continuous, branches):
    env = Echo(32, 0, continuous, branches)
    given = RATES if kind is PPOTrainer else {**RATES, "steps_per_update": 64.0, "init_entcoef": 0.01}
    trainer = made(env, kind, given)
    before = error(trainer.policy, Echo(500, 7, continuous, branches))
    sigma = getattr(trainer.policy, "log_sigma", None)
    widths = None if sigma is None else sigma.detach().clone()
    loop = Loop(trainer, env).run(5000)
    wrong, off = error(trainer.policy, Echo(500, 7, continuous, branches))
    assert wrong < 0.02 and off < 0.1
    assert max(before) > 0.15
    assert loop.metrics["Losses/Pretraining Loss"] < 0.2
    if widths is not None and continuous:
        assert (trainer.policy.log_sigma - widths).abs().max() < 0.5  # exploration was not learned away


@pytest.mark.parametrize(
    ("cloning", "steps"),
    [
        ({"batch_size": 50, "num_epoch": 1}, 4),
        ({"batch_size": 50}, 12),  # PPO's three epochs
        ({}, 9),  # and its batches of 64
        ({"batch_size": 50, "num_epoch": 2, "samples_per_update": 100}, 4),
        ({"batch_size": 50, "num_epoch": 2, "samples_per_update": 10}, 2),  # less than a batch is one
        ({"batch_size": 500, "num_epoch": 1}, 1),  # more than there are is all
    ],
)
def test_so_many_steps_are_taken_in_one_update(made, cloning, steps):
    trainer, taken = made(Echo(4), **cloning), []
    trainer.cloning._take_step = lambda optimizer, loss: taken.append(loss)
    trainer.cloning.update(0)
    assert len(taken) == steps


def test_imitation_fades_in_a_straight_line_and_ends(made):
    trainer = made(Echo(4), steps=1000, strength=0.5)
    weights, rates = trainer.policy.head.weight, []
    for step in (0, 500, 999, 1000, 2000):
        before = weights.detach().clone()
        loss = trainer.cloning.update(step)
        rates.append(trainer.cloning.optimizer.param_groups[0]["lr"])
        assert (loss > 0) == (not torch.equal(before, weights)) == (step < 1000)
    assert rates[:3] == pytest.approx([0.0015, 0.00075, 0.0000015], rel=1e-3)


def test_it_is_called_once_per_update_on_policy_and_once_per_gradient_step_off_policy(made):
    class Idle(OffPolicyTrainer):
        def update(self, batch):
            return {}

    for kind, rows, updates in ((PPOTrainer, 1024, 3), (Idle, 100, 36)):
        trainer, steps = made(Echo(4), kind), []
        trainer.cloning.update = lambda step, steps=steps: steps.append(step) or 0.5
        loop = Loop(trainer, Echo(4)).run(rows)
        assert len(steps) == updates
        assert loop.metrics["Losses/Pretraining Loss"] == 0.5


@pytest.mark.parametrize("kind", [PPOTrainer, TanhSACTrainer])
def test_a_cloner_that_resumed_learns_what_one_that_never_stopped_does(made, kind):
    given = RATES if kind is PPOTrainer else {**RATES, "save_replay_buffer": True, "steps_per_update": 32.0}
    env = (0, 1, ())
    loop = Loop(made(Echo(16, *env), kind, given), Echo(16, *env)).run(600)
    loop.trainer.forget()
    resumed = made(Echo(16, *env), kind, given, seed=8)
    resumed.load_state_dict(through_a_file(loop.trainer.state_dict()))
    resumed.generator.set_state(loop.trainer.generator.get_state())
    one, other = (
        Loop(trainer, Echo(16, 3, 1, ()), step=600).run(600).trainer for trainer in (loop.trainer, resumed)
    )  # fmt: skip
    assert torch.equal(one.policy.head.weight, other.policy.head.weight)
    assert str(one.cloning.optimizer.state_dict()) == str(other.cloning.optimizer.state_dict())


class Remembering(Policy):
    """Answers with the number that it saw a row before."""

    memory_size = 1

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, input):
        return Gaussian(input.memory * self.weight, torch.zeros(1, 1)), input.obs[0][:, 4:]


class RememberingTrainer(PPOTrainer):
    def make_policy(self, setup):
        return Remembering(setup.spec)


def test_a_policy_with_memory_is_walked_along_the_episodes_that_were_recorded(made):
    trainer = made(Echo(4, 0, 1, ()), RememberingTrainer, {**RATES, "learning_rate": 0.1}, num_epoch=30)
    cloning = trainer.cloning
    rows, seen = cloning.rows, torch.linspace(-1, 1, len(cloning.rows))
    before = torch.cat([torch.zeros(1), seen[:-1]])
    before[::4] = 0  # four rows an episode: the first remembers nothing
    ends = torch.arange(len(rows)) % 4 == 3
    obs = torch.cat([torch.zeros(len(rows), 4), seen[:, None]], 1)
    action = Actions(2 * before[:, None], rows.output.action.discrete)
    cloning._recorded = replace(rows, input=replace(rows.input, obs=(obs,)), done=ends)
    cloning.rows = replace(cloning._recorded, output=replace(rows.output, action=action))
    cloning.update(0)
    assert trainer.policy.weight.item() == pytest.approx(2.0, abs=0.05)


class Numb(Gaussian):
    def mode(self):
        action = super().mode()
        return Actions(action.continuous.detach(), action.discrete)


class NumbActor(Actor):
    def from_output(self, output, mask):
        return Numb(output, self.log_sigma)


class NumbTrainer(PPOTrainer):
    def make_policy(self, setup):
        return NumbActor(setup.spec, setup.network)


class GreedyActor(Actor):
    def from_output(self, output, mask):
        return EpsilonGreedy(output, mask, self.branches, 0.1)


class GreedyTrainer(PPOTrainer):
    def make_policy(self, setup):
        return GreedyActor(setup.spec, setup.network)


@pytest.mark.parametrize(
    ("kind", "env", "words"),
    [
        (NumbTrainer, (0, 1, ()), r"mode\(\) of Numb has no gradient"),
        (GreedyTrainer, (0, 0, (4,)), r"log_prob\(\) of EpsilonGreedy has no gradient"),
    ],
)
def test_a_distribution_without_gradients_is_a_mistake_that_is_named(made, kind, env, words):
    trainer = made(Echo(4, *env), kind)
    with pytest.raises(TrainerError, match=words):
        trainer.cloning.update(0)


def test_a_demonstration_of_other_agents_is_refused_with_what_differs(made, tmp_path):
    made(Echo(4))
    path = next(tmp_path.glob("*.demo"))
    with pytest.raises(
        DemonstrationException,
        match=r"^behavioral_cloning.demo_path: .*it has 1 continuous actions; the behavior has 0",
    ):
        make(PPOTrainer, Echo(4, continuous=0).spec, cloning=BehavioralCloningSettings(demo_path=str(path)))
    with pytest.raises(DemonstrationException, match=r"^behavioral_cloning.demo_path: there is no demonstration"):
        make(PPOTrainer, Echo(4).spec, cloning=BehavioralCloningSettings(demo_path="none.demo"))


def test_its_settings_are_still_found_among_the_options():
    assert FromOptions is BehavioralCloningSettings
