"""Scenes for evaluations whose episodes are known beforehand, and players who do as little as possible."""

from dataclasses import dataclass, field

import numpy as np

from mlagents.envs.local import LocalPool
from mlagents.evaluation.play import Counts, Play
from mlagents_envs.base_env import ActionSpec, ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(1, "time")], ActionSpec.create_continuous(1))
ENDLESS = 10**9


@dataclass
class Lanes(BaseEnv):
    """Agents side by side whose episodes have these lengths, one after the other, and earn 1 at each of their ends.

    plan: by lane, the lengths of its episodes; the last one repeats. A reset begins the next episode of each lane.
    What an agent sees is how long it has lasted. It also earns what its action says.
    """

    plan: list[list[int]]
    names: tuple[str, ...] = ("Lane?team=0",)
    team_of: list[int] = None  # index into names, by lane
    group_of: list[int] = None
    group_reward: float = 0.0  # of each episode's end
    renew: bool = False  # do agents get new ids?
    limit: bool = False  # do episodes end by a limit?
    resets: int = 0
    seen: list = field(default_factory=list)  # (lane, length) of every episode that ended

    def __post_init__(self):
        n = len(self.plan)
        self.at, self.time, self.ids = np.full(n, -1), np.zeros(n, np.int64), np.arange(n)
        self.team_of = np.zeros(n, np.int64) if self.team_of is None else np.array(self.team_of)
        self.group_of = np.zeros(n, np.int32) if self.group_of is None else np.array(self.group_of, np.int32)
        self.births = n
        self.acted = np.zeros(n, np.float32)

    @property
    def behavior_specs(self):
        return dict.fromkeys(self.names, SPEC)

    def length(self, lane):
        lengths = self.plan[lane]
        return lengths[min(self.at[lane], len(lengths) - 1)]

    def reset(self):
        self.resets += 1
        self.at += 1
        self.time[:] = 0
        self.ended = np.zeros(len(self.plan), bool)
        self.earned = np.zeros(len(self.plan), np.float32)

    def step(self):
        self.time += 1
        self.ended = np.array([self.time[lane] >= self.length(lane) for lane in range(len(self.plan))])
        self.earned = self.acted.copy()
        self.old = self.ids.copy()
        for lane in np.flatnonzero(self.ended):
            self.seen.append((int(lane), int(self.time[lane])))
            self.at[lane] += 1
            self.time[lane] = 0
            if self.renew:
                self.ids[lane], self.births = self.births, self.births + 1

    def get_steps(self, name):
        here = self.team_of == self.names.index(name)
        over = here & self.ended
        columns = [self.time[here].astype(np.float32)[:, None]]
        reward = np.where(self.ended, 0, self.earned)[here].astype(np.float32)
        group_reward = np.zeros(here.sum(), np.float32)
        decision = DecisionSteps(
            columns, reward, self.ids[here].astype(np.int32), None, self.group_of[here], group_reward
        )
        n = int(over.sum())
        given = np.full(n, self.group_reward, np.float32) * (self.group_of[over] != 0)
        ids = (self.old if n else self.ids)[over].astype(np.int32)
        terminal = TerminalSteps(
            [np.zeros((n, 1), np.float32)], self.earned[over] + np.float32(1), np.full(n, self.limit), ids,
            self.group_of[over], given.astype(np.float32),
        )  # fmt: skip
        return decision, terminal

    def set_actions(self, name, action):
        self.acted[self.team_of == self.names.index(name)] = action.continuous[:, 0]

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def close(self):
        pass


@dataclass
class Still:
    """Does nothing, and counts in its memory how often an agent was asked in its episode."""

    memory_size: int = 1
    asked: list = field(default_factory=list)  # (what is seen, what is remembered) of every agent that asked

    def act(self, obs, mask, memory):
        self.asked += list(zip(obs[0][:, 0].tolist(), memory[:, 0].tolist(), strict=True))
        return ActionTuple(np.zeros((len(memory), 1), np.float32)), memory + 1


def play(env, episodes, *, player=None, run=True, **counts):
    """Play a scene in process, and return the play."""
    player = Still() if player is None else player
    played = Play(LocalPool(env), lambda behavior, spec, environment: player, Counts(episodes, **counts))
    if run:
        played.run()
    return played
