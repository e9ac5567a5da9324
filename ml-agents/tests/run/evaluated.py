"""Short runs of Basic with evaluations, as several tests make them, and what those find."""

import logging
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml

import mlagents
from mlagents.evaluation.result import Evaluation
from mlagents.run.evaluating import EvaluationFile

sys.path.insert(0, str(Path(__file__).parents[1]))
from basic_run import BASIC

EVALUATION = {"interval": 200, "episodes": 3, "max_length": 60, "deterministic": False}


def config(steps=700, behavior="Basic", **more):
    text = yaml.safe_load(BASIC.replace("MAX", str(steps)).replace("Basic:", f"{behavior}:"))
    text["behaviors"][behavior] |= more
    return text


def train(env="Basic", *, run_id="run", evaluation=EVALUATION, steps=700, behavior="Basic", **more):
    keys = {key: more.pop(key) for key in list(more) if key in ("stop_when", "trainer_type", "hyperparameters")}
    given = config(steps, behavior, **keys, **({"evaluation": evaluation} if evaluation else {}))
    given |= {key: more.pop(key) for key in list(more) if key == "environment_parameters"}
    return mlagents.train(given, env, **{"seed": 1, "run_id": run_id, **more})


def entries(run_id="run"):
    return EvaluationFile(Path(f"results/{run_id}/evaluations.jsonl")).entries()


def state(path):
    return torch.load(path, weights_only=True)


def equal(one, other):
    """Are two checkpoints equal, bit by bit?"""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@contextmanager
def logged():
    """Yield a list that fills with the messages of the package, from errors on."""
    messages, logger = [], logging.getLogger("mlagents")
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def scores_by_plan(monkeypatch, plan):
    """Let evaluations score what a plan says, one after the other, however often each is asked."""
    scores, known = iter(plan), []

    def score(evaluation):
        if not known or known[-1][0] is not evaluation:
            known.append((evaluation, next(scores)))
        return known[-1][1]

    monkeypatch.setattr(Evaluation, "score", property(score))
