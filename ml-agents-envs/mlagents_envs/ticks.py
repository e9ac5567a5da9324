"""The order of an agent's decision step (D) and terminal steps (T) within one message.

An agent keeps its id over its episodes, so a message often has T and D of one id: the end of an episode, and the first
decision of the next. Where the sensors of one agent end another, there is also D, T, when the episode ends in which it
requested a decision, or T, D, T, when the episode that had just begun ends too. Such a decision needs an action like
the others, since actions are matched by their order; the action has no effect.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import Array, DecisionSteps, TerminalSteps


class Ends(NamedTuple):
    """Rows of terminal steps, ascending."""

    before: Array  # (k,) int64: before the decision step of the same agent
    after: Array  # (m,) int64: after it


def order_ends(decision: DecisionSteps, terminal: TerminalSteps) -> Ends:
    """Return which terminal steps came before the decision step of the same agent, and which after it."""
    rows = np.arange(len(terminal))
    ended_later = ended_after_asking(decision)
    if not len(rows) or not ended_later.any():
        return Ends(rows, rows[:0])
    last = dict(zip(terminal.agent_id.tolist(), rows.tolist(), strict=True))
    after = np.isin(rows, [last[agent] for agent in decision.agent_id[ended_later].tolist() if agent in last])
    return Ends(rows[~after], rows[after])


def ended_after_asking(decision: DecisionSteps) -> Array:
    """Return (n,) bool: the agent's episode ended after its decision step, in the same message."""
    return np.zeros(len(decision), bool) if decision.ended is None else decision.ended
