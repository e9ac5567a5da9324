"""PPO's walk over a rollout with gradients written by hand, in numpy, on the memory of the torch parameters.

For networks of Unity's usual size autograd costs several times the arithmetic. This does what `PPOTrainer.loss` and
autograd do, minibatch for minibatch, with the same random order; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.nn import fast
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import is_exactly, is_hooked_parameter, is_plain_linear
from mlagents.nn.policy import Actor
from mlagents.nn.values import Critic

Array = fast.Array
REPLACES = ("loss", "evaluate", "values", "take_step")  # of a trainer; where one is an author's, autograd is used


class Minibatch(NamedTuple):
    """Columns of n rows."""

    x: Array  # (n, inputs) encoded observations
    continuous: Array  # (n, C)
    discrete: Array  # (n, B)
    mask: Array  # (n, K)
    old: Array  # (n, C + B) log probabilities when the actions were taken
    advantage: Array  # (n, 1)
    returns: Array  # (n, S)


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
    same_view = critic.body.normalizer is actor.body.normalizer and critic.body.kinds == actor.body.kinds
    if not same_view or actor.log_sigma.shape != (1, actor.continuous):
        return False
    return all(_ordinary(p) for p in (*actor.parameters(), *critic.parameters()))


def _ordinary(p: torch.nn.Parameter) -> bool:
    return p.requires_grad and not is_hooked_parameter(p) and p.device.type == "cpu" and p.dtype == torch.float32


def descend(trainer: OnPolicyTrainer, batch: Batch, *, value_weight: float) -> dict[str, float]:
    """Walk the rollout `num_epoch` times; return the mean of each loss over all minibatches."""
    total = np.zeros(3)
    steps = 0
    step = _Step(trainer, value_weight)
    for rows, minibatch in _minibatches(trainer, batch):
        total += step(minibatch)
        trainer.step(trainer.optimizer)
        trainer.update_signals(rows)
        steps += 1
    return dict(zip(("policy", "value", "entropy"), (total / max(steps, 1)).tolist(), strict=True))


def _minibatches(trainer: OnPolicyTrainer, batch: Batch) -> Iterator[tuple[torch.Tensor, Minibatch]]:
    rows, actor = batch.rows, trainer.policy
    assert isinstance(actor, Actor)
    everything = Minibatch(
        x=actor.body.encode(rows.input.obs).numpy(),  # the normalizer rests while we learn
        continuous=rows.output.action.continuous.numpy(),
        discrete=rows.output.action.discrete.numpy(),
        mask=rows.input.mask.numpy(),
        old=rows.output.log_prob.numpy(),
        advantage=batch.advantage.numpy()[:, None],
        returns=batch.returns.numpy(),
    )
    for _ in range(trainer.settings.num_epoch):
        chosen = list(trainer.minibatches(batch))
        order = torch.cat(chosen).numpy()  # all of an epoch at once: gathers of a whole epoch are quicker
        shuffled, start = Minibatch(*(column[order] for column in everything)), 0
        for indices in chosen:
            stop = start + len(indices)
            yield indices, Minibatch(*(column[start:stop] for column in shuffled))
            start = stop


class _Step:
    """Sets the gradient of every parameter for one minibatch."""

    def __init__(self, trainer: OnPolicyTrainer, value_weight: float) -> None:
        actor, critic = trainer.policy, trainer.critic
        assert isinstance(actor, Actor) and isinstance(critic, Critic)
        self.size, self.branches = actor.continuous, actor.branches
        self.epsilon, self.beta = trainer.now["epsilon"], trainer.now["beta"]
        self.value_weight = value_weight
        self.actor = _parameters(actor.body.layers, actor.head)
        self.critic = _parameters(critic.body.layers, critic.head)
        self.log_sigma = actor.log_sigma
        self.sigma_seen = actor.log_sigma.detach().numpy()
        self.actor_seen = [p.detach().numpy() for p in self.actor]
        self.critic_seen = [p.detach().numpy() for p in self.critic]

    def __call__(self, batch: Minibatch) -> tuple[float, float, float]:
        """Return the losses of policy, value and entropy, weighted as they are added."""
        policy, entropy = self._policy(batch)
        return policy, self._value(batch), -self.beta * entropy

    def _value(self, batch: Minibatch) -> float:
        saved: fast.Saved = []
        off = fast.forward(batch.x, self.critic_seen, saved) - batch.returns
        grad_out = off * np.float32(2 * self.value_weight / off.size)
        _set(self.critic, fast.backward(grad_out, self.critic_seen[::2], saved)[1])
        return self.value_weight * float(np.vdot(off, off)) / off.size

    def _policy(self, batch: Minibatch) -> tuple[float, float]:
        saved: fast.Saved = []
        output = fast.forward(batch.x, self.actor_seen, saved)
        heads: list[Any] = []
        if self.size:
            heads.append(_Gaussian(output[:, : self.size], self.sigma_seen, batch.continuous))
        if self.branches:
            heads.append(_Branches(output[:, self.size :], self.branches, batch))
        log_prob = heads[0].log_prob if len(heads) == 1 else np.hstack([head.log_prob for head in heads])
        loss, grad_out = self._surrogate(log_prob, batch)
        gradient, start = [], 0
        for head in heads:
            stop = start + head.log_prob.shape[1]
            gradient.append(head.gradient(grad_out[:, start:stop], np.float32(self.beta)))
            start = stop
        if self.size:
            self.log_sigma.grad = torch.from_numpy(heads[0].by_log_sigma)
        else:
            self.log_sigma.grad = None
        together = gradient[0] if len(gradient) == 1 else np.hstack(gradient)
        _set(self.actor, fast.backward(together, self.actor_seen[::2], saved)[1])
        return loss, sum(head.entropy for head in heads)

    def _surrogate(self, log_prob: Array, batch: Minibatch) -> tuple[float, Array]:
        """Return PPO's clipped loss and its (n, D) gradient with respect to the log probabilities."""
        ratio = np.exp(log_prob - batch.old)
        gain = ratio * batch.advantage
        clipped = np.clip(ratio, 1 - self.epsilon, 1 + self.epsilon) * batch.advantage
        counts = gain <= clipped  # else the clipped ratio is taken, which does not move
        loss = -float(np.minimum(gain, clipped).mean())
        gain *= counts
        gain *= np.float32(-1 / gain.size)
        return loss, gain


