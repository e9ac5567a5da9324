"""A policy as a player of evaluations: numpy in, numpy out, and nothing of training is touched."""

from __future__ import annotations

import numpy as np
import torch

from mlagents.collect.acting import ActingPolicy
from mlagents.data.experience import PolicyInput
from mlagents.envs.steps import Array
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionTuple


class PolicyPlayer:
    """Plays a copy of a policy as it is now; what it draws comes from a generator of its own."""

    def __init__(self, policy: Policy, *, deterministic: bool, seed: int) -> None:
        """deterministic: the most probable actions. seed: of those that are drawn otherwise."""
        self._policy = ActingPolicy(policy).snapshot().policy.eval()
        assert self._policy.generator is not None  # a snapshot has its own
        self._policy.generator.manual_seed(seed)
        self._device = self._policy.generator.device
        self._explore = not deterministic
        self.memory_size = policy.memory_size

    def act(self, obs: tuple[Array, ...], mask: Array, memory: Array) -> tuple[ActionTuple, Array]:
        """Return the actions of n agents and their (n, M) memory; see `mlagents.evaluation.play.Player`."""
        input = PolicyInput(tuple(map(self._tensor, obs)), self._tensor(mask), self._tensor(memory))
        output = self._policy.act(input, explore=self._explore)
        action = self._policy.env_action(output.action)
        continuous, discrete = action.continuous.cpu().numpy(), action.discrete.cpu().numpy().astype(np.int32)
        return ActionTuple(continuous, discrete), output.memory.cpu().numpy()

    def _tensor(self, column: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(column)).to(self._device)
