"""Programs in benchmarks/ run, tiny: what is not run rots."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from cloning import write
from PIL import Image

from mlagents_envs.examples.basic import Basic

ROOT = Path(__file__).parents[2]


def run(program, *flags, status=0):
    process = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / program), *flags], capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert status is None or process.returncode == status, process.stdout + process.stderr
    return process.stdout


def test_learning_is_the_same_in_every_place_and_is_kept(tmp_path):
    picture, kept = tmp_path / "curves.png", tmp_path / "kept"
    flags = ["--tasks", "Basic", "--seeds", "1", "--budget", "4000", "--results", str(tmp_path / "runs")]
    kept_in = ["--picture", str(picture), "--keep", str(kept)]
    table = run("learning.py", *flags, *kept_in, "--places", "process", "kept", status=1)  # too few steps to learn it
    assert "Basic: curves of process, kept are the same, point by point" in table
    assert "2 missed" in table
    assert picture.stat().st_size > 1000
    again = run("learning.py", *flags, status=1)  # read, not repeated
    assert "1 missed" in again and "| nan |" in again
    rows = run("learning_results.py", str(kept)).splitlines()
    assert [row.split(" | ")[:3] for row in rows[2:]] == [["| Basic", "kept", "1"], ["| Basic", "process", "1"]]
    assert rows[3] in table
    assert (kept / "ppo.png").stat().st_size > 1000


@pytest.fixture
def learning_tasks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("learning_tasks")


def test_every_learning_task_has_settings_that_a_run_accepts(learning_tasks, tmp_path):
    recordings = tmp_path / "recordings"
    titles = [task.title for task in learning_tasks.TASKS]
    assert len(titles) == len(set(titles))
    for task in learning_tasks.TASKS:
        file = task.write_settings(tmp_path, recordings)
        assert task.name in yaml.safe_load(file.read_text())["behaviors"]
        assert "Project/Assets" not in file.read_text()


def test_a_control_leaves_out_what_it_controls_for(learning_tasks, tmp_path):
    task = next(task for task in learning_tasks.TASKS if task.title == "Hallway/no memory")
    settings = yaml.safe_load(task.write_settings(tmp_path, None).read_text())["behaviors"]["Hallway"]
    assert "memory" not in settings["network_settings"]
    assert "memory" in yaml.safe_load(task.config.read_text())["behaviors"]["Hallway"]["network_settings"]


def test_files_of_settings_run_and_their_warnings_are_shown(tmp_path):
    files = [str(ROOT / "config" / "ppo" / name) for name in ("Basic.yaml", "3DBall_randomize.yaml")]
    table = run("configs.py", *files, "--steps", "200")
    assert "| ppo/Basic.yaml | builtin:Basic | 0 | 200 |" in table and "every file runs without a warning" in table
    (tmp_path / "Basic.yaml").write_text((ROOT / "config/ppo/Basic.yaml").read_text().replace("ppo", "pppo"))
    assert "1 fail or warn" in run("configs.py", str(tmp_path / "Basic.yaml"), "--steps", "200", status=1)


def test_recordings_are_cloned_and_their_clones_are_played(tmp_path):
    walk = [([np.eye(20)[10 + i]], [], [2]) for i in range(7)]
    write(tmp_path / "ExpertBasic.demo", Basic.SPEC, [walk] * 5)
    table = run("cloning.py", "--demonstrations", str(tmp_path), "--tasks", "Basic", "--seeds", "1", "--steps", "2000")
    (row,) = (line.split(" | ") for line in table.splitlines() if line.startswith("| Basic"))
    assert row[1:3] == ["40", "5"] and row[5] == "2016" and float(row[9]) > 0.9
    assert "every threshold is reached" in table


def test_every_example_is_measured():
    assert "every bound is met" in run("examples.py", "Basic", "--areas", "4", "--seconds", "0.05")


def test_the_gallery_keeps_and_draws_a_curve(tmp_path):
    run("gallery.py", "Basic", "--budget", "4000", "--curves", str(tmp_path))
    assert (tmp_path / "Basic.csv").read_text().startswith("behavior,steps,reward\nBasic,2000,")
    assert (tmp_path / "Basic-curve.png").stat().st_size > 1000


def test_the_gallery_draws_what_agents_see(tmp_path):
    pytest.importorskip("numba")
    run("gallery.py", "--seen", "Visual3DBall", "--curves", str(tmp_path))
    with Image.open(tmp_path / "Visual3DBall.png") as picture:
        assert picture.size == (4 * 168 + 3 * 4, 168)


def test_learning_in_process_is_measured_without_a_peer_too():
    assert "decisions/s" in run("ppo_inprocess.py", "--agents", "64", "--slices", "1")


def test_stable_baselines_is_measured_and_its_curve_kept(tmp_path):
    pytest.importorskip("stable_baselines3")
    flags = ["--env", "3DBall", "--seeds", "1", "--budget", "1500", "--rollout", "768", "--threshold", "-9"]
    table = run("sb3.py", *flags, "--curve", str(tmp_path / "curve.csv"))
    assert "3DBall seed 1: -9 reached at 768" in table and "0 missed" in table
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
    kinds = ["messages", "demonstrations", "settings", "checkpoints", "numbers", "conversations"]
    table = run("attacks.py", *kinds, "--share", "0.01").splitlines()
    tried = {line.split()[0]: int(line.split()[1]) for line in table[1:]}
    assert list(tried) == kinds
    assert tried["messages"] == 200


@pytest.mark.parametrize("kind", ["kills", "disks"])
def test_a_run_survives_an_attack(kind):
    assert run("attacks.py", kind, "--share", "0.01").splitlines()[1].split()[:2] == [kind, "1"]


def test_the_structure_of_the_packages_has_no_circle_and_no_long_file():
    table = run("structure.py")
    assert "| circles | 0 | 0 |" in table
    lines = next(re.findall(r"\| (\d+) \(", line) for line in table.splitlines() if line.startswith("| longest file"))
    assert len(lines) == 2
    assert max(map(int, lines)) <= 400


@pytest.fixture
def structure(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("structure")


def test_floors_and_circles_are_those_of_the_graph(structure):
    tower = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert structure.floors(tower) == 3
    assert structure.circles(tower) == []
    ring = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert structure.floors(ring) == 3
    assert structure.circles(ring) == [["b", "c"]]


def test_docstrings_and_private_accesses_are_counted(structure, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "base.py").write_text('class Base:\n    """."""\n    def f(self):\n        """."""\n')
    (tmp_path / "two.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from house.one.base import Base\n"
        "if TYPE_CHECKING:\n    from house.three import g\n"
        "class Other(Base):\n    def f(self): return self._x\n    def h(self): return Base()._x\n"
    )
    (tmp_path / "three.py").write_text("import house.two\ndef g(x): return x._replace(a=1), x._y\n")
    house = structure.read("house", tmp_path)
    assert house.arrows == {"one": set(), "two": {"one"}, "three": {"two"}}
    assert house.private_accesses == ["house.three:2: x._y", "house.two:7: Base()._x"]
    names = dict(structure.public_names(house, structure.classes_of([house])))
    assert [name for name, documented in names.items() if not documented] == [
        "house.three.g", "house.two.Other", "house.two.Other.h",
    ]  # fmt: skip


PROGRAMS = [path.name for path in sorted((ROOT / "benchmarks").glob("*.py")) if "__main__" in path.read_text("utf-8")]


def test_every_program_is_run_by_a_test():
    tests = [path.read_text(encoding="utf-8") for path in ROOT.glob("ml-agents*/tests/test_bench*.py")]
    assert [name for name in PROGRAMS if not any(f'"{name}"' in test for test in tests)] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_what_it_is_for(program):
    assert "usage:" in run(program, "--help")
