"""What a run says where people look: beside errors, in its last lines, and when it cannot go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlagents.learn import main
from mlagents.settings.mismatch import differing_shapes, guessed_settings

BASIC = """
behaviors:
  Basic:
    trainer_type: ppo
    hyperparameters: {batch_size: 32, buffer_size: 256}
    network_settings: {hidden_units: 20, num_layers: 1}
    max_steps: 600
    time_horizon: 3
    summary_freq: 200
"""


@pytest.fixture
def learn(tmp_path, monkeypatch):
    """A function that runs the command in an empty folder, with words of the configuration replaced."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, env="builtin:Basic", text=BASIC, **words):
        for old, new in words.items():
            text = re.sub(rf"{old}: [^,}}\n]+", f"{old}: {new}", text)
        Path("basic.yaml").write_text(text)
        return main(["basic.yaml", "--env", env, "--run-id", "run", "--seed", "1", *flags])

    return run


# warnings


SUSPICIOUS = BASIC.replace("num_layers: 1", "num_layers: 1, hiden_units: 5").replace("  Basic:", "  Basic:\n    max_steps: 5")
WARNINGS = [
    "[WARNING] basic.yaml:7:57: behaviors.Basic.network_settings.hiden_units: unknown key, did you mean 'hidden_units'? (ignored)",
    "[WARNING] basic.yaml:8:5: behaviors.Basic.max_steps: is there twice; the first, in line 4, has no effect",
]


def test_warnings_of_the_settings_are_the_last_lines_too(learn, capsys):
    assert learn(text=SUSPICIOUS) == 0
    assert capsys.readouterr().err.splitlines() == [*WARNINGS, "Warnings from the start of the run:", *WARNINGS]


def test_warnings_of_the_settings_are_the_last_lines_of_a_run_that_fails(learn, capsys):
    assert learn("--resume", text=SUSPICIOUS) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == WARNINGS


def test_warnings_of_the_settings_stand_beside_errors(learn, capsys):
    assert learn(text=SUSPICIOUS, buffer_size=-1) == 2
    *warnings, mistake = capsys.readouterr().err.splitlines()
    assert warnings == WARNINGS
    assert mistake.endswith("buffer_size: is -1; must be at least 1")


def test_without_warnings_nothing_is_said_again(learn, capsys):
    assert learn() == 0
    assert capsys.readouterr().err == ""


# behaviors that the file does not name


@pytest.mark.parametrize(
    ("name", "env", "sentence"),
    [
        ("Basik", "builtin:Basic", "but the file only has Basik. Rename 'Basik' to 'Basic' in basic.yaml:3, or add an entry behaviors.Basic, or default_settings."),
        ("BASIC", "builtin:Basic", "Rename 'BASIC' to 'Basic' in basic.yaml:3"),
        ("Ball", "builtin:Basic", "but the file only has Ball. Add an entry behaviors.Basic, or default_settings."),
        ("SmallWallJump", "builtin:WallJump", "but the file only has SmallWallJump. Add an entry behaviors.BigWallJump, or default_settings."),
    ],
)  # fmt: skip
def test_the_files_name_is_renamed_to_the_environments_unless_it_is_one_too(learn, capsys, name, env, sentence):
    if "Wall" in env:
        pytest.importorskip("numba")
    assert learn(env=env, text=BASIC.replace("Basic", name)) == 2
    assert sentence in capsys.readouterr().out
    assert not Path("results").exists()


# why a run ended


def last_lines(capsys):
    heard = capsys.readouterr().out
    return heard, [line for line in heard.splitlines() if not line.startswith("[INFO]")]


def test_a_run_that_has_taken_its_steps_says_so(learn, capsys):
    learn()
    _, lines = last_lines(capsys)
    assert lines[-4] == "Basic has taken its max_steps of 600."
    assert re.fullmatch(r"Basic: mean reward \S+ over the last \d+ episodes \(.*\), after 6\d\d steps\.", lines[-3])


def test_the_last_lines_hold_the_mean_of_the_last_summary_and_say_which_episodes_each_is_of(learn, capsys):
    learn(max_steps=700)
    heard, lines = last_lines(capsys)
    last = re.findall(r"Step: \d+\. .*Mean Reward: (-?\d+\.\d+)", heard)[-1]
    assert re.search(rf"over the last \d+ episodes \({re.escape(last)} over the \d+ of the last summary\)", lines[-3])


