"""`mlagents-learn` in environments of gymnasium and PettingZoo."""

import re
from pathlib import Path

import pytest

from mlagents.learn import main

CONFIG = Path(__file__).parents[2] / "config" / "ppo" / "CartPole.yaml"
GAME = '''
"""Two echoes and a mirror are told a digit each: an echo must say it, a mirror the other one."""

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Game(ParallelEnv):
    metadata = {"name": "echo_v0"}
    possible_agents = ["echo_0", "echo_1", "mirror_0"]

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def observation_space(self, agent):
        return spaces.Box(0, 1, (2,), np.float32)

    def action_space(self, agent):
        return spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.chance = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self._tell(), {agent: {} for agent in self.agents}

    def step(self, actions):
        right = {agent: self.digit[agent] if "echo" in agent else 1 - self.digit[agent] for agent in self.agents}
        reward = {agent: float(actions[agent] == right[agent]) for agent in self.agents}
        self.time += 1
        over = {agent: self.time == 10 for agent in self.agents}
        said, nothing = self._tell(), {agent: False for agent in self.agents}
        infos = {agent: {} for agent in self.agents}
        if self.time == 10:
            self.agents = []
        return said, reward, over, nothing, infos

    def _tell(self):
        self.digit = {agent: int(self.chance.integers(2)) for agent in self.agents}
        return {agent: np.eye(2, dtype=np.float32)[digit] for agent, digit in self.digit.items()}


parallel_env = Game
'''
GAME_CONFIG = """
default_settings:
  hyperparameters: {batch_size: 64, buffer_size: 640, learning_rate: 3.0e-3}
  trainer_type: ppo
  network_settings: {hidden_units: 16, num_layers: 1}
  reward_signals: {extrinsic: {gamma: 0.5}}
  max_steps: 12000
  time_horizon: 10
  summary_freq: 4000
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def scores(said):
    """Return {behavior: mean reward} of the last lines."""
    return {name: float(score) for name, score in re.findall(r"^(\w+): mean reward (\S+)", said, re.MULTILINE)}


def test_the_published_settings_balance_a_pole(capsys):
    text = CONFIG.read_text().replace("max_steps: 150000", "max_steps: 40000")
    Path("pole.yaml").write_text(text)
    assert main(["pole.yaml", "--env", "gym:CartPole-v1", "--run-id", "pole", "--seed", "1"]) == 0
    assert scores(capsys.readouterr().out)["CartPole"] > 150  # random play gives 22
    assert Path("results/pole/CartPole.onnx").exists()


@pytest.mark.parametrize("workers", [(), ("--num-envs", "2", "--num-areas", "2")])
def test_two_kinds_of_agents_of_a_game_learn_two_behaviors(capsys, workers):
    Path("echo_v0.py").write_text(GAME)
    Path("echo.yaml").write_text(GAME_CONFIG)
    assert main(["echo.yaml", "--env", "pettingzoo:echo_v0", "--run-id", "echo", "--seed", "1", *workers]) == 0
    said = scores(capsys.readouterr().out)
    assert set(said) == {"echo", "mirror"}
    assert min(said.values()) > 9  # of 10; random play gives 5


def test_a_game_that_needs_another_package_says_which(capsys):
    Path("needy_v0.py").write_text("import no_such_package\n")
    Path("echo.yaml").write_text(GAME_CONFIG)
    assert main(["echo.yaml", "--env", "pettingzoo:needy_v0", "--run-id", "echo"]) == 2
    assert "no_such_package" in capsys.readouterr().err
