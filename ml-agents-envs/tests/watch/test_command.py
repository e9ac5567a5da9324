import io
import os
import subprocess
import sys
import threading
import urllib.request
import webbrowser

import pytest
from PIL import Image

from mlagents_envs.watch import browser, command
from mlagents_envs.watch.command import main

from .watcher import Watcher


def wrong(capsys, *arguments):
    """The error message of a mistake."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.strip()


def test_an_unknown_example_names_the_near_ones(capsys):
    assert "did you mean '3DBall'?" in wrong(capsys, "builtin:3dbal")


@pytest.mark.parametrize("number", ["0", "-3", "1000000000000"])
def test_an_impossible_number_of_areas_is_a_sentence(capsys, number):
    message = wrong(capsys, "builtin:Basic", "--areas", number, "--no-browser")
    assert f"areas is {number}; there must be at least 1 and at most 1,000,000" in message


def test_an_impossible_seed_is_a_sentence(capsys):
    assert "seed is -1; it must not be negative" in wrong(capsys, "builtin:Basic", "--seed", "-1", "--no-browser")


def test_a_run_that_is_not_there_is_a_sentence(capsys, tmp_path):
    message = wrong(capsys, "builtin:Basic", "--run", "first", "--results-dir", str(tmp_path))
    assert message == f"--run first: there is no folder {tmp_path / 'first'}; give --results-dir"


def test_a_run_of_something_else_says_what_it_has(capsys, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "3DBall.onnx").touch()
    message = wrong(capsys, "builtin:Basic", "--run", "first", "--results-dir", str(tmp_path))
    assert message.endswith("has no Basic.onnx, but 3DBall.onnx")


def test_a_model_that_is_not_there_is_a_sentence(capsys, tmp_path):
    assert "there is no such model" in wrong(capsys, "builtin:Basic", "--model", str(tmp_path / "no.onnx"))


def test_match3_cannot_be_played_with_keys(capsys):
    pytest.importorskip("numba")
    assert "too many actions for --keyboard" in wrong(capsys, "builtin:Match3", "--keyboard")


@pytest.mark.parametrize("flag", ["--record", "--record-demo"])
def test_a_recording_that_is_there_is_replaced_only_if_asked(capsys, tmp_path, flag):
    file = tmp_path / ("mine.gif" if flag == "--record" else "mine.demo")
    file.write_bytes(b"mine")
    assert wrong(capsys, "builtin:Basic", flag, str(file)) == (
        f"{flag} {file}: it is there already; name another file, or replace it with --overwrite"
    )
    assert file.read_bytes() == b"mine"
    if flag == "--record":
        assert main(["builtin:Basic", flag, str(file), "--seconds", "0.2", "--overwrite"]) == 0
        assert file.read_bytes() != b"mine"


@pytest.mark.parametrize("flag", [["--keyboard"], ["--record-demo", "mine.demo"]])
def test_what_needs_the_page_is_not_recorded_without_it(capsys, tmp_path, flag):
    message = wrong(capsys, "builtin:Basic", "--record", str(tmp_path / "basic.gif"), *flag)
    assert message == f"{flag[0]} needs the live page, which --record does not have; remove one"


@pytest.mark.parametrize("flags", [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "1e300"], ["--port", "70000"], ["--port", "-1"]])
def test_impossible_numbers_are_sentences(capsys, flags):
    assert wrong(capsys, "builtin:Basic", *flags).startswith(f"{flags[0]} is ")


def test_two_players_are_one_too_many(capsys):
    with pytest.raises(SystemExit):
        main(["builtin:Basic", "--random", "--run", "first"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_picture_is_written_and_said(capsys, tmp_path):
    pytest.importorskip("numba")
    file = tmp_path / "basic.png"
    assert main(["builtin:Basic", "--record", str(file), "--seconds", "0.3"]) == 0
    assert capsys.readouterr().out == f"{file}: 1 picture of Basic, with random actions.\n"
    assert Image.open(io.BytesIO(file.read_bytes())).format == "PNG"


def test_the_same_seed_gives_the_same_picture(tmp_path):
    pytest.importorskip("numba")
    files = [tmp_path / f"{k}.png" for k in range(3)]
    for file, seed in zip(files, ("1", "1", "2"), strict=True):
        main(["builtin:3DBall", "--record", str(file), "--seconds", "1", "--seed", seed])
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other


@pytest.mark.parametrize(("flags", "areas"), [([], 12), (["--keyboard"], 1), (["--keyboard", "--areas", "3"], 3)])
def test_who_plays_with_keys_plays_in_one_area(monkeypatch, flags, areas):
    shown = []
    monkeypatch.setattr("mlagents_envs.watch.live.Live.run", lambda live: shown.append(live._play.example.areas))
    assert main(["builtin:3DBall", "--no-browser", "--port", "0", *flags]) == 0
    assert shown == [areas]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Ctrl-C for another process alone")
def test_the_page_is_there_until_ctrl_c(free_port):
    watcher = Watcher("builtin:Basic", "--port", str(free_port))
    assert watcher.first_line == f"Basic, with random actions: http://127.0.0.1:{free_port}/\n"
    with urllib.request.urlopen(watcher.address, timeout=60) as page:
        assert b"<canvas" in page.read()
    _, err = watcher.end()
    assert (watcher.process.returncode, err) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no Ctrl-C for another process alone")
def test_a_demo_is_whole_when_ctrl_c_ends_it(tmp_path):
    pytest.importorskip("mlagents_envs.demonstrations.recording")
    from mlagents_envs.demonstrations.file import read

    file = tmp_path / "mine.demo"
    watcher = Watcher("builtin:Basic", "--port", "0", "--random", "--record-demo", str(file))
    beginning = file.stat().st_size
    while file.stat().st_size == beginning:
        threading.Event().wait(0.01)
    out, err = watcher.end()
    recorded = read(file)
    assert err == "" and f"{file}: {len(recorded)} records." in out and len(recorded) > 0


def test_a_port_that_is_taken_is_said(monkeypatch, capsys, free_port):
    import socket

    monkeypatch.setattr("mlagents_envs.watch.live.Live.run", lambda live: None)
    with socket.create_server(("127.0.0.1", free_port)):
        assert main(["builtin:Basic", "--no-browser", "--port", str(free_port)]) == 0
    assert f"Port {free_port} is taken, so it is the next free one." in capsys.readouterr().out


def test_no_browser_is_said(monkeypatch, capsys):
    def nothing():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr("mlagents_envs.watch.live.Live.run", lambda live: None)
    monkeypatch.setattr(webbrowser, "get", nothing)
    assert main(["builtin:Basic", "--port", "0"]) == 0
    assert "No browser was found here; open that address" in capsys.readouterr().out


def test_a_browser_inside_the_terminal_is_left_alone(monkeypatch):
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
    assert browser.open_page("http://127.0.0.1:1/") is False


def test_the_page_is_opened_where_there_is_a_browser(monkeypatch):
    opened = []

    class Window(webbrowser.BaseBrowser):
        def open(self, url, new=0, autoraise=True):
            opened.append(url)
            return True

    monkeypatch.setattr(webbrowser, "get", Window)
    assert browser.open_page("http://127.0.0.1:1/") is True
    assert opened == ["http://127.0.0.1:1/"]


def test_help_is_quick_to_load():
    heavy = subprocess.run(
        [sys.executable, "-c", "import sys, mlagents_envs.watch.command; print([m for m in ('numba', 'PIL', 'grpc') if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert heavy.stdout.strip() == "[]"
    assert "Examples: 3DBall" in command._parser().format_help()
