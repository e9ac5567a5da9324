"""Every way in which a start can fail has a message with its cause and a remedy."""

import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import psutil
import pytest

from mlagents_envs.wire import launch
from mlagents_envs.wire.builds import lacks_data, wrong_file
from mlagents_envs.wire.diagnosis import (
    ConnectionPhase,
    behaviors_differ,
    no_display,
    versions_differ,
    why_exited,
    why_silent,
)
from mlagents_envs.wire.launch import Player
from mlagents_envs.wire.ports import port_held, who_holds

posix = pytest.mark.skipif(os.name == "nt", reason="scripts are players by their first line")
PATIENCE = 10  # seconds that a test waits for what must happen


@pytest.fixture
def play(tmp_path, monkeypatch):
    """A function that starts a Python program as a player, and ends it after the test."""
    monkeypatch.setattr(launch, "GRACE", 0.3)
    players = []

    def begin(text):
        file = tmp_path / "Player"
        file.write_text(f"#!{sys.executable} -ES\n{text}\n")
        file.chmod(0o755)
        players.append(Player(file, ()))
        return players[-1]

    yield begin
    for player in players:
        player.stop(0)


def ended(player):
    until = time.monotonic() + PATIENCE
    while player.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    return player


def silent(phase, player=None, *, editor=False):
    return why_silent(phase, seconds=60, editor=editor, player=player, limit=4 * 2**20)


# before the start


def elf(machine, order="<"):
    return b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(12) + struct.pack(order + "H", machine)


def portable(machine):
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", machine)


def mach(*processors):
    if len(processors) == 1:
        return b"\xcf\xfa\xed\xfe" + struct.pack("<I", processors[0])
    return (
        b"\xca\xfe\xba\xbe" + struct.pack(">I", len(processors)) + b"".join(struct.pack(">I16x", p) for p in processors)
    )


@pytest.mark.parametrize(
    ("system", "machine", "head", "sentence"),
    [
        ("linux", "x86_64", elf(62), None),
        ("linux", "x86_64", elf(3), None),
        ("linux", "x86_64", elf(183), "made for aarch64, and this machine is x86_64"),
        ("linux", "aarch64", elf(62), "made for x86_64, and this machine is aarch64"),
        ("linux", "x86_64", elf(21, ">"), "made for processor 0x15, and"),
        ("linux", "x86_64", portable(0x8664), "is a Windows program, and this is Linux"),
        ("linux", "x86_64", mach(0x01000007), "is a macOS program, and this is Linux"),
        ("linux", "s390x", elf(22), "made for processor 0x16, and this machine is s390x"),
        ("darwin", "arm64", mach(0x01000007), None),
        ("darwin", "arm64", mach(0x01000007, 0x0100000C), None),
        ("darwin", "x86_64", mach(0x0100000C), "made for aarch64, and this machine is x86_64"),
        ("darwin", "x86_64", mach(0x01000007, 0x0100000C), None),
        ("win32", "AMD64", portable(0x14C), None),
        ("win32", "AMD64", portable(0x8664), None),
        ("win32", "AMD64", portable(0xAA64), "made for aarch64, and this machine is x86_64"),
        ("win32", "ARM64", portable(0x8664), None),
        ("win32", "AMD64", elf(62), "is a Linux program, and this is Windows"),
        ("linux", "x86_64", b"MZ", "is no program"),
    ],
)  # fmt: skip
def test_a_file_says_by_its_first_bytes_where_it_runs(tmp_path, monkeypatch, system, machine, head, sentence):
    file = tmp_path / "Player"
    file.write_bytes(head)
    file.chmod(0o755)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    message = wrong_file(file)
    assert message is None if sentence is None else sentence in message


def test_this_python_can_be_run_here(tmp_path):
    assert wrong_file(tmp_path.__class__(sys.executable).resolve()) is None


