"""What `kernels_numba` does, where numba is not installed; arguments and results are described there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
F = np.float32
EPSILON = F(1e-7)  # as in `distributions`
TWO_PI_E = F(2 * math.pi * math.e)
HALF_LOG_TWO_PI = F(0.5 * math.log(2 * math.pi))
MASKED = F(-1e8)


def scaled(x: Array, mean: Array, inverse: Array, limit: F, out: Array) -> None:
    """Set out to the scaled and cut x."""
    np.subtract(x, mean, out=out)
    out *= inverse
    np.minimum(np.maximum(out, -limit, out=out), limit, out=out)


def swish(z: Array, bias: Array) -> None:
    """Add the bias to z, and replace the sum x by x s(x)."""
    z += bias
    z *= _gate(z)


def swish_and_slope(z: Array, bias: Array, slope: Array) -> None:
    """Replace z by swish(z + bias), and set its slope."""
    z += bias
    gate = _gate(z)
    z *= gate
    np.subtract(F(1.0), gate, out=slope)
    slope *= z
    slope += gate


def _gate(z: Array) -> Array:
    """Return the logistic function (1 + tanh(z / 2)) / 2, which cannot overflow."""
    gate: Array = z * F(0.5)
    np.tanh(gate, out=gate)
    gate += F(1.0)
    gate *= F(0.5)
    return gate


def through_swish(gradient: Array, slope: Array, by_bias: Array) -> None:
    """Turn the gradient of the outputs into that of the inputs, and set its sum."""
    gradient *= slope
    np.add.reduce(gradient, 0, out=by_bias)


def adam(
    p: Array, g: Array, m: Array, v: Array, rate: F, beta1: F, beta2: F, epsilon: F, correction: F
) -> None:  # fmt: skip
    """Take one step."""
    m *= beta1
    m += (F(1) - beta1) * g
    v *= beta2
    v += (F(1) - beta2) * g * g
    width = np.sqrt(v)
    width *= correction
    width += epsilon
    p -= rate * m / width


def clipped_gaussian(
    mean: Array, log_sigma: Array, action: Array, old: Array, advantage: Array, epsilon: F, beta: F, share: F,
    pull: Array, by_log_sigma: Array,
) -> tuple[float, float]:  # fmt: skip
    """Return clipped gains and entropy of continuous actions, and set the gradients."""
    sigma = np.exp(log_sigma)
    variance = sigma * sigma
    off, width = action - mean, 2 * variance + EPSILON
    log_prob = off * off
    log_prob /= -width
    log_prob -= np.log(sigma + EPSILON) + HALF_LOG_TWO_PI
    gains, by_log_prob = _surrogate(log_prob, old, advantage, epsilon, share)
    np.multiply(by_log_prob, off, out=pull)
    pull /= width
    by_log_sigma[:] = (pull * off).sum(0) * (4 * variance / width) - by_log_prob.sum(0) * (sigma / (sigma + EPSILON))
    full = TWO_PI_E * variance
    by_log_sigma -= beta * (full / (full + EPSILON)) / F(len(sigma))
    pull *= 2
    return gains, float(np.mean(np.log(full + EPSILON))) / 2


def clipped_choices(
    logits: Array, sizes: Array, mask: Array, choice: Array, old: Array, advantage: Array, epsilon: F, beta: F,
    share: F, probs: Array, pull: Array,
) -> tuple[float, float]:  # fmt: skip
    """Return clipped gains and entropy of discrete actions, and set the gradient."""
    rows, weight, start = np.arange(len(logits)), beta / F(len(logits)), 0
    gains, entropy = 0.0, 0.0
    for branch, size in enumerate(sizes.tolist()):
        columns = slice(start, start + size)
        own = np.where(mask[:, columns], logits[:, columns], MASKED)
        own = np.exp(own - own.max(1, keepdims=True))
        own /= own.sum(1, keepdims=True)
        log, taken = np.log(own + EPSILON), choice[:, branch]
        gain, by_log_prob = _surrogate(log[rows, taken], old[:, branch], advantage, epsilon, share)
        gains += gain
        entropy -= float((own * log).sum(1).mean())
        # first by the probabilities, then through the softmax
        slope = weight * (log + own / (own + EPSILON))
        slope[rows, taken] += by_log_prob / (own[rows, taken] + EPSILON)
        pull[:, columns] = own * (slope - (slope * own).sum(1, keepdims=True))
        start += size
    return gains, entropy


def _surrogate(log_prob: Array, old: Array, advantage: Array, epsilon: F, share: F) -> tuple[float, Array]:
    """Return the sum of clipped gains, and the gradient of the loss with respect to the log probabilities."""
    if log_prob.ndim > 1:
        advantage = advantage[:, None]
    ratio = np.exp(log_prob - old)
    gain = ratio * advantage
    cut = np.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage
    gains = float(np.minimum(gain, cut).sum())
    gain *= gain <= cut  # else the clipped ratio is taken, which does not move
    gain *= -share
    return gains, gain


def squared_error(value: Array, returns: Array, scale: F, pull: Array) -> float:
    """Return the sum of squared errors, and set the errors times `scale`."""
    np.subtract(value, returns, out=pull)
    total = float(np.vdot(pull, pull))
    pull *= scale
    return total


def answer_gaussian(mean: Array, log_sigma: Array, noise: Array, action: Array, log_prob: Array) -> float:
    """Draw continuous actions and return the entropy."""
    sigma = np.exp(log_sigma)
    np.multiply(sigma, noise, out=action)
    action += mean
    off = action - mean
    log_prob[:] = -(off * off) / (2 * sigma * sigma + EPSILON) - (np.log(sigma + EPSILON) + HALF_LOG_TWO_PI)
    return float(np.mean(np.log(TWO_PI_E * sigma * sigma + EPSILON))) / 2


def answer_choices(
    logits: Array, sizes: Array, mask: Array, noise: Array, choice: Array, log_prob: Array, entropy: Array
) -> None:
    """Draw a choice in each branch, and add the entropies."""
    rows, start = np.arange(len(logits)), 0
    for branch, size in enumerate(sizes.tolist()):
        columns = slice(start, start + size)
        probs = np.where(mask[:, columns], logits[:, columns], MASKED)
        probs = np.exp(probs - probs.max(1, keepdims=True))
        probs /= probs.sum(1, keepdims=True)
        entropy -= (probs * np.log(probs + EPSILON)).sum(1)
        choice[:, branch] = taken = (probs / noise[:, columns]).argmax(1)
        log_prob[:, branch] = np.log(probs[rows, taken] + EPSILON)
        start += size
