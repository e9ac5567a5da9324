"""Runs to be evaluated, and the command beside them."""

import json
import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlagents.evaluation_tool import main
from mlagents.learn import main as learn
from mlagents_envs.player.executable import make_executable

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import BASIC

RECURRENT = "num_layers: 1, memory: {memory_size: 8, sequence_length: 8}"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with short runs of Basic, with and without memory, and of CartPole, which tests only look at."""
    folder, before = tmp_path_factory.mktemp("evaluated"), Path.cwd()
    loggers = [logging.getLogger(name) for name in ("mlagents", "mlagents_envs")]
    logging_before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    os.chdir(folder)
    try:
        short = BASIC.replace("MAX", "700")
        Path("run.yaml").write_text(short)
        Path("remembers.yaml").write_text(short.replace("num_layers: 1", RECURRENT))
        for name in ("run", "remembers"):
            assert learn([f"{name}.yaml", "--env", "builtin:Basic", "--run-id", name, "--seed", "1"]) == 0
        if find_spec("gymnasium"):
            Path("pole.yaml").write_text(short.replace("Basic:", "CartPole:"))
            assert learn(["pole.yaml", "--env", "gym:CartPole-v1", "--run-id", "pole", "--seed", "1"]) == 0
        make_executable(Path("builds"), "Basic")
    finally:
        os.chdir(before)
        for logger, (handlers, level, propagate) in zip(loggers, logging_before, strict=True):
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
    return folder


@pytest.fixture
def evaluate(trained, monkeypatch, capsys):
    """A function that types the command beside those runs and returns its status and what it printed."""
    monkeypatch.chdir(trained)

    def run(*words):
        capsys.readouterr()
        status = main([str(word) for word in words])
        return status, capsys.readouterr()

    return run


@pytest.fixture
def told(evaluate):
    """A function that types the command and returns what it says as JSON."""

    def run(*words):
        status, printed = evaluate(*words, "--json")
        assert status == 0, printed.err
        return json.loads(printed.out)

    return run
