"""What acts: from observations to actions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.data.minibatches import steps_of
from mlagents.nn.body import NetworkBody
from mlagents.nn.distributions import Categorical, Distribution, Gaussian, Hybrid, SquashedGaussian
from mlagents.nn.fast_actor import FastActor
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.sensors import critic_only
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec

LOG_SIGMA = (-20.0, 2.0)  # the range of log sigma where it depends on the state


class Policy(nn.Module):
    """Any network that answers agents. A subclass writes `forward`, and `observe` where it normalizes.

    It keeps no state between calls: what it remembers goes in and comes out as `memory`.
    """

    exports: ClassVar[bool] = True
    """Is a model written for Unity? False trains without one."""
    memory_size: int = 0
    """M, the number of float32 that each agent remembers from one decision to the next."""

    def __init__(self, spec: BehaviorSpec, *, deterministic: bool = False) -> None:
        """deterministic: never explore, whatever `act` is asked."""
        super().__init__()
        if not spec.action_spec.continuous_size and not spec.action_spec.discrete_size:
            raise UnsupportedNetwork("the behavior takes no actions: there is nothing to learn")
        self.spec = spec
        self.continuous = spec.action_spec.continuous_size
        self.branches = tuple(spec.action_spec.discrete_branches)
        self.deterministic = deterministic
        self.unseen: tuple[str, ...] = ()  # names of sensors that only the critic sees
        self.generator: torch.Generator | None = None  # of samples; None: torch's global one
        self._action_space: type[Distribution] | None = None

    @abstractmethod
    def forward(self, input: PolicyInput) -> tuple[Distribution, Tensor]:
        """Return what may be done in each of n rows, and the (n, M) memory afterwards."""

    def distribution(self, input: PolicyInput) -> Distribution:
        """Return what may be done in each of n rows."""
        distribution: Distribution = self(input)[0]
        return distribution

    @torch.no_grad()
    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return sampled actions; without `explore`, or where the settings say so, the most probable ones."""
        distribution, memory = self(input)
        explore = explore and not self.deterministic
        action = distribution.sample(self.generator) if explore else distribution.mode()
        log_prob, entropy = distribution.evaluate(action)
        return PolicyOutput(action, log_prob, entropy, memory)

    def evaluate(self, input: PolicyInput, action: Actions) -> tuple[Tensor, Tensor]:
        """Return (n, C + B) log probabilities of `action` and (n,) entropies, with gradients."""
        return self.distribution(input).evaluate(action)

    def evaluate_sequences(self, input: PolicyInput, action: Actions, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `evaluate` does, with gradients through the memory of each sequence.

        sequence: (n,) the number of each row's sequence. A sequence begins with the memory that its first row had when
        it acted; each later row gets what the policy remembers now. Every row is a real one: there is no padding.
        """
        steps, found = [], []
        for rows, distribution in self.along_sequences(input, sequence):
            steps.append(rows)
            found.append(distribution.evaluate(action[rows]))
        back = torch.argsort(torch.cat(steps))
        log_prob, entropy = (torch.cat(column)[back] for column in zip(*found, strict=True))
        return log_prob, entropy

    def along_sequences(self, input: PolicyInput, sequence: Tensor) -> Iterator[tuple[Tensor, Distribution]]:
        """Yield the numbers of some rows and what may be done there, until each row came once; see above."""
        steps = steps_of(sequence)
        memory = input.memory[steps[0]]
        for rows in steps:
            distribution, memory = self(replace(input[rows], memory=memory[: len(rows)]))
            yield rows, distribution

    @property
    def action_space(self) -> type[Distribution]:
        """The class of distribution whose `to_env` and `from_env` translate continuous actions."""
        if self._action_space is None:
            with torch.no_grad():
                distribution = self.distribution(self.blank_input(1))
            self._action_space = type(distribution.continuous if isinstance(distribution, Hybrid) else distribution)
        return self._action_space

    def blank_input(self, n: int) -> PolicyInput:
        """Return n rows of zeros, on the policy's device, with everything allowed and nothing remembered."""
        device = next(iter(self.parameters()), torch.zeros(0, device="cpu")).device
        obs = tuple(torch.zeros((n, *sensor.shape), device=device) for sensor in self.spec.observation_specs)
        mask = torch.ones((n, sum(self.branches)), dtype=torch.bool, device=device)
        return PolicyInput(obs, mask, torch.zeros((n, self.memory_size), device=device))

    def env_action(self, action: Actions) -> Actions:
        """Return what the environment gets for sampled actions."""
        return self.action_space.to_env(action)

    def from_env_action(self, action: Actions) -> Actions:
        """Return the sampled actions for which the environment gets these: the inverse of `env_action`."""
        return self.action_space.from_env(action)

    @property
    def normalizes(self) -> bool:
        """Does it scale observations by what it has seen, so that `observe` is to be called?"""
        return type(self).observe is not Policy.observe

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let a normalizer see more rows; obs: one (n, *shape) per sensor."""


class Actor(Policy):
    """A Gaussian for continuous actions and one categorical per discrete branch, on one body and one head.

    The head's outputs are the means first, then the logits of each branch. Sensors that are for the critic only are not
    looked at. A subclass that reads them otherwise writes
    `from_output`; one with networks of its own extends `Policy`.
    """

    def __init__(self, spec: BehaviorSpec, settings: NetworkSettings) -> None:
        super().__init__(spec, deterministic=settings.deterministic)
        self.unseen = critic_only(spec.observation_specs, settings)
        self.body = NetworkBody(spec.observation_specs, settings, remembers=True, unseen=self.unseen)
        self.memory_size = self.body.memory.size if self.body.memory is not None else 0
        self.head = self._make_head()
        self.log_sigma = nn.Parameter(torch.zeros(1, self.continuous))
        self._fast: FastActor | None = None  # made when the first agents are answered

    @torch.no_grad()
    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        if type(self) is Actor:
            if self._fast is None:
                self._fast = FastActor(self)
            if self._fast.applies(input):
                return self._fast.act(input, explore=explore and not self.deterministic)
        return super().act(input, explore=explore)

    def _make_head(self) -> nn.Linear:
        head = linear(self.body.width, self.continuous + sum(self.branches), 0.1)
        with torch.no_grad():
            head.weight[: self.continuous] *= 2  # means begin twice as wide as logits, as in Unity's trainers
        return head

    def forward(self, input: PolicyInput) -> tuple[Distribution, Tensor]:
        if self.body.memory is None:
            return self.from_output(self.body(input, self.head), input.mask), input.memory
        features, memory = self.body.features(input)
        return self.from_output(self.head(features), input.mask), memory

    def along_sequences(self, input: PolicyInput, sequence: Tensor) -> Iterator[tuple[Tensor, Distribution]]:
        memory = self.body.memory
        if memory is None or type(self).forward is not Actor.forward:
            yield from super().along_sequences(input, sequence)
            return
        hidden, steps = self.body.hidden(self.body.inputs(input)), steps_of(sequence)  # all rows at once
        found = [step.features for step in memory.walk(hidden, input.memory[steps[0]], steps)]
        order = torch.cat(steps)
        yield order, self.from_output(self.head(torch.cat(found)), input.mask[order])

    def from_output(self, output: Tensor, mask: Tensor) -> Distribution:
        """Return what the head's (n, C + K) output means; mask: (n, K) bool, True = allowed."""
        if not self.branches:
            return Gaussian(output, self.log_sigma)
        discrete = Categorical(output[:, self.continuous :], mask, self.branches)
        if not self.continuous:
            return discrete
        return Hybrid(Gaussian(output[:, : self.continuous], self.log_sigma), discrete)

    @property
    def normalizes(self) -> bool:
        return self.body.normalizer is not None

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        self.body.observe(obs)


class SquashedActor(Actor):
    """A tanh-squashed Gaussian whose deviation depends on the state, and one categorical per branch.

    The head's outputs are the means, the log deviations, then the logits.
    """

    def __init__(self, spec: BehaviorSpec, settings: NetworkSettings) -> None:
        super().__init__(spec, settings)
        del self.log_sigma  # it depends on the state
        size = self.continuous
        self.head = linear(self.body.width, 2 * size + sum(self.branches), 0.1)
        with torch.no_grad():
            self.head.weight[: 2 * size] *= 2

    def from_output(self, output: Tensor, mask: Tensor) -> Distribution:
        size = self.continuous
        mean, log_sigma, logits = output[:, :size], output[:, size : 2 * size], output[:, 2 * size :]
        discrete = Categorical(logits, mask, self.branches) if self.branches else None
        if not size:
            assert discrete is not None
            return discrete
        continuous = SquashedGaussian(mean, log_sigma.clamp(*LOG_SIGMA))
        return continuous if discrete is None else Hybrid(continuous, discrete)
