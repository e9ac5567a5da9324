"""What docs/evaluation.md shows is there, and runs."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

import mlagents
from mlagents.evaluation.result import Evaluation
from mlagents.evaluation_tool import make_parser
from mlagents.settings.options import EvaluationSettings
from mlagents.settings.reading import load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_flag_of_the_table_is_one_of_the_command():
    flags = set(re.findall(r"`(--[a-z-]+)", PAGE))
    known = set(re.findall(r"(--[a-z-]+)", make_parser().format_help()))
    assert len(flags) > 10 and flags <= known


def test_every_argument_and_every_number_about_episodes_is_on_the_page():
    arguments = list(inspect.signature(mlagents.evaluate).parameters)
    assert [name for name in arguments if not re.search(rf"\b{name}\b", PAGE)] == []
    named = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("It returns an `Evaluation`") :]))
    assert {"returns", "group_returns", "lengths", "cut"} <= named & set(Evaluation.__dataclass_fields__)
    assert set(Evaluation.__dataclass_fields__) - named == {"began"}


def test_the_program_of_the_page_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((ROOT / "config" / "ppo" / "3DBall.yaml").read_text(encoding="utf-8"))
    config["behaviors"]["3DBall"]["max_steps"] = 100
    mlagents.train(config, "3DBall", seed=1, run_id="3dball")
    (program,) = blocks("python")
    exec(program, {})
    assert "Interval(low=" in capsys.readouterr().out


def test_the_settings_of_the_page_can_be_read():
    (text,) = blocks("yaml")
    options, warnings = load(yaml.safe_load(text), {})
    assert not warnings
    settings = options.behaviors["3DBall"]
    assert settings.evaluation == EvaluationSettings() and settings.stop_when.reward == 99.0


def test_every_curve_of_the_page_is_written_by_the_code():
    code = (ROOT / "ml-agents" / "mlagents" / "run" / "evaluating.py").read_text(encoding="utf-8")
    curves = set(re.findall(r"`(Evaluation/[^`]+)`", PAGE))
    assert curves == set(re.findall(r'"(Evaluation/[^"]+)"', code))


def test_the_page_is_found_from_the_others():
    for file in ("README.md", "docs/runs.md", "docs/python.md", "docs/settings.md"):
        assert "evaluation.md" in (ROOT / file).read_text(encoding="utf-8")
