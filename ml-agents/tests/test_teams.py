"""Two teams of one behavior are one trainer, with one policy, one folder and one curve."""

import json
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlagents.envs.pool import difference
from mlagents.errors import RunError
from mlagents.learn import main
from mlagents.run.loop import TrainedBehavior
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.player.executable import make_executable

SOCCER = """
behaviors:
  SoccerTwos:
    trainer_type: ppo
    hyperparameters: {batch_size: 256, buffer_size: 2048}
    network_settings: {hidden_units: 16, num_layers: 1}
    max_steps: 6000
    time_horizon: 64
    summary_freq: 2000
    checkpoint_interval: 3000
"""


@pytest.mark.parametrize("where", ["in process", "player", "workers"])
def test_soccer_under_ppo_is_one_trainer_and_one_set_of_files(tmp_path, monkeypatch, capsys, where):
    monkeypatch.chdir(tmp_path)
    Path("soccer.yaml").write_text(SOCCER)
    env = ["--env", "builtin:SoccerTwos", "--num-areas", "2"]
    if where == "player":
        make_executable(tmp_path / "build", "SoccerTwos", arguments=["--areas", "2"])
        env = ["--env", "build/SoccerTwos"]
    if where == "workers":
        env += ["--num-envs", "2"]
    assert main(["soccer.yaml", *env, "--run-id", "run", "--seed", "1"]) == 0
    folders = sorted(path.name for path in Path("results/run").iterdir() if path.is_dir())
    assert folders == ["SoccerTwos", "run_logs"]
    assert [path.name for path in Path("results/run").glob("*.onnx")] == ["SoccerTwos.onnx"]
    assert len(list(Path("results/run/SoccerTwos").glob("events.*"))) == 1
    assert set(json.loads(Path("results/run/run_logs/training_status.json").read_text())) == {"SoccerTwos", "metadata"}
    output = capsys.readouterr().out
    assert output.count("Hyperparameters for behavior name") == 1
    assert [int(step) for step in re.findall(r"SoccerTwos\. Step: (\d+)\.", output)] == [2000, 4000, 6000]
    board = EventAccumulator("results/run/SoccerTwos")
    board.Reload()
    assert [event.step for event in board.Scalars("Policy/Entropy")] == [2000, 4000, 6000]
    losses = [event.value for event in board.Scalars("Losses/Value Loss")]
    assert losses  # rows of both teams filled a rollout


def test_teams_of_one_name_that_see_or_do_other_things_are_refused_by_name():
    one = BehaviorSpec([vector_sensor(3, "seen")], ActionSpec.create_continuous(1))
    other = BehaviorSpec([vector_sensor(4, "seen")], ActionSpec.create_continuous(1))
    home = TrainedBehavior.__new__(TrainedBehavior)
    home.name, home.teams = "S", {}
    home.add_team("S?team=0", one)
    home.add_team("S?team=2", one)
    with pytest.raises(RunError, match=r"S\?team=1 and S\?team=0 share the behavior name 'S'.*\(4,\).*\(3,\)"):
        home.add_team("S?team=1", other)
    assert list(home.teams) == ["S?team=0", "S?team=2"]


def test_what_differs_between_two_specifications_is_named():
    one = BehaviorSpec([vector_sensor(3, "seen")], ActionSpec.create_continuous(1))
    assert difference(one, one) is None
    assert "Discrete: (2,)" in difference(one, BehaviorSpec(one.observation_specs, ActionSpec.create_discrete((2,))))
