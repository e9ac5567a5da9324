"""Trainers that others wrote: found, checked, named when they fail, and never in the way of the rest."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from mlagents.learn import main
from mlagents.plugins.catalog import TRAINERS, WRITERS, Catalog, PluginError
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load

TRAINER = '''
from __future__ import annotations

from typing import Literal
from pydantic import Field
from torch import Tensor
from mlagents.api import Batch, OnPolicyHyperparamSettings, OnPolicyTrainer, PPOTrainer


class ReinforceSettings(OnPolicyHyperparamSettings):
    num_epoch: Literal[1] = 1
    flavor: float = Field(0.5, ge=0, le=1)
    loud: bool = False


class ReinforceTrainer(OnPolicyTrainer):
    Settings = ReinforceSettings

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        log_prob, _ = self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        value = self.values(batch)
        return {
            "policy": -(log_prob.sum(1) * batch.advantage).mean(),
            "value": (batch.returns - value).pow(2).mean(),
        }


class SmoothTrainer(PPOTrainer):
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        _, entropy = self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        return {**super().loss(batch), "smooth": 0.0 * entropy.mean()}
'''
CONFIG = """
behaviors:
  Basic:
    trainer_type: reinforce
    hyperparameters: {batch_size: 64, buffer_size: 64, flavor: 0.25}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: 400
    time_horizon: 4
    summary_freq: 200
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.py").write_text(TRAINER)
    Path("a.yaml").write_text(CONFIG)
    sys.modules.pop("mlagents_plugin_mine", None)
    sys.modules.pop("mine", None)


@pytest.fixture
def installed(monkeypatch):
    """A function that pretends that entry points are installed; dist is `some-plugin 1.2` for all of them."""

    class Distribution:
        name, version = "some-plugin", "1.2"

    def install(group=TRAINERS, /, **targets):
        points = [EntryPoint(name, value, group)._for(Distribution()) for name, value in targets.items()]
        monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [p for p in points if p.group == group])

    install()
    return install


def run(*flags, file="a.yaml"):
    return main([file, "--env", "builtin:Basic", "--run-id", "run", "--seed", "1", *flags])


def mistakes(file="a.yaml", flags=None):
    with pytest.raises(SettingsError) as caught:
        load(file, flags or {})
    return str(caught.value)


@pytest.mark.parametrize("plugin", ["mine.py", "./mine.py", "mine"])
def test_a_trainer_in_a_file_trains(plugin, installed):
    assert run("--plugin", plugin) == 0
    assert Path("results/run/Basic.onnx").exists()
    saved = load("results/run/configuration.yaml", {})[0]
    assert saved.plugins == [plugin]  # so that the file can be fed back
    assert saved.behaviors["Basic"].hyperparameters.flavor == 0.25


def test_the_file_may_name_its_plugins_itself(installed):
    Path("b.yaml").write_text("plugins: [mine.py]\n" + CONFIG)
    assert run(file="b.yaml") == 0


def test_a_run_without_plugins_saves_a_file_without_them(installed):
    Path("a.yaml").write_text(CONFIG.replace("reinforce", "ppo").replace(", flavor: 0.25", ""))
    assert run() == 0
    assert "plugins" not in Path("results/run/configuration.yaml").read_text()


def test_a_term_is_added_to_ppo_in_one_line(installed):
    settings = CONFIG.replace("reinforce", "smooth").replace(", flavor: 0.25", "")
    Path("a.yaml").write_text(settings)
    assert run("--plugin", "mine.py") == 0
    Path("b.yaml").write_text(settings.replace("smooth", "ppo"))
    assert main(["b.yaml", "--env", "builtin:Basic", "--run-id", "plain", "--seed", "1"]) == 0
    mine, plain = (
        torch.load(f"results/{name}/Basic/checkpoint.pt", weights_only=True)["Policy"] for name in ("run", "plain")
    )
    for name, value in plain.items():  # the term is zero: autograd and the gradients by hand agree
        assert torch.allclose(mine[name], value, atol=2e-3), name


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("flavour: 0.5", "a.yaml:5:56: behaviors.Basic.hyperparameters.flavour: unknown key, did you mean 'flavor'?"),
        ("flavor: 2", "behaviors.Basic.hyperparameters.flavor: is 2; must be at most 1"),
        ("num_epoch: 3", "behaviors.Basic.hyperparameters.num_epoch: is 3; must be one of 1"),
        ("loud: 'fals'", "behaviors.Basic.hyperparameters.loud: is 'fals'; must be true or false"),
    ],
)
def test_a_plugins_own_settings_are_checked_with_their_places(installed, written, sentence):
    Path("a.yaml").write_text(CONFIG.replace("flavor: 0.25", written))
    assert sentence in mistakes(flags={"": {"plugins": ["mine.py"]}})


def test_an_installed_class_is_found_by_its_entry_point(installed):
    installed(reinforce="mine:ReinforceTrainer")
    assert run() == 0


def test_one_distribution_may_have_several_trainers_and_one_may_fail(installed):
    Path("broken.py").write_text("raise RuntimeError('no')")
    sys.modules.pop("broken", None)
    installed(reinforce="mine:ReinforceTrainer", smooth="mine:SmoothTrainer", torn="broken:Trainer")
    catalog = Catalog()
    assert [catalog.find(name).trainer().__name__ for name in ("reinforce", "smooth")] == ["ReinforceTrainer", "SmoothTrainer"]
    with pytest.raises(PluginError, match="'torn' comes from"):
        catalog.find("torn")
    assert catalog.find("reinforce") is not None


