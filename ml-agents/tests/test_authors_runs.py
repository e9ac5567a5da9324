"""Whole runs of plug-ins by `mlagents-learn`: curves, checkpoints, models, resumes, and mistakes in sentences."""

import logging
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from author_runs import AUTHORS
from basic_run import weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mlagents
from mlagents.learn import main
from mlagents.plugins.signals import GROUP, find_signal
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load

CONFIG = """
plugins: [PLUGIN]
behaviors:
  Basic:
    trainer_type: TRAINER
    hyperparameters: {batch_size: 32, buffer_size: 128, HYPER}
    network_settings: {hidden_units: 16, num_layers: 1}
    reward_signals: {extrinsic: {gamma: 0.9}, SIGNALS}
    max_steps: 600
    time_horizon: 8
    summary_freq: 200
    checkpoint_interval: 300
"""
NOVELTY = "novelty: {strength: 0.1, learning_rate: 0.01, features: 4, network_settings: {hidden_units: 8}}"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in AUTHORS.glob("*.py"):
        shutil.copy(file, tmp_path)
    for name in [name for name in sys.modules if name.startswith("mlagents_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [name for name in sys.modules if name.startswith("mlagents_plugin_")]:
        monkeypatch.delitem(sys.modules, name, raising=False)


def write(plugin, trainer="ppo", hyper="learning_rate: 1.0e-3", signals="", steps=600):
    text = CONFIG.replace("PLUGIN", plugin).replace("TRAINER", trainer).replace("HYPER", hyper)
    Path("a.yaml").write_text(text.replace("SIGNALS", signals).replace("max_steps: 600", f"max_steps: {steps}"))


def run(*flags, run_id="run"):
    return main(["a.yaml", "--env", "builtin:Basic", "--run-id", run_id, "--seed", "1", *flags])


def curves(run_id="run"):
    board = EventAccumulator(f"results/{run_id}/Basic")
    board.Reload()
    return {tag: [event.value for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}


def same(one, other):
    """Are the states of two checkpoints equal to the bit?"""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def lasting(state):
    """Return what acting does not change."""
    return {name: part for name, part in state.items() if name not in ("rng", "global_step")}


def test_a_reward_signal_of_ones_own_shows_its_curves_and_lies_in_the_checkpoint():
    write("novelty.py", signals=NOVELTY)
    assert run() == 0
    shown = curves()
    assert {"Policy/Novelty Reward", "Policy/Novelty Value Estimate", "Losses/Novelty Loss"} <= shown.keys()
    assert "Policy/Extrinsic Reward" in shown
    losses = shown["Losses/Novelty Loss"]
    assert 0 < losses[-1] < losses[0]
    state = weights()
    assert {f"Novelty Signal {name}" for name in ("Target", "Predictor", "Optimizer")} <= state.keys()
    assert state["Novelty Signal Optimizer"]["state"][0]["step"] > 10
    assert state["Optimizer:critic"]["head.weight"].shape[0] == 2  # one value per signal
    saved = load("results/run/configuration.yaml", {})[0]
    assert saved.behaviors["Basic"].reward_signals["novelty"].features == 4


@pytest.mark.parametrize(
    ("plugin", "trainer", "signals"),
    [("novelty.py", "ppo", NOVELTY), ("layer_norm.py", "layer-norm-ppo", ""), ("layer_norm.py", "own-critic-ppo", ""),
     ("gru.py", "gru-ppo", "")],
)  # fmt: skip
def test_a_run_that_is_resumed_has_learned_on_and_kept_everything(plugin, trainer, signals):
    write(plugin, trainer, signals=signals)
    assert run() == 0
    before, step = weights(), int(weights()["global_step"]["_GlobalSteps__global_step"])
    assert mlagents.Model("results/run/Basic.onnx").spec.action_spec.discrete_branches == (3,)
    write(plugin, trainer, signals=signals, steps=step)  # one row is left, too few to learn from
    assert run("--resume") == 0
    assert same(lasting(before), lasting(weights()))
    write(plugin, trainer, signals=signals, steps=step + 400)
    assert run("--resume") == 0
    after = weights()
    assert before.keys() == after.keys()
    assert int(after["global_step"]["_GlobalSteps__global_step"]) > step
    assert not same(before["Policy"], after["Policy"])


def mistakes(signals, plugin="novelty.py"):
    write(plugin, signals=signals)
    with pytest.raises(SettingsError) as caught:
        load("a.yaml", {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        ("novelty: {feature: 4}", "reward_signals.novelty.feature: unknown key, did you mean 'features'?"),
        ("novelty: {features: 0}", "behaviors.Basic.reward_signals.novelty.features: is 0; must be at least 1"),
        ("novlty: {}", "behaviors.Basic.reward_signals.novlty: is no known reward signal, did you mean 'novelty'?"),
    ],
)
def test_mistakes_below_a_reward_signal_are_named_with_their_place(signals, words):
    said = mistakes(signals)
    assert words in said
    assert said.startswith("a.yaml:")


@pytest.fixture
def installed(monkeypatch):
    """A function that pretends that entry points of reward signals are installed."""

    class Distribution:
        name, version = "some-signals", "2.0"

    def install(**targets):
        points = [EntryPoint(name, value, GROUP)._for(Distribution()) for name, value in targets.items()]
        monkeypatch.setattr("mlagents.plugins.signals.entry_points", lambda group: [p for p in points if p.group == group])

    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.delitem(sys.modules, "novelty", raising=False)
    yield install
    monkeypatch.delitem(sys.modules, "novelty", raising=False)


def test_an_installed_reward_signal_is_found_by_its_entry_point(installed):
    installed(curio="novelty:NoveltySignal")
    write("layer_norm.py", signals="curio: {features: 3}")
    assert run() == 0
    assert "Policy/Curio Reward" in curves()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("novelty:NoveltySettings", "is no reward signal: let it extend RewardSignal of mlagents.api"),
        ("novelty:Nothing", "'curio' comes from some-signals 2.0, which failed to load: "),
        ("nowhere:Signal", "No module named 'nowhere'"),
    ],
)
def test_what_is_no_reward_signal_is_refused_with_whose_it_is(installed, target, words):
    installed(curio=target)
    said = mistakes("curio: {}")
    assert words in said
    assert "some-signals 2.0" in said


def test_a_name_that_two_have_is_refused(installed):
    installed(novelty="novelty:NoveltySignal")
    assert "'novelty' comes from some-signals 2.0 and novelty.py; uninstall one of them" in mistakes("novelty: {}")


def test_a_built_in_signal_keeps_its_name(installed):
    from mlagents.plugins.catalog import Catalog

    installed(extrinsic="novelty:NoveltySignal")
    assert find_signal(Catalog(), "extrinsic").origin == "mlagents"


OFF_POLICY = '''
from pydantic import Field
import mlagents.api as ml

class ValueSettings(ml.OffPolicyHyperparamSettings):
    n_step: ml.Int = Field(1, ge=1)

class ValueTrainer(ml.OffPolicyTrainer):
    Settings = ValueSettings

    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.critic = ml.ActionCritic(setup, beside=self.policy.body, twins=1)
        self.optimizer = self.make_optimizer([*self.critic.parameters()])

    def update(self, batch):
        loss = (self.critic(batch.input, batch.action)[0] - batch.returns).pow(2).mean()
        self.take_step(self.optimizer, loss)
        self.record("Policy/Novelty Of Batch", batch.returns[:, 1].mean())
        return {"Losses/Value Loss": loss.item()}
'''


def test_an_off_policy_trainer_judges_a_learned_signal_when_rows_are_sampled():
    Path("value.py").write_text(OFF_POLICY)
    write("value.py, novelty.py", "value", "steps_per_update: 4, reward_signal_steps_per_update: 8", NOVELTY)
    assert run() == 0
    shown, state = curves(), weights()
    assert 0 < shown["Policy/Novelty Of Batch"][-1] < shown["Policy/Novelty Of Batch"][0]  # it falls for the same rows
    taken = state["Novelty Signal Optimizer"]["state"][0]["step"].item()
    assert taken == pytest.approx(state["updates"] / 2, abs=2)  # half as often as the trainer


def test_several_steps_at_once_are_refused_beside_a_learned_signal(capsys):
    Path("value.py").write_text(OFF_POLICY)
    write("value.py, novelty.py", "value", "n_step: 3", NOVELTY)
    assert run() == 2
    said = capsys.readouterr()
    assert "ValueTrainer: n_step is 3, but reward signals that learn (novelty) judge single rows" in said.out + said.err
    assert "set n_step to 1" in said.out + said.err


CRASHING = '''
import mlagents.api as ml

class Crashing(ml.OnPolicyTrainer):
    trainer_type = "crashing"

    def loss(self, batch):
        return {"value": batch.nothing}
'''


@pytest.mark.parametrize("debug", [False, True])
def test_a_crash_in_a_plug_in_ends_the_command_with_a_sentence(debug):
    Path("crashing.py").write_text(CRASHING)
    write("crashing.py", "crashing")
    command = [sys.executable, "-m", "mlagents", "a.yaml", "--env", "builtin:Basic", "--run-id", "run"]
    done = subprocess.run([*command, *["--debug"][: int(debug)]], capture_output=True, text=True)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert "Crashing.loss failed at crashing.py, line 8: AttributeError:" in said
    assert ("Traceback (most recent call last)" in said) is debug


UNEXPORTED = '''
import torch
import mlagents.api as ml

class Quiet(ml.Actor):
    exports = False

class QuietTrainer(ml.PPOTrainer):
    def make_policy(self, setup):
        return Quiet(setup.spec, setup.network)

class Sorted(ml.Actor):
    def forward(self, input):
        _, memory = super().forward(input)
        scale = torch.linalg.eigvals(torch.eye(2) + 0 * input.obs[0].sum()).real.sum() / 2  # ONNX has no such thing
        return self.from_output(self.body(input, self.head) * scale, input.mask), memory

class SortedTrainer(ml.PPOTrainer):
    def make_policy(self, setup):
        return Sorted(setup.spec, setup.network)
'''


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ("quiet", "Basic: no model is written, because mlagents_plugin_unexported.Quiet has exports = False."),
        ("sorted", "Basic: no model is written, because mlagents_plugin_unexported.Sorted cannot be exported: torch"),
    ],
)
def test_a_policy_that_is_not_exported_trains_resumes_and_warns(trainer, words, capsys):
    Path("unexported.py").write_text(UNEXPORTED)
    write("unexported.py", trainer)
    assert run() == 0
    said = capsys.readouterr()
    assert words in " ".join((said.out + said.err).split())
    assert not list(Path("results").rglob("*.onnx"))
    step = int(weights()["global_step"]["_GlobalSteps__global_step"])
    write("unexported.py", trainer, steps=step + 300)
    assert run("--resume") == 0
    assert int(weights()["global_step"]["_GlobalSteps__global_step"]) > step + 250


