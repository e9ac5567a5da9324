"""Checks of learning: tiny tasks, one that cannot be learned, and the value targets of next states."""

from __future__ import annotations

import math

import numpy as np

from mlagents.conformance.errors import ConformanceError, NotApplicable
from mlagents.conformance.group_task import SacrificeEnv
from mlagents.conformance.subject import Subject
from mlagents.conformance.task_env import TaskEnv
from mlagents.conformance.tasks import (
    CoinTask,
    CopyTask,
    InterruptionTask,
    MaskedBandit,
    ReachTask,
    Task,
    TwoStepTask,
    binary_action,
)
from mlagents.conformance.training import (
    EVAL_AGENTS,
    TRAIN_AGENTS,
    env_action,
    evaluate,
    policy_input,
    train,
    trained_trainer,
)
from mlagents_envs.base_env import ActionSpec

MIN_SCORE = 0.7  # 0 is a random policy, 1 the best one
RECENT = 200  # groups whose episodes are looked at
MAX_DEVIATIONS = 4.5  # standard deviations above 1/2 at which guessed coins are no longer luck


def it_learns_to_copy_the_observation(subject: Subject, actions: ActionSpec) -> str:
    """Learn to output the action that the observation shows; see CopyTask."""
    return require_learned(subject, CopyTask(actions), rows=8000, ticks=4)


def it_learns_the_best_allowed_action(subject: Subject, actions: ActionSpec) -> str:
    """Learn the order of four actions of which only some are allowed at a time; see MaskedBandit."""
    return require_learned(subject, MaskedBandit(), rows=6000, ticks=16)


def it_learns_to_reach_a_target(subject: Subject, actions: ActionSpec) -> str:
    """Learn to walk to the middle of a line in several steps; see ReachTask."""
    return require_learned(subject, ReachTask(actions), rows=8000, ticks=ReachTask.STEPS)


def nothing_is_learned_from_random_rewards(subject: Subject, actions: ActionSpec) -> str:
    """Guess an unobserved coin: a reward above 1/2 would mean that hidden state leaks to the trainer."""
    task = CoinTask(actions)
    trainer = subject.trainer(task.spec)
    env = TaskEnv(task, TRAIN_AGENTS, seed=subject.seed)
    train(trainer, env, 4000)
    rewards = np.concatenate(env.rewards)
    during, after = float(rewards.mean()), evaluate(trainer, task, ticks=16)
    if during > _largest_luck(len(rewards)) or after > _largest_luck(16 * EVAL_AGENTS):
        raise ConformanceError(
            f"an unobserved coin must be guessed right half of the time, but the share was {during:.3f} during "
            f"training and {after:.3f} after; usually the trainer gets more than the agents' observations"
        )
    return f"mean reward {after:.2f}, a random policy's is {task.random_reward:.2f}"


def an_interruption_is_not_a_termination(subject: Subject, actions: ActionSpec) -> None:
    """Learn a task whose better action ends the episode by an interruption; see InterruptionTask."""
    task = InterruptionTask(actions)
    trainer = trained_trainer(subject, task, 6000)
    state = np.array([[0], [1]])
    input = policy_input(trainer.policy, task.observe(state), task.allowed(state))
    output = trainer.policy.act(input, explore=False)
    terminates = binary_action(env_action(trainer.policy, output.action)) == state[:, 0]
    if terminates.any():
        raise ConformanceError(
            "the return goes on after an interruption and stops at a termination, so the action that interrupts is "
            "better (3.75 against 1), but the one that terminates was learned; usually `done` is used without "
            "`interrupted`, or neither is used"
        )


def the_value_target_uses_the_next_states_best_action(subject: Subject, actions: ActionSpec) -> None:
    """Learn a task in which the best action of the next state is never that of the present one; see TwoStepTask."""
    task = TwoStepTask()
    trainer = trained_trainer(subject, task, 8000)
    state = np.arange(3)[:, None]
    input = policy_input(trainer.policy, task.observe(state), task.allowed(state))
    first, left, right = trainer.policy.act(input, explore=False).action.discrete[:, 0].tolist()
    if left != 2 or right == 2:
        raise ConformanceError(
            f"in states whose every action ends the episode, action 2, and 0 or 1, must be learned, but {left} and "
            f"{right} were; usually learning is too slow for 8000 rows: see --config"
        )
    if first != 0:
        raise ConformanceError(
            "action 0 leads to a state whose best action gives 0, action 1 to one whose best gives -0.4, but action "
            f"{first} was learned; usually the target takes the next state's value at the present action"
        )


def a_member_that_ends_is_credited_with_what_its_group_earns_later(subject: Subject, actions: ActionSpec) -> str:
    """Learn to end one's own episode for the others' sake; see SacrificeEnv."""
    if not subject.capabilities.groups:
        raise NotApplicable("its `capabilities` have no groups")
    env = SacrificeEnv(actions, TRAIN_AGENTS // 2, seed=subject.seed)
    train(subject.trainer(env.spec, gamma=env.gamma), env, 8000)
    score = float(np.mean(env.opened[-RECENT:]) - np.mean(env.left[-RECENT:]))
    if not score >= MIN_SCORE:
        raise ConformanceError(
            f"in {MIN_SCORE:.0%} more of the groups, the one that should leave must do so, than others do, but it is "
            f"{score:.0%} after 8000 rows; usually the rows of a member that ended get only what was earned while it "
            "was there, or the critic does not see the mates"
        )
    return f"{score:.0%} more of those that should leave than of others"


def _largest_luck(tosses: int) -> float:
    """Return the largest share of coins that may be guessed right by luck."""
    return 0.5 + MAX_DEVIATIONS * 0.5 / math.sqrt(tosses)


def require_learned(subject: Subject, task: Task, *, rows: int, ticks: int) -> str:
    """Raise ConformanceError if a task is not learned within `rows`; ticks: of the evaluation."""
    trainer = trained_trainer(subject, task, rows)
    reward = evaluate(trainer, task, ticks=ticks)
    score = (reward - task.random_reward) / (task.best_reward - task.random_reward)
    if not score >= MIN_SCORE:
        raise ConformanceError(
            f"within {rows} rows the mean reward must rise {MIN_SCORE:.0%} of the way from a random policy's "
            f"({task.random_reward:.2f}) to the best ({task.best_reward:.2f}), but it is {reward:.2f}, which is "
            f"{score:.0%}; usually a loss has the wrong sign, or actions and rewards of different rows are combined; "
            "or learning is only slow: see --config"
        )
    return f"{score:.0%} of the way from a random policy to the best"
