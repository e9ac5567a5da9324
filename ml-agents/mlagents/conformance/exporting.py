"""Checks of the exported ONNX model: its outputs must be those of the policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch

from mlagents.conformance.errors import ConformanceError, NotApplicable
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Array
from mlagents.conformance.training import env_action, initial_input, perturbed_trainer, random_mask
from mlagents.data.experience import PolicyInput
from mlagents.errors import ExportError
from mlagents.export.export import build, dry_run
from mlagents.nn.distributions import EpsilonGreedy
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec

TOLERANCE = 1e-3  # between an action of the policy and one of the model
SAMPLES = 4000
MAX_DEVIATIONS = 5  # standard errors between two means of SAMPLES samples
PARTS = ("continuous", "discrete")


def a_policy_is_exported_or_says_that_it_is_not(subject: Subject, actions: ActionSpec) -> str | None:
    """Build the model of a policy that promises one."""
    trainer, _ = perturbed_trainer(subject, actions)
    kind = type(trainer.policy).__name__
    if not trainer.policy.exports:
        return f"{kind} has exports = False: no model is written"
    try:
        dry_run(trainer.policy)
    except ExportError as error:
        raise ConformanceError(
            f"a policy with exports = True must be exported, but {kind} cannot be: {error}; usually it computes what "
            "ONNX has no operation for: compute it otherwise, or write exports = False to train without a model"
        ) from error
    return None


def the_exported_deterministic_output_is_the_greedy_action(subject: Subject, actions: ActionSpec) -> None:
    """Compare the model's deterministic outputs with the policy's greedy actions, for 1, 4 and 64 rows."""
    trainer, task = perturbed_trainer(subject, actions)
    model = _exported(trainer.policy)
    for n in (1, 4, 64):
        input = _with_random_mask(initial_input(trainer.policy, task, n, np.random.default_rng(n)), actions)
        output = trainer.policy.act(input, explore=False)
        greedy = env_action(trainer.policy, output.action)
        _require_same_memory(output.memory.numpy(), model.memory(input))
        for turn in range(3):
            for part, exported in model(input, "deterministic_").items():
                wrong = int((np.abs(exported - getattr(greedy, part)) > TOLERANCE).any(1).sum())
                if wrong:
                    raise ConformanceError(
                        f"deterministic_{part}_actions of the exported model must be the greedy actions, but in run "
                        f"{turn + 1} {wrong} of {n} rows differ; usually the output is sampled, or `act` changes what "
                        "the body and the head compute, which are what is exported"
                    )


def the_exported_sampled_output_is_distributed_like_the_policy(subject: Subject, actions: ActionSpec) -> None:
    """Compare the means of many samples of the policy and of the model, for the same observation."""
    trainer, task = perturbed_trainer(subject, actions)
    policy, model = trainer.policy, _exported(trainer.policy)
    for seed in range(2):
        one = _with_random_mask(initial_input(trainer.policy, task, 1, np.random.default_rng(seed)), actions)
        many = one[torch.zeros(SAMPLES, dtype=torch.int64)]
        samples = not isinstance(policy.distribution(one), EpsilonGreedy)  # of Q-values, the model is greedy twice
        sampled = env_action(policy, policy.act(many, explore=samples).action)
        exported = model(many, "")
        if actions.continuous_size:
            _require_same_means(sampled.continuous, exported["continuous"], "the mean of continuous_actions")
            _require_same_means(
                sampled.continuous**2, exported["continuous"] ** 2, "the mean square of continuous_actions"
            )
        for branch, size in enumerate(actions.discrete_branches):
            one_hot = np.eye(size)
            what = f"the frequency of an action of branch {branch}"
            _require_same_means(one_hot[sampled.discrete[:, branch]], one_hot[exported["discrete"][:, branch]], what)


def _exported(policy: Policy) -> _Model:
    if not policy.exports:
        raise NotApplicable(f"{type(policy).__name__} has exports = False")
    return _Model(policy)


def _require_same_memory(policy: Array, model: Array) -> None:
    if policy.shape != model.shape or (np.abs(policy - model) > TOLERANCE).any():
        raise ConformanceError(
            "recurrent_out of the exported model must be the policy's memory, but differs; usually `act` changes the "
            "memory that `forward` returns"
        )


def _require_same_means(policy: Array, model: Array, what: str) -> None:
    """Raise ConformanceError if the means of two (SAMPLES, k) arrays differ by more than their sampling errors."""
    error = np.sqrt((policy.var(0) + model.var(0)) / SAMPLES)
    difference = np.abs(policy.mean(0) - model.mean(0))
    worst = int((difference - MAX_DEVIATIONS * error).argmax())
    if difference[worst] > MAX_DEVIATIONS * error[worst] + 2e-3:
        raise ConformanceError(
            f"the exported model must be distributed like the policy, but {what} is {model.mean(0)[worst]:.3f} where "
            f"the policy has {policy.mean(0)[worst]:.3f}; usually `act` does not sample its distribution, or a "
            "policy of values does not have `EpsilonGreedy` as its distribution"
        )


def _with_random_mask(input: PolicyInput, actions: ActionSpec) -> PolicyInput:
    """Return the input with some discrete actions masked at random."""
    mask = random_mask(len(input), actions.discrete_branches, np.random.default_rng(len(input)))
    return PolicyInput(input.obs, torch.from_numpy(mask), input.memory)


class _Model:
    """An exported policy, run by onnxruntime."""

    def __init__(self, policy: Policy) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        onnxruntime.set_seed(7)
        model = build(policy).SerializeToString()
        self._memory_size = policy.memory_size
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = {output.name for output in self._session.get_outputs()}
        self._inputs = {input.name for input in self._session.get_inputs()}

    def __call__(self, input: PolicyInput, prefix: str) -> dict[str, Array]:
        """Return the continuous and discrete outputs whose names begin with `prefix`."""
        parts = [part for part in PARTS if f"{prefix}{part}_actions" in self._outputs]
        outputs = self._session.run([f"{prefix}{part}_actions" for part in parts], self._feeds(input))
        return dict(zip(parts, outputs, strict=True))

    def memory(self, input: PolicyInput) -> Array:
        """Return the (n, M) memory afterwards."""
        if not self._memory_size:
            return input.memory.numpy()
        (memory,) = self._session.run(["recurrent_out"], self._feeds(input))
        after: Array = memory[:, 0]
        return after

    def _feeds(self, input: PolicyInput) -> dict[str, Any]:
        feeds: dict[str, Any] = {f"obs_{i}": column.numpy() for i, column in enumerate(input.obs)}
        feeds["action_masks"] = input.mask.numpy().astype(np.float32)
        feeds["recurrent_in"] = input.memory.numpy()[:, None]
        return {name: column for name, column in feeds.items() if name in self._inputs}
