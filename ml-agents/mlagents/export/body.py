"""The body of a network as nodes of an ONNX graph: what `nn.body`, `nn.encoders`, `nn.attention` and others compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from torch import nn

from mlagents.export.graph import Graph, numbers
from mlagents.nn.attention import ABSENT, EPSILON, FORBIDDEN, EntityEncoder, ResidualSelfAttention
from mlagents.nn.body import NetworkBody
from mlagents.nn.conditioning import GoalLayer
from mlagents.nn.encoders import ResidualBlock
from mlagents.nn.normalize import LIMIT
from mlagents_envs.base_env import ObservationSpec


def body(graph: Graph, network: NetworkBody, sensors: Sequence[ObservationSpec]) -> str:
    """Write inputs, encoders and hidden layers; return the name of the (n, hidden units) features."""
    obs = [graph.input(f"obs_{i}", tuple(sensor.shape)) for i, sensor in enumerate(sensors)]
    known = _vectors(graph, network, obs, sensors)
    for i, encoder in zip(network.kinds.images, network.images, strict=True):
        known.append(_walk(graph, f"image_{i}", obs[i], encoder.layers))  # type: ignore[arg-type]  # Sequential
    if network.entities is not None:
        own = graph.concat(known) if known else None
        shapes = [sensors[i].shape for i in network.kinds.entities]
        seen = [(obs[i], shape[0], shape[1]) for i, shape in zip(network.kinds.entities, shapes, strict=True)]
        known.append(_entities(graph, network.entities, own, seen))
    features = graph.concat(known)
    goal = graph.concat([graph.slice(features, place.start, place.stop) for place in network.goals] or [features])
    for i, layer in enumerate(network.layers):
        weight, bias = (numbers(layer.get_parameter(name)) for name in ("weight", "bias"))
        features = graph.swish(graph.gemm(f"layer_{i}", features, weight, bias))
    if network.conditioned is None:
        return features
    return graph.swish(_conditioned(graph, network.conditioned, features, goal))


def _vectors(graph: Graph, network: NetworkBody, obs: list[str], sensors: Sequence[ObservationSpec]) -> list[str]:
    parts, normalizer, start = [], network.normalizer, 0
    for i in network.kinds.vectors:
        name, stop = obs[i], start + sensors[i].shape[0]
        if normalizer is not None:
            mean, deviation = (numbers(x)[start:stop] for x in (normalizer.running_mean, normalizer.deviation()))
            centered = graph.add("Sub", [name, graph.constant(f"mean_{i}", mean)])
            scaled = graph.add("Div", [centered, graph.constant(f"deviation_{i}", deviation)])
            name = graph.clip(scaled, -LIMIT, LIMIT)
        parts.append(name)
        start = stop
    return parts


def _walk(graph: Graph, name: str, x: str, layers: nn.Sequential) -> str:
    """Write the layers of an image's encoder, one after another."""
    for i, layer in enumerate(layers):
        x = _LAYERS[type(layer)](graph, f"{name}_{i}", x, layer)
    return x


def _convolution(graph: Graph, name: str, x: str, layer: nn.Conv2d) -> str:
    assert layer.bias is not None  # as `encoders` makes them
    parameters = [graph.constant(f"{name}.{which}", numbers(getattr(layer, which))) for which in ("weight", "bias")]
    sides, strides = list(layer.kernel_size), list(layer.stride)
    pads = [int(pad) for pad in layer.padding] * 2
    return graph.add("Conv", [x, *parameters], kernel_shape=sides, strides=strides, pads=pads)


def _pool(graph: Graph, name: str, x: str, layer: nn.MaxPool2d) -> str:
    return graph.add("MaxPool", [x], kernel_shape=[layer.kernel_size] * 2, strides=[layer.stride] * 2)


def _residual(graph: Graph, name: str, x: str, layer: ResidualBlock) -> str:
    return graph.add("Add", [x, _walk(graph, name, x, layer.inside)])


def _dense(graph: Graph, name: str, x: str, layer: nn.Linear) -> str:
    return graph.gemm(name, graph.reshape(x, -1, layer.in_features), numbers(layer.weight), numbers(layer.bias))


