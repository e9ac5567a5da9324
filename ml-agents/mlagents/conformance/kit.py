"""All questions, each with the kinds of actions it is asked with."""

from __future__ import annotations

from mlagents.conformance import acting, exporting, keeping, learning, pace, promises
from mlagents.conformance.check import Check, Question
from mlagents.conformance.subject import (
    ALL,
    CHOICES,
    CONTINUOUS,
    HYBRID,
    KINDS,
    NO_MATTER,
    ONE_BRANCH,
    TWO_BRANCHES,
    Space,
    Subject,
)

SIMPLE = (ONE_BRANCH, CONTINUOUS)
PLAN: list[tuple[Question, tuple[Space, ...]]] = [
    (promises.it_takes_some_kind_of_actions, (NO_MATTER,)),
    (promises.every_setting_says_what_it_is_for, (NO_MATTER,)),
    (promises.an_unknown_setting_is_refused, (NO_MATTER,)),
    (promises.settings_are_read_again_as_they_were_written, (NO_MATTER,)),
    (acting.agents_may_come_and_go, ALL),
    (acting.every_agent_has_an_action_of_its_own, ALL),
    (acting.the_order_of_agents_changes_nothing, KINDS),
    (acting.an_agent_is_answered_as_if_it_were_alone, KINDS),
    (acting.earlier_questions_change_no_answer, KINDS),
    (acting.a_forbidden_choice_is_never_taken, (*CHOICES, HYBRID)),
    (acting.inference_explores_nothing, KINDS),
    (acting.a_tick_in_which_nobody_asks_is_answered, KINDS),
    (keeping.the_same_seed_makes_the_same_weights, KINDS),
    (keeping.a_resumed_trainer_equals_one_that_never_stopped, KINDS),
    (exporting.the_exported_deterministic_output_is_the_greedy_choice, ALL),
    (exporting.the_exported_sampled_output_is_distributed_like_the_policy, ALL),
    (learning.it_learns_to_say_back_what_it_sees, (ONE_BRANCH, TWO_BRANCHES, CONTINUOUS, HYBRID)),
    (learning.it_learns_which_allowed_choice_is_best, (ONE_BRANCH,)),
    (learning.it_learns_to_reach_a_place, SIMPLE),
    (learning.nothing_is_learnt_where_there_is_nothing_to_learn, SIMPLE),
    (learning.an_interruption_is_told_from_a_termination, SIMPLE),
    (learning.the_next_value_is_that_of_the_best_choice_there, (ONE_BRANCH,)),
    (pace.how_fast_it_is_beside_ppo, SIMPLE),
]


def checks_of(subject: Subject) -> list[Check]:
    """Return every check of a trainer, none of them done yet."""
    return [Check(question, subject, space) for question, spaces in PLAN for space in spaces]