def test_a_run_without_a_summary_says_nothing_of_one(learn, capsys):
    learn(summary_freq=10000)
    assert "summary" not in last_lines(capsys)[1][-3]


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not there")
def test_a_run_that_was_stopped_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("basic.yaml").write_text(BASIC.replace("600", "100000000"))
    command = [sys.executable, "-m", "mlagents", "basic.yaml", "--env", "builtin:Basic", "--run-id", "run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for _ in range(600):
        if Path("results/run/configuration.yaml").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    heard, _ = process.communicate(timeout=60)
    assert "Basic was stopped before its max_steps of 100,000,000; --resume goes on." in heard


def test_playing_says_nothing_of_max_steps(learn, capsys):
    learn()
    capsys.readouterr()
    assert learn("--inference", "--episodes", "20") == 0
    assert "max_steps of" not in "".join(last_lines(capsys)[1])


# runs that cannot go on, or need not


def test_a_resume_of_a_run_that_is_done_says_so_and_changes_no_checkpoint(learn, capsys):
    learn()
    status = Path("results/run/run_logs/training_status.json")
    checkpoints = {file: file.read_bytes() for file in Path("results/run/Basic").glob("Basic-*")}
    entries = json.loads(status.read_text())["Basic"]
    capsys.readouterr()
    assert learn("--resume") == 0
    heard, _ = last_lines(capsys)
    assert (
        "[WARNING] Basic has taken its max_steps of 600 already. To train on, raise max_steps in basic.yaml:7 and "
        "--resume; to see what it has learnt, write --inference."
    ) in heard
    assert {file: file.read_bytes() for file in Path("results/run/Basic").glob("Basic-*")} == checkpoints
    assert json.loads(status.read_text())["Basic"] == entries
    assert learn("--resume", max_steps=900) == 0
    assert "already" not in capsys.readouterr().out


def test_a_resume_of_a_run_that_is_done_makes_up_for_files_that_are_gone(learn):
    learn()
    (model,) = Path("results/run/Basic").glob("*.onnx")
    whole = model.read_bytes()
    model.unlink()
    assert learn("--resume") == 0
    assert model.read_bytes() == whole


CHANGED = {
    "hidden_units": ({"hidden_units": 21}, "network_settings.hidden_units is 20 there, 21 here"),
    "num_layers": ({"num_layers": 2}, "network_settings.num_layers is 1 there, 2 here"),
    "normalize": ({"num_layers": "1, normalize: true"}, "network_settings.normalize is false there, true here"),
    "two": ({"hidden_units": 21, "num_layers": 2}, "network_settings.hidden_units is 20 there, 21 here; network_settings.num_layers is 1 there, 2 here"),
    "shared_critic": ({"buffer_size": "256, shared_critic: true", "hidden_units": 20}, "hyperparameters.shared_critic is false there, true here"),
}  # fmt: skip


@pytest.mark.parametrize("change", [*CHANGED, *(f"{name}, a guess" for name in CHANGED if name != "shared_critic")])
def test_a_checkpoint_of_another_network_says_which_setting_differs(learn, capsys, change):
    name, _, guess = change.partition(", ")
    words, clause = CHANGED[name]
    learn(max_steps=100)
    if guess:
        Path("results/run/configuration.yaml").unlink()
    for flags in (["--resume"], ["--initialize-from", "run", "--run-id", "next"], ["--inference"]):
        capsys.readouterr()
        new = "--initialize-from" in flags  # takes what fits, with a warning
        assert learn(*flags, **words) == (0 if new else 2)
        heard = capsys.readouterr().out
        what = "fits in" if new else "holds another kind of network"
        assert f"{Path('results/run/Basic/checkpoint.pt')} {what}" in heard
        assert clause in heard
        assert "size mismatch" not in heard and "state_dict" not in heard


def test_a_run_that_was_killed_has_left_its_settings(learn, monkeypatch):
    def die(*_):
        raise SystemExit("killed")

    monkeypatch.setattr("mlagents.run.run.Run.learn", die)
    monkeypatch.setattr("mlagents.learn.farewell", die)
    monkeypatch.setattr("mlagents.settings.options.RunOptions.to_yaml", lambda _: "debug: false", raising=True)
    with pytest.raises(SystemExit):
        learn()
    assert Path("results/run/configuration.yaml").read_text() == "debug: false"


def test_other_observations_are_told_from_other_settings(learn, capsys):
    pytest.importorskip("numba")
    text = BASIC.replace("  Basic:", "  Ball:").replace("behaviors:\n  Ball:", "default_settings:")
    text = re.sub("^    ", "  ", text, flags=re.MULTILINE)
    assert learn(text=text, max_steps=100) == 0
    Path("results/run/Basic").rename("results/run/3DBall")
    capsys.readouterr()
    assert learn("--resume", text=text, max_steps=100, env="builtin:3DBall") == 2
    heard = capsys.readouterr().out
    assert "the settings are the same, so what the agents see or do has changed: " in heard
    assert "Policy.body.layers.0.weight is 20x20 there, 20x8 here" in heard


def test_a_checkpoint_of_unitys_trainers_is_called_one(learn, capsys):
    import torch

    state = {"Policy": {"network_body.x": torch.zeros(1)}, "global_step": {"_GlobalSteps__global_step": torch.zeros(1)}}
    torch.save(state, "unity.pt")
    assert learn(text=BASIC + "    init_path: ./unity.pt\n") == 2
    assert "it was written by Unity's trainers" in capsys.readouterr().out


def test_shapes_that_say_nothing_of_settings_are_named():
    import torch

    first = {"Policy": {"a": torch.zeros(2, 3), "b": torch.zeros(1), "c": torch.zeros(())}}
    second = {"Policy": {"a": torch.zeros(2, 4), "d": torch.zeros(1)}, "Judge": {"x": torch.zeros(5), "y": torch.zeros(5)}}
    assert guessed_settings(first, second) == []
    assert differing_shapes(first, second) == [
        "Policy.a is 2x3 there, 2x4 here",
        "Policy.b is 1 there, not needed here",
        "Policy.c is a number there, not needed here",
        "and 3 more",
    ]
    assert differing_shapes({"Policy": {}}, {"Policy": {"a": torch.zeros(2)}}) == ["Policy.a is not there, 2 here"]
    assert differing_shapes(first, first) == ["its optimizer has other parameters"]
