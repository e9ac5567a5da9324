"""In which order an agent's ends and questions of one message came. D is a question, T the end of an episode.

An agent keeps its id over its episodes, so a message often has T and D of one id: the end of an episode, and the first
question of the next. Where the sensors of one agent end another, there is also D, T, when the episode ends in which it
asks, or T, D, T, when the one ends too that had just begun. Such a question must be answered like the others, since
answers are matched by their order, and nothing comes of the answer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import Array, DecisionSteps, TerminalSteps


class Ends(NamedTuple):
    """Rows of terminal steps, ascending."""

    before: Array  # (k,) int64: they came before the questions of the same agent
    after: Array  # (m,) int64: they came after


def order_ends(decision: DecisionSteps, terminal: TerminalSteps) -> Ends:
    """Tell the ends before an agent's question from the one after it."""
    rows = np.arange(len(terminal))
    asked_last = ended_after_asking(decision)
    if not len(rows) or not asked_last.any():
        return Ends(rows, rows[:0])
    last = dict(zip(terminal.agent_id.tolist(), rows.tolist(), strict=True))
    after = np.isin(rows, [last[agent] for agent in decision.agent_id[asked_last].tolist() if agent in last])
    return Ends(rows[~after], rows[after])


def ended_after_asking(decision: DecisionSteps) -> Array:
    """Return (n,) bool: the agent's episode ended after its question, in the same message."""
    return np.zeros(len(decision), bool) if decision.ended is None else decision.ended
