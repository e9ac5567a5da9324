"""`mlagents-learn` as a user types it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.learn import main

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


@pytest.fixture
def learn(tmp_path, monkeypatch):
    """A function that runs the command in an empty folder, with a configuration of so many steps."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, steps=1000, env="builtin:Basic"):
        Path("basic.yaml").write_text(BASIC.replace("MAX", str(steps)))
        return main(["basic.yaml", "--env", env, "--run-id", "run", "--seed", "1", *flags])

    return run


def files(root="results/run"):
    return sorted(str(file.relative_to(root)) for file in Path(root).rglob("*") if file.is_file())


def weights(path="results/run/Basic/checkpoint.pt"):
    return torch.load(path, weights_only=True)


def status():
    return json.loads(Path("results/run/run_logs/training_status.json").read_text())


def test_a_run_leaves_the_files_that_users_know(learn):
    assert learn() == 0
    found = files()
    events = [name for name in found if "events.out.tfevents" in name]
    assert len(events) == 1
    (newest,) = [entry for entry in status()["Basic"]["checkpoints"]][-1:]
    step = newest["steps"]
    assert step > 1000
    assert set(found) - set(events) == {
        "Basic.onnx", "configuration.yaml", "run_logs/timers.json", "run_logs/training_status.json",
        "Basic/checkpoint.pt", f"Basic/Basic-{step}.onnx", f"Basic/Basic-{step}.pt", "Basic/Basic-900.onnx",
        "Basic/Basic-900.pt",
    }  # fmt: skip
    assert status()["Basic"]["final_checkpoint"]["file_path"] == str(Path("results/run/Basic.onnx"))
    assert status()["metadata"]["stats_format_version"] == "0.3.0"
    assert Path("results/run/Basic.onnx").read_bytes() == Path(f"results/run/Basic/Basic-{step}.onnx").read_bytes()


def test_the_last_lines_say_what_was_learnt_and_where_it_lies(learn, capsys):
    learn()
    said = capsys.readouterr().out
    assert "mean reward" in said.splitlines()[-3]
    assert str(Path("results/run/Basic.onnx")) in said.splitlines()[-2]
    assert "tensorboard --logdir" in said.splitlines()[-1]
    assert "[INFO] Basic. Step: 200. Time Elapsed: " in said
    assert f"[INFO] Exported {Path('results/run/Basic/Basic-900.onnx')}" in said
    assert f"to {Path('results/run/Basic.onnx')}." in said


@pytest.mark.skipif(os.name == "nt", reason="there is no pseudo-terminal here")
def test_a_terminal_shows_progress_below_unwrapped_lines(learn):
    import pty

    Path("basic.yaml").write_text(BASIC.replace("MAX", "3000"))
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run"]
    process = subprocess.Popen(
        command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    )
    os.close(slave)
    said = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while part := os.read(master, 4096):
            said += part
    os.close(master)
    assert process.wait() == 0
    text = said.decode()
    assert "steps/s" in text
    assert "reward" in text
    assert "Training." in next(line for line in text.splitlines() if "Step: 200." in line)


def test_curves_carry_the_official_tags_at_scheduled_steps(learn):
    learn()
    board = EventAccumulator("results/run/Basic")
    board.Reload()
    tags = set(board.Tags()["scalars"])
    assert {
        "Environment/Cumulative Reward", "Environment/Episode Length", "Policy/Entropy", "Policy/Extrinsic Reward",
        "Policy/Extrinsic Value Estimate", "Policy/Learning Rate", "Policy/Epsilon", "Policy/Beta",
        "Losses/Policy Loss", "Losses/Value Loss",
    } <= tags  # fmt: skip
    assert "Is Training" not in tags
    assert [event.step for event in board.Scalars("Policy/Entropy")] == [200, 400, 600, 800, 1000]
    assert "Environment/Cumulative Reward_hist" in board.Tags()["histograms"]


def test_the_saved_configuration_can_be_fed_back(learn):
    learn(steps=300)
    saved = Path("results/run/configuration.yaml").read_text()
    assert list(yaml.safe_load(saved)) == [
        "default_settings", "behaviors", "env_settings", "engine_settings", "environment_parameters",
        "checkpoint_settings", "torch_settings", "debug",
    ]  # fmt: skip
    assert main(["results/run/configuration.yaml", "--run-id", "again"]) == 0
    again = yaml.safe_load(Path("results/again/configuration.yaml").read_text())
    assert again["behaviors"] == yaml.safe_load(saved)["behaviors"]


