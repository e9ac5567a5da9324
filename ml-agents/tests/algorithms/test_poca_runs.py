"""MA-POCA as a user meets it: published settings, several environments and teams, all that a file may ask at once."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_tasks import make, signal_maker

from mlagents.algorithms.poca import POCATrainer
from mlagents.data.experience import PolicyInput
from mlagents.export.export import dry_run
from mlagents.learn import main
from mlagents.nn.groups import GroupCritic
from mlagents.nn.settings import MemorySettings, NetworkSettings
from mlagents.rewards.curiosity import Curiosity
from mlagents.rewards.signal import Extrinsic
from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.examples.pushblock_collab import PushBlockCollab

ROOT = Path(__file__).parents[3]
NONE, MOVES, MANY = (
    DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE, DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip
SENSORS = [
    vector_sensor(2, "vector"),
    ObservationSpec((3, 20, 20), (NONE, MOVES, MOVES), ObservationType.DEFAULT, "image"),
    ObservationSpec((4, 3), (MANY, NONE), ObservationType.DEFAULT, "buffer"),
    ObservationSpec((2,), (NONE,), ObservationType.GOAL_SIGNAL, "goal"),
]
SMALL = {"hidden_units": 16, "num_layers": 1}
OFFICIAL = [
    "Environment/Cumulative Reward", "Environment/Episode Length", "Environment/Group Cumulative Reward",
    "Losses/Baseline Loss", "Losses/Policy Loss", "Losses/Value Loss", "Policy/Beta", "Policy/Entropy",
    "Policy/Epsilon", "Policy/Extrinsic Baseline Estimate", "Policy/Extrinsic Reward", "Policy/Extrinsic Value Estimate",
    "Policy/Learning Rate",
]  # fmt: skip


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def published(name, **changes):
    """Return a published file with small batches and networks."""
    config = yaml.safe_load((ROOT / "config" / "poca" / f"{name}.yaml").read_text())
    settings = config["behaviors"][name]
    settings["hyperparameters"] |= {"batch_size": 64, "buffer_size": 512}
    settings["network_settings"] |= SMALL
    settings |= {"summary_freq": 1000, "checkpoint_interval": 10**6, **changes}
    return config


def run(config, *flags):
    Path("a.yaml").write_text(yaml.safe_dump(config))
    assert main(["a.yaml", "--run-id", "run", "--seed", "1", *flags]) == 0


def board(name):
    found = EventAccumulator(f"results/run/{name}")
    found.Reload()
    return found


def test_pushblock_collab_trains_with_the_published_settings_records_and_resumes(capsys):
    env = ("--env", "builtin:PushBlockCollab", "--num-areas", "1")
    config = published("PushBlockCollab", max_steps=3_050, summary_freq=3_050)
    config["behaviors"]["PushBlockCollab"]["hyperparameters"]["buffer_size"] = 64  # learns whenever a segment closes
    run(config, *env)
    found = board("PushBlockCollab")
    assert sorted(found.Tags()["scalars"]) == OFFICIAL
    page = (ROOT / "docs" / "poca.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`((?:Environment|Losses|Policy)/[^`]+)`", page.split("## Curves")[1]))
    assert shown == set(OFFICIAL) - {"Environment/Episode Length"}
    (reward,) = (event.value for event in found.Scalars("Environment/Group Cumulative Reward"))
    assert reward >= -0.51  # no block in the goal costs half a point
    said = capsys.readouterr().out
    assert "Mean Group Reward: " in said and "rewarded as a group" not in said
    assert f"mean reward {reward:.3f} over the last 3 episodes ({reward:.3f} over the 3 of the last summary)" in said
    assert Path("results/run/PushBlockCollab.onnx").is_file()
    run(published("PushBlockCollab", max_steps=3_600), *env, "--resume")
    assert "Resuming" in capsys.readouterr().out


@pytest.mark.parametrize("plays", [None, {"save_steps": 300, "swap_steps": 200, "team_change": 600, "window": 3}])
def test_teams_of_several_environments_learn_together_or_against_each_other(plays):
    config = published("SoccerTwos", max_steps=1_500, time_horizon=16, self_play=plays)
    run(config, "--env", "builtin:SoccerTwos", "--num-areas", "2", "--num-envs", "2")
    assert board("SoccerTwos").Scalars("Losses/Baseline Loss")


def record(path):
    spec = PushBlockCollab.SPEC
    with DemonstrationRecorder(path, "B", spec) as recorder:
        for _ in range(20):
            recorder.record([np.zeros(s.shape, np.float32) for s in spec.observation_specs], 0.0, np.zeros(0), [1])
    return str(path)


def test_signals_cloning_and_memory_go_together(tmp_path):
    config = published("PushBlockCollab", max_steps=1_200, time_horizon=16)
    settings = config["behaviors"]["PushBlockCollab"]
    settings["reward_signals"]["curiosity"] = {"strength": 0.01, "network_settings": SMALL}
    settings["behavioral_cloning"] = {"demo_path": record(tmp_path / "a.demo"), "samples_per_update": 64}
    settings["network_settings"]["memory"] = {"memory_size": 8, "sequence_length": 8}
    run(config, "--env", "builtin:PushBlockCollab")
    tags = board("PushBlockCollab").Tags()["scalars"]
    assert {"Policy/Curiosity Baseline Estimate", "Losses/Pretraining Loss", "Losses/Curiosity Forward Loss"} <= set(tags)


def seen(n, seed):
    draws = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(n, *sensor.shape, generator=draws) for sensor in SENSORS)


@pytest.mark.parametrize("sensor", range(len(SENSORS)))
def test_the_critic_sees_every_kind_of_observation_of_every_member(sensor):
    network = NetworkSettings(hidden_units=8, num_layers=1, normalize=True, memory=MemorySettings(memory_size=4))
    spec = BehaviorSpec(SENSORS, ActionSpec(1, (2,)))
    trainer = make(POCATrainer, spec, network=network)
    assert isinstance(trainer.critic, GroupCritic)
    assert trainer.critic.body.normalizer is trainer.policy.body.normalizer
    members, mask, memory = torch.tensor([[0, 1]]), torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 4)
    before = trainer.critic.values(PolicyInput.of(seen(2, 1), mask, memory), members)
    for row in range(2):
        other = seen(2, 1)
        other[sensor][row] *= 0.5
        assert (trainer.critic.values(PolicyInput.of(other, mask, memory), members) - before).abs().max() > 1e-7
    remembered = trainer.critic.values(PolicyInput.of(seen(2, 1), mask, memory + 1), members)
    assert (remembered - before).abs().max() > 1e-7
    dry_run(trainer.policy)  # what is exported is what PPO exports


def test_a_sensor_for_the_critic_only_is_seen_of_every_member_and_by_no_policy():
    spec = BehaviorSpec([vector_sensor(2, "seen"), vector_sensor(2, "privileged_key")], ActionSpec.create_discrete((2,)))
    trainer = make(POCATrainer, spec, network=NetworkSettings(hidden_units=8, normalize=True))
    trainer.critic.observe((torch.randn(9, 2), torch.randn(9, 2)))
    mask, found = torch.ones(2, 2, dtype=torch.bool), []
    for key in (torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]])):
        input = PolicyInput.of((torch.ones(2, 2), key), mask)
        value = trainer.critic.values(input, torch.tensor([[0, 1]]))
        found.append((value, trainer.policy.distribution(input).probs[0]))
    assert not torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_signals_that_learn_have_a_baseline_each():
    spec = BehaviorSpec(SENSORS[:1], ActionSpec.create_discrete((2,)))
    curiosity = signal_maker(Curiosity, spec, network_settings=NetworkSettings(hidden_units=8, num_layers=1))
    trainer = make(POCATrainer, spec, [lambda _: Extrinsic(gamma=0.9, strength=1.0), curiosity])
    assert trainer.critic(PolicyInput.of((torch.zeros(3, 2),), torch.ones(3, 2, dtype=torch.bool))).shape == (3, 2)
