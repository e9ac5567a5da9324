"""Steps an example with policies, and with keys where those drive an agent."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from mlagents_envs.base_env import ActionTuple, DecisionSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.examples.look.look import Press
from mlagents_envs.examples.policy import AgentPolicy, allowed_choices


class Play:
    """An example and its policies. It is reset at the beginning."""

    def __init__(self, example: ExampleEnv, policies: Mapping[str, AgentPolicy]) -> None:
        """policies: by the full name of each behavior."""
        self.example = example
        self._policies = policies
        self.action: ActionTuple | None = None  # the last action of all rows
        example.reset()
        for policy in policies.values():
            policy.reset()

    def decide(self, *, driven: int = -1, presses: Collection[Press] = ()) -> ActionTuple:
        """Make one decision and return the actions of all rows. driven: the row that these presses control."""
        example = self.example
        action = example.SPEC.action_spec.empty_action(example.n)
        for behavior in example.BEHAVIORS:
            decision, terminal = example.get_steps(behavior)
            rows = example.asking_rows(behavior)
            chosen = self._policies[behavior](decision, terminal)
            if not len(decision):
                continue
            action.continuous[rows], action.discrete[rows] = chosen.continuous, chosen.discrete
            at = np.flatnonzero(rows == driven)
            if len(at):
                self._drive(action, driven, presses, one_of(decision, int(at[0])))
            example.set_actions(behavior, ActionTuple(action.continuous[rows], action.discrete[rows]))
        example.step()
        self.action = action
        return action

    def _drive(self, action: ActionTuple, row: int, presses: Collection[Press], decision: DecisionSteps) -> None:
        """Replace the action of a row by the presses; masked choices are ignored."""
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
    """Return the decision steps of the i-th agent alone."""
    at = slice(i, i + 1)
    mask: list[Array] | None = None if decision.action_mask is None else [part[at] for part in decision.action_mask]
    return DecisionSteps(
        [column[at] for column in decision.obs], decision.reward[at], decision.agent_id[at], mask,
        decision.group_id[at], decision.group_reward[at],
    )  # fmt: skip
