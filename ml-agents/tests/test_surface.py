"""What programs import of these packages, and what each command says of itself."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mlagents
import mlagents.trainers
import mlagents_envs
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.options import RunOptions
from mlagents.trainers.learn import main, parse_command_line, run_cli

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "mlagents-learn": "mlagents.learn",
    "mlagents-doctor": "mlagents.doctor.command",
    "mlagents-evaluate": "mlagents.evaluation_tool",
    "mlagents-plugin": "mlagents.plugin_tool",
    "mlagents-tournament": "mlagents.tournament_tool",
    "mlagents-watch": "mlagents_envs.watch.command",
}
BASIC = "behaviors:\n  Basic: {trainer_type: ppo, max_steps: 60, network_settings: {hiden_units: 5}}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("basic.yaml").write_text(BASIC)


def test_all_packages_have_the_version_that_they_are_released_with():
    versions = {mlagents.__version__, mlagents.trainers.__version__, mlagents_envs.__version__}
    for name in ("ml-agents", "ml-agents-envs", "ml-agents-trainer-plugin"):
        text = (ROOT / name / "pyproject.toml").read_text(encoding="utf-8")
        assert f'version = "{mlagents.__version__}"' in text, name
    assert versions == {mlagents.__version__}


@pytest.mark.parametrize(("command", "module"), COMMANDS.items())
def test_every_command_says_its_version(command, module, capsys):
    with pytest.raises(SystemExit) as end:
        import_module(module).main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{command} {mlagents.__version__}\n"


def test_every_command_that_is_installed_is_among_them():
    entries = [
        line.split(" = ")[0]
        for name in ("ml-agents", "ml-agents-envs", "ml-agents-trainer-plugin")
        for line in (ROOT / name / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if ':main"' in line
    ]
    assert sorted(entries) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "line",
    ["import mlagents, mlagents.trainers, mlagents_envs", "from mlagents.trainers.learn import main, parse_command_line, run_cli"],
)  # fmt: skip
def test_importing_them_loads_nothing_heavy(line):
    program = f"{line}\nimport sys\nprint(sorted({{'torch', 'numpy', 'pydantic', 'onnx'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_options_are_parsed_as_programs_do_it(folder, capsys):
    options = parse_command_line(["basic.yaml", "--env", "builtin:Basic", "--run-id", "mine"])
    assert isinstance(options, RunOptions)
    assert options.checkpoint_settings.run_id == "mine"
    assert "did you mean 'hidden_units'? (ignored)" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="must be at least 1"):
        parse_command_line(["basic.yaml", "--num-envs", "0"])


def test_a_program_trains_with_them(folder):
    program = (
        "from mlagents.trainers.learn import parse_command_line, run_cli\n"
        "options = parse_command_line(['basic.yaml', '--env', 'builtin:Basic', '--run-id', 'mine'])\n"
        "raise SystemExit(run_cli(options))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert Path("results/mine/Basic.onnx").is_file()


def test_a_program_is_told_what_cannot_be(folder, capsys):
    assert run_cli(parse_command_line(["basic.yaml", "--env", "builtin:Basic", "--torch-device", "cuda"])) == 2
    assert "'cuda' is not built yet" in capsys.readouterr().err
    assert not Path("results").exists()


def test_the_command_of_earlier_releases_is_the_command(folder):
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "mine"]) == 0


def test_what_the_package_offers_is_loaded_when_it_is_used():
    program = """
import sys, mlagents
print(sorted({"torch", "onnxruntime", "numpy", "gymnasium", "mlagents_envs"} & sys.modules.keys()))
print(sorted(name for name in dir(mlagents) if not name.startswith("_") and hasattr(mlagents, name)))
import mlagents.schema
try:
    mlagents.Nothing
except AttributeError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]
    light, names, refused = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert light == "[]"
    assert "Model" in names
    assert refused == "module 'mlagents' has no attribute 'Nothing'"


def test_a_model_needs_no_torch():
    program = "import sys, mlagents; mlagents.Model; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
