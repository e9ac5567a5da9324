"""`mlagents-plugin` as an author types it."""

import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mlagents.plugin_tool import main
from mlagents.plugins.catalog import TRAINERS

TRAINER = '''
from typing import Literal
from pydantic import Field
from mlagents.api import Int, OnPolicyHyperparamSettings, OnPolicyTrainer

class OwnSettings(OnPolicyHyperparamSettings):
    num_epoch: Literal[1] = 1
    """Once."""
    width: Int = Field(8, ge=2, lt=64)
    """How wide it is."""
    kind: Literal["soft", "hard"] = "soft"
    """Which one."""

class OwnTrainer(OnPolicyTrainer):
    """Does it its own way."""
    Settings = OwnSettings
'''


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])
    Path("own.py").write_text(TRAINER)
    sys.modules.pop("mlagents_plugin_own", None)


def test_a_list_says_whose_each_trainer_is(capsys):
    assert main(["list", "--plugin", "own.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "ppo   mlagents" in lines
    assert "own   own.py" in lines
    assert "poca  mlagents" in lines


def test_a_file_that_fails_is_in_the_list_with_its_cause(capsys):
    Path("own.py").write_text("import nothing_of_that_name")
    assert main(["list", "--plugin", "own.py"]) == 0
    said = capsys.readouterr().out
    assert "own.py, which failed to load: No module named 'nothing_of_that_name'" in said
    assert "ppo" in said


def test_a_trainer_is_explained_with_its_settings(capsys):
    assert main(["explain", "own", "--plugin", "own.py"]) == 0
    said = capsys.readouterr().out
    assert "own, of own.py" in said
    assert "Does it its own way." in said
    assert f"{Path('own.py').absolute()}, class OwnTrainer" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["width", "int", ">=", "2", "<", "64", "8", "How", "wide", "it", "is."] in rows
    assert ["kind", "soft", "or", "hard", "soft", "Which", "one."] in rows


@pytest.mark.parametrize(
    ("capabilities", "does", "lacks"),
    [
        (
            "",
            "continuous actions, discrete actions, continuous actions beside discrete ones, recurrent networks, "
            "several reward signals",
            "rewards of a group, demonstrations",
        ),
        (
            "capabilities = Capabilities(discrete=False, hybrid=False, demonstrations=True, several_signals=False)",
            "continuous actions, demonstrations, one reward signal only",
            "discrete actions, continuous actions beside discrete ones, recurrent networks, rewards of a group",
        ),
    ],
)
def test_it_is_said_what_a_trainer_learns(capabilities, does, lacks, capsys):
    Path("own.py").write_text(f"from mlagents.api import Capabilities\n{TRAINER}    {capabilities}\n")
    assert main(["explain", "own", "--plugin", "own.py"]) == 0
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"learns with {does}" in said
    assert f"not with {lacks}" in said


def test_a_trainer_that_can_do_all_lacks_nothing(capsys):
    can = "capabilities = Capabilities(memory=True, groups=True, demonstrations=True)"
    Path("own.py").write_text(f"from mlagents.api import Capabilities\n{TRAINER}    {can}\n")
    assert main(["explain", "own", "--plugin", "own.py"]) == 0
    said = capsys.readouterr().out
    assert "recurrent networks, rewards of a group, demonstrations, several reward signals" in said
    assert "not with" not in said


def test_a_trainer_that_learns_from_groups_says_so(capsys):
    assert main(["explain", "poca"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"learns with .*rewards of a group", said) and "lambd" in said


def test_a_name_that_nobody_has_gets_the_near_one(capsys):
    assert main(["explain", "pppo"]) == 2
    assert "'pppo' is no known trainer, did you mean 'ppo'?" in capsys.readouterr().err


def test_a_trainer_with_settings_of_another_kind_is_explained_by_what_they_must_extend(capsys):
    Path("own.py").write_text(TRAINER.replace("Settings = OwnSettings", "Settings = int"))
    assert main(["explain", "own", "--plugin", "own.py"]) == 1
    assert "do not extend those of mlagents.api" in capsys.readouterr().err


def test_a_trainer_is_checked(capsys):
    assert main(["check", "own", "--plugin", "own.py", "--only", "setting"]) == 0
    assert "setting" in capsys.readouterr().out


def test_a_check_of_a_name_that_nobody_has_is_a_mistake(capsys):
    assert main(["check", "pppo"]) == 2
    assert "'pppo'" in capsys.readouterr().err


def test_help_is_light():
    program = (
        "import sys\nfrom mlagents.plugin_tool import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def shown(capsys, *arguments):
    status = main(["explain", *arguments])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_an_installed_plugin_that_fails_to_import_is_explained_by_its_traceback(tmp_path, monkeypatch, capsys):
    Path("torn.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    torn = EntryPoint("torn", "torn:TornTrainer", TRAINERS)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [torn] if group == TRAINERS else [])
    status, said = shown(capsys, "torn")
    assert status == 1
    assert "'torn' comes from torn:TornTrainer, which failed to load: No module named 'no_such_module_at_all'" in said
    assert "Traceback (most recent call last)" in said
    assert "import no_such_module_at_all" in said


def test_a_file_that_fails_to_load_is_why_its_trainer_is_not_known(capsys):
    Path("torn.py").write_text("import no_such_module_at_all\n")
    status, said = shown(capsys, "torn", "--plugin", "torn.py")
    assert status == 2
    assert "'torn' is no known trainer" in said
    assert "torn.py, which failed to load: No module named 'no_such_module_at_all'" in said
    assert "Traceback (most recent call last)" in said


SIGNAL = '''
from pydantic import Field
from mlagents.api import RewardSignal, RewardSignalSettings

class PaySettings(RewardSignalSettings):
    wage: float = Field(0.5, gt=0)
    """What is paid."""

class PaySignal(RewardSignal):
    """Pays whoever comes."""
    Settings = PaySettings
'''


def test_reward_signals_are_listed_and_explained_too(capsys, monkeypatch):
    monkeypatch.setattr("mlagents.plugins.signals.entry_points", lambda group: [])
    Path("pays.py").write_text(SIGNAL)
    sys.modules.pop("mlagents_plugin_pays", None)
    assert main(["list", "--plugin", "pays.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    after = lines[lines.index("reward signals:") :]
    assert any(line.split() == ["extrinsic", "mlagents"] for line in after)
    assert any(line.split() == ["pay", "pays.py"] for line in after)
    assert main(["explain", "pay", "--plugin", "pays.py"]) == 0
    text = capsys.readouterr().out
    assert "pay, a reward signal of pays.py" in text
    assert "Pays whoever comes." in text
    assert ["wage", "float", ">", "0", "0.5", "What", "is", "paid."] in [line.split() for line in text.splitlines()]
    assert main(["explain", "extrinsic"]) == 0
    assert "extrinsic, a reward signal of mlagents" in capsys.readouterr().out


def test_a_reward_signal_that_cannot_be_used_says_why(capsys, monkeypatch):
    points = [EntryPoint("pay", "nowhere_at_all:Pay", "mlagents.reward_signal")]
    monkeypatch.setattr("mlagents.plugins.signals.entry_points", lambda group: points)
    assert main(["list"]) == 0
    assert "pay        cannot be used: 'pay' comes from nowhere_at_all:Pay, which failed" in capsys.readouterr().out
    assert main(["explain", "pay"]) == 1
    assert "No module named 'nowhere_at_all'" in capsys.readouterr().err
