"""Checks of a policy's actions: one per row, independent of other rows, within the masks, reproducible."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv, check_discrete
from mlagents.conformance.tasks import Array, CopyTask, MaskedBandit
from mlagents.conformance.training import (
    EPISODE_LENGTH,
    TIME_HORIZON,
    env_action,
    initial_input,
    perturbed_trainer,
    random_mask,
    train,
)
from mlagents.data.experience import PolicyInput
from mlagents.nn.policy import Policy
from mlagents_envs.base_env import ActionSpec

TOLERANCE = 1e-3  # between actions that must be equal: sums over batches of other sizes round differently
REPEATS = 40  # calls of an exploring policy with the same input
BATCH_SIZES = (1, 4, 64)


def agents_may_join_and_leave_at_any_tick(subject: Subject, actions: ActionSpec) -> None:
    """Train with 1, 4 and 64 agents that act irregularly and leave in mid-episode, with kept and with new ids."""
    for agents, renew_ids in product(BATCH_SIZES, (False, True)):
        rows = subject.warm_up() + 150 + agents * (TIME_HORIZON + 2)  # each lane may hold one open segment
        task = CopyTask(actions, length=EPISODE_LENGTH)
        trainer = subject.trainer(task.spec, normalize=True)
        before = {name: weight.clone() for name, weight in trainer.policy.named_parameters()}
        result = train(trainer, TaskEnv(task, agents, seed=agents, irregular=True, renew_ids=renew_ids), rows)
        after = dict(trainer.policy.named_parameters())
        if not result.updates or all(torch.equal(weight, after[name]) for name, weight in before.items()):
            raise ConformanceError(
                f"the policy's weights must change within {rows} rows of {agents} agents that join and leave, but they "
                "did not; usually rows are lost when an agent leaves, or batch_size or buffer_size exceeds that number"
            )
        broken = [name for name, weight in after.items() if not torch.isfinite(weight).all()]
        if broken:
            raise ConformanceError(
                f"weights must be finite, but {broken[0]} is not after {rows} rows of {agents} agents; usually the "
                "logarithm of 0, or the standard deviation of a single row, is taken"
            )


def every_agent_gets_its_own_action(subject: Subject, actions: ActionSpec) -> None:
    """Ask for the actions of 64 agents with different observations, with and without exploration."""
    trainer, task = perturbed_trainer(subject, actions)
    input = initial_input(trainer.policy, task, 64, np.random.default_rng(1))
    for explore in [False] + [True] * REPEATS:
        output = _env_actions(trainer.policy, input, explore=explore)
        if len(output) != 64:
            raise ConformanceError(
                f"64 agents must get 64 actions, but got {len(output)}; usually one action is drawn per sensor, or one "
                "for all agents"
            )
        if (np.abs(output - output[0]) < 1e-6).all():
            raise ConformanceError(
                f"64 agents with different observations must not all get the same action, but with explore={explore} "
                f"all got {output[0].tolist()}; usually the action of the first row, or one sample, is used for all"
            )


def actions_do_not_depend_on_the_order_of_rows(subject: Subject, actions: ActionSpec) -> None:
    """Ask for the actions of the same agents in another order."""
    trainer, task = perturbed_trainer(subject, actions)
    input = initial_input(trainer.policy, task, 64, np.random.default_rng(2))
    order = torch.randperm(64)
    _require_same(
        _env_actions(trainer.policy, input)[order], _env_actions(trainer.policy, input[order]),
        "in another order", "a row gets the action of another row",
    )  # fmt: skip


def actions_do_not_depend_on_the_other_rows(subject: Subject, actions: ActionSpec) -> None:
    """Ask for the actions of 64 agents in batches of 64, 4 and 1."""
    trainer, task = perturbed_trainer(subject, actions)
    input = initial_input(trainer.policy, task, 64, np.random.default_rng(3))
    together = _env_actions(trainer.policy, input)
    for size in (4, 1):
        parts = [_env_actions(trainer.policy, input[start : start + size]) for start in range(0, 64, size)]
        cause = "a statistic of the batch (mean, deviation) is used, or state is shared between agents"
        _require_same(together, np.concatenate(parts), f"in batches of {size}", cause)


def actions_do_not_depend_on_earlier_calls(subject: Subject, actions: ActionSpec) -> None:
    """Ask for the actions of the same agents again after calls for others."""
    trainer, task = perturbed_trainer(subject, actions)
    rng = np.random.default_rng(4)
    input = initial_input(trainer.policy, task, 64, rng)
    before = _env_actions(trainer.policy, input)
    for n in BATCH_SIZES:
        trainer.policy.act(initial_input(trainer.policy, task, n, rng))
    cause = "the policy keeps state between calls, which all agents share; memory is an input and an output"
    _require_same(before, _env_actions(trainer.policy, input), "after calls for other agents", cause)


def a_masked_action_is_never_taken(subject: Subject, actions: ActionSpec) -> None:
    """Mask discrete actions at random, then the greedy ones; then train with masks."""
    trainer, task = perturbed_trainer(subject, actions)
    rng = np.random.default_rng(5)
    input = initial_input(trainer.policy, task, 256, rng)
    greedy = trainer.policy.act(input, explore=False).action.discrete.numpy()
    for mask in (random_mask(256, actions.discrete_branches, rng), _all_but(greedy, actions.discrete_branches)):
        masked = PolicyInput(input.obs, torch.from_numpy(mask), input.memory)
        for explore in [False] + [True] * REPEATS:
            discrete = trainer.policy.act(masked, explore=explore).action.discrete.numpy()
            check_discrete(discrete, mask, actions.discrete_branches)
    if actions.discrete_size == 1 and not actions.continuous_size:
        bandit = MaskedBandit()
        train(subject.trainer(bandit.spec), TaskEnv(bandit, 16, seed=5, irregular=True), 600)


def inference_is_deterministic(subject: Subject, actions: ActionSpec) -> None:
    """Ask repeatedly with explore=False; then with explore=True, but network_settings.deterministic."""
    trainer, task = perturbed_trainer(subject, actions)
    input = initial_input(trainer.policy, task, 256, np.random.default_rng(6))
    greedy = _env_actions(trainer.policy, input)
    cause = "`act` samples without looking at `explore`"
    for turn in range(REPEATS):
        torch.manual_seed(turn)
        _require_same(greedy, _env_actions(trainer.policy, input), "in another call with explore=False", cause)
    trainer, task = perturbed_trainer(subject, actions, deterministic=True)
    greedy = _env_actions(trainer.policy, input)
    for turn in range(REPEATS):
        torch.manual_seed(turn)
        output = _env_actions(trainer.policy, input, explore=True)
        cause = "`act` ignores `self.deterministic`, so that --deterministic has no effect"
        _require_same(greedy, output, "with network_settings.deterministic", cause)


def an_empty_batch_is_accepted(subject: Subject, actions: ActionSpec) -> None:
    """Ask for the actions of no agents, as in a tick in which all episodes end."""
    trainer, task = perturbed_trainer(subject, actions)
    empty = initial_input(trainer.policy, task, 0, np.random.default_rng(0))
    for explore in (True, False):
        output = trainer.policy.act(empty, explore=explore)
        if len(output) or len(output.action.discrete) or len(output.log_prob):
            raise ConformanceError(
                f"a batch of 0 rows must give 0 actions, but gave {len(output.action.discrete)}; usually a row is "
                "added where the batch is empty"
            )


def _env_actions(policy: Policy, input: PolicyInput, *, explore: bool = False) -> Array:
    """Return (n, C + B + M), the actions as the environment gets them, and the memory afterwards."""
    output = policy.act(input, explore=explore)
    action = env_action(policy, output.action)
    return np.hstack([action.continuous, action.discrete, output.memory.numpy()])


def _require_same(expected: Array, actual: Array, when: str, cause: str) -> None:
    """Raise ConformanceError if two (n, C + B + M) arrays of actions and memory differ."""
    if expected.shape != actual.shape:
        raise ConformanceError(
            f"{len(expected)} agents must get {len(expected)} actions {when}, but got {len(actual)}; usually {cause}"
        )
    differs = (np.abs(expected - actual) > TOLERANCE).any(1)
    if differs.any():
        raise ConformanceError(
            f"agents must get the same actions {when}, but {int(differs.sum())} of {len(differs)} did not; "
            f"usually {cause}"
        )


def _all_but(discrete: Array, branches: tuple[int, ...]) -> Array:
    """Return the (n, sum of branch sizes) bool mask that forbids exactly these (n, B) actions."""
    return ~np.concatenate([np.eye(size, dtype=bool)[discrete[:, i]] for i, size in enumerate(branches)], 1)
