"""Unity's trained models as players of our example environments, those of earlier releases of Unity's trainers too.

Since 2022 a model offers deterministic actions; before, a sample of them; in the beginning, log-probabilities of all
branches side by side, for observations that are joined into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.replay import Play

JOINED = "vector_observation"  # all observations in one, as the earliest models take them
SEED = 0  # of the actions that a model draws


def unity_policy(model: Path) -> Play:
    """Return how a model of Unity's plays, deterministically where it offers that; needs onnxruntime.

    A model that onnxruntime refuses because of missing outputs needs onnx too, to be repaired.
    """
    session = open_model(model)
    inputs = {node.name: node.shape for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    answers = {
        kind: next(name for name in names if name in outputs)
        for kind in ("continuous", "discrete")
        if outputs.keys() & (names := (f"deterministic_{kind}_actions", f"{kind}_actions"))
    }
    branches: list[int] = []
    if JOINED in inputs:
        feeds = {name: np.zeros((1, shape[1]), np.float32) for name, shape in inputs.items()}
        branches = np.ravel(session.run(["discrete_action_output_shape"], feeds)[0]).astype(int).tolist()

    def play(decision: DecisionSteps) -> ActionTuple:
        seen = {f"obs_{i}": column for i, column in enumerate(decision.obs)}
        feeds: dict[str, Any] = {name: column for name, column in seen.items() if name in inputs}
        if branches:
            feeds = {JOINED: np.concatenate(decision.obs, axis=1)}
        if "action_masks" in inputs:
            feeds["action_masks"] = np.ones((len(decision), inputs["action_masks"][1]), np.float32)
            if decision.action_mask is not None:
                feeds["action_masks"] -= np.concatenate(decision.action_mask, axis=1)
        actions: Mapping[str, Array] = dict(zip(answers, session.run(list(answers.values()), feeds), strict=True))
        if branches:
            return ActionTuple(discrete=most_probable(actions["discrete"], branches))
        return ActionTuple(**actions)

    return play


def most_probable(log_probs: Array, branches: list[int]) -> Array:
    """Return (n, branches) int32 of the largest in each branch of (n, sum of branches)."""
    parts = np.split(log_probs, np.cumsum(branches)[:-1], axis=1)
    return np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(np.int32)


def open_model(model: Path) -> Any:
    """Return an onnxruntime session on one thread; a model that is refused for missing outputs is repaired first."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what it would say, the exception says too
    onnxruntime.set_seed(SEED)
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return onnxruntime.InferenceSession(_repaired(model), options, providers=["CPUExecutionProvider"])


def _repaired(model: Path) -> bytes:
    """Return a model without the outputs that no node of it makes.

    SoccerTwos of Unity's release 21 promises `is_continuous_control` and `action_output_shape`, which an earlier format
    had, but lost the constants that they were when it was converted. No policy needs them.
    """
    import onnx

    loaded = onnx.load(str(model))
    made = {name for node in loaded.graph.node for name in node.output}
    for output in list(loaded.graph.output):
        if output.name not in made:
            loaded.graph.output.remove(output)
    repaired: bytes = loaded.SerializeToString()
    return repaired
