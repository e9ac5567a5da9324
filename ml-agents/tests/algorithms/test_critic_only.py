"""Sensors that only the critic sees: the policy cannot use them, the critic does, in every trainer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_bandits import AGENTS, TWO, Luck, Picture, Secret, behavior, image, score
from tiny_tasks import through_a_file

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.fast_ppo import applies
from mlagents.algorithms.poca import POCATrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import POCASettings, PPOSettings, SACSettings
from mlagents.conformance.persistence import difference
from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork
from mlagents.nn.policy import Actor, Policy
from mlagents.nn.sensors import critic_only
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.plugins.catalog import Catalog
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

ON_POLICY = {"batch_size": 64, "buffer_size": 256, "learning_rate": 3e-3}
OFF_POLICY = {"batch_size": 32, "buffer_size": 2000, "buffer_init_steps": 64, "learning_rate": 3e-3,
              "steps_per_update": 8.0, "tau": 0.05}  # fmt: skip
CONTINUOUS = ActionSpec.create_continuous(1)
PPO = PPOSettings(**ON_POLICY, beta=1e-3)
SAC = SACSettings(**OFF_POLICY, init_entcoef=0.05)


def author(file, name):
    kind = Catalog([str(Path(__file__).parents[1] / "authors" / file)]).find(name)
    return kind.trainer(), kind.settings


def ppo(world, **network):
    return behavior(PPOTrainer, world(), PPO, **network)


def ppo_with_memory(world, **network):
    return ppo(world, memory=MemorySettings(memory_size=8, sequence_length=8), **network)


def poca(world, **network):
    return behavior(POCATrainer, world(), POCASettings(**ON_POLICY, beta=1e-3), **network)


def sac(world, **network):
    return behavior(SACTrainer, world(), SAC, **network)


def sac_with_memory(world, **network):
    return sac(world, memory=MemorySettings(memory_size=8, sequence_length=8), **network)


def a2c(world, **network):
    found = pytest.importorskip("mlagents_trainer_plugin.a2c.a2c_trainer")
    return behavior(found.A2CTrainer, world(), found.A2CSettings(**{**ON_POLICY, "buffer_size": 64}), **network)


def of_an_author(world, **network):
    kind, settings = author("tanh_sac.py", "tanh-sac")
    return behavior(kind, world(actions=CONTINUOUS), settings(**OFF_POLICY, init_entcoef=0.05), **network)


TRAINERS = [ppo, ppo_with_memory, poca, sac, sac_with_memory, a2c, of_an_author]


def world_of(made, kind):
    return kind(actions=made.trainer.policy.spec.action_spec)


def values(trainer, obs):
    """Return (n,) what the critics of a trainer say of a right choice."""
    input = PolicyInput.of(obs, torch.ones(len(obs[0]), sum(trainer.policy.branches), dtype=torch.bool))
    input = PolicyInput(input.obs, input.mask, torch.zeros(len(obs[0]), trainer.policy.memory_size))
    critic = getattr(trainer, "value", None) or trainer.critic
    with torch.no_grad():
        if isinstance(trainer, SACTrainer) or not hasattr(trainer, "target"):
            return critic(input)[:, 0]
        action = Actions(torch.ones(len(obs[0]), 1), torch.zeros(len(obs[0]), 0, dtype=torch.int64))
        return critic(input, action)[0, :, 0]


@pytest.mark.parametrize("make", TRAINERS)
def test_the_policy_cannot_use_what_only_the_critic_sees(make):
    made = make(Secret)
    assert 0.35 < score(made, world_of(made, Secret), 3_000, enough=0.8) < 0.65


def let_it_peek(monkeypatch):
    """Plant the mistake that these tests are to find: every body sees everything."""
    usual = NetworkBody.__init__

    def sees_all(self, *given, unseen=(), **options):
        usual(self, *given, **options)

    monkeypatch.setattr(NetworkBody, "__init__", sees_all)


@pytest.mark.parametrize("make", [ppo, sac])
def test_a_policy_that_peeks_would_be_noticed(make, monkeypatch):
    let_it_peek(monkeypatch)
    monkeypatch.setattr("mlagents.algorithms.template.check_unseen", lambda policy: None)
    made = make(Secret)
    assert score(made, Secret(), 6_000, enough=0.9) >= 0.9


@pytest.mark.parametrize("make", TRAINERS)
def test_the_critic_knows_what_it_alone_sees(make):
    made = make(Luck)
    assert score(made, world_of(made, Luck), 4_000, enough=0.95) > 0.9
    cue = torch.ones(2, 1)
    unlucky, lucky = values(made.trainer, (cue, torch.tensor([[-1.0], [1.0]]))).tolist()
    assert lucky - unlucky > Luck.SIZE  # of 2 SIZE, as far as a moving target got


@pytest.mark.parametrize("make", TRAINERS)
def test_a_named_sensor_is_hidden_like_one_with_the_prefix(make):
    def named(**options):
        return Secret(name="answer", **options)

    made = make(named, critic_only=["answer"])
    assert made.trainer.policy.unseen == ("answer",)
    score(made, world_of(made, Secret), 500)
    rows = made.trainer.policy.blank_input(3)
    before = made.trainer.policy.act(rows, explore=False)
    for change in (1.0, -5.0, float("nan")):
        rows.obs[1].fill_(change)
        after = made.trainer.policy.act(rows, explore=False)
        assert torch.equal(after.action.continuous, before.action.continuous)
        assert torch.equal(after.log_prob, before.log_prob) and torch.equal(after.memory, before.memory)
    assert values(made.trainer, (torch.zeros(2, 1), torch.tensor([[-1.0], [1.0]]))).unique().numel() == 2


@pytest.mark.parametrize("make", TRAINERS)
def test_the_policys_normalizer_ignores_it_and_the_critics_share_one_that_does_not(make):
    made = make(Luck)
    score(made, world_of(made, Luck), 700)
    trainer = made.trainer
    trainer.state_dict()  # whatever waits is seen
    own = trainer.policy.body.normalizer
    assert own.running_mean.shape == (1,)
    networks = [trainer.value, trainer.q1, trainer.q2, trainer.target] if isinstance(trainer, SACTrainer) else [
        trainer.critic, *([trainer.target] if hasattr(trainer, "target") else [])
    ]  # fmt: skip
    bodies = [part for network in networks for part in network.modules() if isinstance(part, NetworkBody)]
    (shared,) = {body.normalizer for body in bodies}
    assert shared.running_mean.shape == (2,)
    assert shared.normalization_steps == own.normalization_steps > 600  # each row once
    assert shared.running_mean[0] == pytest.approx(own.running_mean[0].item(), abs=1e-5)
    assert (shared.running_variance / shared.normalization_steps)[1] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("make", TRAINERS)
def test_a_resumed_trainer_equals_one_that_never_stopped(make):
    made, fresh = make(Luck), make(Luck)
    if hasattr(made.trainer.settings, "save_replay_buffer"):
        settings = made.trainer.settings.model_copy(update={"save_replay_buffer": True})
        made.trainer.settings = fresh.trainer.settings = settings
    score(made, world_of(made, Luck), 1_000)
    made.drop()
    assert difference(made.state_dict(), fresh.state_dict())
    fresh.load_state_dict(through_a_file(made.state_dict()), keep_step=True)
    for own in (made, fresh):
        own.generator.manual_seed(3)
        world = world_of(own, Luck)
        world.rng = np.random.default_rng(9)
        score(own, world, 500)
    assert difference(made.state_dict(), fresh.state_dict()) is None


def test_ppo_walks_by_hand_where_the_critic_sees_more_vectors_and_steps_aside_for_its_images():
    assert applies(ppo(Luck).trainer)

    def with_a_picture():
        world = Picture()
        world.spec = BehaviorSpec([image(8, "privileged_map"), vector_sensor(1, "noise")], TWO)
        return world

    made = ppo(with_a_picture, vis_encode_type="match3")
    assert not applies(made.trainer)
    assert 0.35 < score(made, with_a_picture(), 1_000, enough=0.8) < 0.65
    seen = Picture().look(np.arange(AGENTS) % 2)
    assert values(made.trainer, tuple(map(torch.from_numpy, seen))).unique().numel() > 1


class OwnPolicy(Policy):
    def __init__(self, setup, unseen):
        super().__init__(setup.spec)
        self.network = NetworkBody(setup.spec.observation_specs, setup.network, unseen=unseen)
        self.head = torch.nn.Linear(self.network.width, 2)

    def forward(self, input):
        return Actor.from_output(self, self.network(input, self.head), input.mask), input.memory


class LeakyTrainer(PPOTrainer):
    def make_policy(self, setup):
        return OwnPolicy(setup, unseen=())


class TightTrainer(PPOTrainer):
    def make_policy(self, setup):
        return OwnPolicy(setup, unseen=setup.critic_only)


def test_a_policy_of_an_authors_own_that_peeks_is_refused_at_the_start():
    with pytest.raises(TrainerError, match="OwnPolicy looks at the sensor 'privileged_answer', which is for the critic"):
        behavior(LeakyTrainer, Secret(), PPO)
    behavior(LeakyTrainer, Secret(name="answer"), PPO)  # which anybody may see
    behavior(TightTrainer, Secret(), PPO)


def test_the_normalizer_of_a_policy_that_does_not_observe_is_fed_all_the_same():
    made = behavior(TightTrainer, Luck(), PPO)
    score(made, Luck(), 700)
    made.trainer.state_dict()  # whatever waits is seen
    assert made.trainer.policy.network.normalizer.normalization_steps > 600


class SharingTrainer(PPOTrainer):
    def make_critic(self, setup):
        self.extra = NetworkBody(setup.spec.observation_specs, setup.network, self.policy.body.normalizer)
        return super().make_critic(setup)


def test_a_normalizer_of_other_sensors_is_not_shared_unnoticed():
    with pytest.raises(UnsupportedNetwork, match="the normalizer is of 1 numbers, but this network sees vectors of 2"):
        behavior(SharingTrainer, Secret(), PPO)
    behavior(SharingTrainer, Secret(name="answer"), PPO)


SENSORS = [vector_sensor(1, name) for name in ("near", "far", "privileged_map", "StackingSensor_size3_privileged_wind")]


def test_names_with_the_prefix_are_the_critics_also_in_a_stack():
    assert critic_only(SENSORS, NetworkSettings()) == ("privileged_map", "StackingSensor_size3_privileged_wind")
    more = NetworkSettings(critic_only=["far", "privileged_map"])
    assert critic_only(SENSORS, more) == ("far", "privileged_map", "StackingSensor_size3_privileged_wind")
    stacked = [*SENSORS, vector_sensor(1, "StackingSensor_size2_height")]
    for name in ("height", "StackingSensor_size2_height"):
        assert critic_only(stacked, NetworkSettings(critic_only=[name]))[-1] == "StackingSensor_size2_height"


def test_names_that_resemble_the_prefix_are_no_secret():
    sensors = [vector_sensor(1, name) for name in ("unprivileged_map", "privileged", "a_privileged_b", "")]
    assert critic_only(sensors, NetworkSettings()) == ()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["fra"], "network_settings.critic_only: no sensor has the name 'fra', did you mean 'far'? Sensors: near, far, "),
        (["zzz"], r"network_settings.critic_only: no sensor has the name 'zzz'\. Sensors: near, far, privileged_map, "),
        (["near", "far"], r"every sensor \(near, far, .*\) is for the critic only, by network_settings.critic_only or "),
    ],
)
@pytest.mark.parametrize("kind", [PPOTrainer, LeakyTrainer])
def test_names_that_cannot_be_are_refused_in_a_sentence(names, sentence, kind):
    world = Secret()
    world.spec = BehaviorSpec(SENSORS, TWO)
    with pytest.raises(UnsupportedNetwork, match=sentence.replace("?", r"\?")):
        behavior(kind, world, PPO, critic_only=names)


def test_a_critic_on_the_policys_body_cannot_see_more_than_it():
    shared = PPO.model_copy(update={"shared_critic": True})
    with pytest.raises(UnsupportedNetwork, match=r"shared_critic: the critic cannot .* privileged_answer; set"):
        behavior(PPOTrainer, Secret(), shared)
    behavior(PPOTrainer, Secret(name="answer"), shared)
