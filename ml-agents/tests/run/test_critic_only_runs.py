"""Runs whose critic sees more than the policy: their models, what they begin from, and settings that cannot be."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from mlagents.learn import main
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load
from mlagents_envs.model import Model

NAME = "3DBallHard"  # it sees StackingSensor_position and StackingSensor_rotation
MEMORY = {"memory_size": 8, "sequence_length": 4}
SMALL = {
    "ppo": {"batch_size": 32, "buffer_size": 64},
    "sac": {"batch_size": 16, "buffer_size": 500, "steps_per_update": 8},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(run_id, *flags, trainer="ppo", steps=200, hidden=("rotation",), **more):
    network = {"hidden_units": 8, "num_layers": 1, "normalize": True, "critic_only": list(hidden)}
    behavior = {"trainer_type": trainer, "hyperparameters": SMALL.get(trainer, {}), "max_steps": steps}
    Path("c.yaml").write_text(yaml.safe_dump({"behaviors": {NAME: {**behavior, "network_settings": network, **more}}}))
    return main(["c.yaml", "--env", f"builtin:{NAME}", "--num-areas", "4", "--run-id", run_id, "--seed", "1", *flags])


def weights(run_id):
    return torch.load(f"results/{run_id}/{NAME}/checkpoint.pt", weights_only=True)


@pytest.mark.parametrize(("trainer", "memory"), [("ppo", None), ("ppo", MEMORY), ("sac", None), ("sac", MEMORY)])
def test_a_model_has_an_input_that_moves_nothing(trainer, memory, capsys):
    network = {"hidden_units": 8, "num_layers": 1, "critic_only": ["StackingSensor_rotation"], "memory": memory}
    assert run("run", trainer=trainer, network_settings=network) == 0, capsys.readouterr()
    path = Path(f"results/run/{NAME}.onnx")
    session = onnxruntime.InferenceSession(path)
    shapes = {each.name: each.shape for each in session.get_inputs()}
    assert list(shapes) == ["obs_0", "obs_1", *(["recurrent_in"] if memory else [])]
    assert (shapes["obs_0"][1:], shapes["obs_1"][1:]) == ([27], [18])
    rng = np.random.default_rng(1)
    feeds = {name: rng.normal(size=(5, *size[1:])).astype(np.float32) for name, size in shapes.items()}
    names = [each.name for each in session.get_outputs() if each.name != "continuous_actions"]  # that one is drawn
    before = session.run(names, feeds)
    for value in (0.0, 1e6, np.nan):
        after = session.run(names, {**feeds, "obs_1": np.full((5, 18), value, np.float32)})
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    moved = session.run(names, {**feeds, "obs_0": feeds["obs_0"] + 1})
    assert not all(np.array_equal(*pair) for pair in zip(before, moved, strict=True))
    model = Model(path)
    assert [sensor.shape for sensor in model.spec.observation_specs] == [(27,), (18,)]
    obs = [feeds["obs_0"], feeds["obs_1"]]
    assert np.array_equal(
        model.act(obs, deterministic=True).continuous, model.act([obs[0], -obs[1]], deterministic=True).continuous
    )


def test_a_run_is_resumed_and_keeps_its_sensors_apart():
    assert run("run") == 0
    first = weights("run")
    assert first["Policy"]["body.normalizer.running_mean"].shape == (27,)
    assert first["Optimizer:critic"]["body.normalizer.running_mean"].shape == (45,)
    assert run("run", "--resume", steps=400) == 0
    again = weights("run")
    step = first["Policy"]["body.normalizer.normalization_steps"]
    assert again["Policy"]["body.normalizer.normalization_steps"] > step
    for module in ("Policy", "Optimizer:critic"):
        assert again[module]["body.normalizer.normalization_steps"] == again["Policy"]["body.normalizer.normalization_steps"]
    assert "critic_only:\n      - rotation" in Path("results/run/configuration.yaml").read_text()


def test_a_resume_with_other_sensors_names_the_setting(capsys):
    assert run("run") == 0
    assert run("run", "--resume", hidden=()) == 2
    assert "network_settings.critic_only is ['rotation'] there, [] here" in " ".join(capsys.readouterr().out.split())


def test_another_run_begins_with_its_weights(capsys, monkeypatch):
    assert run("first") == 0
    assert run("second", "--initialize-from", "first", steps=1) == 0
    assert all(torch.equal(weights("first")["Policy"][name], each) for name, each in weights("second")["Policy"].items()
               if "normalizer" not in name)  # fmt: skip
    capsys.readouterr()
    assert run("third", "--initialize-from", "first", steps=1, hidden=()) == 0
    heard = " ".join(capsys.readouterr().out.split())
    assert "these begin anew: Policy.body.normalizer.running_mean" in heard
    assert "network_settings.critic_only is ['rotation'] there, [] here" in heard
    assert torch.equal(weights("third")["Policy"]["head.weight"], weights("first")["Policy"]["head.weight"])


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        (["rotatoin"], "network_settings.critic_only: no sensor has the name 'rotatoin', did you mean 'rotation'?"),
        (["rotation", "position"], "every sensor (StackingSensor_position, StackingSensor_rotation) is for the critic only"),
    ],
)
def test_names_that_cannot_be_are_refused_by_the_command(hidden, sentence, capsys):
    assert run("run", hidden=hidden) == 2
    assert f"behaviors.{NAME}: {sentence}" in " ".join(capsys.readouterr().out.split())
    assert not Path("results/run").exists()


def test_a_trainer_without_a_critic_is_refused_with_those_that_have_one(capsys):
    pytest.importorskip("mlagents_trainer_plugin.dqn.dqn_trainer")
    Path("c.yaml").write_text("behaviors: {Basic: {trainer_type: dqn, network_settings: {critic_only: [BasicSensor]}}}")
    assert main(["c.yaml", "--env", "builtin:Basic", "--run-id", "run"]) == 2
    heard = " ".join(capsys.readouterr().out.split())
    assert "'dqn' cannot learn with sensors for the critic only; those who can: ppo, sac, " in heard
    assert "a2c" in heard.rpartition("those who can:")[2]


@pytest.mark.parametrize(
    ("behavior", "sentence"),
    [
        (
            {"hyperparameters": {"shared_critic": True}, "network_settings": {"critic_only": ["a", "b"]}},
            "network_settings.critic_only: names a, b, but hyperparameters.shared_critic is true: a critic on",
        ),
        (
            {"reward_signals": {"rnd": {"network_settings": {"critic_only": ["a"]}}}},
            "reward_signals.rnd.network_settings.critic_only: belongs into the behavior's own network_settings",
        ),
        ({"network_settings": {"critic_only": "a"}}, "network_settings.critic_only: is 'a'; must be a list"),
        ({"network_settings": {"critic_only": [["a"]]}}, "network_settings.critic_only.0: is ['a']; must be text"),
    ],
)
def test_settings_that_cannot_be_are_found_with_their_place(behavior, sentence):
    with pytest.raises(SettingsError) as caught:
        load({"behaviors": {"A": {"trainer_type": "ppo", **behavior}}}, {})
    assert f"behaviors.A.{sentence}" in str(caught.value)
