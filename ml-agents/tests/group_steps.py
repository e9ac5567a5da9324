"""Messages of agents in groups, written by hand, and what a collector makes of them."""

from typing import NamedTuple

import numpy as np
import torch

from mlagents.collect.collector import Collector
from mlagents.collect.groups import GroupTable, Numbers
from mlagents.collect.lanes import FreeLanes
from mlagents.data.experience import Actions, PolicyOutput
from mlagents.data.rollout import Rollout
from mlagents.envs.steps import StepBatch


class Says(NamedTuple):
    agent: int
    seen: float
    group: int = 1
    reward: float = 0.0
    shared: float = 0.0
    ends: bool = False
    interrupted: bool = False
    environment: int = 0


def ends(agent, seen, **others):
    return Says(agent, seen, ends=True, **others)


def message(*agents):
    """Return what agents report in one tick; those that end come first, as the wire has them."""
    agents = sorted(agents, key=lambda says: not says.ends)
    agent, seen, group, reward, shared, done, interrupted, environment = (np.array(c) for c in zip(*agents, strict=True))
    above = environment.astype(np.int64) << 32
    return StepBatch(
        agent.astype(np.int64) | above, (seen.astype(np.float32)[:, None],), np.zeros((len(agents), 0), bool),
        reward.astype(np.float32), np.where(group == 0, 0, group.astype(np.int64) | above), shared.astype(np.float32),
        done, interrupted,
    )  # fmt: skip


class Repeats:
    """A policy that does what it sees."""

    def act(self, input, *, explore=True):
        n = len(input.obs[0])
        action = Actions(input.obs[0].clone(), torch.zeros(n, 0, dtype=torch.int64))
        return PolicyOutput(action, torch.zeros(n, 1), torch.zeros(n), input.memory)

    def env_action(self, action):
        return action


class Teams:
    """Collectors of several teams, whose rows lie in one rollout."""

    def __init__(self, horizon=64):
        self.horizon, self.free, self.numbers = horizon, FreeLanes(), Numbers()
        self.collectors, self.rollout, self.episodes = {}, Rollout(groups=True), []

    def hears(self, *agents, team=""):
        if team not in self.collectors:
            groups = GroupTable(self.numbers)
            self.collectors[team] = Collector(0, self.horizon, self.free, groups=groups)
        collector = self.collectors[team]
        tick, episodes = collector.receive(message(*agents))
        self.episodes += episodes.group.tolist()
        if tick is not None:
            self.rollout.append(tick)
        collector.act(Repeats())
        return tick

    def vanish(self, gone):
        self.rollout.close(gone.lane)
        self.rollout.close_groups(gone.group)


def seen(segments):
    return segments.rows.input.obs[0][:, 0].tolist()


def steps_of(segments):
    """Return what the members of each group step saw, as sets."""
    saw = segments.rows.input.obs[0][:, 0]
    return [{saw[row].item() for row in step if row >= 0} for step in segments.groups.members]


def mates_of(segments):
    """Return what the mates of each row saw, by what it saw itself."""
    saw = segments.rows.input.obs[0][:, 0].tolist()
    return {saw[i]: sorted(saw[j] for j in row if j >= 0) for i, row in enumerate(segments.groups.mates().tolist())}
