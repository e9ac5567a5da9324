"""Mistakes in an author's trainer, in sentences that name the class, the hook and the line."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mlagents.data.finite import NotFinite
from mlagents.nn.layers import UnsupportedNetwork

OURS = frozenset({"mlagents", "mlagents_envs", "torch", "numpy", "pydantic", "numba", "onnx", "onnxruntime"})

LOSSES = (functional.mse_loss, functional.l1_loss, functional.smooth_l1_loss, functional.huber_loss)  # they broadcast


class TrainerError(Exception):
    """What is wrong with an author's trainer."""


class naming_the_author:  # read as a phrase: with naming_the_author()
    """Turns what fails inside an author's code into a TrainerError with the hook and the line; the rest stays.

    A class, because each tick enters it: a generator costs ten times as much.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and isinstance(error, Exception):
            _name_the_author(error)


def _name_the_author(error: Exception) -> None:
    if isinstance(error, TrainerError | UnsupportedNetwork | NotFinite | MemoryError | OSError):
        return
    frames = list(_frames_of_authors(error))
    if not frames:
        return
    (hook, _), (inner, line) = frames[0], frames[-1]
    text = " ".join(str(error).split())
    raise TrainerError(
        f"{_name(hook)} failed at {Path(inner.f_code.co_filename).name}, line {line}: {type(error).__name__}: "
        f"{text}. The whole traceback is shown with --debug."
    ) from error


def _frames_of_authors(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in OURS and package not in sys.stdlib_module_names:
            yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _name(frame: FrameType) -> str:
    owner = frame.f_locals.get("self")
    return f"{type(owner).__name__}.{frame.f_code.co_name}" if owner is not None else frame.f_code.co_name


def check_terms(hook: str, terms: Any) -> None:
    """Raise TrainerError unless a hook returned scalars by name."""
    if not isinstance(terms, Mapping):
        raise TrainerError(f"{hook} must return a dict of scalars by name, but returned {type(terms).__name__}")
    if not terms:
        raise TrainerError(f"{hook} returned no terms; there is nothing to descend")
    for name, term in terms.items():
        check_scalar(f"{hook}: the term '{name}'", term)


def check_metrics(hook: str, metrics: Any) -> None:
    """Raise TrainerError unless a hook returned numbers by tag."""
    if not isinstance(metrics, Mapping):
        raise TrainerError(f"{hook} must return a dict of numbers by tag, but returned {type(metrics).__name__}")


def check_scalar(what: str, term: Any) -> None:
    """Raise TrainerError unless this is a tensor of a single number."""
    if not isinstance(term, Tensor):
        raise TrainerError(f"{what} is {type(term).__name__}; it must be a tensor of a single number")
    if term.dim():
        raise TrainerError(
            f"{what} has shape {tuple(term.shape)}; it must be a single number: take its mean() or sum()"
        )


def check_rows(what: str, column: Any, shape: tuple[int, ...]) -> None:
    """Raise TrainerError unless this is a tensor of this shape."""
    if not isinstance(column, Tensor):
        raise TrainerError(f"{what} must be a tensor of shape {shape}, but is {type(column).__name__}")
    if tuple(column.shape) != shape:
        raise TrainerError(f"{what} must have shape {shape}, but has {tuple(column.shape)}")


def check_loss(trainer: str, loss: Any) -> None:
    """Raise TrainerError unless this is a scalar that has a gradient."""
    check_scalar(f"{trainer}: the loss of take_step", loss)
    if not loss.requires_grad:
        raise TrainerError(
            f"{trainer}: the loss depends on no parameter that is learned; is it detached, or made under no_grad?"
        )


@contextmanager
def naming_the_gradient(trainer: str) -> Iterator[None]:
    """Turn what autograd cannot do into a TrainerError: no line of the author's is being executed any more."""
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise TrainerError(f"{trainer}: the gradient of the loss cannot be computed: {text}") from error


class BroadcastWatch(TorchFunctionMode):
    """Notices operations in an author's code that stretch (n,) beside (n, 1) to (n, n): the mean of that is no error.

    with BroadcastWatch(n) as watch: ...; watch.check(hook, terms)
    """

    def __init__(self, n: int) -> None:
        """n: rows of the batch; nothing is noticed in fewer than 3."""
        super().__init__()
        self.n = n
        self.found: list[tuple[Any, str]] = []  # the node of the graph, and where

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._may_stretch(*args, *kwargs.values()):
            return func(*args, **kwargs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own words on losses; ours name the line
            result = func(*args, **kwargs)
        stretched = isinstance(result, Tensor) and (result.shape == (self.n, self.n) or func in LOSSES)
        if stretched and (where := _place_of_author()) is not None:
            self.found.append((result.grad_fn, where))
        return result

    def _may_stretch(self, *given: Any) -> bool:
        shapes = {tuple(each.shape) for each in given if isinstance(each, Tensor)}
        return self.n > 2 and {(self.n,), (self.n, 1)} <= shapes

    def check(self, hook: str, terms: Mapping[str, Tensor]) -> None:
        """Raise TrainerError if something was stretched; terms: losses by name, of which the one it is in is named."""
        for node, where in self.found:
            names = [f": the term '{name}'" for name, term in terms.items() if node is not None and _holds(term, node)]
            raise TrainerError(
                f"{hook}{''.join(names[:1])} stretches ({self.n},) beside ({self.n}, 1) to ({self.n}, {self.n}) by "
                f"broadcasting, at {where}; give both the same shape, for example with unsqueeze(1)"
            )


def _place_of_author() -> str | None:
    """Return the file and line of the innermost frame that calls us from an author's code; None for our own."""
    frame = inspect.currentframe()
    here = frame.f_globals["__name__"] if frame is not None else ""
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(("torch", here)):
        frame = frame.f_back
    if frame is None or str(frame.f_globals.get("__name__", "")).partition(".")[0] in OURS:
        return None
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"


def _holds(term: Tensor, node: Any) -> bool:
    """Is this node in the graph that made a loss?"""
    seen, ahead = set(), [term.grad_fn]
    while ahead:
        here = ahead.pop()
        if here is node:
            return True
        if here is not None and here not in seen:
            seen.add(here)
            ahead += [further for further, _ in here.next_functions]
    return False
