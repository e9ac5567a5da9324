"""What a run begins with: the weights of a checkpoint, and its random numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mlagents.collect.behavior import Behavior
from mlagents.errors import CheckpointError
from mlagents.run.checkpoints import Checkpoints, State, load_checkpoint, whole_ones
from mlagents.run.settings import CheckpointSettings

Explain = Callable[[Path, State, State], str]  # path, its state, ours -> in which settings the two networks differ
SHOWN = 3  # names in a sentence
APART = ("rng", "global_step", "replay", "self_play", "Learner")  # no networks, but for one that follows the policy
log = logging.getLogger(__name__)


def begin_with(
    behavior: Behavior, checkpoints: Checkpoints, settings: CheckpointSettings, init_path: str | None, explain: Explain
) -> State:
    """Load the weights that the settings begin with, if any; raises CheckpointError with a sentence.

    init_path: the checkpoint that the behavior's own settings name. Returns the checkpoint of a run that goes on, else
    nothing.
    """
    if settings.resume or settings.only_looks:
        state = load_weights(behavior, checkpoints.newest, explain, keep_step=True)
        restore_rng(behavior, state, checkpoints.newest)
        log.info(f"Resuming from {checkpoints.newest.parent}.")
        log.info(f"Resuming training from step {behavior.step}.")
        return state
    path = first_weights(settings, init_path, checkpoints.behavior)
    if path is not None:
        load_what_fits(behavior, path, explain)
        log.info(f"Initializing from {path}.")
        log.info(f"Starting training from step 0 and saving to {checkpoints.folder}.")
    return {}


def first_weights(settings: CheckpointSettings, init_path: str | None, name: str) -> Path | None:
    """Return the checkpoint that `initialize_from` or `init_path` name for a behavior; None if neither does."""
    given = Path(init_path) if init_path is not None else None
    if settings.initialize_from is None:
        return given
    folder = Path(settings.results_dir) / settings.initialize_from / name
    if given is None:
        return folder / "checkpoint.pt"
    return folder / given if given.name == str(given) else given


def load_weights(behavior: Behavior, path: Path, explain: Explain, *, keep_step: bool) -> dict[str, Any]:
    """Load a checkpoint into a behavior and return what it holds; raises CheckpointError if it does not fit."""
    state = load_checkpoint(path)
    try:
        behavior.load_state_dict(state, keep_step=keep_step)
    except (AttributeError, IndexError, TypeError) as error:  # a value of another type than checkpoints have
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged: {reason}.{whole_ones(path)}") from error
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds another kind of network than the settings describe: "
            f"{explain(path, state, behavior.state_dict())}. "
            "Take the settings back, or begin anew under another --run-id."
        ) from error
    return state


def load_what_fits(behavior: Behavior, path: Path, explain: Explain) -> None:
    """Load the tensors of a checkpoint that have a place here, by name and shape; a warning names the rest.

    An optimizer is taken as a whole, or begins anew. Raises CheckpointError if not one weight fits.
    """
    state, own = load_checkpoint(path), behavior.state_dict()
    try:
        behavior.load_state_dict(state, keep_step=False)
        return
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        pass  # not all of it
    mixed, taken, left = mix(state, own)
    if not taken:
        raise CheckpointError(
            f"{path} holds another kind of network than the settings describe: {explain(path, state, own)}. "
            "Take the settings back, or leave --initialize-from away."
        )
    behavior.load_state_dict(mixed, keep_step=False)
    names = ", ".join(left[:SHOWN]) + (f" and {len(left) - SHOWN} more" if len(left) > SHOWN else "")
    log.warning(f"{path} fits in {len(taken)} tensors; these begin anew: {names} ({explain(path, state, own)}).")


def mix(state: State, own: State) -> tuple[State, list[str], list[str]]:
    """Return our state with every tensor of the other that fits, and the names of those that were taken, and were not.

    Optimizers stay our own.
    """
    mixed = dict(own)
    taken: list[str] = []
    left: list[str] = []
    for module, tensors in own.items():
        theirs = state.get(module)
        if module in APART or not _is_network(tensors):
            continue
        mixed[module] = {}
        for name, tensor in tensors.items():
            other = theirs.get(name) if isinstance(theirs, Mapping) else None
            fits = isinstance(other, Tensor) and other.shape == tensor.shape
            mixed[module][name] = other if fits else tensor
            (taken if fits else left).append(f"{module}.{name}")
    return mixed, taken, left


def _is_network(state: Any) -> bool:
    return isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())


def restore_rng(behavior: Behavior, state: State, path: Path) -> None:
    """Let random numbers go on where the checkpoint stood; raises CheckpointError for what is no such state.

    The state of a generator on another kind of device does not fit: then the run's seed begins anew, with a warning.
    """
    if "rng" not in state:
        return
    try:
        kept = state["rng"]["torch"]
        if kept.numel() != behavior.generator.get_state().numel():
            log.warning(f"{path}: its random numbers are those of another device; they begin anew from the run's seed.")
            return
        behavior.generator.set_state(kept)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged: its random numbers cannot be restored: {reason}") from error
