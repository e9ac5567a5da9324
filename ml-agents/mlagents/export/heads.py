"""From a head's output to Unity's outputs, for the distributions that are built in; others are traced."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from mlagents.export.graph import Array, Graph, numbers
from mlagents.nn.distributions import ACTION_CLIP
from mlagents.nn.policy import LOG_SIGMA, Actor, SquashedActor

BLOCKED = 1e8  # subtracted from the logits of forbidden choices


def write_head(graph: Graph, actor: Actor, features: str, *, samples: bool) -> None:
    """Write the head and its distribution; samples: False where the best choice is both outputs, as of values."""
    weight, bias = numbers(actor.head.weight), numbers(actor.head.bias)
    size, start = actor.continuous, actor.continuous
    if size:
        mean = graph.gemm("mean", features, weight[:size], bias[:size])
        if isinstance(actor, SquashedActor):
            start += size
            log_sigma = graph.gemm("log_sigma", features, weight[size:start], bias[size:start])
            _squashed(graph, mean, log_sigma, size)
        else:
            _continuous(graph, mean, numbers(actor.log_sigma), size)
    if actor.branches:
        logits = graph.gemm("logits", features, weight[start:], bias[start:])
        _discrete(graph, logits, actor.branches, samples=samples)


def _continuous(graph: Graph, mean: str, log_sigma: Array, size: int) -> None:
    """Write the Gaussian: a sample and the mean, clipped and scaled as the environment gets them."""
    sample = _sample(graph, mean, graph.constant("sigma", np.exp(log_sigma)))
    scale = graph.number(ACTION_CLIP)

    def to_env(x: str, name: str) -> None:
        graph.add("Div", [graph.clip(x, -ACTION_CLIP, ACTION_CLIP), scale], into=name)

    _both(graph, sample, mean, size, to_env)


def _squashed(graph: Graph, mean: str, log_sigma: str, size: int) -> None:
    """Write the Gaussian behind a tanh, whose deviation is computed: a sample and the mean."""
    sample = _sample(graph, mean, graph.add("Exp", [graph.clip(log_sigma, *LOG_SIGMA)]))
    _both(graph, sample, mean, size, lambda x, name: graph.add("Tanh", [x], into=name))


def _sample(graph: Graph, mean: str, sigma: str) -> str:
    noise = graph.add("RandomNormalLike", [mean], dtype=TensorProto.FLOAT)
    return graph.add("Add", [mean, graph.add("Mul", [noise, sigma])])


def _both(graph: Graph, sample: str, mean: str, size: int, to_env: Callable[[str, str], object]) -> None:
    """Write both outputs of continuous actions, and their number between them; to_env: writes one of this name."""
    for x, name in ((sample, "continuous_actions"), (mean, "deterministic_continuous_actions")):
        to_env(x, name)
        graph.output(name, TensorProto.FLOAT, ["batch", size])
        if x is sample:
            graph.constant_output("continuous_action_output_shape", np.array([size], np.float32))


def _discrete(graph: Graph, logits: str, branches: tuple[int, ...], *, samples: bool) -> None:
    """Write one masked categorical per branch: a sample and the most probable choice, or that one twice."""
    masks = graph.input("action_masks", (sum(branches),))
    sampled, best, start = [], [], 0
    one, minus = graph.constant("one", np.array(1.0, np.float32)), graph.constant("minus", np.array(-1.0, np.float32))
    blocked = graph.constant("blocked", np.array(BLOCKED, np.float32))
    for size in branches:
        mask, own = graph.slice(masks, start, start + size), graph.slice(logits, start, start + size)
        forbidden = graph.add("Add", [graph.add("Mul", [mask, minus]), one])
        kept = graph.add("Sub", [graph.add("Mul", [own, mask]), graph.add("Mul", [forbidden, blocked])])
        if not samples:
            best.append(graph.add("ArgMax", [kept], axis=1, keepdims=1))
            start += size
            continue
        probs = graph.add("Softmax", [kept], axis=1)
        tiny = graph.constant(f"tiny_{start}", np.array(1e-7, np.float32))
        # forbidden choices stay impossible: their probability is 0, and the mask leaves out the logarithm's floor
        weights = graph.add("Log", [graph.add("Add", [probs, graph.add("Mul", [mask, tiny])])])
        sampled.append(graph.add("Multinomial", [weights], dtype=TensorProto.INT64, sample_size=1))
        best.append(graph.add("ArgMax", [probs], axis=1, keepdims=1))
        start += size
    graph.add("Concat", sampled if samples else best, into="discrete_actions", axis=1)
    graph.output("discrete_actions", TensorProto.INT64, ["batch", len(branches)])
    graph.constant_output("discrete_action_output_shape", np.array([branches], np.float32))
    graph.add("Concat", best, into="deterministic_discrete_actions", axis=1)
    graph.output("deterministic_discrete_actions", TensorProto.INT64, ["batch", len(branches)])
