"""Trainers in tiny worlds: what they must learn, what they must not, and that stopping changes nothing."""

import io

import numpy as np
import pytest
import torch

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.on_policy import OnPolicyTrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.settings import OffPolicyHyperparamSettings, PPOSettings
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Collector
from mlagents.envs.steps import StepBatch
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

AGENTS = 16


class Identity:
    """Say back what you see: one decision an episode, reward for the right answer."""

    def __init__(self, action, seed=0, pays=True):
        self.spec = BehaviorSpec([vector_sensor(2, "seen")], action)
        self.chance, self.pays, self.born = np.random.default_rng(seed), pays, 0
        self.seen = None

    def begin(self):
        return self._say(np.zeros(0, np.float32), np.zeros((0, 2), np.float32))

    def step(self, actions):
        last = self.seen
        if self.spec.action_spec.continuous_size:
            right = -np.abs(actions.continuous[:, 0] - last[:, 0])
        else:
            right = (actions.discrete[:, 0] == (last[:, 0] > 0)).astype(np.float32)
        return self._say(right.astype(np.float32) if self.pays else np.zeros(AGENTS, np.float32), last)

    def _say(self, reward, last):
        self.seen = self.chance.uniform(-1, 1, (AGENTS, 2)).astype(np.float32)
        ended = np.arange(self.born - len(reward), self.born)
        self.born += AGENTS
        n = len(reward) + AGENTS
        done = np.arange(n) < len(reward)
        return StepBatch(
            np.concatenate([ended, np.arange(self.born - AGENTS, self.born)]),
            (np.concatenate([last, self.seen]),),
            np.ones((n, sum(self.spec.action_spec.discrete_branches)), bool),
            np.concatenate([reward, np.zeros(AGENTS, np.float32)]),
            np.zeros(n, np.int64), np.zeros(n, np.float32), done, np.zeros(n, bool),
        )  # fmt: skip


def setup(spec, **network):
    return TrainerSetup(spec, NetworkSettings(hidden_units=32, **network), [Extrinsic(gamma=0.9, strength=1.0)], 40_000)


def train(trainer, world, steps):
    """Return the mean reward of the last quarter."""
    behavior, returns = Behavior(trainer, time_horizon=8), []
    step = world.begin()
    while behavior.step < steps:
        ended = behavior.receive(step)
        if ended is not None and behavior.step > 0.75 * steps:
            returns += ended.total.tolist()
        behavior.learn()
        actions, _ = behavior.act()
        step = world.step(actions)
    return float(np.mean(returns))


FAST = PPOSettings(batch_size=64, buffer_size=512, learning_rate=3e-3, beta=1e-3)


class ByAutograd(PPOTrainer):
    """PPO on the road that trainers of one's own take."""

    def descend(self, batch):
        return OnPolicyTrainer.descend(self, batch)


@pytest.mark.parametrize("kind", [PPOTrainer, ByAutograd])
def test_ppo_learns_to_say_back_what_it_sees(kind):
    world = Identity(ActionSpec.create_discrete((2,)))
    assert train(kind(setup(world.spec), FAST), world, 16_000) > 0.93


def test_ppo_learns_to_reach_a_number():
    world = Identity(ActionSpec.create_continuous(1))
    assert train(PPOTrainer(setup(world.spec, normalize=True), FAST), world, 40_000) > -0.25  # chance is about -0.7


def test_ppo_learns_with_critic_and_policy_on_one_body():
    world = Identity(ActionSpec.create_discrete((2,)))
    shared = FAST.model_copy(update={"shared_critic": True})
    trainer = PPOTrainer(setup(world.spec), shared)
    assert trainer.critic.body is trainer.policy.body
    assert train(trainer, world, 16_000) > 0.9


