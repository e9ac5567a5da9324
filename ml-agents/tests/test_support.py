"""A trainer that cannot learn what it is given is refused before anything starts, with those that can."""

from pathlib import Path

import pytest

from mlagents.learn import main

PLUGINS = '''
from mlagents.api import Capabilities, OffPolicyHyperparamSettings, OffPolicyTrainer, OnPolicyTrainer


class NarrowTrainer(OnPolicyTrainer):
    capabilities = Capabilities(discrete=False, hybrid=False, several_signals=False)


class RecallTrainer(OffPolicyTrainer):
    pass


class ChoosyTrainer(OffPolicyTrainer):
    capabilities = Capabilities(continuous=False)
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


def test_an_unknown_behavior_is_held_to_it_when_it_shows_up(capsys):
    pytest.importorskip("gymnasium")
    assert run("behaviors: {CartPole: {trainer_type: narrow}}", env="gym:CartPole-v1") == 2
    assert "'narrow' cannot learn with discrete actions" in capsys.readouterr().out
    assert not Path("results").exists()
