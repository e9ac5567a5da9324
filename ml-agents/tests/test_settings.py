"""What a YAML file may say, and what is said of one that is wrong."""

import re
from pathlib import Path

import pytest

from mlagents.cli import parse_command_line
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.reading import load
from mlagents.settings.support import unsupported

CONFIG = Path(__file__).parents[2] / "config"
BUILTIN = {"env_settings": {"env_path": "builtin:3DBall"}}
PUBLISHED = sorted(CONFIG.rglob("*.yaml"))


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])


@pytest.fixture
def yaml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        Path("a.yaml").write_text(text)
        return "a.yaml"

    return write


def mistakes(file, flags=None):
    with pytest.raises(SettingsError) as caught:
        load(file, flags or {})
    return str(caught.value).splitlines()


def behavior(text, indent=4):
    return "behaviors:\n  B:\n    trainer_type: ppo\n" + "\n".join(" " * indent + line for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hyperparameters:\n  batch_sise: 64", "a.yaml:5:7: behaviors.B.hyperparameters.batch_sise: unknown key, did you mean 'batch_size'?"),
        ("hyperparameters:\n  batch_size: -5", "a.yaml:5:7: behaviors.B.hyperparameters.batch_size: is -5; must be at least 1"),
        ("hyperparameters:\n  batch_size: many", "a.yaml:5:7: behaviors.B.hyperparameters.batch_size: is 'many'; must be a whole number"),
        ("hyperparameters:\n  batch_size: 3.9", "a.yaml:5:7: behaviors.B.hyperparameters.batch_size: is 3.9; must be a whole number"),
        ("hyperparameters:\n  learning_rate: .nan", "a.yaml:5:7: behaviors.B.hyperparameters.learning_rate: is nan; must be a finite number"),
        ("hyperparameters:\n  lambd: 1.5", "a.yaml:5:7: behaviors.B.hyperparameters.lambd: is 1.5; must be at most 1"),
        ("hyperparameters:\n  learning_rate_schedule: quadratic", "a.yaml:5:7: behaviors.B.hyperparameters.learning_rate_schedule: is 'quadratic'; must be one of 'constant' or 'linear'"),
        ("max_stepps: 5", "a.yaml:4:5: behaviors.B.max_stepps: unknown key, did you mean 'max_steps'?"),
        ("network_settings:\n  memory:\n    memory_size: 7", "a.yaml:6:9: behaviors.B.network_settings.memory.memory_size: is 7; must be a multiple of 2"),
        ("network_settings: wide", "a.yaml:4:5: behaviors.B.network_settings: is 'wide'; must be keys and values"),
        ("network_settings:\n  normalize: perhaps", "a.yaml:5:7: behaviors.B.network_settings.normalize: is 'perhaps'; must be true or false"),
        ("reward_signals:\n  extrinsik: {}", "a.yaml:5:7: behaviors.B.reward_signals.extrinsik: is no known reward signal, did you mean 'extrinsic'? Known: extrinsic, curiosity, gail, rnd"),
        ("reward_signals:\n  gail: {}", "a.yaml:5:7: behaviors.B.reward_signals.gail.demo_path: is missing"),
        ("init_path: model.onnx", "a.yaml:4:5: behaviors.B.init_path: is 'model.onnx'; must be a checkpoint that ends in .pt"),
        ("self_play:\n  window: 0", "a.yaml:5:7: behaviors.B.self_play.window: is 0; must be at least 1"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_behavior_is_told_with_its_place(yaml, text, said):
    assert mistakes(yaml(behavior(text))) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("behaviours: {}", "a.yaml:1:1: behaviours: unknown key, did you mean 'behaviors'?"),
        ("behaviors:\n  B: {trainer_type: pppo}", "a.yaml:2:7: behaviors.B.trainer_type: 'pppo' is no known trainer, did you mean 'ppo'? Known: ppo, sac, poca, bc"),
        ("behaviors:\n  B:\n    hyperparameters: {beta: 1}", "a.yaml:3:5: behaviors.B.hyperparameters: needs a trainer_type beside it"),
        ("env_settings:\n  num_areas: 0", "a.yaml:2:3: env_settings.num_areas: is 0; must be at least 1"),
        ("environment_parameters:\n  mass: heavy", "a.yaml:2:3: environment_parameters.mass.value: is 'heavy'; must be a number"),
        ("environment_parameters:\n  mass:\n    sampler_type: uniform", "a.yaml:2:3: environment_parameters.mass: must be a number, or have sampler_type and sampler_parameters; no sampler_parameters is there"),
        ("environment_parameters:\n  mass:\n    sampler_type: uniform\n    sampler_parameters: {min_value: 3, max_value: 1}", "a.yaml:4:5: environment_parameters.mass.sampler_parameters: min_value 3 is above max_value 1"),
        ("environment_parameters:\n  mass:\n    sampler_type: unifrom\n    sampler_parameters: {}", "a.yaml:3:5: environment_parameters.mass.sampler_type: 'unifrom' is no sampler, did you mean 'uniform'? Known: constant, uniform, gaussian, multirangeuniform"),
        ("- a\n- b", "a.yaml:1:1: must be keys and values, with 'behaviors:' at the top"),
        ("behaviors: [", "a.yaml:1:13: is not YAML: expected the node content, but found '<stream end>'"),
    ],
)  # fmt: skip
def test_a_mistake_elsewhere_is_told_with_its_place(yaml, text, said):
    assert mistakes(yaml(text)) == [said]


