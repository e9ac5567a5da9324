"""Checks of what a trainer declares: its capabilities and its settings."""

from __future__ import annotations

from pydantic import ValidationError

from mlagents.conformance.errors import ConformanceError
from mlagents.conformance.subject import SPACES, Subject
from mlagents_envs.base_env import ActionSpec


def some_action_space_is_supported(subject: Subject, actions: ActionSpec) -> str:
    """List the action spaces that `capabilities` allows."""
    supported = [space.name for space in SPACES if subject.lacks(space.actions) is None]
    if not supported:
        raise ConformanceError(
            f"at least one action space must be supported, but `capabilities` excludes all: {subject.capabilities}; "
            "usually a capability is off that was copied from another trainer"
        )
    return ", ".join(supported)


def every_setting_has_a_description(subject: Subject, actions: ActionSpec) -> None:
    """Look for settings without a docstring."""
    missing = [name for name, field in subject.kind.settings.model_fields.items() if not field.description]
    if missing:
        raise ConformanceError(
            f"each setting must have a description for `mlagents-plugin explain`, but {', '.join(missing)} has none; "
            'write """what it is for""" in the line below it'
        )


def an_unknown_setting_is_an_error(subject: Subject, actions: ActionSpec) -> None:
    """Misspell a setting."""
    values = {**subject.settings().model_dump(), "learning_rat": 1.0}
    try:
        subject.kind.settings(**values)
    except ValidationError:
        return
    raise ConformanceError(
        "a misspelled setting must be an error, but learning_rat was accepted; usually the settings have "
        'extra="ignore" or extra="allow"'
    )


def settings_survive_a_round_trip(subject: Subject, actions: ActionSpec) -> None:
    """Dump all settings to plain values, as a run's saved configuration does, and validate them again."""
    settings = subject.settings()
    again = subject.kind.settings(**settings.model_dump())
    if again != settings:
        changed = [name for name, value in settings.model_dump().items() if getattr(again, name) != value]
        raise ConformanceError(
            f"settings must be equal after writing and reading, but {', '.join(changed)} changed; usually a validator "
            "changes a value each time it runs"
        )
