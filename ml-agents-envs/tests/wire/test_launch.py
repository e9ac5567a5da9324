"""Players are small Python scripts here, with what can happen to a real one really done to them."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from mlagents_envs import env_utils
from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.wire import launch
from mlagents_envs.wire.launch import Player, find_player, player_arguments

posix = pytest.mark.skipif(os.name == "nt", reason="scripts are players by their first line")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a player with its parent")
PATIENCE = 10  # seconds that a test waits for what must happen


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.3)


@pytest.fixture
def script(tmp_path):
    """A function that writes a Python program with this text and makes it executable."""

    def write(text, *, name="Player", mode=0o755, first=f"#!{sys.executable} -ES"):
        file = tmp_path / name
        file.write_text(f"{first}\n{text}\n")
        file.chmod(mode)
        return file

    return write


@pytest.fixture
def play(script):
    """A function that starts such a program and ends it after the test."""
    players = []

    def begin(text, arguments=(), **options):
        players.append(Player(script(text), arguments, **options))
        return players[-1]

    yield begin
    for player in players:
        player.stop(0)


def eventually(fact):
    until = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def ended(player):
    eventually(lambda: player.poll() is not None)
    return player.poll()


def message(player, line):
    eventually(lambda: line in player.last_lines(10))


def gone(pid):
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


# which file


def build(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


@pytest.mark.parametrize("given", ["Walker", "Walker.x86_64", "Walker.exe", "Walker.app", " Walker "])
@pytest.mark.parametrize(
    ("system", "files", "found"),
    [
        ("linux", ["Walker.x86", "Walker.x86_64", "Walker.exe"], "Walker.x86_64"),
        ("linux", ["Walker", "Walker.x86"], "Walker.x86"),
        ("linux", ["Walker", "Walker.exe"], "Walker"),
        (
            "darwin",
            ["Walker.app/Contents/MacOS/Other", "Walker.app/Contents/MacOS/Walker"],
            "Walker.app/Contents/MacOS/Walker",
        ),
        ("darwin", ["Walker.app/Contents/MacOS/Other"], "Walker.app/Contents/MacOS/Other"),
        ("win32", ["Walker.exe", "Walker.x86_64"], "Walker.exe"),
        ("win32", ["Walker/Scene.exe", "Walker/UnityCrashHandler64.exe"], "Walker/Scene.exe"),
    ],
)
def test_a_player_is_found_with_and_without_its_ending(tmp_path, monkeypatch, system, files, found, given):
    build(tmp_path, *files)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", system)
    assert find_player(given) == tmp_path / found
    assert find_player(str(tmp_path / given.strip())) == tmp_path / found


def test_the_path_may_be_a_pattern_but_need_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    build(tmp_path, "Walker-7.x86_64", "[1]/Walker.x86_64")
    assert find_player(tmp_path / "Walker-*").name == "Walker-7.x86_64"
    assert find_player(tmp_path / "[1]" / "Walker").parent.name == "[1]"


def test_an_ending_within_the_path_belongs_to_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    build(tmp_path, "my.apps/v1.x86_64/Walker.x86_64")
    assert find_player(tmp_path / "my.apps/v1.x86_64/Walker").name == "Walker.x86_64"


@pytest.mark.parametrize(
    ("system", "files", "given", "sentence"),
    [
        ("linux", ["Walker.exe"], "Walker", r"Walker.exe is a Windows build, and this is Linux"),
        ("linux", ["Walker/Scene.exe"], "Walker", r"Scene.exe is a Windows build, and this is Linux"),
        ("linux", ["Walker.app/Contents/MacOS/Walker"], "Walker.app", r"is a macOS build, and this is Linux"),
        ("win32", ["Walker.x86_64"], "Walker", r"Walker.x86_64 is a Linux build, and this is Windows"),
        ("darwin", ["Walker.exe"], "Walker", r"Walker.exe is a Windows build, and this is macOS"),
        ("linux", ["b/Walker.x86_64"], "b", r"b: is a folder; give the player in it: \S*Walker.x86_64"),
        ("linux", ["b/Walker", "b/Walker_Data/x"], "b", r"is a folder; give the player in it: \S*b.Walker$"),
        ("darwin", ["b/Walker.app/Contents/MacOS/Walker"], "b", r"is a folder; give the player in it: \S*Walker.app"),
        ("linux", ["b/readme.txt"], "b", r"is a folder without a player; that folder holds readme.txt"),
        ("linux", ["Walker.x86_64"], "Walkr", r"looked for Walkr.x86_64 or Walkr.x86 or Walkr .*mean \S*Walker.x86_64\?"),
        ("linux", [], "builds/Walker", r"there is no folder \S*builds$"),
        ("linux", ["readme.txt"], "Walker", r"that folder holds readme.txt"),
        ("linux", [], "", r"is empty"),
    ],
)  # fmt: skip
def test_a_player_that_is_not_there_gets_a_sentence_about_what_is(
    tmp_path, monkeypatch, system, files, given, sentence
):
    build(tmp_path, *files)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(UnityEnvironmentException, match=sentence):
        find_player(given)


# how it is started


def test_arguments_come_in_the_order_that_unity_knows(tmp_path):
    log = tmp_path / "Player-0.log"
    assert player_arguments(5005) == ["--mlagents-port", "5005"]
    assert player_arguments(5006, no_graphics=True, log=log, additional=["--level", "2"]) == [
        "-nographics", "-batchmode", "--mlagents-port", "5006", "-logFile", str(log), "--level", "2",
    ]  # fmt: skip
    assert player_arguments(5005, log=log, additional=["-logfile", "x"]) == ["--mlagents-port", "5005", "-logfile", "x"]


@posix
def test_a_player_gets_its_arguments_and_a_group_of_its_own(play):
    player = play("import sys; print(sys.argv[1:], flush=True); sys.stdin.read(); input()", ["--level", "2"])
    message(player, "['--level', '2']")
    assert os.getpgid(player.pid) == player.pid
    assert ended(player) == 1  # there is no input


@posix
def test_the_status_and_the_last_lines_outlive_the_player(play):
    player = play("print('one'); print('two'); import sys; sys.exit('three')")
    assert ended(player) == 1
    assert player.last_lines(2) == ["two", "three"]
    assert player.last_lines(0) == []
    player.stop(0)
    assert player.last_lines(9) == ["one", "two", "three"]


@posix
def test_the_temporary_file_is_removed(play, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    player = play("print('here')")
    message(player, "here")
    player.stop(PATIENCE)
    assert list(tmp_path.glob("*.log")) == []
    assert player.last_lines(1) == ["here"]


@posix
def test_what_a_player_prints_can_be_kept(play, tmp_path):
    log = tmp_path / "logs" / "printed.log"
    player = play("print('here')", log=log)
    player.stop(PATIENCE)
    assert log.read_text() == "here\n"


@posix
def test_a_log_that_cannot_be_written_gets_a_sentence(script, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnityEnvironmentException, match=r"cannot be written there .*choose another folder"):
        Player(script(""), (), log=tmp_path / "file" / "printed.log")


@posix
def test_unitys_own_log_goes_before_what_is_printed(play, tmp_path):
    log = tmp_path / "Player-0.log"
    log.write_text("from another run\n")
    arguments = player_arguments(5005, log=log)
    silent = play("print('printed')", arguments)
    ended(silent)
    assert silent.last_lines(5) == ["printed"]
    writes = play("import sys; open(sys.argv[-1], 'w').write('written\\n'); print('printed')", arguments)
    ended(writes)
    assert writes.last_lines(5) == ["written"]


@posix
@pytest.mark.parametrize("flag", ["-logFile", "-logfile"])
def test_the_folder_of_unitys_log_is_there_before_the_player_starts(play, tmp_path, flag):
    log = tmp_path / "results" / "run_logs" / "Player-0.log"
    player = play("import sys; open(sys.argv[-1], 'w').write('written\\n')", ["--mlagents-port", "5005", flag, str(log)])
    assert ended(player) == 0
    assert log.read_text() == "written\n"


@posix
def test_a_folder_for_unitys_log_that_cannot_be_made_gets_a_sentence(script, tmp_path):
    (tmp_path / "file").write_text("")
    log = tmp_path / "file" / "Player-0.log"
    with pytest.raises(UnityEnvironmentException, match=rf"{log}: .*cannot be written there .*choose another folder"):
        Player(script(""), player_arguments(5005, log=log))
    with pytest.raises(UnityEnvironmentException, match="cannot be written there"):
        env_utils.launch_executable(str(script("")), ["-logFile", str(log)])


@posix
@pytest.mark.parametrize("arguments", [["-logFile", "-"], ["-logFile"], []])
def test_a_player_that_prints_needs_no_folder(play, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert ended(play("", arguments)) == 0
    assert set(tmp_path.iterdir()) - before == {tmp_path / "Player"}


@posix
def test_long_logs_and_strange_bytes_do_not_matter(play):
    player = play(
        "import os\nfor i in range(400): os.write(1, b'x' * 1000 + b'\\n')\nos.write(1, b'Gr\\xf6\\xdfe\\n\\n')"
    )
    ended(player)
    assert player.last_lines(1) == ["Gr\ufffd\ufffde"]
    assert all(line == "x" * 1000 for line in player.last_lines(1000)[:-1])


# what hinders a start


@posix
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": 0o644}, r"Player may not be executed; chmod \+x \S*Player$"),
        ({"first": "#!/no/such/python"}, r"is a script for '/no/such/python', which is not installed"),
        ({"first": "PK\x03\x04"}, r"is an archive; unpack it"),
        ({"first": "hello"}, r"is no program: it begins with b'hell'"),
    ],
)
def test_a_file_that_cannot_be_run_gets_a_sentence(script, options, sentence, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UnityEnvironmentException, match=sentence):
        Player(script("", **options), ())
    assert list(tmp_path.glob("*.log")) == []


@posix
def test_an_empty_file_and_a_folder_get_a_sentence(tmp_path):
    (tmp_path / "empty").touch(mode=0o755)
    with pytest.raises(UnityEnvironmentException, match="is empty; copy the build again"):
        Player(tmp_path / "empty", ())
    with pytest.raises(UnityEnvironmentException, match="is no file"):
        Player(tmp_path, ())


# how it ends


@posix
def test_a_player_that_ends_by_itself_is_let(play):
    player = play("import time; time.sleep(0.3); raise SystemExit(3)")
    player.stop(PATIENCE)
    assert player.poll() == 3


@posix
def test_a_player_that_does_not_end_is_asked_first(play):
    player = play(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True); time.sleep(60)"
    )  # fmt: skip
    message(player, "ready")
    player.stop(0)
    assert player.poll() == 7
    assert not psutil.pid_exists(player.pid)


@posix
def test_a_player_that_does_not_listen_is_killed(play):
    player = play(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    message(player, "ready")
    player.stop(0)
    player.stop(0)
    assert player.poll() == -signal.SIGKILL
    assert not psutil.pid_exists(player.pid)


@posix
def test_a_player_that_is_halted_can_be_stopped(play):
    player = play("import time; print('ready', flush=True); time.sleep(60)")
    message(player, "ready")
    os.kill(player.pid, signal.SIGSTOP)
    player.stop(0)
    assert player.poll() == -signal.SIGTERM
    assert not psutil.pid_exists(player.pid)


@posix
@pytest.mark.parametrize("last", ["time.sleep(60)", "sys.exit()"])
def test_what_a_player_started_ends_with_it(play, last):
    player = play(
        "import subprocess, sys, time\n"
        f"print(subprocess.Popen(['{sys.executable}', '-c', 'import time; time.sleep(60)']).pid, flush=True); {last}"
    )
    eventually(lambda: player.last_lines(1))
    child = int(player.last_lines(1)[0])
    assert psutil.pid_exists(child)
    player.stop(0.2)
    gone(child)


def start_elsewhere(player):
    """The beginning of a program that starts this player and says its process id."""
    return (
        "import sys, threading, time\nfrom pathlib import Path\nfrom mlagents_envs.wire.launch import Player\n"
        f"player = Player(Path({str(player)!r}), ())\nprint(player.pid, flush=True)\n"
    )


@linux
def test_a_player_ends_with_a_parent_that_is_killed(script, tmp_path):
    sleeper = script("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    program = start_elsewhere(sleeper) + "time.sleep(60)"
    place = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=place) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.Process(pid).is_running()
        parent.kill()
    gone(pid)
    assert list(tmp_path.glob("*.log")) == []


@linux
def test_a_player_outlives_the_thread_that_started_it(play):
    players = []
    thread = threading.Thread(target=lambda: players.append(play("import time; time.sleep(60)")))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert players[0].poll() is None
    players[0].stop(0)
    assert players[0].poll() is not None


# the old door


@posix
def test_scripts_find_and_start_players_by_the_old_names(script, tmp_path):
    player = script("open(__file__ + '.txt', 'w').write('here')", name="Walker.x86_64")
    if sys.platform == "linux":
        assert env_utils.validate_environment_path(str(tmp_path / "Walker")) == str(player)
        process = env_utils.launch_executable(str(tmp_path / "Walker"), [])
        assert process.wait(PATIENCE) == 0
        assert Path(f"{player}.txt").read_text() == "here"
    assert env_utils.get_platform() == sys.platform
    assert env_utils.validate_environment_path(str(tmp_path / "Crawler")) is None
    with pytest.raises(UnityEnvironmentException, match="no player of that name"):
        env_utils.launch_executable(str(tmp_path / "Crawler"), [])
