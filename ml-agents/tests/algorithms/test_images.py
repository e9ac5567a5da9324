"""Trainers whose agents see more than vectors: they learn what is in a picture, a set or a goal, and stop unharmed."""

import io

import numpy as np
import pytest
import torch

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import PPOSettings, SACSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.conformance.persistence import difference
from mlagents.envs.steps import StepBatch
from mlagents.export.export import dry_run
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import vector_sensor

AGENTS = 16
MOVES = DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
IMAGE = ObservationSpec((1, 8, 8), (DimensionProperty.NONE, MOVES, MOVES), ObservationType.DEFAULT, "Camera")
ENTITIES = ObservationSpec(
    (5, 3), (DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE), ObservationType.DEFAULT, "Buffer"
)
GOAL = ObservationSpec((2,), (DimensionProperty.NONE,), ObservationType.GOAL_SIGNAL, "Goal")
PPO = PPOSettings(batch_size=64, buffer_size=256, learning_rate=3e-3, beta=1e-3)
OFF_POLICY = {"batch_size": 32, "buffer_size": 2000, "buffer_init_steps": 64, "learning_rate": 3e-3,
              "steps_per_update": 8.0, "tau": 0.05}  # fmt: skip


class Bandit:
    """One decision an episode, which of two; an agent sees the right one in a way of its own."""

    spec: BehaviorSpec

    def __init__(self, seed=0):
        self.chance, self.born = np.random.default_rng(seed), 0

    def begin(self):
        return self._say(np.zeros(0, np.float32), None)

    def step(self, actions):
        return self._say((actions.discrete[:, 0] == self.right).astype(np.float32), self.seen)

    def _say(self, reward, last):
        self.right = self.chance.integers(2, size=AGENTS)
        self.seen = self.look(self.right)
        ended = np.arange(self.born - len(reward), self.born)
        self.born += AGENTS
        n = len(reward) + AGENTS
        return StepBatch(
            np.concatenate([ended, np.arange(self.born - AGENTS, self.born)]),
            self.seen if last is None else tuple(np.concatenate(both) for both in zip(last, self.seen, strict=True)),
            np.ones((n, 2), bool), np.concatenate([reward, np.zeros(AGENTS, np.float32)]),
            np.zeros(n, np.int64), np.zeros(n, np.float32), np.arange(n) < len(reward), np.zeros(n, bool),
        )  # fmt: skip


class Picture(Bandit):
    """A bright square lies on the left or on the right, somewhere."""

    spec = BehaviorSpec([IMAGE, vector_sensor(1, "noise")], ActionSpec.create_discrete((2,)))

    def look(self, right):
        image = self.chance.integers(0, 80, (AGENTS, 1, 8, 8), dtype=np.uint8)
        rows, columns = self.chance.integers(7, size=AGENTS), self.chance.integers(3, size=AGENTS) + 4 * right
        for agent, (row, column) in enumerate(zip(rows, columns, strict=True)):
            image[agent, 0, row : row + 2, column : column + 2] = 255
        return image, self.chance.normal(size=(AGENTS, 1)).astype(np.float32)


class Crowd(Bandit):
    """Among one to five entities, one is marked; its other number says what is right."""

    spec = BehaviorSpec([ENTITIES], ActionSpec.create_discrete((2,)))

    def look(self, right):
        there = np.arange(5) < self.chance.integers(1, 6, AGENTS)[:, None]
        crowd = np.stack([there, self.chance.choice([-1, 1], (AGENTS, 5)), np.zeros((AGENTS, 5))], 2)
        crowd[:, 0] = np.stack([np.ones(AGENTS), 2 * right - 1, np.ones(AGENTS)], 1)
        return ((crowd * there[:, :, None]).astype(np.float32),)


class Wish(Bandit):
    """A number is to be called by its sign, or by the other one: the goal says which."""

    spec = BehaviorSpec([vector_sensor(1, "number"), GOAL], ActionSpec.create_discrete((2,)))

    def look(self, right):
        meant = self.chance.integers(2, size=AGENTS)
        number = (2 * right - 1) * (2 * meant - 1) * self.chance.uniform(0.2, 1, AGENTS)
        return number[:, None].astype(np.float32), np.eye(2, dtype=np.float32)[meant]


WORLDS = {"picture": Picture, "crowd": Crowd, "wish": Wish}


def setup(spec, **network):
    said = {"hidden_units": 32, "num_layers": 1, "vis_encode_type": "match3", "normalize": True, **network}
    return TrainerSetup(spec, NetworkSettings(**said), [Extrinsic(gamma=0.9, strength=1.0)], 40_000)


