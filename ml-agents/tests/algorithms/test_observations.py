"""Trainers whose agents see more than vectors: they learn what is in a picture, a set or a goal, and stop unharmed."""

from functools import partial

import pytest
import torch
from tiny_bandits import Crowd, Picture, Wish, behavior, score
from tiny_tasks import through_a_file

from mlagents.algorithms.poca import POCATrainer
from mlagents.algorithms.ppo import PPOTrainer
from mlagents.algorithms.sac import SACTrainer
from mlagents.algorithms.settings import POCASettings, PPOSettings, SACSettings
from mlagents.conformance.persistence import difference
from mlagents.data.experience import PolicyInput
from mlagents.export.export import dry_run
from mlagents.nn.attention import EntityEncoder
from mlagents.nn.body import NetworkBody
from mlagents.nn.encoders import ENCODERS, ImageEncoder
from mlagents.nn.settings import MemorySettings

PPO = PPOSettings(batch_size=64, buffer_size=256, learning_rate=3e-3, beta=1e-3)
SHARED = PPO.model_copy(update={"shared_critic": True})
OFF_POLICY = {"batch_size": 32, "buffer_size": 2000, "buffer_init_steps": 64, "learning_rate": 3e-3,
              "steps_per_update": 8.0, "tau": 0.05}  # fmt: skip
SAC = SACSettings(**OFF_POLICY, init_entcoef=0.05)
MEMORY = {"memory": MemorySettings(memory_size=16, sequence_length=8)}
TRAINERS = {
    "ppo": (PPOTrainer, PPO, {}), "recurrent ppo": (PPOTrainer, PPO, MEMORY),
    "sac": (SACTrainer, SAC, {}), "recurrent sac": (SACTrainer, SAC, MEMORY),
}  # fmt: skip
SIDES = {kind: max(encoder.smallest, 2) for kind, encoder in ENCODERS.items()}  # the least that has a left and a right
PICTURES = {kind: (partial(Picture, side=side), {"vis_encode_type": kind}) for kind, side in SIDES.items()}
WORLDS = {
    **PICTURES,
    "attention": (Crowd, {}),
    "goal, hyper": (Wish, {"goal_conditioning_type": "hyper"}),
    "goal, none": (Wish, {"goal_conditioning_type": "none"}),
}
STEPS = 6_000
GENTLE = {"learning_rate": 5e-4, "init_entcoef": 0.3, "steps_per_update": 16.0}  # else a policy this deep is sure at once


def make(trainer, kind, **more):
    kind_of_trainer, settings, network = TRAINERS[trainer]
    if kind_of_trainer is SACTrainer and kind == "resnet":
        settings = settings.model_copy(update=GENTLE)
    make_world, seen = WORLDS[kind]
    return behavior(kind_of_trainer, make_world(), settings, **{**network, **seen, **more})


SLOW = {("recurrent sac", kind) for kind in ("simple", "nature_cnn", "resnet")}  # minutes, where others take seconds
LEARNED = [(trainer, kind) for trainer in TRAINERS for kind in WORLDS if (trainer, kind) not in SLOW]


@pytest.mark.parametrize(("trainer", "kind"), LEARNED)
def test_every_trainer_learns_what_is_in_every_observation(trainer, kind):
    made = make(trainer, kind)
    assert score(made, WORLDS[kind][0](), STEPS, enough=0.9) >= 0.9
    dry_run(made.trainer.policy)


@pytest.mark.parametrize(("trainer", "kind"), sorted(SLOW))
def test_every_network_learns_with_an_encoder_that_is_too_slow_for_a_test(trainer, kind):
    made = make(trainer, kind)
    networks = [made.trainer.policy, made.trainer.q1, made.trainer.q2, made.trainer.value, made.trainer.target]
    before = [{name: weight.clone() for name, weight in network.state_dict().items()} for network in networks]
    score(made, WORLDS[kind][0](), 200)
    for network, weights in zip(networks, before, strict=True):
        same = {name for name, weight in network.state_dict().items() if torch.equal(weight, weights[name])}
        # what is remembered is nothing where an episode has one decision
        assert same <= {"body.memory.cell.weight_hh", "memory.start.weight"}


def blind(cls, method):
    """Plant a mistake: what this method finds is lost."""
    usual = getattr(cls, method)
    return cls, method, lambda self, *given: torch.zeros_like(usual(self, *given))


