"""`mlagents-learn` with builds: players in processes of their own, sound, slow, broken and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.learn import main
from mlagents_envs.player.executable import make_executable

CONFIG = """
behaviors:
  Basic:
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: MAX
    time_horizon: 3
    summary_freq: 200
    trainer_type: ppo
"""
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")


@pytest.fixture
def learn(tmp_path, monkeypatch):
    """A function that runs the command in an empty folder against a player made with these arguments."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, steps=1000, run_id="run", player=(), env=None):
        configure(steps)
        if env is None:
            make_executable(Path("builds"), "Basic", arguments=player)
            env = "builds/Basic"
        return main(["basic.yaml", "--env", env, "--run-id", run_id, "--seed", "1", *flags])

    yield run
    assert not players()


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """A function that starts the command in the background, in an empty folder, against a player made so."""
    monkeypatch.chdir(tmp_path)
    launched = []

    def start(*flags, steps=10**7, player=()):
        configure(steps)
        make_executable(Path("builds"), "Basic", arguments=player)
        command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builds/Basic", "--run-id", "run", *flags]
        launched.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return launched[-1]

    yield start
    for process in launched:
        process.kill()
        process.wait()
        process.stdout.close()
    assert not players()


def configure(steps):
    Path("basic.yaml").write_text(CONFIG.replace("MAX", str(steps)))


def players(process=None):
    everyone = psutil.process_iter() if process is None else psutil.Process(process.pid).children(recursive=True)
    found = []
    for one in everyone:
        with suppress(psutil.Error):
            if "mlagents_envs.player.serve" in one.cmdline() and str(Path.cwd()) == one.cwd():
                found.append(one)
    return found


def weights(run_id):
    return torch.load(f"results/{run_id}/Basic/checkpoint.pt", weights_only=True)["Policy"]


def read_until(process, text, minutes=1):
    """Return the lines up to one that holds `text`."""
    end, lines = time.monotonic() + 60 * minutes, []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
        assert time.monotonic() < end, lines
    raise AssertionError("".join(lines))


def test_a_build_trains_exactly_as_the_same_scene_in_process(learn):
    assert learn() == 0
    assert learn(run_id="twin", env="builtin:Basic") == 0
    for name, value in weights("twin").items():
        assert torch.equal(value, weights("run")[name]), name
    assert Path("results/run/Basic.onnx").exists()
    assert "Basic, served" in Path("results/run/run_logs/Player-0.log").read_text()


@pytest.mark.parametrize("env", [None, "builtin:Basic"])
def test_several_environments_train_side_by_side(learn, env):
    assert learn("--num-envs", "3", env=env) == 0
    assert Path("results/run/Basic.onnx").exists()
    if env is None:
        assert len(list(Path("results/run/run_logs").glob("Player-*.log"))) == 3


def test_the_seeds_of_environments_are_counted_from_the_runs(learn):
    seen = Path("seeds")
    program = player_program(f"open({str(seen)!r}, 'a').write(f'{{seed}} ')")
    assert learn("--num-envs", "3", steps=100, env=program) == 0
    assert set(seen.read_text().split()) == {"1", "2", "3"}


def player_program(at_start="", stats="[]"):
    """Write a player of Basic that does something of its own; return its path."""
    file = Path("own") / "Own.x86_64"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "from mlagents_envs.examples.basic import Basic\n"
        "from mlagents_envs.player.trainer_connection import TrainerConnection\n"
        "from mlagents_envs.player.player import ServedPlayer\n"
        "class Own(Basic):\n"
        f"    def stats(self): return {stats}\n"
        "def make(seed, areas):\n"
        f"    {at_start or 'pass'}\n"
        "    return Own(areas=areas, seed=seed)\n"
        "with TrainerConnection(int(sys.argv[sys.argv.index('--mlagents-port') + 1])) as connection:\n"
        "    ServedPlayer(connection, make).play()\n"
    )
    file.chmod(0o755)
    return "own/Own"


@POSIX
def test_numbers_that_the_scene_records_are_in_tensorboard(learn):
    program = player_program(stats="[('Food/Eaten', 2.0, 0), ('Food/Sum', 1.0, 2), ('Food/Last', 7.0, 1)]")
    assert learn(steps=400, env=program) == 0
    board = EventAccumulator("results/run/Basic")
    board.Reload()
    assert {event.value for event in board.Scalars("Food/Eaten")} == {2.0}
    assert {event.value for event in board.Scalars("Food/Last")} == {7.0}
    assert board.Scalars("Food/Sum")[-1].value == pytest.approx(200, abs=2)  # one a step between two points


def test_a_player_dead_at_start_is_quoted_and_leaves_its_log_only(learn, capsys):
    assert learn(player=("--fault", "exit")) == 1
    said = capsys.readouterr().out
    assert "ended with status 3" in said
    assert "It ends at once" in said
    assert "Traceback" not in said
    assert [file.name for file in Path("results").rglob("*") if file.is_file()] == ["Player-0.log"]
    assert learn() == 0  # the same run id is still free


