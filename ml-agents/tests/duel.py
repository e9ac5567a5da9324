"""A game of two teams in this process, and runs of it that tests can take step by step."""

import numpy as np

from mlagents.build import make_session
from mlagents.training.train import read_options
from mlagents_envs.base_env import ActionSpec, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor

CHOICES = 3
SPEC = BehaviorSpec([vector_sensor(3, "seen")], ActionSpec.create_discrete((CHOICES,)))
TEAMS = ("Duel?team=0", "Duel?team=1")


class Duel(BaseEnv):
    """Who names the higher number at the end of an episode wins 1, and the other one loses 1; equal numbers draw.

    Agents see their team, the time and 1; that of area i has the number i in every team. Nothing is random.
    """

    def __init__(self, worker=0, *, teams=TEAMS, areas=8, length=1):
        self.teams, self.areas, self.length = teams, areas, length
        self.resets, self.answers = 0, []
        self.parameters = {}

    @property
    def behavior_specs(self):
        return dict.fromkeys(self.teams, SPEC)

    def set_parameters(self, parameters):
        self.parameters |= parameters

    def reset(self):
        self.resets += 1
        self.time, self.ended, self.actions = 0, False, {}

    def set_actions(self, name, action):
        self.actions[name] = action.discrete[:, 0].copy()

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def step(self):
        self.answers.append(dict(self.actions))
        self.time += 1
        self.ended = self.time == self.length
        if self.ended:
            self.time = 0

    def get_steps(self, name):
        decision = DecisionSteps(*self._columns(name, np.zeros(self.areas, np.float32))[:3], None, *self._groups())
        if not self.ended:
            return decision, TerminalSteps.empty(SPEC)
        others = [self.actions[team] for team in self.teams if team != name]
        reward = np.sign(self.actions[name] - np.max(others, axis=0)) if others else np.ones(self.areas)
        obs, reward, agent = self._columns(name, reward.astype(np.float32))
        return decision, TerminalSteps(obs, reward, np.zeros(self.areas, bool), agent, *self._groups())

    def _columns(self, name, reward):
        seen = np.ones((self.areas, 3), np.float32)
        seen[:, 0], seen[:, 1] = self.teams.index(name), self.time / self.length
        return [seen], reward, np.arange(self.areas, dtype=np.int32)

    def _groups(self):
        return np.zeros(self.areas, np.int32), np.zeros(self.areas, np.float32)

    def close(self):
        pass


def behavior(trainer="ppo", memory=None, **self_play):
    """Return the settings of a behavior; numbers of the trainer stand below its own name."""
    on_policy = {"batch_size": 64, "buffer_size": 256, "learning_rate": 0.01, "learning_rate_schedule": "constant"}
    own = {
        "ppo": on_policy, "poca": on_policy,
        "sac": {"batch_size": 64, "buffer_size": 2000, "buffer_init_steps": 64, "steps_per_update": 16, "learning_rate": 0.01, "init_entcoef": 0.05},
        "dqn": {"batch_size": 64, "buffer_size": 2000, "buffer_init_steps": 64, "steps_per_update": 16, "learning_rate": 0.01},
    }[trainer]  # fmt: skip
    return {
        "trainer_type": trainer, "hyperparameters": own, "max_steps": self_play.pop("max_steps", 100_000),
        "network_settings": {"hidden_units": 8, "num_layers": 1, "memory": memory},
        "reward_signals": {"extrinsic": {"gamma": 0.9}}, "time_horizon": 8, "summary_freq": 200,
        "checkpoint_interval": self_play.pop("checkpoint_interval", 10**6), "self_play": self_play,
    }  # fmt: skip


def options_of(behaviors, environment, *, seed=1, parameters=None, **checkpoint):
    config = {"behaviors": behaviors, **({"environment_parameters": parameters} if parameters else {})}
    flags = {"env_settings": {"seed": seed}, "checkpoint_settings": {"run_id": "run", **checkpoint}}
    return read_options(config, flags, environment)


class Match:
    """A run of some behaviors in an environment, step by step."""

    def __init__(self, behaviors, environment=None, **checkpoint):
        self.env = Duel() if environment is None else environment
        self.session = make_session(options_of(behaviors, self.env, **checkpoint), environment=self.env)
        self.loop, self.league = self.session.loop, self.session.loop.plan.league
        self.loop.begin()

    def ticks(self, n):
        for _ in range(n):
            self.loop.tick()
        return self

    def behavior(self, name="Duel"):
        return self.loop.behaviors[name].behavior

    def player(self, name="Duel"):
        return self.league.player(name)

    def save(self):
        for trained in self.loop.behaviors.values():
            self.loop.save(trained)

    def close(self):
        self.session.close()


def weights(policy):
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}


def equal(one, other):
    import torch

    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return set(one) == set(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other