def test_a_program_without_its_data_gets_a_sentence(tmp_path):
    file = tmp_path / "Walker.x86_64"
    file.write_bytes(elf(62))
    assert "is without its folder Walker_Data" in lacks_data(file)
    (tmp_path / "Walker_Data").mkdir()
    assert lacks_data(file) is None
    file.write_bytes(b"#!/bin/sh\n")
    (tmp_path / "Walker_Data").rmdir()
    assert lacks_data(file) is None


def test_a_player_with_graphics_needs_a_display_on_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert "--no-graphics" in no_display(no_graphics=False, environment={})
    assert no_display(no_graphics=True, environment={}) is None
    assert no_display(no_graphics=False, environment={"DISPLAY": ":0"}) is None
    assert no_display(no_graphics=False, environment={"WAYLAND_DISPLAY": "wayland-0"}) is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert no_display(no_graphics=False, environment={}) is None


@pytest.fixture
def listener():
    with socket.create_server(("localhost", 0)) as server:
        yield server.getsockname()[1]


def test_the_holder_of_a_port_is_named(listener):
    message = port_held(listener)
    assert f"port {listener} is held by process {os.getpid()} ({psutil.Process().name()}), started 2" in message
    assert "this process" in message
    assert "choose another base_port or worker_id" in message


def test_another_process_is_named_with_its_command():
    program = (
        "import socket, sys; s = socket.create_server(('localhost', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        port = int(other.stdout.readline())
        message = who_holds(port)
        other.communicate("\n")
    assert message.startswith(f"process {other.pid} (")
    assert "import socket" in message
    assert who_holds(port) is None


def test_secrets_of_a_process_are_left_out(listener, monkeypatch):
    def secret(*_):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", secret)
    assert f"process {os.getpid()}" in who_holds(listener)
    for question in ("name", "cmdline", "create_time"):
        monkeypatch.setattr(psutil.Process, question, secret)
    assert who_holds(listener) == f"process {os.getpid()}, which is this process"


def test_a_port_that_is_free_has_no_holder_and_some_ports_do_not_exist():
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    assert port_held(port) is None
    assert "does not exist" in port_held(70000)


# silence


@pytest.mark.parametrize(
    ("phase", "editor", "words"),
    [
        (ConnectionPhase.NOT_CONNECTED, True, ["No player connected for 60 s", "Press Play"]),
        (ConnectionPhase.NOT_CONNECTED, False, ["did not connect for 60 s", "Behavior Type", "--timeout-wait"]),
        (ConnectionPhase.CONNECTED, False, ["The player connected and then sent nothing for 60 s"]),
        (ConnectionPhase.RESETTING, False, ["no agent requests a decision", "Decision Requester", "Behavior Type is Default"]),
        (ConnectionPhase.RESETTING, True, ["The Unity Editor received the reset", "Play mode may also be paused"]),
        (ConnectionPhase.RUNNING, False, ["sent steps before", "for 60 s", "hangs"]),
        (ConnectionPhase.RUNNING, True, ["paused"]),
        (ConnectionPhase.REJECTED, False, ["limit of 4 MiB", "cut off", "compressed"]),
    ],
)
def test_silence_is_explained_by_how_far_the_conversation_came(phase, editor, words):
    message = silent(phase, editor=editor)
    assert [word for word in words if word not in message] == []


@posix
def test_the_silence_of_a_player_comes_with_its_last_lines(play):
    player = play("import time; print('Loading scene', flush=True); time.sleep(60)")
    until = time.monotonic() + PATIENCE
    while not player.last_lines(1):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert silent(ConnectionPhase.CONNECTED, player).endswith("Its last lines:\n    Loading scene")
    os.kill(player.pid, signal.SIGSTOP)
    while psutil.Process(player.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.02)
    assert f"kill -CONT {player.pid}" in silent(ConnectionPhase.CONNECTED, player)


@posix
def test_the_silence_of_a_player_that_ended_is_its_end(play):
    player = ended(play("raise SystemExit(3)"))
    assert silent(ConnectionPhase.NOT_CONNECTED, player) == why_exited(player)
    assert "limit of 4 MiB" in silent(ConnectionPhase.REJECTED, player)


# the end


@posix
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("Unable to open display", "xvfb-run"),
        ("./a: error while loading shared libraries: libGL.so.1: cannot open shared object file", "The shared library libGL.so.1"),
        ("./a: error while loading shared libraries: UnityPlayer.so: cannot open", "UnityPlayer.so is missing beside it"),
        ("There should be 'Walker_Data' folder next to the executable", "_Data folder is missing"),
        ("No valid license found", "license: activate"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "Memory ran out"),
        ("bind: Address already in use", "choose another base_port"),
        ("Failed to initialize graphics.", "--no-graphics"),
    ],
)  # fmt: skip
def test_known_causes_in_a_log_are_understood(play, line, hint):
    player = ended(play(f"print({line!r}); print('Bye.'); raise SystemExit(3)"))
    message = why_exited(player)
    assert f"{player.executable} (process {player.pid}) ended with status 3. " in message
    assert hint in message
    assert message.endswith(f"Its last lines:\n    {line}\n    Bye.")