def test_an_installed_function_in_the_shape_of_unitys_tutorial_is_called(installed):
    Path("tutorial.py").write_text(
        "from mine import ReinforceTrainer, ReinforceSettings\n"
        "def get_type_and_setting():\n"
        "    return {'reinforce': ReinforceTrainer}, {'reinforce': ReinforceSettings}\n"
    )
    installed(whatever="tutorial:get_type_and_setting")
    assert run() == 0


def test_default_settings_do_not_trouble_a_plugin(installed):
    text = CONFIG.replace("behaviors:", "default_settings: {trainer_type: ppo, hyperparameters: {epsilon: 0.1, beta: 0.01}}\nbehaviors:")
    Path("a.yaml").write_text(text)
    options, _ = load("a.yaml", {"": {"plugins": ["mine.py"]}})
    assert not hasattr(options.behaviors["Basic"].hyperparameters, "epsilon")


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("import scipy_that_is_not_there", "No module named 'scipy_that_is_not_there' (PLACE, line 1)"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero (PLACE, line 2)"),
        (
            "from mlagents.api import OnPolicyTrainer\nclass Trainer(OnPolicyTrainer):\n    def update(self): pass",
            "an OnPolicyTrainer writes loss(batch) (PLACE, line 2)",  # the author's line, not that of our check
        ),
        ("def (:", "SyntaxError: "),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
    ],
)
def test_a_plugin_that_fails_is_named_with_its_cause_when_its_name_is_used(installed, tmp_path, program, cause):
    Path("broken.py").write_text(program)
    sys.modules.pop("broken", None)
    installed(reinforce="broken:Trainer")
    said = mistakes()
    assert "behaviors.Basic.trainer_type: 'reinforce' comes from some-plugin 1.2, which failed to load: " in said
    assert cause.replace("PLACE", str(tmp_path / "broken.py")) in said


def test_a_plugin_that_fails_is_in_nobodys_way(installed, capsys):
    Path("broken.py").write_text("raise RuntimeError")
    installed(other="broken:Trainer")
    Path("a.yaml").write_text(CONFIG.replace("reinforce", "ppo").replace(", flavor: 0.25", ""))
    assert run() == 0
    assert "broken" not in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(installed):
    said = mistakes(flags={"": {"plugins": ["nowhere.py", "no.such.module"]}})
    assert "plugins: nowhere.py, which failed to load: there is no such file" in said
    assert "plugins: no.such.module, which failed to load: No module named 'no'" in said


def test_a_name_that_nobody_has_is_refused_with_the_near_one(installed):
    installed(reinforced="mine:ReinforceTrainer")
    assert "'reinforce' is no known trainer, did you mean 'reinforced'? Known: ppo, sac, poca, bc, reinforced" in mistakes()


def test_a_name_that_is_built_in_stays_so_and_that_is_said(installed, capsys):
    installed(ppo="mine:ReinforceTrainer")
    Path("a.yaml").write_text(CONFIG.replace("reinforce", "ppo").replace(", flavor: 0.25", ""))
    assert run() == 0
    assert "'ppo' is built in; that of some-plugin 1.2 is not used" in capsys.readouterr().err


def test_a_name_that_two_have_is_refused(installed):
    installed(reinforce="mine:ReinforceTrainer")
    with pytest.raises(PluginError, match=r"comes from some-plugin 1\.2 and mine\.py; uninstall one"):
        Catalog(["mine.py"]).find("reinforce")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("class Trainer: pass", "is no trainer of this package: let it extend OnPolicyTrainer or OffPolicyTrainer"),
        ("class Settings: pass\nfrom mlagents.api import OnPolicyTrainer\nclass Trainer(OnPolicyTrainer): Settings = Settings",
         "do not extend those of mlagents.api"),
        ("def Trainer(): return 3", "TypeError: "),
        ("def Trainer(): return {}, {}", "which has no such trainer; it has none"),
    ],
)  # fmt: skip
def test_what_is_no_trainer_is_refused(installed, program, sentence):
    Path("odd.py").write_text(program)
    sys.modules.pop("odd", None)
    installed(reinforce="odd:Trainer")
    assert sentence in mistakes()


def test_statistics_are_handed_to_writers_that_are_installed(installed, capsys):
    Path("writer.py").write_text(
        "class Writer:\n"
        "    def write_stats(self, category, values, step):\n"
        "        with open('stats.txt', 'a') as file:\n"
        "            file.write(f\"{category} {step} {values['Environment/Cumulative Reward'].num > 0}\\n\")\n"
        "def make(options):\n"
        "    assert options.checkpoint_settings.run_id == 'run'\n"
        "    return [Writer()]\n"
        "def fail(options):\n"
        "    raise ValueError('no key')\n"
    )
    Path("a.yaml").write_text(CONFIG.replace("reinforce", "ppo").replace(", flavor: 0.25", ""))
    installed(WRITERS, good="writer:make", bad="writer:fail")
    assert run() == 0
    assert Path("stats.txt").read_text().splitlines()[0] == "Basic 200 True"
    assert "statistics are not written by some-plugin 1.2, which failed to load: ValueError: no key" in capsys.readouterr().out


def test_settings_of_built_in_trainers_still_need_no_torch():
    program = "import sys\nfrom mlagents.plugins.catalog import Catalog\nCatalog().find('ppo')\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
