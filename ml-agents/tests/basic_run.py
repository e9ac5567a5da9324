"""A small run of Basic, as several tests make it, and what it leaves."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

BASIC = """
behaviors:
  Basic:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    reward_signals: {extrinsic: {gamma: 0.9}}
    max_steps: MAX
    time_horizon: 3
    summary_freq: 200
    checkpoint_interval: 300
    keep_checkpoints: 2
"""


def files(root="results/run"):
    return sorted(str(file.relative_to(root)) for file in Path(root).rglob("*") if file.is_file())


def weights(path="results/run/Basic/checkpoint.pt"):
    return torch.load(path, weights_only=True)


def status():
    return json.loads(Path("results/run/run_logs/training_status.json").read_text())


def everything(root="results/run"):
    """What lies in a run's folder: contents and times of all files."""
    return {name: (Path(root, name).read_bytes(), Path(root, name).stat().st_mtime_ns) for name in files(root)}


def start(*flags):
    """Start the command as a process of its own, with no end in sight."""
    Path("long.yaml").write_text(BASIC.replace("MAX", "100000000"))
    command = [sys.executable, "-m", "mlagents", "long.yaml", "--env", "builtin:Basic", "--run-id", "run", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")
