"""A reset while a step is under way: nobody is moved with the answer to a question of before."""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mlagents.envs.local import LocalPool
from mlagents.envs.restarts import UNLIMITED, Restarts
from mlagents.envs.watched import WatchedPool
from mlagents.envs.workers import WorkerPool
from mlagents_envs.base_env import ActionTuple, BaseEnv, DecisionSteps, TerminalSteps
from mlagents_envs.examples.basic import Basic

sys.path.insert(0, str(Path(__file__).parent))
from doubles import SPEC

NAME = "Strict?team=0"


class Strict(BaseEnv):
    """Each question has a number of its own, and its answer must carry it; one agent more asks after each reset."""

    def __init__(self, worker=0):
        self.resets = self.asked = 0
        self.behavior_specs = {NAME: SPEC}

    behavior_specs = None

    def reset(self):
        time.sleep(0.05)  # long enough for the report of the step before it to be read
        self.resets += 1
        self._ask()

    def step(self):
        assert self.answer is not None, "a step without answers"
        assert (self.answer == self.numbers).all(), f"asked {self.numbers}, answered {self.answer}"
        self._ask()

    def _ask(self):
        self.numbers = np.arange(self.asked, self.asked + self.resets + 1, dtype=np.float32)
        self.asked += len(self.numbers)
        self.answer = None

    def get_steps(self, name):
        n = len(self.numbers)
        seen = np.repeat(self.numbers[:, None], 3, axis=1)
        masks = [np.zeros((n, 2), bool), np.zeros((n, 3), bool)]
        zeros = np.zeros(n, np.float32)
        return DecisionSteps([seen], zeros, np.arange(n, dtype=np.int32), masks, np.zeros(n, np.int32), zeros), (
            TerminalSteps.empty(SPEC)
        )

    def set_actions(self, name, action):
        self.answer = action.continuous[:, 0]

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def close(self):
        pass


def workers():
    return WorkerPool(Strict, 2, partial(Restarts, lifetime=0, within=UNLIMITED, seconds=60))


def local():
    return LocalPool(Strict())


def hear(pool):
    for _ in range(100):
        if report := pool.recv():
            return report[NAME]
    raise AssertionError("no environment reported")


def answer(pool, step):
    asked = step.obs[0][:, :1]
    pool.send({NAME: ActionTuple(asked, np.zeros((len(asked), 2), np.int32))})


@pytest.mark.parametrize("make", [workers, local])
@pytest.mark.parametrize("when", ["answered", "heard", "at once"])
def test_every_question_gets_its_own_answer_whenever_the_reset_comes(make, when):
    pool = make()
    try:
        pool.reset()
        for turn in range(12):
            step = hear(pool)
            if turn % 4 == 3:
                if when == "answered":
                    answer(pool, step)
                pool.reset()
                if when == "at once":
                    pool.reset()
                if when == "heard":
                    answer(pool, step)  # it was computed while the reset went out
            else:
                answer(pool, step)
        for _ in range(6):  # a wrong answer would have ended the environment
            answer(pool, hear(pool))
    finally:
        pool.close()


def test_a_watched_environment_ignores_answers_to_questions_from_before_a_reset():
    class Onlooker:
        begun = 0

        def begin(self):
            self.begun += 1

        def look(self):
            pass

        def close(self):
            pass

    basic = Basic(areas=3)
    pool = WatchedPool(basic, Onlooker())
    pool.reset()
    first = pool.recv()[basic.behavior].obs[0]
    pool.send({basic.behavior: ActionTuple(discrete=np.full((3, 1), 2))})
    pool.reset()
    pool.send({basic.behavior: ActionTuple(discrete=np.full((3, 1), 2))})
    again = pool.recv()[basic.behavior].obs[0]
    assert (again == first).all()
    pool.send({basic.behavior: ActionTuple(discrete=np.zeros((3, 1), np.int32))})
    assert (pool.recv()[basic.behavior].obs[0] == first).all()  # nobody moved
    assert pool._onlooker.begun == 2
    pool.close()


class Shown(Strict):
    """Shows the parameter `level` beside the number of each question."""

    level = 0.0

    def set_parameters(self, parameters):
        self.level = parameters["level"]

    def get_steps(self, name):
        decision, terminal = super().get_steps(name)
        decision.obs[0][:, 1] = self.level
        return decision, terminal


@pytest.mark.parametrize("make", [lambda: WorkerPool(Shown, 2, partial(Restarts, lifetime=0, within=UNLIMITED, seconds=60)), lambda: LocalPool(Shown())])  # fmt: skip
@pytest.mark.parametrize("when", ["answered", "heard"])
def test_parameters_are_set_without_a_reset_and_no_answer_is_lost(make, when):
    pool = make()
    try:
        pool.reset({"level": 1.0})
        levels = []
        for turn in range(12):
            step = hear(pool)
            levels.append(set(step.obs[0][:, 1].tolist()))
            if when == "answered":
                answer(pool, step)
            if turn == 4:
                pool.set_parameters({"level": 2.0})
            if when == "heard":
                answer(pool, step)
        assert levels[0] == {1.0} and levels[-1] == {2.0}
        pool.reset()  # parameters stay
        assert set(hear(pool).obs[0][:, 1].tolist()) == {2.0}
    finally:
        pool.close()
