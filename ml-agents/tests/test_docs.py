"""The pages about trainers of one's own work as they are written."""

import inspect
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents import api, plugin_tool
from mlagents.algorithms.base import OnPolicyTrainer
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.learn import main

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "plugins.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "trainers.md").read_text(encoding="utf-8")
TAUGHT = (DOCS / "demonstrations.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE + TAUGHT, re.DOTALL))
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def files_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)


def test_the_first_example_trains_as_the_page_types_it():
    (command,) = (line for block in BLOCKS for line in block.splitlines() if "gentle.yaml" in line)
    assert main(command.split()[1:]) == 0
    board = EventAccumulator("results/gentle/Basic")
    board.Reload()
    assert {"Losses/Policy Loss", "Losses/Value Loss", "Losses/Entropy Loss"} <= set(board.Tags()["scalars"])


def test_a_term_is_added_to_ppo_as_the_page_shows():
    text = FILES["gentle.yaml"].replace("gentle", "smooth").replace("Basic", "3DBall")
    Path("smooth.yaml").write_text(text)
    assert main(["smooth.yaml", "--plugin", "smooth.py", "--env", "builtin:3DBall", "--run-id", "smooth"]) == 0
    board = EventAccumulator("results/smooth/3DBall")
    board.Reload()
    assert "Losses/Effort Loss" in board.Tags()["scalars"]


def typed(command):
    """Run a line of a page as a shell would, without its comment, and return the exit status."""
    program, *words = shlex.split(command, comments=True)
    return {"mlagents-plugin": plugin_tool.main, "mlagents-learn": main}[program](words)


def test_the_tutorial_works_from_its_first_line_and_its_mistake_is_told_so(capsys):
    lines = "".join(BLOCKS[:2]).splitlines()
    new, learn = lines[0], next(line for line in lines if line.startswith("mlagents-learn"))
    assert typed(new) == 0
    config = Path("my-trainer/my_trainer/my_trainer.yaml")
    written = config.read_text()
    config.write_text(re.sub("max_steps: .*", "max_steps: 500", written))
    assert typed(learn) == 0
    assert Path("results/first/Basic.onnx").exists()
    config.write_text(written.replace("      learning_rate:", "      value_wait: 1\n      learning_rate:"))
    capsys.readouterr()
    assert typed(learn) == 2
    assert capsys.readouterr().err.strip() in PAGE


def test_the_tutorial_checks_what_it_made():
    assert typed(BLOCKS[0].splitlines()[0]) == 0
    (check,) = (line for block in BLOCKS for line in block.splitlines() if line.startswith("mlagents-plugin check"))
    assert typed(f"{check} --only setting") == 0


def test_every_line_that_looks_at_trainers_works():
    lines = [line for block in BLOCKS for line in block.splitlines() if re.match("mlagents-plugin (list|explain)", line)]
    Path("my_trainer.py").write_text(FILES["my_trainer.py"])
    assert len(lines) == 3
    assert [typed(line) for line in lines] == [0, 0, 0]


def test_every_name_of_the_api_is_in_the_reference():
    assert [name for name in api.__all__ if not re.search(rf"\b{name}\b", REFERENCE + PAGE)] == []


@pytest.mark.parametrize("template", [OnPolicyTrainer, OffPolicyTrainer])
def test_every_hook_of_the_reference_exists_with_these_parameters(template):
    part = REFERENCE.partition(f"## {template.__name__}")[2].partition("\n## ")[0]
    hooks = re.findall(r"^\| `(\w+)\((\w*)\)` \|", part, re.MULTILINE)
    assert len(hooks) >= 7
    for name, parameter in hooks:
        assert [*inspect.signature(getattr(template, name)).parameters] == ["self", *([parameter] if parameter else [])]


def test_demonstrations_are_recorded_and_learnt_from_as_the_page_shows(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["record.py"])
    runpy.run_path("record.py")
    assert main(["taught.yaml", "--env", "builtin:Basic", "--run-id", "taught", "--seed", "1"]) == 0
    board = EventAccumulator("results/taught/Basic")
    board.Reload()
    tags = set(re.findall(r"`(Replay/[\w ]+)`", TAUGHT))
    assert len(tags) == 3
    assert tags <= set(board.Tags()["scalars"])
    assert board.Scalars("Replay/Demonstration Share")[-1].value == 0.5


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
