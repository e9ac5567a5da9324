"""Trained models as players of example environments: ours, and Unity's, those of earlier releases too.

Since 2022 a model offers deterministic actions; before, a sample of them; in the beginning, log-probabilities of all
branches side by side, for observations that are joined into one.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.ticks import order_ends

JOINED = "vector_observation"  # all observations in one, as the earliest models take them
SEED = 0  # of the actions that a model draws


def allowed_choices(decision: DecisionSteps, spec: ActionSpec) -> list[Array]:
    """Return which choices each agent has, (n, size) bool per branch."""
    if decision.action_mask is not None:
        return [np.logical_not(forbidden) for forbidden in decision.action_mask]
    return [np.ones((len(decision), size), bool) for size in spec.discrete_branches]


class Player(Protocol):
    """Answers the agents of one behavior in one environment; it is called at each step, also where nobody asks."""

    def reset(self) -> None:
        """All agents begin new episodes: the environment was reset."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        """Return what the agents of `decision` do. terminal: the last episodes that ended, maybe of the same agents."""


class Model:
    """A `Player` by a model in Unity's ONNX format, deterministic where the model offers that.

    Each agent has its own memory, which is zero where its episode begins.
    """

    def __init__(self, path: Path, spec: BehaviorSpec, *, behavior: str) -> None:
        """behavior: for sentences. Raises UnityPolicyException if there is no such file or it plays something else."""
        self._session = _open(path)
        self._inputs = {node.name: list(node.shape) for node in self._session.get_inputs()}
        self._outputs = {node.name for node in self._session.get_outputs()}
        for wrong in (self._wrong_senses(spec), self._wrong_actions(spec.action_spec)):
            if wrong:
                raise UnityPolicyException(f"{path} does not fit {behavior}: {wrong}; it was trained for another one")
        self._answers = {
            kind: next(name for name in (f"deterministic_{kind}_actions", f"{kind}_actions") if name in self._outputs)
            for kind, size in (
                ("continuous", spec.action_spec.continuous_size),
                ("discrete", spec.action_spec.discrete_size),
            )
            if size
        }
        self._spec = spec.action_spec
        self._early = JOINED in self._inputs  # it takes all observations in one, and tells log-probabilities
        memory = self._inputs.get("recurrent_in", [0])[-1]
        self._nothing_yet = np.zeros((1, int(memory)), np.float32)
        self._memories: dict[int, Array] = {}  # of each agent in its running episode

    def reset(self) -> None:
        self._memories.clear()

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        before, after = (terminal.agent_id[rows] for rows in order_ends(decision, terminal))
        self._forget(before)
        action = self._act(decision) if len(decision) else self._spec.empty_action(0)
        self._forget(after)
        return action

    def _forget(self, ended: Array) -> None:
        for agent in ended.tolist():
            self._memories.pop(agent, None)

    def _act(self, decision: DecisionSteps) -> ActionTuple:
        asked: dict[str, Any] = {
            f"obs_{i}": np.ascontiguousarray(column, np.float32) for i, column in enumerate(decision.obs)
        }
        if self._early:
            asked = {JOINED: np.concatenate(decision.obs, axis=1)}
        if "action_masks" in self._inputs:
            asked["action_masks"] = np.hstack(allowed_choices(decision, self._spec)).astype(np.float32)
        names = list(self._answers.values())
        agents = decision.agent_id.tolist()
        if "recurrent_in" in self._inputs:
            asked["recurrent_in"] = np.stack([self._memories.get(agent, self._nothing_yet) for agent in agents])
            names.append("recurrent_out")
        said = self._session.run(names, {name: column for name, column in asked.items() if name in self._inputs})
        if "recurrent_in" in self._inputs:
            self._memories.update(zip(agents, said.pop(), strict=True))  # who is silent keeps its own
        actions: dict[str, Array] = dict(zip(self._answers, said, strict=True))
        if self._early and "discrete" in actions:
            actions["discrete"] = most_probable(actions["discrete"], list(self._spec.discrete_branches))
        if "continuous" in actions:
            actions["continuous"] = np.clip(actions["continuous"], -1, 1)  # as Unity does
        return ActionTuple(**actions)

    def _wrong_senses(self, spec: BehaviorSpec) -> str:
        """Return in what the model sees something else, or nothing."""
        if JOINED in self._inputs:
            size, there = self._inputs[JOINED][1], sum(math.prod(sensor.shape) for sensor in spec.observation_specs)
            return f"it takes {size} numbers, and there are {there}" if size != there else ""
        takes = sorted(name for name in self._inputs if name.startswith("obs_"))
        if len(takes) != len(spec.observation_specs):
            return f"it takes {len(takes)} observations, and there are {len(spec.observation_specs)}"
        for i, sensor in enumerate(spec.observation_specs):
            shape = self._inputs[f"obs_{i}"][1:]
            if any(isinstance(size, int) and size != there for size, there in zip(shape, sensor.shape, strict=False)) \
                    or len(shape) != len(sensor.shape):  # fmt: skip
                return f"its obs_{i} has shape {tuple(shape)}, and '{sensor.name}' has {tuple(sensor.shape)}"
        return ""

    def _wrong_actions(self, spec: ActionSpec) -> str:
        """Return in what the model does something else, or nothing."""
        for kind, here in (("continuous", (spec.continuous_size,)), ("discrete", tuple(spec.discrete_branches))):
            does: tuple[int, ...] = ()
            if f"{kind}_action_output_shape" in self._outputs:
                feeds = {name: np.zeros([_size(size) for size in shape], np.float32)
                         for name, shape in self._inputs.items()}  # fmt: skip
                (sizes,) = self._session.run([f"{kind}_action_output_shape"], feeds)
                does = tuple(int(size) for size in np.ravel(sizes) if size)
            if does != tuple(size for size in here if size):
                return f"its {kind} actions are {does or 'none'}, and the scene's {here if any(here) else 'none'}"
        return ""


def _size(size: int | str | None) -> int:
    """Return a size for one that may be a name, as that of the batch is."""
    return size if isinstance(size, int) else 1


def _open(path: Path) -> Any:
    if not path.is_file():
        raise UnityPolicyException(f"{path}: there is no such model; give an .onnx file that a run has written")
    try:
        import onnxruntime

        broken = onnxruntime.capi.onnxruntime_pybind11_state
        try:
            return _session(path)
        except (broken.Fail, broken.InvalidGraph, broken.InvalidProtobuf, broken.InvalidArgument) as error:
            reason = str(error).splitlines()[0][:160]
            raise UnityPolicyException(f"{path}: it is no model that onnxruntime can read ({reason})") from error
    except ImportError as error:
        raise UnityPolicyException(
            f"{path}: playing a model needs onnxruntime, and an early one onnx; pip install onnxruntime onnx"
        ) from error


def most_probable(log_probs: Array, branches: list[int]) -> Array:
    """Return (n, branches) int32 of the largest in each branch of (n, sum of branches)."""
    parts = np.split(log_probs, np.cumsum(branches)[:-1], axis=1)
    return np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(np.int32)


def _session(model: Path) -> Any:
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