@posix
def test_a_log_without_a_known_cause_is_only_quoted(play):
    message = why_exited(ended(play("for i in range(30): print('line', i)\nraise SystemExit(3)")))
    assert message.splitlines()[0].endswith("ended with status 3. Its last lines:")
    assert message.splitlines()[1:] == [f"    line {i}" for i in range(20, 30)]


@posix
@pytest.mark.parametrize("number", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_signal_is_named(play, number):
    message = why_exited(ended(play(f"import os, signal; os.kill(os.getpid(), signal.{number})")))
    assert f"was ended by signal {number}" in message
    assert ("memory" in message) == (number == "SIGKILL")
    assert "It printed nothing" in message


@posix
def test_a_player_that_quit_or_still_runs_is_told_so(play):
    assert "ended by itself with status 0" in why_exited(ended(play("")))
    assert "still running" in why_exited(play("import time; time.sleep(60)"))


@posix
def test_a_program_that_lost_its_data_is_told_so(tmp_path):
    if sys.platform != "linux":
        pytest.skip("programs of macOS have their data inside")
    player = Player(shutil.copy(shutil.which("false"), tmp_path / "Walker.x86_64"), ())
    assert "is without its folder Walker_Data" in why_exited(ended(player))
    player.stop(0)


# what does not fit


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        ("1.5.0", "1.5.0", True),
        ("1.5.0", "1.0.0", True),
        ("1.5.0", "1.9", True),
        ("1.5.0", "2.0.0", False),
        ("1.5.0", "0.15.0", False),
        ("0.15.0", "0.15.3", True),
        ("0.16.0", "0.15.0", False),
        ("1.5.0", "", False),
        ("1.5.0", "1", False),
        ("1.5.0", "1.5.0-preview", False),
        ("1.5.0", "1.5.0a1", True),
    ],
)
def test_versions_fit_by_their_majors(ours, theirs, fits):
    message = versions_differ(ours, theirs, "3.0.0")
    assert message is None if fits else ("com.unity.ml-agents 3.0.0" in message and "releases" in message)


def test_versions_that_differ_are_both_named():
    assert "has communication version 2.0.0, and this package 1.5.0" in versions_differ("1.5.0", "2.0.0", "9.0.0")


def test_behaviors_of_build_and_file_are_laid_beside_each_other():
    assert behaviors_differ(["Walker?team=0", "Walker?team=1"], ["Walker"]) == []
    assert behaviors_differ(["Walker?team=0", "Crawler?team=0"], ["walkr", "Crawler", "Snake"]) == [
        "the build has 'Walker', and the file does not; is 'walkr' meant?",
        "the file has 'Snake', and the build does not",
        "the file has 'walkr', and the build does not; is 'Walker' meant?",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux may be without a screen")
def test_a_player_that_ends_without_a_word_may_have_wanted_a_window(play, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    player = ended(play("raise SystemExit(1)"))
    assert "If it wanted a window: no display is here" in why_exited(player, wanted_window=True)
    assert "display" not in why_exited(player)
    monkeypatch.setenv("DISPLAY", ":0")
    assert "display" not in why_exited(player, wanted_window=True)
