"""Environments and processes: forks, threads that end, and constructors that fail."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from mlagents_envs.environment import UnityEnvironment
from mlagents_envs.exception import UnityEnvironmentException, UnityException
from mlagents_envs.wire.player_connection import PlayerConnection

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORK = """
import os, sys
from mlagents_envs.environment import UnityEnvironment
env = UnityEnvironment(sys.argv[1], timeout_wait=20)
env.reset()
if sys.argv[2] == "fork":
    child = os.fork()
    if child == 0:
        for use in (env.step, env.reset, env.step):
            try:
                use()
            except Exception as error:
                print("child:", error, flush=True)
        if len(sys.argv) > 3:
            env.close()
        sys.exit(0)
    status = os.waitpid(child, 0)[1]
else:
    import multiprocessing
    def use():
        try:
            env.step()
        except Exception as error:
            print("child:", error, flush=True)
    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    child.join(60)
    status = child.exitcode
print("status", status)
for _ in range(5):
    env.step()
print("parent steps on")
env.close()
print("closed")
"""


@posix
@pytest.mark.parametrize("how", [("fork",), ("fork", "close"), ("multiprocessing",)])
def test_a_fork_is_told_that_it_cannot_use_the_environment_and_leaves_it_to_its_parent(builds, how):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, builds(), *how], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    reports = [line for line in lines if line.startswith("child:")]
    assert len(reports) == (1 if how == ("multiprocessing",) else 3), done.stderr
    assert all("was opened in another process" in line and "get_context('spawn')" in line for line in reports)
    assert lines[-3:] == ["status 0", "parent steps on", "closed"], done.stderr


def test_an_environment_made_in_a_thread_that_has_ended_goes_on(start, players):
    made = []
    thread = threading.Thread(target=lambda: made.append(start()))
    thread.start()
    thread.join()
    time.sleep(0.3)
    (env,) = made
    env.reset()
    env.step()
    env.close()
    assert not players()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, OSError, UnityException])
def test_whatever_ends_a_constructor_leaves_no_player_behind(builds, monkeypatch, error):
    before = set(psutil.Process().children())

    def broken(self, handshake_reply):
        assert set(psutil.Process().children()) - before
        raise error("now")

    monkeypatch.setattr(PlayerConnection, "handshake", broken)
    with pytest.raises(error):
        UnityEnvironment(builds(), timeout_wait=20)
    assert not set(psutil.Process().children()) - before


def test_an_interruption_while_the_player_starts_leaves_nothing_behind(builds, monkeypatch, free_port):
    before = set(psutil.Process().children())
    from mlagents_envs.wire import group

    class Interrupted(group.Future):
        def result(self, timeout=None):
            if not self.done():
                started = super().result(timeout)
                assert started.poll() is None
                raise KeyboardInterrupt
            return super().result(timeout)

    monkeypatch.setattr(group, "Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        UnityEnvironment(builds(), base_port=free_port, timeout_wait=20)
    assert not set(psutil.Process().children()) - before
    monkeypatch.undo()
    UnityEnvironment(builds(), base_port=free_port, timeout_wait=20).close()  # the port is free again


def test_a_port_that_is_taken_starts_no_player(builds, start, players, free_port):
    start(base_port=free_port)
    before = len(players())
    with pytest.raises(UnityException, match="taken by"):
        UnityEnvironment(builds(), base_port=free_port, timeout_wait=5)
    assert len(players()) == before


def test_a_build_that_is_none_leaves_nothing_behind(tmp_path):
    children = len(psutil.Process().children(recursive=True))
    (tmp_path / "broken.x86_64").write_text("no program")
    with pytest.raises(UnityEnvironmentException):
        UnityEnvironment(str(tmp_path / "broken.x86_64"), timeout_wait=5)
    assert len(psutil.Process().children(recursive=True)) == children