def test_a_player_that_crashes_again_and_again_ends_the_run_with_what_was_learnt(learn, capsys):
    assert learn("--max-lifetime-restarts", "2", "--restarts-rate-limit-n", "-1", player=("--fault", "crash:40")) == 1
    said = capsys.readouterr().out
    assert said.count("Restarting worker[0] after") == 2
    assert "ended with status 7" in said
    assert Path("results/run/Basic.onnx").exists()
    assert json.loads(Path("results/run/run_logs/training_status.json").read_text())["Basic"]["final_checkpoint"]


def test_a_player_that_crashes_seldom_ends_nothing(learn, capsys):
    assert learn("--restarts-rate-limit-n", "-1", player=("--fault", "crash:400")) == 0
    said = capsys.readouterr().out
    assert said.count("Restarting worker[0] after") == 2
    assert "after 1,0" in said


def test_garbage_ends_the_worker_with_a_sentence_and_the_run_goes_on(learn, capsys):
    assert learn("--restarts-rate-limit-n", "-1", player=("--fault", "garbage:600")) == 0
    assert "no message of the protocol" in capsys.readouterr().out


def test_a_message_beyond_the_limit_is_named(learn, capsys):
    assert learn("--max-message-mib", "1", "--max-lifetime-restarts", "0", player=("--fault", "oversize:30:2")) == 1
    assert "larger than the limit of 1 MiB" in capsys.readouterr().out


def test_a_behavior_that_the_file_does_not_have_is_named_with_the_near_one(learn, capsys):
    configure(100)
    make_executable(Path("builds"), "Basic")
    Path("other.yaml").write_text(Path("basic.yaml").read_text().replace("Basic:", "Basik:"))
    assert main(["other.yaml", "--env", "builds/Basic", "--run-id", "run"]) == 2
    assert "only has Basik. Rename 'Basik' to 'Basic' in other.yaml:" in capsys.readouterr().out


@POSIX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_players_that_are_killed_or_stalled_in_the_middle_are_replaced(launch, number):
    process = launch("--num-envs", "2", "--timeout-wait", "8")
    read_until(process, "Step: 400.")
    for player in players(process):
        player.send_signal(number)  # both at once
    lines = read_until(process, "Restarting worker[") + read_until(process, "Restarting worker[")
    read_until(process, "Step:")
    read_until(process, "Step:")
    assert len(players(process)) == 2
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Traceback" not in "".join(lines) + rest
    assert Path("results/run/Basic.onnx").exists()


@POSIX
def test_a_run_whose_only_player_hangs_can_still_be_stopped(launch):
    process = launch(player=("--fault", "hang:300"))
    read_until(process, "Step: 200.")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert Path("results/run/Basic.onnx").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="memory has no names to look at here")
def test_nothing_is_left_of_a_trainer_that_is_killed(launch):
    process = launch("--num-envs", "2")
    read_until(process, "Step: 200.")
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4  # two workers, two players
    shared = [Path(mapped.path) for one in family for mapped in one.memory_maps() if "/psm_" in mapped.path]
    assert shared
    assert not any(path.exists() for path in shared)  # names are gone while the memory is used
    process.kill()
    assert not psutil.wait_procs(family, timeout=5)[1]


@POSIX
def test_a_second_interruption_does_not_wait(launch):
    process = launch()
    read_until(process, "Step: 200.")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode in (0, 130), said
    assert "Traceback" not in said
    assert "nothing was written" not in said


@POSIX
def test_waiting_for_the_editor_can_be_stopped_and_leaves_nothing(launch):
    process = launch()
    process.kill()  # only its files are wanted
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--run-id", "editor"]
    editor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    read_until(editor, "Listening on port 5004")
    editor.send_signal(signal.SIGINT)
    said, _ = editor.communicate(timeout=60)
    assert editor.returncode == 0, said
    assert said.splitlines()[-1] == "Stopped before training began; nothing was written."
    assert not Path("results/editor").exists()


def test_a_run_goes_on_and_is_played_in_builds(learn, capsys):
    assert learn(steps=400) == 0
    assert learn("--resume", steps=800) == 0
    assert "Resuming training from step 4" in capsys.readouterr().out
    assert torch.load("results/run/Basic/checkpoint.pt", weights_only=True)["global_step"][
        "_GlobalSteps__global_step"
    ] > 800


def test_arguments_of_the_build_reach_it(learn, capsys):
    configure(200)
    make_executable(Path("builds"), "Basic")
    flags = ["--env", "builds/Basic", "--run-id", "run", "--no-graphics", "--env-args", "--areas", "3", "--own", "x"]
    assert main(["basic.yaml", *flags]) == 0
    log = Path("results/run/run_logs/Player-0.log").read_text()
    assert "arguments that are not known and ignored: --own x" in log
    status = json.loads(Path("results/run/run_logs/training_status.json").read_text())
    assert status["Basic"]["checkpoints"][-1]["steps"] % 3 == 0  # three agents move at once
