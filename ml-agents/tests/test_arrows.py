"""The plan of the packages as a test: imports only run down, and nothing heavy is loaded before it is needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ml-agents" / "mlagents"

MAY = {  # folder -> folders and files of mlagents that it may import, besides itself
    "adapters": set(),
    "envs": {"adapters", "schema"},
    "data": set(),
    "nn": {"data", "schema"},
    "rewards": {"demonstrations", "nn", "data", "schema"},
    "demonstrations": {"data", "schema"},
    "algorithms": {"demonstrations", "rewards", "nn", "data", "schema"},
    "collect": {"algorithms", "nn", "data", "envs.steps"},
    "evaluation": {"collect.lanes", "envs.finite", "envs.pool", "envs.steps", "errors", "names", "schema"},
    "run": {
        "collect", "nn", "data", "envs.finite", "envs.pool", "envs.parameters", "envs.settings", "envs.steps", "errors",
        "evaluation", "names", "schema", "selfplay",
    },
    "selfplay": {"collect", "nn", "data", "envs.finite", "envs.pool", "envs.steps", "evaluation.model_player", "schema"},
    "tournament": {"envs.finite", "envs.pool", "envs.steps", "evaluation", "errors"},
    "export": {"errors", "nn", "data", "run"},
    "plugins": {"algorithms.settings", "rewards.settings"},
    "settings": {
        "algorithms.capabilities", "algorithms.settings", "demonstrations.settings", "envs", "evaluation.settings",
        "nn.settings", "plugins", "rewards.settings", "run.settings", "schema", "selfplay.settings",
    },
    "conformance": {"algorithms", "collect", "data", "envs.steps", "export", "nn", "plugins", "rewards", "errors",
                    "selfplay", "settings"},
    "doctor": {"envs", "settings"},
    "training": {"build", "collect", "envs", "errors", "evaluation", "nn", "run", "settings"},
    "trainers": {"learn", "nn.settings", "plugins", "settings"},
}  # fmt: skip
NEVER = {  # folder -> packages it never imports
    "envs": {"torch"},
    "data": {"onnx", "tensorboard"},
}
TORCH_FREE = [
    "settings.checks", "settings.json_schema", "settings.mistakes", "settings.old_formats", "settings.options",
    "settings.parameter_reader", "settings.reading", "settings.reference", "settings.section_reader",
    "settings.support", "settings.yaml_file", "cli", "schema", "plugins.catalog", "plugins.new", "plugin_tool",
    "conformance.command", "evaluation_tool", "tournament_tool", "training.evaluate", "doctor.command",
    "doctor.env_check", "doctor.machine",
]  # fmt: skip


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def allowed(name: str, may: set[str]) -> bool:
    inside = name.removeprefix("mlagents.")
    return any(inside == door or inside.startswith(door + ".") for door in may)


def test_arrows_run_down():
    up = [
        f"{file.relative_to(ROOT)} imports {name}"
        for folder, may in MAY.items()
        for file in (PACKAGE / folder).rglob("*.py")
        if "templates" not in file.parts  # of packages that others write
        for name in imports(file)
        if name.startswith("mlagents.") and not allowed(name, may | {folder})
    ]
    assert not up, "\n".join(up)


def test_folders_stay_free_of_what_they_must_not_carry():
    heavy = [
        f"{file.relative_to(ROOT)} imports {name}"
        for folder, never in NEVER.items()
        for file in (PACKAGE / folder).rglob("*.py")
        for name in imports(file)
        if name.split(".")[0] in never
    ]
    assert not heavy, "\n".join(heavy)


def test_environments_know_nothing_of_trainers():
    package = ROOT / "ml-agents-envs" / "mlagents_envs"
    files = list(package.rglob("*.py"))
    assert files
    strangers = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports(file)
        if name.split(".")[0] in ("mlagents", "torch")
    ]
    assert not strangers, "\n".join(strangers)


def test_settings_and_workers_load_no_torch():
    modules = [f"mlagents.{name}" for name in TORCH_FREE] + [
        f"mlagents.{room}.{file.stem}" for room in ("envs", "adapters", "evaluation", "tournament") for file in (PACKAGE / room).glob("*.py")
    ]
    program = f"import {', '.join(modules)}, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_file_is_longer_than_four_hundred_lines():
    long = [
        f"{file.relative_to(ROOT)}: {lines} lines"
        for file in ROOT.glob("ml-agents*/**/*.py")
        if "_pb2" not in file.name and (lines := len(file.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert not long, "\n".join(long)


def test_every_package_is_marked_as_typed():
    for package in ("ml-agents/mlagents", "ml-agents-envs/mlagents_envs", "ml-agents-trainer-plugin/mlagents_trainer_plugin"):
        assert (ROOT / package / "py.typed").is_file()


def test_the_wire_knows_no_example_and_no_environment():
    package = ROOT / "ml-agents-envs" / "mlagents_envs"
    strangers = [
        f"{file.relative_to(ROOT)} imports {name}"
        for folder in ("wire", "side_channel")
        for file in (package / folder).rglob("*.py")
        for name in imports(file)
        if name.startswith(("mlagents_envs.examples", "mlagents_envs.environment", "mlagents_envs.envs"))
    ]
    assert not strangers, "\n".join(strangers)