_LAYERS: dict[type[nn.Module], Callable[[Graph, str, str, Any], str]] = {
    nn.Conv2d: _convolution,
    nn.MaxPool2d: _pool,
    ResidualBlock: _residual,
    nn.Linear: _dense,
    nn.Flatten: lambda graph, name, x, layer: x,  # the dense layer behind it does so
    nn.LeakyReLU: lambda graph, name, x, layer: graph.add("LeakyRelu", [x], alpha=layer.negative_slope),
    nn.ReLU: lambda graph, name, x, layer: graph.add("Relu", [x]),
    nn.SiLU: lambda graph, name, x, layer: graph.swish(x),
}


def _entities(graph: Graph, encoder: EntityEncoder, own: str | None, seen: Sequence[tuple[str, int, int]]) -> str:
    """Write the embedding of each entity and what all say; seen: name, number and size of each sensor's entities."""
    if encoder.own is not None:
        assert own is not None
        own = graph.swish(graph.linear("own", own, encoder.own))
    embedded, absent = [], []
    for i, (entities, _, size) in enumerate(seen):
        x = graph.linear(f"entity_{i}", entities, encoder.entity[i])  # type: ignore[arg-type]  # a Linear
        if own is not None:
            beside = graph.linear(f"beside_{i}", own, encoder.beside[i])  # type: ignore[arg-type]  # likewise
            x = graph.add("Add", [x, graph.reshape(beside, -1, 1, encoder.width)])
        embedded.append(graph.swish(x))
        squares = graph.add("Mul", [entities, entities])
        length = graph.add("MatMul", [squares, graph.constant(f"ones_{size}", np.ones((size, 1), np.float32))])
        gone = graph.add("Less", [length, graph.number(ABSENT)])
        absent.append(graph.add("Cast", [gone], to=TensorProto.FLOAT))
    many = sum(each for _, each, _ in seen)
    return _attention(graph, encoder.attention, graph.concat(embedded), graph.concat(absent), many)


def _attention(graph: Graph, layer: ResidualSelfAttention, x: str, absent: str, many: int) -> str:
    """Write the attention of (n, many, width) and its mean; absent: (n, many, 1), 1 for who is not there."""
    x = graph.layer_norm(x)
    width, heads = layer.width, {}
    for name, axes in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        split = graph.reshape(graph.linear(name, x, getattr(layer, name)), -1, many, layer.heads, width // layer.heads)
        heads[name] = graph.add("Transpose", [split], perm=axes)
    present = graph.add("Add", [graph.add("Mul", [absent, graph.number(-1.0)]), graph.number(1.0)])
    logits = graph.add("MatMul", [heads["query"], heads["key"]])
    logits = graph.add("Div", [logits, graph.number(math.sqrt(width))])
    kept = graph.add("Mul", [logits, graph.reshape(present, -1, 1, 1, many)])
    forbidden = graph.add("Mul", [graph.reshape(absent, -1, 1, 1, many), graph.number(FORBIDDEN)])
    share = graph.add("Softmax", [graph.add("Add", [kept, forbidden])], axis=3)
    mixed = graph.add("Transpose", [graph.add("MatMul", [share, heads["value"]])], perm=[0, 2, 1, 3])
    mixed = graph.linear("out", graph.reshape(mixed, -1, many, width), layer.out)
    y = graph.layer_norm(graph.add("Add", [mixed, x]))
    row = graph.reshape(present, -1, 1, many)
    total = graph.reshape(graph.add("MatMul", [row, y]), -1, width)
    ones = graph.constant(f"ones_{many}", np.ones((many, 1), np.float32))
    number = graph.reshape(graph.add("MatMul", [row, ones]), -1, 1)
    return graph.add("Div", [total, graph.add("Add", [number, graph.number(EPSILON)])])


def _conditioned(graph: Graph, layer: GoalLayer, x: str, goal: str) -> str:
    """Write the network that says the weights, and the layer that has them."""
    for name in ("first", "second"):
        goal = graph.swish(graph.linear(f"goal_{name}", goal, getattr(layer, name)))
    weights = graph.linear("goal_weights", graph.layer_norm(goal), layer.weights)
    matrix = graph.reshape(weights, -1, layer.inputs, len(layer.bias))
    y = graph.add("MatMul", [graph.reshape(x, -1, 1, layer.inputs), matrix])
    return graph.add("Add", [graph.reshape(y, -1, len(layer.bias)), graph.constant("goal_bias", numbers(layer.bias))])
