"""PPO's walk over a rollout with gradients written by hand: matrix products by numpy, what lies between them compiled.

For networks of Unity's usual size autograd costs several times the arithmetic. This does what `PPOTrainer.loss`,
autograd and Adam do, minibatch for minibatch, with the same random order; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlagents.algorithms.flat import FlatAdam, FlatParameters, is_plain_adam
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.template import TrainerTemplate
from mlagents.data.finite import NotFinite, check_gradients, check_losses
from mlagents.nn.body import NetworkBody
from mlagents.nn.kernels import kernels
from mlagents.nn.layers import is_exactly, is_hooked_parameter, is_plain_linear
from mlagents.nn.policy import Actor
from mlagents.nn.values import Critic
from mlagents.nn.walk import Walk

Array = NDArray[Any]
LOSSES = ("policy", "value", "entropy")
REPLACES = ("loss", "evaluate", "values", "take_step")  # of a trainer; where one is an author's, autograd is used


class Minibatch(NamedTuple):
    """Columns of n rows."""

    x: Array  # (n, inputs) encoded observations
    continuous: Array  # (n, C)
    discrete: Array  # (n, B)
    mask: Array  # (n, K)
    old: Array  # (n, C + B) log probabilities when the actions were taken
    advantage: Array  # (n,)
    returns: Array  # (n, S)
    critic_x: Array | None = None  # (n, inputs) encoded for the critic; None where it sees what the policy does

    def each(self, change: Callable[[Array], Array]) -> Minibatch:
        """Return what a function makes of every column."""
        columns: Any = (column if column is None else change(column) for column in self)
        return Minibatch(*columns)


def applies(trainer: OnPolicyTrainer) -> bool:
    """Is everything as this file knows it: vectors alone, CPU, float32, two bodies, and no part an author's own?

    Whatever is overridden, replaced, hooked into or frozen is autograd's.
    """
    actor, critic = trainer.policy, trainer.critic
    if vars(trainer).keys() & set(REPLACES):
        return False
    if not (is_exactly(actor, Actor) and is_exactly(critic, Critic)):
        return False
    assert isinstance(actor, Actor) and isinstance(critic, Critic)
    if not all(is_exactly(body, NetworkBody) and body.is_mlp for body in (actor.body, critic.body)):
        return False
    layers = [*actor.body.layers, actor.head, *critic.body.layers, critic.head]
    if not all(is_plain_linear(layer) for layer in layers):
        return False
    if critic.body is actor.body or actor.body.extra or critic.body.extra:
        return False
    if actor.log_sigma.shape != (1, actor.continuous):
        return False
    return all(_ordinary(p) for p in (*actor.parameters(), *critic.parameters()))


def _ordinary(p: torch.nn.Parameter) -> bool:
    return p.requires_grad and not is_hooked_parameter(p) and p.device.type == "cpu" and p.dtype == torch.float32


def descend(trainer: OnPolicyTrainer, batch: Batch, *, value_weight: float) -> dict[str, float]:
    """Walk the rollout `num_epoch` times; return the mean of each loss over all minibatches."""
    total = np.zeros(3)
    steps = 0
    with FlatParameters(_parameters(trainer)) as flat:
        loss = Losses(trainer, flat, value_weight)
        own_step = type(trainer).step is not TrainerTemplate.step or "step" in vars(trainer)
        adam = None
        if not own_step and is_plain_adam(trainer.optimizer, flat.parameters):
            adam = FlatAdam(trainer.optimizer, flat, trainer.settings.max_grad_norm)
        for rows, minibatch in _minibatches(trainer, batch):
            losses = loss(minibatch)
            if not math.isfinite(sum(losses) + np.vdot(flat.gradients, flat.gradients)):
                _name_fault(trainer, dict(zip(LOSSES, losses, strict=True)), batch[rows])
            total += losses
            if adam is None:
                trainer.step(trainer.optimizer)
            else:
                adam.step()
            trainer.update_signals(rows)
            steps += 1
        if adam is not None:
            adam.write_back()
    return dict(zip(LOSSES, (total / max(steps, 1)).tolist(), strict=True))


def _name_fault(trainer: OnPolicyTrainer, losses: dict[str, float], minibatch: Batch) -> None:
    """Raise NotFinite for the weight, loss or gradient that is NaN or infinite."""
    try:
        trainer.check_weights()
        check_losses(losses)
        check_gradients(_parameters(trainer), trainer.named_networks)
    except NotFinite as error:
        raise error.found_in(minibatch) from None


def _parameters(trainer: OnPolicyTrainer) -> list[torch.nn.Parameter]:
    """Return the weight and bias of each layer of the actor, those of the critic, and log sigma."""
    actor, critic = trainer.policy, trainer.critic
    assert isinstance(actor, Actor) and isinstance(critic, Critic)
    layers: list[Any] = [*actor.body.layers, actor.head, *critic.body.layers, critic.head]
    return [*(p for layer in layers for p in (layer.weight, layer.bias)), actor.log_sigma]


def _minibatches(trainer: OnPolicyTrainer, batch: Batch) -> Iterator[tuple[torch.Tensor, Minibatch]]:
    rows, actor, critic = batch.rows, trainer.policy, trainer.critic
    assert isinstance(actor, Actor) and isinstance(critic, Critic)
    same = critic.body.normalizer is actor.body.normalizer and critic.body.kinds == actor.body.kinds
    everything = Minibatch(
        x=actor.body.encode(rows.input.obs).numpy(),  # normalizers rest while we learn
        continuous=rows.output.action.continuous.numpy(),
        discrete=rows.output.action.discrete.numpy(),
        mask=rows.input.mask.numpy(),
        old=rows.output.log_prob.numpy(),
        advantage=batch.advantage.numpy(),
        returns=batch.returns.numpy(),
        critic_x=None if same else critic.body.encode(rows.input.obs).numpy(),
    )
    for _ in range(trainer.settings.num_epoch):
        chosen = list(trainer.minibatches(batch))
        order = torch.cat(chosen).numpy()  # all of an epoch at once: gathers of a whole epoch are quicker
        shuffled, start = everything.each(partial(np.take, indices=order, axis=0)), 0
        for indices in chosen:
            part = slice(start, start + len(indices))
            yield indices, shuffled.each(itemgetter(part))
            start = part.stop


class Losses:
    """Sets the gradient of every parameter for one minibatch."""

    def __init__(self, trainer: OnPolicyTrainer, flat: FlatParameters, value_weight: float) -> None:
        actor, critic = trainer.policy, trainer.critic
        assert isinstance(actor, Actor) and isinstance(critic, Critic)
        self.size, self.branches = actor.continuous, np.array(actor.branches, np.int64)
        self.epsilon, self.beta = np.float32(trainer.now["epsilon"]), np.float32(trainer.now["beta"])
        self.value_weight = value_weight
        self.kernels = kernels()
        values, gradients = flat.views(flat.values), flat.views(flat.gradients)
        stop = 2 * len(actor.body.layers) + 2
        self.actor, self.critic = (values[:stop], gradients[:stop]), (values[stop:-1], gradients[stop:-1])
        self.log_sigma, self.by_log_sigma = values[-1][0], gradients[-1][0]
        self.outputs = actor.continuous + sum(actor.branches)
        self.signals = len(critic.signals)
        self.probs = np.empty(max(self.outputs, 1), np.float32)
        self.walks: dict[int, Walks] = {}  # by the number of rows

    def __call__(self, batch: Minibatch) -> tuple[float, float, float]:
        """Return the losses of policy, value and entropy, weighted as they are added."""
        n = len(batch.x)
        if n not in self.walks:
            pulls = (np.empty((n, size), np.float32) for size in (self.outputs, self.signals))
            self.walks[n] = Walks(Walk(*self.actor, n), Walk(*self.critic, n), *pulls)
        walks = self.walks[n]
        policy, entropy = self._policy(batch, walks)
        return policy, self._value(batch, walks), -float(self.beta) * entropy

    def _value(self, batch: Minibatch, walks: Walks) -> float:
        value = walks.critic.forward(batch.x if batch.critic_x is None else batch.critic_x)
        scale = np.float32(2 * self.value_weight / value.size)
        errors: float = self.kernels.squared_error(value, batch.returns, scale, walks.by_value)
        walks.critic.backward(walks.by_value)
        return self.value_weight * errors / value.size

    def _policy(self, batch: Minibatch, walks: Walks) -> tuple[float, float]:
        output, pull, size = walks.actor.forward(batch.x), walks.by_output, self.size
        terms = len(batch.x) * batch.old.shape[1]
        share, weights = np.float32(1 / terms), (self.epsilon, self.beta)
        gains, entropy = 0.0, 0.0
        if size:
            gains, entropy = self.kernels.clipped_gaussian(
                output[:, :size], self.log_sigma, batch.continuous, batch.old[:, :size], batch.advantage,
                *weights, share, pull[:, :size], self.by_log_sigma,
            )  # fmt: skip
        if len(self.branches):
            found = self.kernels.clipped_choices(
                output[:, size:], self.branches, batch.mask, batch.discrete, batch.old[:, size:], batch.advantage,
                *weights, share, self.probs, pull[:, size:],
            )  # fmt: skip
            gains, entropy = gains + found[0], entropy + found[1]
        walks.actor.backward(pull)
        return -gains / terms, entropy


class Walks(NamedTuple):
    """Both networks for n rows, and the gradients of their outputs."""

    actor: Walk
    critic: Walk
    by_output: Array  # (n, C + K)
    by_value: Array  # (n, S)
