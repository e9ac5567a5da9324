"""The arithmetic of small networks between their matrix products, compiled. `kernels_numpy` has the same functions.

n rows, H hidden units, C continuous actions, B branches, K the sum of branch sizes, S reward signals; all float32.
Arrays that a kernel fills come last. Sums are taken in the order of rows, so a seed gives the same numbers anew.
"""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled

F = np.float32
EPSILON = F(1e-7)  # as in `distributions`
TWO_PI_E = F(2 * math.pi * math.e)
HALF_LOG_TWO_PI = F(0.5 * math.log(2 * math.pi))
MASKED = F(-1e8)  # the logit of a choice that is not allowed
ZERO, HALF, ONE, TWO, FOUR = F(0), F(0.5), F(1), F(2), F(4)
FUSED = {"nsz", "contract"}  # fastmath: multiply and add at once; NaN and infinity stay what they are


@compiled(inline="always", fastmath=FUSED)
def exp(x):  # type: ignore[no-untyped-def]
    """Return e^x within 2 units in the last place, x cut to ±87. NaN gives a number.

    Range reduction and polynomial of Cephes' `expf`; a library's call would not be vectorized.
    """
    x = min(max(x, F(-87.0)), F(87.0))
    k = np.floor(x * F(1.44269504) + HALF)
    r = x - k * F(0.693359375) + k * F(2.12194440e-4)
    p = F(1.9875691500e-4) * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + ONE
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@compiled(fastmath=FUSED)
def scaled(x, mean, inverse, limit, out):  # type: ignore[no-untyped-def]
    """Set out to (x - mean) * inverse, cut at ±limit; x, out: (n, size), mean, inverse: (size,)."""
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = (x[row, j] - mean[j]) * inverse[j]
            if value > limit:
                value = limit
            elif value < -limit:
                value = -limit
            out[row, j] = value


@compiled(fastmath=FUSED)
def swish(z, bias):  # type: ignore[no-untyped-def]
    """Add (H,) bias to (n, H) z, and replace the sum x by x s(x), s the logistic function."""
    for row in range(z.shape[0]):
        for j in range(z.shape[1]):
            x = z[row, j] + bias[j]
            z[row, j] = x / (ONE + exp(-x))


@compiled(fastmath=FUSED)
def swish_and_slope(z, bias, slope):  # type: ignore[no-untyped-def]
    """As `swish`, y = x s(x); slope: its derivative s + y (1 - s)."""
    for row in range(z.shape[0]):
        for j in range(z.shape[1]):
            x = z[row, j] + bias[j]
            gate = ONE / (ONE + exp(-x))
            y = x * gate
            z[row, j] = y
            slope[row, j] = gate + y * (ONE - gate)


@compiled(fastmath=FUSED)
def through_swish(gradient, slope, by_bias):  # type: ignore[no-untyped-def]
    """Turn the (n, H) gradient of the outputs into that of the inputs; by_bias: (H,) its sum over rows."""
    by_bias[:] = ZERO
    for row in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            g = gradient[row, j] * slope[row, j]
            gradient[row, j] = g
            by_bias[j] += g


@compiled(fastmath=FUSED)
def adam(p, g, m, v, rate, beta1, beta2, epsilon, correction):  # type: ignore[no-untyped-def]
    """Take one step of Adam, Kingma & Ba 2015, arXiv:1412.6980; all of (parameters,).

    rate: alpha / (1 - beta1^t); correction: 1 / sqrt(1 - beta2^t).
    """
    for i in range(p.size):
        first = beta1 * m[i] + (ONE - beta1) * g[i]
        second = beta2 * v[i] + (ONE - beta2) * g[i] * g[i]
        m[i] = first
        v[i] = second
        p[i] -= rate * first / (np.sqrt(second) * correction + epsilon)


@compiled(fastmath=FUSED)
def clipped_gaussian(mean, log_sigma, action, old, advantage, epsilon, beta, share, pull, by_log_sigma):  # type: ignore[no-untyped-def]
    """Return the sum over rows of clipped gains, and the entropy: the terms of continuous actions in PPO's loss.

    mean, action, old: (n, C); log_sigma: (C,); advantage: (n,); share: 1 / (n (C + B)).
    pull: (n, C) gradient of the means; by_log_sigma: (C,).
    log p = -(a - m)^2 / (2 s^2) - log s - log(2 pi) / 2,  gain = min(r A, clip(r, 1 - e, 1 + e) A),  r = p / p_old
    """
    n, size = mean.shape
    gains, entropy = 0.0, 0.0
    for c in range(size):
        sigma = np.exp(log_sigma[c])
        variance = sigma * sigma
        inverse = ONE / (TWO * variance + EPSILON)
        constant = np.log(sigma + EPSILON) + HALF_LOG_TWO_PI
        by_width, by_all = ZERO, ZERO
        for row in range(n):
            off = action[row, c] - mean[row, c]
            ratio = exp(-(off * off) * inverse - constant - old[row, c])
            gain = ratio * advantage[row]
            cut = min(max(ratio, ONE - epsilon), ONE + epsilon) * advantage[row]
            gains += min(gain, cut)
            by_log_prob = -gain * share if gain <= cut else ZERO
            lean = by_log_prob * off * inverse
            by_width += lean * off
            by_all += by_log_prob
            pull[row, c] = TWO * lean
        full = TWO_PI_E * variance
        entropy += 0.5 * np.log(full + EPSILON) / size
        by_log_sigma[c] = (
            by_width * (FOUR * variance * inverse) - by_all * (sigma / (sigma + EPSILON))
            - beta * (full / (full + EPSILON)) / F(size)
        )  # fmt: skip
    return gains, entropy


