"""No mistake hides another; what is meant is guessed; values and formats that cannot be are told with their place."""

from pathlib import Path

import pytest
import yaml as pyyaml

from mlagents.cli import parse_command_line
from mlagents.learn import main
from mlagents.schema import INT32
from mlagents.settings.mistakes import SettingsError
from mlagents.settings.options import RunOptions
from mlagents.settings.reading import load
from mlagents_envs.names import nearest

BUILTIN = ["--env", "builtin:Basic"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlagents.plugins.catalog.entry_points", lambda group: [])

    def write(text):
        Path("a.yaml").write_text(text)
        return "a.yaml"

    return write


def mistakes(file, flags=()):
    with pytest.raises(SettingsError) as caught:
        parse_command_line([file, *flags])
    return str(caught.value).splitlines()


# no mistake hides another


def test_a_wrong_trainer_hides_no_other_mistake(file):
    text = """
behaviors:
  A:
    trainer_type: PPO
    hyperparameters: {batch_sise: 64, beta: -1}
    max_stepps: 5
    reward_signals: {extrinsic: {gama: 0.9}}
  B:
    trainer_type: nobody
    network_settings: {hidden_units: 0}
  C:
    hyperparameters: {batch_sise: 64}
env_settings: {num_envs: 0}
"""
    assert mistakes(file(text)) == [
        "a.yaml:4:5: behaviors.A.trainer_type: 'PPO' is no known trainer, did you mean 'ppo'? Known: ppo, sac, poca, bc",
        "a.yaml:5:23: behaviors.A.hyperparameters.batch_sise: unknown key, did you mean 'batch_size'?",
        "a.yaml:5:39: behaviors.A.hyperparameters.beta: is -1; must be at least 0",
        "a.yaml:6:5: behaviors.A.max_stepps: unknown key, did you mean 'max_steps'?",
        "a.yaml:7:34: behaviors.A.reward_signals.extrinsic.gama: unknown key, did you mean 'gamma'?",
        "a.yaml:9:5: behaviors.B.trainer_type: 'nobody' is no known trainer. Known: ppo, sac, poca, bc",
        "a.yaml:10:24: behaviors.B.network_settings.hidden_units: is 0; must be at least 1",
        "a.yaml:12:5: behaviors.C.hyperparameters: needs a trainer_type beside it",
        "a.yaml:12:23: behaviors.C.hyperparameters.batch_sise: unknown key, did you mean 'batch_size'?",
        "a.yaml:13:16: env_settings.num_envs: is 0; must be at least 1",
    ]


def test_the_hyperparameters_of_a_trainer_that_nobody_resembles_are_not_guessed_at(file):
    text = "behaviors:\n  B: {trainer_type: mine, hyperparameters: {own: 5}}\n"
    assert mistakes(file(text)) == [
        "a.yaml:2:7: behaviors.B.trainer_type: 'mine' is no known trainer. Known: ppo, sac, poca, bc"
    ]


def test_a_wrong_reward_signal_and_a_wrong_sampler_hide_no_other_mistake(file):
    text = """
behaviors:
  B: {reward_signals: {Extrinsic: {gamma: 2}}}
environment_parameters:
  mass: {sampler_type: Uniform, sampler_parameters: {min_vale: 1}}
"""
    assert mistakes(file(text)) == [
        "a.yaml:3:24: behaviors.B.reward_signals.Extrinsic: is no known reward signal, did you mean 'extrinsic'? Known: extrinsic, curiosity, gail, rnd",
        "a.yaml:3:36: behaviors.B.reward_signals.Extrinsic.gamma: is 2; must be at most 1",
        "a.yaml:5:10: environment_parameters.mass.sampler_type: 'Uniform' is no sampler, did you mean 'uniform'? Known: constant, uniform, gaussian, multirangeuniform",
        "a.yaml:5:54: environment_parameters.mass.sampler_parameters.min_vale: unknown key, did you mean 'min_value'?",
    ]  # fmt: skip


# what is meant


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("behaviors:\n  B: {trainer_type: PPO}", "did you mean 'ppo'?"),
        ("Behaviors: {}", "did you mean 'behaviors'?"),
        ("behaviors:\n  B: {MAX_STEPS: 5}", "did you mean 'max_steps'?"),
        ("behaviors:\n  B: {network_settings: {vis_encode_type: Resnet}}", "did you mean 'resnet'?"),
        ("behaviors:\n  B: {trainer_type: ppo, hyperparameters: {beta_schedule: LINEAR}}", "did you mean 'linear'?"),
        ("behaviors:\n  B: {reward_signals: {GAIL: {}}}", "did you mean 'gail'?"),
        ("engine_settings: {TIME_SCALE: 5}", "did you mean 'time_scale'?"),
        ("environment_parameters:\n  m: {sampler_type: Gaussian, sampler_parameters: {}}", "did you mean 'gaussian'?"),
    ],
)
def test_names_in_other_letters_are_near(file, text, guess):
    assert guess in mistakes(file(text))[0]


