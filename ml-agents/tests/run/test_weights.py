"""What a run takes from a checkpoint of another one."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from mlagents.learn import main

CONFIG = {
    "behaviors": {
        "Basic": {
            "trainer_type": "ppo",
            "hyperparameters": {"batch_size": 32, "buffer_size": 64},
            "network_settings": {"hidden_units": 16, "num_layers": 1},
            "max_steps": 200,
        }
    }
}


def run(run_id, *flags, **network):
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    config["behaviors"]["Basic"]["network_settings"] |= network
    Path("c.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return main(["c.yaml", "--env", "builtin:Basic", "--run-id", run_id, "--seed", "1", *flags])


def weights(run_id):
    return torch.load(f"results/{run_id}/Basic/checkpoint.pt", weights_only=True)["Policy"]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("first") == 0


def test_a_network_with_another_layer_takes_what_fits_and_names_the_rest(trained, capsys, monkeypatch):
    monkeypatch.setitem(CONFIG["behaviors"]["Basic"], "max_steps", 1)
    assert run("second", "--initialize-from", "first", num_layers=2) == 0
    heard = " ".join(capsys.readouterr().out.split())
    assert re.search(r"fits in \d+ tensors; these begin anew: Policy\.body\.layers\.1\.weight", heard)
    assert "num_layers is 1 there, 2 here" in heard
    first, second = weights("first"), weights("second")
    assert torch.equal(first["body.layers.0.weight"], second["body.layers.0.weight"])


def test_a_resume_takes_all_or_nothing(trained, capsys):
    assert run("first", "--resume", num_layers=2) == 2
    assert "num_layers is 1 there, 2 here" in " ".join(capsys.readouterr().out.split())


def test_a_checkpoint_of_which_nothing_fits_is_refused(trained, capsys):
    path = Path("results/first/Basic/checkpoint.pt")
    state = torch.load(path, weights_only=True)
    for module in ("Policy", "Optimizer:critic"):
        state[module] = {name: torch.zeros(3, 3, 3) for name in state[module]}
    torch.save(state, path)
    assert run("second", "--initialize-from", "first") == 2
    assert "holds another kind of network" in " ".join(capsys.readouterr().out.split())
