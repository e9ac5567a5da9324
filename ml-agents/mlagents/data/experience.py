"""The tables that travel between environments and trainers. n is the number of rows (agents)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlagents.data.rows import Rows


@dataclass(frozen=True, slots=True)
class Actions(Rows):
    """What agents do, one row per agent; an absent half has no columns."""

    continuous: Tensor  # (n, C) float32, as sampled, before any clipping
    discrete: Tensor  # (n, B) int64, one choice per branch


@dataclass(frozen=True, slots=True)
class PolicyInput(Rows):
    """What a policy is asked: one row per agent that waits for an action."""

    obs: tuple[Tensor, ...]  # one (n, *shape) per sensor
    mask: Tensor  # (n, sum of branch sizes) bool, True = allowed
    memory: Tensor  # (n, M) float32, what the policy remembers, zeros where an episode begins

    @classmethod
    def of(cls, obs: tuple[Tensor, ...], mask: Tensor | None = None, memory: Tensor | None = None) -> PolicyInput:
        """Return n rows of these observations; without a mask there are no choices, without memory nothing is kept."""
        nothing = torch.zeros((len(obs[0]), 0), device=obs[0].device)
        return cls(obs, nothing.bool() if mask is None else mask, nothing if memory is None else memory)


@dataclass(frozen=True, slots=True)
class PolicyOutput(Rows):
    """What a policy answers."""

    action: Actions
    log_prob: Tensor  # (n, C + B) float32, one per action dimension and branch
    entropy: Tensor  # (n,) float32, of the distribution the action was drawn from
    memory: Tensor  # (n, M) float32


@dataclass(frozen=True, slots=True)
class Experience(Rows):
    """Transitions: an input, its output, and what came of it."""

    input: PolicyInput
    output: PolicyOutput
    reward: Tensor  # (n,) float32
    group: Tensor  # (n,) int64, 0 = alone
    group_reward: Tensor  # (n,) float32
    done: Tensor  # (n,) bool, the episode ended here
    interrupted: Tensor  # (n,) bool, it ended by a step limit: bootstrap all the same; without done, the agent vanished