def test_near_names_keep_their_own_letters_and_long_ones_resemble_nothing():
    assert nearest("3dball", ["Basic", "3DBall", "3DBallHard"], n=2) == ["3DBall", "3DBallHard"]
    assert nearest("x", ["Basic"]) == []
    assert nearest("x" * 10**6, ["x"]) == []


@pytest.mark.parametrize(
    ("env", "guess"),
    [
        ("builtin:basic", "did you mean 'Basic'?"),
        ("gym:CARTPOLE-v1", "did you mean CartPole-v1"),
        ("./build/GAME", "Game.x86_64?"),
    ],
)
def test_environments_in_other_letters_are_near(file, capsys, env, guess):
    if env.startswith("gym"):
        pytest.importorskip("gymnasium")
    Path("build").mkdir()
    Path("build/Game.x86_64").touch(mode=0o755)
    assert main([file("debug: false"), "--env", env]) == 2
    assert guess in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch_size: 64", "a.yaml:3:5: behaviors.B.batch_size: unknown key; it belongs into hyperparameters"),
        ("hidden_units: 64", "a.yaml:3:5: behaviors.B.hidden_units: unknown key; it belongs into network_settings"),
        ("memory_size: 64", "a.yaml:3:5: behaviors.B.memory_size: unknown key; it belongs into network_settings.memory"),
        ("gamma: 0.9", "a.yaml:3:5: behaviors.B.gamma: unknown key; it belongs into reward_signals.extrinsic"),
        ("trainer_type: ppo\n    hyperparameters: {max_steps: 5}", "a.yaml:4:23: behaviors.B.hyperparameters.max_steps: unknown key; it belongs into the behavior itself"),
        ("trainer_type: ppo\n    hyperparameters: {tau: 0.1}", "a.yaml:4:23: behaviors.B.hyperparameters.tau: unknown key"),
    ],
)  # fmt: skip
def test_a_key_in_the_wrong_section_is_sent_to_its_own(file, text, sentence):
    assert mistakes(file(f"behaviors:\n  B:\n    {text}\n")) == [sentence]


# formats of before 1.0

FLAT = """
default:
  trainer: ppo
  batch_size: 1024
  beta: 5.0e-3
  hidden_units: 128
  max_steps: 5.0e4
  use_recurrent: false
3DBall:
  normalize: true
  batch_size: 64
"""
TOOL = "python -m mlagents.trainers.upgrade_config"


