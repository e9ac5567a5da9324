"""Programs in benchmarks/ run, tiny: what is not run rots."""

import os
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
    assert process.returncode == status, process.stdout + process.stderr
    return process.stdout


def test_learning_is_the_same_in_every_place(tmp_path):
    picture = tmp_path / "curves.png"
    flags = ["--tasks", "Basic", "--seeds", "1", "--budget", "4000", "--picture", str(picture)]
    said = run("learning.py", *flags, "--places", "process", "kept", "renewed", status=1)  # too few steps to learn it
    assert "Basic: curves of process, kept, renewed are the same, point by point" in said
    assert "3 missed" in said
    assert picture.stat().st_size > 1000


def test_attacks_break_and_lose_nothing():
    table = run("attacks.py", "messages", "demonstrations", "checkpoints", "numbers", "--share", "0.02").splitlines()
    tried = {line.split()[0]: int(line.split()[1]) for line in table[1:]}
    assert tried == {"messages": 400, "demonstrations": 160, "checkpoints": 4, "numbers": 1}


@pytest.mark.parametrize(
    "program", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")),
)  # fmt: skip
def test_every_program_says_what_it_is_for(program):
    assert "usage:" in run(program, "--help")