def test_a_resumed_run_goes_on_from_its_step(learn, capsys):
    learn(steps=400)
    before = int(weights()["global_step"]["_GlobalSteps__global_step"])
    assert learn("--resume", steps=1000) == 0
    assert f"Resuming training from step {before}." in capsys.readouterr().out
    assert status()["Basic"]["checkpoints"][-1]["steps"] > 1000
    assert len([name for name in files() if "tfevents" in name]) == 2


def test_the_same_seed_learns_the_same(learn):
    learn()
    first = weights()["Policy"]
    learn("--force")
    for name, value in weights()["Policy"].items():
        assert torch.equal(value, first[name]), name


def test_what_was_there_is_not_touched_without_being_asked(learn, capsys):
    learn(steps=300)
    before = {name: Path("results/run", name).read_bytes() for name in files()}
    assert learn(steps=300) == 2
    assert "Previous data from this run ID was found" in capsys.readouterr().out
    assert {name: Path("results/run", name).read_bytes() for name in files()} == before


def test_a_resume_that_cannot_be_leaves_everything_as_it_was(learn, capsys):
    learn(steps=300)
    text = Path("basic.yaml").read_text().replace("hidden_units: 20", "hidden_units: 21")
    Path("other.yaml").write_text(text)
    before = {name: Path("results/run", name).read_bytes() for name in files()}
    assert main(["other.yaml", "--env", "builtin:Basic", "--run-id", "run", "--resume"]) == 2
    assert "another kind of network" in capsys.readouterr().out
    assert {name: Path("results/run", name).read_bytes() for name in files()} == before


def test_nothing_can_be_resumed_that_never_was(learn, capsys):
    assert learn("--resume") == 2
    assert "nothing to resume" in capsys.readouterr().out
    assert not Path("results").exists()


def test_another_run_lends_its_weights_and_steps_begin_anew(learn):
    learn(steps=300)
    source = weights()["Policy"]["head.weight"]
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "next", "--initialize-from", "run"]) == 0
    first = sorted(Path("results/next/Basic").glob("Basic-*.pt"), key=os.path.getmtime)[0]
    assert int(first.stem.split("-")[1]) <= 310
    assert weights("results/next/Basic/checkpoint.pt")["Policy"]["head.weight"].shape == source.shape


def everything(root="results/run"):
    """What lies in a run's folder: contents and times of all files."""
    return {name: (Path(root, name).read_bytes(), Path(root, name).stat().st_mtime_ns) for name in files(root)}


def test_inference_changes_nothing_of_the_run_and_ends_after_its_episodes(learn, capsys):
    learn(steps=300)
    before = everything()
    capsys.readouterr()
    assert learn("--inference", "--episodes", "30", steps=300) == 0
    assert everything() == before
    said = capsys.readouterr().out
    assert "Not Training" in said
    ended = int(re.search(r"over the last (\d+) episodes", said)[1])
    assert 30 <= ended < 30 + 16  # the last tick may end several


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything may be written here")
def test_inference_needs_no_permission_to_write(learn):
    learn(steps=300)
    for folder in [path for path in Path("results").rglob("*") if path.is_dir()]:
        folder.chmod(0o555)
    assert learn("--inference", "--episodes", "5", steps=300) == 0


def test_inference_of_another_run_has_a_folder_of_its_own(learn):
    learn(steps=300)
    before = everything()
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "eval", "--inference", "--initialize-from", "run",
                 "--episodes", "20"]) == 0  # fmt: skip
    assert everything() == before
    assert any("events" in name for name in files("results/eval"))
    assert not [name for name in files("results/eval") if name.endswith((".pt", ".onnx"))]
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "eval", "--inference", "--initialize-from", "run",
                 "--episodes", "20"]) == 2  # fmt: skip


