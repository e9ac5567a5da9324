"""What the package promises as an example."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mlagents_trainer_plugin"
SIZES = {"a2c/a2c_trainer.py": 60, "dqn/dqn_trainer.py": 120}
MAY = {"mlagents.api", "torch", "pydantic"}
FILES = list(SIZES)


def imports(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("name", FILES)
def test_a_trainer_is_short(name):
    assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= SIZES[name]


@pytest.mark.parametrize("name", FILES)
def test_a_trainer_leans_on_the_api_only(name):
    strangers = [
        module
        for module in imports(PACKAGE / name)
        if module not in MAY
        and module.split(".")[0] not in {"torch", "pydantic"}
        and module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not strangers


def test_every_trainer_has_its_configuration_beside_it():
    assert (PACKAGE / "a2c" / "a2c_3DBall.yaml").is_file()
    assert (PACKAGE / "dqn" / "dqn_basic.yaml").is_file()