PARTS = '''
import torch
from torch import nn
import mlagents.api as ml
from neighbor_of_parts import WIDTH

class PartsTrainer(ml.PPOTrainer):
    def __init__(self, setup, settings):
        super().__init__(setup, settings)
        self.extras = [nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)]
        self.by_name = {"a": nn.Linear(WIDTH, 1)}
        self.scale = nn.Parameter(torch.ones(2))
        parameters = [*self.extras[0].parameters(), *self.extras[1].parameters(), *self.by_name["a"].parameters()]
        self.extra_optimizers = [torch.optim.SGD([
            {"params": parameters, "schedule": "slow"}, {"params": [self.scale]},
        ], lr=1.0)]

    def make_schedules(self, max_steps):
        return {**super().make_schedules(max_steps), "slow": lambda step: 0.5 if step < 200 else 0.25}

    def loss(self, batch):
        x = torch.ones(1, WIDTH)
        nets = [*self.extras, self.by_name["a"]]
        self.take_step(self.extra_optimizers[0], sum(net(x).pow(2).sum() for net in nets) + self.scale.sum())
        self.record("Policy/Extra", self.scale.mean())
        return super().loss(batch)
'''


def test_lists_dicts_and_bare_parameters_are_kept_follow_their_schedules_and_are_recorded():
    Path("neighbor_of_parts.py").write_text("WIDTH = 3\n")
    Path("parts.py").write_text(PARTS)
    write("parts.py", "parts", "learning_rate: 0.125, learning_rate_schedule: constant")
    assert run() == 0
    before = weights()
    assert {"Extras 0", "Extras 1", "By Name a", "Scale", "Extra Optimizers 0"} <= before.keys()
    assert before["Scale"].shape == (2,) and not torch.equal(before["Scale"], torch.ones(2))
    assert [group["lr"] for group in before["Extra Optimizers 0"]["param_groups"]] == [0.25, 0.125]
    shown = curves()
    assert shown["Policy/Slow"][-1] == 0.25
    assert shown["Policy/Extra"][0] > shown["Policy/Extra"][-1]
    step = int(before["global_step"]["_GlobalSteps__global_step"])
    write("parts.py", "parts", "learning_rate: 0.125, learning_rate_schedule: constant", steps=step)
    assert run("--resume") == 0
    assert same(lasting(before), lasting(weights()))


def test_a_writer_that_raises_is_switched_off_after_one_warning(monkeypatch, caplog):
    class Broken:
        calls = 0

        def write_stats(self, category, values, step):
            type(self).calls += 1
            raise ValueError("no such column")

    writer = Broken()
    monkeypatch.setattr("mlagents.build.writers", lambda options: ([writer], []))
    write("layer_norm.py")
    logging.getLogger("mlagents").propagate = True
    assert run() == 0
    assert Broken.calls == 1
    assert len(curves()["Environment/Cumulative Reward"]) >= 3  # the others go on
