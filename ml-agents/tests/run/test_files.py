"""Files that are there whole or not at all, and what a run finds in its folder."""

import errno
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mlagents.errors import CheckpointError, NonFiniteError, ResultsError
from mlagents.run.atomic import write_atomically, write_text_atomically
from mlagents.run.checkpoints import Checkpoints, load_checkpoint
from mlagents.run.results import ResultsFolder
from mlagents.run.settings import CheckpointSettings
from mlagents.run.status import Status


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "results" / "run")
    folder.create()
    return folder


@pytest.fixture
def checkpoints(results):
    status = Status(results.status, {"mlagents_version": "2", "torch_version": "2"})
    return Checkpoints(results, "B", status, keep=2)


def state(step):
    return {
        "Policy": {"weight": torch.full((3,), float(step))},
        "global_step": {"_GlobalSteps__global_step": torch.tensor([step])},
    }


def export(path):
    path.write_bytes(path.stem.encode())


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    file = tmp_path / "a"
    write_text_atomically(file, "old")

    def full(target):
        target.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, full)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_oldest_checkpoints_are_deleted(checkpoints):
    for step in (1, 2, 3):
        checkpoints.save(step, state(step), reward=0.5, export=export)
    assert sorted(file.name for file in checkpoints.folder.iterdir()) == [
        "B-2.onnx",
        "B-2.pt",
        "B-3.onnx",
        "B-3.pt",
        "checkpoint.pt",
    ]
    assert [entry["steps"] for entry in checkpoints.entries] == [2, 3]
    assert load_checkpoint(checkpoints.newest)["Policy"]["weight"].tolist() == [3, 3, 3]


def test_all_checkpoints_are_kept_if_asked(results, checkpoints):
    checkpoints.keep = 0
    for step in range(8):
        checkpoints.save(step, state(step), reward=None, export=export)
    assert len(checkpoints.entries) == 8


