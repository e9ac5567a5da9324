"""An environment in which a cue must be remembered, and a loop that trains in it."""

import numpy as np

from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

AGENTS, LENGTH = 32, 4
SPEC = BehaviorSpec([vector_sensor(2, "cue")], ActionSpec.create_discrete((2,)))


class Recall:
    """Agents that keep their ids; of (cue, begins), the cue is 0 but at the first step of an episode."""

    spec = SPEC

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.cue = self.rng.choice([-1.0, 1.0], AGENTS)
        self.turn = np.arange(AGENTS) % LENGTH

    def obs(self):
        first = self.turn == 0
        return np.stack([np.where(first, self.cue, 0.0), first], 1).astype(np.float32)

    def begin(self):
        self.turn[:] = 0
        return self.batch(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), np.zeros(AGENTS, np.float32))

    def step(self, actions):
        right = (actions.discrete[:, 0] == (self.cue > 0)).astype(np.float32)
        ends = np.flatnonzero(self.turn == LENGTH - 1)
        last, reward = self.obs()[ends], np.zeros(AGENTS, np.float32)
        ended_reward = right[ends]
        self.turn = (self.turn + 1) % LENGTH
        self.cue[ends] = self.rng.choice([-1.0, 1.0], len(ends))
        return self.batch(ends, last, reward, ended_reward)

    def batch(self, ended, last, reward, ended_reward=()):
        agent, n = np.concatenate([ended, np.arange(AGENTS)]), len(ended) + AGENTS
        return StepBatch(
            agent, (np.concatenate([last, self.obs()]),), np.ones((n, 2), bool),
            np.concatenate([np.asarray(ended_reward, np.float32), reward]), np.zeros(n, np.int64),
            np.zeros(n, np.float32), np.arange(n) < len(ended), np.zeros(n, bool),
        )  # fmt: skip


def train(behavior, world, steps, since=0.75):
    returns, step, end = [], world.begin(), behavior.step + steps
    while behavior.step < end:
        ended = behavior.receive(step)
        if ended is not None and behavior.step > end - (1 - since) * steps:
            returns += ended.total.tolist()
        behavior.learn()
        actions, _ = behavior.act()
        step = world.step(actions)
    return float(np.mean(returns))