@pytest.mark.parametrize(
    ("text", "sentence", "command"),
    [
        (FLAT, "a.yaml:2:1: default: is a trainer configuration of ML-Agents before 1.0", f"{TOOL} a.yaml NEW.yaml"),
        ("Ball3DBrain:\n  normalize: true\n  batch_size: 64\n", "a.yaml:1:1: Ball3DBrain: is a trainer configuration of", TOOL),
        ("measure: progress\nthresholds: [0.1]\nparameters: {mass: [1, 2]}\n", "a.yaml:1:1: measure: is a curriculum in a file of its own", f"{TOOL} OLD.yaml --curriculum a.yaml NEW.yaml"),
        ("Wall:\n  measure: progress\n  thresholds: [0.1]\n  parameters: {mass: [1, 2]}\n", "a.yaml:1:1: Wall: is a curriculum in a file of its own", f"{TOOL} OLD.yaml --curriculum a.yaml NEW.yaml"),
        ("resampling-interval: 5000\nmass: {sampler-type: uniform, min_value: 0, max_value: 1}\n", "a.yaml:1:1: resampling-interval: is a file of samplers", f"{TOOL} OLD.yaml --sampler a.yaml NEW.yaml"),
        ("behaviors: {}\nparameter_randomization:\n  mass: {sampler-type: uniform}\n", "a.yaml:2:1: parameter_randomization: is of ML-Agents before 1.0; environment_parameters has taken its place", f"{TOOL} a.yaml NEW.yaml"),
        ("behaviors: {}\ncurriculum:\n  Wall: {measure: progress}\n", "a.yaml:2:1: curriculum: is of ML-Agents before 1.0; environment_parameters has taken its place", f"{TOOL} a.yaml NEW.yaml"),
        ("behaviors:\n  Ball:\n    trainer: ppo\n    batch_size: 64\n    use_recurrent: false\n", "a.yaml:2:3: behaviors.Ball: has the flat form of ML-Agents before 1.0: write trainer as trainer_type", TOOL),
    ],
)  # fmt: skip
def test_a_format_of_before_1_0_is_one_sentence_that_says_how_to_convert_it(file, text, sentence, command):
    (found,) = mistakes(file(text))
    assert found.startswith(sentence)
    assert command in found


def test_a_behavior_at_the_top_is_sent_below_behaviors(file):
    text = "3DBall:\n  trainer_type: ppo\n  hyperparameters: {batch_size: 64}\nenv_settings: {num_envs: 0}\n"
    assert mistakes(file(text)) == [
        "a.yaml:1:1: 3DBall: unknown key; it looks like a behavior, so write it below 'behaviors:'",
        "a.yaml:4:16: env_settings.num_envs: is 0; must be at least 1",
    ]


def test_lessons_as_unitys_upgrade_tool_writes_them_are_read(file):
    text = """
behaviors: {B: {}}
environment_parameters:
  height:
    curriculum:
    - Lesson0:
        completion_criteria: {behavior: B, measure: progress, threshold: 0.1}
        value: 1.5
    - Lesson1:
        value: 2.0
"""
    lessons = load(file(text), {})[0].environment_parameters["height"].curriculum
    assert [(lesson.name, lesson.value.sampler_parameters.value) for lesson in lessons] == [("Lesson0", 1.5), ("Lesson1", 2.0)]


# values out of range


def numbers(kind, path=()):
    """Yield the path and limits of every number that a section of the settings may hold."""
    for name, field in kind.model_fields.items():
        limits = {word: getattr(limit, word) for limit in field.metadata for word in ("ge", "gt", "le") if hasattr(limit, word)}
        if limits or field.annotation in (int, float):
            yield (*path, name), limits


SECTIONS = {
    ("env_settings",): RunOptions.model_fields["env_settings"].annotation,
    ("engine_settings",): RunOptions.model_fields["engine_settings"].annotation,
    ("checkpoint_settings",): RunOptions.model_fields["checkpoint_settings"].annotation,
}


def everything():
    from mlagents.algorithms.settings import POCASettings, PPOSettings, SACSettings
    from mlagents.demonstrations.settings import DemonstrationSettings
    from mlagents.envs.settings import SAMPLERS
    from mlagents.nn.settings import MemorySettings, NetworkSettings
    from mlagents.rewards.settings import SIGNALS
    from mlagents.selfplay.settings import SelfPlaySettings
    from mlagents.settings.options import BehavioralCloningSettings, TrainerSettings

    behavior = ("behaviors", "B")
    sections = {
        **SECTIONS,
        behavior: TrainerSettings,
        (*behavior, "network_settings"): NetworkSettings,
        (*behavior, "network_settings", "memory"): MemorySettings,
        (*behavior, "self_play"): SelfPlaySettings,
        (*behavior, "behavioral_cloning"): BehavioralCloningSettings,
        (*behavior, "demonstrations"): DemonstrationSettings,
        **{(*behavior, "reward_signals", name): kind for name, kind in SIGNALS.items()},
        **{("environment_parameters", "p", name): kind for name, kind in SAMPLERS.items()},
        **{(*behavior, name): kind for name, kind in (("ppo", PPOSettings), ("sac", SACSettings), ("poca", POCASettings))},
    }
    return [found for path, kind in sections.items() for found in numbers(kind, path)]