def test_the_model_plays_like_the_policy(learn):
    learn(steps=600)
    session = onnxruntime.InferenceSession("results/run/Basic.onnx", providers=["CPUExecutionProvider"])
    seen = np.eye(20, dtype=np.float32)
    (played,) = session.run(
        ["deterministic_discrete_actions"], {"obs_0": seen, "action_masks": np.ones((20, 3), np.float32)}
    )
    policy = weights()["Policy"]
    hidden = torch.from_numpy(seen) @ policy["body.layers.0.weight"].T + policy["body.layers.0.bias"]
    logits = torch.nn.functional.silu(hidden) @ policy["head.weight"].T + policy["head.bias"]
    assert played[:, 0].tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["basic.yaml", "--env", "builtin:Basik"], "did you mean 'Basic'? Known: 3DBall, 3DBallHard, Basic"),
        (["basic.yaml", "--env", "builtin:Basic", "--num-areas", "0"], "--num-areas: is 0; must be at least 1"),
        (["nowhere.yaml"], "nowhere.yaml: no such file"),
        (
            ["basic.yaml", "--env", "builtin:Basic", "--initialize-from", "never"],
            "--initialize-from: there is no run 'never' in results",
        ),
        (["basic.yaml", "--num-envs", "2"], "--num-envs: is 2; there is one Editor, so name a build with --env"),
        (["basic.yaml", "--env", "./Game"], "--env: ./Game"),
        (["basic.yaml", "--env", "basic.yaml"], "basic.yaml may not be executed; chmod +x"),
        (["basic.yaml", "--env", "gym:CartPole-v9"], "--env: gym:CartPole-v9"),
        (["basic.yaml", "--env", "pettingzoo:no.such.module"], "--env: pettingzoo:no.such.module"),
        (["basic.yaml", "--env", "builtin:Basic", "--torch-device", "cuda"], "--torch-device: 'cuda' is not built yet"),
        (["sac.yaml", "--env", "builtin:Basic"], "behaviors.Basic.trainer_type: the trainer 'sac' is not built yet"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_no_trace(learn, tmp_path, capsys, flags, sentence):
    Path("basic.yaml").write_text(BASIC.replace("MAX", "100"))
    Path("sac.yaml").write_text("behaviors:\n  Basic:\n    trainer_type: sac\n")
    assert main(flags) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("results").exists()


def test_environment_parameters_reach_the_environment_and_the_records(learn):
    text = BASIC.replace("Basic", "3DBall").replace("MAX", "600")
    sampler = "{sampler_type: uniform, sampler_parameters: {min_value: 0.75, max_value: 3.0}}"
    Path("ball.yaml").write_text(f"{text}environment_parameters:\n  scale: {sampler}\n  gravity: 5.0\n")
    assert main(["ball.yaml", "--env", "builtin:3DBall", "--run-id", "run", "--num-areas", "4"]) == 0
    assert status()["scale"] == {"lesson_num": 0}
    board = EventAccumulator("results/run/3DBall")
    board.Reload()
    assert "Environment/Lesson Number/gravity" in board.Tags()["scalars"]
    saved = yaml.safe_load(Path("results/run/configuration.yaml").read_text())["environment_parameters"]
    assert saved["gravity"]["curriculum"][0]["value"] == {
        "sampler_type": "constant", "sampler_parameters": {"seed": -1, "value": 5.0},
    }  # fmt: skip


def test_a_parameter_that_cannot_be_gets_a_sentence(learn, capsys):
    text = BASIC.replace("Basic", "3DBall").replace("MAX", "600")
    Path("ball.yaml").write_text(f"{text}environment_parameters:\n  scale: -1\n")
    assert main(["ball.yaml", "--env", "builtin:3DBall", "--run-id", "run"]) != 0
    assert "environment parameter scale is -1; it must be between" in capsys.readouterr().out
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("name", "env", "sentence"),
    [
        ("scael", "builtin:3DBall", "has no such parameter, did you mean 'scale'? Known: mass, scale, gravity"),
        ("speed", "builtin:3DBall", "has no such parameter. Known: mass, scale, gravity"),
        ("speed", "builtin:Basic", "has no such parameter. Known: none"),
    ],
)
def test_a_parameter_that_an_example_does_not_have_gets_a_sentence(learn, capsys, name, env, sentence):
    Path("more.yaml").write_text(BASIC.replace("MAX", "100") + f"environment_parameters: {{{name}: 2}}\n")
    assert main(["more.yaml", "--env", env, "--run-id", "run"]) == 2
    assert capsys.readouterr().err.splitlines() == [f"environment_parameters.{name}: {env} {sentence}"]
    assert not Path("results").exists()