def test_all_mistakes_are_told_at_once(yaml):
    file = yaml(behavior("max_steps: 0\ntime_horizon: 0\nnetwork_settings:\n  hidden_units: 0"))
    assert len(mistakes(file, {"env_settings": {"num_envs": "x"}})) == 4


def test_where_official_tools_ignore_a_key_it_is_a_warning_with_the_near_name(yaml):
    options, warnings = load(yaml(behavior("network_settings:\n  hiden_units: 5")), {})
    assert options.behaviors["B"].network_settings.hidden_units == 128
    assert warnings == ["a.yaml:5:7: behaviors.B.network_settings.hiden_units: unknown key, did you mean 'hidden_units'? (ignored)"]  # fmt: skip


def test_numbers_are_read_however_yaml_spells_them(yaml):
    text = "max_steps: 1.0e7\nhyperparameters:\n  learning_rate: '3e-4'\n  batch_size: 64.0\nnetwork_settings:\n  normalize: 'false'"
    settings = load(yaml(behavior(text)), {})[0].behaviors["B"]
    assert settings.max_steps == 10_000_000
    assert settings.hyperparameters.learning_rate == 3e-4
    assert settings.hyperparameters.batch_size == 64
    assert settings.network_settings.normalize is False


def test_schedules_follow_the_learning_rate(yaml):
    text = "hyperparameters:\n  learning_rate_schedule: constant\n  beta_schedule: linear"
    settings = load(yaml(behavior(text)), {})[0].behaviors["B"].hyperparameters
    assert (settings.beta_schedule, settings.epsilon_schedule) == ("linear", "constant")


def test_empty_hyperparameters_of_another_trainer_are_its_defaults(yaml):
    text = "default_settings: {trainer_type: ppo, hyperparameters: {beta: 0.1}}\nbehaviors:\n  S: {trainer_type: sac, hyperparameters: }"
    options, _ = load(yaml(text), {})
    assert options.behaviors["S"].hyperparameters.tau == 0.005


def test_defaults_are_inherited_but_not_another_trainers_hyperparameters(yaml):
    text = "default_settings:\n  trainer_type: ppo\n  hyperparameters: {epsilon: 0.3, batch_size: 7}\n  max_steps: 9\nbehaviors:\n  S: {trainer_type: sac}\n  P: {hyperparameters: {beta: 0.1}}"
    options, _ = load(yaml(text), {})
    assert options.behaviors["S"].hyperparameters.batch_size == 7
    assert options.behaviors["S"].max_steps == 9
    assert options.behaviors["P"].hyperparameters.epsilon == 0.3
    assert options.behaviors["P"].hyperparameters.beta == 0.1
    assert options.for_behavior("Other").max_steps == 9


def test_checkpoints_can_be_spread_evenly(yaml):
    text = "even_checkpoints: true\nkeep_checkpoints: 4\nmax_steps: 1000\ncheckpoint_interval: 1"
    assert load(yaml(behavior(text)), {})[0].behaviors["B"].checkpoint_interval == 250


