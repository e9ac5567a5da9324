"""Has learning gone to infinity? Then it must stop before anything ruined is acted with, or saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlagents.data.rows import Rows

Networks = Mapping[str, nn.Module | nn.Parameter]  # by the name that a checkpoint gives them
LARGEST_GRADIENT = 1e19  # whose square float32 still holds: optimizers keep squares


class NotFinite(ArithmeticError):
    """A number that learning uses is NaN or infinite; the text says which."""

    rows: Rows | None = None
    """What it was computed from, n rows, where that is known."""
    wrong: Tensor | None = None
    """(k,) int64, which of the rows have it, where that is known."""
    agent: NDArray[np.int64] | None = None
    """(k,) the agents of these rows, `environment << 32 | id`, where they are known."""

    def found_in(self, rows: Rows, agent: NDArray[np.int64] | None = None) -> NotFinite:
        """Note what it was computed from, and (n,) whose rows these are, unless that is known; return self."""
        if self.rows is None:
            self.rows = rows
            if agent is not None and self.wrong is not None:
                self.agent = agent[self.wrong.cpu().numpy()]
        return self


def check_losses(losses: Mapping[str, Any], what: str = "loss") -> None:
    """Raise NotFinite, with its name, for a single number that is not finite."""
    for name, value in losses.items():
        if isinstance(value, int | float) and not math.isfinite(value):
            raise NotFinite(f"the {what} '{name}' is {value}")


def check_rows_finite(what: str, column: Tensor) -> None:
    """Raise NotFinite, with the rows, for a column of (n, ...) numbers that are not all finite."""
    if is_finite(column):
        return
    error = NotFinite(f"{what} {_worst(column)}")
    error.wrong = torch.nonzero(~torch.isfinite(column.reshape(len(column), -1)).all(1))[:, 0]
    raise error


def check_parameters(networks: Networks) -> None:
    """Raise NotFinite for a network of which a parameter holds a number that is not finite."""
    for place, parameter in _named(networks):
        if not is_finite(parameter):
            raise NotFinite(f"{place} holds {_worst(parameter)}")


def check_gradients(parameters: Sequence[Tensor], networks: Callable[[], Networks]) -> None:
    """Raise NotFinite for a gradient with a number that is not finite, or that no optimizer can square.

    networks: asked for the names only then.
    """
    if all_finite([p.grad for p in parameters if p.grad is not None]):
        return
    for place, parameter in _named(networks()):
        if parameter.grad is not None and not _has_squares(parameter.grad):
            raise NotFinite(f"the gradient of {place} holds {_worst(parameter.grad)}")
    for parameter in parameters:
        if parameter.grad is not None and not _has_squares(parameter.grad):
            shape = tuple(parameter.shape)
            raise NotFinite(f"the gradient of a parameter of shape {shape} holds {_worst(parameter.grad)}")


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Are all numbers finite, and their squares too, as far as one pass can tell? If so, that is certain."""
    total, others = 0.0, []
    for tensor in tensors:
        if tensor.device.type == "cpu" and tensor.dtype is torch.float32 and tensor.layout is torch.strided:
            flat = tensor.detach().numpy().ravel()
            total += float(np.vdot(flat, flat))
        elif tensor.is_floating_point():
            others.append(tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach())
    if others:
        total += float(torch.nn.utils.get_total_norm(others))
    return math.isfinite(total)


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


def _named(networks: Networks) -> Iterator[tuple[str, Tensor]]:
    for network, module in networks.items():
        if isinstance(module, nn.Parameter):
            yield f"the '{network}'", module
        else:
            yield from ((f"the {network}'s '{name}'", parameter) for name, parameter in module.named_parameters())


def _has_squares(gradient: Tensor) -> bool:
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool((values.detach().abs() <= LARGEST_GRADIENT).all())


def _parts(state: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        yield from state.items()
    elif isinstance(state, Sequence) and not isinstance(state, str | bytes):
        yield from enumerate(state)


def _worst(column: Tensor) -> str:
    values = column.detach().coalesce().values() if column.is_sparse else column.detach()
    if bool(values.isnan().any()):
        return "NaN"
    return "infinite numbers" if bool(values.isinf().any()) else f"numbers as large as {float(values.abs().max()):.1e}"
