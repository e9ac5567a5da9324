"""Programs in benchmarks/ run, tiny: what is not run rots."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program, *flags, status=0):
    process = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / program), *flags], capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert status is None or process.returncode == status, process.stdout + process.stderr
    return process.stdout


def test_learning_is_the_same_in_every_place(tmp_path):
    picture = tmp_path / "curves.png"
    flags = ["--tasks", "Basic", "--seeds", "1", "--budget", "4000", "--picture", str(picture)]
    said = run("learning.py", *flags, "--places", "process", "kept", status=1)  # too few steps to learn it
    assert "Basic: curves of process, kept are the same, point by point" in said
    assert "2 missed" in said
    assert picture.stat().st_size > 1000


def test_every_example_is_measured():
    assert "every bound is met" in run("examples.py", "Basic", "--areas", "4", "--seconds", "0.05")


def test_the_gallery_keeps_and_draws_a_curve(tmp_path):
    run("gallery.py", "Basic", "--budget", "4000", "--curves", str(tmp_path))
    assert (tmp_path / "Basic.csv").read_text().startswith("behavior,steps,reward\nBasic,2000,")
    assert (tmp_path / "Basic-curve.png").stat().st_size > 1000


def test_learning_in_process_is_measured_without_a_peer_too():
    assert "decisions/s" in run("ppo_inprocess.py", "--agents", "64", "--slices", "1")


def test_stable_baselines_is_measured_and_its_curve_kept(tmp_path):
    pytest.importorskip("stable_baselines3")
    flags = ["--env", "3DBall", "--seeds", "1", "--budget", "1500", "--rollout", "768", "--threshold", "-9"]
    said = run("sb3.py", *flags, "--curve", str(tmp_path / "curve.csv"))
    assert "3DBall seed 1: -9 reached at 768" in said and "0 missed" in said
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0] == "behavior,seed,steps,reward" and len(lines) == 3
    run("sb3.py", *flags[:-1], "101", status=1)  # more than there is


def test_training_in_players_is_measured():
    assert "     1     64 " in run("training.py", "--scenes", "1x64", "--rounds", "1", "--seconds", "0.1")


def test_an_exchange_is_measured():
    table = run("wire.py", "--seconds", "0.05", "--rounds", "1", status=None)  # its bound is for a machine at rest
    assert len(re.findall(r"\b(ours|echo)\b", table)) > 5


def test_being_watched_is_measured():
    assert run("watching.py", "--rounds", "1", "--steps", "6000", "--env", "Basic")


def test_attacks_break_and_lose_nothing():
    table = run("attacks.py", "messages", "demonstrations", "checkpoints", "numbers", "--share", "0.02").splitlines()
    tried = {line.split()[0]: int(line.split()[1]) for line in table[1:]}
    assert tried == {"messages": 400, "demonstrations": 160, "checkpoints": 4, "numbers": 1}


@pytest.mark.parametrize(
    "program", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")),
)  # fmt: skip
def test_every_program_says_what_it_is_for(program):
    assert "usage:" in run(program, "--help")
