"""Every run draws from generators of its own: what else a process does changes nothing, and a resume is exact."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import mlagents
from mlagents_envs.base_env import BaseEnv
from mlagents_envs.examples.basic import Basic

BASIC = {
    "trainer_type": "ppo",
    "hyperparameters": {"batch_size": 32, "buffer_size": 256},
    "network_settings": {"hidden_units": 20, "num_layers": 1},
    "max_steps": 900,
    "time_horizon": 16,
    "summary_freq": 300,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Two(BaseEnv):
    """Basic under two names: agents of both behaviors play in scenes of their own."""

    def __init__(self, names, seed=3):
        self.scenes = {name: Basic(areas=2, seed=seed + len(name)) for name in names}

    @property
    def behavior_specs(self):
        return {name: scene.SPEC for name, scene in self.scenes.items()}

    def reset(self):
        for scene in self.scenes.values():
            scene.reset()

    def step(self):
        for scene in self.scenes.values():
            scene.step()

    def get_steps(self, name):
        return self.scenes[name].get_steps(self.scenes[name].behavior)

    def set_actions(self, name, action):
        self.scenes[name].set_actions(self.scenes[name].behavior, action)

    def set_action_for_agent(self, name, agent_id, action):
        raise NotImplementedError

    def close(self):
        pass


def train(seed=1, names=("One",), **options):
    config = {"behaviors": {name: BASIC for name in names}}
    result = mlagents.train(config, Two(names), seed=seed, **{"results_dir": None, **options})
    return {name: policy.state_dict() for name, policy in result.policies.items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_behind_another_one_is_the_same_as_alone():
    alone = train()["One"]
    train(seed=2)
    torch.rand(7)
    np.random.random(3)
    assert equal(train()["One"], alone)
    assert not equal(train(seed=2)["One"], alone)


def test_runs_beside_each_other_in_threads_are_the_same_as_alone():
    alone = {seed: train(seed)["One"] for seed in (1, 2)}
    together = {}
    threads = [threading.Thread(target=lambda s=seed: together.update({s: train(s)["One"]})) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(together[seed], alone[seed]) for seed in (1, 2))


@pytest.mark.parametrize("names", [("One", "Other"), ("Other", "One")])
def test_a_second_behavior_does_not_change_the_first_whichever_shows_up_first(names):
    both = train(names=names)
    assert equal(both["One"], train()["One"])
    assert not equal(both["One"], both["Other"])  # each has a seed of its own


def test_a_run_leaves_the_global_generators_as_they_were():
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.random(3)
    torch.manual_seed(5)
    np.random.seed(5)
    train()
    assert torch.equal(torch.rand(3), expected[0]) and (np.random.random(3) == expected[1]).all()


def test_a_checkpoint_keeps_the_generator_of_its_behavior():
    train(results_dir="results", run_id="run")
    state = torch.load("results/run/One/checkpoint.pt", weights_only=True)
    generator = torch.Generator()
    generator.set_state(state["rng"]["torch"])
    before = torch.rand(5, generator=generator)
    train(results_dir="results", run_id="run", resume=True)  # all steps are taken: nothing is drawn
    again = torch.load("results/run/One/checkpoint.pt", weights_only=True)
    generator.set_state(again["rng"]["torch"])
    assert torch.equal(torch.rand(5, generator=generator), before)


def test_the_state_of_torchs_global_generator_in_an_older_checkpoint_is_taken_up():
    train(results_dir="results", run_id="run")
    path = Path("results/run/One/checkpoint.pt")
    state = torch.load(path, weights_only=True)
    older = torch.Generator().manual_seed(123)
    torch.save({**state, "rng": {"torch": older.get_state()}}, path)
    drawn = []

    class Look(mlagents.Callback):
        def on_checkpoint(self, progress):
            drawn.append(torch.load(progress.weights, weights_only=True)["rng"]["torch"])

    more = {"behaviors": {"One": {**BASIC, "max_steps": 910}}}
    mlagents.train(more, Two(["One"]), seed=1, run_id="run", resume=True, callbacks=[Look()])
    assert drawn and not torch.equal(drawn[-1], state["rng"]["torch"])
    for _ in range(20):  # an action was drawn for the agents at every tick from there on
        torch.multinomial(torch.full((2, 3), 1 / 3), 1, generator=older)
        if torch.equal(older.get_state(), drawn[-1]):
            return
    raise AssertionError("random numbers went on from elsewhere")


def test_the_state_of_another_devices_generator_is_a_warning(caplog):
    train(results_dir="results", run_id="run")
    path = Path("results/run/One/checkpoint.pt")
    state = torch.load(path, weights_only=True)
    torch.save({**state, "rng": {"torch": torch.zeros(16, dtype=torch.uint8)}}, path)
    train(results_dir="results", run_id="run", resume=True)
    assert "its random numbers are those of another device; they begin anew from the run's seed" in caplog.text
