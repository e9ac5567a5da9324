"""Signals and cloning as a user meets them: in published YAML files, in messages, in TensorBoard, and after a resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.learn import main
from mlagents.settings.checks import check_paths
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.catalog import make
from mlagents_envs.examples.example import vector_sensor

ROOT = Path(__file__).parents[3]
DEMOS = ROOT.parent / "shared" / "reference" / "demos"
SMALL = {"hidden_units": 16, "num_layers": 1}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def record(path, spec, rows=20):
    """Write a demonstration of zeros."""
    with DemonstrationRecorder(path, "B", spec) as recorder:
        for _ in range(rows):
            seen = [np.zeros(sensor.shape, np.float32) for sensor in spec.observation_specs]
            actions = spec.action_spec
            recorder.record(seen, 0.0, np.zeros(actions.continuous_size), np.zeros(actions.discrete_size, int))
    return str(path)


def run(scene, config, *flags, status=0):
    Path("a.yaml").write_text(yaml.safe_dump(config))
    assert main(["a.yaml", "--env", f"builtin:{scene}", "--run-id", "run", "--seed", "1", *flags]) == status


def published(name, scene, demo=None):
    """Return a published file with small batches and networks, and the demonstration in place of its own."""
    config = yaml.safe_load((ROOT / "config" / name).read_text())
    settings = config["behaviors"][scene]
    settings["hyperparameters"] |= {"batch_size": 64, "buffer_size": 256}
    if settings["trainer_type"] == "sac":
        settings["hyperparameters"] |= {"buffer_init_steps": 100, "reward_signal_steps_per_update": 20.0}
    settings["network_settings"] |= SMALL
    settings |= {"max_steps": 600, "summary_freq": 300, "time_horizon": 16}
    for signal in settings["reward_signals"].values():
        signal["network_settings"] = {**signal.get("network_settings", {}), **SMALL}
        if "demo_path" in signal:
            signal["demo_path"] = demo
    if "behavioral_cloning" in settings:
        settings["behavioral_cloning"] |= {"demo_path": demo, "samples_per_update": 64}
    return config


def tags(behavior):
    board = EventAccumulator(f"results/run/{behavior}")
    board.Reload()
    return {tag for tag in board.Tags()["scalars"] if np.isfinite([event.value for event in board.Scalars(tag)]).all()}


CURIOUS = {"Losses/Curiosity Forward Loss", "Losses/Curiosity Inverse Loss", "Policy/Curiosity Value Estimate"}
ADVERSARIAL = {
    "Losses/GAIL Loss", "Policy/GAIL Policy Estimate", "Policy/GAIL Expert Estimate", "Policy/GAIL Grad Mag Loss",
    "Policy/Gail Value Estimate",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "scene", "demo", "expected"),
    [
        ("ppo/Pyramids.yaml", "Pyramids", None, CURIOUS),
        ("ppo/PyramidsRND.yaml", "Pyramids", None, {"Losses/RND Loss", "Policy/Rnd Value Estimate"}),
        ("imitation/Pyramids.yaml", "Pyramids", "ExpertPyramid", CURIOUS | ADVERSARIAL | {"Losses/Pretraining Loss"}),
        ("sac/Pyramids.yaml", "Pyramids", "ExpertPyramid", ADVERSARIAL - {"Policy/Gail Value Estimate"}),
        ("imitation/PushBlock.yaml", "PushBlock", "ExpertPushBlock", ADVERSARIAL | {"Losses/Pretraining Loss"}),
        ("imitation/Crawler.yaml", "Crawler", None, ADVERSARIAL | {"Losses/Pretraining Loss"}),
    ],
)
def test_a_published_file_runs_and_shows_its_curves(name, scene, demo, expected):
    path = str(DEMOS / f"{demo}.demo")
    if demo is None:
        env = make(scene, seed=1)
        env.reset()
        path = record("zeros.demo", next(iter(env.behavior_specs.values())))
        env.close()
    elif not Path(path).is_file():
        pytest.skip("the recording is not here")
    run(scene, published(name, scene, path))
    assert expected <= tags(scene)


def basic(**settings):
    return {"behaviors": {"Basic": {
        "trainer_type": "ppo", "hyperparameters": {"batch_size": 32, "buffer_size": 128}, "network_settings": SMALL,
        "reward_signals": {"extrinsic": {"gamma": 0.9}}, "max_steps": 600, "summary_freq": 200, **settings,
    }}}  # fmt: skip


EVERYTHING = {
    "curiosity": {"strength": 0.1, "network_settings": {**SMALL, "normalize": True}}, "rnd": {"strength": 0.1},
    "gail": {"demo_path": "zeros.demo", "use_vail": True, "use_actions": True},
}  # fmt: skip


def test_all_together_resume_and_play_without_the_demonstrations():
    record("zeros.demo", Basic.SPEC)
    config = basic(reward_signals=EVERYTHING, behavioral_cloning={"demo_path": "zeros.demo", "steps": 500})
    run("Basic", config)
    assert {"Losses/GAIL KL Loss", "Policy/GAIL Beta", "Losses/RND Loss", "Losses/Pretraining Loss"} <= tags("Basic")
    keys = set(torch.load("results/run/Basic/checkpoint.pt", weights_only=True))
    assert {"Behavioral Cloning Optimizer", "Gail Signal Discriminator", "Rnd Signal Target"} <= keys
    config["behaviors"]["Basic"]["max_steps"] = 900
    run("Basic", config, "--resume")
    Path("zeros.demo").unlink()
    run("Basic", config, "--resume", "--inference", "--episodes", "2")


OTHER = BehaviorSpec([vector_sensor(7, "other")], ActionSpec.create_discrete((3,)))


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("reward_signals.gail.demo_path", {"reward_signals": {"gail": {"demo_path": "b.demo"}}}),
        ("behavioral_cloning.demo_path", {"behavioral_cloning": {"demo_path": "b.demo"}}),
    ],
)
def test_a_demonstration_that_does_not_fit_ends_the_run_at_its_start_with_the_sensor(key, settings, caplog, capsys):
    record("b.demo", OTHER)
    run("Basic", basic(**settings), status=2)
    told = caplog.text + "".join(capsys.readouterr())
    assert f"behaviors.Basic.{key}: b.demo does not fit this behavior: sensor 0" in told
    assert "(7,)" in told


def test_a_demonstration_that_is_missing_is_told_before_the_run_starts_with_its_key():
    config = basic(reward_signals={"gail": {"demo_path": "a.demo"}}, behavioral_cloning={"demo_path": "b.demo"})
    config["default_settings"] = {"behavioral_cloning": {"demo_path": "c.demo"}}
    Path("a.yaml").write_text(yaml.safe_dump(config))
    options, _ = load("a.yaml", {})
    assert check_paths(options) == [
        "behaviors.Basic.behavioral_cloning.demo_path: there is no demonstration b.demo",
        "behaviors.Basic.reward_signals.gail.demo_path: there is no demonstration a.demo",
        "default_settings.behavioral_cloning.demo_path: there is no demonstration c.demo",
    ]
    options, _ = load("a.yaml", {"checkpoint_settings": {"inference": True, "resume": True}})
    assert check_paths(options) == []


def test_a_memory_of_a_signal_is_told_to_have_no_effect():
    config = basic(reward_signals={"curiosity": {"network_settings": {"memory": {"memory_size": 8}}}})
    Path("a.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    _, warnings = load("a.yaml", {})
    assert any("curiosity.network_settings.memory: has no effect" in str(warning) for warning in warnings)
