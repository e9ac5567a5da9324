"""The program that measures what demonstrations give runs from its first line to its last, on a small scale."""

import csv
import re
import runpy
from pathlib import Path

import pytest

from mlagents_envs.demonstrations.file import read
from mlagents_envs.examples.catalog import make
from mlagents_envs.watch.demo import DemoRecording
from mlagents_envs.watch.play import Play
from mlagents_envs.watch.policies import RandomPolicy

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "demonstrations.py"


def record(file, scene):
    example = make(scene, areas=1)
    play = Play(example, {example.behavior: RandomPolicy(example.SPEC)})
    with DemoRecording(file, example, 0) as demo:
        for _ in range(100):
            demo.before()
            demo.after(play.decide())
    assert len(read(file)) >= 100


@pytest.mark.parametrize(
    ("scene", "steps", "ways", "imitating"),
    [("Basic", 300, ["alone", "file", "live"], 0), ("PushBlock", 1100, ["alone", "unity", "old"], 2)],
)
def test_every_way_is_trained_scored_tabled_and_drawn(scene, steps, ways, imitating, tmp_path, capfd):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("matplotlib")
    if scene == "PushBlock":
        pytest.importorskip("numba")
    record(tmp_path / "some.demo", scene)
    flags = ["--scene", scene, "--demo", str(tmp_path / "some.demo"), "--seeds", "3", "--steps", str(steps)]
    flags += ["--imitation", "100", "--picture", str(tmp_path / "a.png"), "--table", str(tmp_path / "a.csv")]
    program = runpy.run_path(str(PROGRAM))
    assert program["main"](flags) in (0, 1)  # so little is learnt that nobody knows
    out = capfd.readouterr().out
    (row,) = re.findall(r"^ +3 .*$", out, re.MULTILINE)
    assert len(re.findall(r"-?[\d.]+", row)) == 1 + 3 * len(ways) + imitating
    assert "share of demonstrations in batches" in out
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        kept = list(csv.DictReader(file))
    assert list(dict.fromkeys(line["way"] for line in kept)) == ways
    assert all(int(line["steps"]) <= steps + 32 for line in kept)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_threshold_is_reached_once_and_kept_later():
    program = runpy.run_path(str(PROGRAM))
    scene = program["SCENES"]["Basic"]
    curve = [(25, 0.95), (50, 0.1), (75, 0.9), (100, 0.93)]
    assert program["reached"](curve, scene) == (25, 75)
    assert program["reached"](curve[:2], scene) == (25, 2 * scene.steps)
    assert program["reached"]([(25, 0.1)], scene) == (2 * scene.steps, 2 * scene.steps)


@pytest.mark.parametrize(
    ("right", "other", "clones", "expected"), [(4.9, 3.0, (4.8, 4.0), True), (3.0, 4.9, (4.8, 4.0), False), (4.9, 3.0, (4.0, 4.8), False)]
)
def test_the_right_pairing_must_be_better_both_in_line_and_alone(right, other, clones, expected, capsys):
    program = runpy.run_path(str(PROGRAM))
    curves = {"alone": [[(1, 0.0)]], "unity": [[(1, right)]], "old": [[(1, other)]]}
    scored = {"only unity": [clones[0]], "only old": [clones[1]]}
    assert program["verdict"](curves, scored, program["SCENES"]["PushBlock"]) is expected
    assert ("is the better one" in capsys.readouterr().out) is expected
