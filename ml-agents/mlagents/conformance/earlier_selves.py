"""Checks of self-play: earlier selves of a policy are opponents of later."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch

from mlagents.collect.acting import ActingPolicy
from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import CopyTask
from mlagents.conformance.training import EPISODE_LENGTH, initial_input, train
from mlagents.data.experience import PolicyInput, PolicyOutput
from mlagents.nn.policy import Policy
from mlagents.selfplay.weights import Weights
from mlagents_envs.base_env import ActionSpec

ROWS = 650  # after the warm-up, before the snapshot and again after it
AGENTS = 256


def an_earlier_self_acts_as_it_did_then(subject: Subject, actions: ActionSpec) -> None:
    """Take a snapshot and train on; copies of the later policy, and of a new one, must act by it as the policy did."""
    task = CopyTask(actions, length=EPISODE_LENGTH)
    trainer, rows = subject.trainer(task.spec, normalize=True), subject.warm_up() + ROWS
    env = TaskEnv(task, 16, seed=2, irregular=True)
    behavior = train(trainer, env, rows).behavior
    input = initial_input(trainer.policy, task, AGENTS, np.random.default_rng(5))
    then, snapshot = drawn(trainer.policy, input), _through_a_file(Weights.of(trainer.policy).state_dict())
    behavior.drop()
    train(trainer, env, rows, behavior=behavior)
    for policy in (trainer.policy, subject.trainer(task.spec, normalize=True, seed=9).policy):
        copied = ActingPolicy(policy).snapshot().policy
        Weights.from_state(snapshot).load_into(copied)
        again = drawn(copied, input)
        if any(not torch.equal(one, other) for one, other in zip(then.columns(), again.columns(), strict=True)):
            raise ConformanceError(
                "a copy with a snapshot's weights must act as the policy did when it was taken, but it acts otherwise; "
                "usually something that changes how it acts is neither a parameter, nor a buffer, nor a public "
                "attribute that is a number: register_buffer keeps a tensor, and a name without an underscore a number"
            )


def drawn(policy: Policy, input: PolicyInput) -> PolicyOutput:
    """Return what a policy does, drawn from a seed; its generator stays as it was."""
    own, policy.generator = policy.generator, torch.Generator().manual_seed(3)
    try:
        return policy.act(input)
    finally:
        policy.generator = own


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
