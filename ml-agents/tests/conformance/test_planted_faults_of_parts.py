"""Planted faults of distributions, memories, networks and reward signals; a healthy twin passes each check."""

import copy
from dataclasses import replace

import pytest
import torch
from author_runs import sample

from mlagents.algorithms.sac import SACTrainer
from mlagents.api import Actor, Capabilities, Gaussian, NetworkBody, PPOTrainer
from mlagents.conformance import (
    ConformanceError,
    acting,
    asymmetric,
    exporting,
    persistence,
    signals,
    translating,
)
from mlagents.conformance import remembering as recurrent
from mlagents.conformance.subject import CONTINUOUS, ONE_BRANCH, TWO_BRANCHES

BOUNDED = translating.the_environments_actions_are_bounded_and_translated_back
MEMORY = translating.memory_belongs_to_one_agent_and_one_sequence
EXPORTED = exporting.a_policy_is_exported_or_says_that_it_is_not
RESTORED = persistence.every_network_that_learns_is_restored
UPDATED = signals.reward_signals_that_learn_are_updated_and_saved


class Unbounded(Gaussian):
    @staticmethod
    def to_env(action):
        return action


class Unscaled(Gaussian):
    @staticmethod
    def from_env(action):
        return action


def with_distribution(kind):
    class Policy(Actor):
        def from_output(self, output, mask):
            return kind(output, self.log_sigma)

    class Trainer(PPOTrainer):
        def make_policy(self, setup):
            return Policy(setup.spec, setup.network)

    return Trainer


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Unbounded, r"must be in \[-1, 1\]|from -1 to 1"), (Unscaled, "must be the inverse of env_action, but there and back")],
)
def test_actions_beyond_bounds_and_translations_that_do_not_lead_back_are_seen(ask, kind, words):
    with pytest.raises(ConformanceError, match=words):
        ask(with_distribution(kind), BOUNDED, CONTINUOUS)
    ask(with_distribution(Gaussian), BOUNDED, CONTINUOUS)


GRUTrainer, GRUPolicy = sample("gru").GRUTrainer, sample("gru").GRUPolicy


class Mixing(GRUPolicy):
    def forward(self, input):
        mean = input.memory.mean(0, keepdim=True) if len(input) else input.memory
        return super().forward(replace(input, memory=0.5 * (input.memory + mean)))


class RunningOn(GRUPolicy):
    def evaluate_sequences(self, input, action, sequence):
        return super().evaluate_sequences(input, action, torch.zeros_like(sequence))


class Keeping(GRUPolicy):
    def act(self, input, *, explore=True):
        output = super().act(input, explore=explore)
        return replace(output, memory=output.memory + 1)


def remembering(kind):
    class Trainer(GRUTrainer):
        def make_policy(self, setup):
            return kind(setup)

    return Trainer


@pytest.mark.parametrize(
    ("kind", "question", "words"),
    [
        (Mixing, MEMORY, "must not depend on that of other agents"),
        (Mixing, acting.actions_do_not_depend_on_the_other_rows, "a statistic of the batch"),
        (RunningOn, MEMORY, "evaluate_sequences must give the log probabilities"),
        (Keeping, MEMORY, "`act` changes it"),
        (Keeping, exporting.the_exported_deterministic_output_is_the_greedy_action, "recurrent_out of the exported"),
    ],
)
def test_memory_that_leaks_is_seen(ask, kind, question, words):
    with pytest.raises(ConformanceError, match=words):
        ask(remembering(kind), question, TWO_BRANCHES)
    ask(GRUTrainer, question, TWO_BRANCHES)


class Forgetting(Actor):
    def act(self, input, *, explore=True):
        return super().act(replace(input, memory=torch.zeros_like(input.memory)), explore=explore)


class SACOfSingleRows(SACTrainer):
    def update(self, batch):
        input = replace(batch.input, memory=torch.zeros_like(batch.input.memory))
        alone = torch.arange(len(batch.sequence))
        return super().update(replace(batch, rows=replace(batch.rows, input=input), sequence=alone))


@pytest.mark.parametrize("trainer", ["forgetting", SACOfSingleRows])
def test_memory_that_is_not_used_is_seen(ask, trainer):
    question = recurrent.with_memory_it_learns_what_must_be_remembered
    with pytest.raises(ConformanceError, match="within 6000 rows the mean reward must rise 70%"):
        ask(acting_by(Forgetting) if trainer == "forgetting" else trainer, question, ONE_BRANCH)


def test_a_promise_of_memory_without_any_is_seen(ask):
    class Without(Actor):
        def __init__(self, setup):
            super().__init__(setup.spec, setup.network.model_copy(update={"memory": None}))

    question = recurrent.with_memory_it_learns_what_must_be_remembered
    with pytest.raises(ConformanceError, match=r"asks for memory, but Without has none.*memory=False"):
        ask(remembering(Without), question, ONE_BRANCH)


