"""The gallery shows every example, and what it shows is there and works."""

import csv
import re
from pathlib import Path

import pytest

from mlagents.cli import parse_command_line
from mlagents.settings.support import unsupported
from mlagents_envs.examples.catalog import NAMES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [(name, line) for name, text in SECTIONS.items() for line in re.findall(r"^mlagents-learn (.*)$", text, re.M)]


def options(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    return parse_command_line(command.split())[0]


def test_every_example_is_in_the_gallery():
    commanded = {re.search(r"builtin:(\w+)", command)[1] for _, command in COMMANDS}
    assert commanded == set(NAMES)
    assert set(SECTIONS) == set(NAMES) - {"Match3Visual"}  # beside Match3


@pytest.mark.parametrize("name", SECTIONS)
def test_an_example_is_shown_by_pictures_that_are_there(name):
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", SECTIONS[name])
    assert pictures
    for picture in pictures:
        assert (ROOT / "docs" / picture).is_file(), picture


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[command for _, command in COMMANDS])
def test_a_command_of_the_gallery_trains_or_the_gallery_says_why_not(name, command, monkeypatch):
    reasons = [re.search(r": (.* not built yet)", reason)[1] for reason in unsupported(options(command, monkeypatch))]
    has_curve = f"{name}-curve.png" in SECTIONS[name]
    assert has_curve != ("No curve yet" in SECTIONS[name])
    assert not (reasons and has_curve)
    for reason in reasons:
        assert reason in SECTIONS[name]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[command for _, command in COMMANDS])
def test_a_command_of_the_gallery_names_settings_for_the_behaviors_of_its_example(name, command, monkeypatch):
    asked = options(command, monkeypatch)
    kept = ROOT / "benchmarks" / "curves" / f"{name}.csv"
    if kept.exists() and "Match3Visual" not in command:
        with kept.open(newline="", encoding="utf-8") as file:
            assert all(asked.for_behavior(row["behavior"]) for row in csv.DictReader(file))
