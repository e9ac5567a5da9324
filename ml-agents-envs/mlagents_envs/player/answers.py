"""Decodes the actions that the trainer sends to a player: from messages to columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.examples.example import Array
from mlagents_envs.exception import UnityActionException
from mlagents_envs.wire.fields import block


class ActionLayout(NamedTuple):
    """Where the numbers are in the bytes of one agent's action as trainers write it."""

    template: Array  # (length,) uint8
    same: Array  # (length,) bool, bytes that are the same in every answer
    continuous: slice
    discrete: slice  # one byte for each branch


class ActionReader:
    """Decodes the actions of one behavior's agents."""

    def __init__(self, behavior: str, spec: ActionSpec) -> None:
        self._behavior = behavior
        self._spec = spec
        layouts = [_layout(spec, deprecated=deprecated) for deprecated in (True, False)]
        self._layouts = {len(layout.template): layout for layout in layouts}

    def read(self, answers: UnityRLInputProto.ListAgentActionProto, n: int) -> ActionTuple:
        """Return the actions of the n agents that requested one, zeros if the trainer sent none.

        As in Unity, surplus actions are ignored, and an empty half of an action means zeros. Raises
        UnityActionException if there are fewer than n, on which Unity crashes, or if one has another size.
        """
        if not answers.value:
            return self._spec.empty_action(n)
        if len(answers.value) < n:
            raise UnityActionException(
                f"{self._behavior}: {n} agents requested actions and {len(answers.value)} came; "
                "send one for each agent that is not done, in their order"
            )
        if len(answers.value) > n:
            answers = UnityRLInputProto.ListAgentActionProto(value=answers.value[:n])
        return self._together(answers.SerializeToString(), n) or self._one_by_one(answers)

    def _together(self, raw: bytes, n: int) -> ActionTuple | None:
        """Return the actions if all have the usual layout, else None."""
        layout = self._layouts.get(len(raw) // n)
        if layout is None or len(raw) % n:
            return None
        rows = np.frombuffer(raw, np.uint8).reshape(n, -1)
        discrete = rows[:, layout.discrete]
        if ((rows != layout.template) & layout.same).any() or (discrete > 0x7F).any():
            return None
        continuous: Array = np.ascontiguousarray(rows[:, layout.continuous])
        return ActionTuple(continuous.view("<f4"), discrete.astype(np.int32))

    def _one_by_one(self, answers: UnityRLInputProto.ListAgentActionProto) -> ActionTuple:
        action = self._spec.empty_action(len(answers.value))
        sizes = (self._spec.continuous_size, self._spec.discrete_size)
        for row, answer in enumerate(answers.value):
            got = (len(answer.continuous_actions), len(answer.discrete_actions))
            if got[0] not in (0, sizes[0]) or got[1] not in (0, sizes[1]):
                raise UnityActionException(
                    f"{self._behavior}: the action of agent {row} in order has {got[0]} continuous and {got[1]} "
                    f"discrete numbers; it must have {sizes[0]} and {sizes[1]}, or none for zeros"
                )
            if got[0]:
                action.continuous[row] = answer.continuous_actions
            if got[1]:
                action.discrete[row] = answer.discrete_actions
        return action


def _layout(spec: ActionSpec, *, deprecated: bool) -> ActionLayout:
    """Return the layout of an action; deprecated: with the field that players before protocol 1.3 read, all floats."""
    floats, integers = 4 * spec.continuous_size, spec.discrete_size
    both = floats + 4 * integers
    old = block(1, bytes(both)) if deprecated and both else b""
    continuous = block(6, bytes(floats)) if floats else b""
    discrete = block(7, bytes(integers)) if integers else b""
    template = np.frombuffer(block(1, old + continuous + discrete), np.uint8)
    end = len(template) - len(discrete)
    begin = end - len(continuous)
    slots = slice(end - floats, end), slice(len(template) - integers, len(template))
    same = np.ones(len(template), bool)
    for slot in (*slots, slice(begin - both, begin) if old else slice(0)):
        same[slot] = False
    return ActionLayout(template, same, *slots)
