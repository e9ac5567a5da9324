"""Trainers of Unity ML-Agents. Light: nothing is loaded until it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlagents.run.callbacks import Callback as Callback
    from mlagents.training.evaluate import evaluate as evaluate
    from mlagents.training.train import train as train
    from mlagents_envs.model import Model as Model

__version__ = "2.0.0.dev0"

_LAZY = {  # name -> module that has it
    "Model": "mlagents_envs.model",
    "Callback": "mlagents.run.callbacks",
    "evaluate": "mlagents.training.evaluate",
    "train": "mlagents.training.train",
}


def __getattr__(name: str) -> Any:
    """Return a name whose module is loaded now."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
