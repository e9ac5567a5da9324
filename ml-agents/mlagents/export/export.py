"""A policy as an ONNX graph with the names, shapes and constants that Unity's inference looks for.

The graph is built node by node from the policy's weights; the networks know nothing of ONNX. Before a file gets its
name, onnxruntime plays it beside the policy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto

from mlagents.data.experience import PolicyInput
from mlagents.export.body import body
from mlagents.export.graph import Array, Graph, numbers
from mlagents.export.importers import OPSETS, unreadable
from mlagents.nn.distributions import masked
from mlagents.nn.policy import ACTION_CLIP, Actor
from mlagents.run.atomic import void, write_atomically
from mlagents.run.errors import ExportError

VERSION = 3.0  # of Unity's model format, MLAgents2_0
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
    graph = Graph(opset)
    graph.constant_output("version_number", np.array([VERSION], np.float32))
    graph.constant_output("memory_size", np.zeros(1, np.float32))
    features = body(graph, actor.body, actor.spec.observation_specs)
    weight, bias = numbers(actor.head.weight), numbers(actor.head.bias)
    continuous = actor.continuous
    if continuous:
        mean = graph.gemm("mean", features, weight[:continuous], bias[:continuous])
        _continuous(graph, mean, numbers(actor.log_sigma), continuous)
    if actor.branches:
        logits = graph.gemm("logits", features, weight[continuous:], bias[continuous:])
        _discrete(graph, logits, actor.branches, samples=actor.samples)
    return graph.model()


def check(actor: Actor, model: onnx.ModelProto, *, rows: int = 7) -> None:
    """Play the model beside the policy on random observations.

    Raises ExportError where they differ, and for what Unity's importers cannot read.
    """
    if lacking := unreadable(model):
        raise ExportError(f"the policy cannot be exported: Unity's importer of models cannot read {', '.join(lacking)}")
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
        for choice in (known.discrete.numpy(), said["deterministic_discrete_actions"]):
            if not _as_good(actor, asked, choice):
                raise ExportError("the exported model differs from the policy in discrete actions")
        if not actor.samples and not _as_good(actor, asked, said["discrete_actions"]):
            raise ExportError("the exported model samples discrete actions, but the policy takes the best")
        _check_masks(said["discrete_actions"], asked.mask.numpy(), actor.branches)


def _as_good(actor: Actor, asked: PolicyInput, choice: Array) -> bool:
    """Does the policy think no other choice better than these (n, B), but for what rounding can do?"""
    with torch.no_grad():
        logits = masked(actor.body(asked.obs, actor.head)[:, actor.continuous :], asked.mask)
    for branch, mine in enumerate(torch.split_with_sizes(logits, actor.branches, 1)):
        taken = mine.gather(1, torch.from_numpy(choice[:, branch, None]))
        if not bool((mine.amax(1, keepdim=True) - taken <= TOLERANCE * (1 + taken.abs())).all()):
            return False
    return True


def _check_masks(chosen: Array, mask: Array, branches: tuple[int, ...]) -> None:
    start = np.cumsum([0, *branches[:-1]])
    if not np.take_along_axis(mask, chosen + start, 1).all():
        raise ExportError("the exported model takes a forbidden action")


def _random_input(actor: Actor, rows: int) -> tuple[PolicyInput, dict[str, Array]]:
    """Return observations around what the normalizer knows, and masks that leave each branch a choice."""
    chance = np.random.default_rng(0)
    obs = [chance.normal(size=(rows, *s.shape)).astype(np.float32) for s in actor.spec.observation_specs]
    for i in actor.body.kinds.entities:
        obs[i][chance.random(obs[i].shape[:2]) < 0.5] = 0.0  # nobody there
        obs[i][0] = 0.0
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


def _continuous(graph: Graph, mean: str, log_sigma: Array, size: int) -> None:
    """Write the Gaussian: a sample and the mean, cut and scaled as the world is told."""
    noise = graph.add("RandomNormalLike", [mean], dtype=TensorProto.FLOAT)
    spread = graph.add("Mul", [noise, graph.constant("sigma", np.exp(log_sigma))])
    reach = graph.constant("reach", np.array(ACTION_CLIP, np.float32))
    for source, name in ((graph.add("Add", [mean, spread]), "continuous_actions"),
                         (mean, "deterministic_continuous_actions")):  # fmt: skip
        if name.startswith("det"):
            graph.constant_output("continuous_action_output_shape", np.array([size], np.float32))
        graph.add("Div", [graph.clip(source, ACTION_CLIP), reach], into=name)
        graph.output(name, TensorProto.FLOAT, ["batch", size])


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
        # forbidden choices stay impossible: their chance is 0, and the mask takes the rest of the logarithm's floor
        weights = graph.add("Log", [graph.add("Add", [probs, graph.add("Mul", [mask, tiny])])])
        sampled.append(graph.add("Multinomial", [weights], dtype=TensorProto.INT64, sample_size=1))
        best.append(graph.add("ArgMax", [probs], axis=1, keepdims=1))
        start += size
    graph.add("Concat", sampled if samples else best, into="discrete_actions", axis=1)
    graph.output("discrete_actions", TensorProto.INT64, ["batch", len(branches)])
    graph.constant_output("discrete_action_output_shape", np.array([branches], np.float32))
    graph.add("Concat", best, into="deterministic_discrete_actions", axis=1)
    graph.output("deterministic_discrete_actions", TensorProto.INT64, ["batch", len(branches)])