class _Gaussian:
    def __init__(self, mean: Array, log_sigma: Array, action: Array) -> None:
        self.saved, self.log_prob, entropy = fast.gaussian_forward(mean, log_sigma, action)
        self.entropy = float(entropy[0])

    def gradient(self, grad_out: Array, beta: np.float32) -> Array:
        """Return the (n, C) gradient of the means; `by_log_sigma` is the other one."""
        by_mean, self.by_log_sigma = fast.gaussian_backward(grad_out, -beta, self.saved)
        return by_mean


class _Branches:
    def __init__(self, logits: Array, branches: tuple[int, ...], batch: Minibatch) -> None:
        logits = np.where(batch.mask, logits, np.float32(-1e8))
        self.rows = np.arange(len(logits))
        self.choice = batch.discrete
        self.probs, self.logs, start = [], [], 0
        for size in branches:
            own = logits[:, start : start + size]
            probs = np.exp(own - own.max(1, keepdims=True))
            probs /= probs.sum(1, keepdims=True)
            self.probs.append(probs)
            self.logs.append(np.log(probs + fast.EPSILON))
            start += size
        taken = [log[self.rows, self.choice[:, i]] for i, log in enumerate(self.logs)]
        self.log_prob = np.stack(taken, 1)
        self.entropy = -sum(
            float((probs * log).sum(1).mean()) for probs, log in zip(self.probs, self.logs, strict=True)
        )

    def gradient(self, grad_out: Array, beta: np.float32) -> Array:
        """Return the (n, K) gradient of the logits."""
        found = []
        for i, (probs, log) in enumerate(zip(self.probs, self.logs, strict=True)):
            # first by the probabilities, then through the softmax
            slope = (beta / len(self.rows)) * (log + probs / (probs + fast.EPSILON))
            slope[self.rows, self.choice[:, i]] += grad_out[:, i] / (probs[self.rows, self.choice[:, i]] + fast.EPSILON)
            found.append(probs * (slope - (slope * probs).sum(1, keepdims=True)))
        return found[0] if len(found) == 1 else np.hstack(found)


def _parameters(layers: Any, head: Any) -> list[torch.nn.Parameter]:
    return [p for layer in (*layers, head) for p in (layer.weight, layer.bias)]


def _set(parameters: list[torch.nn.Parameter], gradients: list[Array]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient)
