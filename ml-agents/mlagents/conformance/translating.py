"""Checks of what lies between a policy and the world around it: the environment's actions, and an agent's memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import CopyTask
from mlagents.conformance.training import initial_input, perturbed_trainer
from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec

TOLERANCE = 1e-3
EDGE = 0.99  # of the actions that are translated there and back
ROWS, STEPS = 5, 6  # sequences, and the rows of each


def the_environments_actions_are_bounded_and_translated_back(subject: Subject, actions: ActionSpec) -> None:
    """Translate sampled actions to the environment's, and the environment's to a policy's and back."""
    trainer, task = perturbed_trainer(subject, actions)
    policy, rng = trainer.policy, np.random.default_rng(8)
    sampled = policy.act(initial_input(policy, task, 256, rng)).action
    env = policy.env_action(sampled)
    if not bool((env.continuous.abs() <= 1).all()):
        raise ConformanceError(
            f"env_action must give numbers from -1 to 1, but gave {float(env.continuous.abs().max()):g}; usually "
            "`to_env` of the distribution neither clips nor squashes"
        )
    wanted = torch.from_numpy(rng.uniform(-EDGE, EDGE, tuple(env.continuous.shape)).astype(np.float32))
    back = policy.env_action(policy.from_env_action(Actions(wanted, env.discrete)))
    off = float((back.continuous - wanted).abs().max())
    if not (off <= TOLERANCE and torch.equal(back.discrete, env.discrete)):
        raise ConformanceError(
            f"from_env_action must be the inverse of env_action, but there and back actions differ by {off:g}; usually "
            "`from_env` of the distribution is missing, so that demonstrations are learned at another scale"
        )


def memory_belongs_to_one_agent_and_one_sequence(subject: Subject, actions: ActionSpec) -> None:
    """Change the memory of other agents; and evaluate sequences that were acted in row by row."""
    trainer, task = perturbed_trainer(subject, actions)
    if not trainer.policy.memory_size:
        trainer, task = perturbed_trainer(subject.with_memory(), actions)
    policy, rng = trainer.policy, np.random.default_rng(9)
    input = initial_input(policy, task, 8, rng)
    others = input.memory.flip(0) + 1
    others[0] = input.memory[0]
    mine, theirs = (policy.act(replace(input, memory=m), explore=False).memory[0] for m in (input.memory, others))
    if not torch.allclose(mine, theirs, atol=TOLERANCE):
        raise ConformanceError(
            "an agent's memory must not depend on that of other agents, but it does; usually rows are mixed, by a mean "
            "over the batch for example"
        )
    steps = _steps(policy, task, rng)
    inputs = PolicyInput.concat([input for input, _ in steps])
    outputs = PolicyOutput.concat([output for _, output in steps])
    log_prob, _ = policy.evaluate_sequences(inputs, outputs.action, torch.arange(ROWS).repeat(STEPS))
    if log_prob.shape != outputs.log_prob.shape or not torch.allclose(log_prob, outputs.log_prob, atol=1e-2):
        raise ConformanceError(
            "evaluate_sequences must give the log probabilities that the actions had when they were taken, but does "
            "not; usually memory runs on from one sequence into the next, or `act` changes it"
        )


def _steps(policy: Policy, task: CopyTask, rng: np.random.Generator) -> list[tuple[PolicyInput, PolicyOutput]]:
    """Return what ROWS agents saw and did in STEPS steps, from no memory on."""
    found: list[tuple[PolicyInput, PolicyOutput]] = []
    memory = torch.zeros(ROWS, policy.memory_size)
    for _ in range(STEPS):
        input = replace(initial_input(policy, task, ROWS, rng), memory=memory)
        found.append((input, policy.act(input)))
        memory = found[-1][1].memory
    return found
