"""All checks, each with the action spaces it runs with."""

from __future__ import annotations

from mlagents.conformance import (
    acting,
    asymmetric,
    declarations,
    earlier_selves,
    exporting,
    learning,
    persistence,
    remembering,
    signals,
    speed,
    translating,
)
from mlagents.conformance.check import Check, CheckFunction
from mlagents.conformance.subject import (
    ANY_SPACE,
    CONTINUOUS,
    DISCRETE_SPACES,
    HYBRID,
    MAIN_SPACES,
    ONE_BRANCH,
    SPACES,
    TWO_BRANCHES,
    Space,
    Subject,
)

SIMPLE = (ONE_BRANCH, CONTINUOUS)
PLAN: list[tuple[CheckFunction, tuple[Space, ...]]] = [
    (declarations.some_action_space_is_supported, (ANY_SPACE,)),
    (declarations.every_setting_has_a_description, (ANY_SPACE,)),
    (declarations.an_unknown_setting_is_an_error, (ANY_SPACE,)),
    (declarations.settings_survive_a_round_trip, (ANY_SPACE,)),
    (acting.agents_may_join_and_leave_at_any_tick, SPACES),
    (acting.every_agent_gets_its_own_action, SPACES),
    (acting.actions_do_not_depend_on_the_order_of_rows, MAIN_SPACES),
    (acting.actions_do_not_depend_on_the_other_rows, MAIN_SPACES),
    (acting.actions_do_not_depend_on_earlier_calls, MAIN_SPACES),
    (acting.a_masked_action_is_never_taken, (*DISCRETE_SPACES, HYBRID)),
    (acting.inference_is_deterministic, MAIN_SPACES),
    (acting.an_empty_batch_is_accepted, MAIN_SPACES),
    (translating.the_environments_actions_are_bounded_and_translated_back, (CONTINUOUS, HYBRID)),
    (translating.memory_belongs_to_one_agent_and_one_sequence, MAIN_SPACES),
    (persistence.the_same_seed_gives_the_same_weights, MAIN_SPACES),
    (persistence.a_resumed_trainer_equals_one_that_never_stopped, MAIN_SPACES),
    (persistence.every_network_that_learns_is_restored, MAIN_SPACES),
    (exporting.a_policy_is_exported_or_says_that_it_is_not, MAIN_SPACES),
    (exporting.the_exported_deterministic_output_is_the_greedy_action, SPACES),
    (exporting.the_exported_sampled_output_is_distributed_like_the_policy, SPACES),
    (learning.it_learns_to_copy_the_observation, (ONE_BRANCH, TWO_BRANCHES, CONTINUOUS, HYBRID)),
    (learning.it_learns_the_best_allowed_action, (ONE_BRANCH,)),
    (learning.it_learns_to_reach_a_target, SIMPLE),
    (learning.nothing_is_learned_from_random_rewards, SIMPLE),
    (learning.an_interruption_is_not_a_termination, SIMPLE),
    (learning.a_member_that_ends_is_credited_with_what_its_group_earns_later, SIMPLE),
    (learning.the_value_target_uses_the_next_states_best_action, (ONE_BRANCH,)),
    (remembering.with_memory_it_learns_what_must_be_remembered, SIMPLE),
    (remembering.with_memory_a_resumed_trainer_equals_one_that_never_stopped, MAIN_SPACES),
    (remembering.with_memory_the_exported_output_is_the_greedy_action, MAIN_SPACES),
    (asymmetric.what_only_the_critic_sees_is_learned_from, SIMPLE),
    (earlier_selves.an_earlier_self_acts_as_it_did_then, SIMPLE),
    (signals.reward_signals_that_learn_are_updated_and_saved, SIMPLE),
    (speed.speed_relative_to_ppo, SIMPLE),
]


def checks_of(subject: Subject) -> list[Check]:
    """Return all checks of a trainer, in order; none has run yet."""
    return [Check(function, subject, space) for function, spaces in PLAN for space in spaces]
