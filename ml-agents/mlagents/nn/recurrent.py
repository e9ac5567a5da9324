"""A policy with memory, walked along sequences of rows."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mlagents.data.experience import Actions, PolicyInput
from mlagents.data.minibatches import steps_of
from mlagents.nn.policy import Policy


def evaluate_sequences(policy: Policy, input: PolicyInput, action: Actions, sequence: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `policy.evaluate` does, (n, D) and (n,), with gradients through the memory of each sequence.

    sequence: (n,) the number of each row's sequence. A sequence begins with the memory that its first row had when it
    acted; each later row gets what the policy remembers now.
    """
    steps = steps_of(sequence)
    memory = input.memory[steps[0]]
    found = []
    for rows in steps:
        distribution, memory = policy(replace(input[rows], memory=memory[: len(rows)]))
        found.append(distribution.evaluate(action[rows]))
    back = torch.argsort(torch.cat(steps))
    log_prob, entropy = (torch.cat(column)[back] for column in zip(*found, strict=True))
    return log_prob, entropy
