import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.catalog import make
from mlagents_envs.fidelity import check
from mlagents_envs.fidelity.check import find_model, main, random_policy, scores

REFERENCE = Path(os.environ.get("MLAGENTS_REFERENCE", Path(__file__).parents[4] / "shared" / "reference"))


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="nothing made in Unity here")
def test_unitys_policies_and_recordings_fit_our_physics(capsys):
    pytest.importorskip("onnxruntime")
    assert main(["--reference", str(REFERENCE)]) == 0
    assert "every bound is met" in capsys.readouterr().out


def test_a_folder_without_anything_to_try_gets_a_sentence(tmp_path, capsys):
    assert main(["--reference", str(tmp_path)]) == 2
    assert "nothing to test" in capsys.readouterr().out


def test_models_that_are_absent_are_named_and_not_missed(tmp_path, capsys):
    (tmp_path / "demos").mkdir()
    assert main(["--reference", str(tmp_path)]) == 0
    assert "not tested, without a model: 3DBall, 3DBallHard" in capsys.readouterr().out


def test_a_model_may_have_the_name_of_its_behavior_or_of_its_scene(tmp_path):
    (tmp_path / "WallJump.onnx").touch()
    assert find_model(tmp_path, ("BigWallJump", "WallJump")).name == "WallJump.onnx"
    (tmp_path / "BigWallJump.onnx").touch()
    assert find_model(tmp_path, ("BigWallJump", "WallJump")).name == "BigWallJump.onnx"
    assert find_model(tmp_path, ("Hallway",)) is None


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="nothing made in Unity here")
def test_a_model_of_another_scene_is_missed_with_a_sentence(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / "onnx").mkdir()
    shutil.copy(REFERENCE / "onnx" / "Basic.onnx", tmp_path / "onnx" / "Hallway.onnx")
    assert main(["--reference", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "Hallway.onnx does not fit builtin:Hallway: " in output and "missed: Hallway" in output


def test_behaviors_of_one_scene_are_scored_apart():
    pytest.importorskip("numba")
    play = random_policy("WallJump", 0)
    small, big = (
        scores("WallJump", play, 30, 0, areas=20, behavior=behavior) for behavior in ("SmallWallJump", "BigWallJump")
    )
    assert len(small) + len(big) == 20
    assert len(small) and len(big)


@pytest.mark.parametrize("renew_ids", [False, True])
def test_episodes_that_begin_later_can_be_counted_instead_of_the_first(renew_ids, monkeypatch):
    monkeypatch.setattr(check, "make", partial(make, renew_ids=renew_ids))
    play = random_policy("Basic", 0)
    first, later = (scores("Basic", play, 400, 0, areas=10, settle=settle) for settle in (0, 50))
    assert len(first) == 10 < len(later)
    assert ((later > -4) & (later < 1)).all() and abs(later.mean() - first.mean()) < 0.5  # each is one whole episode


@pytest.mark.parametrize(
    ("name", "behavior", "settle"),
    [
        ("3DBall", "", 0), ("3DBall", "", 20), ("Basic", "", 0), ("Basic", "", 20), ("WallJump", "SmallWallJump", 0),
        ("WallJump", "BigWallJump", 20), ("WallJump", "", 20), ("SoccerTwos", "", 0),
    ],
)  # fmt: skip
def test_scores_are_the_same_in_both_numberings(name, behavior, settle, monkeypatch):
    if name not in ("3DBall", "Basic"):
        pytest.importorskip("numba")
    found = []
    for renew_ids in (False, True):
        monkeypatch.setattr(check, "make", partial(make, renew_ids=renew_ids))
        found.append(scores(name, random_policy(name, 1), 100, 2, areas=6, behavior=behavior, settle=settle))
    assert len(found[0]) and found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize("renew_ids", [False, True])
def test_a_first_episode_counts_until_it_ends_and_no_further(renew_ids, monkeypatch):
    # to the right, Basic ends with the seventh decision, at 0.93
    class Right:
        def reset(self): ...

        def __call__(self, decision, terminal):
            return ActionTuple(discrete=np.full((len(decision), 1), 2, np.int32))

    monkeypatch.setattr(check, "make", partial(make, renew_ids=renew_ids))
    assert scores("Basic", Right(), 40, 0, areas=2) == pytest.approx([0.93, 0.93])
    assert scores("Basic", Right(), 3, 0, areas=2) == pytest.approx([-0.03, -0.03])
    assert scores("Basic", Right(), 40, 0, areas=1, settle=8) == pytest.approx([0.93])  # 9 to 16: it begins once
