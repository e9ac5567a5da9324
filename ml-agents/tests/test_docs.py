"""The pages about trainers of one's own work as they are written.

A page is walked block by block: files are written, changes are made, commands are typed, and what is shown must have
been said. Only numbers that differ from machine to machine are not compared.
"""

import json
import re
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
import yaml
from doc_pages import ROOT, Author, Page, change, loosely, tags

from mlagents.conformance import command as check_command
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.demonstrations.recording import DemonstrationRecorder
from mlagents_envs.examples.basic import Basic
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.exception import DemonstrationException

TAG = r"`((?:Environment|Policy|Losses|Replay)/[^`/]+)`"


PLUGINS, TRAINERS, TAUGHT, MOVED = map(Page, ("plugins.md", "trainers.md", "demonstrations.md", "migration.md"))


@pytest.fixture
def author(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # files change within the second that a cache can tell
    monkeypatch.setattr(check_command, "PROCESSES", 1)
    author = Author(tmp_path.resolve(), capsys, monkeypatch)
    yield author
    author.forget_modules()


@pytest.fixture
def gentle(author):
    """The files of the smallest trainer, and of all others on the pages."""
    for page in (PLUGINS, TRAINERS, TAUGHT, MOVED):
        for file, text in page.files().items():
            author.write(file, text)
    return author


def test_the_tutorial_works_from_its_first_line_to_its_last(author):
    author.walk(PLUGINS, "From nothing", "Change the loss")
    seen = set(re.findall(TAG, PLUGINS.section("From nothing")))
    assert len(seen) == 9
    assert seen <= tags("first").keys()
    author.walk(PLUGINS, "Break it", "Check it", undone=True)
    author.walk(PLUGINS, "Install it")
    assert Path("results/installed/Basic.onnx").is_file()


def test_a_nan_stops_the_run_and_is_named(gentle):
    term = '            "policy": -(log_prob.sum(1){} * batch.advantage).mean(),\n'
    change("gentle.py", "-" + term.format("") + "+" + term.format(".log()"))
    status, heard = gentle.typed("mlagents-learn gentle.yaml --plugin gentle.py --env builtin:Basic --run-id gentle")
    assert status == 2, heard
    assert "the loss 'policy' is nan" in heard


def test_the_smallest_trainer_trains_and_an_editor_knows_its_settings(author):
    author.walk(PLUGINS, "The smallest one", "In an editor")
    assert {"Losses/Policy Loss", "Losses/Value Loss", "Losses/Entropy Loss"} <= tags("gentle").keys()
    schema = json.loads(Path("mlagents.schema.json").read_text(encoding="utf-8"))
    config = yaml.safe_load(Path("gentle.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(config, schema)
    config["behaviors"]["Basic"]["hyperparameters"]["beta"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, schema)


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("smooth", "Losses/Certainty Loss"),
        ("fading", "Policy/Caution"),
        ("two-rates", "Policy/Critic Rate"),
        ("value-clip", "Losses/Value Loss"),
        ("mean-field", "Policy/Mates"),
    ],
)
def test_a_trainer_of_a_template_trains_as_its_page_shows(name, curve, gentle):
    gentle.write("own.yaml", PLUGINS.files()["gentle.yaml"].replace("gentle", name))
    status, heard = gentle.typed(
        f"mlagents-learn own.yaml --plugin {name.replace('-', '_')}.py --env builtin:Basic --run-id own"
    )
    assert status == 0, heard
    assert curve in tags("own")


@pytest.mark.parametrize(
    ("title", "run", "behavior", "curve"),
    [("Policies", "tanh", "3DBall", "Policy/Entropy"), ("Reward signals", "novelty", "Basic", "Losses/Novelty Loss")],
)
def test_policies_and_reward_signals_train_as_the_page_shows(title, run, behavior, curve, author):
    pytest.importorskip("numba")
    author.walk(TRAINERS, title)
    assert curve in tags(run, behavior)
    assert {folder.name for folder in Path("results").iterdir()} == {
        file.parts[1] for file in Path().glob("results/*/*.onnx")
    }


def test_several_behaviors_have_trainers_of_their_own(gentle):
    pytest.importorskip("numba")
    gentle.walk(PLUGINS, "Several behaviors, and plug-ins in the YAML")
    assert "Losses/Entropy Loss" in tags("two", "SmallWallJump")
    assert "Policy/Epsilon" in tags("two", "BigWallJump")


def test_what_a_trainer_does_not_take_is_refused_as_the_page_says(gentle):
    gentle.write("own.yaml", PLUGINS.files()["gentle.yaml"].replace("gentle", "branches").replace("Basic", "3DBall"))
    status, heard = gentle.typed("mlagents-learn own.yaml --plugin branches.py --env builtin:3DBall --run-id own")
    (shown,) = (block.text for block in TRAINERS.blocks("Capabilities") if not block.kind)
    assert (status, loosely(shown) in loosely(heard)) == (2, True), heard


POINTS = [block.text for block in PLUGINS.blocks("Entry points") if block.kind == "toml"]


@pytest.mark.parametrize("points", POINTS, ids=["class", "function"])
def test_a_package_names_its_trainers_in_either_shape(points, gentle):
    gentle.enter(points)
    status, heard = gentle.typed("mlagents-learn gentle.yaml --env builtin:Basic --run-id entered")
    assert status == 0, heard
    assert "gentle some-plugin 1.2" in loosely(gentle.typed("mlagents-plugin list")[1]).replace("#", "1.2")


def test_trainers_are_looked_at_as_the_page_shows(gentle):
    gentle.walk(PLUGINS, "Looking at trainers")


def test_statistics_are_written_elsewhere(gentle):
    gentle.walk(PLUGINS, "Writing statistics elsewhere")
    rows = [line.split(",") for line in Path("results/tables/Basic.csv").read_text(encoding="utf-8").splitlines()]
    curve = tags("tables")["Environment/Cumulative Reward"]
    assert [float(row[2]) for row in rows if row[1] == "Environment/Cumulative Reward"] == pytest.approx(curve)


def test_an_actor_and_a_critic_learn_and_a_checkpoint_holds_both_with_their_optimizers(gentle):
    gentle.walk(TRAINERS, "Optimizers")
    kept = torch.load("results/discrete-ac/Basic/checkpoint.pt", weights_only=True)
    assert {"Policy", "Critic", "Target", "Actor Optimizer", "Critic Optimizer", "updates"} <= kept.keys()


def test_every_tag_of_the_reference_is_a_curve(gentle):
    taught = TAUGHT.files()["taught.yaml"].replace("- live: recordings", "")
    gentle.write("taught.yaml", re.sub("max_steps: .*", "max_steps: 300", taught))
    learn = "mlagents-learn gentle.yaml --plugin gentle.py --env builtin:Basic --run-id gentle"
    taught = "mlagents-learn taught.yaml --env builtin:Basic --run-id taught"
    assert [gentle.typed(line)[0] for line in (learn, "python record.py", taught)] == [0, 0, 0]
    told = set(re.findall(TAG, TRAINERS.section("Metrics")))
    assert len(told) >= 9
    assert told - (tags("gentle").keys() | tags("taught").keys()) == {"Losses/Imitation Loss"}  # DQN's margin does it


def test_demonstrations_are_recorded_and_learnt_from_as_the_page_shows(gentle):
    gentle.walk(TAUGHT, "Recording in Python")
    curves = tags("taught")
    assert {tag for tag in re.findall(r"`(Replay/[^`]+)`", TAUGHT.text)} <= curves.keys()
    assert curves["Replay/Demonstration Share"][-1] == 0.5


def test_the_keys_of_demonstrations_are_those_of_their_table():
    rows = re.findall(r"^\| `(\w+)` \| (\S*) ?\|", TAUGHT.text, re.MULTILINE)
    fields = DemonstrationSettings.model_fields.items()
    assert [name for name, _ in rows] == [name for name, _ in fields]
    assert [yaml.safe_load(default) for _, default in rows[1:]] == [field.default for _, field in fields][1:]


SENTENCES = re.findall(r"^\| `(.+?)` \|", TAUGHT.section("When something is wrong"), re.MULTILINE)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_is_wrong_with_a_demonstration_is_said_as_the_table_tells(sentence, gentle):
    others = BehaviorSpec([vector_sensor(8, "BasicSensor")], ActionSpec.create_discrete((3,)))
    for file, spec in (("other.demo", others), ("cut.demo", Basic.SPEC)):
        with DemonstrationRecorder(file, "Basic", spec) as recorder:
            recorder.record([np.zeros(spec.observation_specs[0].shape)], 0.0)
    with DemonstrationRecorder("bad.demo", "Basic", Basic.SPEC) as recorder:
        for number in (0.0, 0.5):
            recorder.record([np.full(20, number)], 0.0, discrete=[2])
    data, nan = Path("bad.demo").read_bytes(), np.float32(np.nan).tobytes()
    Path("bad.demo").write_bytes(data.replace(np.float32(0.5).tobytes(), nan))
    Path("cut.demo").write_bytes(Path("cut.demo").read_bytes()[:100])
    unclosed = DemonstrationRecorder("open.demo", "Basic", Basic.SPEC)
    unclosed._file.close()  # as its process would that was killed
    (named,) = set(re.findall(r"\w+\.(?:demo|py)\b", sentence)) or {"cut.demo"}
    source = f"{named}, live: b" if "file and live" in sentence else named
    text = re.sub("- file: .*", f"- {{file: {source}}}", TAUGHT.files()["taught.yaml"])
    as_ppo = text.replace("dqn", "ppo").replace(", n_step: 3, tau: 0.02", "")
    gentle.write("taught.yaml", as_ppo if "ppo" in sentence else text)
    status, heard = gentle.typed("mlagents-learn taught.yaml --env builtin:Basic --run-id wrong")
    assert (status, loosely(sentence) in loosely(heard)) == (2, True), heard


REFUSED = re.findall(r"^\| `(a\.demo: .+?)` \|", TAUGHT.section("Recording in Python"), re.MULTILINE)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    list(zip([{"obs": [np.zeros(8)]}, {"discrete": [3]}, {"reward": np.nan}], REFUSED, strict=True)),
    ids=REFUSED,
)
def test_what_a_recorder_refuses_is_said_as_the_table_tells(wrong, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with DemonstrationRecorder("a.demo", "Basic", Basic.SPEC) as recorder:
        recorder.record([np.zeros(20)], 0.0)
        with pytest.raises(DemonstrationException) as caught:
            recorder.record(**{"obs": [np.zeros(20)], "reward": 0.0, "discrete": [2], **wrong})
    assert str(caught.value) == sentence


def test_a_recording_is_read_as_the_page_shows(gentle):
    assert gentle.typed("python record.py") == (0, "")
    (shown,) = (block.text for block in TAUGHT.blocks("What a record holds") if block.kind == "python")
    variables = {}
    exec(shown, variables)
    rows = variables["rows"]
    assert len(rows) == 35
    assert (rows.action.discrete == 2).all()
    assert rows.reward[rows.done].tolist() == pytest.approx([0.99] * 5)


@pytest.mark.parametrize("page", [PLUGINS, TAUGHT], ids=["plugins", "demonstrations"])
def test_lines_that_are_shown_of_a_file_are_its_own(page, author):
    author.typed("mlagents-plugin new my-trainer")
    dqn = ROOT / "ml-agents-trainer-plugin/mlagents_trainer_plugin/dqn/dqn_trainer.py"
    files = {"Install it": Path("my-trainer/tests/test_my_trainer.py"), "For authors of trainers": dqn}
    (title,) = (title for title in files if title in page.text)
    (shown,) = (block.text for block in page.blocks(title) if block.kind == "python")
    assert shown in files[title].read_text(encoding="utf-8")


def test_the_trainer_of_the_migration_trains_and_a_checkpoint_holds_what_the_reference_says(author):
    author.walk(MOVED, "The shape of a trainer, before and after")
    assert {"Policy/Beta", "Losses/Entropy Loss"} <= tags("advantage").keys()
    (row,) = (line for line in TRAINERS.section("Checkpoints").splitlines() if line.startswith("| on-policy"))
    kept = torch.load("results/advantage/Basic/checkpoint.pt", weights_only=True)
    assert set(re.findall("`([^`]+)`", row.split("|")[2])) == kept.keys() - {"global_step", "rng"}
