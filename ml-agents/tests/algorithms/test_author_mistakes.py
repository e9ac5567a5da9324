"""Mistakes of authors are reported in a sentence with the class, the hook and the line, at the start where possible."""

import inspect
import logging

import pytest
import torch
from author_runs import make, train
from torch import nn

from mlagents.algorithms.author import TrainerError
from mlagents.api import (
    ActionCritic,
    Actor,
    Categorical,
    Gaussian,
    OffPolicyTrainer,
    OnPolicyTrainer,
    Policy,
    RewardSignal,
    RewardSignalSettings,
    SignalSetup,
)
from mlagents.conformance.subject import CONTINUOUS, ONE_BRANCH
from mlagents.conformance.tasks import CopyTask

FILE = "test_author_mistakes.py"
CONTINUOUS_TASK, TASK = CopyTask(CONTINUOUS.actions), CopyTask(ONE_BRANCH.actions)


def fails(kind, task=CONTINUOUS_TASK, rows=400, **options):
    """Train until a mistake is reported, and return the sentence."""
    with pytest.raises(TrainerError) as caught:
        train(make(kind, task.spec, **options), task, rows)
    return str(caught.value)


def line_of(function, words):
    """Return where these words stand."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if words in line)


class Plain(OnPolicyTrainer):
    """Something that learns."""

    def loss(self, batch):
        log_prob, _ = self.evaluate(batch)
        value = (batch.returns - self.values(batch)).pow(2).mean()
        return {"policy": -(log_prob.sum(1) * batch.advantage).mean(), "value": value}


class Fitting(OffPolicyTrainer):
    """Fits values of actions to rewards."""

    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.critic = ActionCritic(setup, beside=self.policy.body, twins=1)
        self.optimizer = self.make_optimizer(list(self.critic.parameters()))

    def update(self, batch):
        loss = (self.critic(batch.input, batch.action) - batch.returns).pow(2).mean()
        self.take_step(self.optimizer, loss)
        return {"Losses/Fit": loss.item()}


@pytest.mark.parametrize("kind", [Plain, Fitting])
def test_the_healthy_twins_of_what_follows_learn(kind):
    assert train(make(kind, CONTINUOUS_TASK.spec), CONTINUOUS_TASK, 600)[1]


def test_a_missing_hook_is_said():
    assert "has no loss: an OnPolicyTrainer writes loss(batch)" in fails(type("Bare", (OnPolicyTrainer,), {}))
    assert "has no update: an OffPolicyTrainer writes update(batch)" in fails(type("Bare", (OffPolicyTrainer,), {}))


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda value: {"value": value.pow(2)}, r"Odd.loss: the term 'value' has shape (64, 1); it must be a single"),
        (lambda value: {"value": 0.5}, "Odd.loss: the term 'value' is float; it must be a tensor of a single number"),
        (lambda value: value.mean(), "Odd.loss must return a dict of scalars by name, but returned Tensor"),
        (lambda value: None, "Odd.loss must return a dict of scalars by name, but returned NoneType"),
        (lambda value: {}, "Odd.loss returned no terms"),
        (lambda value: {"value": value.detach().mean()}, "Odd: the loss depends on no parameter that is learned"),
    ],
)
def test_what_is_no_loss_is_refused(returned, words):
    class Odd(OnPolicyTrainer):
        def loss(self, batch):
            return returned(self.values(batch))

    assert words in fails(Odd)


def test_a_loss_of_take_step_must_be_a_scalar_too():
    class Odd(Fitting):
        def update(self, batch):
            self.take_step(self.optimizer, (self.critic(batch.input, batch.action) - batch.returns).pow(2))

    assert "Odd: the loss of take_step has shape (1, 32, 1); it must be a single number" in fails(Odd)


class Stretched(Plain):
    def loss(self, batch):
        error = batch.advantage - self.values(batch)  # (n,) beside (n, 1)
        return {"policy": super().loss(batch)["policy"], "spread": error.pow(2).mean()}


class StretchedInTorch(Plain):
    def loss(self, batch):
        error = nn.functional.mse_loss(self.values(batch), batch.advantage)
        return {"policy": super().loss(batch)["policy"], "spread": error}


@pytest.mark.parametrize(("kind", "words"), [(Stretched, "error = "), (StretchedInTorch, "error = ")])
def test_a_column_beside_a_row_is_found_with_its_term_and_line(kind, words):
    place = f"at {FILE}, line {line_of(kind, words)}"
    said = fails(kind)
    assert f"{kind.__name__}.loss: the term 'spread' stretches (64,) beside (64, 1) to (64, 64)" in said
    assert place in said


class StretchedUpdate(Fitting):
    def update(self, batch):
        error = self.critic(batch.input, batch.action)[0] - batch.returns[:, 0]
        self.take_step(self.optimizer, error.pow(2).mean())
        return {}


def test_a_column_beside_a_row_is_found_in_an_update_too():
    said = fails(StretchedUpdate)
    assert "StretchedUpdate.update stretches (32,) beside (32, 1)" in said
    assert f"line {line_of(StretchedUpdate, 'error = ')}" in said


class CrashingLoss(Plain):
    def loss(self, batch):
        return {"value": batch.no_such_column}


class CrashingUpdate(Fitting):
    def update(self, batch):
        return helper(batch)


def helper(batch):
    return {"Losses/Fit": 1 / (len(batch) - 32)}


class CrashingForward(Plain):
    class Network(Actor):
        def forward(self, input):
            return super().forward(input)[5]

    def make_policy(self, setup):
        return self.Network(setup.spec, setup.network)


class CrashingMakePolicy(Plain):
    def make_policy(self, setup):
        return setup.nothing


class CrashingSchedule(Plain):
    def make_schedules(self, max_steps):
        return {"learning_rate": lambda step: 1 / (step if step < 300 else 0)} if max_steps else {}


class CrashingReceive(Fitting):
    def receive(self, tick):
        raise KeyError("lane")


@pytest.mark.parametrize(
    ("kind", "hook", "function", "words", "cause"),
    [
        (CrashingLoss, "CrashingLoss.loss", CrashingLoss, "no_such_column", "AttributeError: "),
        (CrashingUpdate, "CrashingUpdate.update", helper, "1 / ", "ZeroDivisionError: division by zero"),
        (CrashingForward, "Network.forward", CrashingForward, "[5]", "IndexError: tuple index out of range"),
        (CrashingMakePolicy, "CrashingMakePolicy.make_policy", CrashingMakePolicy, "nothing", "AttributeError: "),
        (CrashingSchedule, "<lambda>", CrashingSchedule, "lambda", "ZeroDivisionError: "),
        (CrashingReceive, "CrashingReceive.receive", CrashingReceive, "raise", "KeyError: 'lane'"),
    ],
)
def test_a_crash_names_the_class_the_hook_the_file_and_the_line(kind, hook, function, words, cause):
    said = fails(kind, rows=600)
    assert f"{hook} failed at {FILE}, line {line_of(function, words)}: {cause}" in said
    assert said.endswith("The whole traceback is shown with --debug.")


def test_a_gradient_that_cannot_be_computed_is_a_sentence():
    class InPlace(Plain):
        def loss(self, batch):
            value = self.values(batch).exp()
            loss = value.pow(2).mean()
            value.add_(1)
            return {"value": loss}

    assert "InPlace: the gradient of the loss cannot be computed: one of the variables needed" in fails(InPlace)


@pytest.mark.parametrize(
    ("base", "hook", "words"),
    [
        (OnPolicyTrainer, "update", "Lost has a method 'update': that is a hook of OffPolicyTrainer"),
        (OffPolicyTrainer, "loss", "an OffPolicyTrainer writes update(batch)"),
        (OffPolicyTrainer, "make_critic", "Lost has a method 'make_critic': that is a hook of OnPolicyTrainer"),
    ],
)
def test_a_hook_of_the_other_template_is_refused_by_its_name(base, hook, words):
    with pytest.raises(TypeError) as caught:
        type("Lost", (base,), {hook: lambda self, batch: {}})
    assert words in str(caught.value)


class Hidden(Fitting):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self._extra = nn.Linear(2, 2)
        self.extra_optimizer = self.make_optimizer(list(self._extra.parameters()))


class HiddenInAList(Fitting):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self._extras = [nn.Linear(2, 2), {"b": nn.Linear(2, 2)}]
        self.optimizers = [self.make_optimizer(list(self._extras[1]["b"].parameters()))]


class HiddenOptimizer(Fitting):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self._again = self.make_optimizer(list(self.critic.parameters()))


class Unnamed(Fitting):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.more_optimizer = self.make_optimizer([nn.Parameter(torch.zeros(7))])


class LeftOut(Plain):
    def modules(self):
        return {"Policy": self.policy}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Hidden, "_extra.weight"), (HiddenInAList, "_extras 1 b.weight"), (HiddenOptimizer, "_again"),
        (Unnamed, "one of shape (7,)"), (LeftOut, "critic.body.layers.0.weight"),
    ],
)  # fmt: skip
def test_what_learns_and_would_be_in_no_checkpoint_is_refused_at_the_start(kind, name):
    with pytest.raises(TrainerError) as caught:
        make(kind, CONTINUOUS_TASK.spec)
    assert f"{kind.__name__}: an optimizer changes, or is, " in str(caught.value)
    assert name in str(caught.value)


class Odd(Actor):
    """Returns what the test says."""

    answer = staticmethod(lambda policy, distribution, memory: (distribution, memory))

    def forward(self, input):
        return self.answer(self, *super().forward(input))


class OneMean(Odd):
    def from_output(self, output, mask):
        return Gaussian(output[:, :1], self.log_sigma[:, :1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda self, distribution, memory: distribution, "Odd.forward must return a Distribution and the memory"),
        (lambda self, distribution, memory: (memory, memory), "but returned (a tensor of shape (3, 0), a tensor"),
        (lambda self, distribution, memory: (distribution, None), "the memory of Odd.forward must be a tensor of"),
        (lambda self, distribution, memory: (distribution, torch.zeros(1, 0)), "must have shape (3, 0), but has (1, 0)"),
    ],
)
def test_a_policy_that_answers_in_another_shape_is_refused_at_the_start(answer, words):
    class Trainer(Plain):
        def make_policy(self, setup):
            policy = Odd(setup.spec, setup.network)
            policy.answer = lambda *given: answer(*given)
            return policy

    with pytest.raises(TrainerError) as caught:
        make(Trainer, CONTINUOUS_TASK.spec)
    assert words in str(caught.value)


def test_a_policy_with_too_few_actions_or_none_is_refused_at_the_start():
    class Few(Plain):
        def make_policy(self, setup):
            return OneMean(setup.spec, setup.network)

    class Nobody(Plain):
        def make_policy(self, setup):
            return nn.Linear(2, 2)

    with pytest.raises(TrainerError, match=r"OneMean: the continuous actions of Gaussian must have shape \(3, 2\)"):
        make(Few, CONTINUOUS_TASK.spec)
    with pytest.raises(TrainerError, match=r"Nobody.make_policy must return a Policy, but returned Linear"):
        make(Nobody, CONTINUOUS_TASK.spec)


def test_a_critic_with_a_value_per_row_but_no_column_is_refused_at_the_start():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, input):
            return input.obs[0].sum(1) * self.weight

    class Trainer(Plain):
        def make_critic(self, setup):
            return Flat()

    with pytest.raises(TrainerError, match=r"the value of Flat must have shape \(3, 1\), but has \(3,\)"):
        make(Trainer, CONTINUOUS_TASK.spec)


def signal(kind, name="mine"):
    return [kind(SignalSetup(name, TASK.spec, torch.device("cpu"), torch.Generator()), RewardSignalSettings())]


class WideSignal(RewardSignal):
    def evaluate(self, batch):
        return batch.rows.reward[:, None]


class SilentSignal(RewardSignal):
    pass


class CrashingSignal(WideSignal):
    def evaluate(self, batch):
        return batch.rows.reward

    def update(self, batch):
        return batch.nothing


@pytest.mark.parametrize("kind", [Plain, Fitting])
@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (WideSignal, "WideSignal.evaluate must have shape"),
        (SilentSignal, "SilentSignal has no evaluate: a RewardSignal writes evaluate(batch)"),
        (CrashingSignal, f"CrashingSignal.update failed at {FILE}, line "),
    ],
)
def test_mistakes_in_a_reward_signal_are_said(kind, reward, words):
    assert words in fails(kind, signals=signal(reward))


def test_a_parameter_group_must_follow_a_schedule_that_there_is():
    class Lost(Plain):
        def make_optimizer(self, parameters):
            return torch.optim.SGD([{"params": parameters, "schedule": "slow"}], lr=0.1)

    class Bare(Plain):
        def make_schedules(self, max_steps):
            return {}

    with pytest.raises(TrainerError, match="Optimizer follows the schedule 'slow', but make_schedules has only learning"):
        make(Lost, TASK.spec)
    with pytest.raises(TrainerError, match="follows the schedule 'learning_rate', but make_schedules has only none"):
        make(Bare, TASK.spec)


class Healthy(Policy):
    """A policy of one's own with statistics of batches."""

    def __init__(self, setup):
        super().__init__(setup.spec)
        size = sum(sensor.shape[0] for sensor in setup.spec.observation_specs)
        self.layers = nn.Sequential(nn.Linear(size, 8), nn.BatchNorm1d(8), nn.Linear(8, sum(self.branches)))

    def forward(self, input):
        return Categorical(self.layers(torch.cat(input.obs, 1)), input.mask, self.branches), input.memory


def test_being_looked_at_leaves_no_trace_in_a_healthy_policy(caplog):
    class Trainer(Plain):
        def make_policy(self, setup):
            return Healthy(setup)

    with caplog.at_level(logging.WARNING):
        policy = make(Trainer, TASK.spec).policy
    assert policy.training
    assert policy.layers[1].num_batches_tracked == 0
    assert not caplog.records