def nested(path, value):
    """Return a file that says one thing, and what must stand beside it."""
    *above, key = path
    inside = {key: value}
    if key == "max_value":
        inside["min_value"] = -1e38
    if above[0] == "environment_parameters":
        return {"environment_parameters": {"p": {"sampler_type": above[2], "sampler_parameters": inside}}}
    if above[-1] in ("ppo", "sac", "poca"):
        return {"behaviors": {"B": {"trainer_type": above[-1], "hyperparameters": inside}}}
    if above[-1] in ("behavioral_cloning", "gail"):
        inside["demo_path"] = "a.demo"
    if above[-1] == "demonstrations":
        inside["sources"] = [{"file": "a.demo"}]
    for name in reversed(above):
        inside = {name: inside}
    return inside


NUMBERS = everything()
FREE = {"initial_elo"}  # a rating may be any number
UNLIMITED = {"learning_rate", "strength", "beta", "epsilon", "init_entcoef"}  # factors: what is too large shows in learning


@pytest.mark.parametrize(("path", "limits"), NUMBERS, ids=[".".join(path) for path, _ in NUMBERS])
def test_every_number_has_limits_and_what_is_beyond_is_told_with_its_place(file, path, limits):
    parameter = path[0] == "environment_parameters" and path[-1] != "seed"
    wrong = [limits[word] * 1.1 if limits[word] < -1000 else limits[word] - 1 for word in ("ge", "gt") if word in limits]
    if path[-1] not in FREE:
        assert wrong, "there is no lower limit"
    if path[-1] not in FREE | UNLIMITED:
        wrong += [limits["le"] * 1.1 if parameter else limits["le"] + 1, 1e300]
    for value in (*wrong, float("inf"), float("nan")):
        (found, *_) = mistakes(file(pyyaml.safe_dump(nested(path, value))))
        assert found.startswith("a.yaml:")
        assert f"{path[-1]}: is " in found and "; must be " in found, found


def test_an_interval_ends_where_a_float_does(file):
    text = "environment_parameters:\n  p: {sampler_type: multirangeuniform, sampler_parameters: {intervals: [[0, 1.0e+39]]}}\n"
    (found,) = mistakes(file(text))
    assert found.startswith("a.yaml:2:")
    assert found.endswith("is 1e+39; must be at most 3.4e+38")


def test_the_seed_fits_what_unity_and_numpy_take(file):
    found = mistakes(file("debug: false"), ["--seed", str(2**32)])
    assert found == [f"--seed: is {2**32}; must be at most 2,147,483,647"]
    assert parse_command_line(["a.yaml", "--seed", str(INT32)])[0].env_settings.seed == INT32


def test_seeds_that_are_counted_on_fit_too(file):
    flags = ["--env", "game", "--num-envs", "3", "--seed"]
    assert parse_command_line([file("debug: false"), *flags, str(INT32 - 2)])
    (found,) = mistakes("a.yaml", [*flags, str(INT32 - 1)])
    assert found == (
        f"--seed: is {INT32 - 1}, from which those of environments and samplers are counted on; "
        f"must be at most {INT32 - 2}"
    )


def test_the_last_port_is_one(file):
    flags = ["--env", "game", "--num-envs", "2", "--base-port"]
    assert parse_command_line([file("debug: false"), *flags, "65534"])
    assert mistakes("a.yaml", [*flags, "65535"]) == [
        "--base-port: is 65535, so the last of num_envs 2 would have port 65536; must be at most 65534"
    ]
    text = "env_settings: {num_envs: 10, base_port: 65530}"
    assert mistakes(file(text)) == [
        "a.yaml:1:30: env_settings.base_port: is 65530, so the last of num_envs 10 would have port 65539; "
        "must be at most 65526"
    ]


def test_plugins_that_are_no_list_are_a_mistake(file):
    assert mistakes(file("plugins: {a: b}")) == ["a.yaml:1:1: plugins: must be a list of files or modules"]
