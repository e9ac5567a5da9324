"""A run that is watched while it trains, by whoever asks for frames as the page does."""

import re
import shlex
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mlagents.cli import parse_command_line
from mlagents.envs import watched
from mlagents.envs.registry import check
from mlagents.learn import main
from mlagents_envs.watch import server as watch_server
from mlagents_envs.watch.frames import decode
from mlagents_envs.watch.server import Server

BASIC = """
behaviors:
  Basic:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: MAX
    time_horizon: 3
"""
PATIENCE = 60  # s
ROOT = Path(__file__).parents[3]


class Watcher:
    """Stands for the browser: asks for frame after frame until nobody answers."""

    def __init__(self, *, enough=0):
        """enough: frames after which the run is ended as by Ctrl-C; 0 lets it go on."""
        self.address, self.seen = "", []
        self._enough = enough
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def open(self, address):
        self.address = address
        self._thread.start()
        return True

    def _watch(self):
        number = 0
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}frame?after={number}", timeout=PATIENCE) as answer:
                    if answer.status == 204:
                        continue
                    number = int(answer.headers["Frame"])
                    self.seen.append(decode(answer.read())[0])
            except (urllib.error.URLError, ConnectionError):
                return
            if len(self.seen) == self._enough:
                signal.raise_signal(signal.SIGINT)

    def end(self):
        """Wait until nobody answers any more."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def port(self):
        return int(self.address.rstrip("/").rpartition(":")[2])


@pytest.fixture
def learn(tmp_path, monkeypatch):
    """A function that runs `mlagents-learn --watch` in an empty folder, with somebody in the browser's place."""
    monkeypatch.chdir(tmp_path)

    def run(watcher, *flags, steps, env="builtin:Basic"):
        monkeypatch.setattr(watched, "open_page", watcher.open)
        Path("basic.yaml").write_text(BASIC.replace("MAX", str(steps)), encoding="utf-8")
        return main(["basic.yaml", "--env", env, "--run-id", "first", "--watch", *flags])

    return run


def test_the_command_of_the_page_about_watching_is_understood(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = Path("docs/watching.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^mlagents-learn (.* --watch)$", page, re.MULTILINE)
    options, warnings = parse_command_line(shlex.split(command))
    assert options.env_settings.watch and not warnings
    check(options.env_settings)


def nobody_listens(port):
    with socket.socket() as probe:
        probe.settimeout(PATIENCE)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_page_shows_a_run_while_it_trains_until_it_is_ended(learn):
    watcher = Watcher(enough=8)
    assert learn(watcher, steps=50_000_000) == 0
    watcher.end()
    assert [facts["title"] for facts in watcher.seen] == ["Basic, run first"] * len(watcher.seen)
    assert {facts["mode"] for facts in watcher.seen} == {"training"}
    episodes = [facts["episodes"] for facts in watcher.seen]
    assert episodes == sorted(episodes) and episodes[-1] > episodes[0]
    assert Path("results/first/Basic.onnx").is_file()
    assert nobody_listens(watcher.port)


def test_a_run_that_comes_to_its_end_leaves_nothing_behind(learn):
    watcher = Watcher()
    threads = set(threading.enumerate())
    assert learn(watcher, steps=300) == 0
    watcher.end()
    assert nobody_listens(watcher.port)
    assert not [thread for thread in threading.enumerate() if thread not in threads and thread.name == "watch"]


def test_two_runs_are_watched_at_different_ports_and_each_says_its_own(learn, capsys):
    first, second = Server(6007), Watcher()
    try:
        assert learn(second, steps=300) == 0
    finally:
        first.close()
    second.end()
    assert second.port != first.port
    assert f"Watch at {second.address}." in capsys.readouterr().out


def test_a_run_that_finds_no_port_says_what_to_do(learn, capsys, monkeypatch):
    taken = Server(6007)
    monkeypatch.setattr(watch_server, "PORTS", 1)
    try:
        assert learn(Watcher(), steps=300) != 0
    finally:
        taken.close()
    assert "end another run that is watched, or leave --watch away" in capsys.readouterr().out


def test_no_browser_here_is_no_reason_not_to_train(learn, capsys):
    watcher = Watcher()
    watcher.open = lambda address: False
    assert learn(watcher, steps=300) == 0
    assert "open that address in a browser of this machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("env", "flags", "reason"),
    [
        ("gym:CartPole-v1", (), "--watch shows builtin: environments only"),
        ("builtin:Basic", ("--num-envs", "2"), "--watch needs it in this process"),
    ],
)
def test_what_cannot_be_watched_is_refused_at_once(learn, capsys, env, flags, reason):
    assert learn(Watcher(), *flags, steps=300, env=env) != 0
    assert reason in capsys.readouterr().err