def test_flags_win_over_the_file_and_the_file_over_defaults(yaml):
    file = yaml("env_settings: {seed: 3, num_areas: 4}\ncheckpoint_settings: {run_id: mine}")
    options, _ = parse_command_line([file, "--num-areas", "8", "--time-sc", "5"])
    assert (options.env_settings.seed, options.env_settings.num_areas) == (3, 8)
    assert options.checkpoint_settings.run_id == "mine"
    assert options.engine_settings.time_scale == 5
    assert options.engine_settings.width == 84


def test_a_flag_given_with_its_default_still_wins(yaml):
    options, _ = parse_command_line([yaml("env_settings: {num_areas: 4}"), "--num-areas", "1"])
    assert options.env_settings.num_areas == 1


def test_everything_after_env_args_goes_to_the_build(yaml):
    options, _ = parse_command_line([yaml("{}"), "--env", "game", "--env-args", "--level", "3"])
    assert options.env_settings.env_args == ["--level", "3"]


def test_deterministic_reaches_every_behavior(yaml):
    options, _ = parse_command_line([yaml(behavior("max_steps: 5")), "--deterministic"])
    assert options.behaviors["B"].network_settings.deterministic


@pytest.mark.parametrize(
    ("text", "flags", "resumes"),
    [
        ("checkpoint_settings: {initialize_from: a}", ["--resume"], True),
        ("checkpoint_settings: {resume: true}", ["--initialize-from", "a"], False),
        ("checkpoint_settings: {resume: true, initialize_from: a}", [], True),
    ],
)
def test_a_run_either_resumes_or_begins_with_anothers_weights(yaml, text, flags, resumes):
    options, warnings = parse_command_line([yaml(text), *flags])
    assert options.checkpoint_settings.resume is resumes
    assert (options.checkpoint_settings.initialize_from is None) is resumes
    assert any("wins over" in warning for warning in warnings)


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: "/".join(file.parts[-2:]))
def test_every_published_file_is_accepted_and_can_be_fed_back(file, tmp_path):
    options, warnings = load(str(file), {})
    assert warnings == []
    assert options.behaviors or options.default_settings
    saved = tmp_path / "saved.yaml"
    saved.write_text(options.to_yaml())
    assert load(str(saved), {})[0].as_dict() == options.as_dict()


def test_the_ppo_files_of_the_built_in_examples_are_trainable():
    for name in ("3DBall", "3DBallHard", "Basic", "3DBall_randomize"):
        assert unsupported(load(str(CONFIG / "ppo" / f"{name}.yaml"), BUILTIN)[0]) == []


def test_what_is_not_built_yet_is_named():
    options, _ = load(str(CONFIG / "poca" / "SoccerTwos.yaml"), BUILTIN)
    assert unsupported(options) == []
    elsewhere = options.torch_settings.model_copy(update={"device": "cuda"})
    options = options.model_copy(update={"torch_settings": elsewhere})
    assert unsupported(options) == ["--torch-device: 'cuda' is not built yet; 'cpu' is"]


def test_saved_keys_stand_in_the_official_order():
    options, _ = load(str(CONFIG / "ppo" / "3DBall.yaml"), {})
    behavior = options.as_dict()["behaviors"]["3DBall"]
    assert list(behavior) == [
        "trainer_type", "hyperparameters", "checkpoint_interval", "network_settings", "reward_signals", "init_path",
        "keep_checkpoints", "even_checkpoints", "max_steps", "time_horizon", "summary_freq", "threaded", "self_play",
        "behavioral_cloning",
    ]  # fmt: skip
    assert list(behavior["hyperparameters"]) == [
        "batch_size", "buffer_size", "learning_rate", "beta", "epsilon", "lambd", "num_epoch", "shared_critic",
        "learning_rate_schedule", "beta_schedule", "epsilon_schedule",
    ]  # fmt: skip


def test_every_setting_says_what_it_is_for():
    from mlagents.settings.options import RunOptions

    schema = str(RunOptions.model_json_schema())
    assert len(re.findall("'description'", schema)) > 80
