"""Parameters, gradients and Adam's moments side by side, each in one array, while a rollout is walked.

For small networks an optimizer's cost is that of its calls, one for each parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlagents.nn.kernels import kernels

Array = NDArray[Any]
ORDINARY = {"amsgrad": False, "maximize": False, "weight_decay": 0, "decoupled_weight_decay": False}
_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")  # torch has no public way to ask for them


def is_plain_adam(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> bool:
    """Is this exactly Adam, of just these parameters, as the paper has it and with no hook?"""
    if type(optimizer) is not torch.optim.Adam or len(optimizer.param_groups) != 1:
        return False
    if "step" in vars(optimizer) or any(getattr(optimizer, hooks, None) for hooks in _HOOKS):
        return False
    (group,) = optimizer.param_groups
    if any(group.get(key, usual) != usual for key, usual in ORDINARY.items()):
        return False
    return {id(p) for p in group["params"]} == {id(p) for p in parameters}


class FlatParameters:
    """Float32 parameters on the CPU, in one array within a `with` statement; p.data and p.grad are views of it there.

    Afterwards each parameter has memory of its own again, with the new numbers, and no gradient.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self._own = [p.data for p in self.parameters]
        size = sum(p.numel() for p in self.parameters)
        self.values, self.gradients = np.empty(size, np.float32), np.zeros(size, np.float32)

    def __enter__(self) -> FlatParameters:
        for p, own, value, gradient in zip(
            self.parameters, self._own, self.views(self.values), self.views(self.gradients), strict=True
        ):
            value[...] = own.numpy()
            p.data, p.grad = torch.from_numpy(value), torch.from_numpy(gradient)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for p, own in zip(self.parameters, self._own, strict=True):
            own.copy_(p.data)
            p.data, p.grad = own, None

    def views(self, flat: Array) -> list[Array]:
        """Return the part of (size,) numbers that belongs to each parameter, in its shape."""
        stops = np.cumsum([p.numel() for p in self.parameters])[:-1]
        return [part.reshape(p.shape) for part, p in zip(np.split(flat, stops), self.parameters, strict=True)]


class FlatAdam:
    """Takes the steps of a torch.optim.Adam on flat parameters; `write_back` gives it the moments."""

    def __init__(self, optimizer: torch.optim.Optimizer, flat: FlatParameters, max_grad_norm: float) -> None:
        """max_grad_norm: of the gradient of one step; 0 does not cut."""
        self._optimizer, self._flat, self._max_grad_norm = optimizer, flat, max_grad_norm
        self._kernels = kernels()
        (group,) = optimizer.param_groups
        self._rate, self._betas, self._epsilon = float(group["lr"]), group["betas"], group["eps"]
        self._first, self._second = np.zeros_like(flat.values), np.zeros_like(flat.values)
        self._steps = 0
        for p, first, second in self._moments():
            if state := optimizer.state.get(p):
                first[...], second[...] = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()
                self._steps = int(state["step"])

    def step(self) -> None:
        """Take a step along the gradients."""
        self._steps += 1
        flat, (beta1, beta2) = self._flat, self._betas
        if self._max_grad_norm > 0:
            norm = float(np.sqrt(np.vdot(flat.gradients, flat.gradients)))
            flat.gradients *= np.float32(min(self._max_grad_norm / (norm + 1e-6), 1.0))  # as clip_grad_norm_
        self._kernels.adam(
            flat.values, flat.gradients, self._first, self._second,
            np.float32(self._rate / (1 - beta1**self._steps)), np.float32(beta1), np.float32(beta2),
            np.float32(self._epsilon), np.float32(1 / math.sqrt(1 - beta2**self._steps)),
        )  # fmt: skip

    def write_back(self) -> None:
        """Give the optimizer the moments and the number of steps."""
        for p, first, second in self._moments():
            state = self._optimizer.state[p]
            if not state:
                state.update(exp_avg=torch.empty_like(p), exp_avg_sq=torch.empty_like(p))
            state["step"] = torch.tensor(float(self._steps), device="cpu")
            state["exp_avg"].copy_(torch.from_numpy(first))
            state["exp_avg_sq"].copy_(torch.from_numpy(second))

    def _moments(self) -> list[tuple[nn.Parameter, Array, Array]]:
        flat = self._flat
        return list(zip(flat.parameters, flat.views(self._first), flat.views(self._second), strict=True))
