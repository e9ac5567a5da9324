import numpy as np
import pytest

from mlagents_envs.base_env import ActionSpec, ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.examples.paced import PacedEnv
from mlagents_envs.exception import UnityEnvironmentException

SPEC = BehaviorSpec([vector_sensor(1, "turn")], ActionSpec(1, (3,)))


class Written(BaseEnv):
    """Shows what is written down: for each step {behavior: (questions, ends)}, each a list of (id, reward)."""

    def __init__(self, steps):
        self.written = steps
        self.turn = 0
        self.acted = []  # {(behavior, id): (continuous, discrete)} of each step
        self.answers = {}

    @property
    def behavior_specs(self):
        return {name: SPEC for turn in self.written for name in turn}

    def reset(self):
        self.turn = 0

    def step(self):
        self.turn += 1
        self.acted.append(self.answers)
        self.answers = {}

    def close(self):
        self.turn = -1

    def get_steps(self, behavior_name):
        questions, ends = self.written[self.turn].get(behavior_name, ([], []))

        def columns(rows):
            obs = [np.full((len(rows), 1), self.turn, np.float32)]
            return (
                obs,
                np.array([reward for _, reward in rows], np.float32),
                np.array([who for who, _ in rows], np.int32),
            )

        def groups(rows):
            return np.full(len(rows), 7, np.int32), np.array([reward * 10 for _, reward in rows], np.float32)

        obs, reward, ids = columns(ends)
        mask = [np.zeros((len(questions), 3), bool)] if questions else None
        return (
            DecisionSteps(*columns(questions), mask, *groups(questions)),
            TerminalSteps(obs, reward, np.ones(len(ids), bool), ids, *groups(ends)),
        )

    def set_actions(self, behavior_name, action):
        for who, continuous, discrete in zip(
            self.get_steps(behavior_name)[0].agent_id.tolist(), action.continuous[:, 0].tolist(), action.discrete[:, 0].tolist(), strict=True
        ):  # fmt: skip
            self.answers[behavior_name, who] = (continuous, discrete)

    def set_action_for_agent(self, behavior_name, agent_id, action):
        raise NotImplementedError


def rows(steps):
    return list(zip(steps.agent_id.tolist(), steps.reward.tolist(), steps.group_reward.tolist(), strict=True))


def answer(env, continuous, discrete, name="B"):
    n = len(env.get_steps(name)[0])
    env.set_actions(name, ActionTuple(np.full((n, 1), continuous, np.float32), np.full((n, 1), discrete, np.int32)))


def test_questions_come_once_in_a_period_with_all_that_was_earned_and_actions_are_repeated():
    inner = Written([{"B": ([(0, 0.0)], [])}] + [{"B": ([(0, float(2**k))], [])} for k in range(6)])
    env = PacedEnv(inner, 3)
    env.reset()
    assert rows(env.get_steps("B")[0]) == [(0, 0.0, 0.0)]
    answer(env, 0.5, 2)
    env.step()
    assert rows(env.get_steps("B")[0]) == [(0, 7.0, 70.0)]
    assert env.get_steps("B")[0].obs[0].tolist() == [[3.0]]
    answer(env, -1.0, 1)
    env.step()
    assert rows(env.get_steps("B")[0]) == [(0, 56.0, 560.0)]
    assert inner.acted == [{("B", 0): (0.5, 2)}] * 3 + [{("B", 0): (-1.0, 1)}] * 3


def test_an_end_comes_at_once_and_what_is_earned_until_the_next_question_lies_in_it():
    turns = [
        ([(0, 0.0), (1, 0.0)], []),
        ([(0, 1.0), (1, 1.0)], []),
        ([(0, 4.0), (1, 1.0)], [(0, 2.0)]),
        ([(0, 8.0), (1, 1.0)], []),
    ]
    inner = Written([{"B": turn} for turn in turns])
    env = PacedEnv(inner, 3)
    env.reset()
    answer(env, 0.5, 2)
    env.step()  # two steps, until the end
    assert [rows(steps) for steps in env.get_steps("B")] == [[], [(0, 3.0, 30.0)]]
    assert env.get_steps("B")[1].interrupted.tolist() == [True]
    env.step()
    assert [rows(steps) for steps in env.get_steps("B")] == [[(0, 12.0, 120.0), (1, 3.0, 30.0)], []]
    assert inner.acted[2] == {("B", 0): (0.0, 0), ("B", 1): (0.5, 2)}  # nothing after its end


def test_an_end_at_a_question_comes_with_it():
    inner = Written([{"B": ([(0, 0.0)], [])}, {"B": ([(0, 1.0)], [])}, {"B": ([(0, 0.0)], [(0, 2.0)])}])
    env = PacedEnv(inner, 2)
    env.reset()
    env.step()
    assert [rows(steps) for steps in env.get_steps("B")] == [[(0, 0.0, 0.0)], [(0, 3.0, 30.0)]]


def test_an_agent_of_another_behavior_is_another_and_a_reset_forgets():
    inner = Written(
        [
            {"A": ([(0, 0.0)], [])},
            {"A": ([], [(0, 1.0)]), "B": ([(0, 0.0)], [])},
            {"B": ([(0, 1.0)], [])},
            {"B": ([(0, 1.0)], [])},
        ]
    )
    env = PacedEnv(inner, 4)
    env.reset()
    answer(env, 0.5, 2, "A")
    env.step()
    env.reset()
    assert rows(env.get_steps("A")[0]) == [(0, 0.0, 0.0)]
    env.step()
    assert rows(env.get_steps("A")[1]) == [(0, 1.0, 10.0)]
    assert inner.acted == [{("A", 0): (0.5, 2)}, {("A", 0): (0.0, 0)}]


def test_one_agent_can_be_answered_alone():
    inner = Written([{"B": ([(0, 0.0), (1, 0.0)], [])}] * 3)
    env = PacedEnv(inner, 2)
    env.reset()
    env.set_action_for_agent("B", 1, ActionTuple(np.ones((1, 1), np.float32), np.ones((1, 1), np.int32)))
    env.step()
    assert inner.acted == [{("B", 0): (0.0, 0), ("B", 1): (1.0, 1)}] * 2


def test_parameters_and_measurements_go_through():
    env = PacedEnv(make("3DBall", areas=2, seed=1), 2)
    env.set_parameters({"scale": 3.0})
    assert list(env.stats()) == []
    env.reset()
    env.close()

    class Town(Written):
        def stats(self):
            return [("goals", 1.0, 0)]

    assert PacedEnv(Town([]), 2).stats() == [("goals", 1.0, 0)]
    PacedEnv(Town([]), 2).set_parameters({"mass": 1.0})  # which it has not


def test_a_period_below_one_gets_a_sentence():
    with pytest.raises(UnityEnvironmentException, match="a decision period is 0; it must be at least 1"):
        PacedEnv(Written([]), 0)