def test_nothing_is_learnt_where_nothing_is_paid():
    world = Identity(ActionSpec.create_discrete((2,)), pays=False)
    trainer = PPOTrainer(setup(world.spec), FAST)
    train(trainer, world, 8_000)
    paying = Identity(ActionSpec.create_discrete((2,)), seed=9)
    frozen = PPOTrainer(setup(paying.spec), FAST.model_copy(update={"buffer_size": 10**9}))
    frozen.policy.load_state_dict(trainer.policy.state_dict())
    assert 0.15 < train(frozen, paying, 4_000) < 0.85  # a policy that learnt passes 0.93


def rollouts(world, count):
    """Feed `count` updates' worth of rows that were made by one and the same other policy."""
    torch.manual_seed(1)
    maker = PPOTrainer(setup(world.spec, normalize=True), FAST)
    step, kept = world.begin(), []
    collector = Collector(0, horizon=8)
    while len(kept) < count * 40:
        tick, _ = collector.receive(step)
        if tick is not None:
            kept.append(tick)
        actions, _ = collector.act(maker.policy)
        step = world.step(actions)
    return kept


def learn_from(trainer, ticks, start):
    step = start
    for tick in ticks:
        trainer.receive(tick)
        step += len(tick.lane)
        trainer.learn(step)
    return step


def test_a_stopped_and_resumed_trainer_equals_one_that_never_stopped():
    world = Identity(ActionSpec.create_hybrid(1, (2,)))
    ticks = rollouts(world, 3)
    first, second = ticks[:66], ticks[66:]
    torch.manual_seed(2)
    never_stopped = PPOTrainer(setup(world.spec, normalize=True), FAST)
    step = learn_from(never_stopped, first, 0)
    never_stopped.forget()  # a world that begins anew has no unfinished episodes
    file = io.BytesIO()
    torch.save({**never_stopped.state_dict(), "rng": never_stopped.generator.get_state()}, file)
    learn_from(never_stopped, second, step)

    file.seek(0)
    state = torch.load(file, weights_only=True)
    torch.manual_seed(77)
    resumed = PPOTrainer(setup(world.spec, normalize=True), FAST)
    resumed.load_state_dict(state)
    resumed.generator.set_state(state["rng"])
    learn_from(resumed, second, step)
    assert resumed.now == never_stopped.now
    mine, theirs = resumed.state_dict(), never_stopped.state_dict()
    for part in ("Policy", "Optimizer:critic"):
        for name, value in theirs[part].items():
            assert torch.equal(mine[part][name], value), name
    for key, values in theirs["Optimizer:value_optimizer"]["state"].items():
        for name, value in values.items():
            assert torch.equal(mine["Optimizer:value_optimizer"]["state"][key][name], value), name


def test_a_linear_schedule_reaches_the_optimizer():
    world = Identity(ActionSpec.create_discrete((2,)))
    trainer = PPOTrainer(setup(world.spec), FAST)
    learn_from(trainer, rollouts(world, 1), 20_000)
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3 / 2, rel=0.05)


class Counting(OffPolicyTrainer):
    """Counts its updates and remembers what it was given."""

    def update(self, batch):
        assert len(batch) == self.settings.batch_size
        assert batch.next_input.obs[0].shape == batch.rows.input.obs[0].shape
        return {"Losses/None": 0.0}


def test_an_off_policy_trainer_updates_at_its_pace_after_warm_up():
    world = Identity(ActionSpec.create_discrete((2,)))
    settings = OffPolicyHyperparamSettings(batch_size=8, buffer_size=100, buffer_init_steps=64, steps_per_update=4)
    trainer = Counting(setup(world.spec), settings)
    learn_from(trainer, rollouts(world, 1)[:20], 0)
    assert trainer.memory.seen == 320
    assert trainer.updates == (320 - 64) / 4
    assert len(trainer.memory) == 100


def test_a_trainer_without_a_loss_says_what_is_missing():
    world = Identity(ActionSpec.create_discrete((2,)))
    with pytest.raises(TrainerError, match=r"OnPolicyTrainer has no loss: an OnPolicyTrainer writes loss\(batch\)"):
        OnPolicyTrainer(setup(world.spec), FAST)
