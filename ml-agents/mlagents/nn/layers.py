"""What all networks are made of, begun as Unity's trainers begin it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions

# Torch has no public way to ask for hooks.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
LAYER_NORM_EPSILON = 1e-5
_GRADIENT_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


class UnsupportedNetwork(ValueError):
    """A network of this kind cannot be built for this behavior."""


def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """Return a linear layer with weights of deviation gain / sqrt(inputs) and no bias to begin with."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(max(inputs, 1)))
    nn.init.zeros_(layer.bias)
    return layer


def layer_norm(x: Tensor) -> Tensor:
    """Return x with mean 0 and variance 1 over its last axis; nothing of it is learnt."""
    if is_traced():  # the oldest opsets have no such operator, and to a tracer a shape is no number
        centered = x - x.mean(-1, keepdim=True)
        return centered / (centered.square().mean(-1, keepdim=True) + LAYER_NORM_EPSILON).sqrt()
    return nn.functional.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPSILON)


def side_by_side(columns: Sequence[Tensor]) -> Tensor:
    """Return (n, sum of sizes) of several (n, size); at least one."""
    return columns[0] if len(columns) == 1 else torch.cat(tuple(columns), 1)


def flat_action(action: Actions, branches: Sequence[int]) -> Tensor:
    """Return (n, C + K): continuous actions as they are, then each branch's choice as one-hot; branches: sizes."""
    parts = [action.continuous]
    for branch, size in enumerate(branches):
        parts.append(nn.functional.one_hot(action.discrete[:, branch], size).to(torch.float32))
    return side_by_side(parts)


def is_exactly(thing: object, kind: type) -> bool:
    """Is this an object of just this class, with no method replaced and, of a module, no hook?

    What does a network's work by another way, for speed, may do so only then: it would pass over an author's change.
    """
    if type(thing) is not kind:
        return False
    own = vars(thing)
    if any(own.get(hooks) for hooks in _HOOKS):
        return False
    return not any(callable(getattr(kind, name, None)) for name in own)


def is_traced() -> bool:
    """Is a policy being traced for export? Then everything is torch's, and nothing depends on what rows hold."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


class LayerWatch:
    """Notices what an author changes in linear layers whose memory is read by another way than calling them."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._layers = [(layer, vars(layer), vars(layer)["_parameters"]) for layer in layers]

    def addresses(self) -> list[int] | None:
        """Return where the parameters lie; None if a layer is no plain one any more: hooked, or of another class."""
        for layer, own, _ in self._layers:
            if type(layer) is not nn.Linear or "forward" in own or own["_forward_hooks"] or own["_forward_pre_hooks"]:
                return None
            if own["_backward_hooks"] or own["_backward_pre_hooks"]:
                return None
        return [p.data_ptr() for _, _, table in self._layers for p in table.values() if p is not None]


def is_hooked_parameter(parameter: Tensor) -> bool:
    """Does somebody want to know of this parameter's gradient?"""
    return any(getattr(parameter, hooks, None) for hooks in _GRADIENT_HOOKS)


def is_plain_linear(layer: object) -> bool:
    """Is this exactly a linear layer with a bias?"""
    return is_exactly(layer, nn.Linear) and layer.bias is not None  # type: ignore[attr-defined]
