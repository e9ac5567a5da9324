import io
import shlex
import subprocess
import sys
import zipfile

import pytest

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.player.executable import make_executable
from mlagents_envs.player.serve import main
from mlagents_envs.wire.builds import find_player

LAUNCHER = "pip._vendor.distlib"


def test_the_executable_is_where_a_trainer_looks_for_it(tmp_path, capsys):
    if sys.platform == "win32":
        pytest.importorskip(LAUNCHER)
    folder = tmp_path / "my builds"
    assert main(["3DBall", "--make-executable", str(folder)]) == 0
    where, use = capsys.readouterr().out.splitlines()
    assert str(find_player(folder / "3DBall")) == where
    assert use == f"mlagents-learn CONFIG.yaml --env {shlex.quote(str(folder / '3DBall'))}"


def test_it_runs_with_the_options_it_was_made_with_and_those_it_is_given(tmp_path, capsys):
    if sys.platform == "win32":
        pytest.importorskip(LAUNCHER)
    options = ["--fault", "exit", "--areas", "2", "--png", "--package", "2.3.0-exp.3 of mine", "--period", "5"]
    options += ["--renew-ids"]
    assert main(["Basic", "--make-executable", str(tmp_path), *options]) == 0
    made = capsys.readouterr().out.splitlines()[0]
    if sys.platform != "win32":
        assert shlex.join(["Basic", *options]) in find_player(made).read_text()
    ran = subprocess.run([made, "--mlagents-port", "5", "--mine", "a b"], capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert "Basic, served to the trainer at port 5" in ran.stdout
    assert "--mine 'a b'" in ran.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows starts no scripts")
def test_python_may_lie_at_a_long_path_with_spaces(tmp_path, monkeypatch):
    folder = tmp_path / ("a long way " * 15)
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    made = make_executable(tmp_path, "Basic", arguments=["--fault", "exit"])
    assert subprocess.run([made, "--mlagents-port", "5"], capture_output=True, check=False).returncode == 3


def test_on_macos_it_is_a_bundle(tmp_path):
    made = make_executable(tmp_path, "Basic", platform="darwin")
    assert made == tmp_path / "Basic.app" / "Contents" / "MacOS" / "Basic"


def test_on_windows_a_launcher_starts_python(tmp_path):
    pytest.importorskip(LAUNCHER)
    made = make_executable(tmp_path, "Basic", arguments=["--fault", "exit"], platform="win32")
    content = made.read_bytes()
    assert made.name == "Basic.exe"
    assert content.startswith(b"MZ")
    assert f'#!"{sys.executable}"\r\n'.encode() in content
    program = zipfile.ZipFile(io.BytesIO(content)).read("__main__.py").decode()
    assert "main(['Basic', '--fault', 'exit'] + sys.argv[1:])" in program
    compile(program, "__main__.py", "exec")


def test_without_pip_there_is_a_sentence_on_windows(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, LAUNCHER, None)
    with pytest.raises(UnityEnvironmentException, match="ensurepip"):
        make_executable(tmp_path, "Basic", platform="win32")


def test_a_folder_that_cannot_be_written_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnityEnvironmentException, match="cannot be written there"):
        make_executable(tmp_path / "file", "Basic", platform="linux")


def test_an_example_that_is_not_there_makes_no_executable(tmp_path, capsys):
    assert main(["Baisc", "--make-executable", str(tmp_path)]) == 2
    assert "did you mean 'Basic'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
