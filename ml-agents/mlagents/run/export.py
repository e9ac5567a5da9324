"""A policy as an ONNX graph with the names, shapes and constants that Unity's inference looks for.

The graph is built node by node from the policy's weights; the networks know nothing of ONNX. Before a file gets its
name, onnxruntime plays it beside the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlagents.data.experience import PolicyInput
from mlagents.nn.normalize import LIMIT
from mlagents.nn.policy import REACH, Actor
from mlagents.run.atomic import void, write_atomically
from mlagents.run.errors import ExportError

Array = NDArray[Any]
VERSION = 3.0  # of Unity's model format, MLAgents2_0
OPSETS = range(9, 18)
IR_VERSION = 4  # what Unity's own files say
TOLERANCE = 1e-4  # between the policy and the exported model
BLOCKED = 1e8  # taken from the logits of forbidden choices


def export(actor: Actor, path: Path, *, opset: int = 9) -> None:
    """Write the policy to `path`, whole or not at all; raises ExportError if the file would not play like it."""
    model = build(actor, opset=opset)
    check(actor, model)
    write_atomically(path, lambda file: void(file.write(model.SerializeToString())))


def dry_run(actor: Actor) -> None:
    """Do all that `export` does but write, so that it cannot fail after hours; raises ExportError."""
    check(actor, build(actor))


def build(actor: Actor, *, opset: int = 9) -> onnx.ModelProto:
    """Return the inference graph."""
    if opset not in OPSETS:
        raise ExportError(f"opset is {opset}; it must be from {OPSETS[0]} to {OPSETS[-1]}")
    graph = _Graph(opset)
    graph.constant_output("version_number", np.array([VERSION], np.float32))
    graph.constant_output("memory_size", np.zeros(1, np.float32))
    features = _body(graph, actor)
    weight, bias = _numpy(actor.head.weight), _numpy(actor.head.bias)
    continuous = actor.continuous
    if continuous:
        mean = graph.gemm("mean", features, weight[:continuous], bias[:continuous])
        _continuous(graph, mean, _numpy(actor.log_sigma), continuous)
    if actor.branches:
        logits = graph.gemm("logits", features, weight[continuous:], bias[continuous:])
        _discrete(graph, logits, actor.branches, samples=actor.samples)
    return graph.model()


def check(actor: Actor, model: onnx.ModelProto, *, rows: int = 7) -> None:
    """Play the model beside the policy on random observations; raises ExportError where they differ."""
    try:
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        asked, feeds = _random_input(actor, rows)
        names = [output.name for output in session.get_outputs()]
        said = dict(zip(names, session.run(names, feeds), strict=True))
    except Exception as error:  # both libraries have errors of many kinds
        raise ExportError(f"the policy cannot be written as ONNX: {error}") from error
    known = actor.act(asked, explore=False).action
    told = actor.env_action(known)
    if actor.continuous:
        off = float(np.abs(said["deterministic_continuous_actions"] - told.continuous.numpy()).max())
        if not off <= TOLERANCE:
            raise ExportError(f"the exported model differs from the policy by {off:g} in continuous actions")
    if actor.branches:
        if not np.array_equal(said["deterministic_discrete_actions"], known.discrete.numpy()):
            raise ExportError("the exported model differs from the policy in discrete actions")
        if not actor.samples and not np.array_equal(said["discrete_actions"], known.discrete.numpy()):
            raise ExportError("the exported model samples discrete actions, but the policy takes the best")
        _check_masks(said["discrete_actions"], asked.mask.numpy(), actor.branches)


def _check_masks(chosen: Array, mask: Array, branches: tuple[int, ...]) -> None:
    start = np.cumsum([0, *branches[:-1]])
    if not np.take_along_axis(mask, chosen + start, 1).all():
        raise ExportError("the exported model takes a forbidden action")


def _random_input(actor: Actor, rows: int) -> tuple[PolicyInput, dict[str, Array]]:
    """Return observations around what the normalizer knows, and masks that leave each branch a choice."""
    chance = np.random.default_rng(0)
    obs = [chance.normal(size=(rows, *s.shape)).astype(np.float32) for s in actor.spec.observation_specs]
    feeds: dict[str, Array] = {f"obs_{i}": column for i, column in enumerate(obs)}
    mask = np.ones((rows, sum(actor.branches)), bool)
    first = 0
    for size in actor.branches:
        mask[:, first : first + size] = chance.random((rows, size)) < 0.6
        mask[np.arange(rows), first + chance.integers(size, size=rows)] = True
        first += size
    if actor.branches:
        feeds["action_masks"] = mask.astype(np.float32)
    tensors = tuple(torch.from_numpy(column) for column in obs)
    return PolicyInput(tensors, torch.from_numpy(mask), torch.zeros(rows, 0)), feeds


def _numpy(tensor: torch.Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().cpu().numpy().astype(np.float32))


def _body(graph: _Graph, actor: Actor) -> str:
    """Write normalization and hidden layers; return the name of the features."""
    normalizer, parts, start = actor.body.normalizer, [], 0
    for i, sensor in enumerate(actor.spec.observation_specs):
        name, stop = graph.input(f"obs_{i}", sensor.shape), start + sensor.shape[0]
        if normalizer is not None:
            centered = graph.add(
                "Sub", [name, graph.constant(f"mean_{i}", _numpy(normalizer.running_mean)[start:stop])]
            )
            scaled = graph.add(
                "Div", [centered, graph.constant(f"deviation_{i}", _numpy(normalizer.deviation())[start:stop])]
            )
            name = graph.clip(scaled, LIMIT)
        parts.append(name)
        start = stop
    features = graph.add("Concat", parts, axis=1)
    for i, layer in enumerate(actor.body.layers):
        z = graph.gemm(f"layer_{i}", features, *(_numpy(layer.get_parameter(name)) for name in ("weight", "bias")))
        features = graph.add("Mul", [z, graph.add("Sigmoid", [z])])
    return features


def _continuous(graph: _Graph, mean: str, log_sigma: Array, size: int) -> None:
    """Write the Gaussian: a sample and the mean, cut and scaled as the world is told."""
    noise = graph.add("RandomNormalLike", [mean], dtype=TensorProto.FLOAT)
    spread = graph.add("Mul", [noise, graph.constant("sigma", np.exp(log_sigma))])
    reach = graph.constant("reach", np.array(REACH, np.float32))
    for source, name in ((graph.add("Add", [mean, spread]), "continuous_actions"),
                         (mean, "deterministic_continuous_actions")):  # fmt: skip
        if name.startswith("det"):
            graph.constant_output("continuous_action_output_shape", np.array([size], np.float32))
        graph.add("Div", [graph.clip(source, REACH), reach], into=name)
        graph.output(name, TensorProto.FLOAT, ["batch", size])


def _discrete(graph: _Graph, logits: str, branches: tuple[int, ...], *, samples: bool) -> None:
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
        chances = graph.add("Softmax", [kept], axis=1)
        tiny = graph.constant(f"tiny_{start}", np.array(1e-7, np.float32))
        # forbidden choices stay impossible: their chance is 0, and the mask takes the rest of the logarithm's floor
        weights = graph.add("Log", [graph.add("Add", [chances, graph.add("Mul", [mask, tiny])])])
        sampled.append(graph.add("Multinomial", [weights], dtype=TensorProto.INT64, sample_size=1))
        best.append(graph.add("ArgMax", [chances], axis=1, keepdims=1))
        start += size
    graph.add("Concat", sampled if samples else best, into="discrete_actions", axis=1)
    graph.output("discrete_actions", TensorProto.INT64, ["batch", len(branches)])
    graph.constant_output("discrete_action_output_shape", np.array([branches], np.float32))
    graph.add("Concat", best, into="deterministic_discrete_actions", axis=1)
    graph.output("deterministic_discrete_actions", TensorProto.INT64, ["batch", len(branches)])


class _Graph:
    """An ONNX graph in the making."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
        return name

    def output(self, name: str, kind: int, shape: list[Any]) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, name: str, value: Array) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def constant_output(self, name: str, value: Array) -> None:
        """A number of the model itself, as Unity's files carry it: an initializer through an Identity."""
        self.add("Identity", [self.constant(f"{name}.value", value)], into=name)
        self.output(name, TensorProto.FLOAT, list(value.shape))

    def add(self, kind: str, inputs: list[str], *, into: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        name = into or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"node_{len(self.nodes)}", **attributes))
        return name

    def gemm(self, name: str, x: str, weight: Array, bias: Array) -> str:
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Gemm", [x, *parameters], transB=1)

    def clip(self, x: str, limit: float) -> str:
        if self.opset < 11:
            return self.add("Clip", [x], min=-limit, max=limit)
        bounds = [self.constant(f"{sign}{limit:g}", np.array(value, np.float32))
                  for sign, value in (("-", -limit), ("+", limit))]  # fmt: skip
        return self.add("Clip", [x, *bounds])

    def slice(self, x: str, start: int, stop: int) -> str:
        if self.opset < 10:
            return self.add("Slice", [x], axes=[1], starts=[start], ends=[stop])
        places = [self.constant(f"place_{value}", np.array([value], np.int64)) for value in (start, stop, 1)]
        return self.add("Slice", [x, *places])

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "policy", self.inputs, self.outputs, list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = IR_VERSION if self.opset < 11 else 8
        model.producer_name = "mlagents"
        return model
