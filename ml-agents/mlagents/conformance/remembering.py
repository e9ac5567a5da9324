"""Checks of recurrent networks: other checks once more with `network_settings.memory`, and a task that needs it."""

from __future__ import annotations

from mlagents.conformance import exporting, learning, persistence
from mlagents.conformance.subject import Subject
from mlagents.conformance.tasks import RecallTask
from mlagents_envs.base_env import ActionSpec


def with_memory_it_learns_what_must_be_remembered(subject: Subject, actions: ActionSpec) -> str:
    """Learn to answer what was seen some decisions ago, in sequences that are shorter than that; see RecallTask."""
    return learning.require_learned(subject.with_memory(), RecallTask(actions), rows=6000, ticks=4 * RecallTask.LENGTH)


def with_memory_a_resumed_trainer_equals_one_that_never_stopped(subject: Subject, actions: ActionSpec) -> None:
    """Save, load into a trainer of another seed, and continue with both."""
    persistence.a_resumed_trainer_equals_one_that_never_stopped(subject.with_memory(), actions)


def with_memory_the_exported_output_is_the_greedy_action(subject: Subject, actions: ActionSpec) -> None:
    """Compare the model with the policy, what it remembers too."""
    exporting.the_exported_deterministic_output_is_the_greedy_action(subject.with_memory(), actions)