PLANTED = {
    "simple": blind(ImageEncoder, "forward"),
    "attention": blind(EntityEncoder, "forward"),
    "goal, hyper": blind(NetworkBody, "vectors"),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_nobody_learns_what_an_encoder_loses(trainer, kind, monkeypatch):
    monkeypatch.setattr(*PLANTED[kind])
    made = make(trainer, kind)
    assert score(made, WORLDS[kind][0](), STEPS // 4, enough=0.9) < 0.7


def with_goals_of_other_rows(self, x):
    return torch.cat([x[:, goal].roll(1, 0) for goal in self.goals], 1)


def test_a_goal_steers_its_own_row(monkeypatch):
    made = make("ppo", "goal, hyper")
    world = Wish()
    score(made, world, STEPS, enough=0.95)
    input = PolicyInput.of(tuple(map(torch.from_numpy, world.seen)), torch.ones(len(world.right), 2, dtype=torch.bool))
    right = (made.trainer.policy.act(input, explore=False).action.discrete[:, 0].numpy() == world.right).mean()
    assert right > 0.9
    monkeypatch.setattr(NetworkBody, "goal", with_goals_of_other_rows)
    lost = (made.trainer.policy.act(input, explore=False).action.discrete[:, 0].numpy() == world.right).mean()
    assert lost < right


@pytest.mark.parametrize("kind", ["match3", "attention", "goal, hyper"])
@pytest.mark.parametrize("network", [{}, MEMORY], ids=["plain", "recurrent"])
def test_ppo_learns_with_critic_and_policy_on_one_body(kind, network):
    make_world, seen = WORLDS[kind]
    made = behavior(PPOTrainer, make_world(), SHARED, **seen, **network)
    assert made.trainer.critic.body is made.trainer.policy.body
    assert score(made, make_world(), STEPS, enough=0.9) >= 0.9


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_deterministic_policy_never_explores_whatever_it_sees(trainer, kind):
    seen = WORLDS[kind][0](seed=3).begin()
    answers = {}
    for deterministic in (False, True):
        policy = make(trainer, kind, deterministic=deterministic).trainer.policy
        rows = [torch.from_numpy(column[:1]).expand(200, *column.shape[1:]) for column in seen.obs]
        input = PolicyInput(tuple(rows), policy.blank_input(200).mask, policy.blank_input(200).memory)
        answers[deterministic] = policy.act(input).action.discrete.unique().numel()
    assert answers == {False: 2, True: 1}


@pytest.mark.parametrize("kind", ["match3", "attention", "goal, hyper"])
def test_poca_learns_what_is_in_pictures_sets_and_goals(kind):
    make_world, seen = WORLDS[kind]
    settings = POCASettings(batch_size=64, buffer_size=256, learning_rate=3e-3, beta=1e-3)
    made = behavior(POCATrainer, make_world(), settings, **seen)
    assert score(made, make_world(), STEPS, enough=0.9) >= 0.9


def test_a2c_learns_what_is_in_a_picture():
    a2c = pytest.importorskip("mlagents_trainer_plugin.a2c.a2c_trainer")
    settings = a2c.A2CSettings(batch_size=64, buffer_size=64, learning_rate=3e-3)
    assert score(behavior(a2c.A2CTrainer, Picture(), settings, vis_encode_type="match3"), Picture(), 8_000, enough=0.9) >= 0.9


def test_dqn_learns_what_is_in_a_picture():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    made = behavior(dqn.DQNTrainer, Picture(), dqn.DQNSettings(**OFF_POLICY), vis_encode_type="fully_connected")
    assert score(made, Picture(), 4_000, enough=0.9) >= 0.9
    dry_run(made.trainer.policy)


@pytest.mark.parametrize("kind", ["match3", "attention", "goal, hyper"])
def test_a_resumed_trainer_equals_one_that_never_stopped(kind):
    made, fresh, world = make("ppo", kind), make("ppo", kind), WORLDS[kind][0]
    score(made, world(), 600)
    made.drop()
    assert difference(made.state_dict(), fresh.state_dict())
    fresh.load_state_dict(through_a_file(made.state_dict()), keep_step=True)
    for own in (made, fresh):
        own.generator.manual_seed(3)
        score(own, world(seed=5), 600)
    assert difference(made.state_dict(), fresh.state_dict()) is None


def test_sac_resumed_with_its_pictures_equals_one_that_never_stopped():
    settings = SACSettings(**{**OFF_POLICY, "buffer_size": 150}, save_replay_buffer=True)
    made, fresh = (behavior(SACTrainer, Picture(), settings, vis_encode_type="fully_connected") for _ in "ab")
    score(made, Picture(), 300)
    made.drop()
    fresh.load_state_dict(through_a_file(made.state_dict()), keep_step=True)
    for own in (made, fresh):
        own.generator.manual_seed(3)
        score(own, Picture(seed=5), 300)
    assert made.trainer.updates == fresh.trainer.updates > 50
    assert difference(made.state_dict(), fresh.state_dict()) is None


def test_images_stay_bytes_in_every_memory():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    on_policy = make("ppo", "match3")
    settings = dqn.DQNSettings(**OFF_POLICY, save_replay_buffer=True)
    kept, again = (behavior(dqn.DQNTrainer, Picture(), settings, vis_encode_type="match3") for _ in range(2))
    score(on_policy, WORLDS["match3"][0](), 200)
    score(kept, Picture(), 200)
    segments = on_policy.trainer.memory.take()
    assert segments.rows.input.obs[0].dtype == segments.after[0].dtype == torch.uint8
    again.load_state_dict(through_a_file(kept.state_dict()), keep_step=True)
    for memory in (kept.trainer.memory, again.trainer.memory):
        rows = memory.sample(50)
        assert rows.rows.input.obs[0].dtype == rows.next_input.obs[0].dtype == torch.uint8
        assert rows.rows.input.obs[0].max() == 255


def test_targets_share_nothing_with_the_network_but_its_normalizer():
    dqn = pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    trainer = behavior(dqn.DQNTrainer, Picture(), dqn.DQNSettings(**OFF_POLICY), vis_encode_type="match3").trainer
    mine, theirs = trainer.policy.body, trainer.target.body
    assert mine.normalizer is theirs.normalizer
    assert not {id(p) for p in mine.parameters()} & {id(p) for p in theirs.parameters()}
