"""A trainer that cannot learn what it is given is refused before anything starts, with those that can."""

from pathlib import Path

import pytest

from mlagents.learn import main

PLUGINS = '''
import torch
from torch import nn
from mlagents.api import (
    Capabilities, Categorical, OffPolicyHyperparamSettings, OffPolicyTrainer, OnPolicyTrainer, Policy, PPOTrainer
)


class NarrowTrainer(OnPolicyTrainer):
    capabilities = Capabilities(discrete=False, hybrid=False, several_signals=False)


class RecallTrainer(OffPolicyTrainer):
    pass


class ChoosyTrainer(OffPolicyTrainer):
    capabilities = Capabilities(continuous=False)


class GRU(Policy):
    def __init__(self, setup):
        super().__init__(setup.spec)
        self.memory_size = setup.network.memory.memory_size
        self.cell = nn.GRUCell(20, self.memory_size)
        self.head = nn.Linear(self.memory_size, 3)

    def forward(self, input):
        memory = self.cell(input.obs[0], input.memory)
        return Categorical(self.head(memory), input.mask, self.branches), memory


class MindfulTrainer(PPOTrainer):
    capabilities = Capabilities(memory=True)

    def make_policy(self, setup):
        return GRU(setup)

    def minibatches(self, batch):
        assert batch.sequence.bincount().max() == 4
        return super().minibatches(batch)
'''


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(PLUGINS)


def run(text, env="builtin:Basic"):
    Path("a.yaml").write_text(text)
    return main(["a.yaml", "--env", env, "--run-id", "run", "--plugin", "mine.py"])


def test_actions_that_a_trainer_does_not_take_are_refused_with_those_who_do(capsys):
    assert run("behaviors: {Basic: {trainer_type: narrow}}") == 2
    said = capsys.readouterr().out
    assert "behaviors.Basic.trainer_type: 'narrow' cannot learn with discrete actions; those who can: ppo, " in said
    assert "recall, choosy" in said
    assert not Path("results").exists()


def test_default_settings_are_held_to_it_as_well(capsys):
    assert run("default_settings: {trainer_type: choosy}", env="builtin:3DBall") == 2
    said = capsys.readouterr().out
    assert "default_settings, for 3DBall.trainer_type: 'choosy' cannot learn with continuous actions" in said


def test_demonstrations_for_a_trainer_that_takes_none_are_refused_with_those_who_do(capsys):
    Path("a.demo").write_bytes(b"")
    assert run("behaviors: {Basic: {trainer_type: ppo, demonstrations: {sources: [{file: a.demo}]}}}") == 2
    said = capsys.readouterr().out
    assert "behaviors.Basic.trainer_type: 'ppo' cannot learn with demonstrations; " in said
    assert ", recall" in said
    assert "choosy" not in said


MEMORY = "network_settings: {memory: {memory_size: 8, sequence_length: 4}}"


def test_a_trainer_with_memory_of_its_own_obeys_the_yamls(capsys):
    text = "hyperparameters: {batch_size: 16, buffer_size: 32}, max_steps: 100, " + MEMORY
    assert run(f"behaviors: {{Basic: {{trainer_type: mindful, {text}}}}}") == 0, capsys.readouterr()


def test_memory_for_a_trainer_that_takes_none_is_refused_with_those_who_do(capsys):
    assert run(f"behaviors: {{Basic: {{trainer_type: recall, {MEMORY}}}}}") == 2
    sentence = "behaviors.Basic.trainer_type: 'recall' cannot learn with recurrent networks; those who can: ppo, "
    said = capsys.readouterr().out
    assert sentence in said
    assert ", mindful" in said


def test_an_unknown_behavior_is_held_to_it_when_it_shows_up(capsys):
    pytest.importorskip("gymnasium")
    assert run("behaviors: {CartPole: {trainer_type: narrow}}", env="gym:CartPole-v1") == 2
    assert "'narrow' cannot learn with discrete actions" in capsys.readouterr().out
    assert not Path("results").exists()


def test_a_trainer_of_demonstrations_alone_is_no_way_out_of_a_run_with_an_environment(capsys):
    Path("a.demo").write_bytes(b"")
    assert run("behaviors: {Basic: {trainer_type: ppo, demonstrations: {sources: [{file: a.demo}]}}}") == 2
    others = capsys.readouterr().out.split("those who can: ")[1].splitlines()[0].split(", ")
    assert "sac" in others and "bc" not in others
