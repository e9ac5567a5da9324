"""Commands run under their earlier module names too: scripts and executables of earlier releases name them so."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("earlier", "present", "option"),
    [
        ("mlagents_envs.examples.serve", "mlagents_envs.player.serve", "--mlagents-port"),
        ("mlagents_envs.examples.check", "mlagents_envs.fidelity.check", "--reference"),
    ],
)
def test_a_command_runs_under_its_earlier_name(earlier, present, option):
    done = subprocess.run([sys.executable, "-m", earlier, "--help"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m {present} ")
    assert option in done.stdout
