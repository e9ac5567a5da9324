"""Tiny environments that step many agents at once, and a loop that trains in them without a run."""

import io
from dataclasses import dataclass, field

import numpy as np
import torch

from mlagents.algorithms.making import construct
from mlagents.algorithms.trainer import CPU, TrainerSetup
from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.rollout import Tick
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic, SignalBatch, SignalSetup
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor


class Corridor:
    """Walk from one end to the other; only there is a reward of 1. In each place one of three choices leads on, and the
    others lead back, so random walks do not come so far.
    """

    LENGTH, LIMIT = 16, 40
    spec = BehaviorSpec([vector_sensor(LENGTH, "place")], ActionSpec.create_discrete((3,)))

    def __init__(self, agents, seed=0):
        self.place, self.time = torch.zeros(agents, dtype=torch.int64), torch.zeros(agents, dtype=torch.int64)

    def obs(self):
        return torch.nn.functional.one_hot(self.place, self.LENGTH).float()

    def step(self, action):
        """Return what is seen then, (n,) rewards, and (n,) bool: done, interrupted; agents that are done begin anew."""
        onward = action.discrete[:, 0] == self.place * self.place % 7 % 3
        self.place = torch.where(onward, self.place + 1, self.place - 1).clamp(0)
        self.time += 1
        there = self.place == self.LENGTH - 1
        after, late = self.obs(), self.time == self.LIMIT
        done = there | late
        self.place[done] = self.time[done] = 0
        return after, there.float(), done, late & ~there


class Echo:
    """See one of four signs and a number; the expert chooses the next sign's choice and says half the number."""

    def __init__(self, agents, seed=0, continuous=1, branches=(4,)):
        self.spec = BehaviorSpec([vector_sensor(5, "sign")], ActionSpec(continuous, branches))
        self.agents, self.draws = agents, torch.Generator().manual_seed(seed)
        self._show()

    def _show(self):
        self.sign = torch.randint(4, (self.agents,), generator=self.draws)
        self.number = torch.rand(self.agents, generator=self.draws) * 2 - 1

    def obs(self):
        return torch.cat([torch.nn.functional.one_hot(self.sign, 4).float(), self.number[:, None]], 1)

    def expert(self):
        actions = self.spec.action_spec
        right = [(self.sign + 1) % size for size in actions.discrete_branches]
        discrete = torch.stack(right, 1) if right else torch.zeros(self.agents, 0, dtype=torch.int64)
        return Actions((0.5 * self.number[:, None]).repeat(1, actions.continuous_size), discrete)

    def step(self, action):
        self._show()
        n = self.agents
        return self.obs(), torch.zeros(n), torch.ones(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)


def record(path, env, rows):
    """Write a demonstration of the expert: episodes of one decision."""
    with DemonstrationRecorder(path, "B", env.spec) as recorder:
        for _ in range(rows):
            seen, right = env.obs()[0].numpy(), env.expert()
            recorder.record([seen], 0.0, np.zeros(right.continuous.shape[1]), np.zeros(right.discrete.shape[1], int))
            after, *_ = env.step(right)
            recorder.record([after[0].numpy()], 0.0, right.continuous[0].numpy(), right.discrete[0].numpy(), done=True)


def signal(kind, spec, name=None, seed=0, critic_only=(), **settings):
    """Return a reward signal of a class with these settings."""
    draws = torch.Generator().manual_seed(seed)
    setup = SignalSetup(name or kind.__name__.lower(), spec, CPU, draws, critic_only=critic_only)
    return construct(kind, setup, kind.Settings(**settings))


def make(kind, spec, signals=None, *, seed=0, hidden=32, cloning=None, network=None, shown=None, **settings):
    """Return a trainer; signals: what makes each from the generator, None for the environment's reward alone."""
    generator = torch.Generator().manual_seed(seed)
    made = [one(generator) for one in signals] if signals is not None else [Extrinsic(gamma=0.9, strength=1.0)]
    network = network or NetworkSettings(hidden_units=hidden, num_layers=1)
    setup = TrainerSetup(spec, network, made, 10**9, shown, generator=generator, cloning=cloning)
    return construct(kind, setup, kind.Settings(**settings))


def signal_maker(kind, spec, name=None, **settings):
    def made(generator):
        setup = SignalSetup(name or kind.__name__.lower(), spec, CPU, generator)
        return construct(kind, setup, kind.Settings(**settings))

    return made


@dataclass
class Loop:
    """Agents of an environment in lanes, and a trainer that learns from them."""

    trainer: object
    env: object
    horizon: int = 32
    step: int = 0
    rewards: list = field(default_factory=list)  # means of every tick
    metrics: dict = field(default_factory=dict)  # the newest of every tag
    waits: torch.Tensor = None  # (n,) rows of each lane's open segment

    def run(self, rows):
        until = self.step + rows
        while self.step < until:
            obs = self.env.obs()
            n, branches = len(obs), sum(self.env.spec.action_spec.discrete_branches)
            input = PolicyInput.of((obs,), torch.ones(n, branches, dtype=torch.bool))
            output = self.trainer.policy.act(input)
            after, reward, done, interrupted = self.env.step(self.trainer.policy.env_action(output.action))
            self.waits = (torch.zeros(n, dtype=torch.int64) if self.waits is None else self.waits) + 1
            closes = done | (self.waits == self.horizon)
            rows_ = Experience(
                input, output, reward, torch.zeros(n, dtype=torch.int64), torch.zeros(n), done, interrupted
            )
            self.trainer.receive(Tick(rows_, torch.arange(n), closes, (after,), int(self.waits[closes].sum())))
            self.waits[closes] = 0
            self.step += n
            self.rewards.append(reward.mean().item())
            self.metrics |= self.trainer.learn(self.step) or {}
        return self


def batch(obs, after, continuous=None, discrete=None, done=None):
    """Return rows as a reward signal sees them; obs, after: numbers of one sensor of size 1, or tuples of tensors."""
    obs, after = (x if isinstance(x, tuple) else (torch.tensor(x)[:, None],) for x in (obs, after))
    n = len(obs[0])
    action = Actions(
        torch.zeros(n, 0) if continuous is None else torch.tensor(continuous),
        torch.zeros(n, 0, dtype=torch.int64) if discrete is None else torch.tensor(discrete),
    )
    flags = torch.zeros(n, dtype=torch.bool)
    rows = Experience(
        PolicyInput.of(obs), PolicyOutput(action, torch.zeros(n, 0), torch.zeros(n), torch.zeros(n, 0)), torch.zeros(n),
        torch.zeros(n, dtype=torch.int64), torch.zeros(n), flags if done is None else torch.tensor(done), flags,
    )  # fmt: skip
    return SignalBatch(rows, lambda: PolicyInput.of(after))


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@torch.no_grad()
def fill(module, value):
    for parameter in module.parameters():
        parameter.fill_(value)


TINY = NetworkSettings(hidden_units=1, num_layers=1)
