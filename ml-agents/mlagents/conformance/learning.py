"""Questions about what is learnt: tiny tasks, one that cannot be learnt, and what a next state is worth."""

from __future__ import annotations

import math

import numpy as np

from mlagents.conformance.fault import Fault
from mlagents.conformance.lesson import AGENTS, PLAYERS, learned, question, score, told, train
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import Arms, Coin, Echo, Fork, Reach, Task, Toll, said
from mlagents.conformance.world import World
from mlagents_envs.base_env import ActionSpec

SHARE = 0.7  # of the way from chance to the best that must be gone
DEVIATIONS = 4.5  # of a mean of coins, that still pass as chance


def it_learns_to_say_back_what_it_sees(subject: Subject, actions: ActionSpec) -> str:
    """Learn which choice is shown to each branch, and which number."""
    return _learns(subject, Echo(actions), rows=8000, ticks=4)


def it_learns_which_allowed_choice_is_best(subject: Subject, actions: ActionSpec) -> str:
    """Learn the order of four choices of which only some are allowed at a time."""
    return _learns(subject, Arms(), rows=6000, ticks=16)


def it_learns_to_reach_a_place(subject: Subject, actions: ActionSpec) -> str:
    """Learn to walk to the middle of a line, whose steps follow from each other."""
    return _learns(subject, Reach(actions), rows=8000, ticks=Reach.STEPS)


def nothing_is_learnt_where_there_is_nothing_to_learn(subject: Subject, actions: ActionSpec) -> str:
    """Guess a coin that nobody sees: a score above chance would mean that the kit, or the trainer, peeps."""
    task = Coin(actions)
    trainer = subject.trainer(task.spec)
    world = World(task, AGENTS, seed=subject.seed)
    train(trainer, world, 4000)
    tosses = np.concatenate(world.rewards)
    during, after = float(tosses.mean()), score(trainer, task, ticks=16)
    if during > _luck(len(tosses)) or after > _luck(16 * PLAYERS):
        raise Fault(
            f"a coin that nobody sees is guessed half of the time, but {during:.3f} of it was while learning and "
            f"{after:.3f} after; usually more of the world reaches the trainer than what its agents see"
        )
    return f"{after:.2f} where chance is {task.chance:.2f}"


def an_interruption_is_told_from_a_termination(subject: Subject, actions: ActionSpec) -> None:
    """Learn a task whose better choice is interrupted; see Toll."""
    task = Toll(actions)
    trainer = learned(subject, task, 6000)
    state = np.array([[0], [1]])
    input = question(task.seen(state), task.allowed(state))
    terminates = said(told(trainer.policy, trainer.policy.act(input, explore=False).action)) == state[:, 0]
    if terminates.any():
        raise Fault(
            "what follows an interruption counts and what follows a termination does not, so the choice that is "
            "interrupted is better (3.75 against 1), but the one that terminates was learnt; usually `done` is taken "
            "without `interrupted`, or neither is looked at"
        )


def the_next_value_is_that_of_the_best_choice_there(subject: Subject, actions: ActionSpec) -> None:
    """Learn a task in which the next state's best choice is never that of the present one; see Fork."""
    task = Fork()
    trainer = learned(subject, task, 8000)
    state = np.arange(3)[:, None]
    input = question(task.seen(state), task.allowed(state))
    start, hill, plain = trainer.policy.act(input, explore=False).action.discrete[:, 0].tolist()
    if hill != 2 or plain == 2:
        raise Fault(
            f"where an episode ends with the next reward, the better choice must be learnt, but choices {hill} and "
            f"{plain} were instead of 2, and 0 or 1; usually it learns too slowly for 8000 rows: see --config"
        )
    if start != 0:
        raise Fault(
            f"choice 0 leads to a state whose best choice gives 0, choice 1 to one whose best gives -0.4, but choice "
            f"{start} was learnt; usually the target takes the next state's value at the choice made now"
        )


def _luck(tosses: int) -> float:
    """Return the largest share of coins that may be guessed by chance."""
    return 0.5 + DEVIATIONS * 0.5 / math.sqrt(tosses)


def _learns(subject: Subject, task: Task, *, rows: int, ticks: int) -> str:
    """Raise Fault if a task is not learnt within `rows`; ticks: of play, after training."""
    trainer = learned(subject, task, rows)
    got = score(trainer, task, ticks=ticks)
    share = (got - task.chance) / (task.best - task.chance)
    if not share >= SHARE:
        raise Fault(
            f"within {rows} rows it must learn {SHARE:.0%} of what lies between chance ({task.chance:.2f}) and the "
            f"best ({task.best:.2f}), but it scored {got:.2f}, which is {share:.0%}; usually a loss has the wrong "
            "sign, or actions and rewards of different rows are put together; or it is only slow: see --config"
        )
    return f"{share:.0%} of what there was to learn"
