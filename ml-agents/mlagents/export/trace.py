"""Any policy as an ONNX graph, by tracing what it computes: for networks and distributions that are an author's own."""

from __future__ import annotations

import copy
import io
import warnings
from contextlib import redirect_stdout
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.errors import ExportError
from mlagents.nn.distributions import Distribution, EpsilonGreedy
from mlagents.nn.policy import Policy

VERSIONS = (9, 11, 13, 15)  # opsets that are tried in turn: Unity's importer ends at 15
ROWS = 3  # of the input that is traced; the graph takes any number


class Inference(nn.Module):
    """A policy as a function of plain tensors: Unity's inputs to Unity's outputs."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        sensors = policy.spec.observation_specs
        self.sensors = len(sensors)
        self.seen = next(i for i, sensor in enumerate(sensors) if sensor.name not in policy.unseen)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return `output_names` of `input_names`."""
        policy, obs, rest = self.policy, inputs[: self.sensors], list(inputs[self.sensors :])
        n = obs[self.seen].shape[0]
        mask = rest.pop(0) > 0.5 if policy.branches else torch.ones((n, 0), dtype=torch.bool, device=obs[0].device)
        memory = rest.pop(0)[:, 0] if policy.memory_size else obs[0].new_zeros((n, 0))
        distribution, after = policy(PolicyInput(tuple(obs), mask, memory))
        sampled, best = self._actions(distribution)
        outputs: list[Tensor] = []
        if policy.continuous:
            outputs += [policy.env_action(each).continuous for each in (sampled, best)]
        if policy.branches:
            outputs += [policy.env_action(each).discrete for each in (sampled, best)]
        return (*outputs, after[:, None]) if policy.memory_size else tuple(outputs)

    def _actions(self, distribution: Distribution) -> tuple[Actions, Actions]:
        best = distribution.mode()
        return (best if isinstance(distribution, EpsilonGreedy) else distribution.sample()), best


def input_names(policy: Policy) -> list[str]:
    """Return the names of Unity's inputs, in order."""
    names = [f"obs_{i}" for i in range(len(policy.spec.observation_specs))]
    return names + ["action_masks"] * bool(policy.branches) + ["recurrent_in"] * bool(policy.memory_size)


def output_names(policy: Policy) -> list[str]:
    """Return the names of Unity's outputs that are computed, in order."""
    continuous = ["continuous_actions", "deterministic_continuous_actions"]
    discrete = ["discrete_actions", "deterministic_discrete_actions"]
    names = continuous * bool(policy.continuous) + discrete * bool(policy.branches)
    return names + ["recurrent_out"] * bool(policy.memory_size)


def trace(policy: Policy, *, version: float, opset: int) -> onnx.ModelProto:
    """Return the inference graph; raises ExportError with torch's reason.

    version: of Unity's model format; opset: where torch cannot say it in this one, a newer one is taken.
    """
    policy = copy.deepcopy(policy).to("cpu").eval()
    policy.generator = None  # noise that is drawn by the graph
    _ = policy.action_space  # found out once, and no part of the graph
    input = policy.blank_input(ROWS)
    inputs = [*input.obs, *([input.mask.float()] if policy.branches else [])]
    inputs += [input.memory[:, None]] if policy.memory_size else []
    reason = ""
    for number in (opset, *(newer for newer in VERSIONS if newer > opset)):
        try:
            model = _traced(policy, tuple(inputs), number)
        except Exception as error:  # torch has errors of many kinds
            reason = " ".join(str(error).split("\n", 1)[0].split())[:300] or type(error).__name__
            continue
        return _with_unseen(_with_constants(model, policy, version), policy)
    raise ExportError(f"torch cannot trace {type(policy).__name__} for ONNX: {reason}")


def _traced(policy: Policy, inputs: tuple[Tensor, ...], opset: int) -> onnx.ModelProto:
    names = input_names(policy), output_names(policy)
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):  # a failure prints the graph
        warnings.simplefilter("ignore")  # the tracer is deprecated; the new one writes opsets that Unity cannot read
        torch.onnx.export(
            Inference(policy), inputs, cast(Any, file), dynamo=False, opset_version=opset, input_names=names[0],
            output_names=names[1], dynamic_axes={name: {0: "batch"} for both in names for name in both},
        )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def _with_constants(model: onnx.ModelProto, policy: Policy, version: float) -> onnx.ModelProto:
    """Return the model with the numbers that Unity looks for, as its own files carry them."""
    numbers = {"version_number": [version], "memory_size": [float(policy.memory_size)]}
    if policy.continuous:
        numbers["continuous_action_output_shape"] = [float(policy.continuous)]
    constants = {name: np.array(value, np.float32) for name, value in numbers.items()}
    if policy.branches:
        constants["discrete_action_output_shape"] = np.array([policy.branches], np.float32)
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value, f"{name}.value"))
        model.graph.node.append(helper.make_node("Identity", [f"{name}.value"], [name]))
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(value.shape)))
    model.producer_name = "mlagents"
    return model


def _with_unseen(model: onnx.ModelProto, policy: Policy) -> onnx.ModelProto:
    """Return the model with an input for every sensor that the policy does not see: Unity counts them."""
    kept = {value.name: value for value in model.graph.input}
    for i, sensor in enumerate(policy.spec.observation_specs):
        if sensor.name in policy.unseen and (name := f"obs_{i}") not in kept:
            kept[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sensor.shape])
    del model.graph.input[:]
    model.graph.input.extend(kept[name] for name in input_names(policy) if name in kept)
    return model
