"""Are the parts of a trainer what they must be? Asked once, before anything is learned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from mlagents.algorithms.author import TrainerError, check_rows
from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.distributions import Distribution
from mlagents.nn.policy import Actor, Policy
from mlagents.nn.values import Critic

ROWS = 3  # that a network is asked


def check_policy(policy: Policy) -> None:
    """Raise TrainerError unless a policy's answers have the shapes that training needs."""
    if type(policy) is Actor:
        return
    name, n = type(policy).__name__, ROWS
    with _asking(policy):
        answer = policy(policy.blank_input(n))
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Distribution)):
            raise TrainerError(
                f"{name}.forward must return a Distribution and the memory afterwards, but returned {_shown(answer)}; "
                "a policy without memory returns input.memory"
            )
        distribution, memory = answer
        check_rows(f"the memory of {name}.forward", memory, (n, policy.memory_size))
        action = distribution.mode()
        kind = type(distribution).__name__
        if not isinstance(action, Actions):
            raise TrainerError(f"{kind}.mode must return Actions, but returned {_shown(action)}")
        for half, size in (("continuous", policy.continuous), ("discrete", len(policy.branches))):
            check_rows(f"{name}: the {half} actions of {kind}", getattr(action, half), (n, size))
        log_prob, entropy = distribution.evaluate(action)
        check_rows(f"{name}: {kind}.log_prob", log_prob, (n, policy.continuous + len(policy.branches)))
        check_rows(f"{name}: {kind}.entropy", entropy, (n,))


def check_unseen(policy: Policy) -> None:
    """Raise TrainerError for a policy that looks at a sensor which is for the critic only.

    It is asked twice, with random observations of which those of one sensor change in between.
    """
    if not policy.unseen:
        return
    blank = policy.blank_input(ROWS)
    rng = torch.Generator(blank.memory.device).manual_seed(0)
    obs, others = (tuple(torch.empty_like(x).normal_(generator=rng) for x in blank.obs) for _ in range(2))
    with _asking(policy):
        answer, memory = policy(replace(blank, obs=obs))
        action = answer.mode()
        before = (*answer.evaluate(action), memory)
        for i, sensor in enumerate(policy.spec.observation_specs):
            if sensor.name not in policy.unseen:
                continue
            answer, memory = policy(replace(blank, obs=(*obs[:i], others[i], *obs[i + 1 :])))
            after = (*answer.evaluate(action), memory)
            if not all(torch.allclose(*pair, equal_nan=True) for pair in zip(before, after, strict=True)):
                raise TrainerError(
                    f"{type(policy).__name__} looks at the sensor '{sensor.name}', which is for the critic only "
                    "(network_settings.critic_only); make its network with NetworkBody(..., unseen=setup.critic_only)"
                )


def check_critic(critic: nn.Module, input: PolicyInput, signals: int) -> None:
    """Raise TrainerError unless a critic has one value per row and reward signal. input: of ROWS rows."""
    if type(critic) is Critic:
        return
    with _asking(critic):
        value = critic(input)
    check_rows(f"the value of {type(critic).__name__}", value, (len(input), signals))


@contextmanager
def _asking(network: nn.Module) -> Iterator[None]:
    """Ask a network without a trace: no gradients, and no statistics of batches."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def _shown(answer: object) -> str:
    if isinstance(answer, tuple):
        return f"({', '.join(_shown(part) for part in answer)})"
    return f"a tensor of shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
