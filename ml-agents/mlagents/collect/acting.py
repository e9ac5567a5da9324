"""Who answers agents, apart from who learns: the newest policy, or a snapshot of it, on any device."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np
import torch

from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.nn.policy import Policy


class Acting(Protocol):
    """What answers agents."""

    @property
    def memory_size(self) -> int:
        """M, the number of float32 that each agent remembers from one decision to the next."""

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return actions for n agents, with their log probabilities."""

    def env_action(self, action: Actions) -> Actions:
        """Return what the environment gets for these actions."""


class ActingPolicy:
    """A policy and the version of its weights: how many times its trainer had learned.

    That of the newest policy is the trainer's own network, whose weights and version go on. A snapshot stays as it is.
    """

    def __init__(self, policy: Policy, *, version: int = 0, device: torch.device | None = None) -> None:
        """device: where the policy's weights lie; None: where its input lies."""
        self.policy = policy
        self.version = version
        self._device = device

    @property
    def memory_size(self) -> int:
        """M, that of the policy."""
        return self.policy.memory_size

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return actions for n agents, where the input lies."""
        device = self._device
        if device is None or (here := input.mask.device) == device:
            return self.policy.act(input, explore=explore)
        output = self.policy.act(input.map(lambda column: column.to(device)), explore=explore)
        return output.map(lambda column: column.to(here))

    def env_action(self, action: Actions) -> Actions:
        """Return what the environment gets for these actions."""
        return self.policy.env_action(action)

    def snapshot(self, device: torch.device | str | None = None) -> ActingPolicy:
        """Return a copy that nobody trains, which draws from a generator of its own; it leaves this one's as it is.

        device: where it acts; None: where this one does. Copies of equal versions on equal devices draw equally.
        """
        own = next(iter(self.policy.parameters())).device
        to = own if device is None else torch.device(device)
        drawn_from = self.policy.generator
        seed = drawn_from.initial_seed() if drawn_from is not None else torch.initial_seed()
        (word,) = np.random.SeedSequence([seed, self.version + 1]).generate_state(1, np.uint32)
        generator = torch.Generator(to).manual_seed(int(word))
        policy = copy.deepcopy(self.policy, {id(drawn_from): generator}).to(to).requires_grad_(False)
        policy.generator = generator
        return ActingPolicy(policy, version=self.version, device=to)
