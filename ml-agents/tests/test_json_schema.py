"""The schema and the reader agree on what a YAML file may say."""

import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mlagents.learn import main
from mlagents.plugins.catalog import BUILTIN, TRAINERS, Catalog
from mlagents.settings.json_schema import json_schema, schema_of
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "ml-agents-trainer-plugin" / "mlagents_trainer_plugin"
PUBLISHED = sorted((ROOT / "config").rglob("*.yaml"))
INSTALLED = {"a2c": "mlagents_trainer_plugin.a2c.a2c_trainer:A2CTrainer",
             "dqn": "mlagents_trainer_plugin.dqn.dqn_trainer:DQNTrainer"}  # fmt: skip
TRAINER = '''
from typing import Literal
from pydantic import BaseModel, Field
from mlagents.api import Int, OnPolicyHyperparamSettings, OnPolicyTrainer

print("loaded")

class Taste(BaseModel, extra="forbid"):
    sweet: float = Field(0.5, ge=0, le=1)
    """How sweet."""

class OwnSettings(OnPolicyHyperparamSettings):
    num_epoch: Literal[1] = 1
    """Once."""
    width: Int = Field(ge=2, lt=64)
    """How wide it is."""
    depth: Int | None = Field(None, gt=0)
    """How deep it is."""
    taste: Taste = Taste()
    """How it tastes."""

class OwnTrainer(OnPolicyTrainer):
    Settings = OwnSettings
'''


