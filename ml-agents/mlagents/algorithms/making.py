"""How a trainer is made: on its device, from its own random numbers."""

from __future__ import annotations

import threading
from typing import Any

import torch

from mlagents.algorithms.trainer import Trainer, TrainerSetup

_ONE_AT_A_TIME = threading.Lock()  # layers are initialized from torch's global generator, which all threads share


def make_trainer(kind: Any, setup: TrainerSetup, settings: Any) -> Trainer:
    """Return a trainer of this class; equal generators make equal networks, whatever else the process draws.

    Torch's global generator is left as it was.
    """
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]), setup.device:
        torch.manual_seed(int(torch.randint(2**31, (), generator=setup.generator, device=setup.generator.device)))
        trainer: Trainer = kind(setup, settings)
    return trainer