def test_a_behavior_that_the_file_does_not_name_is_refused(learn, capsys):
    assert learn(env="builtin:3DBall") == 2
    assert "the environment has a behavior '3DBall', but the file only has Basic" in capsys.readouterr().out
    assert not Path("results").exists()


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


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_saves_and_exports_and_ends_well(tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    process = start()
    wait_for(Path("results/run/Basic").exists, process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Learning was interrupted" in said
    assert "Traceback" not in said
    assert Path("results/run/Basic.onnx").exists()
    assert Path("results/run/configuration.yaml").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
def test_a_second_run_of_the_same_id_is_refused_while_the_first_lives(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    process = start()
    wait_for(Path("results/run/Basic").exists, process)
    for flag in ("--resume", "--force"):
        assert main(["long.yaml", "--env", "builtin:Basic", "--run-id", "run", flag]) == 2
        assert "another run is training in results/run at this moment" in capsys.readouterr().out
    process.kill()  # the lock dies with its owner
    process.communicate()
    Path("more.yaml").write_text(BASIC.replace("MAX", "100"))
    assert main(["more.yaml", "--env", "builtin:Basic", "--run-id", "run", "--force"]) == 0
    assert not Path("results/run/.lock").exists()


def test_one_time_requests_and_what_nobody_said_are_not_remembered(learn):
    learn("--force", steps=200)
    saved = yaml.safe_load(Path("results/run/configuration.yaml").read_text())
    assert not any(saved["checkpoint_settings"][key] for key in ("force", "resume", "inference", "load_model"))
    assert not {"num_areas", "base_port", "listen", "watch"} & set(saved["env_settings"])
    learn("--resume", "--num-areas", "1", steps=300)
    saved = yaml.safe_load(Path("results/run/configuration.yaml").read_text())
    assert saved["checkpoint_settings"]["resume"] is False
    assert saved["env_settings"]["num_areas"] == 1  # this was said


def test_the_seed_that_was_drawn_is_recorded_and_gives_the_same_run(learn):
    Path("basic.yaml").write_text(BASIC.replace("MAX", "600"))
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "drawn"]) == 0
    saved = yaml.safe_load(Path("results/drawn/configuration.yaml").read_text())
    assert saved["env_settings"]["seed"] >= 0
    assert main(["results/drawn/configuration.yaml", "--run-id", "again"]) == 0
    first, second = (weights(f"results/{name}/Basic/checkpoint.pt")["Policy"] for name in ("drawn", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("in_file", "flags", "steps", "curves"),
    [("force: true", ["--resume"], 900, 2), ("resume: true", ["--force"], 300, 1), ("force: true", [], 300, 1)],
)
def test_flags_win_over_the_file_and_a_resume_never_clears_curves(learn, in_file, flags, steps, curves):
    learn(steps=600)
    text = BASIC.replace("MAX", str(steps)) + f"checkpoint_settings: {{{in_file}}}\n"
    Path("both.yaml").write_text(text)
    assert main(["both.yaml", "--env", "builtin:Basic", "--run-id", "run", *flags]) == 0
    assert len(list(Path("results/run/Basic").glob("events*"))) == curves
    assert steps < int(weights()["global_step"]["_GlobalSteps__global_step"]) < steps + 100


def test_a_copy_of_a_run_is_resumed_without_touching_the_original(learn):
    learn(steps=700)
    shutil.copytree("results/run", "results/copy")
    before = everything()
    Path("more.yaml").write_text(BASIC.replace("MAX", "1900"))
    assert main(["more.yaml", "--env", "builtin:Basic", "--run-id", "copy", "--resume"]) == 0
    assert everything() == before
    steps = sorted(int(file.stem.split("-")[1]) for file in Path("results/copy/Basic").glob("Basic-*.pt"))
    assert len(steps) == 2 and steps[0] >= 1800  # the copy's own old ones were pruned
    entries = json.loads(Path("results/copy/run_logs/training_status.json").read_text())["Basic"]["checkpoints"]
    assert all(entry["file_path"].startswith(str(Path("results/copy"))) for entry in entries)


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = start()
    wait_for(Path("results/run/Basic/checkpoint.pt").exists, process)
    process.kill()
    process.communicate()
    step = int(weights()["global_step"]["_GlobalSteps__global_step"])
    Path("more.yaml").write_text(BASIC.replace("MAX", str(step + 300)))
    assert main(["more.yaml", "--env", "builtin:Basic", "--run-id", "run", "--resume"]) == 0
    assert int(weights()["global_step"]["_GlobalSteps__global_step"]) > step + 300


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
def test_a_run_killed_before_its_first_checkpoint_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("results/run/run_logs").mkdir(parents=True)
    Path("basic.yaml").write_text(BASIC.replace("MAX", "100"))
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "run", "--resume"]) == 2
    assert "the run ended before its first checkpoint" in capsys.readouterr().out


def test_help_and_mistakes_load_no_torch():
    program = (
        "import sys; from mlagents.learn import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print('pydantic' in sys.modules)\n"
        "main(['nowhere.yaml'])\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--run-id" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["False", "False"]