class Loader(yaml.SafeLoader):
    """Reads as editors do: YAML 1.2, where 1.0e7 is a number."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])
    sys.modules.pop("mlagents_plugin_own", None)


@pytest.fixture
def installed(monkeypatch):
    """A function that pretends that these entry points are installed."""

    def install(**targets):
        points = [EntryPoint(name, value, TRAINERS) for name, value in targets.items()]
        monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [p for p in points if p.group == group])

    return install


def errors(text, schema=None):
    """Return what the schema has against a file."""
    validator = Draft202012Validator(schema or schema_of(BUILTIN))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(yaml.load(text, Loader))]


def refused(text, flags=None):
    """Return what the reader has against a file."""
    Path("a.yaml").write_text(text)
    try:
        load("a.yaml", flags or {})
    except SettingsError as error:
        return str(error)
    return ""


def behavior(text, trainer="ppo"):
    return f"behaviors:\n  B:\n    trainer_type: {trainer}\n" + "".join(f"    {line}\n" for line in text.splitlines())


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema_of(BUILTIN))


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: "/".join(file.parts[-2:]))
def test_every_published_file_fits(file):
    assert errors(file.read_text()) == []


def test_the_files_of_the_plug_ins_package_fit_where_it_is_installed(installed):
    installed(**INSTALLED)
    schema = json_schema(Catalog())
    files = sorted(PLUGIN.rglob("*.yaml"))
    assert files
    for file in files:
        assert errors(file.read_text(), schema) == []
        assert errors(file.read_text()) != []  # where it is not, nobody knows the trainer


def test_the_files_of_the_pages_fit():
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", page, re.DOTALL))
    Path("gentle.py").write_text(files["gentle.py"])
    schema = json_schema(Catalog(["gentle.py"]))
    assert errors(files["gentle.yaml"], schema) == []
    assert errors(files["gentle.yaml"].replace("beta", "betta"), schema) != []


@pytest.mark.parametrize(
    "text",
    [
        "behaviors:",
        "behaviors: {B: }",
        "default_settings:\nbehaviors:\nenvironment_parameters:\nplugins:\nenv_settings:\nengine_settings:\ncheckpoint_settings:\ntorch_settings:",
        behavior("max_steps: 1.0e7\ntime_horizon: 64.0\nhyperparameters: {learning_rate: 3.0e-4, batch_size: 1e3}"),
        behavior("hyperparameters:\nnetwork_settings:\nreward_signals:\nself_play:\nbehavioral_cloning:\ndemonstrations:\ninit_path:"),
        behavior("reward_signals: {}"),
        behavior("reward_signals:\n  extrinsic:\n  curiosity:\n    network_settings:\n  rnd: {encoding_size: 64}"),
        behavior("network_settings: {hiden_units: 3, memory: }"),
        behavior("framework: pytorch\ninit_path: a/b.pt"),
        behavior("self_play: {windoww: 3}\nbehavioral_cloning: {demo_path: 7, stepps: 3}"),
        behavior("demonstrations: {sources: [{file: a.demo}, {live: b, file: }]}"),
        behavior("demonstrations: {sources: [{file: a.demo, align: old}, {live: b, images: channels_last}]}"),
        behavior("even_checkpoints: true"),
        behavior("even_checkpoints: false\nkeep_checkpoints: 0"),
        behavior("hyperparameters: {tau: 0.1}", "sac"),
        "default_settings: {trainer_type: sac, hyperparameters: {tau: 0.1}}\nbehaviors: {B: {hyperparameters: {tau: 0.2}}}",
        "default_settings: {trainer_type: sac}\nbehaviors: {B: {trainer_type: ppo, hyperparameters: {beta: 0.2}}}",
        "default_settings: {behavioral_cloning: {demo_path: a}}\nbehaviors: {B: {behavioral_cloning: {steps: 3}}}",
        "default_settings: {reward_signals: {gail: {demo_path: a}}}\nbehaviors: {B: {reward_signals: {gail: {gamma: 0.3}}}}",
        "default_settings: {demonstrations: {sources: [{live: a}]}}\nbehaviors: {B: {demonstrations: {ratio: 0.3}}}",
        "environment_parameters: {mass: 3, size: 1.0e2}",
        "environment_parameters: {mass: {sampler_type: uniform, sampler_parameters: {min_value: 1, max_value: 2}}}",
        "environment_parameters: {mass: {sampler_type: gaussian, sampler_parameters: }}",
        "environment_parameters: {mass: {curriculum: [{name: 1, value: 3}], note: not looked at}}",
        "environment_parameters: {mass: {curriculum: [{name: a, value: {sampler_type: constant, sampler_parameters: {value: 1}}, completion_criteria: {behavior: B, measure: progress, threshold: 0.5, odd: 1}}, {name: b, value: 4, completion_criteria: }]}}",
        "checkpoint_settings: {run_id: 42}\nenv_settings: {env_args: [--level, 3], env_path: }\ntorch_settings: {device: cpu, odd: 1}",
        "debug: true",
    ],
)  # fmt: skip
def test_what_the_reader_takes_fits(text):
    assert refused(text) == ""
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "behaviours: {}",
        "behaviors: [B]",
        "behaviors: {B: 3}",
        "debug: 3",
        "debug:",
        "default_settings: []",
        behavior("max_stepps: 5"),
        behavior("max_steps:"),
        behavior("max_steps: 3.9"),
        behavior("hyperparameters: wide"),
        behavior("hyperparameters: {batch_sise: 64}"),
        behavior("hyperparameters: {learning_rate_schedule: quadratic}"),
        behavior("hyperparameters: {tau: 0.1}"),
        behavior("hyperparameters: {beta: 0.1}", "sac"),
        behavior("hyperparameters: {shared_critic: true}", "poca"),
        behavior("max_steps: 5", "pppo"),
        behavior("max_steps: 5", "a2c"),
        "behaviors: {B: {hyperparameters: {beta: 1}}}",
        "default_settings: {hyperparameters: {beta: 1}}",
        "default_settings: {trainer_type: sac}\nbehaviors: {B: {hyperparameters: {beta: 1}}}",
        "default_settings: {trainer_type: pppo}",
        "default_settings: {behavioral_cloning: {steps: 3}}",
        behavior("network_settings: wide"),
        behavior("network_settings: {memory: {memory_size: 7}}"),
        behavior("network_settings: {vis_encode_type: simpel}"),
        behavior("network_settings: {normalize: perhaps}"),
        behavior("reward_signals: {extrinsik: {}}"),
        behavior("reward_signals: {extrinsic: {gama: 0.9}}"),
        behavior("reward_signals: {extrinsic: {learning_rate: 0.9}}"),
        behavior("reward_signals: {gail: {}}"),
        behavior("reward_signals: {gail: }"),
        behavior("reward_signals: {rnd: {encoding_size: 0}}"),
        behavior("init_path: model.onnx"),
        behavior("even_checkpoints: true\nkeep_checkpoints: 0"),
        behavior("self_play: {window: 0}"),
        behavior("behavioral_cloning: {steps: 3}"),
        behavior("behavioral_cloning: {demo_path: a, num_epoch: 0}"),
        behavior("demonstrations: {}"),
        behavior("demonstrations: {sources: []}"),
        behavior("demonstrations: {sources: [{}]}"),
        behavior("demonstrations: {sources: [{file: a, live: b}]}"),
        behavior("demonstrations: {sources: [{align: old}]}"),
        behavior("demonstrations: {sources: [{file: a, align: godot}]}"),
        behavior("demonstrations: {sources: [a.demo]}"),
        behavior("demonstrations: {sources: [{file: a}], ratio: 2}"),
        "default_settings: {max_steps: 3}\n" + behavior("behavioral_cloning: {steps: 3}"),
        "environment_parameters: 3",
        "environment_parameters: {mass: heavy}",
        "environment_parameters: {mass: }",
        "environment_parameters: {mass: {sampler_type: uniform}}",
        "environment_parameters: {mass: {sampler_type: unifrom, sampler_parameters: {}}}",
        "environment_parameters: {mass: {sampler_type: uniform, sampler_parameters: {mean: 1}}}",
        "environment_parameters: {mass: {sampler_type: uniform, sampler_parameters: {}, odd: 1}}",
        "environment_parameters: {mass: {sampler_type: gaussian, sampler_parameters: {st_dev: -1}}}",
        "environment_parameters: {mass: {sampler_type: multirangeuniform, sampler_parameters: {intervals: [[1]]}}}",
        "environment_parameters: {mass: {curriculum: []}}",
        "environment_parameters: {mass: {curriculum: [{name: a}]}}",
        "environment_parameters: {mass: {curriculum: [{value: 1}]}}",
        "environment_parameters: {mass: {curriculum: [{name: a, value: 1, odd: 1}]}}",
        "environment_parameters: {mass: {curriculum: [{name: a, value: {curriculum: []}}]}}",
        "environment_parameters: {mass: {curriculum: [{name: a, value: 1, completion_criteria: {}}]}}",
        "environment_parameters: {mass: {curriculum: [{name: a, value: 1, completion_criteria: {behavior: B, measure: progress, threshold: 2}}]}}",
        "env_settings: {env_args: --level}",
        "env_settings: {odd: 1}",
        "engine_settings: {time_scale: 0}",
        "checkpoint_settings: {resume: perhaps}",
    ],
)  # fmt: skip
def test_a_mistake_is_refused_by_the_schema_as_by_the_reader(text):
    assert refused(text) != ""
    assert errors(text) != []


PLACES = {
    "EnvironmentSettings": "env_settings: {%s}",
    "EngineSettings": "engine_settings: {%s}",
    "CheckpointSettings": "checkpoint_settings: {%s}",
    "TrainerSettings": "behaviors: {B: {%s}}",
    "NetworkSettings": "behaviors: {B: {network_settings: {%s}}}",
    "MemorySettings": "behaviors: {B: {network_settings: {memory: {%s}}}}",
    "PPOSettings": "behaviors: {B: {trainer_type: ppo, hyperparameters: {%s}}}",
    "SACSettings": "behaviors: {B: {trainer_type: sac, hyperparameters: {%s}}}",
    "POCASettings": "behaviors: {B: {trainer_type: poca, hyperparameters: {%s}}}",
    "CuriositySettings": "behaviors: {B: {reward_signals: {curiosity: {%s}}}}",
    "SelfPlaySettings": "behaviors: {B: {self_play: {%s}}}",
}


def outside(value):
    """Yield values that a setting of this schema cannot have."""
    kinds = value.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "minimum" in value:
        yield value["minimum"] - 1
    if "maximum" in value:
        yield value["maximum"] + 1
    if "exclusiveMinimum" in value:
        yield value["exclusiveMinimum"]
    if "integer" in kinds:
        yield 2.5
    if "enum" in value or ({"integer", "number", "boolean"} & set(kinds) and "string" not in kinds):
        yield "odd"
    if "$ref" in value:
        yield "odd"


@pytest.mark.parametrize("part", PLACES)
def test_no_setting_may_be_out_of_its_range(part):
    schema = schema_of(BUILTIN)
    tried = 0
    for key, value in schema["$defs"][part]["properties"].items():
        for wrong in outside(value):
            text = PLACES[part] % f"{key}: {wrong}"
            assert refused(text), text
            assert errors(text, schema), text
            tried += 1
    assert tried > 1


@pytest.mark.parametrize("part", PLACES)
def test_every_default_may_be_written_down(part):
    schema = schema_of(BUILTIN)
    written = {
        key: value["default"] for key, value in schema["$defs"][part]["properties"].items() if "default" in value
    }
    text = PLACES[part] % json.dumps(written)[1:-1]
    assert refused(text) == ""
    assert errors(text, schema) == []


def test_every_key_says_what_it_is_for():
    schema = schema_of(BUILTIN)
    parts = {"": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part["properties"].items()
        if value.get("title") != key
        or not (value.get("description") or parts[value["$ref"].rpartition("/")[2]]["description"])
    ]
    assert silent == []
    assert all(part["title"] and part["description"] for part in parts.values())


def test_defaults_and_ranges_stand_at_their_keys():
    width = schema_of(BUILTIN)["$defs"]["NetworkSettings"]["properties"]["hidden_units"]
    assert width == {
        "title": "hidden_units",
        "description": "Width of each hidden layer.",
        "type": "integer",
        "minimum": 1,
        "maximum": 2**14,
        "default": 128,
    }


def test_a_plug_ins_hyperparameters_are_checked_like_all_others():
    Path("own.py").write_text(TRAINER)
    schema = json_schema(Catalog(["own.py"]))
    Draft202012Validator.check_schema(schema)
    flags = {"": {"plugins": ["own.py"]}}
    fits = ["width: 8", "width: 8, depth: 2, num_epoch: 1, taste: {}", "width: 8, depth: , taste: {sweet: 1}"]
    for said in fits:
        text = behavior(f"hyperparameters: {{{said}}}", "own")
        assert (refused(text, flags), errors(text, schema)) == ("", [])
    wrong = ["width: 64", "width: 1", "depth: 3", "width: 8, depth: 0", "width: 8, num_epoch: 2",
             "width: 8, taste: {sweet: 2}", "width: 8, taste: {sour: 1}", "width: 8, taste: ", "width: 8, beta: 1"]  # fmt: skip
    for said in wrong:
        text = behavior(f"hyperparameters: {{{said}}}", "own")
        assert refused(text, flags), said
        assert errors(text, schema), said


def test_what_a_trainer_must_be_given_may_stand_in_default_settings():
    Path("own.py").write_text(TRAINER)
    schema = json_schema(Catalog(["own.py"]))
    flags = {"": {"plugins": ["own.py"]}}
    inherited = "default_settings: {trainer_type: own, hyperparameters: {width: 8}}\nbehaviors: {B: {hyperparameters: {depth: 2}}}"
    assert (refused(inherited, flags), errors(inherited, schema)) == ("", [])
    for text in (behavior("max_steps: 5", "own"), "default_settings: {trainer_type: own}"):
        assert refused(text, flags)
        assert errors(text, schema)


def test_settings_of_which_only_python_knows_the_type_are_not_checked():
    exotic = TRAINER.replace("depth: Int | None = Field(None, gt=0)", "depth: Callable[[int], int] | None = None")
    Path("own.py").write_text("from collections.abc import Callable\n" + exotic)
    schema = json_schema(Catalog(["own.py"]))
    assert errors(behavior("hyperparameters: {width: 8, anything: 3}", "own"), schema) == []
    assert errors(behavior("hyperparameters: {width: 8, anything: 3}", "ppo"), schema) != []


def test_a_trainer_that_cannot_be_used_is_left_out_and_named(installed):
    installed(gone="package_that_is_not_there:GoneTrainer", **INSTALLED)
    schema = json_schema(Catalog())
    names = schema["$defs"]["TrainerSettings"]["properties"]["trainer_type"]["enum"]
    assert names == ["ppo", "sac", "poca", "bc", "a2c", "dqn"]
    assert "'gone' comes from" in schema["$comment"]
    assert "No module named 'package_that_is_not_there'" in schema["$comment"]
    assert "$comment" not in schema_of(BUILTIN)


def test_the_command_prints_the_schema_and_nothing_else(capsys):
    Path("own.py").write_text(TRAINER)
    assert main(["--schema", "--plugin", "own.py"]) == 0
    said = capsys.readouterr()
    assert errors(behavior("hyperparameters: {width: 8}", "own"), json.loads(said.out)) == []
    assert "loaded" in said.err


def test_the_command_warns_of_an_installed_trainer_that_it_leaves_out(installed, capsys):
    installed(gone="package_that_is_not_there:GoneTrainer")
    assert main(["--schema"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["$comment"] in said.err


def test_a_file_that_was_asked_for_and_cannot_be_loaded_is_a_mistake(capsys):
    assert main(["--schema", "--plugin", "nowhere.py"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "--plugin: nowhere.py, which failed to load: there is no such file\n"


def test_built_in_trainers_are_described_without_torch():
    program = (
        "import sys, mlagents.plugins.catalog\nmlagents.plugins.catalog.entry_points = lambda group: []\n"
        "from mlagents.learn import main\nstatus = main(['--schema'])\n"
        "print(status, 'torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 False"
