"""How `mlagents-evaluate` ends, and what it shows until then."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from mlagents import evaluation_tool
from mlagents.evaluation.settings import MAX_LENGTH, SEED
from mlagents.evaluation_tool import Progress
from mlagents.training.evaluate import EPISODES
from mlagents_envs.examples.basic import Basic
from mlagents_envs.exception import UnityTimeOutException


class Stopping:
    """An environment that is interrupted, or breaks, after so many steps."""

    def __init__(self, monkeypatch, then, after):
        step, left = Basic.step, iter(range(after))

        def counted(env):
            if next(left, None) is None:
                then()
            step(env)

        monkeypatch.setattr(Basic, "step", counted)


def test_ctrl_c_prints_what_has_ended_and_the_status_says_so(evaluate, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    Stopping(monkeypatch, lambda: signal.raise_signal(signal.SIGINT), 200)
    status, printed = evaluate("run", "--episodes", "100000", "--stochastic", "--json")
    found = json.loads(printed.out)
    assert status == 130 and found["complete"] is False
    ended = found["behaviors"]["Basic"]["episodes"]
    assert 0 < ended < 200
    assert f"Stopped: {ended} of 100000 episodes have ended." in printed.err
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_environment_that_breaks_leaves_what_has_ended_and_status_1(evaluate, monkeypatch):
    def broken():
        raise UnityTimeOutException("the environment broke")

    Stopping(monkeypatch, broken, 200)
    status, printed = evaluate("run", "--episodes", "100000", "--stochastic")
    assert status == 1 and "Basic: " in printed.out
    assert printed.err.endswith("the environment broke\n") and "Traceback" not in printed.err


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
def test_ctrl_c_ends_players_too(trained):
    command = [sys.executable, "-m", "mlagents.evaluation_tool", "run", "--env", "builds/Basic", "--num-envs", "2",
               "--stochastic", "--episodes", "10000000"]  # fmt: skip
    process = subprocess.Popen(command, cwd=trained, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    before = ""
    while "Connected" not in before:
        before += (line := process.stderr.readline())
        assert line, before
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "Stopped" in err
    assert len(family) >= 4 and not psutil.wait_procs(family, timeout=30)[1]  # workers and players


@pytest.mark.skipif(os.name == "nt", reason="these devices are not there")
def test_a_reader_that_has_read_enough_ends_nothing(trained):
    program = f"{sys.executable} -m mlagents.evaluation_tool run --episodes 5 --stochastic --json | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {program}"], cwd=trained, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, b"{\n")
    assert b"Traceback" not in done.stderr and b"cannot be written" not in done.stderr


class Stream:
    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("terminal", "shown"),
    [(True, "\r10 of 40 episodes\r20 of 40 episodes\r30 of 40 episodes\r                 \r"), (False, "20 of 40 episodes\n")],
)
def test_progress_is_shown_on_one_line_of_a_terminal_and_seldom_elsewhere(terminal, shown):
    stream, now = Stream(terminal), [0.0]
    progress = Progress(stream, clock=lambda: now[0])
    for ended, wanted, seconds in ((0, 40, 0.1), (0, 0, 2.0), (10, 40, 5.0), (20, 40, 11.0), (30, 40, 15.0), (40, 40, 15.1)):
        now[0] = seconds
        progress.show(ended, wanted)
    progress.close()
    assert stream.text == shown


def test_the_help_names_the_defaults_that_hold():
    text = evaluation_tool.make_parser().format_help()
    assert f"({MAX_LENGTH})" in text and f"({SEED})" in text and f"({EPISODES})" in text
