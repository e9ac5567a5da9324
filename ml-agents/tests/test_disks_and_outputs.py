"""Disks that fill, folders that vanish, and outputs that nobody can read: a sentence each, and nothing lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from basic_run import wait_for

BASIC = """
behaviors:
  Basic:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: MAX
    time_horizon: 3
    summary_freq: 200
    checkpoint_interval: 300
"""
pytestmark = pytest.mark.skipif(os.name == "nt", reason="these devices and signals are not there")


def mlagents(*flags, cwd, out=subprocess.PIPE, module="mlagents", **more):
    return subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=cwd, stdout=out, stderr=subprocess.PIPE, timeout=120, **more
    )


def train(cwd, *flags, steps=1500, **more):
    (cwd / "basic.yaml").write_text(BASIC.replace("MAX", str(steps)))
    return mlagents("basic.yaml", "--env", "builtin:Basic", "--run-id", "run", *flags, cwd=cwd, **more)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize("flags", [["--help"], ["--schema"], []])
def test_an_output_that_is_full_is_a_sentence(tmp_path, flags):
    with open("/dev/full", "w") as full:
        done = mlagents(*flags, cwd=tmp_path, out=full) if flags else train(tmp_path, out=full)
    told = done.stderr.decode()
    assert done.returncode == 2
    assert told.count("standard output cannot be written: No space left on device") == 1
    assert "Traceback" not in told and "Exception ignored" not in told and "Logging error" not in told
    if not flags:
        assert (tmp_path / "results/run/Basic.onnx").exists()  # the run went on and lost nothing


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize(
    "module",
    [
        "mlagents.doctor.command", "mlagents.evaluation_tool", "mlagents.plugin_tool", "mlagents_envs.watch.command",
        "mlagents_envs.player.serve",
    ],
)
def test_every_command_outlives_its_output(tmp_path, module):
    with open("/dev/full", "w") as full:
        done = mlagents("--help", cwd=tmp_path, out=full, module=module)
    assert done.returncode == 2
    assert done.stderr.decode() == "standard output cannot be written: No space left on device\n"


def test_a_reader_that_has_read_enough_ends_nothing(tmp_path):
    (tmp_path / "basic.yaml").write_text(BASIC.replace("MAX", "1500"))
    program = f"{sys.executable} -m mlagents basic.yaml --env builtin:Basic --run-id run | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {program}"], cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr == b""
    assert (tmp_path / "results/run/Basic.onnx").exists()


def test_an_output_that_cannot_write_a_letter_gets_an_escape(tmp_path):
    done = train(tmp_path, "--results-dir", "größe", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert b"gr\\xf6\\xdfe" in done.stdout
    assert (tmp_path / "größe/run/Basic.onnx").exists()


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no disk of its own can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_in_mid_run_is_a_sentence_and_leaves_the_last_whole_checkpoint(tmp_path, disk):
    (tmp_path / "basic.yaml").write_text(BASIC.replace("MAX", "100000000"))
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run",
               "--results-dir", str(disk)]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    newest = disk / "run/Basic/checkpoint.pt"
    wait_for(newest.exists, process)
    subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'filler'}"], capture_output=True)
    told = ""
    for line in process.stdout:
        told += line
        if "tried again at step" in line:
            break
    process.terminate()
    told += process.communicate(timeout=60)[0]
    assert process.returncode == 2, told
    assert "Traceback" not in told
    assert "No space left on device" in told
    assert "The one before it is untouched" in told
    torch.load(newest, weights_only=True)
    (disk / "filler").unlink()
    done = train(tmp_path, "--resume", "--results-dir", str(disk), steps=1)
    assert done.returncode == 0, done.stdout + done.stderr  # it goes on from there


def test_a_disk_that_is_emptied_again_is_written_to_again(tmp_path, disk):
    (tmp_path / "basic.yaml").write_text(BASIC.replace("MAX", "100000000"))
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run",
               "--results-dir", str(disk)]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    newest = disk / "run/Basic/checkpoint.pt"
    wait_for(newest.exists, process)
    subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'filler'}"], capture_output=True)
    for line in process.stdout:
        if "tried again at step" in line:
            break
    (disk / "filler").unlink()
    for line in process.stdout:
        if "Exported" in line:
            break
    process.terminate()
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 0, told
    assert (disk / "run/Basic.onnx").exists()


@pytest.mark.parametrize("fate", ["deleted", "moved", "made a file"])
def test_a_folder_that_vanishes_in_mid_run_costs_no_run(tmp_path, fate):
    (tmp_path / "basic.yaml").write_text(BASIC.replace("MAX", "100000000"))
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    run = tmp_path / "results/run"
    wait_for((run / "Basic/checkpoint.pt").exists, process)
    if fate == "moved":
        run.rename(tmp_path / "results/elsewhere")
    else:
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
    if fate == "made a file":
        shutil.rmtree(run, ignore_errors=True)
        run.write_text("in the way")
    told = ""
    for line in process.stdout:
        told += line
        if "Exported" in line and fate != "made a file" and (run / "Basic/checkpoint.pt").exists():
            break
        if "tried again at step" in line:
            break
    process.terminate()
    told += process.communicate(timeout=60)[0]
    assert "Traceback" not in told
    if fate == "made a file":
        assert process.returncode == 2, told
        assert str(Path("results/run")) in told
    else:
        assert process.returncode == 0, told
        assert (run / "Basic.onnx").exists()


def test_returns_of_any_size_fit_a_histogram():
    import numpy as np

    from mlagents.run.writers import histogram

    for values in ([1e300, -1e300], [1e308] * 3, [5e-324, 0.0], [1e16, 1e16 + 2], [3.0], [np.nan, np.inf], [-1e-320]):
        shown = histogram(np.array(values))
        assert np.isfinite([shown.min, shown.max, shown.sum, shown.sum_squares]).all()
        assert sum(shown.bucket) == shown.num
        assert (np.diff(shown.bucket_limit) > 0).all()


@pytest.mark.parametrize("name", ["x" * 300, "a/../../b", "\udcff"])
def test_a_name_that_no_folder_can_have_is_a_sentence(tmp_path, name):
    (tmp_path / "basic.yaml").write_text(BASIC.replace("MAX", "100"))
    done = mlagents("basic.yaml", "--env", "builtin:Basic", "--run-id", os.fsencode(name), cwd=tmp_path)
    assert done.returncode == 2
    told = (done.stdout + done.stderr).decode(errors="replace")
    assert "--run-id" in told
    assert "Traceback" not in told
    assert not (tmp_path / "results").exists()
