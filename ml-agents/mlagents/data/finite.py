"""Has learning gone to infinity? Then it must stop before anything ruined is acted with, or saved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class NotFinite(ArithmeticError):
    """A loss or a weight is NaN or infinite; the text says which."""


def check_losses(losses: Mapping[str, Any]) -> None:
    """Raise NotFinite, with its name, for a single number that is not finite."""
    for name, value in losses.items():
        if isinstance(value, int | float) and not math.isfinite(value):
            raise NotFinite(f"the loss '{name}' is {value}")


def check_parameters(networks: Mapping[str, nn.Module]) -> None:
    """Raise NotFinite for a network of which a parameter holds a number that is not finite."""
    for network, module in networks.items():
        for name, parameter in module.named_parameters():
            if not is_finite(parameter):
                raise NotFinite(f"the {network}'s '{name}' holds {_worst(parameter)}")


def non_finite(state: Any, place: str = "") -> str | None:
    """Return where a state of tensors and plain containers holds a number that is not finite; None if nowhere."""
    if isinstance(state, Tensor):
        return None if is_finite(state) else f"{place} holds {_worst(state)}"
    if isinstance(state, float):
        return None if math.isfinite(state) else f"{place} is {state}"
    found = (non_finite(value, f"{place}.{key}".removeprefix(".")) for key, value in _parts(state))
    return next((where for where in found if where is not None), None)


def is_finite(column: Tensor) -> bool:
    """Are all numbers finite?"""
    if not column.is_floating_point() or not column.numel():
        return True
    column = column.detach()
    return math.isfinite(float(column.sum())) or bool(torch.isfinite(column).all())  # one pass is nearly always enough


def _parts(state: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        yield from state.items()
    elif isinstance(state, Sequence) and not isinstance(state, str | bytes):
        yield from enumerate(state)


def _worst(column: Tensor) -> str:
    return "NaN" if bool(column.isnan().any()) else "infinite numbers"
