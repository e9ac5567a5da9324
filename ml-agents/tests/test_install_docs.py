"""What the pages tell people to type exists: commands, flags, files, extras, modules; and the pins agree."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlagents.doctor.machine import NEWEST, OLDEST

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("ml-agents", "ml-agents-envs", "ml-agents-trainer-plugin")
COMMANDS = {
    "mlagents-learn": "mlagents.learn",
    "mlagents-doctor": "mlagents.doctor.command",
    "mlagents-evaluate": "mlagents.evaluation_tool",
    "mlagents-plugin": "mlagents.plugin_tool",
    "mlagents-tournament": "mlagents.tournament_tool",
    "mlagents-watch": "mlagents_envs.watch.command",
}


def lines(page):
    """Return what is typed on a page: the words of each line, without comments and where the output goes."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    typed = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in typed]
    return [line[: line.index(">")] if ">" in line else line for line in words if line]


TYPED = [(page.relative_to(ROOT), line) for page in PAGES for line in lines(page)]


def read(file):
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def helps():
    """What each command says of its flags, by its words; subcommands too."""
    known = {}

    def flags(program, *more):
        words = (program, *more)
        if words not in known:
            command = [sys.executable, "-m", COMMANDS[program], *more, "--help"]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            known[words] = set(re.findall(r"--[a-z][a-z-]*", text))
        return known[words]

    return flags


def own(line):
    """Return the words from our program on, None if it is another's."""
    for at, word in enumerate(line):
        if Path(word).name in COMMANDS:
            return [Path(word).name, *line[at + 1 :]]
    return None


OWN = [(str(page), own(line)) for page, line in TYPED if own(line)]


def test_the_pages_show_many_commands():
    assert len(OWN) > 40
    assert {line[0] for _, line in OWN} == COMMANDS.keys()


@pytest.mark.parametrize(("page", "line"), OWN, ids=[f"{page}: {' '.join(line)}" for page, line in OWN])
def test_every_flag_that_a_page_shows_exists(page, line, helps):
    program, *words = line
    below = words[:1] if program == "mlagents-plugin" and not words[0].startswith("-") else []
    if "--env-args" in words:
        words = words[: words.index("--env-args") + 1]
    shown = {word.split("=")[0] for word in words if word.startswith("--")}
    assert shown <= helps(program, *below), shown - helps(program, *below)


def test_every_file_and_module_that_the_readme_names_exists():
    checked = 0
    for page, line in TYPED:
        if str(page) != "README.md":
            continue
        for before, word in zip(["", *line], line, strict=False):
            file = word.split("[")[0]
            if before in ("-c", "-r", "-e") or word.startswith("config/"):
                assert (ROOT / file).exists(), f"{page}: {word}"
                checked += 1
    assert checked >= 10


def test_every_module_that_a_page_starts_exists():
    modules = {line[line.index("-m") + 1] for _, line in TYPED if "-m" in line and line[0] != "git"}
    assert "mlagents.trainers.upgrade_config" in modules
    foreign = {"pip", "venv", "pytest", "build"}
    assert [name for name in modules - foreign if name.startswith("mlagents") and find_spec(name) is None] == []


def test_every_extra_that_a_page_names_exists():
    text = read("ml-agents-envs/pyproject.toml").split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) =", text, re.MULTILINE))
    named = {
        extra
        for page in PAGES
        for group in re.findall(r"(?:ml-?agents-envs)\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        for extra in group.split(",")
    }
    assert len(named) >= 4
    assert named <= extras


def test_every_target_of_make_that_the_readme_names_exists():
    targets = set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))
    named = {line[line.index("make") + 1] for page, line in TYPED if "make" in line and str(page) == "README.md"}
    assert named == {"demo", "test"} & targets


def test_every_command_is_installed_under_its_name():
    scripts = dict(re.findall(r'^([\w-]+) = "([\w.]+):main"', "\n".join(map(read, [f"{name}/pyproject.toml" for name in PACKAGES])), re.MULTILINE))
    assert scripts == COMMANDS
    assert all(callable(import_module(module).main) for module in COMMANDS.values())


def test_uv_obeys_the_same_pins_as_pip():
    pins = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    (listed,) = re.findall(r"^constraint-dependencies = \[(.*?)\]", read("pyproject.toml"), re.MULTILINE)
    assert re.findall('"([^"]+)"', listed) == pins
    assert f"`constraints.txt` pins `{pins[0]}`" in read("README.md")
    assert f"there is no `{pins[0]}`;" in read("README.md")


def test_the_pythons_are_the_same_everywhere():
    wanted = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    for name in PACKAGES:
        assert re.findall(r'"Programming Language :: Python :: ([\d.]+)"', read(f"{name}/pyproject.toml")) == wanted
    assert f"Python {wanted[0]} to {wanted[-1]}" in read("README.md")


def test_the_small_pytorch_is_named_for_every_way_to_install():
    typed = [" ".join(line) for page, line in TYPED if str(page) == "README.md"]
    index = "https://download.pytorch.org/whl/cpu"
    assert sum(index in line and "pip install" in line for line in typed) == 1
    assert sum(f"PIP_EXTRA_INDEX_URL={index} make demo" in line for line in typed) == 1
    assert sum("uv pip install --torch-backend cpu" in line for line in typed) == 1