def test_the_status_file_has_the_official_keys(results, checkpoints):
    checkpoints.save(5, state(5), reward=1.5, export=export)
    assert checkpoints.finish() == results.model("B")
    assert results.model("B").read_bytes() == b"B-5"
    said = json.loads(results.status.read_text())
    (entry,) = said["B"]["checkpoints"]
    assert list(entry) == ["steps", "file_path", "reward", "creation_time", "auxillary_file_paths"]
    assert said["B"]["final_checkpoint"]["file_path"] == str(results.model("B"))
    assert said["metadata"] == {"stats_format_version": "0.3.0", "mlagents_version": "2", "torch_version": "2"}


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(checkpoints, monkeypatch):
    checkpoints.save(1, state(1), reward=None, export=export)

    def full(*_):
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"could not be written .* The one before it is untouched"):
        checkpoints.save(2, state(2), reward=None, export=export)
    assert load_checkpoint(checkpoints.newest)["Policy"]["weight"].tolist() == [1, 1, 1]
    assert [entry["steps"] for entry in checkpoints.entries] == [1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_a_device_that_is_really_full_is_a_sentence(checkpoints):
    def to_full_device(path):
        with open("/dev/full", "wb") as device:
            device.write(b"x")

    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoints.save(1, state(1), reward=None, export=to_full_device)


WRITE_FOREVER = """
import sys, torch
from pathlib import Path
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status
folder = ResultsFolder(Path(sys.argv[1])); folder.create()
checkpoints = Checkpoints(folder, "B", Status(folder.status, {}), keep=2)
step = 0
while True:
    step += 1
    step_state = {"_GlobalSteps__global_step": torch.tensor([step])}
    checkpoints.save(step, {"Policy": {"w": torch.full((300000,), float(step))}, "global_step": step_state},
                     reward=None, export=lambda path: path.write_bytes(b"x"))
    print(step, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no kill of this kind")
def test_a_writer_that_is_killed_always_leaves_a_whole_checkpoint(tmp_path):
    chance = random.Random(1)
    for attempt in range(5):
        run = tmp_path / str(attempt)
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(run)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        found = load_checkpoint(run / "B" / "checkpoint.pt")
        step = int(found["global_step"]["_GlobalSteps__global_step"])
        assert step >= 1
        assert (found["Policy"]["w"] == step).all()
        json.loads((run / "run_logs" / "training_status.json").read_text())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_broken_checkpoint_gets_a_sentence(tmp_path, content):
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        load_checkpoint(file)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    file, trace = tmp_path / "checkpoint.pt", tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (trace,))

    torch.save({"Policy": Evil(), "global_step": 0}, file)
    with pytest.raises(CheckpointError):
        load_checkpoint(file)
    assert not trace.exists()


def test_something_else_than_a_policy_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of a policy"):
        load_checkpoint(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="is not there"):
        load_checkpoint(tmp_path / "b.pt")


def test_a_status_of_another_version_warns_and_one_without_metadata_is_refused(tmp_path, caplog):
    file = tmp_path / "training_status.json"
    Status(file, {"mlagents_version": "1.1.0", "torch_version": "2"}).set("B", elo=3.0)
    logging.getLogger("mlagents").propagate = True
    later = Status(file, {"mlagents_version": "2", "torch_version": "2"})
    later.load()
    assert later.get("B", "elo", None) == 3.0
    assert "begun with mlagents_version 1.1.0" in caplog.text
    file.write_text("{}")
    with pytest.raises(CheckpointError, match="Metadata not found"):
        later.load()
    file.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        later.load()


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "C:", "what?"])
def test_a_behavior_whose_name_is_no_folders_name_is_refused(results, name):
    with pytest.raises(ResultsError, match="cannot be a folder's name"):
        results.behavior(name)


def test_force_deletes_old_curves_and_nothing_else(results):
    folder = results.behavior("B")
    folder.mkdir()
    (folder / "events.out.tfevents.1").write_text("x")
    (folder / "B-5.pt").write_text("x")
    results.clear_old("B")
    assert [file.name for file in folder.iterdir()] == ["B-5.pt"]


def test_nothing_is_created_by_looking(tmp_path):
    folder = ResultsFolder(tmp_path / "results" / "run")
    folder.check(CheckpointSettings())
    with pytest.raises(ResultsError, match="nothing to resume"):
        folder.check(CheckpointSettings(resume=True))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results").mkdir()
    folder.root.write_text("x")
    with pytest.raises(ResultsError, match="is a file"):
        folder.check(CheckpointSettings(force=True))


def keep_two(results, *paths):
    """Save until the first of three checkpoints, which the status knows under these paths, is pruned."""
    status = Status(results.status, {"mlagents_version": "2", "torch_version": "2"})
    entry = {"steps": 1, "file_path": paths[0], "reward": None, "creation_time": 0.0,
             "auxillary_file_paths": list(paths[1:])}  # fmt: skip
    status.set("B", checkpoints=[entry])
    checkpoints = Checkpoints(results, "B", status, keep=2)
    for step in (2, 3):
        checkpoints.save(step, state(step), reward=None, export=export)
    return checkpoints


@pytest.mark.parametrize("prefix", ["results/run/B/", "C:\\runs\\run\\B\\", "/elsewhere/run/B/", ""])
def test_pruning_finds_its_own_files_wherever_the_run_was_before(results, prefix):
    folder = results.behavior("B")
    folder.mkdir()
    for name in ("B-1.onnx", "B-1.pt"):
        (folder / name).write_text("old")
    keep_two(results, f"{prefix}B-1.onnx", f"{prefix}B-1.pt")
    assert sorted(file.name for file in folder.glob("B-*")) == ["B-2.onnx", "B-2.pt", "B-3.onnx", "B-3.pt"]


def test_nothing_outside_the_runs_own_folder_is_ever_pruned(results, tmp_path):
    victim, beside = tmp_path / "B-1.onnx", results.root / "notes.txt"
    victim.write_text("mine")
    beside.write_text("mine")
    keep_two(results, str(victim), str(beside), "../notes.txt", "checkpoint.pt", "B-2.onnx/../../../../B-1.onnx")
    assert victim.exists() and beside.exists()
    assert (results.behavior("B") / "checkpoint.pt").exists()


@pytest.mark.parametrize("place", ["Policy", "Optimizer:value_optimizer", "nested"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_checkpoint_is_written_only_if_it_is_finite(checkpoints, place, value):
    checkpoints.save(1, state(1), reward=None, export=export)
    bad = {**state(2), place: {"state": [{"w": torch.tensor([1.0, value])}]}}
    with pytest.raises(NonFiniteError, match=rf"B: {place}\.state\.0\.w holds .*checkpoint\.pt"):
        checkpoints.save(2, bad, reward=None, export=export)
    assert load_checkpoint(checkpoints.newest)["Policy"]["weight"].tolist() == [1, 1, 1]
    assert sorted(file.name for file in checkpoints.folder.iterdir()) == ["B-1.onnx", "B-1.pt", "checkpoint.pt"]


def test_large_weights_that_sum_to_infinity_are_finite_all_the_same(checkpoints):
    large = {**state(1), "Policy": {"w": torch.full((4,), 3e38)}}
    checkpoints.save(1, large, reward=None, export=export)
    assert checkpoints.newest.exists()


def test_what_a_killed_run_left_half_done_is_cleared_and_nothing_else(results, checkpoints):
    for step in (1, 2):
        checkpoints.save(step, state(step), reward=None, export=export)
    folder = checkpoints.folder
    for name in (".B-3.pt.77.part", "B-3.pt", "B-3.onnx", "notes.txt", "B-best.pt", "B-0.pt"):
        (folder / name).write_text("x")
    (results.logs / ".training_status.json.77.part").write_text("x")
    results.clear_parts()
    checkpoints.clear_leftovers()
    assert sorted(file.name for file in folder.iterdir()) == [
        "B-0.pt", "B-1.onnx", "B-1.pt", "B-2.onnx", "B-2.pt", "B-best.pt", "checkpoint.pt", "notes.txt",
    ]  # fmt: skip
    assert [file.name for file in results.logs.iterdir()] == ["training_status.json"]


def test_where_no_list_tells_what_is_left_over_nothing_is_cleared(results):
    folder = results.behavior("B")
    folder.mkdir()
    (folder / "B-3.pt").write_text("x")
    Checkpoints(results, "B", Status(results.status, {}), keep=2).clear_leftovers()
    assert (folder / "B-3.pt").exists()


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ([], "Metadata not found"),
        ({"metadata": 3}, "Metadata not found"),
        ({"metadata": {}, "B": 5}, "B is 5; it must be a table"),
        ({"metadata": {}, "B": {"checkpoints": {}}}, r"B\.checkpoints is \{\}; it must be a list"),
        ({"metadata": {}, "B": {"checkpoints": [7]}}, r"B\.checkpoints\[0\] is 7; it must be a table"),
        ({"metadata": {}, "B": {"checkpoints": [{"steps": "x", "file_path": ""}]}}, r"\[0\]\.steps is 'x'; it must be a wh"),
        ({"metadata": {}, "B": {"checkpoints": [{"steps": 1, "file_path": None}]}}, r"file_path is None; it must be text"),
        (
            {"metadata": {}, "B": {"checkpoints": [{"steps": 1, "file_path": "", "auxillary_file_paths": [1]}]}},
            "must be a list of text",
        ),
    ],
)
def test_a_status_with_wrong_types_is_a_sentence_with_their_place(tmp_path, content, place):
    file = tmp_path / "training_status.json"
    file.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=place):
        Status(file, {}).load()


@pytest.mark.parametrize("content", ["", "[" * 100_000, "\0", "{\"metadata\": {}", "NaN"])
def test_a_damaged_status_is_a_sentence(tmp_path, content):
    file = tmp_path / "training_status.json"
    file.write_text(content)
    with pytest.raises(CheckpointError, match=r"training_status\.json"):
        Status(file, {}).load()


def test_a_broken_newest_checkpoint_names_the_numbered_one_that_is_whole(checkpoints):
    for step in (9, 10):
        checkpoints.save(step, state(step), reward=None, export=export)
    (checkpoints.folder / "B-10.pt").write_bytes(b"PK broken")
    checkpoints.newest.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"B-9\.pt is whole: copy it to checkpoint\.pt and resume"):
        load_checkpoint(checkpoints.newest)


def test_a_second_lock_on_a_folder_is_refused_until_the_first_is_gone(results):
    other = ResultsFolder(results.root)
    with pytest.raises(ResultsError, match="another run is training"):
        other.lock()
    results.unlock()
    other.lock()
    other.unlock()
    assert not (results.root / ".lock").exists()


@pytest.mark.parametrize("run_id", ["", " ", "..", "a/../b", "/tmp/x", "C:\\x", "a\nb", "a\0b", "\udcff", "x" * 300, "."])
def test_a_run_id_that_is_no_name_is_refused_before_anything_is_made(tmp_path, run_id):
    with pytest.raises(ResultsError, match="--run-id"):
        ResultsFolder(tmp_path / "results" / "run").check(CheckpointSettings(run_id=run_id))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run_id", ["run", "team/first", "12:30", "größe", "a.b"])
def test_other_run_ids_are_taken(tmp_path, run_id):
    ResultsFolder(tmp_path / "results" / "run").check(CheckpointSettings(run_id=run_id))
