"""Environments for workers; what is made in another process must be importable there."""

import os
import signal
import time
from dataclasses import dataclass

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    BaseEnv,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.exception import UnityCommunicatorStoppedException, UnityTimeOutException

SPEC = BehaviorSpec(
    [ObservationSpec((3,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "seen")], ActionSpec(1, (2, 3))
)
NAME = "Counter?team=0"


class Counter(BaseEnv):
    """Agents that see (seed, step, last continuous action); agent 0 ends at every third step and another is born."""

    def __init__(self, seed, agents=2, fate=None):
        self.seed, self.agents, self.fate = seed, agents, fate
        self.steps, self.parameters, self.born = 0, {}, 0
        self.actions = None
        self.ids = []

    @property
    def behavior_specs(self):
        return {NAME: SPEC}

    def set_parameters(self, parameters):
        self.parameters.update(parameters)

    def stats(self):
        return [("Steps", float(self.steps), 0), ("Last", float(self.steps), 1)]

    def reset(self):
        self.ids = [self._birth() for _ in range(self.agents + int(self.parameters.get("more", 0)))]
        self.ended = []
        self.told = np.zeros(len(self.ids), np.float32)

    def step(self):
        self.steps += 1
        if self.fate is not None:
            self.fate(self)
        self.told = self.actions.continuous[:, 0]
        self.ended = []
        if self.steps % 3 == 0:
            self.ended = [self.ids.pop(0)]
            self.ids.append(self._birth())

    def get_steps(self, name):
        rows = np.array([[self.seed, self.steps, told] for told in self.told], np.float32).reshape(-1, 3)
        mask = [np.zeros((len(self.ids), 2), bool), np.zeros((len(self.ids), 3), bool)]
        mask[1][:, 2] = True
        decision = DecisionSteps(
            [rows], np.arange(len(self.ids), dtype=np.float32), np.array(self.ids, np.int32), mask,
            np.ones(len(self.ids), np.int32), np.full(len(self.ids), 0.5, np.float32),
        )  # fmt: skip
        n = len(self.ended)
        terminal = TerminalSteps(
            [rows[:n] + 100], np.full(n, 9, np.float32), np.ones(n, bool), np.array(self.ended, np.int32),
            np.zeros(n, np.int32), np.zeros(n, np.float32),
        )  # fmt: skip
        return decision, terminal

    def set_actions(self, name, action):
        assert action.continuous.shape == (len(self.ids), 1) and action.discrete.shape == (len(self.ids), 2)
        self.actions = action

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def close(self):
        pass

    def _birth(self):
        self.born += 1
        return self.born - 1


@dataclass(frozen=True)
class World:
    """Makes counters; some of them meet a fate."""

    fate: str = ""
    at: int = 5  # step
    victims: tuple[int, ...] = (0,)  # workers
    flag: str = ""  # a file that exists once the fate has come, so that it comes once
    agents: int = 2

    def __call__(self, worker):
        if self.fate == "never":
            raise UnityTimeOutException("nobody came")
        return Counter(worker, self.agents, self._meet if worker in self.victims and self.fate else None)

    def _meet(self, env):
        if env.steps != self.at or (self.flag and os.path.exists(f"{self.flag}-{env.seed}")):
            return
        if self.flag:
            open(f"{self.flag}-{env.seed}", "w").close()
        if self.fate == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fate == "fail":
            raise UnityTimeOutException("it said nothing")
        elif self.fate == "stop":
            raise UnityCommunicatorStoppedException("The player has stopped.")
        elif self.fate == "grow":
            env.ids += [env._birth() for _ in range(100)]
            env.actions.add_continuous(np.zeros((102, 1)))
        elif self.fate == "slow":
            time.sleep(3600)
