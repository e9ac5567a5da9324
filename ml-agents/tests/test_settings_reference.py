"""The page of all settings is what the code says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlagents.plugins.catalog import BUILTIN
from mlagents.settings.json_schema import schema_of
from mlagents.settings.reference import SECTIONS, reference, span, words

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_code_says():
    again = "run `python -m mlagents.settings.reference > docs/settings.md`"
    assert PAGE.read_text(encoding="utf-8") == reference(), again


def test_the_command_writes_utf_8_whatever_the_terminal_speaks():
    command = [sys.executable, "-m", "mlagents.settings.reference"]
    terminal = {**os.environ, "PYTHONIOENCODING": "utf-16"}
    done = subprocess.run(command, capture_output=True, check=True, env=terminal)
    assert done.stdout.decode("utf-8") == reference()


def test_every_part_of_the_file_has_a_section():
    parts = {section.kind.__name__ for section in SECTIONS}
    assert set(schema_of(BUILTIN)["$defs"]) - parts == {"ParameterSettings"}  # that which holds the lessons


def test_a_key_stands_there_with_its_value_default_and_meaning():
    lines = reference().splitlines()
    assert "| `hidden_units` | whole number, 1 to 16,384 | `128` | Width of each hidden layer. |" in lines
    assert "| `demo_path` | text | must be given | A .demo file, or a folder of them. |" in lines
    assert any(line.startswith("| `measure` | `reward`, `progress`, `Elo` | `reward` |") for line in lines)


def test_every_row_has_four_cells():
    rows = [line for line in reference().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_what_nothing_obeys_yet_is_marked(monkeypatch):
    monkeypatch.setattr(
        "mlagents.settings.reference.unsupported",
        lambda options: ["behaviors.NAME.self_play: it rains"] if options.behaviors.get("NAME") and options.behaviors["NAME"].self_play else [],
    )  # fmt: skip
    marked = [part.splitlines()[0] for part in reference().split("\n## ") if "**Not obeyed yet**: it rains." in part]
    assert marked == ["behaviors.NAME.self_play"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": ["string", "number"]}, "text"),
        ({"type": ["array", "null"], "items": {"type": "number"}}, "list of number"),
        ({"type": "boolean"}, "true or false"),
        ({"anyOf": [{"type": "number"}, {"$ref": "#/$defs/A"}, {"type": "null"}]}, "number or keys and values"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({}, "anything"),
    ],
)
def test_a_type_is_said_in_words(value, said):
    assert words(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, ""),
        ({"minimum": 0, "maximum": 1}, "0 to 1"),
        ({"exclusiveMinimum": 0, "maximum": 1}, "more than 0, at most 1"),
        ({"minimum": 2, "exclusiveMaximum": 64, "multipleOf": 2}, "at least 2, less than 64, a multiple of 2"),
    ],
)
def test_a_range_is_said_in_words(value, said):
    assert span(value) == said
