"""Demonstrations as a user meets them: in the YAML, in the messages, and in TensorBoard."""

import threading
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.demonstrations import sources
from mlagents.learn import main
from mlagents.settings.checks import check_paths
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.example import vector_sensor

TRAINER = """
from mlagents.api import OffPolicyTrainer


class RecallTrainer(OffPolicyTrainer):
    def update(self, batch):
        return {}
"""
CONFIG = """behaviors:
  Basic:
    trainer_type: recall
    hyperparameters: {{batch_size: 10, buffer_size: 200}}
    demonstrations:
      {0}
    max_steps: 600
    summary_freq: 100
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recall.py").write_text(TRAINER)
    monkeypatch.setattr(sources, "POLL_INTERVAL", 0.0)


def write(path, *episodes, spec=Basic.SPEC):
    with DemonstrationRecorder(path, "Basic", spec) as recorder:
        for places in episodes:
            for place in places:
                seen = np.zeros(spec.observation_specs[0].shape, np.float32)
                seen[place] = 1.0
                recorder.record([seen], -0.01, np.array([]), np.array([2]), done=place == places[-1])


def run(text, *flags):
    Path("a.yaml").write_text(CONFIG.format(text))
    return main(["a.yaml", "--plugin", "recall.py", "--env", "builtin:Basic", "--run-id", "run", "--seed", "1", *flags])


def curve(tag):
    board = EventAccumulator("results/run/Basic")
    board.Reload()
    return [event.value for event in board.Scalars(tag)]


def mistakes(text):
    Path("a.yaml").write_text(CONFIG.format(text))
    with pytest.raises(SettingsError) as caught:
        load("a.yaml", {"": {"plugins": ["recall.py"]}})
    return str(caught.value)


def test_a_file_is_in_every_batch_and_its_rows_are_seen_in_tensorboard():
    write("a.demo", range(10, 18), range(10, 18))
    assert run("{sources: [{file: a.demo}], ratio: 0.3}") == 0
    assert curve("Replay/Demonstration Share") == pytest.approx([0.3] * 6)
    assert set(curve("Replay/Demonstration Rows")) == set(curve("Replay/Rows of file:a.demo")) == {14.0}
    saved = load("results/run/configuration.yaml", {})[0].behaviors["Basic"].demonstrations
    assert (saved.ratio, saved.sources[0].file) == (0.3, "a.demo")


def test_a_run_without_demonstrations_saves_a_file_without_them():
    Path("a.yaml").write_text("behaviors: {Basic: {max_steps: 100}}")
    assert "demonstrations" not in load("a.yaml", {})[0].to_yaml()


def test_a_folder_is_followed_while_the_run_is_on(monkeypatch):
    Path("demos").mkdir()
    looks = threading.Semaphore(0)
    present = sources.LiveSource._present

    def looked(self):
        looks.release()
        return present(self)

    def play():
        for number in range(3):
            for _ in range(60):
                looks.acquire()
            write(f"demos/{number}.demo", range(10, 18))

    monkeypatch.setattr(sources.LiveSource, "_present", looked)
    player = threading.Thread(target=play, daemon=True)
    player.start()
    assert run("{sources: [{live: demos}]}") == 0
    player.join()
    share, rows = curve("Replay/Demonstration Share"), curve("Replay/Demonstration Rows")
    assert share[0] < 0.5
    assert share[-1] == 0.5
    assert rows == sorted(rows)
    assert rows[-1] == 21


@pytest.mark.parametrize(("align", "how"), [("auto", "as Unity records"), ("old", "as very old recorders did")])
def test_the_log_says_which_action_the_records_were_taken_to_hold(align, how, capsys):
    write("a.demo", range(10, 18))
    assert run(f"{{sources: [{{file: a.demo, align: {align}}}]}}") == 0
    assert capsys.readouterr().out.count(f"a.demo is read {how}: ") == 1
    saved = load("results/run/configuration.yaml", {})[0].behaviors["Basic"].demonstrations
    assert saved.sources[0].align == align


def test_an_inference_needs_no_demonstrations():
    write("a.demo", range(10, 18))
    assert run("{sources: [{file: a.demo}]}") == 0
    Path("a.demo").unlink()
    assert run("{sources: [{file: a.demo}]}", "--resume") == 2
    options = load("a.yaml", {"": {"plugins": ["recall.py"]}, "checkpoint_settings": {"inference": True}})[0]
    assert check_paths(options) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{sources: [{file: a.demo, live: b}]}", "a.yaml:6:18: behaviors.Basic.demonstrations.sources.0: has file and live; must have one of file, live"),
        ("{sources: [{}]}", "behaviors.Basic.demonstrations.sources.0: names no place; must have one of file, live"),
        ("{sources: [{file: a.demo, align: godot}]}", "behaviors.Basic.demonstrations.sources.0.align: is 'godot'; must be one of 'auto', 'unity' or 'old'"),
        ("{sources: [{live: a, images: channels}]}", "behaviors.Basic.demonstrations.sources.0.images: is 'channels'; must be"),
        ("{sources: [{align: old}]}", "behaviors.Basic.demonstrations.sources.0: names no place; must have one of file, live"),
        ("{sources: [{fiel: a.demo}]}", "behaviors.Basic.demonstrations.sources.0.fiel: unknown key, did you mean 'file'"),
        ("{sources: [{file: a.demo}], ratio: 1.5}", "behaviors.Basic.demonstrations.ratio: is 1.5; must be at most 1"),
        ("{sources: []}", "behaviors.Basic.demonstrations.sources"),
        ("{ratio: 0.5}", "behaviors.Basic.demonstrations.sources: is missing"),
        ("{sources: [{file: a.demo}], protected: true}", "unknown key, did you mean 'protect'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(text, said):
    assert said in mistakes(text)
    assert mistakes(text).count("\n") == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gone.demo", "there is no demonstration gone.demo"),
        ("recall.py", "recall.py is no demonstration"),
        (".", "the folder . holds no .demo file"),
        ("*.demo", "there is no demonstration *.demo"),
    ],
)
def test_a_file_that_is_not_there_is_told_before_anything_starts(path, said, capsys):
    assert run(f"{{sources: [{{file: '{path}'}}]}}") == 2
    assert f"behaviors.Basic.demonstrations: {said}" in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_demonstration_of_other_agents_says_what_differs(capsys):
    write("a.demo", [1, 2, 3], spec=BehaviorSpec([vector_sensor(8, "seen")], ActionSpec.create_discrete((3,))))
    assert run("{sources: [{file: a.demo}]}") == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "behaviors.Basic.demonstrations: a.demo does not fit this behavior: sensor 0" in said
    assert "has shape (8,) there; the behavior's has (20,)" in said
    assert not Path("results").exists()


def test_an_impossible_number_is_told_before_training(capsys):
    write("a.demo", range(10, 18))
    data, nan = Path("a.demo").read_bytes(), np.float32(np.nan).tobytes()
    Path("a.demo").write_bytes(data.replace(np.float32(1).tobytes(), nan))
    assert run("{sources: [{file: a.demo}]}") == 2
    assert "behaviors.Basic.demonstrations: a.demo: record 0 has nan in sensor 0" in capsys.readouterr().out


def test_a_damaged_file_is_told_before_training(capsys):
    write("a.demo", range(10, 18))
    Path("a.demo").write_bytes(Path("a.demo").read_bytes()[:200])
    assert run("{sources: [{file: a.demo}]}") == 2
    assert "a.demo ends too early" in capsys.readouterr().out
