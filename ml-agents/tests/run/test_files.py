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

from mlagents.run.atomic import write_atomically, write_text_atomically
from mlagents.run.checkpoints import Checkpoints, load_checkpoint
from mlagents.run.errors import CheckpointError, ResultsError
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
    results.clear_events("B")
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
