"""An ONNX graph in the making, for opsets from 9 to 15."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mlagents.nn.layers import LAYER_NORM_EPSILON

Array = NDArray[Any]
IR_VERSION = 4  # what Unity's own files say


class Graph:
    """Nodes, and the numbers they need; every method that adds a node returns the name of its output."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        """Take float32 of this shape for each of a batch."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
        return name

    def output(self, name: str, kind: int, shape: list[Any]) -> None:
        """Say what has this name; kind: one of onnx.TensorProto."""
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, name: str, value: Array) -> str:
        """Hold numbers under a name."""
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def number(self, value: float) -> str:
        """Hold one float32."""
        return self.constant(f"number_{value:g}", np.array(value, np.float32))

    def constant_output(self, name: str, value: Array) -> None:
        """Say a number of the model itself, as Unity's files carry it: an initializer through an Identity."""
        self.add("Identity", [self.constant(f"{name}.value", value)], into=name)
        self.output(name, TensorProto.FLOAT, list(value.shape))

    def add(self, kind: str, inputs: list[str], *, into: str = "", **attributes: Any) -> str:
        """Append a node."""
        name = into or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"node_{len(self.nodes)}", **attributes))
        return name

    def gemm(self, name: str, x: str, weight: Array, bias: Array) -> str:
        """Multiply (n, in) by weights (out, in), and add (out,)."""
        parameters = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Gemm", [x, *parameters], transB=1)

    def linear(self, name: str, x: str, layer: nn.Linear) -> str:
        """Walk a linear layer on the last axis of x, whatever the others are."""
        y = self.add("MatMul", [x, self.constant(f"{name}.weight", np.ascontiguousarray(numbers(layer.weight).T))])
        bias: torch.Tensor | None = layer.bias
        return y if bias is None else self.add("Add", [y, self.constant(f"{name}.bias", numbers(bias))])

    def swish(self, x: str) -> str:
        """Multiply each number by its sigmoid."""
        return self.add("Mul", [x, self.add("Sigmoid", [x])])

    def layer_norm(self, x: str) -> str:
        """Give the last axis mean 0 and variance 1, as `layers.layer_norm` does."""
        centered = self.add("Sub", [x, self.add("ReduceMean", [x], axes=[-1], keepdims=1)])
        squares = self.add("Mul", [centered, centered])
        variance = self.add("ReduceMean", [squares], axes=[-1], keepdims=1)
        deviation = self.add("Sqrt", [self.add("Add", [variance, self.number(LAYER_NORM_EPSILON)])])
        return self.add("Div", [centered, deviation])

    def reshape(self, x: str, *shape: int, into: str = "") -> str:
        """Give x another shape; -1 is what is left for the batch."""
        name = "shape_" + "_".join(map(str, shape))
        return self.add("Reshape", [x, self.constant(name, np.array(shape, np.int64))], into=into)

    def concat(self, parts: list[str], axis: int = 1) -> str:
        """Put parts side by side."""
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=axis)

    def clip(self, x: str, low: float, high: float) -> str:
        """Cut at two limits."""
        if self.opset < 11:
            return self.add("Clip", [x], min=low, max=high)
        return self.add("Clip", [x, self.number(low), self.number(high)])

    def slice(self, x: str, start: int, stop: int) -> str:
        """Take some columns of (n, columns)."""
        if self.opset < 10:
            return self.add("Slice", [x], axes=[1], starts=[start], ends=[stop])
        places = [self.constant(f"place_{value}", np.array([value], np.int64)) for value in (start, stop, 1)]
        return self.add("Slice", [x, *places])

    def model(self, inputs: Sequence[str]) -> onnx.ModelProto:
        """Return all of it; inputs: their names, in order."""
        ordered = sorted(self.inputs, key=lambda value: inputs.index(value.name))
        graph = helper.make_graph(self.nodes, "policy", ordered, self.outputs, list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = IR_VERSION if self.opset < 11 else 8
        model.producer_name = "mlagents"
        return model


def numbers(tensor: torch.Tensor) -> Array:
    """Return a tensor as float32."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy().astype(np.float32))
