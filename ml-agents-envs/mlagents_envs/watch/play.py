"""Plays an example, decision by decision: by players, and by keys where those drive an agent."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.examples.look.look import Press
from mlagents_envs.examples.policy import Player, allowed_choices


class Play:
    """An example and who plays it. It is reset at the beginning."""

    def __init__(self, example: ExampleEnv, players: Mapping[str, Player]) -> None:
        """players: by the full name of each behavior."""
        self.example = example
        self._players = players
        self.action: ActionTuple | None = None  # of all rows, what they did last
        example.reset()
        for player in players.values():
            player.reset()

    def decide(self, *, driven: int = -1, presses: Collection[Press] = ()) -> ActionTuple:
        """Let one decision pass and return what all rows did. driven: the row that does what these presses say."""
        example = self.example
        action = example.SPEC.action_spec.empty_action(example.n)
        for behavior in example.BEHAVIORS:
            decision, terminal = example.get_steps(behavior)
            rows = example.asking_rows(behavior)
            answer = self._players[behavior](decision, terminal)
            if not len(decision):
                continue
            action.continuous[rows], action.discrete[rows] = answer.continuous, answer.discrete
            at = np.flatnonzero(rows == driven)
            if len(at):
                self._drive(action, driven, presses, one_of(decision, int(at[0])))
            example.set_actions(behavior, ActionTuple(action.continuous[rows], action.discrete[rows]))
        example.step()
        self.action = action
        return action

    def _drive(self, action: ActionTuple, row: int, presses: Collection[Press], decision: DecisionSteps) -> None:
        """Let presses take the place of what a row would do; what is forbidden is not done."""
        action.continuous[row], action.discrete[row] = 0.0, 0
        allowed = allowed_choices(decision, self.example.SPEC.action_spec)
        for branch, choices in enumerate(allowed):
            action.discrete[row, branch] = choices[0].argmax()
        for press in presses:
            if not press.discrete:
                action.continuous[row, press.which] += press.value
            elif allowed[press.which][0, int(press.value)]:
                action.discrete[row, press.which] = int(press.value)


def one_of(decision: DecisionSteps, i: int) -> DecisionSteps:
    """Return the i-th agent alone."""
    at = slice(i, i + 1)
    mask: list[Array] | None = None if decision.action_mask is None else [part[at] for part in decision.action_mask]
    return DecisionSteps(
        [column[at] for column in decision.obs], decision.reward[at], decision.agent_id[at], mask,
        decision.group_id[at], decision.group_reward[at],
    )  # fmt: skip
