"""`mlagents-learn` as a user types it."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.learn import main

sys.path.insert(0, str(Path(__file__).parent))
from basic_run import BASIC, files, status, weights


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
        (["basic.yaml", "--env", "builtin:Basik"], "did you mean 'Basic'? Known: 3DBall, 3DBallHard, Visual3DBall, Basic"),
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
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_no_trace(learn, tmp_path, capsys, flags, sentence):
    Path("basic.yaml").write_text(BASIC.replace("MAX", "100"))
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

