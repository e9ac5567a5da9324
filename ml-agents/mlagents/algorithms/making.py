"""How trainers and reward signals are made: on their device, from their own random numbers, checked at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from mlagents.algorithms.author import naming_the_author
from mlagents.algorithms.trainer import TrainerSetup
from mlagents.rewards.signal import SignalSetup

_ONE_AT_A_TIME = threading.Lock()  # layers are initialized from torch's global generator, which all threads share


Made = TypeVar("Made")


def construct(kind: Callable[[Any, Any], Made], setup: TrainerSetup | SignalSetup, settings: Any) -> Made:
    """Return a trainer or reward signal of this class; equal generators make equal networks, whatever else is drawn.

    Torch's global generator is left as it was. Raises TrainerError for a mistake in an author's class, and
    UnsupportedNetwork for a network that cannot be built.
    """
    seed = torch.randint(2**31, (), generator=setup.generator, device=setup.generator.device)
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]), setup.device, naming_the_author():
        torch.manual_seed(int(seed))
        made = kind(setup, settings)
        if (check := getattr(made, "check_parts", None)) is not None:
            check()
    return made
