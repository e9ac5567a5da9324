"""A policy as an ONNX graph with the names, shapes and constants that Unity's inference looks for.

The graph of a built-in policy is written node by node from its weights; any other policy says its own graph, or is
traced. Before a file gets its name, onnxruntime plays it beside the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto

from mlagents.data.experience import PolicyInput
from mlagents.errors import ExportError
from mlagents.export.body import body
from mlagents.export.graph import Array, Graph
from mlagents.export.heads import write_head
from mlagents.export.importers import OPSETS, unreadable
from mlagents.export.memory import write_memory
from mlagents.export.trace import input_names, trace
from mlagents.nn.body import NetworkBody
from mlagents.nn.distributions import (
    Categorical,
    Distribution,
    EpsilonGreedy,
    Gaussian,
    Hybrid,
    SquashedGaussian,
)
from mlagents.nn.layers import is_plain_linear
from mlagents.nn.memory import Memory
from mlagents.nn.policy import Actor, Policy, SquashedActor
from mlagents.run.atomic import void, write_atomically

VERSION = 3.0  # of Unity's model format, MLAgents2_0
TOLERANCE = 1e-4  # between the policy and the exported model
BUILT_IN = (Gaussian, SquashedGaussian, Categorical, Hybrid)


def export(policy: Policy, path: Path, *, opset: int = 9) -> None:
    """Write the policy to `path`, whole or not at all; raises ExportError if the file would not play like it."""
    model = build(policy, opset=opset)
    check(policy, model)
    write_atomically(path, lambda file: void(file.write(model.SerializeToString())))


def dry_run(policy: Policy) -> None:
    """Do all that `export` does but write, so that it cannot fail after hours; raises ExportError."""
    check(policy, build(policy))


def build(policy: Policy, *, opset: int = 9) -> onnx.ModelProto:
    """Return the inference graph; opset: of the operators, the least one where the policy is traced."""
    if opset not in OPSETS:
        raise ExportError(f"opset is {opset}; it must be from {OPSETS[0]} to {OPSETS[-1]}")
    if (own := getattr(policy, "inference_graph", None)) is not None:
        model: onnx.ModelProto = own(opset)
        return model
    kind = distribution_of(policy)
    if not isinstance(policy, Actor) or not is_built_in(policy, kind):
        return trace(policy, version=VERSION, opset=opset)
    graph = Graph(opset)
    graph.constant_output("version_number", np.array([VERSION], np.float32))
    graph.constant_output("memory_size", np.array([policy.memory_size], np.float32))
    features, memory = body(graph, policy.body, policy.spec.observation_specs), ""
    if policy.body.memory is not None:
        features, memory = write_memory(graph, policy.body.memory, features)
    write_head(graph, policy, features, samples=not issubclass(kind, EpsilonGreedy))
    if memory:
        graph.reshape(memory, -1, 1, policy.memory_size, into="recurrent_out")
        graph.output("recurrent_out", TensorProto.FLOAT, ["batch", 1, policy.memory_size])
    return graph.model(input_names(policy))


def distribution_of(policy: Policy) -> type[Distribution]:
    """Return the class of distribution that a policy has."""
    with torch.no_grad():
        return type(policy.distribution(policy.blank_input(1)))


def is_built_in(policy: Policy, kind: type[Distribution]) -> bool:
    """Can the graph be written node by node: a built-in body, a linear head, and a distribution read from it?"""
    if not isinstance(policy, Actor) or type(policy.body) is not NetworkBody or not is_plain_linear(policy.head):
        return False
    if (policy.body.memory is not None and type(policy.body.memory) is not Memory) or policy.body.norms is not None:
        return False
    cls = type(policy)
    if cls.forward is not Actor.forward or {"forward", "from_output"} & vars(policy).keys():
        return False
    if kind is EpsilonGreedy:  # whatever it does to the values, the check would notice
        return True
    return cls.from_output in (Actor.from_output, SquashedActor.from_output) and kind in BUILT_IN


def check(policy: Policy, model: onnx.ModelProto, *, rows: int = 7) -> None:
    """Play the model beside the policy on random observations.

    Raises ExportError where they differ, and for what Unity's importers cannot read.
    """
    if lacking := unreadable(model):
        raise ExportError(f"the policy cannot be exported: Unity's importer of models cannot read {', '.join(lacking)}")
    input, feeds = _random_input(policy, rows)
    try:
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        used = {entry.name for entry in session.get_inputs()}  # a tracer leaves out what the policy does not look at
        output = dict(zip(names, session.run(names, {k: v for k, v in feeds.items() if k in used}), strict=True))
    except Exception as error:  # both libraries have errors of many kinds
        raise ExportError(f"the policy cannot be written as ONNX: {error}") from error
    if missing := set(input_names(policy)) - used:
        raise ExportError(f"the policy does not look at {', '.join(sorted(missing))}, which Unity's inference gives it")
    _compare(policy, input, output)


def _compare(policy: Policy, input: PolicyInput, output: dict[str, Any]) -> None:
    expected = policy.act(input, explore=False)
    action = policy.env_action(expected.action)
    if policy.continuous:
        off = float(np.abs(output["deterministic_continuous_actions"] - action.continuous.cpu().numpy()).max())
        if not off <= TOLERANCE:
            raise ExportError(f"the exported model differs from the policy by {off:g} in continuous actions")
    if policy.branches:
        for choice in (expected.action.discrete.cpu().numpy(), output["deterministic_discrete_actions"]):
            if not _as_good(policy, input, choice):
                raise ExportError("the exported model differs from the policy in discrete actions")
        greedy = issubclass(distribution_of(policy), EpsilonGreedy)
        if greedy and not _as_good(policy, input, output["discrete_actions"]):
            raise ExportError("the exported model samples discrete actions, but the policy takes the best")
        _check_masks(output["discrete_actions"], input.mask.cpu().numpy(), policy.branches)
    if policy.memory_size:
        off = float(np.abs(output["recurrent_out"][:, 0] - expected.memory.cpu().numpy()).max())
        if not off <= TOLERANCE:
            raise ExportError(f"the exported model differs from the policy by {off:g} in its memory")


def _as_good(policy: Policy, input: PolicyInput, choice: Array) -> bool:
    """Is no other choice than these (n, B) better to the policy, but for what rounding can do?"""
    with torch.no_grad():
        distribution = policy.distribution(input)
    discrete = distribution.discrete if isinstance(distribution, Hybrid) else distribution
    if isinstance(discrete, EpsilonGreedy):
        tables = list(torch.split_with_sizes(discrete.values, list(policy.branches), 1))
    elif isinstance(discrete, Categorical):
        tables = discrete.probs
    else:  # an author's own: its best choices, exactly
        return bool(np.array_equal(discrete.mode().discrete.cpu().numpy(), choice))
    for branch, mine in enumerate(tables):
        taken = mine.gather(1, torch.from_numpy(choice[:, branch, None]).to(mine.device))
        if not bool((mine.amax(1, keepdim=True) - taken <= TOLERANCE * (1 + taken.abs())).all()):
            return False
    return True


def _check_masks(chosen: Array, mask: Array, branches: tuple[int, ...]) -> None:
    start = np.cumsum([0, *branches[:-1]])
    if not np.take_along_axis(mask, chosen + start, 1).all():
        raise ExportError("the exported model takes a forbidden action")


def _random_input(policy: Policy, rows: int) -> tuple[PolicyInput, dict[str, Array]]:
    """Return random observations and memory, and masks that leave each branch a choice; for the policy and as feeds."""
    rng = np.random.default_rng(0)
    obs = [rng.normal(size=(rows, *sensor.shape)).astype(np.float32) for sensor in policy.spec.observation_specs]
    body = getattr(policy, "body", None)
    for i in body.kinds.entities if isinstance(body, NetworkBody) else ():
        obs[i][rng.random(obs[i].shape[:2]) < 0.5] = 0.0  # padding
        obs[i][0] = 0.0
    feeds: dict[str, Array] = {f"obs_{i}": column for i, column in enumerate(obs)}
    mask = np.ones((rows, sum(policy.branches)), bool)
    first = 0
    for size in policy.branches:
        mask[:, first : first + size] = rng.random((rows, size)) < 0.6
        mask[np.arange(rows), first + rng.integers(size, size=rows)] = True
        first += size
    if policy.branches:
        feeds["action_masks"] = mask.astype(np.float32)
    memory = rng.normal(size=(rows, policy.memory_size)).astype(np.float32)
    if policy.memory_size:
        feeds["recurrent_in"] = memory[:, None]
    columns = PolicyInput(tuple(map(torch.from_numpy, obs)), torch.from_numpy(mask), torch.from_numpy(memory))
    device = policy.blank_input(1).memory.device
    return columns.map(lambda column: column.to(device)), feeds
