"""Which action a record holds: the one that led to it, or the one that was taken from it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from google.protobuf.unknown_fields import UnknownFieldSet

from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto

Align = Literal["auto", "unity", "old"]
_OBSERVATION_SIZES = {1, 2}  # numbers of the header's fields for the length and the stacks of vector observations


class Pairing(NamedTuple):
    """Which action the records of a file hold."""

    led_here: bool  # the one that led to the record, as Unity records; otherwise the one taken from it
    reason: str

    def sentence(self) -> str:
        """Return how a file is read, why, and how to read it otherwise."""
        if self.led_here:
            how, other = "as Unity records: a record's action led to it", "old"
        else:
            how, other = "as very old recorders did: a record's action was taken from it", "unity"
        return f"{how} ({self.reason}; `align: {other}` reads it the other way)"


def pairing_of(parameters: BrainParametersProto, first: AgentInfoActionPairProto, align: Align) -> Pairing:
    """Return which action the records of a file hold. align: `unity` or `old` where it is known, otherwise `auto`.

    Unity's recorders write before the new decision is made, so record k holds the action that led to it. Only files of
    very old recorders, which were converted since, hold the action taken from record k. `auto` takes a file for one of
    those where it shows all of their signs:

    - its behavior is named as brains were, with "Learning" at the end and no "?team=";
    - its header has the sizes of vector observations (fields 1 and 2), which later recorders leave out;
    - its first action is not zero, and lies in the deprecated list. Unity writes zeros there, unless a recording
      begins in the middle of an episode; and a first action may be zero by itself, so that this is no sign alone.

    Another sign, actions without meaning where an episode ends, cannot be seen in a file. The header and the first
    record decide, so that a file that grows is read in one way from its beginning to its end.
    """
    if align != "auto":
        return Pairing(align == "unity", f"`align: {align}` was given")
    name = parameters.brain_name
    if not name.endswith("Learning"):
        return Pairing(True, f"the name of its behavior '{name}' does not end in 'Learning' as in very old files")
    if not _OBSERVATION_SIZES & {field.field_number for field in UnknownFieldSet(parameters)}:
        return Pairing(True, "its header lacks the sizes of vector observations that those of very old files have")
    if not any(first.action_info.vector_actions_deprecated):
        return Pairing(True, "its first action is zero")
    return Pairing(
        False,
        f"the name of its behavior '{name}', sizes of vector observations in its header and a first action that is not "
        "zero are their signs",
    )
