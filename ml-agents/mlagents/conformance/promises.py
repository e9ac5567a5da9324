"""Questions about what a trainer says of itself."""

from __future__ import annotations

from pydantic import ValidationError

from mlagents.conformance.fault import Fault
from mlagents.conformance.subject import ALL, Subject
from mlagents_envs.base_env import ActionSpec


def it_takes_some_kind_of_actions(subject: Subject, actions: ActionSpec) -> str:
    """Look at what it says that it can learn."""
    taken = [space.name for space in ALL if subject.lacks(space.actions) is None]
    if not taken:
        raise Fault(
            f"some kind of actions must be taken, but `capabilities` refuses all of them: {subject.capabilities}; "
            "usually a capability is switched off that was meant for another trainer"
        )
    return ", ".join(taken)


def every_setting_says_what_it_is_for(subject: Subject, actions: ActionSpec) -> None:
    """Look for settings without a sentence."""
    silent = [name for name, field in subject.kind.settings.model_fields.items() if not field.description]
    if silent:
        raise Fault(
            f"each setting must have a sentence for `mlagents-plugin explain`, but {', '.join(silent)} has none; "
            'write """what it is for""" in the line below it'
        )


def an_unknown_setting_is_refused(subject: Subject, actions: ActionSpec) -> None:
    """Misspell a setting."""
    given = {**subject.settings().model_dump(), "learning_rat": 1.0}
    try:
        subject.kind.settings(**given)
    except ValidationError:
        return
    raise Fault("a misspelled setting must be an error, but learning_rat was taken; usually the settings say "
                'extra="ignore" or extra="allow"')  # fmt: skip


def settings_are_read_again_as_they_were_written(subject: Subject, actions: ActionSpec) -> None:
    """Write all settings as plain values, as the saved configuration of a run does, and read them."""
    settings = subject.settings()
    again = subject.kind.settings(**settings.model_dump())
    if again != settings:
        other = [name for name, value in settings.model_dump().items() if getattr(again, name) != value]
        raise Fault(f"settings must be the same after they were written and read, but {', '.join(other)} changed; "
                    "usually a validator changes a value each time that it sees it")  # fmt: skip
