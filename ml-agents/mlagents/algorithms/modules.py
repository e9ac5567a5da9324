"""What a checkpoint holds: every network, optimizer and parameter that a trainer or a reward signal has in public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

Module = nn.Module | nn.Parameter | torch.optim.Optimizer
KINDS = (nn.Module, nn.Parameter, torch.optim.Optimizer)


def title(name: str) -> str:
    """Return a name as TensorBoard tags spell it: `learning_rate` is `Learning Rate`."""
    return name.replace("_", " ").title()


def modules_of(owner: object) -> dict[str, Module]:
    """Return the modules of an object by name: of its public attributes, and of lists, tuples and dicts there.

    `critic_optimizer` is `Critic Optimizer`; entries of a list `heads` are `Heads 0`, `Heads 1`.
    """
    public = {title(name): value for name, value in vars(owner).items() if not name.startswith("_")}
    return dict(pair for name, value in public.items() for pair in walk(name, value))


def walk(name: str, value: Any) -> Iterator[tuple[str, Module]]:
    """Yield a module, or those in a list, tuple or dict, by name."""
    if isinstance(value, KINDS):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from walk(f"{name} {i}", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from walk(f"{name} {key}", part)


def state_of(modules: Mapping[str, Module]) -> dict[str, Any]:
    """Return the states of modules, by name."""
    return {
        name: module.detach().clone() if isinstance(module, nn.Parameter) else module.state_dict()
        for name, module in modules.items()
    }


def load_state(modules: Mapping[str, Module], state: Mapping[str, Any]) -> None:
    """Take what `state_of` gave; raises KeyError for a module that is missing, RuntimeError for other shapes."""
    for name, module in modules.items():
        if isinstance(module, nn.Parameter):
            saved = state[name]
            if saved.shape != module.shape:
                raise RuntimeError(f"{name}: size mismatch, {tuple(saved.shape)} instead of {tuple(module.shape)}")
            with torch.no_grad():
                module.copy_(saved)
        else:
            module.load_state_dict(state[name])


def parameters_of(modules: Mapping[str, Module]) -> Iterator[nn.Parameter]:
    """Yield every parameter of networks and bare parameters, but for those that only an optimizer holds."""
    for module in modules.values():
        if isinstance(module, nn.Parameter):
            yield module
        elif isinstance(module, nn.Module):
            yield from module.parameters()


def lost(owner: object, kept: Mapping[str, Module]) -> list[str]:
    """Return the names of optimizers of an object, and of parameters that they change, which are not in `kept`.

    Private attributes are looked at too.
    """
    held = {id(part) for part in (*kept.values(), *parameters_of(kept))}
    everything = dict(pair for name, value in vars(owner).items() for pair in walk(name, value))
    names = {id(p): name for name, p in _named_parameters(everything)}
    found = []
    for name, optimizer in everything.items():
        if isinstance(optimizer, torch.optim.Optimizer):
            found += [name] if id(optimizer) not in held else []
            changed = [p for group in optimizer.param_groups for p in group["params"]]
            found += [names.get(id(p), f"one of shape {tuple(p.shape)}") for p in changed if id(p) not in held]
    return list(dict.fromkeys(found))


def _named_parameters(modules: Mapping[str, Module]) -> Iterator[tuple[str, nn.Parameter]]:
    for name, module in modules.items():
        if isinstance(module, nn.Parameter):
            yield name, module
        elif isinstance(module, nn.Module):
            yield from ((f"{name}.{inner}", p) for inner, p in module.named_parameters())
