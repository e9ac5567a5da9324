"""The configuration that a run leaves can be fed to Unity's tools: it holds no key that they do not know."""

from pathlib import Path

import pytest
import yaml

from mlagents.learn import main
from mlagents.settings.reading import load

CONFIG = Path(__file__).parents[2] / "config"
NETWORK = {
    "normalize": None, "hidden_units": None, "num_layers": None, "vis_encode_type": None,
    "memory": {"sequence_length": None, "memory_size": None}, "goal_conditioning_type": None, "deterministic": None,
}  # fmt: skip
COMMON = ("batch_size", "buffer_size", "learning_rate", "learning_rate_schedule")
POCA = dict.fromkeys((*COMMON, "beta", "epsilon", "lambd", "num_epoch", "beta_schedule", "epsilon_schedule"))
SAC = dict.fromkeys((
    *COMMON, "buffer_init_steps", "tau", "steps_per_update", "save_replay_buffer", "init_entcoef",
    "reward_signal_steps_per_update",
))  # fmt: skip
HYPERPARAMETERS = {"ppo": {**POCA, "shared_critic": None}, "poca": POCA, "sac": SAC}
SIGNAL = {"gamma": None, "strength": None, "network_settings": NETWORK}
LEARNED = {**SIGNAL, "learning_rate": None, "encoding_size": None}
BEHAVIOR = {
    "trainer_type": None, "checkpoint_interval": None, "network_settings": NETWORK,
    "reward_signals": {
        "extrinsic": SIGNAL, "curiosity": LEARNED, "rnd": LEARNED,
        "gail": {**LEARNED, "demo_path": None, "use_actions": None, "use_vail": None},
    },
    "init_path": None, "keep_checkpoints": None, "even_checkpoints": None, "max_steps": None, "time_horizon": None,
    "summary_freq": None, "threaded": None,
    "self_play": dict.fromkeys((
        "save_steps", "team_change", "swap_steps", "window", "play_against_latest_model_ratio", "initial_elo",
    )),
    "behavioral_cloning": dict.fromkeys((
        "demo_path", "steps", "strength", "samples_per_update", "num_epoch", "batch_size",
    )),
}  # fmt: skip
LESSON = {
    "name": None,
    "value": {"sampler_type": None, "sampler_parameters": None},
    "completion_criteria": dict.fromkeys((
        "behavior", "measure", "threshold", "min_lesson_length", "signal_smoothing", "require_reset",
    )),
}  # fmt: skip
UNITYS = {
    "default_settings": BEHAVIOR,
    "behaviors": {},
    "env_settings": dict.fromkeys((
        "env_path", "env_args", "base_port", "num_envs", "num_areas", "timeout_wait", "seed", "max_lifetime_restarts",
        "restarts_rate_limit_n", "restarts_rate_limit_period_s",
    )),
    "engine_settings": dict.fromkeys((
        "width", "height", "quality_level", "time_scale", "target_frame_rate", "capture_frame_rate", "no_graphics",
        "no_graphics_monitor",
    )),
    "environment_parameters": {},
    "checkpoint_settings": dict.fromkeys((
        "run_id", "initialize_from", "load_model", "resume", "force", "train_model", "inference", "results_dir",
    )),
    "torch_settings": {"device": None},
    "debug": None,
}  # fmt: skip


def strangers(given, known, place=""):
    """Return the dotted keys that are not among those of Unity's tools."""
    if not isinstance(given, dict) or not isinstance(known, dict):
        return []
    found = [f"{place}{key}" for key in given if key not in known]
    return found + [key for name in given if name in known for key in strangers(given[name], known[name], f"{place}{name}.")]


def unknown_to_unity(saved):
    """Return all keys of a saved file that Unity's tools do not know."""
    behaviors = saved["behaviors"]
    found = strangers({**saved, "behaviors": {}, "environment_parameters": {}}, UNITYS)
    for settings in [*behaviors.values(), *([saved["default_settings"]] if saved["default_settings"] else [])]:
        known = {**BEHAVIOR, "hyperparameters": HYPERPARAMETERS[settings["trainer_type"]]}
        found += strangers(settings, known, "behaviors.")
    for parameter in (saved["environment_parameters"] or {}).values():
        found += strangers(parameter, {"curriculum": []})
        found += [key for lesson in parameter["curriculum"] for key in strangers(lesson, LESSON)]
    return [key for key in found if not key.endswith(".hyperparameters")]


EVERY_SECTION = """
default_settings: {trainer_type: poca}
behaviors:
  A:
    trainer_type: ppo
    network_settings: {memory: {}}
    reward_signals: {extrinsic: {}, curiosity: {}, rnd: {}, gail: {demo_path: a.demo}}
    self_play: {}
    behavioral_cloning: {demo_path: a.demo}
  B: {trainer_type: sac}
environment_parameters:
  a: 1.0
  b: {sampler_type: gaussian, sampler_parameters: {}}
  c:
    curriculum:
      - {name: one, value: 1.0, completion_criteria: {behavior: A}}
      - {name: two, value: {sampler_type: uniform, sampler_parameters: {}}}
"""


def saved(path):
    return yaml.safe_load(load(str(path), {})[0].to_yaml())


OURS = CONFIG / "bc"  # of a trainer that Unity's tools do not have


@pytest.mark.parametrize("file", sorted(set(CONFIG.rglob("*.yaml")) - set(OURS.iterdir())), ids=lambda file: "/".join(file.parts[-2:]))
def test_what_unity_published_is_saved_with_keys_that_unity_knows(file):
    assert unknown_to_unity(saved(file)) == []


def test_every_section_is_saved_with_keys_that_unity_knows(tmp_path):
    path = tmp_path / "every.yaml"
    path.write_text(EVERY_SECTION)
    assert unknown_to_unity(saved(path)) == []


def test_keys_of_ours_are_left_out_at_their_defaults_though_they_are_given(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(
        "plugins: []\nbehaviors: {}\nenv_settings: {listen: 127.0.0.1, max_message_mib: 256, watch: false}\n"
        "checkpoint_settings: {episodes: 0}\n"
    )
    assert unknown_to_unity(saved(path)) == []
    path.write_text("behaviors: {}\nenv_settings: {max_message_mib: 8}\ncheckpoint_settings: {episodes: 3}\n")
    assert unknown_to_unity(saved(path)) == ["env_settings.max_message_mib", "checkpoint_settings.episodes"]


def test_sections_of_ours_are_left_out_unless_they_are_given(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text("behaviors:\n  A: {trainer_type: ppo, evaluation: {interval: 5}, stop_when: {reward: 1}}\n")
    assert unknown_to_unity(saved(path)) == ["behaviors.evaluation", "behaviors.stop_when"]


def test_a_run_leaves_keys_that_unity_knows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("basic.yaml").write_text("behaviors:\n  Basic: {trainer_type: ppo, max_steps: 50}\n")
    assert main(["basic.yaml", "--env", "builtin:Basic", "--run-id", "run", "--num-areas", "3", "--base-port", "6000"]) == 0
    found = yaml.safe_load(Path("results/run/configuration.yaml").read_text())
    assert unknown_to_unity(found) == []
    assert (found["env_settings"]["num_areas"], found["env_settings"]["base_port"]) == (3, 6000)
