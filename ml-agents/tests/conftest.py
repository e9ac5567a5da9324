"""Small worlds and tables that several tests use."""

import logging
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from basic_run import BASIC

from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.learn import main


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_logging():
    """A run sets up logging for its process; the next test begins without."""
    loggers = [logging.getLogger(name) for name in ("mlagents", "mlagents_envs")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def experience():
    """A function that makes rows whose observation and reward are given."""

    def make(obs, reward=None, done=None, interrupted=None):
        n = len(obs)
        column = torch.tensor(obs, dtype=torch.float32)[:, None]
        nothing = torch.zeros(n, 0)
        flags = torch.zeros(n, dtype=torch.bool)
        return Experience(
            PolicyInput((column,), torch.zeros(n, 0, dtype=torch.bool), nothing),
            PolicyOutput(Actions(nothing, torch.zeros(n, 0, dtype=torch.int64)), nothing, torch.zeros(n), nothing),
            reward=torch.tensor(reward if reward is not None else [0.0] * n),
            group=torch.zeros(n, dtype=torch.int64),
            group_reward=torch.zeros(n),
            done=flags if done is None else torch.tensor(done),
            interrupted=flags if interrupted is None else torch.tensor(interrupted),
        )

    return make


@pytest.fixture
def learn(tmp_path, monkeypatch):
    """A function that runs the command in an empty folder, with a configuration of so many steps."""
    monkeypatch.chdir(tmp_path)

    def run(*flags, steps=1000, env="builtin:Basic"):
        Path("basic.yaml").write_text(BASIC.replace("MAX", str(steps)))
        return main(["basic.yaml", "--env", env, "--run-id", "run", "--seed", "1", *flags])

    return run