@compiled(fastmath=FUSED)
def clipped_choices(logits, sizes, mask, choice, old, advantage, epsilon, beta, share, probs, pull):  # type: ignore[no-untyped-def]
    """Return the sum over rows of clipped gains, and the entropy: the terms of discrete actions in PPO's loss.

    logits, mask: (n, K); sizes: (B,); choice, old: (n, B); probs: (K,) to work in; pull: (n, K) gradient of the logits.
    log p = log(softmax(logits) + 1e-7)
    """
    n = logits.shape[0]
    gains, entropy = 0.0, 0.0
    weight = beta / F(n)
    for row in range(n):
        start = 0
        for b in range(sizes.size):
            stop = start + sizes[b]
            largest = F(-np.inf)
            for k in range(start, stop):
                probs[k] = logits[row, k] if mask[row, k] else MASKED
                largest = max(largest, probs[k])
            total = ZERO
            for k in range(start, stop):
                probs[k] = np.exp(probs[k] - largest)
                total += probs[k]
            for k in range(start, stop):
                probs[k] /= total
            taken = start + choice[row, b]
            ratio = np.exp(np.log(probs[taken] + EPSILON) - old[row, b])
            gain = ratio * advantage[row]
            cut = min(max(ratio, ONE - epsilon), ONE + epsilon) * advantage[row]
            gains += min(gain, cut)
            by_log_prob = -gain * share if gain <= cut else ZERO
            inner = ZERO
            for k in range(start, stop):
                log = np.log(probs[k] + EPSILON)
                entropy -= probs[k] * log
                slope = weight * (log + probs[k] / (probs[k] + EPSILON))
                if k == taken:
                    slope += by_log_prob / (probs[k] + EPSILON)
                pull[row, k] = slope
                inner += slope * probs[k]
            for k in range(start, stop):
                pull[row, k] = probs[k] * (pull[row, k] - inner)
            start = stop
    return gains, entropy / n


@compiled(fastmath=FUSED)
def squared_error(value, returns, scale, pull):  # type: ignore[no-untyped-def]
    """Return the sum of squared errors; value, returns: (n, S); pull: (n, S) the errors times `scale`."""
    total = 0.0
    for row in range(value.shape[0]):
        for s in range(value.shape[1]):
            off = value[row, s] - returns[row, s]
            total += off * off
            pull[row, s] = off * scale
    return total


@compiled(fastmath=FUSED)
def answer_gaussian(mean, log_sigma, noise, action, log_prob):  # type: ignore[no-untyped-def]
    """Draw action = mean + sigma noise, all (n, C), and its log density; log_sigma: (C,). Returns the entropy."""
    entropy = 0.0
    for c in range(mean.shape[1]):
        sigma = np.exp(log_sigma[c])
        variance = sigma * sigma
        width = TWO * variance + EPSILON
        constant = np.log(sigma + EPSILON) + HALF_LOG_TWO_PI
        entropy += HALF * np.log(TWO_PI_E * variance + EPSILON)
        for row in range(mean.shape[0]):
            drawn = mean[row, c] + sigma * noise[row, c]
            off = drawn - mean[row, c]
            action[row, c] = drawn
            log_prob[row, c] = -(off * off) / width - constant
    return entropy / mean.shape[1]


@compiled(fastmath=FUSED)
def answer_choices(logits, sizes, mask, noise, choice, log_prob, entropy):  # type: ignore[no-untyped-def]
    """Draw a choice in each branch: the largest p / noise, noise exponential, or the most probable where it is 1.

    logits, mask, noise: (n, K); sizes: (B,); choice, log_prob: (n, B); entropy: (n,) is added to.
    """
    for row in range(logits.shape[0]):
        start = 0
        for b in range(sizes.size):
            stop = start + sizes[b]
            largest = F(-np.inf)
            for k in range(start, stop):
                largest = max(largest, logits[row, k] if mask[row, k] else MASKED)
            total = ZERO
            for k in range(start, stop):
                logits[row, k] = np.exp((logits[row, k] if mask[row, k] else MASKED) - largest)
                total += logits[row, k]
            best, chosen = F(-1), start
            for k in range(start, stop):
                p = logits[row, k] / total
                entropy[row] -= p * np.log(p + EPSILON)
                if p / noise[row, k] > best:
                    best, chosen = p / noise[row, k], k
            choice[row, b] = chosen - start
            log_prob[row, b] = np.log(logits[row, chosen] / total + EPSILON)
            start = stop