class Untraceable(Actor):
    def forward(self, input):
        _, memory = super().forward(input)
        scale = torch.linalg.eigvals(torch.eye(2) + 0 * input.obs[0].sum()).real.sum() / 2
        return self.from_output(self.body(input, self.head) * scale, input.mask), memory


class Honest(Untraceable):
    exports = False


def acting_by(kind):
    class Trainer(PPOTrainer):
        def make_policy(self, setup):
            return kind(setup.spec, setup.network)

    return Trainer


def test_a_policy_that_promises_a_model_and_has_none_is_seen(ask):
    with pytest.raises(ConformanceError, match="Untraceable cannot be: torch cannot trace Untraceable"):
        ask(acting_by(Untraceable), EXPORTED, TWO_BRANCHES)
    assert "exports = False" in ask(acting_by(Honest), EXPORTED, TWO_BRANCHES)


class PrivateTarget(PPOTrainer):
    """Follows its critic slowly, by a network that nobody keeps; no optimizer holds it."""

    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self._target = copy.deepcopy(self.critic)

    def descend(self, batch):
        losses = super().descend(batch)
        with torch.no_grad():
            for mine, theirs in zip(self._target.parameters(), self.critic.parameters(), strict=True):
                mine.lerp_(theirs, 0.1)
        return losses


class PublicTarget(PrivateTarget):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.target = self._target


class HalfLoaded(PPOTrainer):
    def load_state_dict(self, state):
        self.policy.load_state_dict(state["Policy"])


@pytest.mark.parametrize(
    ("trainer", "words"),
    [(PrivateTarget, r"PrivateTarget\._target\..* changed in training"), (HalfLoaded, r"HalfLoaded\.critic\.")],
)
def test_a_network_that_learns_and_is_not_restored_is_seen(ask, trainer, words):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, RESTORED, TWO_BRANCHES)
    ask(PublicTarget, RESTORED, TWO_BRANCHES)


class WithoutSignals(PPOTrainer):
    def update_signals(self, rows):
        pass


class OwnRewards(PPOTrainer):
    def rewards(self, segments):
        return segments.rows.reward[:, None].expand(-1, len(self.signals)).clone()


class ForgettingSignals(PPOTrainer):
    def load_state_dict(self, state):
        kept = [copy.deepcopy(vars(signal)) for signal in self.signals]
        super().load_state_dict(state)
        for signal, before in zip(self.signals, kept, strict=True):
            vars(signal).update(before)


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        (WithoutSignals, "must be updated, but its networks are as they were"),
        (OwnRewards, "must be asked for rewards, but was not"),
        (ForgettingSignals, "a checkpoint must hold the networks of signals"),
    ],
)
@pytest.mark.parametrize("space", [ONE_BRANCH, CONTINUOUS])
def test_a_reward_signal_that_is_passed_over_is_seen(ask, trainer, words, space):
    with pytest.raises(ConformanceError, match=words):
        ask(trainer, UPDATED, space)
    assert ask(PPOTrainer, UPDATED, space) == "probe"


def test_a_signal_of_the_trainers_own_is_looked_at_too(ask):
    novelty = sample("novelty")

    class Trainer(PPOTrainer):
        def make_signals(self, setup):
            own = novelty.NoveltySignal(
                signals.SignalSetup("novelty", setup.spec, self.device, self.generator),
                novelty.NoveltySettings(network_settings={"hidden_units": 8}),
            )
            return [*super().make_signals(setup), own]

    assert "novelty" in ask(Trainer, UPDATED, ONE_BRANCH)


PRIVILEGED = asymmetric.what_only_the_critic_sees_is_learned_from


class BlindCritic(PPOTrainer):
    def make_critic(self, setup):
        critic = super().make_critic(setup)
        sensors = setup.spec.observation_specs
        critic.body = NetworkBody(sensors, setup.network, self.policy.body.normalizer, unseen=setup.critic_only)
        return critic


class SeeingPolicy(Actor):
    def __init__(self, setup):
        super().__init__(setup.spec, setup.network)
        self.body = NetworkBody(setup.spec.observation_specs, setup.network)


class Seeing(PPOTrainer):
    def make_policy(self, setup):
        return SeeingPolicy(setup)


class Modest(Seeing):
    capabilities = Capabilities(asymmetric=False)


@pytest.mark.parametrize("space", [ONE_BRANCH, CONTINUOUS], ids=str)
def test_a_critic_that_does_not_see_what_is_its_alone_is_seen(ask, space):
    with pytest.raises(ConformanceError, match="all weights are the same whatever it shows"):
        ask(BlindCritic, PRIVILEGED, space)
    ask(PPOTrainer, PRIVILEGED, space)


@pytest.mark.parametrize("kind", [Seeing, Modest])
def test_a_trainer_that_is_refused_with_such_sensors_is_not_asked_about_them(ask, kind):
    with pytest.raises(AssertionError, match="the question was not asked"):
        ask(kind, PRIVILEGED, ONE_BRANCH)
