"""How a trainer is made: on its device, from its own random numbers, with its mistakes told at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from mlagents.algorithms.author import naming_the_author
from mlagents.algorithms.trainer import Trainer, TrainerSetup

_ONE_AT_A_TIME = threading.Lock()  # layers are initialized from torch's global generator, which all threads share


def construct(kind: Callable[[TrainerSetup, Any], Trainer], setup: TrainerSetup, settings: Any) -> Trainer:
    """Return a trainer of this class; equal generators make equal networks, whatever else the process draws.

    Torch's global generator is left as it was. Raises TrainerError for a mistake in an author's class, and
    UnsupportedNetwork for a network that cannot be built.
    """
    seed = torch.randint(2**31, (), generator=setup.generator, device=setup.generator.device)
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]), setup.device, naming_the_author():
        torch.manual_seed(int(seed))
        trainer = kind(setup, settings)
        if (check := getattr(trainer, "check_checkpoints", None)) is not None:
            check()
    return trainer
