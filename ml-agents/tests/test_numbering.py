"""Whether agents keep their ids or renew them, and wherever they live, the same is learnt."""

from pathlib import Path

import pytest
import torch

from mlagents.learn import main
from mlagents_envs.player.executable import make_executable

CONFIG = """
behaviors:
  NAME:
    trainer_type: TRAINER
    hyperparameters: {batch_size: 32, buffer_size: 256, learning_rate: 3.0e-3MORE}
    network_settings: {hidden_units: 16, num_layers: 1}
    max_steps: 1500
    time_horizon: 16
    summary_freq: 1500
"""


def learnt(name, trainer, more, env, run):
    """Return the weights that a run ends with."""
    Path("config.yaml").write_text(CONFIG.replace("NAME", name).replace("TRAINER", trainer).replace("MORE", more))
    assert main(["config.yaml", *env, "--run-id", run, "--seed", "3"]) == 0
    return torch.load(f"results/{run}/{name}/checkpoint.pt", weights_only=True)["Policy"]


@pytest.mark.parametrize(
    ("name", "trainer", "more"),
    [
        ("Basic", "ppo", ""),
        ("3DBall", "ppo", ""),
        ("Basic", "dqn", ", buffer_init_steps: 100, n_step: 3, steps_per_update: 5"),
    ],
)
def test_a_run_learns_the_same_in_process_and_in_players_of_both_numberings(
    tmp_path, monkeypatch, name, trainer, more
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    make_executable(tmp_path / "kept", name, arguments=["--areas", "4"])
    make_executable(tmp_path / "renewed", name, arguments=["--areas", "4", "--renew-ids"])
    where = {
        "process": ["--env", f"builtin:{name}", "--num-areas", "4"],
        "kept": ["--env", f"kept/{name}"],
        "renewed": ["--env", f"renewed/{name}"],
    }
    weights = {run: learnt(name, trainer, more, env, run) for run, env in where.items()}
    for run in ("kept", "renewed"):
        for key, column in weights["process"].items():
            assert torch.equal(column, weights[run][key]), (run, key)
