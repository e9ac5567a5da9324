import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.ticks import ended_after_asking, order_ends

SPEC = BehaviorSpec([vector_sensor(1, "sensor")], ActionSpec.create_continuous(1))


def asking(agents, ended=None):
    decision = DecisionSteps.empty(SPEC)
    decision.agent_id = np.array(agents, np.int32)
    decision.ended = None if ended is None else np.array(ended, bool)
    return decision


def ending(agents):
    terminal = TerminalSteps.empty(SPEC)
    terminal.agent_id = np.array(agents, np.int32)
    return terminal


@pytest.mark.parametrize(
    ("decision", "terminal", "before", "after"),
    [
        (asking([0, 1]), ending([]), [], []),
        (asking([]), ending([2, 3]), [0, 1], []),
        (asking([0, 1]), ending([1, 2]), [0, 1], []),  # T, D of 1
        (asking([0, 1], [False, True]), ending([2, 1]), [0], [1]),  # D, T of 1
        (asking([1], [True]), ending([1, 2, 1]), [0, 1], [2]),  # T, D, T of 1
        (asking([0, 1], [False, False]), ending([1, 1]), [0, 1], []),  # T, T, D of 1
        (asking([0], [True]), ending([1]), [0], []),  # its end came under another behavior
    ],
)
def test_an_end_after_its_agents_question_is_told_from_those_before(decision, terminal, before, after):
    ends = order_ends(decision, terminal)
    assert (ends.before.tolist(), ends.after.tolist()) == (before, after)


def test_where_nothing_is_known_of_it_every_question_goes_on():
    assert ended_after_asking(asking([3, 4])).tolist() == [False, False]
    assert ended_after_asking(asking([3, 4], [False, True])).tolist() == [False, True]
