"""Kills, copies, second runs and looks: none of them costs a run anything."""

import json
import os
import re
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml

from mlagents.learn import main
from mlagents_envs.player.executable import make_executable

sys.path.insert(0, str(Path(__file__).parent))
from basic_run import BASIC, everything, files, start, wait_for, weights


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


def untouched(root):
    """What nobody may touch: contents, times and permissions of all files and folders."""
    found = {}
    for path in [Path(root), *sorted(Path(root).rglob("*"))]:
        about = path.stat()
        found[str(path)] = (path.read_bytes() if path.is_file() else None, about.st_mtime_ns, about.st_mode)
    return found


WHERE = {
    "in process": ["--env", "builtin:Basic"], "processes": ["--env", "builtin:Basic", "--num-envs", "2"],
    "player": ["--env", "builds/Basic"], "players": ["--env", "builds/Basic", "--num-envs", "2"],
}  # fmt: skip


@pytest.mark.parametrize("where", WHERE)
def test_inference_leaves_bytes_times_and_folders_of_a_run_as_they_are(learn, where):
    make_executable(Path("builds"), "Basic")
    Path("evaluated.yaml").write_text(BASIC.replace("MAX", "300") + "    evaluation: {interval: 100, episodes: 2, max_length: 9}\n")
    run = ["evaluated.yaml", "--run-id", "run", "--seed", "1"]
    assert main([*run, *WHERE["in process"]]) == 0
    before = untouched("results")
    assert any("best.onnx" in name for name in before) and any("evaluations.jsonl" in name for name in before)
    assert main([*run, *WHERE[where], "--inference", "--episodes", "5"]) == 0
    assert untouched("results") == before


@pytest.mark.skipif(find_spec("gymnasium") is None, reason="gymnasium is not installed")
def test_inference_in_gymnasium_leaves_the_run_as_it_is(learn):
    Path("pole.yaml").write_text(BASIC.replace("MAX", "100").replace("Basic:", "CartPole:"))
    words = ["pole.yaml", "--env", "gym:CartPole-v1", "--run-id", "run", "--seed", "1"]
    assert main(words) == 0
    before = untouched("results")
    assert main([*words, "--inference", "--episodes", "5"]) == 0
    assert untouched("results") == before


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


class Session:
    """Stands for a run that is under way."""

    begun = True
    stops = 0

    @classmethod
    def stop(cls):
        cls.stops += 1

    class results:
        root = "results/run"


def test_a_second_ctrl_c_does_not_wait_and_a_third_waits_for_nothing_at_all(monkeypatch):
    from mlagents import learn as learning

    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)
    with learning.stopping(Session):
        os.kill(os.getpid(), signal.SIGINT)
        assert Session.stops == 1
        with pytest.raises(learning.StoppedAtOnce, match="what was saved before lies in results/run"):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert ends == [130]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "damage",
    [{"global_step": 7}, {"global_step": {}}, {"Policy": {"head.weight": "x"}}, {"rng": 3}, {"rng": {"torch": "x"}},
     {"Optimizer:value_optimizer": None}, {"Optimizer:critic": []}],
)  # fmt: skip
def test_a_checkpoint_with_wrong_types_is_a_sentence_and_stays_as_it_is(learn, capsys, damage):
    learn(steps=300)
    path = Path("results/run/Basic/checkpoint.pt")
    state = torch.load(path, weights_only=True)
    torch.save({**state, **damage}, path)
    before = everything()
    capsys.readouterr()
    assert learn("--resume", steps=600) == 2
    output = capsys.readouterr()
    assert str(path) in output.out + output.err
    assert "Traceback" not in output.out + output.err
    assert {name: kept for name, kept in everything().items() if ".lock" not in name} == before