def train(behavior, world, steps):
    """Return the mean reward of the last quarter of so many steps."""
    said, first, returns = world.begin(), behavior.step, []
    while behavior.step < first + steps:
        ended = behavior.receive(said)
        if ended is not None and behavior.step > first + 0.75 * steps:
            returns += ended.total.tolist()
        behavior.learn()
        actions, _ = behavior.act()
        said = world.step(actions)
    return float(np.mean(returns))


def make(trainer, world, settings, **network):
    return Behavior(trainer(setup(world.spec, **network), settings), time_horizon=8)


def saved(behavior):
    file = io.BytesIO()
    torch.save(behavior.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("kind", WORLDS)
def test_ppo_learns_what_is_in_it(kind):
    world = WORLDS[kind]()
    behavior = make(PPOTrainer, world, PPO, vis_encode_type="fully_connected")
    assert train(behavior, world, 6_000) > 0.9
    dry_run(behavior.trainer.policy)


def test_ppo_learns_with_critic_and_policy_on_one_body():
    world = Picture()
    behavior = make(PPOTrainer, world, PPO.model_copy(update={"shared_critic": True}))
    assert behavior.trainer.critic.body is behavior.trainer.policy.body
    assert train(behavior, world, 6_000) > 0.9


def test_a2c_learns_what_is_in_a_picture():
    a2c = pytest.importorskip("mlagents_trainer_plugin.a2c.a2c_trainer")
    world = Picture()
    settings = a2c.A2CSettings(batch_size=64, buffer_size=64, learning_rate=3e-3)
    assert train(make(a2c.A2CTrainer, world, settings), world, 8_000) > 0.9


def test_dqn_learns_what_is_in_a_picture():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    world = Picture()
    behavior = make(dqn.DQNTrainer, world, dqn.DQNSettings(**OFF_POLICY), vis_encode_type="fully_connected")
    assert train(behavior, world, 4_000) > 0.85
    dry_run(behavior.trainer.policy)


@pytest.mark.parametrize("kind", WORLDS)
def test_a_resumed_trainer_equals_one_that_never_stopped(kind):
    behavior = make(PPOTrainer, WORLDS[kind](), PPO)
    train(behavior, WORLDS[kind](), 1_000)
    behavior.drop()
    fresh = make(PPOTrainer, WORLDS[kind](), PPO)
    assert difference(behavior.state_dict(), fresh.state_dict())
    fresh.load_state_dict(saved(behavior), keep_step=True)
    for own in (behavior, fresh):
        own.generator.manual_seed(3)
        train(own, WORLDS[kind](seed=5), 1_000)
    assert difference(behavior.state_dict(), fresh.state_dict()) is None


def test_sac_resumed_with_its_pictures_equals_one_that_never_stopped():
    settings = SACSettings(**{**OFF_POLICY, "buffer_size": 150}, save_replay_buffer=True)
    behavior, fresh = (make(SACTrainer, Picture(), settings, vis_encode_type="fully_connected") for _ in "ab")
    train(behavior, Picture(), 300)
    behavior.drop()
    fresh.load_state_dict(saved(behavior), keep_step=True)
    for own in (behavior, fresh):
        own.generator.manual_seed(3)
        train(own, Picture(seed=5), 300)
    assert behavior.trainer.updates == fresh.trainer.updates > 50
    assert difference(behavior.state_dict(), fresh.state_dict()) is None


def test_images_stay_bytes_in_every_memory():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    world, on_policy = Picture(), make(PPOTrainer, Picture(), PPO)
    kept = make(dqn.DQNTrainer, world, dqn.DQNSettings(**OFF_POLICY, save_replay_buffer=True))
    for behavior in (on_policy, kept):
        train(behavior, world, 200)
    segments = on_policy.trainer.memory.take()
    assert segments.rows.input.obs[0].dtype == segments.after[0].dtype == torch.uint8
    again = make(dqn.DQNTrainer, world, dqn.DQNSettings(**OFF_POLICY, save_replay_buffer=True))
    again.load_state_dict(saved(kept), keep_step=True)
    for memory in (kept.trainer.memory, again.trainer.memory):
        rows = memory.sample(50)
        assert rows.rows.input.obs[0].dtype == rows.next_input.obs[0].dtype == torch.uint8
        assert rows.rows.input.obs[0].max() == 255


def test_targets_share_nothing_with_the_network_but_its_normalizer():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    trainer = make(dqn.DQNTrainer, Picture(), dqn.DQNSettings(**OFF_POLICY)).trainer
    mine, theirs = trainer.policy.body, trainer.target.body
    assert mine.normalizer is theirs.normalizer
    assert not {id(p) for p in mine.parameters()} & {id(p) for p in theirs.parameters()}
